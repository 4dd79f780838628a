"""What the metrics log writes and reports of a run, driven by hand with figures of two or three seeds."""

import io
import json
import math

import numpy as np
import pytest

from pljax.nn import schedules
from pljax.results.folder import RunFolder
from pljax.training.metrics import EVALUATIONS, MetricsLog, PhaseSchedule
from pljax.training.progress import Reporter
from pljax.types import AssignedLabels, Evaluation

IMAGES = 5


def schedule(epochs, rounds=1, updates=4, alpha=None):
    """How long a phase is, and alpha(t)."""
    weights = None if alpha is None else np.asarray(alpha(np.arange(epochs + 1)), np.float32)
    return PhaseSchedule(epochs, rounds, updates, weights)


def metrics(losses, finite=None):
    losses = np.asarray(losses, np.float32)
    return {"labelled_loss": losses, "finite": np.isfinite(losses) if finite is None else np.asarray(finite)}


def evaluation(validation, unlabelled=None, labels=None):
    seeds = len(validation)
    return Evaluation(
        {
            "validation_accuracy": np.asarray(validation, np.float32),
            "unlabelled_accuracy": np.asarray([0.5] * seeds if unlabelled is None else unlabelled, np.float32),
        },
        None if labels is None else np.asarray(labels, np.int32),
    )


class Bench:
    """A log with its folder, and what the reporter wrote."""

    def __init__(self, path, seeds):
        self.stream = io.StringIO()
        self.path = path
        self.reporter = Reporter(self.stream)
        self.log = MetricsLog(seeds, IMAGES, RunFolder(path).append_metrics, self.reporter)

    def __enter__(self):
        self.reporter.__enter__()
        return self.log

    def __exit__(self, *error):
        self.reporter.__exit__(*error)

    @property
    def lines(self):
        return [json.loads(line) for line in (self.path / "metrics.jsonl").read_text().splitlines()]

    @property
    def printed(self):
        return self.stream.getvalue().splitlines()


@pytest.fixture
def bench(tmp_path):
    return lambda *seeds: Bench(tmp_path, seeds)


# ---------------------------------------------------------------------------------------------- the lines


def test_every_epoch_of_every_seed_has_a_line(bench):
    two = bench(3, 8)
    with two as log:
        log.start_phase(1, "finetune 2", schedule(epochs=2, updates=4))
        log.record(0, metrics([0.5, 0.25]), evaluation=evaluation([0.75, 0.5]))
        log.record(1, metrics([0.125, 0.0]))
    where = {"phase": 1, "name": "finetune 2"}
    first, second = {"epoch": 0, "updates": 4}, {"epoch": 1, "updates": 8}
    known = {"unlabelled_accuracy": 0.5, "pseudo_labels_changed": None}
    unknown = {"validation_accuracy": None, "unlabelled_accuracy": None, "pseudo_labels_changed": None}
    assert two.lines == [
        {**where, **first, "seed": 3, "labelled_loss": 0.5, "validation_accuracy": 0.75, **known},
        {**where, **first, "seed": 8, "labelled_loss": 0.25, "validation_accuracy": 0.5, **known},
        {**where, **second, "seed": 3, "labelled_loss": 0.125, **unknown},
        {**where, **second, "seed": 8, "labelled_loss": 0.0, **unknown},
    ]


def test_an_epoch_of_several_rounds_has_one_line(bench):
    two = bench(0, 1)
    with two as log:
        log.start_phase(0, "pretrain", schedule(epochs=3, rounds=4, updates=30))
        for t in range(12):
            log.record(t, metrics([t, t]), evaluation=Evaluation({}))
    assert [(line["epoch"], line["seed"], line["updates"]) for line in two.lines] == [
        (epoch, seed, 120 * (epoch + 1)) for epoch in range(3) for seed in (0, 1)
    ]
    assert two.printed[-1].startswith("pretrain, seeds 0 to 1  epoch 3/3")


# ---------------------------------------------------------------------------------------------- divergence


