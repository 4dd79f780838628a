"""Features on a common scale: centred, of variance 1, and never divided by a deviation that is only rounding."""

import numpy as np
import pytest

from pljax.data import scaling
from pljax.data.scaling import scaling_of
from pljax.types import InputError, Scaling

RANDOM = np.random.default_rng(0)
UNLIKE = (RANDOM.normal(size=(200, 3)) * [1, 1e4, 1e-4] + [5, -3e4, 0]).astype(np.float32)
PIXELS = RANDOM.integers(0, 256, (200, 16)).astype(np.float32)


def test_features_of_different_ranges_have_mean_0_and_variance_1_each():
    scaling = scaling_of(UNLIKE)
    scaled = scaling.apply(UNLIKE)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.var(axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(scaling.apply(UNLIKE[:3]), scaled[:3])  # new rows are scaled in the same way


def test_pixels_have_one_scale_in_common_and_variance_1_together():
    pixels = PIXELS.copy()
    pixels[:, 0] = 0
    pixels[0, 0] = 255  # rarely above 0: a scale of its own would make 14 of it
    scaling = scaling_of(pixels)
    assert len(set(scaling.scale.tolist())) == 1
    scaled = scaling.apply(pixels)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.var(), 1, rtol=1e-4)
    assert scaled.max() < 4


def test_features_have_one_scale_in_common_where_three_quarters_have_about_the_same_range():
    for narrow, shared in ((0, True), (1, True), (3, False), (7, False)):
        features = RANDOM.random((50, 8)) * np.where(np.arange(8) < narrow, 0.1, 1.0)
        assert (len(set(scaling_of(features).scale.tolist())) == 1) == shared, narrow


def test_rounding_gives_equal_numbers_no_scale():
    features = np.column_stack([np.full(201, 0.1), np.arange(201) * 1e-6, np.arange(201)])
    assert features.std(axis=0)[0] > 0
    assert (scaling_of(features).apply(features)[:, 0] == 0).all()


def test_a_constant_feature_becomes_0_and_changes_no_other():
    for others in (UNLIKE, PIXELS):
        for value in (0.0, 0.1, -12345.678, 1e30):
            features = np.column_stack([others, np.full(len(others), value, np.float32)])
            scaled = scaling_of(features).apply(features)
            assert (scaled[:, -1] == 0).all(), value
            np.testing.assert_array_equal(scaled[:, :-1], scaling_of(others).apply(others))
            later = scaling_of(features).apply(features + np.float32(1000))  # there is no trained weight for it
            np.testing.assert_allclose(later[:, -1], 0, atol=1e-30)
    assert (scaling_of(UNLIKE[:1]).apply(UNLIKE[:1]) == 0).all()  # one row


def test_numbers_of_any_size_stay_finite():
    for least in (1e-45, 1e-40, 1e-37, 1e-30, 1e29):
        for features in (np.array([[0, 1], [least, 3]], np.float32), np.array([[0], [least]], np.float32)):
            scaling = scaling_of(features)
            assert (scaling.scale > 0).all(), least
            assert np.isfinite(scaling.apply(features)).all(), least
            assert np.abs(scaling.apply(features)).max() <= 1.01, least


def test_a_number_too_far_from_the_training_rows_is_refused():
    scaling = scaling_of(UNLIKE * 1e-12)
    far = np.tile(UNLIKE[:1], (3, 1)).astype(np.float64)
    far[1, 2] = 1e29
    with pytest.raises(InputError, match=r"Row 1 has 1e\+29 as feature 2, which is too far from the training rows"):
        scaling.apply(far)


def test_scaling_changes_neither_its_argument_nor_itself():
    for dtype in (np.float32, np.float64, np.uint8):
        features = PIXELS.astype(dtype)
        before = features.copy()
        scaling = scaling_of(features)
        kept = Scaling(*(array.copy() for array in scaling))
        assert scaling.apply(features).dtype == np.float32
        np.testing.assert_array_equal(features, before)
        np.testing.assert_array_equal(scaling.shift, kept.shift)
        np.testing.assert_array_equal(scaling.scale, kept.scale)


def test_deviations_in_blocks_of_rows_are_those_of_all_rows(monkeypatch):
    generator = np.random.default_rng(0)
    for features in (generator.normal(1e6, [1, 1000, 1e-3], (50, 3)), generator.integers(0, 255, (50, 3), np.uint8)):
        whole = scaling_of(features)
        monkeypatch.setattr(scaling, "BLOCK", 20)  # of six rows
        np.testing.assert_allclose(scaling_of(features).scale, whole.scale, rtol=1e-12)
        monkeypatch.undo()
