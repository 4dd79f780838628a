"""Which file may import which, what an import may load, and what an installation may bring along."""

import ast
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import pljax
from pljax.methods import METHODS

PACKAGE = Path(pljax.__file__).parent

# From the top to the bottom: a file imports from its own layer and from those below it.
LAYERS = (
    {"main"},
    {"", "compare", "estimator", "export", "predict"},
    {"report"},
    {"cli"},
    {"analysis", "training"},
    {"results"},
    {"protocols"},
    {"methods"},
    {"data", "nn"},
    {"settings"},
    {"types"},
)
LAYER = {folder: number for number, layer in enumerate(LAYERS) for folder in layer}


def name_of(path):
    """``protocols.quick`` for its file, ``protocols`` for its ``__init__``, and nothing for the package's own."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(part for part in parts if part != "__init__")


FILES = {name_of(path): path for path in PACKAGE.rglob("*.py")}
TREES = {file: ast.parse(path.read_text()) for file, path in FILES.items()}


def imported(file):
    """Full names of everything that a file imports, inside functions too."""
    names = set()
    for node in ast.walk(TREES[file]):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: imports are absolute"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def packages_imported(file):
    return {name.partition(".")[0] for name in imported(file)}


def files_imported(file):
    """The files among them: of ``pljax.nn.losses.align``, ``nn.losses``."""
    files = set()
    for name in imported(file):
        first, _, rest = name.partition(".")
        if first == "pljax":
            while rest not in FILES:
                rest = rest.rpartition(".")[0]
            files.add(rest)
    return files - {file}


IMPORTS = {file: files_imported(file) for file in FILES}


def folder(file):
    """The folder of a file, or the file itself where it is in none."""
    return file.partition(".")[0]


def all_below(file, path=()):
    """All files that a file imports, directly or not."""
    assert file not in path, f"a circle of imports: {(*path, file)}"
    return IMPORTS[file].union(*(all_below(other, (*path, file)) for other in IMPORTS[file]))


BELOW = {file: all_below(file) for file in FILES}


def imports_where(wrong):
    """The pairs (file, imported file) of the package for which ``wrong`` holds."""
    return [(file, other) for file, others in IMPORTS.items() for other in others if wrong(file, other)]


def test_every_file_is_in_a_layer():
    assert {folder(file) for file in FILES} == LAYER.keys()


def test_imports_run_down_and_never_in_a_circle():
    assert imports_where(lambda file, other: LAYER[folder(other)] < LAYER[folder(file)]) == []
    assert [file for file in FILES if file in BELOW[file]] == []


def test_only_protocols_import_a_method_and_methods_never_each_other():
    """What is true of one method alone is in its file: a new one changes no other."""
    methods = {file for file in FILES if file.startswith("methods.") and file != "methods.base"}

    def wrong(file, other):
        return other in methods and file != "methods" and not file.startswith("protocols.")

    assert imports_where(wrong) == []


def test_no_code_asks_for_the_type_of_a_phase_or_method():
    kinds = {"Method", "Phase", *METHODS}
    found = [
        (file, node.lineno)
        for file, tree in TREES.items()
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "type")
        if kinds & {name.id for name in ast.walk(node) if isinstance(name, ast.Name)}
    ]
    assert found == []


def test_no_function_is_longer_than_a_screen():
    lengths = {}
    for file, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lengths[f"{file}.{node.name}"] = body[-1].end_lineno - body[0].lineno + 1 if body else 0
    assert lengths["training.step.train_step"] <= 25
    assert {name: lines for name, lines in lengths.items() if lines > 50} == {}


def test_what_reads_finished_runs_imports_no_training():
    readers = [
        file for file in FILES if folder(file) in ("analysis", "report", "results", "compare", "predict", "export")
    ]
    assert [(file, other) for file in readers for other in BELOW[file] if folder(other) == "training"] == []


def test_numbers_and_sentences_import_no_pictures():
    files = ("analysis.comparison", "report.sentences", "report.tables", "training.run", "estimator", "predict")
    pictures = ("report.html", "report.figures")
    assert [(file, other) for file in files for other in BELOW[file] if other.startswith(pictures)] == []


def test_the_package_imports_neither_experiments_nor_tests():
    assert [file for file in FILES if packages_imported(file) & {"experiments", "tests"}] == []


def test_files_without_arrays_on_a_device_do_not_import_jax():
    files = {
        *("analysis.stats", "analysis.comparison", "report.sentences", "results.pseudo_labels"),
        *("data.custom", "data.download", "data.idx", "data.npz", "data.serialization", "data.text"),
        *(file for file in FILES if file.startswith("data.reading")),
    }
    assert [file for file in files if packages_imported(file) & {"jax", "jaxlib", "flax", "optax"}] == []


def test_imports_load_what_is_slow_only_where_it_is_used_and_start_no_backend():
    code = """if True:
        import sys, jax, pljax.main

        def loaded(*names):
            print(sorted(set(names) & set(sys.modules)))

        loaded("matplotlib", "sklearn", "scipy.stats", "jinja2", "pandas", "tensorflow_datasets", "mlxtend")
        jax.config.update("jax_num_cpu_devices", 3)  # fails once a backend has started
        print(jax.device_count("cpu"))
        import pljax.report.figures
        loaded("matplotlib.pyplot", "sklearn")
        print("PseudoLabelClassifier" in pljax.__all__, pljax.PseudoLabelClassifier.__module__)
        loaded("sklearn")
        print(hasattr(pljax, "Banana"))
    """
    environment = {**os.environ, "JAX_PLATFORMS": "cpu", "XLA_FLAGS": ""}
    ended = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    expected = ["[]", "3", "[]", "True pljax.estimator.classifier", "['sklearn']", "False"]
    assert ended.stdout.splitlines() == expected, ended.stderr


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