def test_a_diverged_seed_is_reported_once_and_left_out_of_the_means(bench):
    three = bench(5, 6, 7)
    with three as log:
        log.start_phase(0, "finetune", schedule(epochs=4))
        log.record(0, metrics([0.5, 0.5, 0.5]), evaluation=evaluation([0.5, 0.5, 0.5]))
        log.record(1, metrics([0.25, math.nan, 0.75]), evaluation=evaluation([0.5, 0.125, 0.75]))
        log.record(2, metrics([0.25, math.nan, 0.25]))
        log.record(3, metrics([0.0, math.nan, 0.5]))
    assert log.diverged == {6: "finetune, epoch 1"}
    warnings = [line for line in three.printed if line.startswith("warning")]
    assert len(warnings) == 1
    assert "seed 6 diverged (finetune, epoch 1)" in warnings[0]
    shown = [line.partition("  loss ")[2][:6] for line in three.printed if "  loss " in line]
    assert shown == ["0.5000", "0.5000", "0.2500", "0.2500"]
    assert [line["labelled_loss"] for line in three.lines if line["seed"] == 6] == [0.5, None, None, None]
    assert three.lines[4]["seed"] == 6
    assert {three.lines[4][name] for name in ("labelled_loss", "validation_accuracy", "unlabelled_accuracy")} == {None}
    assert three.lines[5]["validation_accuracy"] == 0.75  # its neighbour keeps its figures
    assert "validation 62.5%" in three.printed[-1]


def test_weights_that_are_not_finite_are_a_divergence_under_a_finite_loss(bench):
    two = bench(0, 1)
    with two as log:
        log.start_phase(0, "pretrain", schedule(epochs=2, rounds=3))
        for t in range(6):
            log.record(t, metrics([1.0, 1.0], finite=[t < 4, True]))
    assert log.diverged == {0: "pretrain, epoch 1"}


def test_where_all_seeds_diverge_no_loss_is_shown(bench):
    two = bench(0, 1)
    with two as log:
        log.start_phase(0, "finetune", schedule(epochs=1))
        log.record(0, metrics([math.nan, math.inf]), evaluation=evaluation([0.1, 0.1]))
    assert log.diverged.keys() == {0, 1}
    assert "loss" not in two.printed[-1]
    assert "nan" not in two.printed[-1]


# ------------------------------------------------------------------------------------------ pseudo-labels


def test_pseudo_labels_changed_is_the_share_since_the_evaluation_before(bench):
    two = bench(0, 1)
    with two as log:
        log.start_phase(0, "finetune", schedule(epochs=4, alpha=schedules.alpha(3.0, 0, 2)))
        log.record(0, metrics([1, 1]), evaluation=evaluation([0.5, 0.5], labels=[[0, 1, 2, 3], [0, 0, 0, 0]]))
        log.record(1, metrics([1, 1]))
        log.record(2, metrics([1, 1]), evaluation=evaluation([0.5, 0.5], labels=[[0, 1, 2, 0], [1, 1, 1, 1]]))
        log.record(3, metrics([1, 1]), evaluation=evaluation([0.5, 0.5], labels=[[0, 1, 2, 0], [1, 1, 0, 0]]))
    changed = [line["pseudo_labels_changed"] for line in two.lines]
    assert changed == [None, None, None, None, 0.25, 1.0, 0.0, 0.5]


def test_a_label_that_is_new_or_gone_has_not_changed(bench):
    """The share is of the images with a label in both evaluations, and NaN if there are none."""
    two = bench(0, 1)
    with two as log:
        log.start_phase(0, "finetune", schedule(epochs=2, alpha=schedules.alpha(3.0, 0, 2)))
        log.record(0, metrics([1, 1]), evaluation=evaluation([0.5, 0.5], labels=[[0, 1, -1, 3], [0, -1, -1, -1]]))
        log.record(1, metrics([1, 1]), evaluation=evaluation([0.5, 0.5], labels=[[0, 2, 2, -1], [-1, 1, 1, 1]]))
    assert [line["pseudo_labels_changed"] for line in two.lines] == [None, None, 0.5, None]


