"""Calibration errors by hand, and temperatures that are known."""

import numpy as np
import pytest
from scipy.special import softmax

from pljax.analysis.calibration import (
    at_temperature,
    by_confidence,
    expected_calibration_error,
    fit_temperature,
    guess_temperature,
)


def test_calibration_error_by_hand():
    confidence = np.array([0.0, 0.05, 0.95, 1.0], np.float32)
    correct = np.array([True, False, True, True])
    bins = by_confidence(confidence, correct, bins=10)
    assert bins.counts.tolist() == [2, 0, 0, 0, 0, 0, 0, 0, 0, 2]
    assert bins.accuracy[[0, 9]].tolist() == [0.5, 1.0]
    assert np.isnan(bins.accuracy[1:9]).all()
    assert expected_calibration_error(confidence, correct) == pytest.approx((2 * (0.5 - 0.025) + 2 * 0.025) / 4)
    assert expected_calibration_error(np.full(4, 0.75), np.array([True, True, True, False])) == 0


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_the_temperature_of_labels_that_are_drawn_from_outputs_at_it_is_found(temperature):
    generator = np.random.default_rng(0)
    probabilities = softmax(3 * generator.normal(size=(20_000, 4)), axis=1)
    draws = generator.random(20_000)[:, None] > at_temperature(probabilities, temperature).cumsum(axis=1)
    labels = draws.sum(axis=1)
    assert fit_temperature(probabilities, labels) == pytest.approx(temperature, rel=0.05)
    tempered = at_temperature(probabilities, temperature)
    correct = tempered.argmax(axis=1) == labels
    assert expected_calibration_error(tempered.max(axis=1), correct) < 0.015


def test_a_temperature_keeps_the_order_of_classes_and_sums_to_one():
    probabilities = np.array([[[0.7, 0.2, 0.1], [0.0, 1.0, 0.0]]])
    for temperature in (0.2, 1.0, 7.0):
        tempered = at_temperature(probabilities, temperature)
        np.testing.assert_allclose(tempered.sum(axis=-1), 1)
        np.testing.assert_array_equal(tempered.argmax(axis=-1), probabilities.argmax(axis=-1))
    np.testing.assert_allclose(at_temperature(probabilities, 1.0), probabilities, atol=1e-6)
    np.testing.assert_allclose(at_temperature(probabilities, 2.0)[0, 0], np.sqrt([7, 2, 1]) / np.sqrt([7, 2, 1]).sum())


def test_labels_that_were_thought_impossible_have_a_finite_temperature():
    assert np.isfinite(fit_temperature(np.array([[0.0, 1.0], [1.0, 0.0]]), np.array([0, 1])))


def test_the_guess_is_high_where_labels_have_nothing_to_do_with_the_rows_and_low_where_they_are_plain():
    generator, labels = np.random.default_rng(0), np.repeat([0, 1, 2], 10)
    noise = generator.normal(size=(30, 20))
    assert guess_temperature(noise, labels) == 20
    assert guess_temperature(noise + 10 * np.eye(3, 20)[labels], labels) == 1.5
    assert 1.5 < guess_temperature(noise + 1.5 * np.eye(3, 20)[labels], labels) < 20


def test_the_guess_needs_two_labels_of_each_class_and_no_more_than_a_thousand():
    generator = np.random.default_rng(0)
    assert guess_temperature(generator.normal(size=(3, 2)), np.array([0, 0, 1])) == 2.5
    labels = np.arange(5000) % 2
    rows = generator.normal(size=(5000, 2)) + labels[:, None]
    kept = generator.permutation(5000)
    assert guess_temperature(rows, labels) == pytest.approx(guess_temperature(rows[kept], labels[kept]), rel=0.2)
