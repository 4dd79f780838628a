"""The summary of a sample of seeds."""

import math

import numpy as np
import pytest
from scipy import stats

from pljax.stats import Summary, summarize


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30, 200])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_interval_is_students(n, confidence):
    values = np.random.default_rng(n).normal(85, 3, n)
    summary = summarize(values, confidence)
    low, high = stats.t.interval(confidence, n - 1, loc=values.mean(), scale=stats.sem(values))
    assert summary.n == n
    assert summary.mean == pytest.approx(values.mean(), rel=1e-12)
    assert summary.sd == pytest.approx(values.std(ddof=1), rel=1e-12)
    assert (summary.low, summary.high) == pytest.approx((low, high), rel=1e-12)


def test_a_case_by_hand():
    # Mean 2, deviations -1, 0, 1: SD 1; t of 2 degrees of freedom at 0.975 is 4.302653; half 4.302653 / sqrt(3).
    assert summarize(np.array([1.0, 2.0, 3.0])) == pytest.approx((3, 2.0, 1.0, 2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_equal_values_have_an_interval_of_no_width():
    assert summarize(np.full(4, 0.25)) == Summary(4, 0.25, 0.0, 0.25, 0.25)


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_seed_without_a_figure_is_left_out(lost):
    assert summarize(np.array([1.0, lost, 2.0, 4.0])) == summarize(np.array([1.0, 2.0, 4.0]))


def test_one_seed_has_a_mean_and_no_spread():
    n, mean, *spread = summarize(np.array([0.7, math.nan]))
    assert (n, mean) == (1, 0.7)
    assert all(map(math.isnan, spread))


@pytest.mark.parametrize("values", [[], [math.nan, math.nan]])
def test_no_seed_has_nothing(values):
    n, *rest = summarize(np.array(values))
    assert n == 0
    assert all(map(math.isnan, rest))


def test_single_precision_is_summed_in_double():
    values = np.array([16_777_216.0, 1.0, 1.0], np.float32)  # in float32 the ones are lost
    assert summarize(values).mean == 16_777_218 / 3
