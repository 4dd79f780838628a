"""Every script of ``experiments`` runs in a process of its own at a tiny size, and leaves the kept results alone."""

import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import numpy as np
import pytest
from matplotlib.image import imread

from pljax import SCENARIOS
from pljax.settings import differences

REPOSITORY = Path(__file__).resolve().parent.parent
EXPERIMENTS = REPOSITORY / "experiments"
RESULTS = EXPERIMENTS / "results"
TINY = {  # the longest first; results go to the folder that a script runs in
    "speed": ("--tiny", "--output=."),
    "faults": ("--tiny", "--output=.", "--kills=0", "--terms=0", "--flips=1"),
    "versus_sklearn": ("--tiny", "--output=."),
    "choices": (
        *("--choice=short_batch", "--scenario=nn", "--dataset=mnist_5k", "--output=."),
        *("--seeds=1", "--epochs=22", "--hidden=16"),
    ),
    "own_arrays": ("--epochs=5",),
    "minimal": (),
    "tables": (),
}


class Run(NamedTuple):
    folder: Path
    said: str


def run(script, folder, *options):
    """A script run in a folder, on one device, with programs compiled well enough for a test."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "JAX_ENABLE_COMPILATION_CACHE"},
        "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("--xla_force_host_platform_device_count=2", ""),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    process = subprocess.run(
        [sys.executable, script, *options], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return Run(folder, process.stdout)


def tiny(name, folder):
    """A script at its tiny size; that of ``minimal.py``, which has no flags, is its one line of sizes."""
    script = EXPERIMENTS / f"{name}.py"
    if name == "minimal":
        text, line = script.read_text(), "SEEDS, EPOCHS, LABELS = 3, 150, 100\n"
        assert line in text
        script = folder / "minimal.py"
        script.write_text(text.replace(line, "SEEDS, EPOCHS, LABELS = 1, 3, 100\n"))
    return run(script, folder, *TINY[name])


@pytest.fixture(scope="module")
def runs(request, tmp_path_factory):
    """By script, the run that will have ended: two at a time, and only those whose test is asked for."""
    asked = [name for name in TINY if f"test_{name}" in {item.name for item in request.session.items}]
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(tiny, name, tmp_path_factory.mktemp(name)) for name in asked}


def module(name):
    """A script as a module, in this process."""
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def percentages(text):
    return [float(number) for number in re.findall(r"([\d.]+)%", text)]


def below(marker):
    """The README's table below a marker, line by line."""
    _, _, rest = (REPOSITORY / "README.md").read_text().partition(f"<!-- {marker} -->\n")
    table, _, _ = rest.partition("\n\n")
    return table.splitlines()


