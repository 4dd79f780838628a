"""Estimated differences: against statsmodels and scipy, cases by hand, and the laws of their intervals and tests."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as oracle
from statsmodels.stats.weightstats import ttost_paired

from pljax.analysis.estimates import Estimate, compare_to, equivalence, from_figure, from_pairs
from pljax.analysis.stats import compare_paired, summarize

# Estimates of a difference of 1.5: of a mean alone, with the error of a figure, and of the figure alone.
ESTIMATES = [Estimate(1.5, *errors) for errors in itertools.product([1e-6, 0.3, 2.0], [1, 4, 29], [0.0, 0.5, 3.0])]
MARGINS = [1e-3, 0.5, 1.4, 1.6, 3.0, 50.0]


# ------------------------------------------------------------------------------------- intervals and p-values


def test_a_difference_without_an_error_of_the_figure_is_scipys_t_test():
    for n, figure in itertools.product([2, 5, 30], [80.0, 84.5, 90.0]):
        values = np.random.default_rng(n).normal(84, 3, n)
        estimate, expected = from_figure(summarize(values), figure), oracle.ttest_1samp(values, figure)
        interval = expected.confidence_interval(0.95)
        found = compare_to(estimate)
        assert found.p == pytest.approx(expected.pvalue, rel=1e-9), (n, figure)
        assert (found.low, found.high) == pytest.approx((interval.low - figure, interval.high - figure)), (n, figure)


def test_a_difference_from_a_figure_by_hand():
    for figure, known, half in (
        (84.0, {}, 4.9683),  # 4.302653 * 2 / sqrt(3)
        (81.0, {}, 4.9683),
        (80.5, {"half_interval": 1.5}, 5.1898),  # the root of 4.9683 squared and 1.5 squared
        (78.0, {"one_run": True}, 9.9366),  # 4.302653 * 2 * sqrt(1 + 1 / 3)
        (75.0, {"one_run": True}, 9.9366),
    ):
        found = compare_to(from_figure(summarize(np.array([84.0, 86.0, 88.0])), figure, **known))
        difference = 86 - figure
        assert found[:3] == pytest.approx((difference, difference - half, difference + half), abs=1e-4), figure
        assert found.inside is (abs(difference) <= half), figure


def test_p_is_the_level_at_which_the_interval_ends_at_the_hypothesis():
    for estimate, hypothesis in itertools.product(ESTIMATES, [0.0, -1.0, 1.4, 1.6, 40.0]):
        p = estimate.p_value(hypothesis)
        assert 0 <= p <= 1, estimate
        if p > 1e-12:
            assert estimate.half_width(1 - p) == pytest.approx(abs(1.5 - hypothesis), rel=1e-3), estimate
        assert p == pytest.approx(estimate._replace(value=-1.5).p_value(-hypothesis), rel=1e-9), estimate
        assert (p <= 0.05) is (abs(1.5 - hypothesis) >= estimate.half_width()), estimate
    assert Estimate(1.5, 0.3, 4, 0.5).p_value(1.5) == 1


def test_an_error_of_the_figure_widens_the_interval_and_raises_p():
    for error, degrees in itertools.product([0.0, 0.3, 2.0], [1, 4, 29]):
        estimates = [Estimate(1.5, error, degrees, half) for half in (0.0, 0.5, 3.0)]
        widths = [estimate.half_width() for estimate in estimates]
        p_values = [estimate.p_value() for estimate in estimates]
        assert widths == sorted(widths)
        assert p_values == sorted(p_values)


def test_a_mean_that_is_the_figure_but_for_rounding_does_not_differ_from_it():
    summary = summarize(np.full(4, 100 * 0.8385))
    for figure in (83.85, math.nextafter(83.85, 0), math.nextafter(83.85, 90)):
        assert compare_to(from_figure(summary, figure))[:3] == (0, 0, 0)
        assert compare_to(from_figure(summary, figure)).p == 1


def test_one_seed_has_a_distance_to_a_published_figure_and_no_verdict():
    for known in ({}, {"half_interval": 1.0}, {"one_run": True}):
        difference, low, high, inside, p = compare_to(from_figure(summarize(np.array([84.0])), 80.0, **known))
        assert (difference, inside) == (4.0, None)
        assert all(map(math.isnan, (low, high, p)))


# --------------------------------------------------------------------------------------------- equivalence


def test_the_equivalence_test_of_pairs_is_statsmodels():
    for n, shift, margin in itertools.product([2, 5, 10, 30], [-1.0, 0.0, 0.4, 3.0], [0.1, 1.0, 2.0]):
        first, second = np.random.default_rng(n).normal([[shift], [0.0]], 1, (2, n))
        found = equivalence(from_pairs(compare_paired(first - second)), margin)
        expected = ttost_paired(first, second, -margin, margin)[0]
        assert found.p == pytest.approx(expected, rel=1e-9, abs=1e-15), (n, shift, margin)
        assert (found.result == "equivalent") is bool(expected <= 0.05), (n, shift, margin)


def test_equivalent_is_what_has_its_90_percent_interval_within_the_margin():
    for estimate, margin in itertools.product(ESTIMATES, MARGINS):
        found = equivalence(estimate, margin)
        assert (found.low + found.high) / 2 == pytest.approx(1.5)
        assert (found.result == "equivalent") is (-margin <= found.low and found.high <= margin), (estimate, margin)


def test_what_differs_has_its_95_percent_interval_beyond_the_margin():
    for estimate, margin in itertools.product(ESTIMATES, MARGINS):
        beyond = 1.5 - estimate.half_width() > margin
        assert (equivalence(estimate, margin).result == "differs") is beyond, (estimate, margin)


def test_the_sign_of_the_difference_does_not_matter_for_equivalence():
    for estimate, margin in itertools.product(ESTIMATES, MARGINS):
        found, mirrored = equivalence(estimate, margin), equivalence(estimate._replace(value=-1.5), margin)
        assert (mirrored.low, mirrored.high, mirrored.p, mirrored.result) == (
            -found.high,
            -found.low,
            found.p,
            found.result,
        )


def test_a_wider_margin_never_makes_equivalence_less_certain():
    for estimate in ESTIMATES:
        p_values = [equivalence(estimate, margin).p for margin in MARGINS]
        assert p_values == sorted(p_values, reverse=True), estimate


def test_a_difference_as_large_as_the_margin_shows_nothing():
    for value in (2.0, -2.0, 0.1 + 0.2):
        for half_interval in (0.0, 0.1):
            found = equivalence(Estimate(value, 0.5, 4, half_interval), 0.3 if abs(value) < 1 else 2.0)
            assert found.p == 0.5
            assert found.result == "not shown"


def test_seeds_that_do_not_vary_show_no_equivalence():
    for half_interval in (0.0, 0.1):
        found = equivalence(Estimate(0.0, 0.0, 4, half_interval), 2.0)
        assert math.isnan(found.p)
        assert found.result == "not shown"


def test_differences_that_are_equal_but_for_rounding_do_not_vary():
    differences = 100 * np.array([0.57, 0.56]) - 100 * np.array([0.5, 0.49])
    assert np.ptp(differences) > 0
    found = equivalence(from_pairs(compare_paired(differences)), 10.0)
    assert found.result == "not shown"
    assert math.isnan(found.p)


def test_fewer_than_two_seeds_show_no_equivalence():
    for values in ([], [1.0]):
        found = equivalence(from_pairs(compare_paired(np.array(values))), 2.0)
        assert found.result == "not shown"
        assert all(map(math.isnan, (found.low, found.high, found.p)))
