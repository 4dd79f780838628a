"""The block before training and the table after it, from results made by hand."""

import dataclasses
import re

import numpy as np
import pytest

from pljax.config import override, to_json
from pljax.protocols import MNIST_DIGEST, SCENARIOS
from pljax.report import WIDTH, accuracy_table, fallen, introduction
from pljax.result import Result
from pljax.types import Dataset, InputError

MNIST = {"name": "mnist", "digest": MNIST_DIGEST, "train": 60_000, "test": 10_000}


def make_result(config, accuracies, dataset=MNIST, diverged=None, before=None, after=None, measured_on="validation"):
    """A result of seeds 0, 1, ... with the given accuracies (fractions)."""
    seeds = len(accuracies)
    return Result(
        scenario=config.scenario,
        protocol=config.protocol,
        dataset=dataset,
        seeds=list(range(seeds)),
        test_accuracy=list(accuracies),
        test_error=[None if accuracy is None else 1 - accuracy for accuracy in accuracies],
        diverged=diverged or {},
        class_counts={"labelled": [10] * 10, "test": [1000] * 10},
        confusion=[None] * seeds,
        conditional_entropy={part: [0.1] * seeds for part in ("labelled", "unlabelled", "test")},
        pseudo_label_accuracy=[None] * seeds,
        unlabelled_training=before and {"measured_on": measured_on, "before": before, "after": after},
        parameters=3_975_010,
        config=to_json(config),
        warnings=[],
        versions={},
        device={},
        seconds={},
    )


def row(table, scenario):
    """The cells of a scenario's line, the figures of its seeds one by one."""
    (line,) = [line for line in table.splitlines() if line.startswith(scenario + " ")]
    return re.split(r"\s{2,}", line)


def header_of(table):
    """The names of the columns."""
    (line,) = [line for line in table.splitlines() if line.startswith("scenario ")]
    return re.split(r"\s{2,}", line)


def flat(text):
    """The text without its line ends."""
    return " ".join(text.split())


LEE = SCENARIOS["lee2013"]
QUICK = SCENARIOS["quick"]


def test_a_row_a_scenario_with_mean_sd_interval_and_seeds():
    table = accuracy_table([make_result(QUICK["nn"], [0.70, 0.72, 0.74]), make_result(QUICK["pl"], [0.8, 0.8, 0.8])])
    assert header_of(table) == ["scenario", "mean", "SD", "95 % interval", "per seed"]
    # t of 2 degrees of freedom at 0.975 is 4.302653; 4.302653 * 2 / sqrt(3) = 4.968276
    assert row(table, "nn") == ["nn", "72.00", "2.00", "67.03 to 76.97", "70.00 72.00 74.00"]
    assert row(table, "pl") == ["pl", "80.00", "0.00", "80.00 to 80.00", "80.00 80.00 80.00"]


def test_the_title_says_what_was_measured_on_what():
    title = accuracy_table([make_result(QUICK["nn"], [0.7, 0.7])]).partition("\n\n")[0]
    assert flat(title) == (
        "Test accuracy, %, on the 10,000 test images of mnist; protocol quick, 100 labels, seeds 0 to 1"
    )


def test_one_seed_has_no_spread():
    assert row(accuracy_table([make_result(QUICK["nn"], [0.5])]), "nn") == ["nn", "50.00", "-", "-", "50.00"]


def test_published_figures_stand_beside_the_papers_own_runs():
    table = accuracy_table([make_result(LEE["nn"], [0.7, 0.7]), make_result(LEE["pl"], [0.8, 0.8])])
    assert header_of(table)[4] == "published"
    assert row(table, "nn")[4] == "74.19 (Lee 2013)"
    assert row(table, "pl")[4] == "83.85 (Lee 2013)"


def test_a_dash_stands_where_a_published_figure_would_not_be_fair():
    dropped, _ = override(LEE["drop_nn"], {"hidden_dropout": 0.4})
    table = accuracy_table([make_result(LEE["nn"], [0.7, 0.7]), make_result(dropped, [0.7, 0.7])])
    assert row(table, "nn")[4] == "74.19 (Lee 2013)"
    assert row(table, "drop_nn")[4] == "-"


@pytest.mark.parametrize(
    ("config", "dataset"),
    [(QUICK["pl"], MNIST), (LEE["pl"], {**MNIST, "digest": "0" * 64}), (override(LEE["pl"], {"t1": 9})[0], MNIST)],
)
def test_there_is_no_published_column_where_no_figure_is_fair(config, dataset):
    table = accuracy_table([make_result(config, [0.7, 0.7], dataset)])
    assert "Lee" not in table
    assert len(row(table, "pl")) == 5


@pytest.mark.parametrize("seeds", [2, 13, 30, 100])
def test_the_table_keeps_to_the_page_and_folds_seeds_under_their_column(seeds):
    table = accuracy_table([make_result(LEE["pl_dae"], [0.9 + seed / 10_000 for seed in range(seeds)])])
    assert max(map(len, table.splitlines())) <= WIDTH
    header, *below = table[table.index("scenario ") :].splitlines()
    column = header.index("per seed")
    folded = [line[column:] for line in below[: below.index("")]]
    assert " ".join(folded).split() == [f"{90 + seed / 100:.2f}" for seed in range(seeds)]


