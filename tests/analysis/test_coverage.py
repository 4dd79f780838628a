"""Simulated experiments: how often each interval of the report covers the truth, and how often its tests are wrong.

``pytest -m slow -s tests/analysis/test_coverage.py`` prints the shares, which experiments/README.md quotes. The
standard error of a share of 95 % is 0.34 points, that of one of 5 % the same.
"""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as oracle

from pljax.analysis import stats
from pljax.analysis.estimates import compare_to, equivalence, from_figure, from_pairs
from pljax.analysis.stats import compare_paired, holm, permutation_p, smallest_p, summarize

pytestmark = pytest.mark.slow
REPEATS = 4000
SEEDS = [5, 10, 30]
ERROR = 4 * math.sqrt(0.05 * 0.95 / REPEATS)  # four standard errors
IMAGES = 10_000


@pytest.fixture(autouse=True)
def _fewer_flips(monkeypatch):
    """Beyond 20 seeds flips are drawn: the test is as valid with 2,000 as with 100,000, and takes less time."""
    monkeypatch.setattr(stats, "FLIPS", 2000)


def check(name, hits, least=0.0, most=1.0):
    """Assert that the share of ``hits`` lies within an interval, and print it."""
    share = float(np.mean(np.asarray(hits, np.float64)))
    print(f"\n{name}: {share:.1%} of {len(hits):,}", end="")
    assert least <= share <= most, name


def covers(interval, truth):
    return interval.low <= truth <= interval.high


# ------------------------------------------------------------------------------------------- one run, and pairs


def normal(generator, size):
    return generator.normal(88, 2, size), 88.0


def skewed(generator, size):
    """Many seeds near the best accuracy, and a long tail below it."""
    return 90 - generator.gamma(1.0, 3.0, size), 87.0


def clusters(generator, size):
    """Three seeds of four near one accuracy, the fourth merges two classes and is nine points below."""
    good = generator.random(size) < 0.75
    return generator.normal(np.where(good, 88.0, 79.0), 1), 0.75 * 88 + 0.25 * 79


@pytest.mark.parametrize("n", SEEDS)
def test_students_interval_covers_the_mean_of_normal_seeds(n):
    values, mean = normal(np.random.default_rng(n), (REPEATS, n))
    check(f"t-interval, normal, {n} seeds", [covers(summarize(of), mean) for of in values], 0.95 - ERROR, 0.95 + ERROR)


@pytest.mark.parametrize(("draw", "least"), [(skewed, (0.86, 0.88, 0.91)), (clusters, (0.75, 0.91, 0.92))])
def test_students_interval_covers_less_where_seeds_are_far_from_normal(draw, least):
    for n, lower in zip(SEEDS, least, strict=True):
        values, mean = draw(np.random.default_rng(n), (REPEATS, n))
        name = f"t-interval, {draw.__name__}, {n} seeds"
        check(name, [covers(summarize(of), mean) for of in values], lower, 0.95)


def pairs(n, difference, runs=2):
    """Accuracies in per cent, ``[REPEATS, runs, n]``: whole numbers of images, with an effect of the seed on all runs.

    The true mean of the last run is higher by ``difference``.
    """
    generator = np.random.default_rng((n, runs))
    of_seed = generator.normal(80, 4, (REPEATS, 1, n))
    accuracies = of_seed + generator.normal(0, 1.5, (REPEATS, runs, n))
    accuracies[:, -1] += difference
    return np.round(accuracies * IMAGES / 100) * 100 / IMAGES


@pytest.mark.parametrize("n", SEEDS)
def test_the_interval_of_a_pair_covers_its_difference(n):
    tests = [compare_paired(second - first) for first, second in pairs(n, 3.0)]
    check(f"interval of a pair, {n} seeds", [covers(test, 3.0) for test in tests], 0.95 - ERROR, 0.95 + ERROR)


@pytest.mark.parametrize("n", [6, 8, 10, 12])
@pytest.mark.parametrize("tails", [None, 3])
def test_the_permutation_test_keeps_its_level(n, tails):
    generator = np.random.default_rng(n)
    differences = generator.normal(size=(REPEATS, n)) if tails is None else generator.standard_t(tails, (REPEATS, n))
    exact = math.floor(0.05 / smallest_p(n)) * smallest_p(n)  # p is a multiple of the smallest, each as likely
    error = 4 * math.sqrt(exact * (1 - exact) / REPEATS)
    name = f"permutation test, {'normal' if tails is None else 't of 3 degrees of freedom'}, {n} seeds"
    check(name, [permutation_p(sample) <= 0.05 for sample in differences], exact - error, exact + error)