@pytest.fixture(autouse=True, scope="module")
def kept_results():
    """No test changes a file among the results."""

    def digests():
        files = sorted(path for path in RESULTS.rglob("*") if path.is_file())
        return {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    before = digests()
    yield
    assert digests() == before


# ------------------------------------------------------------------------------------------------------- speed.py


def test_speed(runs):
    folder, _ = runs["speed"].result()
    measured = json.loads((folder / "speed.json").read_text())
    figures = {part: measured[part]["figures"] for part in ("updates", "start", "checkpoints", "growth")}
    assert figures.keys() == measured.keys()

    for network in ("classifier", "autoencoder"):
        of_network = {name: told for name, told in figures["updates"].items() if name.startswith(network)}
        floor, five = (of_network[f"{network}/{name}"]["ms"] for name in ("floor", "pljax/5"))
        for told in of_network.values():
            assert told["of_floor"] == round(told["ms"] / floor, 3)
            assert told["of_pljax_5"] == round(told["ms"] / five, 3)
            assert told["fastest_ms"] <= told["ms"] <= told["slowest_ms"]
    assert all(told["ms"] > 0 and told["MiB"] > 0 for told in figures["growth"].values())
    assert 0 < figures["checkpoints"]["training_waits_s"] <= figures["checkpoints"]["on_disk_after_s"]
    assert figures["start"]["first"] > 0
    assert imread(folder / "speed.png").std() > 0


def test_the_kept_figures_of_speed_are_of_what_the_script_measures(monkeypatch):
    monkeypatch.syspath_prepend(EXPERIMENTS)  # it imports peers.py
    whole = module("speed").whole(None)
    kept = json.loads((RESULTS / "speed.json").read_text())
    ours = {f"{kind}/pljax/{seeds}" for kind in whole.seeds for seeds in whole.seeds[kind]}
    assert ours <= kept["updates"]["figures"].keys()
    sizes = {f"{kind}/{size}" for kind, of_kind in whole.growth.items() for size in of_kind}
    assert sizes == kept["growth"]["figures"].keys()


# ----------------------------------------------------------------------------------------------------- choices.py


def test_a_choice_changes_one_setting():
    choices = module("choices").CHOICES
    changed = {
        "short_batch": "phases.0.batches.last_batch",
        "inverted_dropout": "phases.0.method.network.inverted_dropout",
    }
    assert choices.keys() == changed.keys()
    for scenario in ("nn", "drop_nn", "pl"):
        config = SCENARIOS["quick"][scenario]
        for name, path in changed.items():
            assert differences(config, choices[name](config)).keys() == {path}


def test_choices(runs):
    folder, _ = runs["choices"].result()
    (study,) = json.loads((folder / "choices.json").read_text()).values()
    (kept, *_) = json.loads((RESULTS / "choices.json").read_text()).values()
    assert study.keys() == kept.keys()
    for figures in study.values():
        assert figures.keys() == kept["as chosen"].keys()
        assert 0 < figures["alive_share"][0] <= 1
    assert study["as chosen"] != study["short_batch"]


@pytest.mark.parametrize(("inverted", "share"), [(False, 0.5), (True, 1.0)])
def test_the_pixels_that_keep_a_unit_alive_are_scaled_as_when_a_network_is_evaluated(inverted, share):
    hidden = {"kernel": np.ones((1, 1, 2), np.float32), "bias": np.array([[-0.9, -0.7]], np.float32)}
    method = SimpleNamespace(network=SimpleNamespace(inverted_dropout=inverted), visible_dropout=0.2)
    result = SimpleNamespace(effective_config=lambda: SimpleNamespace(method=method))
    folder = SimpleNamespace(load_parameters=lambda: {"hidden": hidden}, load_result=lambda: result)
    assert module("choices").alive_share(folder, np.array([[0], [255]], np.uint8)) == [share]


# ------------------------------------------------------------------------------------------------------ faults.py


def test_faults(runs):
    folder, _ = runs["faults"].result()
    told = json.loads((folder / "faults.json").read_text())
    (trial,) = told["trials"]
    assert trial["equal"]
    assert trial["file"]
    assert (trial["statuses"][0], trial["statuses"][-1]) == (-9, 0)


# ------------------------------------------------------------------------------------------------- what is learned


def test_versus_sklearn(runs):
    folder, said = runs["versus_sklearn"].result()
    (case,) = json.loads((folder / "versus_sklearn.json").read_text()).values()
    kept = json.loads((RESULTS / "versus_sklearn.json").read_text())
    assert case.keys() == kept["wine, 4 labels a class"].keys()
    assert all(len(of["accuracy"]) == 2 and 0 <= min(of["accuracy"]) <= 1 for of in case.values())
    for contestant, of in case.items():
        assert re.search(rf"^\| {contestant} \| {100 * np.mean(of['accuracy']):.2f} \|", said, re.MULTILINE)


def test_own_arrays(runs):
    without, *_, sure = percentages(runs["own_arrays"].result().said)
    assert without > 50
    assert sure > 80


def test_minimal(runs):
    (accuracy,) = percentages(runs["minimal"].result().said)
    assert accuracy > 30


# ------------------------------------------------------------------------------------------------- kept results


def test_tables(runs):
    """The README has what is printed."""
    table = below("experiments/tables.py")
    assert table
    assert runs["tables"].result().said.splitlines()[: len(table)] == table


def test_the_readme_has_the_table_of_the_kept_comparison_with_sklearn():
    kept = json.loads((RESULTS / "versus_sklearn.json").read_text())
    printed = [line for line in module("versus_sklearn").summary(kept) if line]
    assert printed == below("experiments/versus_sklearn.py --tables")


@pytest.mark.parametrize("script", ["speed.py", "faults.py"])
def test_a_tiny_size_leaves_no_figures_among_the_kept_ones(script, tmp_path):
    with pytest.raises(AssertionError, match="give an --output"):
        run(EXPERIMENTS / script, tmp_path, "--tiny")
