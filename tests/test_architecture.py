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
from pljax.methods import METHODS

PACKAGE = Path(pljax.__file__).parent

# From the top to the bottom: a file imports from its own floor and from those below it.
FLOORS = (
    {"main"},
    {"", "compare", "estimator", "export", "predict"},
    {"report"},
    {"analysis", "training"},
    {"results"},
    {"protocols"},
    {"methods"},
    {"data", "nn"},
    {"settings"},
    {"types"},
)
FLOOR = {room: number for number, floor in enumerate(FLOORS) for room in floor}


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


def files_imported(path):
    """The files among them: of ``pljax.nn.losses.align``, ``nn.losses``."""
    files = set()
    for name in imported(path):
        first, _, rest = name.partition(".")
        if first == "pljax":
            while rest not in FILES:
                rest = rest.rpartition(".")[0]
            files.add(rest)
    return files - {name_of(path)}


IMPORTS = {file: files_imported(path) for file, path in FILES.items()}


def room(file):
    """The folder of a file, or the file itself where it is in none."""
    return file.partition(".")[0]


def test_every_file_is_on_a_floor():
    assert {room(file) for file in FILES} == FLOOR.keys()


@pytest.mark.parametrize("file", FILES)
def test_imports_run_down(file):
    assert not {other for other in IMPORTS[file] if FLOOR[room(other)] < FLOOR[room(file)]}


def known(file, path=()):
    """All files that a file imports, directly or not."""
    assert file not in path, "a circle never ends"
    below = set(IMPORTS[file])
    for other in IMPORTS[file]:
        below |= known(other, (*path, file))
    return below


def test_no_two_files_know_each_other():
    for file in FILES:
        assert file not in known(file)


def test_methods_do_not_know_each_other():
    for file in FILES:
        if file.startswith("methods."):
            others = {other for other in IMPORTS[file] if other.startswith("methods.")}
            assert others <= {"methods.base"}


def test_only_protocols_name_a_method():
    """What is true of one method alone stands in its file: a new one changes no other."""
    methods = {file for file in FILES if file.startswith("methods.") and file != "methods.base"}
    for file, others in IMPORTS.items():
        if others & methods:
            assert file == "methods" or file.startswith("protocols.")


def test_no_code_asks_what_a_phase_or_method_is():
    kinds = {"Method", "Phase", *METHODS}
    for path in FILES.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "type"):
                assert not kinds & {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}, path


def functions():
    """Every function of the package: its name, and how many lines it has without its docstring."""
    for file, path in FILES.items():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                yield f"{file}.{node.name}", lines


def test_a_function_fits_on_a_screen():
    lengths = dict(functions())
    assert lengths["training.step.train_step"] <= 25
    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}


def test_what_is_told_of_finished_runs_trains_nothing():
    for file in FILES:
        if room(file) in ("analysis", "report", "results", "compare", "predict", "export"):
            assert not {other for other in known(file) if room(other) == "training"}


def test_numbers_and_sentences_need_no_pictures():
    for file in ("analysis.comparison", "report.sentences", "report.tables", "training.run", "estimator", "predict"):
        assert not {other for other in known(file) if other.startswith(("report.html", "report.figures"))}


@pytest.mark.parametrize("file", FILES)
def test_the_package_does_not_know_experiments_or_tests(file):
    assert not {name.partition(".")[0] for name in imported(FILES[file])} & {"experiments", "tests"}


@pytest.mark.parametrize(
    "file",
    [
        "analysis.stats",
        "analysis.comparison",
        "data.custom",
        "data.download",
        "data.idx",
        "data.serialization",
        "data.tables",
        "report.sentences",
        "results.pseudo_labels",
    ],
)
def test_a_file_without_arrays_on_a_device_imports_no_jax(file):
    assert not {name.partition(".")[0] for name in imported(FILES[file])} & {"jax", "jaxlib", "flax", "optax"}


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
