"""The sentences on pairs and published figures: verdicts only where a test can give one."""

import dataclasses

import numpy as np
import pytest
from made_results import make_result

from pljax.analysis.comparison import compare
from pljax.protocols import SCENARIOS
from pljax.protocols.select import LEE_SCENARIOS as REPORTED
from pljax.report.verdicts import conclude, conclusions, limits, reported_pairs, reproductions
from pljax.settings import override

QUICK, LEE = ({name: SCENARIOS[protocol][name] for name in REPORTED} for protocol in ("quick", "lee2013"))
# The first ten have mean 0 and SD 0.7348; half their interval is 2.262157 * 0.7348 / sqrt(10) = 0.5257.
NOISE = np.array([0.3, -1.2, 0.8, 0.1, -0.5, 1.1, -0.9, 0.6, -0.2, -0.1, 0.4, -0.7])


def shifted(points, n, config=QUICK["pl"], base=80.0):
    """A result whose seeds are ``points`` (a number or one a seed) above 80 %."""
    return make_result(config, ((base + np.broadcast_to(points, n)) / 100).tolist())


def pair_of(points, n):
    """`nn` at 80 % in every seed, and `pl` that many points above."""
    return compare([shifted(0, n, QUICK["nn"]), shifted(points, n)])


def only(sentences):
    (sentence,) = sentences
    return sentence


def test_a_clear_difference_has_its_interval_direction_seeds_and_p():
    rise, fall = (only(conclusions(pair_of(points + NOISE[:10], 10))) for points in (5, -5))
    assert rise.startswith("pl - nn: between 4.47 and 5.53 points (95 % CI; mean 5.00), higher in 10 of 10 seeds")
    assert fall.startswith("pl - nn: between -5.53 and -4.47 points (95 % CI; mean -5.00), lower in 10 of 10 seeds")
    assert rise.endswith("permutation p = 0.0020: significant at the 5 % level.")


def test_a_difference_that_is_not_significant_names_the_seeds_it_would_need_if_they_are_more():
    compared = pair_of(0.2 + NOISE[:10], 10)
    (pair,), sentence = compared.pairs, only(conclusions(compared))
    assert "not significant at the 5 % level" in sentence
    assert f"would need {pair.test.seeds_needed:,} seeds" in sentence
    for needed, more in ((10, False), (11, True)):
        judged = dataclasses.replace(pair, test=pair.test._replace(seeds_needed=needed))
        assert ("would need" in conclude(judged, 1)) is more


def test_a_pair_with_fewer_seeds_than_the_others_has_a_verdict_of_its_own():
    long = [shifted(9 * place + NOISE[:10], 10, QUICK[name]) for place, name in enumerate(("nn", "pl", "pl_dae"))]
    short = shifted(-9 + NOISE[:4], 4, QUICK["drop_nn"])
    compared = compare([*long, short])
    for pair, sentence in zip(reported_pairs(compared), conclusions(compared), strict=True):
        assert ("significant" in sentence) is (pair.test.n == 10)
        assert (pair.holm_p <= 0.05) is (pair.test.n == 10)
    assert len(limits(compared)) == 2


def test_there_is_no_verdict_where_no_test_can_give_one():
    for n in (2, 3, 4, 5):
        compared = pair_of(15 + NOISE[:n], n)
        sentence = only(conclusions(compared))
        assert "significant" not in sentence
        assert sentence.endswith(f"{n} seeds allow no verdict of the permutation test, 6 could.")
        sentence = only(limits(compared))
        assert f"The smallest p that {n} seeds can reach" in sentence
        assert "there is no verdict here. 6 seeds could give one, if" in sentence


def test_the_correction_for_several_pairs_counts_in_whether_there_is_a_verdict():
    for n, verdict in ((5, False), (7, False), (8, True)):
        scores = [shifted(6 * number - 2 + NOISE[:n], n, config) for number, config in enumerate(QUICK.values())]
        compared = compare(scores)
        sentence = only(limits(compared))
        assert ("no verdict" in sentence) is not verdict
        assert ("6 seeds could give one for a single pair, 8 for 6 pairs, if" in sentence) is not verdict
        # The differences between the runs are all alike, and as clear as can be.
        assert all(("significant" in conclusion) is verdict for conclusion in conclusions(compared))
        if n == 5:
            assert "is 0.0625, 0.3750 after Holm's correction for 6 pairs" in sentence


def test_one_common_seed_has_a_difference_and_no_interval():
    sentence = only(conclusions(compare([shifted(0, 1, QUICK["nn"]), shifted(2, 1)])))
    assert sentence == "pl - nn: 2.00 points in the one seed that both have, and one seed has no interval."


def test_a_pair_whose_common_seeds_all_diverged_has_no_difference():
    diverged = make_result(QUICK["pl"], [None, None], diverged={"0": "finetune, epoch 1", "1": "finetune, epoch 1"})
    sentence = only(conclusions(compare([shifted(0, 2, QUICK["nn"]), diverged])))
    assert sentence == "pl and nn have no seed in common that diverged in neither."


