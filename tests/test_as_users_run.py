"""What users run: processes without the tests' settings, on one device, with programs that XLA optimises as usual."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

SCENARIOS = ("nn", "drop_nn", "pl", "pl_dae")
T1 = 5
RUN = (
    *("-m", "pljax.main", "--dataset=mnist_5k", "--seeds=2", "--hidden=32", "--checkpoint_every=1epochs"),
    *("--epochs=20", f"--t1={T1}", "--t2=10", "--pretrain_epochs=1"),
)
DIGITS = """
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from pljax import PseudoLabelClassifier

X, y = load_digits(return_X_y=True)
few, hidden = np.where(np.arange(len(y)) < 100, y, -1), np.arange(len(y)) >= 100
for classifier in (
    PseudoLabelClassifier(hidden=100, epochs=100, random_state=0).fit(X, few),
    PseudoLabelClassifier("drop_nn", hidden=100, epochs=100, random_state=0).fit(X, few),
    LogisticRegression(max_iter=5000).fit(X[~hidden], y[~hidden]),
):
    print(classifier.score(X[hidden], y[hidden]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of a user: none that the tests set, and an empty cache folder."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_", "PYTEST_"))}
    return {**own, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


def start(environment, *arguments):
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def folder_of(workdir, scenario):
    return next(workdir.glob(f"quick-{scenario}-mnist_5k-*"))


def metrics_of(workdir, scenario):
    return [json.loads(line) for line in (folder_of(workdir, scenario) / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def all_scenarios(environment, tmp_path_factory):
    """The folder and the output of one command that runs every scenario."""
    workdir = tmp_path_factory.mktemp("runs")
    return workdir, finish(start(environment, *RUN, "--scenario=all", f"--workdir={workdir}"))


def test_one_command_trains_every_scenario_and_reports_them(all_scenarios):
    workdir, printed = all_scenarios
    for scenario in SCENARIOS:
        result = json.loads((folder_of(workdir, scenario) / "result.json").read_text())
        assert (result["device"]["platform"], result["device"]["count"]) == ("cpu", 1)
        assert result["diverged"] == {}
        assert min(result["test_accuracy"]) > 0.3  # by chance: 0.1
        assert f"{100 * sum(result['test_accuracy']) / 2:.2f}" in printed
    assert [path.suffix for path in (workdir / "report").glob("*.html")] or list(workdir.glob("*/report.html"))


def test_scenarios_are_the_same_to_the_bit_until_alpha_rises(all_scenarios):
    workdir, _ = all_scenarios
    without, with_labels = (
        [(line["epoch"], line["seed"], line["labelled_loss"], line["validation_accuracy"]) for line in lines]
        for lines in (metrics_of(workdir, scenario) for scenario in ("drop_nn", "pl"))
    )
    common = [line for line in without if line[0] <= T1]
    assert len(common) == 2 * (T1 + 1)
    assert [line for line in with_labels if line[0] <= T1] == common
    assert with_labels[len(common) :] != without[len(common) :]


def test_a_run_that_is_ended_by_a_signal_is_resumed_to_the_same_bytes(environment, all_scenarios, tmp_path):
    command = (*RUN, "--scenario=pl_dae", f"--workdir={tmp_path}")
    process = start(environment, *command)
    while process.poll() is None and not list(tmp_path.glob("*/checkpoints/group0/[0-9]*/told")):
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=300)
    assert process.returncode == 128 + signal.SIGTERM, err
    assert not (folder_of(tmp_path, "pl_dae") / "result.json").exists()
    finish(start(environment, *command))
    resumed, uninterrupted = (folder_of(workdir, "pl_dae") for workdir in (tmp_path, all_scenarios[0]))
    names = sorted(path.name for path in uninterrupted.iterdir() if path.is_file())
    assert sorted(path.name for path in resumed.iterdir() if path.is_file()) == names
    assert {"parameters.npz", "autoencoder.npz", "metrics.jsonl", "pseudo_labels.csv", "split.npz"} < set(names)
    for name in names:
        if name == "result.json":
            ours, theirs = (json.loads((folder / name).read_text()) for folder in (resumed, uninterrupted))
            assert {**ours, "seconds": None} == {**theirs, "seconds": None}
        else:
            assert (resumed / name).read_bytes() == (uninterrupted / name).read_bytes(), name


def test_pseudo_labels_are_better_than_a_guess(all_scenarios):
    """Each of the nearly 4,000 images without a label has one, most of them the right one."""
    workdir, _ = all_scenarios
    folder = folder_of(workdir, "pl_dae")
    with (folder / "pseudo_labels.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    result = json.loads((folder / "result.json").read_text())
    assert len(rows) > 2000
    assert min(result["pseudo_label_accuracy"]) > 0.3


def test_the_classifier_is_better_on_digits_with_unlabelled_rows_than_without(environment):
    """Than the same network without them, and than logistic regression of the labelled rows."""
    with_them, without, logistic = map(float, finish(start(environment, "-c", DIGITS)).split())
    assert with_them > max(without, logistic) > 0.8
