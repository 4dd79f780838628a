"""What users run: processes without the tests' settings, on one device, with programs that XLA optimises as usual."""

import csv
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
from sklearn.datasets import load_digits

SCENARIOS = ("nn", "drop_nn", "pl", "pl_dae")
T1 = 5
DIGITS = """
import numpy as np
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression
from pljax import PseudoLabelClassifier

X, y = load_digits(return_X_y=True)
few, hidden = np.where(np.arange(len(y)) < 100, y, -1), np.arange(len(y)) >= 100
network = {"hidden": 64, "epochs": 60, "random_state": 0}
for classifier in (
    PseudoLabelClassifier(**network).fit(X, few),
    PseudoLabelClassifier(**network, alpha_f=0.0).fit(X, few),
    LogisticRegression(max_iter=5000).fit(X[~hidden], y[~hidden]),
):
    print(classifier.score(X[hidden], y[hidden]))
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """The variables of a user: none that the tests set, and an empty cache folder."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("JAX_", "XLA_", "PYTEST_"))}
    return {**own, "JAX_PLATFORMS": "cpu", "XDG_CACHE_HOME": str(tmp_path_factory.mktemp("cache"))}


@pytest.fixture(scope="module")
def command(tmp_path_factory):
    """What trains on 1,597 digits, a hundred of them labelled, and tests on 200 others."""
    place, (X, y) = tmp_path_factory.mktemp("data"), load_digits(return_X_y=True)
    few = np.where(np.arange(len(y)) < 100, y, -1)
    np.savez(place / "digits.npz", x=X[:-200], y=few[:-200])
    np.savez(place / "test.npz", x=X[-200:], y=y[-200:])
    return (
        *("-m", "pljax.main", f"--dataset={place / 'digits.npz'}", f"--test={place / 'test.npz'}", "--seeds=2"),
        *("--hidden=32", "--epochs=20", f"--t1={T1}", "--t2=10"),
    )


def start(environment, *arguments):
    return subprocess.Popen(
        [sys.executable, *arguments], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, err
    return out


def folder_of(workdir, scenario):
    return next(workdir.glob(f"adaptive-{scenario}-digits-*"))


def metrics_of(workdir, scenario):
    return [json.loads(line) for line in (folder_of(workdir, scenario) / "metrics.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def all_scenarios(environment, command, tmp_path_factory):
    """The folder and the output of one command that runs every scenario."""
    workdir = tmp_path_factory.mktemp("runs")
    return workdir, finish(start(environment, *command, "--scenario=all", f"--workdir={workdir}"))


def test_one_command_trains_every_scenario_and_reports_them(all_scenarios):
    workdir, printed = all_scenarios
    for scenario in SCENARIOS:
        result = json.loads((folder_of(workdir, scenario) / "result.json").read_text())
        assert (result["device"]["platform"], result["device"]["count"]) == ("cpu", 1)
        assert result["diverged"] == {}
        assert min(result["test_accuracy"]) > 0.6  # by chance: 0.1
        assert f"{100 * sum(result['test_accuracy']) / 2:.2f}" in printed
    (report,) = workdir.glob("*/report.html")
    assert f"report: {report}" in printed


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


@pytest.mark.slow
def test_a_run_that_is_ended_by_a_signal_is_resumed_to_the_same_bytes(environment, command, all_scenarios, tmp_path):
    command = (*command, "--scenario=pl_dae", "--checkpoint_every=1epochs", f"--workdir={tmp_path}")
    process = start(environment, *command)
    while process.poll() is None and not any(path.name.isdecimal() for path in tmp_path.glob("*/checkpoints/*/*")):
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


def test_every_row_without_a_label_has_a_pseudo_label_most_of_them_the_right_one(all_scenarios):
    folder, (_, y) = folder_of(all_scenarios[0], "pl_dae"), load_digits(return_X_y=True)
    with (folder / "pseudo_labels.csv").open(newline="") as file:
        labels = {int(row["index"]): int(row["label"]) for row in csv.DictReader(file)}
    assert list(labels) == list(range(100, 1597))
    assert np.mean([label == y[row] for row, label in labels.items()]) > 0.6


@pytest.mark.slow
def test_the_classifier_is_better_on_digits_with_unlabelled_rows_than_without(environment):
    """Than the same network without pseudo-labels, and than logistic regression of the labelled rows."""
    with_them, without, logistic = map(float, finish(start(environment, "-c", DIGITS)).split())
    assert with_them > max(without, logistic) > 0.8