def test_where_signs_are_clear_and_the_interval_is_not_the_sentence_says_so():
    for outlier, clear in ((1.0, True), (12.0, False)):
        points = np.array([*np.linspace(0.5, 1.0, 9), outlier])
        sentence = only(conclusions(pair_of(points, 10)))
        assert "p = 0.0020: significant at the 5 % level" in sentence
        assert ("although the t-interval of the mean includes 0" in sentence) is not clear


def test_equal_accuracies_have_no_difference():
    sentence = only(conclusions(pair_of(0, 10)))
    assert sentence.startswith("pl - nn: between 0.00 and 0.00 points (95 % CI; mean 0.00), higher in 0 of 10 seeds")
    assert sentence.endswith("not significant at the 5 % level.")


def named(compared):
    return [(pair.first, pair.second) for pair in reported_pairs(compared)]


def test_each_run_is_compared_with_the_one_before_it_and_the_last_with_the_first():
    compared = compare([shifted(NOISE[:3], 3, config) for config in QUICK.values()])
    assert named(compared) == [("drop_nn", "nn"), ("pl", "drop_nn"), ("pl_dae", "pl"), ("pl_dae", "nn")]


def test_a_scenario_is_compared_with_itself_under_another_protocol():
    compared = compare([shifted(NOISE[:3], 3, of[name]) for of in (QUICK, LEE) for name in ("pl", "pl_dae")])
    assert named(compared) == [
        ("quick pl_dae", "quick pl"),
        ("lee2013 pl_dae", "lee2013 pl"),
        ("lee2013 pl", "quick pl"),
        ("lee2013 pl_dae", "quick pl_dae"),
    ]


def test_all_pairs_are_compared_where_no_two_runs_have_scenario_or_protocol_in_common():
    compared = compare([shifted(0, 3, QUICK["nn"]), shifted(1, 3, LEE["pl"])])
    assert named(compared) == [("lee2013 pl", "quick nn")]


# --------------------------------------------------------------------------------------- published figures


@pytest.mark.parametrize(
    ("mean", "expected"),
    [
        # Half the interval: the root of 0.5257 squared and the paper's own 1.5 squared is 1.5895.
        (88, ["pl and the published 83.85 % (Lee 2013): not reproduced.", "between 2.56 and 5.74 points"]),
        (83, ["pl and the published 83.85 % (Lee 2013): undecided.", "between -2.44 and 0.74 points"]),
    ],
)
def test_a_run_under_a_papers_own_protocol_is_compared_with_the_paper(mean, expected):
    sentence = only(reproductions(compare([shifted(NOISE[:10], 10, LEE["pl"], base=mean)])))
    assert all(words in sentence for words in expected)


def test_several_published_figures_are_corrected_for_each_other():
    """A difference that is significant by itself alone is not said to be one."""
    beside = [shifted(NOISE[:10], 10, LEE[name], base) for name, base in (("drop_nn", 78.1), ("pl_dae", 89.5))]
    for base, alone, corrected in ((85.6, True, False), (88, True, True), (84, False, False)):
        result = shifted(NOISE[:10], 10, LEE["pl"], base)
        for results, differs in (([result], alone), ([*beside, result], corrected)):
            *others, sentence = reproductions(compare(results))
            assert ((": not reproduced." in sentence), (": undecided." in sentence)) == (differs, not differs)
            assert ("after Holm's correction for 3 published figures" in sentence) is (len(results) == 3)
            assert all(": undecided." in other for other in others)


def test_one_seed_cannot_be_judged_by_a_published_figure():
    sentence = only(reproductions(compare([shifted(0, 1, LEE["pl"], base=83)], margin=2)))
    assert sentence == "pl - the published 83.85 % (Lee 2013): -0.85 points, and one seed has no interval."


# --------------------------------------------------------------------------------------------- equivalence


@pytest.mark.parametrize(("points", "result"), [(0.2, "equivalent"), (2.1, "not shown"), (5, "differs")])
def test_an_equivalence_test_has_its_result_in_words(points, result):
    results = [shifted(0, 10, LEE["nn"], base=83.85), shifted(points + NOISE[:10], 10, LEE["pl"], base=83.85)]
    compared = compare(results, margin=2)
    words = {
        "equivalent": "Equivalent within 2 points",
        "not shown": "Equivalence within 2 points is not shown",
        "differs": "Not within 2 points",
    }
    (pair,), figure = compared.pairs, compared.rows[1].published[0]
    assert pair.equivalence.result == result
    assert f" {words[result]}" in only(conclusions(compared))
    assert f" {words[figure.equivalence.result]}" in only(reproductions(compared))
    verdict = "reproduced within 2 points" if result == "equivalent" else "not reproduced"
    assert f": {verdict}." in only(reproductions(compared))
    for sentence in [*conclusions(compare(results)), *reproductions(compare(results))]:
        assert not any(word in sentence for word in words.values())


def test_other_protocols_and_runs_without_a_mean_are_compared_with_no_paper():
    changed, _ = override(LEE["pl"], {"alpha_f": 1.0})
    diverged = make_result(LEE["pl"], [None], diverged={"0": "finetune, epoch 1"})
    for result in (shifted(NOISE[:10], 10, QUICK["pl"]), shifted(NOISE[:10], 10, changed), diverged):
        assert reproductions(compare([result])) == []
