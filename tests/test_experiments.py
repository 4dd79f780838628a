"""Every script of ``experiments`` runs at a tiny size, and leaves the kept results alone."""

import contextlib
import hashlib
import importlib.util
import io
import json
import os
import re
import runpy
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from matplotlib.image import imread

from pljax import SCENARIOS
from pljax.settings import differences

REPOSITORY = Path(__file__).resolve().parent.parent
EXPERIMENTS = REPOSITORY / "experiments"
RESULTS = EXPERIMENTS / "results"


def run(name, *options, folder=EXPERIMENTS):
    """Run a script in this process, on one device, and return what it prints."""
    printed, one_device = io.StringIO(), jax.local_devices()[:1]
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(printed):
        patch.setattr(sys, "argv", [name, *options])
        patch.setattr(jax, "local_devices", lambda: one_device)
        patch.syspath_prepend(EXPERIMENTS)  # speed.py imports peers.py
        with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
            runpy.run_path(str(folder / name), run_name="__main__")
    return printed.getvalue()


def run_as_process(name, folder, *options):
    """Run a script that starts processes as one, on one device, with programs compiled well enough for a test."""
    environment = {
        **{name: value for name, value in os.environ.items() if name != "JAX_ENABLE_COMPILATION_CACHE"},
        "XLA_FLAGS": os.environ["XLA_FLAGS"].replace("--xla_force_host_platform_device_count=2", ""),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }
    command = [sys.executable, EXPERIMENTS / name, *options]
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=300)
    assert process.returncode == 0, process.stdout + process.stderr


def module(name):
    """A script as a module, in this process."""
    spec = importlib.util.spec_from_file_location(name, EXPERIMENTS / f"{name}.py")
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    return script


def percentages(text):
    return [float(number) for number in re.findall(r"([\d.]+)%", text)]


def below(marker, folder=REPOSITORY):
    """The table below a marker in the folder's README, line by line."""
    _, _, rest = (folder / "README.md").read_text().partition(f"<!-- {marker} -->\n")
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


# ----------------------------------------------------------------------------------------------------- methods.py


@pytest.mark.slow
def test_methods_goes_on_where_it_was_interrupted(tmp_path):
    options = ("--tiny", f"--output={tmp_path}", "--times=60", "--only=nn,pl_dae")
    text = run("methods.py", *options)
    file = tmp_path / "methods.json"
    whole = json.loads(file.read_text())
    of_seeds = {case: of["seeds"] for case, of in whole.items()}
    assert {case: list(of) for case, of in of_seeds.items()} == {"nn, 60 s": ["0", "1"], "pl_dae, 60 s": ["0", "1"]}
    accuracy, difference, _ = [line for line in text.splitlines() if line.startswith("| `nn`")]
    nn, pl_dae = (np.array([100 * of["test_accuracy"] for of in seeds.values()]) for seeds in of_seeds.values())
    assert f"**{nn.mean():.2f}** " in accuracy
    assert f" {(nn - pl_dae).mean():+.2f} (" in difference
    assert imread(tmp_path / "methods.png").std() > 0

    file.write_text(json.dumps({case: {**of, "seeds": {"0": of["seeds"]["0"]}} for case, of in whole.items()}))
    run("methods.py", *options)
    again = json.loads(file.read_text())
    for case, seeds in of_seeds.items():
        for seed, figures in seeds.items():
            assert {**figures, "seconds": None} == {**again[case]["seeds"][seed], "seconds": None}

    whole["nn, 60 s"]["config"]["labels"] = 50
    file.write_text(json.dumps(whole))
    with pytest.raises(SystemExit, match="another config"):
        run("methods.py", *options)


# ------------------------------------------------------------------------------------------------------- speed.py


