"""The sentences on a comparison: verdicts only where a test can give one, and the remarks that a reader needs."""

import dataclasses

import numpy as np
import pytest
from made_results import make_result

from pljax.analysis.comparison import compare
from pljax.protocols import SCENARIOS
from pljax.protocols.select import SCENARIOS as REPORTED
from pljax.report.sentences import (
    accuracy_drops,
    conclude,
    conclusions,
    describe,
    limits,
    remarks,
    reported_pairs,
    reproductions,
    what_varies,
)
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


def test_a_clear_difference_has_its_direction_interval_seeds_and_p():
    rise, fall = (only(conclusions(pair_of(points + NOISE[:10], 10))) for points in (5, -5))
    assert rise.startswith("pl is 5.00 points above nn (95 % CI 4.47 to 5.53), higher in 10 of 10 seeds")
    assert fall.startswith("pl is 5.00 points below nn (95 % CI -5.53 to -4.47), lower in 10 of 10 seeds")
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
        assert "significant" not in only(conclusions(compared))
        sentence = only(limits(compared))
        assert f"The smallest p that {n} seeds can reach" in sentence
        assert "there is no verdict here. 6 seeds could." in sentence


def test_the_correction_for_several_pairs_counts_in_whether_there_is_a_verdict():
    for n, verdict in ((5, False), (7, False), (8, True)):
        scores = [shifted(6 * number - 2 + NOISE[:n], n, config) for number, config in enumerate(QUICK.values())]
        compared = compare(scores)
        sentence = only(limits(compared))
        assert ("no verdict" in sentence) is not verdict
        assert ("6 seeds could for a single pair, 8 for 6 pairs." in sentence) is not verdict
        # The differences between the runs are all alike, and as clear as can be.
        assert all(("significant" in conclusion) is verdict for conclusion in conclusions(compared))
        if n == 5:
            assert "is 0.0625, 0.3750 after Holm's correction for 6 pairs" in sentence


def test_one_common_seed_has_a_difference_and_no_interval():
    sentence = only(conclusions(compare([shifted(0, 1, QUICK["nn"]), shifted(2, 1)])))
    assert sentence == "pl is 2.00 points above nn in the one seed that both have: one seed has no interval."


def test_a_pair_whose_common_seeds_all_diverged_has_no_difference():
    diverged = make_result(QUICK["pl"], [None, None], diverged={"0": "finetune, epoch 1", "1": "finetune, epoch 1"})
    sentence = only(conclusions(compare([shifted(0, 2, QUICK["nn"]), diverged])))
    assert sentence == "pl and nn have no seed in common that diverged in neither."


def test_equal_accuracies_are_level():
    sentence = only(conclusions(pair_of(0, 10)))
    assert sentence.startswith("pl is level with nn (95 % CI 0.00 to 0.00), higher in 0 of 10 seeds")
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


def test_a_run_under_a_papers_own_protocol_is_compared_with_the_paper():
    for mean, sentence in (
        # Half the interval: the root of 0.5257 squared and the paper's own 1.5 squared is 1.5895.
        (88, "pl is 4.15 points above the 83.85 % of Lee 2013 (unpaired, 95 % CI 2.56 to 5.74): the published figure "
             "does not agree with it."),
        (83.85, "pl is level with the 83.85 % of Lee 2013 (unpaired, 95 % CI -1.59 to 1.59): the published figure "
                "agrees with it."),
    ):  # fmt: skip
        assert only(reproductions(compare([shifted(NOISE[:10], 10, LEE["pl"], base=mean)]))) == sentence


def test_other_protocols_and_runs_without_a_mean_are_compared_with_no_paper():
    changed, _ = override(LEE["pl"], {"alpha_f": 1.0})
    diverged = make_result(LEE["pl"], [None], diverged={"0": "finetune, epoch 1"})
    for result in (shifted(NOISE[:10], 10, QUICK["pl"]), shifted(NOISE[:10], 10, changed), diverged):
        assert reproductions(compare([result])) == []


# ------------------------------------------------------------------------------------------------- remarks


def remarks_on(*results):
    return remarks(compare(results).rows)


def test_the_description_names_data_protocols_overrides_labels_and_seeds():
    assert describe(compare([shifted(0, 2), shifted(1, 2, LEE["pl"])])) == (
        "Test accuracy, %, on the 10,000 test images of mnist; protocols quick and lee2013, 100 labels, seeds 0 to 1"
    )
    changed = [override(QUICK[name], {"hidden": (50, 20), "epochs": 60})[0] for name in ("nn", "pl")]
    assert "protocol quick with hidden=50x20 and epochs=60, 100 labels" in describe(
        compare([shifted(0, 2, config) for config in changed])
    )
    assert describe(compare([shifted(0, 2), shifted(1, 3)])).endswith("each run with its own seeds")


def test_the_labelled_subset_varies_between_seeds_unless_it_is_fixed():
    given = QUICK["pl"].replace(choose_labels="given")
    for config, varies in (
        (QUICK["pl"], True),
        (SCENARIOS["arab2022"]["nn"], False),
        (given.replace(validation=0), False),
        (given.replace(validation=20), True),  # those held back differ
    ):
        sentence = what_varies([make_result(config, [0.8, 0.9])])
        assert ("the labelled subset, the initial weights" in sentence) is varies
        assert only(remarks_on(shifted(0, 2, config))) == sentence


def test_a_diverged_seed_is_named():
    diverged = make_result(QUICK["nn"], [0.5, None, 0.7], diverged={"1": "finetune, epoch 7"})
    remark = remarks_on(diverged)[1]
    assert remark.startswith("nn: seed 1 diverged (finetune, epoch 7).")
    assert "2 of 3 seeds count" in remark


def test_seeds_whose_accuracy_fell_with_pseudo_labels_are_named():
    result = make_result(QUICK["pl"], [0.8, 0.6, 0.5], before=[0.7, 0.7, 0.7], after=[0.8, 0.6, 0.5])
    assert accuracy_drops(result) == {1: pytest.approx(0.1), 2: pytest.approx(0.2)}
    remark = remarks_on(result)[1]
    assert "on 1,000 validation images fell in seed 1 by 10.0 points and seed 2 by 20.0 points" in remark


def test_only_a_drop_beyond_the_noise_of_the_images_counts():
    # Two standard errors of a difference at 0.7 on 1,000 images: 2 sqrt(2 * 0.21 / 1000) = 0.041.
    for after, drops in ((0.69, False), (0.67, False), (0.66, False), (0.658, True)):
        result = make_result(QUICK["pl"], [after], before=[0.7], after=[after])
        assert bool(accuracy_drops(result)) is drops, after
    diverged = make_result(QUICK["pl"], [None], before=[None], after=[None], diverged={"0": "finetune"})
    assert accuracy_drops(diverged) == {}


def test_runs_on_different_devices_are_remarked():
    one, other = (
        dataclasses.replace(shifted(0, 2, QUICK[name]), device={"kind": kind, "platform": kind})
        for name, kind in (("nn", "cpu"), ("pl", "gpu"))
    )
    assert any("different devices, cpu (cpu) and gpu (gpu)" in remark for remark in remarks_on(one, other))
    assert not any("devices" in remark for remark in remarks_on(one, one))
