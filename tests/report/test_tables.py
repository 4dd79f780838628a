"""The summary before training and the tables after it, from results made by hand."""

import itertools
import re

import numpy as np
from made_results import MNIST, make_result

from pljax.analysis.comparison import compare
from pljax.protocols import SCENARIOS
from pljax.protocols.select import LEE_SCENARIOS as REPORTED
from pljax.report.tables import WIDTH, accuracy_table, comparison_text, introduction
from pljax.settings import override
from pljax.types import Dataset


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
QUICK = {name: SCENARIOS["quick"][name] for name in REPORTED}


def test_a_scenario_has_a_row_with_mean_sd_interval_and_seeds():
    table = accuracy_table([make_result(QUICK["nn"], [0.70, 0.72, 0.74]), make_result(QUICK["pl"], [0.8, 0.8, 0.8])])
    assert header_of(table) == ["scenario", "mean", "SD", "95 % interval", "per seed"]
    # t of 2 degrees of freedom at 0.975 is 4.302653; 4.302653 * 2 / sqrt(3) = 4.968276
    assert row(table, "nn") == ["nn", "72.00", "2.00", "67.03 to 76.97", "70.00 72.00 74.00"]
    assert row(table, "pl") == ["pl", "80.00", "0.00", "80.00 to 80.00", "80.00 80.00 80.00"]


def test_what_is_unknown_is_a_dash():
    assert row(accuracy_table([make_result(QUICK["nn"], [0.5])]), "nn") == ["nn", "50.00", "-", "-", "50.00"]
    diverged = make_result(QUICK["nn"], [None, None], diverged={"0": "finetune, epoch 0", "1": "finetune, epoch 0"})
    assert row(accuracy_table([diverged]), "nn") == ["nn", "-", "-", "-", "diverged diverged"]


def test_a_published_figure_is_beside_a_run_of_its_own_protocol_only():
    dropped, _ = override(LEE["drop_nn"], {"hidden_dropout": 0.4})
    configs = [LEE["nn"], LEE["pl"], dropped]  # the paper quotes the figure of nn from another
    table = accuracy_table([make_result(config, [0.7, 0.7]) for config in configs])
    assert header_of(table)[4] == "published"
    assert [row(table, name)[4] for name in ("nn", "pl", "drop_nn, hidden_dropout=0.4")] == [
        "-",
        "83.85 (Lee 2013)",
        "-",
    ]


def test_there_is_no_published_column_without_a_figure():
    for config, dataset in (
        (QUICK["pl"], MNIST),
        (LEE["pl"], {**MNIST, "digest": "0" * 64}),
        (override(LEE["pl"], {"t1": 9})[0], MNIST),
    ):
        table = accuracy_table([make_result(config, [0.7, 0.7], dataset)])
        assert "Lee" not in table
        assert len(row(table, "pl")) == 5


def test_the_seeds_are_wrapped_in_their_column_within_the_width():
    for seeds in (2, 13, 30, 100):
        table = accuracy_table([make_result(LEE["pl_dae"], [0.9 + seed / 10_000 for seed in range(seeds)])])
        assert max(map(len, table.splitlines())) <= WIDTH
        header, *below = table[table.index("scenario ") :].splitlines()
        column = header.index("per seed")
        wrapped = [line[column:] for line in below[: below.index("")]]
        assert " ".join(wrapped).split() == [f"{90 + seed / 100:.2f}" for seed in range(seeds)]


def test_diverged_seeds_and_drops_of_accuracy_are_marked_and_explained():
    diverged = make_result(QUICK["nn"], [0.5, None, 0.7], diverged={"1": "finetune, epoch 7"})
    dropped = make_result(QUICK["pl"], [0.8, 0.6, 0.7], before=[0.7, 0.7, 0.7], after=[0.8, 0.6, 0.7])
    table = accuracy_table([diverged, dropped])
    assert row(table, "nn")[1] == "60.00"
    assert row(table, "nn")[-1] == "50.00 diverged 70.00"
    assert row(table, "pl")[-1] == "80.00 60.00* 70.00"
    assert "nn: seed 1 diverged (finetune, epoch 7)." in flat(table)
    assert "seed 1 by 10.0 points (*)" in flat(table)
    table = accuracy_table([make_result(QUICK["pl"], [0.8, 0.8], before=[0.7, 0.7], after=[0.8, 0.7])])
    assert "*" not in table
    assert "diverged" not in table