@pytest.mark.slow
def test_speed_measures_every_part(tmp_path):
    run_as_process("speed.py", tmp_path, "--tiny", "--output=.")
    measured = json.loads((tmp_path / "speed.json").read_text())
    figures = {part: measured[part]["figures"] for part in ("updates", "ladder", "start", "checkpoints", "growth")}
    assert figures.keys() == measured.keys()

    for network in ("classifier", "autoencoder"):
        of_network = {name: entry for name, entry in figures["updates"].items() if name.startswith(network)}
        floor, five = (of_network[f"{network}/{name}"]["ms"] for name in ("floor", "pljax/5"))
        for entry in of_network.values():
            assert entry["of_floor"] == round(entry["ms"] / floor, 3)
            assert entry["of_pljax_5"] == round(entry["ms"] / five, 3)
            assert entry["fastest_ms"] <= entry["ms"] <= entry["slowest_ms"]
    assert all(entry["ms"] > 0 and entry["MiB"] > 0 for entry in figures["growth"].values())
    assert 0 < figures["checkpoints"]["training_waits_s"] <= figures["checkpoints"]["on_disk_after_s"]
    assert figures["start"]["first"] > 0
    assert imread(tmp_path / "speed.png").std() > 0


@pytest.mark.slow
@pytest.mark.parametrize("network", ["classifier", "autoencoder"])
@pytest.mark.parametrize("library", ["torch", "keras"])
@pytest.mark.filterwarnings("ignore:.torch.jit:DeprecationWarning")
def test_every_peer_that_is_installed_makes_an_update(library, network, monkeypatch):
    pytest.importorskip(library)
    monkeypatch.syspath_prepend(EXPERIMENTS)
    peers = module("peers")
    images, labels = np.full((200, 12), 99, np.uint8), np.arange(200) % 10
    of_network = peers.CLASSIFIERS if network == "classifier" else peers.AUTOENCODERS
    for name, make in of_network.items():
        if name.startswith(library):
            peer = make(images, labels, hidden=8) if network == "classifier" else make(images, hidden=8, batch=16)
            peer()


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


def test_choices_compares_a_scenario_with_one_choice_changed(tmp_path, capsys):
    of_run = ("--choice=short_batch", "--scenario=nn", "--dataset=mnist_5k", f"--output={tmp_path}")
    of_run += ("--epochs=22", "--hidden=16")
    run("choices.py", *of_run, "--seeds=1")
    (study,) = json.loads((tmp_path / "choices.json").read_text()).values()
    (kept, *_) = json.loads((RESULTS / "choices.json").read_text()).values()
    assert study.keys() == kept.keys()
    for figures in study.values():
        assert figures.keys() == kept["as chosen"].keys()
        assert 0 < figures["alive_share"][0] <= 1
    assert study["as chosen"] != study["short_batch"]
    run("choices.py", *of_run, "--seeds=1", "--first_seed=1")
    (longer,) = json.loads((tmp_path / "choices.json").read_text()).values()
    for variant, figures in longer.items():
        assert {figure: values[:1] for figure, values in figures.items()} == study[variant]
        assert {len(values) for values in figures.values()} == {2}
    run("choices.py", *of_run, "--seeds=2")
    assert json.loads((tmp_path / "choices.json").read_text()).popitem()[1] == longer
    with pytest.raises(SystemExit):
        run("choices.py", *of_run, "--first_seed=5")
    assert "has 2 seeds of quick nn, short_batch, mnist_5k" in capsys.readouterr().err


@pytest.mark.parametrize(("inverted", "share"), [(False, 0.5), (True, 1.0)])
def test_the_pixels_that_keep_a_unit_alive_are_scaled_as_when_a_network_is_evaluated(inverted, share):
    hidden = {"kernel": np.ones((1, 1, 2), np.float32), "bias": np.array([[-0.9, -0.7]], np.float32)}
    method = SimpleNamespace(network=SimpleNamespace(inverted_dropout=inverted), visible_dropout=0.2)
    result = SimpleNamespace(effective_config=lambda: SimpleNamespace(method=method))
    folder = SimpleNamespace(load_parameters=lambda: {"hidden": hidden}, load_result=lambda: result)
    assert module("choices").alive_share(folder, np.array([[0], [255]], np.uint8)) == [share]


# ---------------------------------------------------------------------------------------------------- rounding.py


@pytest.fixture(scope="module")
def rounding():
    """The script as a module, once: it registers a method."""
    return module("rounding")


