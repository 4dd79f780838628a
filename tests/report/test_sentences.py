"""The sentences that are made of a comparison: what they say, and what they refuse to say."""

import dataclasses

import numpy as np
import pytest
from made_results import make_result

from pljax.analysis.comparison import compare
from pljax.protocols import SCENARIOS
from pljax.report.sentences import (
    conclude,
    conclusions,
    describe,
    diverged_sentence,
    limits,
    remarks,
    reproductions,
    significant_pairs,
    what_varies,
)
from pljax.settings import override

QUICK, LEE = SCENARIOS["quick"], SCENARIOS["lee2013"]
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


def test_a_clear_difference_is_told_with_its_interval_its_seeds_and_its_p():
    said = only(conclusions(pair_of(5 + NOISE[:10], 10)))
    assert said.startswith("pl is 5.00 points above nn (95 % CI 4.47 to 5.53), higher in 10 of 10 seeds")
    assert said.endswith("permutation p = 0.0020: significant at the 5 % level.")


def test_a_fall_is_told_as_a_fall():
    said = only(conclusions(pair_of(-5 + NOISE[:10], 10)))
    assert "pl is 5.00 points below nn (95 % CI -5.53 to -4.47), lower in 10 of 10 seeds" in said


def test_noise_is_not_significant_and_the_seeds_it_would_take_are_told():
    compared = pair_of(0.2 + NOISE[:10], 10)
    said = only(conclusions(compared))
    needed = compared.pairs[0].test.seeds_needed
    assert needed > 10
    assert "not significant at the 5 % level" in said
    assert f"would need {needed:,} seeds to find it with 80 % power" in said


def test_a_pair_that_has_the_seeds_it_needs_is_not_told_to_take_so_many():
    (pair,) = pair_of(0.2 + NOISE[:10], 10).pairs
    for needed, told in ((10, False), (11, True)):
        judged = dataclasses.replace(pair, test=pair.test._replace(seeds_needed=needed))
        assert ("would need" in conclude(judged, 1)) is told


def test_a_pair_with_fewer_seeds_than_the_others_has_a_verdict_of_its_own():
    long = [shifted(9 * place + NOISE[:10], 10, QUICK[name]) for place, name in enumerate(("nn", "pl", "pl_dae"))]
    short = shifted(-9 + NOISE[:4], 4, QUICK["drop_nn"])
    compared = compare([*long, short])
    for pair, said in zip(significant_pairs(compared), conclusions(compared), strict=True):
        assert ("significant" in said) is (pair.test.n == 10)
        assert (pair.holm_p <= 0.05) is (pair.test.n == 10)
    assert len(limits(compared)) == 2


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_there_is_no_verdict_where_no_test_can_give_one(n):
    compared = pair_of(15 + NOISE[:n], n)
    assert "significant" not in only(conclusions(compared))
    said = only(limits(compared))
    assert f"The smallest p that {n} seeds can reach" in said
    assert "no exact test can reach 0.05, so there is no verdict here. 6 seeds could." in said


def test_five_seeds_of_four_scenarios_are_told_how_many_seeds_a_verdict_takes():
    compared = compare([shifted(number + NOISE[:5], 5, config) for number, config in enumerate(QUICK.values())])
    said = only(limits(compared))
    assert "is 0.0625, 0.3750 after Holm's correction for 6 pairs" in said
    assert "6 seeds could for a single pair, 8 for 6 pairs." in said


@pytest.mark.parametrize(("n", "verdict"), [(7, False), (8, True)])
def test_the_correction_counts_in_whether_a_verdict_can_be_had(n, verdict):
    compared = compare([shifted(6 * number - 2 + NOISE[:n], n, config) for number, config in enumerate(QUICK.values())])
    assert ("no verdict" in only(limits(compared))) is not verdict
    # Differences between the runs are all alike, and as clear as can be.
    assert all(("significant" in sentence) is verdict for sentence in conclusions(compared))


def test_one_common_seed_has_a_difference_and_no_interval():
    said = only(conclusions(compare([shifted(0, 1, QUICK["nn"]), shifted(2, 1)])))
    assert said == "pl is 2.00 points above nn in the one seed that both have: one seed has no interval."


def test_nothing_can_be_said_where_every_common_seed_diverged():
    lost = make_result(QUICK["pl"], [None, None], diverged={"0": "finetune, epoch 1", "1": "finetune, epoch 1"})
    said = only(conclusions(compare([shifted(0, 2, QUICK["nn"]), lost])))
    assert said == "pl and nn have no seed in common that diverged in neither."


def test_equal_scores_are_level():
    said = only(conclusions(pair_of(0, 10)))
    assert said.startswith("pl is level with nn (95 % CI 0.00 to 0.00), higher in 0 of 10 seeds")
    assert said.endswith("not significant at the 5 % level.")


def named(compared):
    return [(pair.first, pair.second) for pair in significant_pairs(compared)]


def test_each_run_is_held_against_the_one_before_it_and_the_last_against_the_first():
    compared = compare([shifted(NOISE[:3], 3, config) for config in QUICK.values()])
    assert named(compared) == [("drop_nn", "nn"), ("pl", "drop_nn"), ("pl_dae", "pl"), ("pl_dae", "nn")]


def test_under_two_protocols_the_same_scenario_is_held_against_itself():
    compared = compare([shifted(NOISE[:3], 3, of[name]) for of in (QUICK, LEE) for name in ("pl", "pl_dae")])
    assert named(compared) == [
        ("quick pl_dae", "quick pl"),
        ("lee2013 pl_dae", "lee2013 pl"),
        ("lee2013 pl", "quick pl"),
        ("lee2013 pl_dae", "quick pl_dae"),
    ]


