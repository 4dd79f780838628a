"""Intervals and paired tests: against scipy and statsmodels, cases by hand, and the laws that tests of seeds obey."""

import gc
import itertools
import math

import numpy as np
import pytest
from scipy import stats as oracle
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from pljax.analysis.stats import (
    EXACT_UP_TO,
    FLIPS,
    Summary,
    compare_paired,
    compare_resampled,
    exact_interval,
    holm,
    permutation_p,
    seeds_for_power,
    seeds_to_reach,
    smallest_p,
    summarize,
    t_test_p,
    t_test_power,
)


def normal(n, seed=0):
    return np.random.default_rng((n, seed)).normal(1, 3, n)


def integers(n, seed=0):
    """Small integers: ties, zeros and equal sums."""
    return np.random.default_rng((n, seed)).integers(-2, 4, n).astype(np.float64)


# What differences can look like; the laws below hold for all of them.
SAMPLES = {
    "two": np.array([0.5, -1.5]),
    "five": normal(5),
    "ties": integers(9),
    "twenty": normal(20),
    "twenty-one": normal(21),
    "fifty with ties": integers(50),
    "all positive": np.abs(normal(10)),
    "an outlier": np.array([0.1, -0.2, 0.3, 0.1, -0.1, 1e3]),
    "balanced": np.array([-2.0, -1.0, 1.0, 2.0]),
    "equal": np.full(6, 0.25),
    "zeros": np.zeros(7),
}


def assert_same(one, other, case):
    """Equal but for rounding, field by field."""
    one, other = ([math.nan if value is None else value for value in test] for test in (one, other))
    assert one == pytest.approx(other, rel=1e-9, abs=1e-12, nan_ok=True), case


# --------------------------------------------------------------------------------------------- summaries


def test_mean_sd_and_interval_are_scipys():
    for n, confidence in itertools.product([2, 3, 10, 200], [0.95, 0.99]):
        values = np.random.default_rng(n).normal(85, 3, n)
        summary = summarize(values, confidence)
        expected = oracle.t.interval(confidence, n - 1, loc=values.mean(), scale=oracle.sem(values))
        assert summary[:3] == pytest.approx((n, values.mean(), values.std(ddof=1)), rel=1e-12), (n, confidence)
        assert (summary.low, summary.high) == pytest.approx(expected, rel=1e-12), (n, confidence)


def test_a_summary_by_hand():
    # Mean 2, deviations -1, 0, 1: SD 1; t of 2 degrees of freedom at 0.975 is 4.302653; half 4.302653 / sqrt(3).
    expected = (3, 2.0, 1.0, 2 - 2.484138, 2 + 2.484138, 2.0, 2.0, 1.0, 3.0)
    assert summarize(np.array([3.0, 1.0, 2.0])) == pytest.approx(expected, abs=1e-6)


def test_median_interquartile_mean_and_extremes_are_those_of_numpy_and_scipy():
    for n in range(1, 14):
        values = normal(n)
        summary = summarize(values)
        assert (summary.median, summary.least, summary.most) == (np.median(values), min(values), max(values)), n
        assert summary.interquartile_mean == pytest.approx(oracle.trim_mean(values, 0.25), rel=1e-12), n


def test_equal_values_have_an_interval_of_no_width():
    assert summarize(np.full(4, 0.25)) == Summary(4, 0.25, 0.0, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25)


def test_a_seed_whose_value_is_not_finite_is_left_out_of_the_summary():
    for value in (math.nan, math.inf, -math.inf):
        assert summarize(np.array([1.0, value, 2.0, 4.0])) == summarize(np.array([1.0, 2.0, 4.0])), value


def test_one_seed_has_a_mean_and_no_spread_and_none_has_nothing():
    n, mean, *spread, median, middle, least, most = summarize(np.array([0.7, math.nan]))
    assert (n, mean, median, middle, least, most) == (1, 0.7, 0.7, 0.7, 0.7, 0.7)
    assert all(map(math.isnan, spread))
    for values in ([], [math.nan, math.nan]):
        n, *rest = summarize(np.array(values))
        assert n == 0
        assert all(map(math.isnan, rest))


def test_single_precision_is_summed_in_double():
    values = np.array([16_777_216.0, 1.0, 1.0], np.float32)  # in float32 the ones are lost
    assert summarize(values).mean == 16_777_218 / 3
    differences = normal(10).astype(np.float32)
    assert compare_paired(differences) == compare_paired(differences.astype(np.float64))


# ------------------------------------------------------------------------------------ the permutation test


