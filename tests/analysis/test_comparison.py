"""Comparisons of results: which seeds are paired, which results may be compared, and the label of each."""

import dataclasses
import itertools
import json
import math

import numpy as np
import pytest
from made_results import MNIST, make_result

from pljax.analysis.comparison import as_json, compare, labels
from pljax.analysis.estimates import Estimate, corrected, equivalence, from_figure, from_pairs
from pljax.analysis.stats import Summary, compare_paired, holm, summarize
from pljax.data.serialization import write_json
from pljax.nn.optimizers import Adam
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


def diverge(result, *seeds):
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


def changed(config, **overrides):
    return override(config, overrides)[0]


FOUR = [draw(name, range(12)) for name in NAMES]


# ------------------------------------------------------------------------------------------------ pairs


def test_every_two_results_are_paired_the_later_minus_the_earlier():
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


def test_rows_hold_the_accuracies_of_their_results_in_per_cent():
    for row, result in zip(compare(FOUR).rows, FOUR, strict=True):
        assert row.result is result
        assert row.accuracies.tolist() == [100 * accuracy for accuracy in result.test_accuracy]
        assert row.summary == summarize(row.accuracies)


def test_a_pair_is_tested_by_its_differences_and_corrected_for_all_pairs():
    found = compare(FOUR)
    assert [pair.test for pair in found.pairs] == [compare_paired(pair.differences) for pair in found.pairs]
    adjusted = holm(np.array([pair.test.permutation_p for pair in found.pairs]))
    assert [pair.holm_p for pair in found.pairs] == adjusted.tolist()
    assert len(adjusted) == 6


def test_only_seeds_that_diverged_in_neither_result_are_paired():
    one, other = diverge(draw("nn", range(10)), 2, 7), diverge(draw("pl", range(4, 14)), 5, 7, 12)
    (pair,) = compare([one, other]).pairs
    assert pair.seeds == [4, 6, 8, 9]
    (without,) = compare([draw("nn", pair.seeds), draw("pl", pair.seeds)]).pairs
    assert by_seed(pair) == by_seed(without)
    assert pair.test == without.test


def test_a_diverged_seed_is_in_no_summary():
    row, _ = compare([diverge(draw("nn", range(5)), 1), draw("pl", range(5))]).rows
    assert math.isnan(row.accuracies[1])
    assert row.summary == summarize(100 * draw("nn", [0, 2, 3, 4]).accuracies())


def test_a_pair_whose_common_seeds_all_diverged_has_no_p_and_counts_in_no_family():
    nn, pl, dae = diverge(draw("nn", range(8)), *range(8)), draw("pl", range(8)), draw("pl_dae", range(8))
    empty, also_empty, kept = compare([nn, pl, dae]).pairs
    for pair in (empty, also_empty):
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
        assert (row.label, row.summary) == (other.label, other.summary)


def test_seeds_are_matched_by_number_and_not_by_place():
    order = np.random.default_rng(2).permutation(12).tolist()
    found = compare([*FOUR[:2], reorder(FOUR[2], order), FOUR[3]])
    assert_the_same_tests(found, compare(FOUR))
    assert found.rows[2].accuracies.tolist() == compare(FOUR).rows[2].accuracies[order].tolist()


def test_the_order_of_all_seeds_does_not_matter():
    for seeds in (12, 25):  # tested exactly, and with flips drawn
        results = [diverge(draw(name, range(seeds)), 3) for name in NAMES[:2]]
        order = np.random.default_rng(1).permutation(seeds).tolist()
        assert_the_same_tests(compare([reorder(result, order) for result in results]), compare(results))


def test_results_in_the_other_order_have_the_differences_with_the_other_sign():
    reversed_pairs = {(pair.second, pair.first): pair for pair in compare(FOUR[::-1]).pairs}
    for pair in compare(FOUR).pairs:
        other = reversed_pairs[pair.first, pair.second]
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
            make_result(changed(QUICK["pl"], labels=600), [0.7]),
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
def test_results_that_cannot_be_compared_are_refused_by_what_differs(other, names):
    one = make_result(QUICK["nn"], [0.7])
    for results in ([one, other], [one, one, other]):
        with pytest.raises(InputError) as refusal:
            compare(results)
        sentence = str(refusal.value)
        assert all(name in sentence for name in names)
        assert sentence.endswith(".")
        assert "\n" not in sentence