def test_runs_that_have_neither_in_common_are_all_held_against_each_other():
    compared = compare([shifted(0, 3, QUICK["nn"]), shifted(1, 3, LEE["pl"])])
    assert named(compared) == [("lee2013 pl", "quick nn")]


# --------------------------------------------------------------------------------------- published figures


def test_a_papers_own_protocol_is_held_against_the_paper():
    said = only(reproductions(compare([shifted(8 + NOISE[:10], 10, LEE["pl"])])))
    assert said == (
        # The root of 0.5257 squared and the paper's own 1.5 squared is 1.5895.
        "pl is 4.15 points above the 83.85 % of Lee 2013 (unpaired, 95 % CI 2.56 to 5.74): the published figure does "
        "not agree with it."
    )


def test_a_figure_inside_the_interval_is_said_to_agree():
    assert "is level with the 83.85 % of Lee 2013" in only(
        reproductions(compare([shifted(3.85 + NOISE[:10], 10, LEE["pl"])]))
    )
    assert "the published figure agrees with it" in only(
        reproductions(compare([shifted(3.85 + NOISE[:10], 10, LEE["pl"])]))
    )


def test_another_protocol_reproduces_nothing():
    assert reproductions(compare([shifted(NOISE[:10], 10, QUICK["pl"])])) == []
    changed, _ = override(LEE["pl"], {"alpha_f": 1.0})
    assert reproductions(compare([shifted(NOISE[:10], 10, changed)])) == []


def test_a_run_without_a_mean_is_held_against_nothing():
    lost = make_result(LEE["pl"], [None], diverged={"0": "finetune, epoch 1"})
    assert reproductions(compare([lost])) == []


# ------------------------------------------------------------------------------------------------- remarks


def remarks_on(*results):
    return remarks(compare(results).rows)


def test_the_dials_that_were_turned_are_told():
    changed, _ = override(QUICK["pl"], {"hidden": (50, 20), "epochs": 60})
    nn, _ = override(QUICK["nn"], {"hidden": (50, 20), "epochs": 60})
    both = [shifted(0, 2, nn), shifted(1, 2, changed)]
    assert "protocol quick with hidden=50x20 and epochs=60, 100 labels" in describe(compare(both))
    assert "protocol quick, 100 labels" in describe(compare([shifted(0, 2)]))


def test_the_line_says_what_was_measured_on_what():
    said = describe(compare([shifted(0, 2), shifted(1, 2, LEE["pl"])]))
    assert said == (
        "Test accuracy, %, on the 10,000 test images of mnist; protocols quick and lee2013, 100 labels, seeds 0 to 1"
    )


def test_runs_of_different_seeds_are_said_to_have_their_own():
    assert describe(compare([shifted(0, 2), shifted(1, 3)])).endswith("each run with its own seeds")


def test_what_varies_depends_on_how_labels_are_chosen():
    random = only(remarks_on(shifted(0, 2)))
    first = only(remarks_on(shifted(0, 2, SCENARIOS["arab2022"]["nn"])))
    assert "the labelled subset, the initial weights and the order of the mini-batches vary" in random
    assert "the labelled subset and the test images do not" in first


@pytest.mark.parametrize(("validation", "varies"), [(0, False), (20, True)])
def test_given_labels_vary_where_some_are_held_back(validation, varies):
    config = QUICK["pl"].replace(choose_labels="given", validation=validation)
    assert ("labelled subset, the initial weights" in what_varies([make_result(config, [0.8, 0.9])])) == varies


def test_a_diverged_seed_is_named():
    lost = make_result(QUICK["nn"], [0.5, None, 0.7], diverged={"1": "finetune, epoch 7"})
    assert remarks_on(lost)[1].startswith("nn: seed 1 diverged (finetune, epoch 7). What diverged is in no mean")


def test_seeds_that_pseudo_labels_made_worse_are_named():
    result = make_result(QUICK["pl"], [0.8, 0.6, 0.5], before=[0.7, 0.7, 0.7], after=[0.8, 0.6, 0.5])
    assert diverged_sentence(result) == {1: pytest.approx(0.1), 2: pytest.approx(0.2)}
    assert (
        "pl: pseudo-labels left seed 1 by 10.0 points and seed 2 by 20.0 points less accurate (*) on 1,000 validation "
        "images than they found it"
    ) in remarks_on(result)[1]


@pytest.mark.parametrize(("after", "told"), [(0.69, False), (0.67, False), (0.65, True)])
def test_a_fall_within_the_noise_of_a_thousand_images_is_not_told(after, told):
    # Two standard errors of a difference at 0.7: 2 sqrt(2 * 0.21 / 1000) = 0.041.
    assert bool(diverged_sentence(make_result(QUICK["pl"], [after], before=[0.7], after=[after]))) is told


def test_a_diverged_seed_has_not_fallen():
    result = make_result(QUICK["pl"], [0.8, None], before=[0.7, None], after=[0.8, None], diverged={"1": "finetune"})
    assert diverged_sentence(result) == {}


def test_different_devices_are_told():
    one, other = (
        dataclasses.replace(shifted(0, 2, QUICK[name]), device={"kind": kind, "platform": kind})
        for name, kind in (("nn", "cpu"), ("pl", "gpu"))
    )
    assert any("different devices, cpu (cpu) and gpu (gpu)" in remark for remark in remarks_on(one, other))
    assert not any("devices" in remark for remark in remarks_on(one, one))