def test_the_permutation_test_is_scipys():
    for n, draw, seed in itertools.product(range(2, 11), [normal, integers], range(2)):
        differences = draw(n, seed)
        expected = oracle.permutation_test(
            (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert permutation_p(differences) == pytest.approx(expected.pvalue, rel=1e-12), differences


def test_permutation_tests_by_hand():
    for differences, p in (
        ([1, 2, 3, 4, 5], 2 / 32),
        ([1, 2, 3, 4, -5], 20 / 32),  # 5 in all: one sign has numbers of sum 0 to 5, which are 1, 1, 1, 2, 2 and 3 sets
        ([3], 1),
        ([1, 1], 1 / 2),
        ([1, -1], 1),
        ([0, 0, 4], 1),
        ([0, 1, 1, 1], 1 / 4),  # a tie adds nothing: as of three seeds
        (range(1, 11), 2 / 1024),
    ):
        assert permutation_p(np.array(differences, np.float64)) == p, differences


def test_sums_that_rounding_makes_unequal_count_as_equal():
    # 0.3 - 0.2 is not 0.1 in binary: every sign pattern with as many minus signs has the same sum all the same.
    differences = np.array([0.3 - 0.2, 0.1, 0.1, -(0.8 - 0.7)])
    assert permutation_p(differences) == permutation_p(np.array([1.0, 1, 1, -1])) == 10 / 16


def test_tests_of_accuracies_are_those_of_the_numbers_of_correct_images():
    """Rounding in accuracies neither makes nor hides a difference."""
    for images in (7, 10_000, 116_323):
        generator = np.random.default_rng(images)
        for _ in range(100):
            n = int(generator.integers(2, 12))
            correct, more = generator.integers(images // 2, images - 2, n), generator.integers(-2, 3, n)
            points = 100 * ((correct + more) / images) - 100 * (correct / images)
            assert permutation_p(points) == permutation_p(more), (images, more)
            effect = compare_paired(more).effect
            assert compare_paired(points).effect == pytest.approx(effect, rel=1e-6, nan_ok=True), (images, more)


def exact_p(differences):
    """The exact p of integers, however many: the distribution of their sum, number by number."""
    sums = {0: 1}
    for size in np.abs(differences).astype(int).tolist():
        grown = {}
        for (value, count), sign in itertools.product(sums.items(), (-1, 1)):
            grown[value + sign * size] = grown.get(value + sign * size, 0) + count
        sums = grown
    observed = abs(int(differences.sum()))
    return sum(count for value, count in sums.items() if abs(value) >= observed) / 2 ** len(differences)


def test_the_exact_test_is_exact_up_to_its_last_number_of_seeds():
    for seed in range(5):
        differences = integers(EXACT_UP_TO, seed)
        assert permutation_p(differences) == exact_p(differences), seed


def test_beyond_that_drawn_flips_come_close_and_are_the_same_every_time():
    for n, seed in itertools.product([EXACT_UP_TO + 1, 30], range(5)):
        differences = integers(n, seed)
        p, exact = permutation_p(differences), exact_p(differences)
        assert p != exact, (n, seed)
        assert abs(p - exact) < 4 * math.sqrt(exact * (1 - exact) / FLIPS) + 1 / FLIPS, (n, seed)
        assert p == permutation_p(differences), (n, seed)


def test_the_smallest_p_is_that_of_seeds_that_all_agree():
    for n in range(1, EXACT_UP_TO + 1):
        assert permutation_p(np.abs(normal(n))) == smallest_p(n) == 2 / 2**n, n
    assert permutation_p(np.ones(60)) == smallest_p(60) == 1 / (1 + FLIPS)


def test_no_fewer_seeds_can_reach_the_level():
    for alpha, comparisons in itertools.product([0.05, 0.01], [1, 2, 3, 6, 15, 66]):
        n = seeds_to_reach(alpha, comparisons)
        assert comparisons * smallest_p(n) <= alpha < comparisons * smallest_p(n - 1), (alpha, comparisons)


# ---------------------------------------------------------------------------------------- paired comparisons


def test_the_paired_t_test_is_scipys():
    for n, seed in itertools.product([2, 3, 10, 40], range(3)):
        first, second = np.random.default_rng((n, seed)).normal([[80.0], [81.0]], 2, (2, n))
        test, expected = compare_paired(first - second), oracle.ttest_rel(first, second)
        interval = expected.confidence_interval(0.95)
        assert test.t_p == t_test_p(first - second) == pytest.approx(expected.pvalue, rel=1e-12), (n, seed)
        assert (test.low, test.high) == pytest.approx((interval.low, interval.high), rel=1e-12), (n, seed)


def test_a_paired_comparison_by_hand():
    # Mean 1, deviations 2, 0, -1, -1: SD sqrt(6 / 3). Of the 16 sums, of 3, 1, 0, 0, eight are 4 or -4.
    test = compare_paired(np.array([3.0, 1.0, 0.0, 0.0]))
    assert (test.n, test.mean, test.permutation_p) == (4, 1.0, 0.5)
    assert (test.wins, test.ties, test.losses) == (2, 2, 0)
    assert test.improvement == 2 / 2  # without ties
    assert (test.sd, test.effect) == pytest.approx((math.sqrt(2), 1 / math.sqrt(2)))
    assert (test.improvement_low, test.improvement_high) == exact_interval(2, 2)
    assert test.seeds_needed == seeds_for_power(1 / math.sqrt(2))


def test_the_order_of_the_seeds_does_not_matter():
    for case, differences in SAMPLES.items():
        shuffled = np.random.default_rng(1).permutation(differences)
        assert_same(compare_paired(shuffled), compare_paired(differences), case)


def test_exchanged_treatments_mirror_every_field():
    for case, differences in SAMPLES.items():
        test = compare_paired(differences)
        mirrored = test._replace(
            mean=-test.mean,
            low=-test.high,
            high=-test.low,
            effect=-test.effect,
            wins=test.losses,
            losses=test.wins,
            improvement=1 - test.improvement,
            improvement_low=1 - test.improvement_high,
            improvement_high=1 - test.improvement_low,
        )
        assert_same(compare_paired(-differences), mirrored, case)


def test_the_unit_of_measurement_does_not_matter():
    for (case, differences), factor in itertools.product(SAMPLES.items(), [1e-6, 3.0, 1e6]):
        test = compare_paired(differences)
        scaled = {name: factor * getattr(test, name) for name in ("mean", "sd", "low", "high")}
        assert_same(compare_paired(factor * differences), test._replace(**scaled), (case, factor))


def test_a_difference_that_is_not_finite_is_left_out():
    for (case, differences), value in itertools.product(SAMPLES.items(), [math.nan, math.inf, -math.inf]):
        assert_same(compare_paired(np.insert(differences, 1, value)), compare_paired(differences), (case, value))


def test_every_field_of_a_comparison_is_in_its_range():
    for case, differences in SAMPLES.items():
        test = compare_paired(differences)
        assert test.wins + test.ties + test.losses == test.n == len(differences), case
        assert smallest_p(test.n) <= test.permutation_p <= 1, case
        assert 0 <= test.t_p <= 1, case
        if test.ties < test.n:
            assert 0 <= test.improvement_low <= test.improvement <= test.improvement_high <= 1, case
        assert test.low <= test.mean <= test.high, case


def test_no_seed_has_no_test_and_one_seed_no_spread():
    n, *rest = compare_paired(np.array([math.nan]))
    numbers, counts = [*rest[:7], *rest[10:13]], rest[7:10]
    assert (n, counts, rest[-1]) == (0, [0, 0, 0], None)
    assert all(map(math.isnan, numbers))
    test = compare_paired(np.array([2.0]))
    assert (test.n, test.mean, test.permutation_p, test.wins, test.improvement) == (1, 2.0, 1.0, 1, 1.0)
    assert all(map(math.isnan, (test.sd, test.low, test.high, test.t_p, test.effect)))
    assert test.seeds_needed is None


def test_equal_results_have_no_effect():
    test = compare_paired(np.zeros(8))
    assert (test.permutation_p, test.t_p) == (1.0, 1.0)
    assert (test.wins, test.ties, test.losses) == (0, 8, 0)
    assert all(map(math.isnan, (test.effect, test.improvement, test.improvement_low, test.improvement_high)))
    assert test.seeds_needed is None


def test_an_effect_without_spread_is_infinite_and_one_that_cancels_is_0_whatever_rounding_leaves():
    for differences in (np.full(8, -0.25), -np.array([0.3 - 0.2, 0.1, 0.8 - 0.7] * 3)):
        test = compare_paired(differences)
        assert (test.effect, test.t_p, test.seeds_needed) == (-math.inf, 0.0, seeds_to_reach())
    test = compare_paired(np.array([0.3 - 0.2, -0.1]))
    assert test.mean != 0
    assert (test.effect, test.t_p, test.permutation_p, test.seeds_needed) == (0.0, 1.0, 1.0, None)


# ----------------------------------------------------------------------------------- shares, power, families


def test_the_exact_interval_is_scipys():
    for n, confidence in itertools.product([1, 2, 5, 10, 100], [0.95, 0.99]):
        for k in {0, 1, n // 2, n - 1, n}:
            expected = oracle.binomtest(k, n).proportion_ci(confidence, method="exact")
            found = exact_interval(k, n, confidence)
            assert found == pytest.approx((expected.low, expected.high), abs=1e-12), (k, n, confidence)
    assert exact_interval(0, 0) == (0, 1)


def test_the_interval_of_the_win_rate_is_that_of_the_sign_test_without_ties():
    """It leaves out one half exactly where the sign test rejects that as many seeds win as lose."""
    for wins, ties, losses in itertools.product(range(12), (0, 3), range(12)):
        test = compare_paired(np.repeat([1.0, 0.0, -1.0], [wins, ties, losses]))
        if wins + losses:
            rejects = oracle.binomtest(wins, wins + losses).pvalue <= 0.05
            assert (not test.improvement_low <= 0.5 <= test.improvement_high) == rejects, (wins, losses)
            assert test.improvement == wins / (wins + losses)


def test_power_and_the_seeds_for_it_are_those_of_statsmodels():
    for effect, n in itertools.product([0.01, 0.3, -1.0, 1.5], [2, 6, 10, 30]):
        expected = TTestPower().power(effect, n, 0.05)
        assert t_test_power(effect, n) == pytest.approx(expected, rel=1e-9), (effect, n)
    for effect, power, alpha in itertools.product([0.05, 0.5, 1.0, 1.2], [0.8, 0.95], [0.05, 0.01]):
        expected = TTestPower().solve_power(effect_size=effect, power=power, alpha=alpha)
        found = seeds_for_power(effect, power, alpha)
        assert found == max(math.ceil(expected), seeds_to_reach(alpha)), (effect, power, alpha)


def test_power_rises_with_the_effect_from_the_level_to_1():
    for n in (2, 6, 10, 30, 1000):
        effects = np.concatenate([np.linspace(0, 20, 500), [1e3, 1e9, math.inf]])
        powers = [t_test_power(effect, n) for effect in effects]
        assert powers[0] == pytest.approx(0.05), n
        assert powers[-1] == 1.0, n
        assert all(map(math.isfinite, powers)), n
        assert min(np.diff(powers)) > -1e-12, n


def test_the_seeds_for_power_are_the_fewest_that_have_it():
    for effect in (1e-8, 1e-3, 0.1, 0.7, 2.0, -2.0, 5.0, 1e6):
        n = seeds_for_power(effect)
        assert t_test_power(effect, n) >= 0.8, effect
        assert n == seeds_to_reach() or t_test_power(effect, n - 1) < 0.8 + 1e-5, effect
    assert seeds_for_power(3.0, alpha=0.01) == seeds_to_reach(0.01)  # no fewer can reach the level
    assert seeds_for_power(0.0) is None
    assert seeds_for_power(math.nan) is None


def families():
    generator = np.random.default_rng(0)
    for size in [1, 2, 3, 6, 15, 66] * 5:
        smooth = generator.uniform(size=size) ** 3
        yield np.where(generator.uniform(size=size) < 0.5, smooth, generator.choice([0.0, 0.01, 0.02, 1.0], size))


def test_holm_is_statsmodels(monkeypatch):
    monkeypatch.setattr(gc, "collect", lambda: 0)  # multipletests collects at every call, which takes long here
    for p_values in families():
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)


def test_holm_leaves_a_nan_out_of_the_family():
    for p_values in families():
        with_nan = np.insert(p_values, len(p_values) // 2, math.nan)
        found = holm(with_nan)
        assert found[np.isfinite(with_nan)].tolist() == holm(p_values).tolist()
        assert math.isnan(found[len(p_values) // 2])
        assert math.isnan(with_nan[len(p_values) // 2])  # and the argument is as it was


def test_holm_by_hand():
    # In order 0.01, 0.02, 0.02, 0.3 by 4, 3, 2, 1 gives 0.04, 0.06, 0.04, 0.3; none may be below one before it.
    assert holm(np.array([0.02, 0.3, 0.01, 0.02])) == pytest.approx([0.06, 0.3, 0.04, 0.06])
    assert holm(np.array([0.4, 0.5, 0.6])).tolist() == [1.0, 1.0, 1.0]
    assert holm(np.array([])).tolist() == []


def test_the_interval_of_overlapping_splits_covers_and_the_plain_one_does_not():
    """Differences that share half of what they are made of: their correlation is that of the correction, 1 / 3."""
    generator, correlation, covered = np.random.default_rng(0), 1 / 3, np.zeros((4000, 2))
    for trial in covered:
        common, own = generator.normal(), generator.normal(size=10)
        differences = correlation**0.5 * common + (1 - correlation) ** 0.5 * own  # their mean is 0
        corrected, plain = compare_resampled(differences, 0.5), summarize(differences)
        trial[:] = corrected.low < 0 < corrected.high, plain.low < 0 < plain.high
        assert (corrected.p > 0.05) == (corrected.low < 0 < corrected.high)
    assert 0.94 < covered[:, 0].mean() < 0.96
    assert covered[:, 1].mean() < 0.7


def test_splits_without_a_difference_are_no_evidence():
    assert compare_resampled(np.zeros(10), 0.5) == (10, 0, 0, 0, 1.0)
    for differences in ([], [2.0]):  # too few for a test
        assert np.isnan(compare_resampled(np.array(differences), 0.5).p)
