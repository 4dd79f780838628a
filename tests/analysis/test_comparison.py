"""Results side by side: which seeds are paired, which results may be, and what each is called."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from made_results import MNIST, make_result

from pljax.analysis.comparison import as_json, compare, labels
from pljax.analysis.stats import Summary, bca_interval, compare_paired, holm, summarize
from pljax.data.serialization import write_json
from pljax.protocols import SCENARIOS
from pljax.settings import override
from pljax.types import InputError

LEE, QUICK, ARAB = SCENARIOS["lee2013"], SCENARIOS["quick"], SCENARIOS["arab2022"]
NAMES = ["nn", "drop_nn", "pl", "pl_dae"]


def draw(scenario, seeds, config=None):
    """A result of these seeds, of which some may have diverged, with figures as whole numbers of images."""
    generator = np.random.default_rng(NAMES.index(scenario))
    accuracies = (generator.integers(7000, 9000, 40)[list(seeds)] / 10_000).tolist()
    return make_result(config or QUICK[scenario], accuracies, seeds=seeds)


def lose(result, *seeds):
    """The result, had these seeds diverged."""
    figures = [None if seed in seeds else right for seed, right in zip(result.seeds, result.test_accuracy, strict=True)]
    return dataclasses.replace(result, test_accuracy=figures, diverged={str(seed): "finetune" for seed in seeds})


def reorder(result, order):
    """The same result with its seeds in another order."""

    def moved(column):
        return [column[place] for place in order]

    return dataclasses.replace(
        result,
        seeds=moved(result.seeds),
        test_accuracy=moved(result.test_accuracy),
        test_error=moved(result.test_error),
        confusion=moved(result.confusion),
        conditional_entropy={part: moved(column) for part, column in result.conditional_entropy.items()},
        pseudo_label_accuracy=moved(result.pseudo_label_accuracy),
    )


def by_seed(pair):
    return dict(zip(pair.seeds, pair.differences.tolist(), strict=True))


def turned(config, **overrides):
    return override(config, overrides)[0]


FOUR = [draw(name, range(12)) for name in NAMES]


# ------------------------------------------------------------------------------------------------ pairs


def test_every_two_are_paired_the_later_minus_the_earlier():
    found = compare(FOUR)
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        (first, second) for second, first in itertools.combinations(NAMES, 2)
    ]
    for pair in found.pairs:
        first, second = (FOUR[NAMES.index(name)].accuracies() for name in (pair.first, pair.second))
        assert pair.differences == pytest.approx(100 * (first - second), abs=1e-9)


def test_a_pair_by_hand():
    one, other = make_result(QUICK["nn"], [0.5, 0.75], seeds=[3, 4]), make_result(QUICK["pl"], [1.0, 0.5], seeds=[4, 3])
    (pair,) = compare([one, other]).pairs
    assert by_seed(pair) == {4: 25.0, 3: 0.0}


def test_rows_have_their_results_figures_in_per_cent():
    for row, result in zip(compare(FOUR).rows, FOUR, strict=True):
        assert row.result is result
        assert row.accuracies.tolist() == [100 * accuracy for accuracy in result.test_accuracy]
        assert row.summary == summarize(row.accuracies)
        assert row.bca == bca_interval(row.accuracies)


def test_a_pairs_test_is_that_of_its_differences_and_its_family_is_all_pairs():
    found = compare(FOUR)
    assert [pair.test for pair in found.pairs] == [compare_paired(pair.differences) for pair in found.pairs]
    adjusted = holm(np.array([pair.test.permutation_p for pair in found.pairs]))
    assert [pair.holm_p for pair in found.pairs] == adjusted.tolist()
    assert len(adjusted) == 6


def test_one_result_has_no_pair():
    found = compare(FOUR[:1])
    assert (len(found.rows), found.pairs, found.results) == (1, [], FOUR[:1])


def test_only_seeds_with_a_figure_in_both_are_paired():
    one, other = lose(draw("nn", range(10)), 2, 7), lose(draw("pl", range(4, 14)), 5, 7, 12)
    (pair,) = compare([one, other]).pairs
    assert pair.seeds == [4, 6, 8, 9]
    (without,) = compare([draw("nn", pair.seeds), draw("pl", pair.seeds)]).pairs
    assert by_seed(pair) == by_seed(without)
    assert pair.test == without.test


def test_a_diverged_seed_is_in_no_summary():
    row, _ = compare([lose(draw("nn", range(5)), 1), draw("pl", range(5))]).rows
    assert math.isnan(row.accuracies[1])
    assert row.summary == summarize(100 * draw("nn", [0, 2, 3, 4]).accuracies())


def test_where_all_common_seeds_diverged_there_is_a_pair_that_says_nothing():
    nn, pl, dae = lose(draw("nn", range(8)), *range(8)), draw("pl", range(8)), draw("pl_dae", range(8))
    lost, also_lost, kept = compare([nn, pl, dae]).pairs
    for pair in (lost, also_lost):
        assert (pair.seeds, pair.test.n) == ([], 0)
        assert math.isnan(pair.holm_p)
    assert kept.holm_p == kept.test.permutation_p  # a family of one


def assert_the_same_tests(found, expected):
    """Alike but for the order of seeds."""
    for pair, other in zip(found.pairs, expected.pairs, strict=True):
        assert by_seed(pair) == by_seed(other)
        assert pair.test[:-1] == pytest.approx(other.test[:-1], rel=1e-12)
        assert (pair.test.seeds_needed, pair.holm_p) == (other.test.seeds_needed, other.holm_p)
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert (row.label, row.summary, row.bca) == (other.label, other.summary, other.bca)


@pytest.mark.parametrize("which", [0, 2, 3])
def test_seeds_are_matched_by_number_and_not_by_place(which):
    order = np.random.default_rng(which).permutation(12).tolist()
    moved = [reorder(result, order) if place == which else result for place, result in enumerate(FOUR)]
    found = compare(moved)
    assert_the_same_tests(found, compare(FOUR))
    assert found.rows[which].accuracies.tolist() == compare(FOUR).rows[which].accuracies[order].tolist()


@pytest.mark.parametrize("seeds", [12, 25])  # tested exactly, and by flips drawn
def test_the_order_of_all_seeds_does_not_matter(seeds):
    results = [lose(draw(name, range(seeds)), 3) for name in NAMES]
    order = np.random.default_rng(1).permutation(seeds).tolist()
    found, expected = compare([reorder(result, order) for result in results]), compare(results)
    assert_the_same_tests(found, expected)
    for row, other in zip(found.rows, expected.rows, strict=True):
        assert row.accuracies == pytest.approx(other.accuracies[order], abs=0, nan_ok=True)


def test_the_order_of_results_turns_pairs_round():
    turned_round = {(pair.second, pair.first): pair for pair in compare(FOUR[::-1]).pairs}
    for pair in compare(FOUR).pairs:
        other = turned_round[pair.first, pair.second]
        assert by_seed(other) == {seed: -points for seed, points in by_seed(pair).items()}
        assert (other.holm_p, other.test.wins) == (pair.holm_p, pair.test.losses)


# --------------------------------------------------------------------------------------------- refusals

OTHER_DATA = {**MNIST, "name": "kmnist", "digest": "ffff"}


@pytest.mark.parametrize(
    ("other", "names"),
    [
        pytest.param(
            make_result(QUICK["pl"], [0.7], OTHER_DATA), ["data", "mnist", "kmnist", MNIST["digest"], "ffff"], id="data"
        ),
        pytest.param(
            make_result(QUICK["pl"], [0.7], {**MNIST, "digest": "ffff"}),
            ["data", MNIST["digest"], "ffff"],
            id="data of the same name",
        ),
        pytest.param(
            make_result(turned(QUICK["pl"], labels=600), [0.7]),
            ["numbers of labels", "quick nn has 100", "quick pl has 600"],
            id="labels",
        ),
        pytest.param(make_result(ARAB["pl"], [0.7]), ["split rules", "random", "first"], id="split rule"),
        pytest.param(
            make_result(QUICK["pl"], [0.7] * 3, seeds=[5, 6, 7]),
            ["no seed in common", "quick nn", "quick pl"],
            id="seeds",
        ),
    ],
)
def test_results_that_do_not_belong_together_are_refused_by_what_differs(other, names):
    one = make_result(QUICK["nn"], [0.7])
    for results in ([one, other], [one, one, other]):
        with pytest.raises(InputError) as refusal:
            compare(results)
        sentence = str(refusal.value)
        assert all(name in sentence for name in names)
        assert sentence.endswith(".")
        assert "\n" not in sentence


def test_a_run_without_test_images_is_refused():
    untested = make_result(QUICK["pl"], [None] * 3, dataset={**MNIST, "test": 0})
    for results in ([untested], [draw("nn", range(3)), untested]):
        with pytest.raises(InputError, match="was run without test images: there is no test accuracy to compare"):
            compare(results)


def test_every_two_must_have_a_seed_in_common():
    chain = [draw("nn", [0, 1]), draw("pl", [1, 2]), draw("pl_dae", [2, 3])]
    assert len(compare(chain[:2]).pairs) == len(compare(chain[1:]).pairs) == 1
    with pytest.raises(InputError, match=r"^quick nn \(seeds 0 to 1\) and quick pl_dae .* have no seed in common"):
        compare(chain)


def test_nothing_is_refused():
    with pytest.raises(InputError, match=r"^There is no result to compare\.$"):
        compare([])


def test_the_same_data_may_have_two_names_and_runs_two_validation_sets():
    renamed = make_result(turned(QUICK["pl"], validation=500), [0.7], {**MNIST, "name": "my_mnist"})
    assert len(compare([make_result(QUICK["nn"], [0.7]), renamed]).pairs) == 1


# ----------------------------------------------------------------------------------------------- labels


def labels_of(*configs):
    return labels([make_result(config, [0.7]) for config in configs])


@pytest.mark.parametrize(
    ("configs", "expected"),
    [
        ((QUICK["nn"], QUICK["pl"]), ["nn", "pl"]),
        ((QUICK["pl"], LEE["pl"]), ["quick pl", "lee2013 pl"]),
        ((QUICK["nn"], QUICK["pl"], LEE["nn"]), ["quick nn", "quick pl", "lee2013 nn"]),
        ((QUICK["pl"], turned(QUICK["pl"], alpha_f=1.0)), ["pl, alpha_f=3.0", "pl, alpha_f=1.0"]),
        ((QUICK["nn"], QUICK["pl"], turned(QUICK["pl"], t1=2)), ["nn", "pl, t1=30", "pl, t1=2"]),
        (
            (LEE["pl"], QUICK["pl"], turned(QUICK["pl"], alpha_f=1.0)),
            ["lee2013 pl", "quick pl, alpha_f=3.0", "quick pl, alpha_f=1.0"],
        ),
        (
            (turned(LEE["nn"], hidden=(50, 20)), turned(LEE["nn"], hidden=(7,))),
            ["nn, hidden=50x20", "nn, hidden=7"],
        ),
        (
            (QUICK["nn"], turned(QUICK["nn"], epochs=5, batch_size=8)),
            ["nn, batch_size=32, epochs=300", "nn, batch_size=8, epochs=5"],
        ),
        ((QUICK["nn"], QUICK["nn"]), ["nn (1)", "nn (2)"]),
        (
            (QUICK["pl"], turned(QUICK["pl"], alpha_f=1.0), QUICK["pl"]),
            ["pl, alpha_f=3.0 (1)", "pl, alpha_f=1.0", "pl, alpha_f=3.0 (2)"],
        ),
    ],
)
def test_a_label_says_as_much_as_tells_runs_apart(configs, expected):
    assert labels_of(*configs) == expected


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"epochs": 3}, {"pretrain_epochs": 3}),
        ({"learning_rate": 0.125}, {"pretrain_learning_rate": 0.125}),
        ({"batch_size": 16}, {"unlabelled_batch_size": 16}),
        ({"batch_size": 16}, {"pretrain_batch_size": 16}),
    ],
)
def test_fields_of_one_name_go_by_the_dials_that_turn_them(one, other):
    plain, *names = labels_of(LEE["pl_dae"], turned(LEE["pl_dae"], **one), turned(LEE["pl_dae"], **other))
    for overrides, name in zip((one, other), names, strict=True):
        ((flag, value),) = overrides.items()
        assert f", {flag}={value}" in name
        assert f", {flag}={value}" not in plain
    assert not any("(" in name for name in (plain, *names))


def test_other_phases_are_told_by_their_methods():
    longer = LEE["nn"].replace(phases=(*LEE["pl_dae"].phases[:1], *LEE["nn"].phases))
    assert labels_of(LEE["nn"], longer) == ["nn, phases=Supervised", "nn, phases=DenoisingAutoencoderxSupervised"]


def test_all_labels_differ_and_pairs_go_by_them():
    configs = [QUICK["pl"], QUICK["pl"], turned(QUICK["pl"], alpha_f=1.0), LEE["pl"], LEE["nn"]]
    found = compare([make_result(config, [0.7, 0.8]) for config in configs])
    names = [row.label for row in found.rows]
    assert len(set(names)) == len(names)
    assert [(pair.second, pair.first) for pair in found.pairs] == list(itertools.combinations(names, 2))


# ------------------------------------------------------------------------------------- published figures


def published_beside(config, dataset=MNIST):
    (row,) = compare([make_result(config, [0.82, 0.84, 0.86], dataset)]).rows
    return row.published


@pytest.mark.parametrize(
    ("config", "own"),
    [
        (LEE["pl"], {"Lee 2013": True, "Arab et al. 2022": False}),
        (ARAB["pl"], {"Lee 2013": False, "Arab et al. 2022": True}),
        (QUICK["pl"], {"Lee 2013": False, "Arab et al. 2022": False}),
        (turned(LEE["pl"], alpha_f=1.0), {"Lee 2013": False, "Arab et al. 2022": False}),
        (turned(LEE["pl"], labels=600), {"Lee 2013": True}),
    ],
)
def test_a_published_figure_knows_whether_it_is_of_the_runs_own_protocol(config, own):
    assert {reference.source: reference.own_protocol for reference, _ in published_beside(config)} == own


def test_a_published_figure_is_met_by_the_mean_in_per_cent():
    # 84 -+ 4.97, against 83.85 -+ 1.5 and one run with 72.28, out of reach of 4.97 sqrt(3 + 1) = 9.94.
    (lee, against_lee), (arab, against_arab) = published_beside(LEE["pl"])
    assert (lee.accuracy, arab.accuracy) == (83.85, 72.28)
    assert against_lee.difference == pytest.approx(84 - 83.85)
    assert against_lee.inside
    assert not against_arab.inside
    assert against_arab.high - against_arab.low == pytest.approx(2 * 4.9683 * 2, abs=1e-3)


@pytest.mark.parametrize(
    ("config", "dataset"), [(LEE["pl"], OTHER_DATA), (turned(LEE["pl"], labels=50), MNIST)], ids=["data", "labels"]
)
def test_nothing_is_published_for_other_data_or_numbers_of_labels(config, dataset):
    assert published_beside(config, dataset) == []


# ------------------------------------------------------------------------------------------------- JSON


def without_numbers_that_are_none(fields):
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in fields.items()
    }


@pytest.mark.parametrize(
    "results",
    [
        pytest.param(FOUR, id="four"),
        pytest.param([lose(draw("nn", range(5)), 1), draw("pl", range(3, 9), LEE["pl"])], id="seeds lost"),
        pytest.param([draw("nn", [0]), draw("pl", [0])], id="one seed"),
        pytest.param([draw("nn", range(3)), draw("nn", range(3))], id="all the same"),
    ],
)
def test_json_holds_the_same_numbers(results, tmp_path):
    found = compare(results)
    write_json(tmp_path / "comparison.json", as_json(found))
    read = json.loads((tmp_path / "comparison.json").read_text())
    for run, row in zip(read["runs"], found.rows, strict=True):
        assert (run["label"], run["protocol"], run["scenario"]) == (row.label, row.result.protocol, row.result.scenario)
        assert run["seeds"] == row.result.seeds
        assert [math.nan if value is None else value for value in run["accuracies"]] == pytest.approx(
            row.accuracies, abs=0, nan_ok=True
        )
        assert list(run["summary"]) == list(Summary._fields)
        assert run["summary"] == without_numbers_that_are_none(row.summary._asdict())
        assert run["bca_interval"] == without_numbers_that_are_none(row.bca._asdict())
        assert run["published"] == [
            without_numbers_that_are_none({**reference._asdict(), **test._asdict()})
            for reference, test in row.published
        ]
    for written, pair in zip(read["pairs"], found.pairs, strict=True):
        assert (written["first"], written["second"], written["seeds"]) == (pair.first, pair.second, pair.seeds)
        assert written["differences"] == pair.differences.tolist()
        assert written["test"] == without_numbers_that_are_none(pair.test._asdict())
        assert written["holm_p"] == (None if math.isnan(pair.holm_p) else pair.holm_p)