def test_runs_of_two_protocols_are_named_by_both():
    table = accuracy_table([make_result(QUICK["pl"], [0.8, 0.8]), make_result(LEE["pl"], [0.9, 0.9])])
    assert row(table, "quick pl")[-2:] == ["-", "80.00 80.00"]
    assert row(table, "lee2013 pl")[-2:] == ["83.85 (Lee 2013)", "90.00 90.00"]


def test_several_runs_have_a_table_of_pairs():
    scores = np.array([[0.70, 0.72, 0.71], [0.75, 0.78, 0.70]])
    results = [make_result(QUICK[name], of.tolist()) for name, of in zip(("nn", "pl"), scores, strict=True)]
    text = comparison_text(compare(results))
    # Differences 5, 6, -1: mean 3.3333, SD 3.7859, t 4.302653; sign flips reach |10| in 4 of 8 cases.
    assert row(text, "pl - nn") == ["pl - nn", "3", "3.33", "-6.07 to 12.74", "0.5000", "0.5000", "2 of 3"]
    assert "The smallest p that 3 seeds can reach" in flat(text)
    assert "pl - nn: between -6.07 and 12.74 points (95 % CI; mean 3.33)" in flat(text)


def test_a_margin_has_a_table_of_equivalence_tests():
    results = [make_result(LEE[name], [0.8, 0.81, 0.82]) for name in ("nn", "pl")]
    assert "Equivalence" not in comparison_text(compare(results))
    _, table = comparison_text(compare(results, margin=4)).split("Equivalence: ")
    header, *rows = re.findall(r"^\S.*  .*$", table, re.MULTILINE)
    assert re.split(r"\s{2,}", header) == ["difference", "90 % interval", "p", "p (Holm)", "within 4 points"]
    # All differences of the pair are 0, and nothing tells how much they vary. The mean of pl is 2.85 below Lee's,
    # t of 2 degrees of freedom at 0.95 2.919986:
    # the root of (2.919986 / sqrt(3)) squared and (1.5 * 1.644854 / 1.959964) squared is 2.1037.
    pair, figure = (re.split(r"\s{2,}", row) for row in rows)
    assert pair == ["pl - nn", "0.00 to 0.00", "-", "-", "not shown"]
    assert figure[:2] == ["pl - 83.85 (Lee 2013)", "-4.95 to -0.75"]
    assert figure[4] == "not shown"


def test_no_word_of_a_table_is_broken():
    accuracies = [0.70, 0.71, 0.705], [0.72, 0.71, 0.73]
    wide = [override(LEE["nn"], {"learning_rate": rate})[0] for rate in (0.123456789, 0.987654321)]
    text = comparison_text(compare(list(map(make_result, wide, accuracies)), margin=60))
    assert re.search(r"equivalent$", text, re.MULTILINE)


def test_one_run_has_no_pairs():
    result = make_result(QUICK["nn"], [0.7, 0.8])
    assert comparison_text(compare([result])) == accuracy_table([result])


def test_the_tables_of_four_scenarios_are_within_the_width():
    for seeds, margin in itertools.product((2, 10, 30), (None, 2)):
        noise = np.random.default_rng(0).normal(0, 0.02, (4, seeds))
        results = [
            make_result(config, (0.75 + 0.05 * place + of).tolist())
            for place, (config, of) in enumerate(zip(QUICK.values(), noise, strict=True))
        ]
        assert max(map(len, comparison_text(compare(results, margin)).splitlines())) <= WIDTH


def test_the_introduction_says_what_is_run_on_what_and_where(tmp_path):
    config = QUICK["pl"].replace(labels=20, validation=40)
    train, test = np.zeros(1240, np.int32), np.zeros(1060, np.int32)
    dataset = Dataset("zeros", 10, train[:, None].astype(np.uint8), train, test[:, None].astype(np.uint8), test)
    facts = {
        "platform": "cpu",
        "kind": "cpu",
        "count": 2,
        "cores": 4,
        "parameters": 12_345,
        "memory": "1.5 GiB",
        "folder": tmp_path,
    }
    lines = introduction(config, dataset, range(3, 8), facts).splitlines()
    assert [tuple(re.split(r"\s{2,}", line, maxsplit=1)) for line in lines if line] == [
        ("scenario", "pl"),
        ("protocol", "quick"),
        ("data", "zeros, 1,060 test images"),
        ("training", "20 labelled, 40 validation, 1,180 unlabelled images"),
        ("seeds", "5 (seeds 3 to 7)"),
        ("device", "2 x cpu (cpu), 4 cores"),
        ("parameters", "12,345 a seed"),
        ("memory", "about 1.5 GiB at the peak"),
        ("folder", str(tmp_path)),
    ]