def test_the_variance_within_seeds_and_between_them_is_found(rounding):
    """Against a hand-made case, and against a simulation with known standard deviations."""
    by_hand = rounding.spread(np.array([[1.0, 3.0], [5.0, 7.0]]))
    assert by_hand.within == pytest.approx(2**0.5)  # the mean squares are 2 and 16; (16 - 2) / 2 is 7
    assert by_hand.between == pytest.approx(7**0.5)
    assert (by_hand.median, by_hand.most) == (2, 2)
    generator = np.random.default_rng(0)
    found = rounding.spread(generator.normal(0, 3, (20_000, 1)) + generator.normal(0, 2, (20_000, 2)))
    assert found.within == pytest.approx(2, rel=0.02)
    assert found.between == pytest.approx(3, rel=0.02)
    intervals = [rounding.spread(generator.normal(0, 2, (8, 2))) for _ in range(2000)]
    assert np.mean([of.low < 2 < of.high for of in intervals]) == pytest.approx(0.95, abs=0.02)


def test_a_class_is_lost_from_the_epoch_on_in_which_it_has_almost_no_pseudo_labels(rounding):
    even, without = [0.1] * 10, [0.01, *[0.11] * 9]
    less = [0.04, *[0.11] * 9]
    lost = rounding.lost_classes
    assert lost({"shares": {"30": even, "40": even}}) == []
    assert lost({"shares": {"30": even, "40": without, "50": even, "60": less, "70": without}}) == [(0, 60, 0.04, 0.01)]
    assert lost({"shares": {"30": without, "40": without}}) == [(0, 30, 0.01, 0.01)]
    assert lost({"shares": {}}) == []


def test_two_arms_are_equal_until_their_first_difference(rounding):
    one, other = ({"validation_accuracy": {"0": 0.1, "6": 0.2, "12": at_12, "18": 0.3}} for at_12 in (0.2, 0.25))
    assert rounding.equal_until(one, other) == 6
    assert rounding.equal_until(one, one) == 18
    assert rounding.equal_until({"validation_accuracy": {"0": 0.1}}, {"validation_accuracy": {"0": 0.2}}) == 0


@pytest.mark.slow
def test_rounding_changes_nothing_but_the_last_bit_and_goes_on_where_it_was_interrupted(rounding, tmp_path):
    options = ("--tiny", "--protocol=quick", "--seeds=1", "--cores=0", f"--output={tmp_path}")
    run_as_process("rounding.py", tmp_path, *options)
    run_as_process("rounding.py", tmp_path, *options, "--last_bit=1")
    file = tmp_path / "rounding.jsonl"
    (case,) = rounding.read(file).values()
    first, second = (arm[0] for arm in case.values())
    assert list(case) == ["1 core", "1 core, last bit"]
    assert first["validation_accuracy"].keys() == second["validation_accuracy"].keys()
    assert np.allclose(np.sum(list(first["shares"].values()), axis=1), 1, atol=0.01)
    before = file.read_bytes()
    run_as_process("rounding.py", tmp_path, *options)
    assert file.read_bytes() == before


# ------------------------------------------------------------------------------------------------------ faults.py


@pytest.mark.slow
def test_a_run_with_a_flipped_byte_ends_as_one_without_faults(tmp_path):
    run_as_process("faults.py", tmp_path, "--tiny", "--output=.", "--kills=0", "--terms=0", "--flips=1")
    (trial,) = json.loads((tmp_path / "faults.json").read_text())["trials"]
    assert trial["equal"]
    assert trial["file"]
    assert (trial["statuses"][0], trial["statuses"][-1]) == (-9, 0)


# ------------------------------------------------------------------------------------------------- what is learned


@pytest.mark.slow
def test_versus_sklearn_prints_the_accuracy_of_every_contestant(tmp_path):
    printed = run("versus_sklearn.py", "--tiny", f"--output={tmp_path}")
    (case,) = json.loads((tmp_path / "versus_sklearn.json").read_text()).values()
    kept = json.loads((RESULTS / "versus_sklearn.json").read_text())
    assert case.keys() == kept["wine, 4 labels a class"].keys()
    assert all(len(of["accuracy"]) == 2 and 0 <= min(of["accuracy"]) <= 1 for of in case.values())
    for contestant, of in case.items():
        assert re.search(rf"^\| {contestant} \| {100 * np.mean(of['accuracy']):.2f} \|", printed, re.MULTILINE)


@pytest.mark.slow
def test_own_arrays_prints_accuracies_above_chance():
    without, *_, sure = percentages(run("own_arrays.py", "--epochs=5"))
    assert without > 50
    assert sure > 80