def test_a_result_without_test_images_is_refused():
    untested = make_result(QUICK["pl"], [None] * 3, dataset={**MNIST, "test": 0})
    for results in ([untested], [draw("nn", range(3)), untested]):
        with pytest.raises(InputError, match="was run without test images: there is no test accuracy to compare"):
            compare(results)


def test_every_two_must_have_a_seed_in_common():
    chain = [draw("nn", [0, 1]), draw("pl", [1, 2]), draw("pl_dae", [2, 3])]
    assert len(compare(chain[:2]).pairs) == len(compare(chain[1:]).pairs) == 1
    with pytest.raises(InputError, match=r"^quick nn \(seeds 0 to 1\) and quick pl_dae .* have no seed in common"):
        compare(chain)


def test_no_result_is_refused():
    with pytest.raises(InputError, match=r"^There is no result to compare\.$"):
        compare([])


def test_results_may_differ_in_the_name_of_the_data_and_the_validation_set():
    renamed = make_result(changed(QUICK["pl"], validation=500), [0.7], {**MNIST, "name": "my_mnist"})
    assert len(compare([make_result(QUICK["nn"], [0.7]), renamed]).pairs) == 1


# ----------------------------------------------------------------------------------------------- labels


def with_adam(config):
    (phase,) = config.phases
    return config.replace(phases=(phase.replace(optimizer=Adam(learning_rate=0.01)),))


def labels_of(*configs):
    return labels([make_result(config, [0.7]) for config in configs])


def test_a_label_has_as_many_settings_as_distinguish_the_results():
    for configs, expected in (
        ((QUICK["nn"], QUICK["pl"]), ["nn", "pl"]),
        ((QUICK["pl"], LEE["pl"]), ["quick pl", "lee2013 pl"]),
        ((QUICK["nn"], QUICK["pl"], LEE["nn"]), ["quick nn", "quick pl", "lee2013 nn"]),
        ((QUICK["pl"], changed(QUICK["pl"], alpha_f=1.0)), ["pl, alpha_f=3.0", "pl, alpha_f=1.0"]),
        ((QUICK["nn"], QUICK["pl"], changed(QUICK["pl"], t1=2)), ["nn", "pl, t1=30", "pl, t1=2"]),
        (
            (LEE["pl"], QUICK["pl"], changed(QUICK["pl"], alpha_f=1.0)),
            ["lee2013 pl", "quick pl, alpha_f=3.0", "quick pl, alpha_f=1.0"],
        ),
        (
            (changed(LEE["nn"], hidden=(50, 20)), changed(LEE["nn"], hidden=(7,))),
            ["nn, hidden=50x20", "nn, hidden=7"],
        ),
        (
            (QUICK["nn"], changed(QUICK["nn"], epochs=5, batch_size=8)),
            ["nn, batch_size=32, epochs=300", "nn, batch_size=8, epochs=5"],
        ),
        ((QUICK["nn"], changed(QUICK["pl"], epochs=5)), ["nn", "pl, epochs=5"]),
        ((QUICK["nn"], changed(QUICK["pl"], alpha_f=1.0)), ["nn", "pl"]),  # the title has it: nn has no alpha_f
        ((QUICK["pl"], with_adam(QUICK["nn"])), ["pl", "nn, optimizer=Adam"]),
        ((QUICK["nn"], QUICK["nn"]), ["nn (1)", "nn (2)"]),
        (
            (QUICK["pl"], changed(QUICK["pl"], alpha_f=1.0), QUICK["pl"]),
            ["pl, alpha_f=3.0 (1)", "pl, alpha_f=1.0", "pl, alpha_f=3.0 (2)"],
        ),
    ):
        assert labels_of(*configs) == expected


def test_fields_of_one_name_are_labelled_by_the_flags_that_set_them():
    for one, other, value in (
        ("epochs", "pretrain_epochs", 3),
        ("learning_rate", "pretrain_learning_rate", 0.125),
        ("batch_size", "unlabelled_batch_size", 16),
        ("batch_size", "pretrain_batch_size", 16),
    ):
        configs = (changed(LEE["pl_dae"], **{flag: value}) for flag in (one, other))
        plain, *names = labels_of(LEE["pl_dae"], *configs)
        for flag, name in zip((one, other), names, strict=True):
            assert f", {flag}={value}" in name
            assert f", {flag}={value}" not in plain
        assert not any("(" in name for name in (plain, *names))


