"""Who may know whom in the package, what an import may start, and what an installation may bring along."""

import ast
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pljax

PACKAGE = Path(pljax.__file__).parent

# Each room and the rooms it imports: what is not written here is not allowed.
ROOMS = {
    # know nobody
    "types": set(),
    "losses": set(),
    "schedules": set(),
    "stats": set(),
    "files": set(),
    "progress": set(),
    "tfds_download": set(),
    # data
    "originals": {"types"},
    "download": {"originals", "types"},
    "data": {"download", "originals", "types"},
    # people's own data
    "scaling": {"types"},
    "own_files": {"files", "types"},
    "own_data": {"own_files", "scaling", "types"},
    # the core, for one seed
    "config": {"types"},
    "models": {"types"},
    "columns": {"types"},
    "split": {"types"},
    "optimizers": {"config", "schedules"},
    "score": {"losses", "models", "types"},
    "finetune": {"columns", "config", "losses", "models", "optimizers", "schedules", "types"},
    "pretrain": {"columns", "config", "losses", "models", "optimizers", "types"},
    "phases": {"columns", "config", "finetune", "models", "pretrain", "split", "types"},
    # the axis of seeds, and what it is computed on
    "seeds": set(),
    "backend": {"types"},
    "shell": {"types"},
    # the protocols
    "protocols.lee2013": {"config"},
    "protocols.arab2022": {"config"},
    "protocols.quick": {"config", "protocols.lee2013"},
    "protocols.adaptive": {"config"},
    "protocols": {"config", "protocols.arab2022", "protocols.lee2013", "protocols.quick"},
    # the shell of a run
    "checkpoint": {"types"},
    "keeper": {"checkpoint", "journal", "progress", "seeds", "types", "workdir"},
    "training": {"config", "journal", "keeper", "phases", "score", "seeds", "types"},
    "memory": {"config", "models", "phases", "seeds", "types"},
    "result": {"config", "files", "types"},
    "labelling": {"types"},
    "workdir": {"config", "files", "labelling", "result", "types"},
    "journal": {"labelling", "progress", "types"},
    "run": {
        "backend", "config", "files", "journal", "keeper", "labelling", "models", "phases", "progress", "result",
        "score", "seeds", "split", "training", "types", "workdir",
    },
    # several runs that are one
    "join": {"config", "result", "types", "workdir"},
    "processes": {"types", "workdir"},
    # finished runs: numbers, sentences, pictures, pages
    "comparison": {"config", "progress", "protocols", "result", "stats", "types"},
    "words": {"comparison", "config", "progress", "protocols", "result", "stats"},
    "report": {"comparison", "config", "progress", "result", "types", "words"},
    "revisit": {
        "config", "models", "phases", "pretrain", "result", "score", "seeds", "types", "workdir",
    },
    "figures.style": set(),
    "figures.calibration": set(),
    "figures.material": {"config", "result", "revisit", "types", "workdir"},
    "figures.scores": {"figures.material", "figures.style", "protocols", "stats", "types", "words"},
    "figures.confusion": {"figures.material", "figures.style", "words"},
    "figures.courses": {"config", "figures.material", "figures.style", "stats", "types", "words"},
    "figures.outputs": {
        "figures.calibration", "figures.material", "figures.style", "stats", "types", "words",
    },
    "figures.images": {"config", "figures.material", "figures.style", "revisit", "types", "words"},
    "figures": {
        "figures.confusion", "figures.courses", "figures.images", "figures.material", "figures.outputs",
        "figures.scores", "figures.style", "types",
    },
    "page": {"comparison", "figures", "files", "protocols", "report", "stats", "words"},
    # a finished run as a classifier
    "ensemble": {
        "config", "models", "own_data", "own_files", "phases", "result", "revisit", "score", "types", "workdir",
    },
    "predict": {"ensemble", "shell", "types", "workdir"},
    "export": {"config", "ensemble", "files", "shell", "types", "workdir"},
    # what people start
    "": {"config", "data", "estimator", "progress", "protocols", "report", "result", "run", "types", "workdir"},
    "estimator": {
        "config", "journal", "keeper", "models", "phases", "progress", "protocols.adaptive", "scaling", "score",
        "seeds", "split", "training", "types",
    },
    "compare": {"comparison", "data", "figures", "files", "join", "page", "report", "shell", "types", "workdir"},
    "choose": {"config", "protocols", "protocols.adaptive", "split", "types"},
    "main": {
        "backend", "choose", "compare", "comparison", "config", "data", "join", "keeper", "memory", "own_data",
        "own_files", "processes", "progress", "report", "result", "run", "seeds", "types", "workdir",
    },
}  # fmt: skip