def test_coverage_is_shown_and_that_of_the_last_evaluation_is_kept(bench):
    two = bench(0, 1)
    with two as log:
        log.start_phase(0, "finetune", schedule(epochs=3, alpha=schedules.alpha(3.0, 0, 2)))
        assert np.isnan(log.coverage()).all()
        for t, shares in enumerate(([0.25, 0.5], [0.5, 0.75])):
            found = evaluation([0.5, 0.5], labels=[[0], [0]])
            found.metrics["pseudo_label_coverage"] = np.asarray(shares, np.float32)
            log.record(t, metrics([1, 1]), evaluation=found)
        log.record(2, metrics([1, 1]))
        assert log.coverage().tolist() == [0.5, 0.75]
        log.start_phase(1, "finetune 2", schedule(epochs=1))
        assert np.isnan(log.coverage()).all()
    assert "coverage 62.5%" in two.printed[-1]
    assert [line["pseudo_label_coverage"] for line in two.lines] == [0.25, 0.5, 0.5, 0.75, None, None]


def test_a_phase_is_not_compared_with_the_one_before_it(bench):
    one = bench(0)
    with one as log:
        for number in range(2):
            log.start_phase(number, "finetune", schedule(epochs=1, alpha=schedules.alpha(3.0, 0, 2)))
            log.record(0, metrics([1]), evaluation=evaluation([0.5], labels=[[number, number]]))
    assert [line["pseudo_labels_changed"] for line in one.lines] == [None, None]


ALPHA = schedules.alpha(3.0, 2, 4)  # 0 at epochs 0, 1 and 2


def evaluate_every_epoch(log, validation, unlabelled):
    log.start_phase(0, "finetune", schedule(epochs=6, alpha=ALPHA))
    for t in range(6):
        found = evaluation([validation[t]] * 2, [unlabelled[t]] * 2, labels=[[0], [0]])
        log.record(t, metrics([1, 1]), evaluation=found)


ACCURACIES = [0.125, 0.25, 0.375, 0.5, 0.625, 0.75]


@pytest.mark.parametrize("validated", [True, False])
def test_before_and_after_are_of_the_validation_images_or_of_hidden_labels_where_there_are_none(bench, validated):
    course = (ACCURACIES, [0.0] * 6) if validated else ([math.nan] * 6, ACCURACIES)
    with bench(0, 1) as log:
        evaluate_every_epoch(log, *course)
    assert log.before.tolist() == [0.375, 0.375]
    assert log.after.tolist() == [0.75, 0.75]


def test_without_pseudo_labels_there_is_no_before_and_after(bench):
    with bench(0, 1) as log:
        log.start_phase(0, "finetune", schedule(epochs=1))
        log.record(0, metrics([1, 1]), evaluation=evaluation([0.5, 0.5]))
    assert np.isnan([*log.before, *log.after]).all()


def test_there_is_no_before_where_unlabelled_images_are_used_without_alpha(bench):
    with bench(0) as log:
        always = schedule(epochs=2, alpha=schedules.alpha(1.0, 0, 1))._replace(weight_covers_all=False)
        log.start_phase(0, "finetune", always)
        for t, accuracy in enumerate([0.5, 0.75]):
            log.record(t, metrics([1]), evaluation=evaluation([accuracy]))
    assert np.isnan(log.before).all()
    assert log.after.tolist() == [0.75]


def test_before_and_after_are_of_the_phase_with_pseudo_labels(bench):
    with bench(0) as log:
        log.start_phase(0, "finetune", schedule(epochs=1))
        log.record(0, metrics([1]), evaluation=evaluation([0.125]))
        log.start_phase(1, "finetune 2", schedule(epochs=3, alpha=schedules.alpha(1.0, 0, 2)))
        for t, accuracy in enumerate([0.5, 0.625, 0.75]):
            log.record(t, metrics([1]), evaluation=evaluation([accuracy], labels=[[0]]))
    assert (log.before.tolist(), log.after.tolist()) == ([0.5], [0.75])


# -------------------------------------------------------------------------------------- labels of images


def assigned(rows, labels):
    return AssignedLabels(np.asarray(rows, np.int32), np.asarray(labels, np.int32))