@pytest.mark.parametrize("n", [8, 10, 30])
def test_holm_keeps_the_error_rate_of_all_pairs_of_four(n):
    """Four treatments that are the same but for chance: any pair that is called different is an error."""
    smallest = [
        holm(np.array([permutation_p(one - other) for one, other in itertools.combinations(runs, 2)])).min()
        for runs in pairs(n, 0.0, runs=4)
    ]
    check(f"permutation tests of six pairs with Holm, {n} seeds", np.array(smallest) <= 0.05, 0.005, 0.05 + ERROR)


@pytest.mark.parametrize(("n", "ties"), list(itertools.product(SEEDS, [0.0, 0.3])))
def test_the_interval_of_the_win_rate_covers_it(n, ties):
    """Of seeds that differ: with ties or without, and it is wide rather than short."""
    generator = np.random.default_rng((n, int(10 * ties)))
    for rate in (0.5, 0.8, 0.95):
        signs = np.where(generator.random((REPEATS, n)) < rate, 1.0, -1.0) * (generator.random((REPEATS, n)) >= ties)
        tests = [compare_paired(of) for of in signs if of.any()]
        hits = [test.improvement_low <= rate <= test.improvement_high for test in tests]
        check(f"win rate of {rate:.0%}, ties {ties:.0%}, {n} seeds", hits, 0.95 - ERROR)


# ------------------------------------------------------------------------------------- published figures


def beside_figures(n, kind, difference=0.0, figures=1):
    """Estimates of differences from figures that ``kind`` says how they came about, ``[REPEATS][figures]``."""
    generator = np.random.default_rng((n, len(kind), figures))
    for values in generator.normal(85 + difference, 2, (REPEATS, figures, n)):
        splits = generator.normal(85, 2, (figures, 30))
        half = splits.std(axis=1, ddof=1) * oracle.t.ppf(0.975, 29) / math.sqrt(30)
        known = {
            "the mean of many": [(85.0,)] * figures,
            "the mean of 30 with its interval": list(zip(splits.mean(axis=1), half, strict=True)),
            "one run": [(first, None, True) for first in splits[:, 0]],
        }[kind]
        yield [from_figure(summarize(of), *figure) for of, figure in zip(values, known, strict=True)]


KINDS = ["the mean of many", "the mean of 30 with its interval", "one run"]


@pytest.mark.parametrize(("kind", "n"), list(itertools.product(KINDS, SEEDS)))
def test_the_interval_of_a_difference_from_a_published_figure_covers_it(kind, n):
    tests = [compare_to(estimate) for (estimate,) in beside_figures(n, kind, 1.0)]
    # That of two errors is a little wide: the root of the sum of squares is an approximation.
    most = 0.95 + ERROR + 0.01 * (kind == KINDS[1])
    check(f"difference from {kind}, {n} seeds", [covers(test, 1.0) for test in tests], 0.95 - ERROR, most)
    assert [test.p <= 0.05 for test in tests] == [not test.inside for test in tests]


@pytest.mark.parametrize(("kind", "n"), list(itertools.product(KINDS, SEEDS)))
def test_holm_keeps_the_error_rate_of_three_published_figures(kind, n):
    smallest = [
        holm(np.array([estimate.p_value() for estimate in estimates])).min()
        for estimates in beside_figures(n, kind, figures=3)
    ]
    check(f"three figures, {kind}, with Holm, {n} seeds", np.array(smallest) <= 0.05, 0.02, 0.05 + ERROR)


# ----------------------------------------------------------------------------------------- equivalence tests


def assert_levels(name, tests, truths):
    """Where the difference is as large as the margin, both verdicts are errors."""
    found = [test.result for test in tests]
    check(f"{name}: called equivalent", [result == "equivalent" for result in found], 0, 0.05 + ERROR)
    check(f"{name}: said to differ", [result == "differs" for result in found], 0, 0.025 + ERROR)
    check(f"{name}: 90 % interval", [covers(test, truths) for test in tests], 0.90 - 1.5 * ERROR, 0.93)


@pytest.mark.parametrize("n", SEEDS)
def test_the_equivalence_test_of_a_pair_keeps_its_level(n):
    tests = [equivalence(from_pairs(compare_paired(second - first)), 2.0) for first, second in pairs(n, 2.0)]
    assert_levels(f"TOST of a pair, {n} seeds", tests, 2.0)


@pytest.mark.parametrize(("kind", "n"), list(itertools.product(KINDS, SEEDS)))
def test_the_equivalence_test_of_a_published_figure_keeps_its_level(kind, n):
    tests = [equivalence(estimate, 2.0) for (estimate,) in beside_figures(n, kind, -2.0)]
    assert_levels(f"TOST of {kind}, {n} seeds", tests, -2.0)