def name_of(path):
    """``protocols.quick`` for its file, ``protocols`` for its ``__init__``, and nothing for the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILES = {name_of(path): path for path in PACKAGE.rglob("*.py")}


def imported(path):
    """Full names of everything that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def rooms_imported(path):
    """The rooms among them: of ``pljax.config.Adam``, ``config``."""
    rooms = set()
    for name in imported(path):
        first, _, rest = name.partition(".")
        if first == "pljax":
            while rest not in FILES:
                rest = rest.rpartition(".")[0]
            rooms.add(rest)
    return rooms


@pytest.mark.parametrize("room", FILES)
def test_a_room_knows_those_it_may_know(room):
    assert rooms_imported(FILES[room]) == ROOMS[room]


def test_the_plan_has_no_room_that_is_gone():
    assert ROOMS.keys() == FILES.keys()


def known(room):
    """All rooms that a room knows, directly or not."""
    below = set(ROOMS[room])
    for other in ROOMS[room]:
        below |= known(other)
    return below


def test_no_two_rooms_know_each_other():
    for room in ROOMS:  # a circle never ends
        assert room not in known(room)


def test_the_two_kinds_of_phases_do_not_know_each_other():
    assert "pretrain" not in known("finetune")
    assert "finetune" not in known("pretrain")


def test_the_core_does_not_know_the_shell():
    core = {"split", "finetune", "pretrain", "phases", "score"}
    shell = {"run", "main", "seeds", "data", "files", "journal", "progress", "result", "workdir", "protocols", ""}
    for room in core:
        assert not known(room) & shell


def test_only_the_loop_trains_and_only_what_people_start_knows_the_loop():
    knows = {room: {other for other in ROOMS if room in ROOMS[other]} for room in ROOMS}
    assert knows["finetune"] == {"phases"}
    assert knows["training"] == {"estimator", "run"}
    assert knows["checkpoint"] == {"keeper"}
    assert knows["run"] == {"", "main"}
    assert knows["compare"] == {"main"}
    assert knows["estimator"] == {""}
    assert knows["main"] == knows["predict"] == knows["export"] == set()


def test_what_is_told_of_finished_runs_trains_nothing():
    for room in ("comparison", "words", "report", "revisit", "figures", "page", "compare", "predict", "export"):
        assert not known(room) & {"run", "training"}


def test_numbers_and_sentences_need_no_pictures():
    for room in ("comparison", "words", "report", "run", "estimator", "predict", "export"):
        assert not {other for other in known(room) if other == "page" or other.startswith("figures")}


@pytest.mark.parametrize("room", FILES)
def test_the_package_does_not_know_experiments_or_tests(room):
    assert not {name.partition(".")[0] for name in imported(FILES[room])} & {"experiments", "tests"}


@pytest.mark.parametrize(
    "room",
    [
        *("stats", "files", "progress", "config", "comparison", "words", "originals", "download", "tfds_download"),
        *("labelling", "scaling", "own_files", "own_data", "protocols.adaptive"),
    ],
)
def test_a_room_without_arrays_on_a_device_imports_no_jax(room):
    assert not {name.partition(".")[0] for name in imported(FILES[room])} & {"jax", "jaxlib", "flax", "optax"}


def test_the_estimator_comes_with_scikit_learn_when_it_is_asked_for():
    code = """if True:
        import sys, pljax
        print("sklearn" in sys.modules, "PseudoLabelClassifier" in pljax.__all__)
        print(pljax.PseudoLabelClassifier.__module__, "sklearn" in sys.modules, hasattr(pljax, "Banana"))
    """
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout == "False True\npljax.estimator True False\n", ended.stderr


def test_importing_the_package_starts_no_backend():
    # The number of devices can be set only until a backend starts.
    code = "import jax, pljax.main; jax.config.update('jax_num_cpu_devices', 3); print(jax.device_count('cpu'))"
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert ended.stdout == "3\n", ended.stderr


def test_the_command_line_starts_without_what_only_reports_need():
    heavy = {"matplotlib", "sklearn", "scipy.stats", "jinja2", "pandas"}
    code = f"import sys, pljax.main; print(sorted({heavy} & set(sys.modules)))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout == "[]\n", ended.stderr


def installed_with(name):
    """Every distribution that an installation of ``name`` brings along here, without optional extras."""
    found, to_do = set(), [(name, "")]
    while to_do:
        name, extra = item = to_do.pop()
        if item in found:
            continue
        found.add(item)
        for line in importlib.metadata.requires(name) or []:
            needed = Requirement(line)
            if needed.marker is None or needed.marker.evaluate({"extra": extra}):
                to_do += [(canonicalize_name(needed.name), wanted) for wanted in ("", *needed.extras)]
    return {name for name, _ in found}


def test_an_installation_brings_neither_tensorflow_nor_torch():
    brought = installed_with("pljax")
    assert {"jax", "flax", "optax", "tensorflow-datasets", "etils"} <= brought  # the walk goes deep
    unwanted = {name for name in brought if name.startswith(("tensorflow", "tf-nightly", "torch", "keras"))}
    assert unwanted <= {"tensorflow-datasets", "tensorflow-metadata"}