def test_configs_of_other_phases_are_labelled_by_their_methods():
    longer = LEE["nn"].replace(phases=(*LEE["pl_dae"].phases[:1], *LEE["nn"].phases))
    assert labels_of(LEE["nn"], longer) == ["nn, phases=Supervised", "nn, phases=DenoisingAutoencoderxSupervised"]


def test_all_labels_differ_and_pairs_are_named_by_them():
    configs = [QUICK["pl"], QUICK["pl"], changed(QUICK["pl"], alpha_f=1.0), LEE["pl"], LEE["nn"]]
    found = compare([make_result(config, [0.7, 0.8]) for config in configs])
    names = [row.label for row in found.rows]
    assert len(set(names)) == len(names)
    assert [(pair.second, pair.first) for pair in found.pairs] == list(itertools.combinations(names, 2))


# ------------------------------------------------------------------------------------- published figures


def published_beside(config, dataset=MNIST):
    (row,) = compare([make_result(config, [0.82, 0.84, 0.86], dataset)]).rows
    return row.published


def test_a_published_figure_knows_whether_it_is_of_the_results_own_protocol():
    for config, own in (
        (LEE["pl"], {"Lee 2013": True, "Arab et al. 2022": False}),
        (ARAB["pl"], {"Lee 2013": False, "Arab et al. 2022": True}),
        (QUICK["pl"], {"Lee 2013": False, "Arab et al. 2022": False}),
        (changed(LEE["pl"], alpha_f=1.0), {"Lee 2013": False, "Arab et al. 2022": False}),
        (changed(LEE["pl"], labels=600), {"Lee 2013": True}),
    ):
        assert {figure.reference.source: figure.reference.own_protocol for figure in published_beside(config)} == own


def test_a_published_figure_is_compared_with_the_mean_in_per_cent():
    # 84 -+ 4.97, against 83.85 -+ 1.5 and one run with 72.28, out of reach of 4.97 sqrt(3 + 1) = 9.94.
    lee, arab = published_beside(LEE["pl"])
    assert (lee.reference.accuracy, arab.reference.accuracy) == (83.85, 72.28)
    assert lee.test.difference == pytest.approx(84 - 83.85)
    assert lee.test.inside
    assert not arab.test.inside
    assert arab.test.high - arab.test.low == pytest.approx(2 * 4.9683 * 2, abs=1e-3)


def test_figures_of_own_protocols_are_corrected_for_each_other_and_no_others():
    accuracies = {"nn": [0.74, 0.75, 0.76], "drop_nn": [0.70, 0.72, 0.71], "pl": [0.90, 0.91, 0.92], "pl_dae": [0.9]}
    rows = compare([make_result(LEE[name], of) for name, of in accuracies.items()]).rows
    own = [figure for row in rows for figure in row.published if figure.reference.own_protocol]
    others = [figure for row in rows for figure in row.published if not figure.reference.own_protocol]
    assert [figure.reference.accuracy for figure in own] == [78.11, 83.85, 89.51]
    np.testing.assert_array_equal([figure.holm_p for figure in own], holm(np.array([figure.test.p for figure in own])))
    assert own[1].holm_p == 2 * own[1].test.p  # the smaller one of two, as one seed has no p
    assert math.isnan(own[2].holm_p)
    assert others
    assert all(math.isnan(figure.holm_p) for figure in others)


# --------------------------------------------------------------------------------------------- equivalence


def test_without_a_margin_nothing_is_tested_for_equivalence():
    found = compare([make_result(LEE[name], [0.82, 0.84, 0.86]) for name in ("drop_nn", "pl")])
    assert found.margin is None
    assert {pair.equivalence for pair in found.pairs} == {None}
    assert {figure.equivalence for row in found.rows for figure in row.published} == {None}


