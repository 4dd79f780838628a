"""Estimated shares of the classes: against integration by hand, and on populations whose shares are known."""

import numpy as np
import pytest

from pljax.data.shares import SPREADS, Shares, estimate, multinomial, of_labels, posterior, stratified_sample

SHARES = np.array([0.6, 0.2, 0.1, 0.05, 0.05])
CENTRES = 3 * np.random.default_rng(7).normal(size=(5, 8))


def population(shares, labelled=10, rows=1000, seed=0):
    """Labelled rows, so many of each class, their classes, and unlabelled rows of which the classes have ``shares``."""
    generator = np.random.default_rng(seed)
    classes = np.repeat(np.arange(len(shares)), np.round(np.asarray(shares) * rows).astype(int))
    labels = np.repeat(np.arange(len(shares)), labelled)
    draw = [CENTRES[of] + generator.normal(size=(len(of), 8)) for of in (labels, classes)]
    return draw[0], labels, draw[1]


def test_the_shares_of_a_population_are_found_from_evenly_collected_labels():
    for seed in range(3):
        found = estimate(*population(SHARES, seed=seed), 5)
        np.testing.assert_allclose(found.mean.sum(), 1)
        assert abs(found.mean - SHARES).sum() < abs(0.2 - SHARES).sum() / 5
        assert (abs(found.mean - SHARES) < 3 * found.standard_error).all()
        assert (found.standard_error < 0.08).all()


def test_shares_that_are_those_of_the_labels_stay_within_the_interval():
    for seed in range(5):
        found = estimate(*population([0.2] * 5, seed=seed), 5)
        low, high = found.interval()
        assert (low <= 0.2 + 1e-9).all()
        assert (high >= 0.2 - 1e-9).all()
        assert abs(found.mean - 0.2).max() < 0.02


def test_the_classifier_is_fitted_to_a_part_of_many_labels_with_some_of_each_class():
    labels = np.repeat([0, 1, 2, 3], [10_000, 5000, 7, 3])
    some = stratified_sample(labels, 1501)
    assert np.bincount(labels[some]).tolist() == [1000, 500, 5, 3]
    assert stratified_sample(labels[:1501], 1501).tolist() == list(range(1501))


def test_the_order_of_the_classes_does_not_matter():
    inputs, labels, unlabelled = population(SHARES)
    order = np.array([3, 0, 4, 1, 2])
    found, permuted = (estimate(inputs, of, unlabelled, 5) for of in (labels, order[labels]))
    for a, b in zip(found, permuted, strict=True):
        np.testing.assert_allclose(b[order], a, atol=1e-4)


def test_the_posterior_is_that_of_integration_over_the_shares_of_two_classes():
    labels = np.repeat([0, 1], 10)
    held_out = np.where(labels[:, None] == [0, 1], 0.8, 0.2)
    mean, labelled, rows = np.array([0.3, 0.7]), np.array([0.5, 0.5]), 200
    found = posterior(held_out, labels, mean, rows, labelled)

    d = np.linspace(-1.5, 1.5, 20_001)  # the share of the first class is 0.5 + d
    confusion = [(10 * 0.8 + 0.5) / 11, (10 * 0.2 + 0.5) / 11]
    noise = np.array([c * (1 - c) / 10 for c in confusion])
    shares = labelled
    for _ in range(3):
        variance = shares**2 @ noise + 0.3 * 0.7 / rows + 1e-9
        evidence = []
        for spread in SPREADS[1:] / np.sqrt(2):
            prior = np.exp(-(d**2) / spread**2) / spread  # d has the variance spread**2 / 2
            evidence.append(prior * np.exp(-((0.3 - 0.5 - 0.6 * d) ** 2) / variance / 2))
        density = max(evidence, key=np.sum)
        density = density / density.sum()
        first = 0.5 + density @ d
        shares = np.array([first, 1 - first])
    np.testing.assert_allclose(found.mean, shares, atol=1e-4)
    np.testing.assert_allclose(found.standard_error, np.sqrt(density @ (d - density @ d) ** 2), atol=1e-4)


def test_a_class_with_one_label_leaves_the_shares_of_the_labels():
    inputs, labels, unlabelled = population(SHARES)
    kept = np.concatenate([np.arange(10), [10], np.arange(20, 50)])
    found = estimate(inputs[kept], labels[kept], unlabelled, 5)
    np.testing.assert_array_equal(found.mean, of_labels(labels[kept], 5).mean)
    np.testing.assert_array_equal(found.standard_error, 0)


def test_the_interval_is_one_standard_error_wide_on_each_side_and_within_0_and_1():
    interval = Shares(np.array([0.9, 0.1]), np.array([0.2, 0.2])).interval()
    np.testing.assert_allclose(interval, [[0.7, 0], [1, 0.3]])


def test_multinomial_is_the_covariance_of_draws():
    p = np.array([0.5, 0.3, 0.2])
    draws = np.random.default_rng(0).choice(3, 100_000, p=p)
    assert multinomial(p) == pytest.approx(np.cov(np.eye(3)[draws].T), abs=5e-3)
