"""The remarks that a reader of the scores needs, and the line that says what was compared."""

import dataclasses

import numpy as np
import pytest
from made_results import make_result

from pljax.analysis.comparison import compare
from pljax.protocols import SCENARIOS
from pljax.protocols.select import LEE_SCENARIOS as REPORTED
from pljax.report.sentences import accuracy_drops, describe, remarks, what_varies
from pljax.settings import override

QUICK, LEE = ({name: SCENARIOS[protocol][name] for name in REPORTED} for protocol in ("quick", "lee2013"))


def shifted(points, n, config=QUICK["pl"], base=80.0):
    """A result whose seeds are ``points`` (a number or one a seed) above 80 %."""
    return make_result(config, ((base + np.broadcast_to(points, n)) / 100).tolist())


def only(sentences):
    (sentence,) = sentences
    return sentence


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
    more_labels = LEE["pl"].replace(labels=1000)
    assert "protocol lee2013, 1,000 labels, seeds 0 to 1" in describe(compare([shifted(0, 2, more_labels)]))
    assert describe(compare([shifted(0, 2), shifted(1, 3)])).endswith("each run with its own seeds")


def test_the_description_names_only_overrides_of_all_runs_that_have_the_setting():
    lower = override(QUICK["pl"], {"alpha_f": 1.0})[0]
    for others, named in (([QUICK["pl"]], False), ([QUICK["nn"]], True), ([], True)):
        described = describe(compare([shifted(0, 2, config) for config in (lower, *others)]))
        assert ("alpha_f" in described) is named, others


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
    assert what_varies([make_result(QUICK["pl"], [0.8])]) == "One seed has no interval: give more --seeds."


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


def test_what_lowered_the_accuracy_is_named_as_the_method_has_it():
    for name, what, advised in (
        ("pl", "with pseudo-labels", True),
        ("ladder_pl", "with pseudo-labels", True),
        ("ladder", "with the unlabelled images", False),
        ("vat", "with the unlabelled images", True),
    ):
        remark = remarks_on(make_result(SCENARIOS["quick"][name], [0.6], before=[0.7], after=[0.6]))[1]
        assert what in remark
        assert ("try a lower --alpha_f" in remark) is advised


def test_only_a_drop_beyond_the_noise_of_the_images_counts():
    # Two standard errors of a difference at 0.7 on 1,000 images: 2 sqrt(2 * 0.21 / 1000) = 0.041.
    for after, drops in ((0.69, False), (0.67, False), (0.66, False), (0.658, True)):
        result = make_result(QUICK["pl"], [after], before=[0.7], after=[after])
        assert bool(accuracy_drops(result)) is drops, after
    diverged = make_result(QUICK["pl"], [None], before=[None], after=[None], diverged={"0": "finetune"})
    assert accuracy_drops(diverged) == {}


def make_covered(config, shares):
    return dataclasses.replace(make_result(config, [0.8] * len(shares)), pseudo_label_coverage=shares)


def test_the_share_of_images_with_a_pseudo_label_is_told_where_some_have_none():
    result = make_result(QUICK["pl"], [0.8, 0.6, None], diverged={"2": "finetune, epoch 1"})
    for shares, told in (
        ([0.25, 0.5, None], "pl: at the end, 37.5 % of the unlabelled images had a pseudo-label"),
        ([0.0, 0.0, None], "pl: at the end, 0.0 % of the unlabelled images"),
        ([1.0, 1.0, None], None),
        ([None, None, None], None),
        (None, None),
    ):
        remarks = remarks_on(dataclasses.replace(result, pseudo_label_coverage=shares))
        found = [remark for remark in remarks if "had a pseudo-label" in remark]
        assert [remark.startswith(told) for remark in found] == [True] * (told is not None), shares
        assert not any("--threshold" in remark for remark in found)
    sure = override(QUICK["pl"], {"threshold": 0.9})[0]
    (remark,) = (text for text in remarks_on(make_covered(sure, [0.5, 0.5])) if "had a pseudo-label" in text)
    assert remark.endswith("the outputs for the others were below --threshold.")


def test_runs_on_different_devices_are_remarked():
    one, other = (
        dataclasses.replace(shifted(0, 2, QUICK[name]), device={"kind": kind, "platform": kind})
        for name, kind in (("nn", "cpu"), ("pl", "gpu"))
    )
    assert any("different devices, cpu (cpu) and gpu (gpu)" in remark for remark in remarks_on(one, other))
    assert not any("devices" in remark for remark in remarks_on(one, one))