def test_every_pair_and_figure_is_tested_for_equivalence_within_the_margin():
    found = compare([make_result(LEE[name], [0.82, 0.84, 0.86]) for name in ("drop_nn", "pl")], margin=3)
    assert found.margin == 3
    for pair in found.pairs:
        assert pair.equivalence[:4] == equivalence(from_pairs(pair.test), 3)[:4]
    own = [(row, figure) for row in found.rows for figure in row.published if figure.reference.own_protocol]
    for row, figure in own:
        known = figure.reference.accuracy, figure.reference.half_interval, figure.reference.one_run
        assert figure.equivalence[:4] == equivalence(from_figure(row.summary, *known), 3)[:4]
    tests = [figure.equivalence for _, figure in own]
    assert [test.holm_p for test in tests] == holm(np.array([test.p for test in tests])).tolist()
    assert len(own) == 2
    others = [figure for row in found.rows for figure in row.published if not figure.reference.own_protocol]
    assert {figure.equivalence for figure in others} == {None}


def test_what_is_equivalent_or_differs_is_so_after_the_correction_for_the_other_tests():
    equal = Estimate(0.8, 0.6, 9)
    assert equivalence(equal, 2).result == "equivalent"
    assert [test.result for test in corrected([equivalence(equal, 2)], [False])] == ["equivalent"]
    assert [test.result for test in corrected(3 * [equivalence(equal, 2)], 3 * [False])] == 3 * ["not shown"]
    other = equivalence(Estimate(9.0, 0.6, 9), 2)
    assert [test.result for test in corrected([other, other], [True, False])] == ["differs", "not shown"]
    barely = equivalence(Estimate(2 + 2.4 * 0.6, 0.6, 9), 2)  # beyond the margin with a one-sided p of 2 %
    assert [test.result for test in corrected([barely], [True])] == ["differs"]
    assert [test.result for test in corrected(2 * [barely], 2 * [True])] == 2 * ["not shown"]


@pytest.mark.parametrize("margin", [0.0, -2.0, math.nan, math.inf, -math.inf])
def test_a_margin_that_is_no_number_above_0_is_refused(margin):
    with pytest.raises(InputError, match=r"^The margin is .*: give a number of points above 0, such as 2\.$"):
        compare(FOUR, margin)


def test_nothing_is_published_for_other_data_or_numbers_of_labels():
    assert published_beside(LEE["pl"], OTHER_DATA) == []
    assert published_beside(changed(LEE["pl"], labels=50)) == []


# ------------------------------------------------------------------------------------------------- JSON


def finite(fields):
    """The fields with ``None`` for numbers that JSON cannot hold."""
    return {
        name: None if isinstance(value, float) and not math.isfinite(value) else value for name, value in fields.items()
    }


def test_json_holds_the_same_numbers(tmp_path):
    for margin, *results in (
        (None, *FOUR),
        (2, *FOUR),
        (2, diverge(draw("nn", range(5)), 1), draw("pl", range(3, 9), LEE["pl"])),
        (2, draw("nn", [0]), draw("pl", [0])),
    ):
        found = compare(results, margin)
        write_json(tmp_path / "comparison.json", as_json(found))
        read = json.loads((tmp_path / "comparison.json").read_text())
        assert read["margin"] == margin
        for run, row in zip(read["runs"], found.rows, strict=True):
            result = row.result
            assert (run["label"], run["protocol"], run["scenario"]) == (row.label, result.protocol, result.scenario)
            assert run["seeds"] == result.seeds
            accuracies = [math.nan if value is None else value for value in run["accuracies"]]
            np.testing.assert_array_equal(accuracies, row.accuracies)
            assert list(run["summary"]) == list(Summary._fields)
            assert run["summary"] == finite(row.summary._asdict())
            assert run["published"] == [
                finite({**figure.reference._asdict(), **figure.test._asdict(), "holm_p": figure.holm_p})
                | {"equivalence": figure.equivalence and finite(figure.equivalence._asdict())}
                for figure in row.published
            ]
        for written, pair in zip(read["pairs"], found.pairs, strict=True):
            assert (written["first"], written["second"], written["seeds"]) == (pair.first, pair.second, pair.seeds)
            assert written["differences"] == pair.differences.tolist()
            assert written["test"] == finite(pair.test._asdict())
            assert written["equivalence"] == (pair.equivalence and finite(pair.equivalence._asdict()))
            assert written["holm_p"] == (None if math.isnan(pair.holm_p) else pair.holm_p)