def test_a_diverged_seed_is_marked_explained_and_in_no_mean():
    result = make_result(QUICK["nn"], [0.5, None, 0.7], diverged={"1": "finetune, epoch 7"})
    table = accuracy_table([result])
    assert row(table, "nn")[1] == "60.00"
    assert row(table, "nn")[-1] == "50.00 diverged 70.00"
    assert "nn: seed 1 diverged (finetune, epoch 7) and is in no mean" in flat(table)


def test_where_all_seeds_diverged_there_is_no_mean():
    result = make_result(QUICK["nn"], [None, None], diverged={"0": "finetune, epoch 0", "1": "finetune, epoch 0"})
    assert row(accuracy_table([result]), "nn") == ["nn", "-", "-", "-", "diverged diverged"]


def test_a_seed_that_pseudo_labels_made_worse_is_marked_and_explained():
    result = make_result(QUICK["pl"], [0.8, 0.6, 0.7], before=[0.7, 0.7, 0.7], after=[0.8, 0.6, 0.7])
    table = accuracy_table([result])
    assert fallen(result) == [1]
    assert row(table, "pl")[-1] == "80.00 60.00* 70.00"
    assert "* pl: pseudo-labels left seed 1 less accurate on validation images" in flat(table)


def test_several_such_seeds_are_named_together():
    result = make_result(
        QUICK["pl"], [0.5, 0.6, 0.7], before=[0.7, 0.7, 0.7], after=[0.5, 0.6, 0.7], measured_on="unlabelled"
    )
    assert "left seeds 0, 1 less accurate on unlabelled images" in flat(accuracy_table([result]))


def test_a_diverged_seed_has_not_fallen():
    result = make_result(QUICK["pl"], [0.8, None], before=[0.7, None], after=[0.8, None], diverged={"1": "finetune"})
    assert fallen(result) == []


def test_nothing_is_marked_where_all_went_well():
    table = accuracy_table([make_result(QUICK["pl"], [0.8, 0.8], before=[0.7, 0.7], after=[0.8, 0.7])])
    assert "*" not in table
    assert "diverged" not in table


def test_what_the_interval_is_about_depends_on_how_labels_are_chosen():
    random = flat(accuracy_table([make_result(QUICK["nn"], [0.7, 0.7])]))
    first = flat(accuracy_table([make_result(SCENARIOS["arab2022"]["nn"], [0.7, 0.7])]))
    assert "the labelled subset, the initial weights and the order of the mini-batches vary" in random
    assert "the labelled subset and the test images do not" in first


def with_labels(config, labels):
    return dataclasses.replace(config, labels=labels)


@pytest.mark.parametrize(
    ("other", "says"),
    [
        (
            make_result(QUICK["pl"], [0.7], {**MNIST, "digest": "ffff"}),
            r"data .*: mnist \(.*\) and mnist \(.*ffff\)\.$",
        ),
        (make_result(QUICK["pl"], [0.7], {**MNIST, "name": "kmnist"}), r"data .*: kmnist .* and mnist .*\.$"),
        (make_result(LEE["pl"], [0.7]), r"protocols .*: lee2013 and quick\.$"),
        (make_result(with_labels(QUICK["pl"], 600), [0.7]), r"numbers of labels .*: 100 and 600\.$"),
        (make_result(QUICK["pl"], [0.7, 0.7]), r"seeds .*: 0 and 0 1\.$"),
    ],
)
def test_results_that_do_not_compare_make_no_table(other, says):
    with pytest.raises(InputError, match=f"^Results of different {says}"):
        accuracy_table([make_result(QUICK["nn"], [0.7]), other])


def test_other_seeds_between_the_same_ends_make_no_table():
    one, other = make_result(QUICK["nn"], [0.7] * 3), make_result(QUICK["pl"], [0.7] * 2)
    with pytest.raises(InputError, match="Results of different seeds"):
        accuracy_table([one, dataclasses.replace(other, seeds=[0, 2])])


def test_no_results_make_no_table():
    with pytest.raises(InputError, match="no result"):
        accuracy_table([])


def test_the_introduction_says_what_is_run_on_what_and_where(tmp_path):
    config = dataclasses.replace(QUICK["pl"], labels=20, validation=40)
    train, test = np.zeros(1240, np.int32), np.zeros(1060, np.int32)
    dataset = Dataset("zeros", 10, train[:, None].astype(np.uint8), train, test[:, None].astype(np.uint8), test)
    facts = {"platform": "cpu", "kind": "cpu", "count": 2, "cores": 4, "parameters": 12_345, "folder": tmp_path}
    lines = introduction(config, dataset, range(3, 8), facts).splitlines()
    assert [tuple(re.split(r"\s{2,}", line, maxsplit=1)) for line in lines if line] == [
        ("scenario", "pl"),
        ("protocol", "quick"),
        ("data", "zeros, 1,060 test images"),
        ("training", "20 labelled, 40 validation, 1,180 unlabelled images"),
        ("seeds", "5 (seeds 3 to 7)"),
        ("device", "2 x cpu (cpu), 4 cores"),
        ("parameters", "12,345 a seed"),
        ("folder", str(tmp_path)),
    ]
