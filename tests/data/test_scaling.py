"""Features on a common scale: centred, of variance 1, and nothing blown up that is not to be."""

import numpy as np
import pytest

from pljax.data.scaling import scaling_of
from pljax.types import Scaling

RANDOM = np.random.default_rng(0)
UNLIKE = (RANDOM.normal(size=(200, 3)) * [1, 1e4, 1e-4] + [5, -3e4, 0]).astype(np.float32)
PIXELS = RANDOM.integers(0, 256, (200, 16)).astype(np.float32)


def test_features_of_different_kinds_have_mean_0_and_variance_1_each():
    scaled = scaling_of(UNLIKE).apply(UNLIKE)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(scaled.var(axis=0), 1, rtol=1e-4)


def test_pixels_share_one_scale_and_have_variance_1_together():
    pixels = PIXELS.copy()
    pixels[:, 0] = 0
    pixels[0, 0] = 255  # rarely lit: a scale of its own would make 14 of it
    scaling = scaling_of(pixels)
    assert len(set(scaling.scale.tolist())) == 1
    scaled = scaling.apply(pixels)
    np.testing.assert_allclose(scaled.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(scaled.var(), 1, rtol=1e-4)
    assert scaled.max() < 4


@pytest.mark.parametrize(("narrow", "shared"), [(0, True), (1, True), (3, False), (5, False), (7, False)])
def test_features_share_a_scale_where_three_quarters_have_about_the_same_range(narrow, shared):
    features = RANDOM.random((50, 8)) * np.where(np.arange(8) < narrow, 0.1, 1.0)
    assert (len(set(scaling_of(features).scale.tolist())) == 1) == shared


def test_rounding_gives_equal_numbers_no_scale():
    features = np.column_stack([np.full(201, 0.1), np.arange(201) * 1e-6, np.arange(201)])
    assert features.std(axis=0)[0] > 0
    assert scaling_of(features).scale[0] == 1


@pytest.mark.parametrize("features", [UNLIKE, PIXELS], ids=["unlike", "pixels"])
@pytest.mark.parametrize("value", [0.0, 0.1, -12345.678, 1e30])
def test_a_feature_that_is_the_same_in_all_rows_becomes_0(features, value):
    features = np.column_stack([features, np.full(len(features), value, np.float32)])
    scaled = scaling_of(features).apply(features)
    assert (scaled[:, -1] == 0).all()
    np.testing.assert_array_equal(scaled[:, :-1], scaling_of(features[:, :-1]).apply(features[:, :-1]))


@pytest.mark.parametrize("least", [1e-45, 1e-40, 1e-37, 1e-30, 1e29])
def test_no_size_of_numbers_makes_what_is_no_number(least):
    for features in (np.array([[0, 1], [least, 3]], np.float32), np.array([[0], [least]], np.float32)):
        scaling = scaling_of(features)
        assert (scaling.scale > 0).all()
        assert np.isfinite(scaling.apply(features)).all()
        assert np.abs(scaling.apply(features)).max() <= 1.01


def test_one_row_becomes_0():
    assert (scaling_of(UNLIKE[:1]).apply(UNLIKE[:1]) == 0).all()


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.uint8])
def test_what_is_scaled_stays_as_it_was(dtype):
    features = PIXELS.astype(dtype)
    before = features.copy()
    scaling = scaling_of(features)
    kept = Scaling(*(array.copy() for array in scaling))
    assert scaling.apply(features).dtype == np.float32
    np.testing.assert_array_equal(features, before)
    np.testing.assert_array_equal(scaling.shift, kept.shift)
    np.testing.assert_array_equal(scaling.scale, kept.scale)


def test_new_rows_are_scaled_by_what_the_others_told():
    scaling = scaling_of(UNLIKE)
    np.testing.assert_allclose(scaling.apply(UNLIKE[:3]), scaling.apply(UNLIKE)[:3])
    np.testing.assert_allclose(scaling.apply(UNLIKE[:3]), (UNLIKE[:3] - UNLIKE.mean(axis=0)) / UNLIKE.std(axis=0), 1e-3)