def test_minimal_prints_an_accuracy_above_chance(tmp_path):
    """It has no flags: its one line of sizes is replaced."""
    script, sizes = (EXPERIMENTS / "minimal.py").read_text(), "SEEDS, EPOCHS, LABELS = 3, 150, 100\n"
    assert sizes in script
    (tmp_path / "minimal.py").write_text(script.replace(sizes, "SEEDS, EPOCHS, LABELS = 1, 3, 100\n"))
    (accuracy,) = percentages(run("minimal.py", folder=tmp_path))
    assert accuracy > 30


@pytest.mark.slow
def test_harmless_prints_the_differences_to_the_supervised_baseline(tmp_path):
    printed = run("harmless.py", "--tiny", f"--output={tmp_path}")
    kept = json.loads((tmp_path / "harmless.json").read_text())
    assert list(kept) == ["wine, even", "wine, random"]
    for case in kept.values():
        for of_seed in case.values():
            assert of_seed["pljax"] == (of_seed["baseline"] if of_seed["guarded"] else of_seed["unguarded"])
    mean = np.mean([of["baseline"] for of in kept["wine, even"].values()])
    assert f"| wine, even | {100 * mean:.2f} |" in printed


# ------------------------------------------------------------------------------------------------- kept results


def test_the_readmes_have_the_tables_that_are_printed_of_the_kept_results(tmp_path):
    by_labels, by_protocol, entropy, minutes, *_ = run("tables.py", f"--output={tmp_path}").split("\n\n")
    assert by_labels.splitlines() == below("experiments/tables.py")
    assert by_protocol.splitlines() == below("experiments/tables.py, by protocol")
    assert entropy.splitlines() == below("experiments/tables.py, entropy", EXPERIMENTS)
    assert minutes.splitlines() == below("experiments/tables.py, minutes", EXPERIMENTS)
    for picture in ("labels.png", "scores.png"):
        assert imread(tmp_path / picture).std() > 0


def test_the_readmes_have_the_tables_of_the_kept_comparison_of_methods():
    methods, kept = module("methods"), json.loads((RESULTS / "methods.json").read_text())
    assert methods.table(kept, methods.accuracy_cell) == below("experiments/methods.py")
    assert methods.table(kept, methods.difference_cell) == below("experiments/methods.py --tables", EXPERIMENTS)
    seconds = below("experiments/methods.py --tables, seconds", EXPERIMENTS)
    assert methods.table(kept, methods.seconds_cell) == seconds


def test_the_readme_has_the_table_of_the_kept_studies_of_choices():
    kept = json.loads((RESULTS / "choices.json").read_text())
    assert list(module("choices").table(kept)) == below("experiments/choices.py --tables", EXPERIMENTS)


def test_the_readme_has_the_table_of_the_kept_study_of_rounding(rounding):
    (printed, _) = "\n".join(rounding.tables(rounding.read(RESULTS / "rounding.jsonl"))).split("\n\n", 1)
    assert printed.splitlines() == below("experiments/rounding.py --tables", EXPERIMENTS)


def test_the_readme_has_the_tables_of_the_kept_comparison_of_devices():
    differences, seconds, _ = run("devices.py").split("\n\n")
    assert differences.splitlines() == below("experiments/devices.py, differences", EXPERIMENTS)
    assert seconds.splitlines() == below("experiments/devices.py, seconds", EXPERIMENTS)


def test_the_readme_has_the_table_of_the_kept_comparison_with_sklearn():
    kept = json.loads((RESULTS / "versus_sklearn.json").read_text())
    script, marker = module("versus_sklearn"), "experiments/versus_sklearn.py --tables"
    assert [line for line in script.summary(kept) if line] == below(marker, EXPERIMENTS)
    assert [line for line in script.beside_later(kept) if line] == below(f"{marker}, later methods", EXPERIMENTS)


def test_the_readme_has_the_table_of_the_kept_comparison_with_the_baseline():
    kept = json.loads((RESULTS / "harmless.json").read_text())
    printed = list(module("harmless").table(kept))
    assert printed == below("experiments/harmless.py --tables", EXPERIMENTS)


def test_a_tiny_size_leaves_no_figures_among_the_kept_ones(capsys):
    for script in ("speed.py", "faults.py", "versus_sklearn.py", "harmless.py", "methods.py"):
        with pytest.raises(SystemExit):
            run(script, "--tiny")
        assert "give an --output" in capsys.readouterr().err