def test_the_history_of_pseudo_labels_is_saved_and_restored(bench):
    two = bench(0, 1)
    with two as log:
        log.start_phase(0, "finetune", schedule(epochs=4))
        log.record(0, metrics([1, 1]), assigned([[0, 1, 4], [1, 2, 3]], [[2, 0, 1], [0, -1, 3]]))
        log.record(1, metrics([1, 1]))
        log.record(2, metrics([1, 1]), assigned([[0, 1, 4], [1, 2, 3]], [[2, 1, -1], [3, 1, 3]]))
        arrays, facts = log.state()
        json.dumps(facts, allow_nan=False)
        other = MetricsLog([0, 1], IMAGES, [].extend, two.reporter)
        other.restore({name: array.copy() for name, array in arrays.items()}, facts)
        for each in (log, other):
            each.start_phase(0, "finetune", schedule(epochs=4), done=3)
            each.record(3, metrics([1, 1]), assigned([[4], [1]], [[0], [0]]))
    for each in (log, other):
        assert each.labels.last.tolist() == [[2, 1, -1, -1, 0], [-1, 0, 1, 3, -1]]
        assert each.labels.first_change.tolist() == [[-1, 2, -1, -1, 3], [-1, 2, -1, -1, -1]]
        assert each.labels.last_change.tolist() == [[-1, 2, -1, -1, 3], [-1, 3, -1, -1, -1]]


def test_a_restored_log_has_the_state_that_was_saved(bench):
    two = bench(0, 1)
    with two as log:
        log.start_phase(0, "finetune", schedule(epochs=2, alpha=ALPHA))
        given = assigned([[0, 1], [1, 2]], [[2, 0], [0, 1]])
        log.record(0, metrics([1, math.nan]), given, evaluation([0.5, 0.25], labels=[[0], [1]]))
        arrays, facts = log.state()
        other = MetricsLog([0, 1], IMAGES, [].extend, two.reporter)
        other.restore(arrays, facts)
    again, facts_again = other.state()
    assert facts_again == facts == {"diverged": {"1": "finetune, epoch 0"}}
    assert again.keys() == arrays.keys() >= {"labels/last", "labels/first_change", "labels/last_change"}
    for name, array in arrays.items():
        np.testing.assert_array_equal(again[name], array)


def test_labels_change_in_an_epoch_however_many_rounds_it_has(bench):
    with bench(0) as log:
        log.start_phase(0, "finetune", schedule(epochs=3, rounds=4))
        for t in range(12):
            log.record(t, metrics([1]), assigned([[3]], [[int(t >= 6)]]))
    assert log.labels.first_change.tolist() == [[-1, -1, -1, 1, -1]]


# ------------------------------------------------------------------------------- when it asks for an evaluation


def evaluated(bench, phase):
    with bench(0) as log:
        log.start_phase(0, "finetune", phase)
        return [t for t in range(phase.epochs * phase.rounds) if log.needs_evaluation(t)]


def test_the_first_and_the_last_round_are_evaluated_and_some_fifty_between(bench):
    for epochs, rounds in ((1, 1), (7, 1), (300, 1), (1003, 1), (5, 9)):
        chosen, total = evaluated(bench, schedule(epochs, rounds)), epochs * rounds
        assert (chosen[0], chosen[-1]) == (0, total - 1)
        assert min(total, EVALUATIONS) <= len(chosen) <= 2 * EVALUATIONS + 1


def test_the_last_epoch_before_alpha_rises_is_evaluated(bench):
    for t1, t2 in ((0, 5), (77, 78), (101, 900), (999, 1000)):
        alpha = schedules.alpha(3.0, t1, t2)
        assert float(alpha(t1)) == 0 < float(alpha(t1 + 1))
        assert set(evaluated(bench, schedule(1000, alpha=alpha))) == {*range(0, 1000, 20), t1, 999}
    for never in (schedules.alpha(0.0, 101, 900), schedules.alpha(3.0, 5000, 9000)):
        assert evaluated(bench, schedule(1000, alpha=never)) == evaluated(bench, schedule(1000))
