"""Intervals and paired tests against scipy and statsmodels, cases by hand, and the laws that tests of seeds obey."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats as oracle
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower

from pljax.analysis.stats import (
    BCA_FROM,
    EXACT_UP_TO,
    FLIPS,
    Interval,
    ReferenceDifference,
    Summary,
    bca_interval,
    compare_paired,
    compare_to,
    holm,
    permutation_p,
    seeds_for_power,
    seeds_to_reach,
    smallest_p,
    summarize,
    t_test_p,
    t_test_power,
    wilson_interval,
)


def normal(n, seed=0):
    return np.random.default_rng((n, seed)).normal(1, 3, n)


def whole(n, seed=0):
    """Small whole numbers: ties, zeros and equal sums."""
    return np.random.default_rng((n, seed)).integers(-2, 4, n).astype(np.float64)


# What differences can look like; the laws below hold for all of them.
SAMPLES = {
    "two": np.array([0.5, -1.5]),
    "five": normal(5),
    "ties": whole(9),
    "twenty": normal(20),
    "twenty-one": normal(21),
    "fifty ties": whole(50),
    "all positive": np.abs(normal(10)),
    "one far out": np.array([0.1, -0.2, 0.3, 0.1, -0.1, 1e3]),
    "balanced": np.array([-2.0, -1.0, 1.0, 2.0]),
    "equal": np.full(6, 0.25),
    "zeros": np.zeros(7),
}
for_samples = pytest.mark.parametrize(
    "differences", [pytest.param(values, id=name) for name, values in SAMPLES.items()]
)


def same(one, other):
    """Equal but for rounding, field by field."""
    one, other = ([math.nan if value is None else value for value in test] for test in (one, other))
    return one == pytest.approx(other, rel=1e-9, abs=1e-12, nan_ok=True)


# --------------------------------------------------------------------------------------------- summaries


@pytest.mark.parametrize("n", [2, 3, 5, 10, 30, 200])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_interval_is_students(n, confidence):
    values = np.random.default_rng(n).normal(85, 3, n)
    summary = summarize(values, confidence)
    low, high = oracle.t.interval(confidence, n - 1, loc=values.mean(), scale=oracle.sem(values))
    assert summary.n == n
    assert summary.mean == pytest.approx(values.mean(), rel=1e-12)
    assert summary.sd == pytest.approx(values.std(ddof=1), rel=1e-12)
    assert (summary.low, summary.high) == pytest.approx((low, high), rel=1e-12)


def test_a_case_by_hand():
    # Mean 2, deviations -1, 0, 1: SD 1; t of 2 degrees of freedom at 0.975 is 4.302653; half 4.302653 / sqrt(3).
    expected = (3, 2.0, 1.0, 2 - 2.484138, 2 + 2.484138, 2.0, 2.0, 1.0, 3.0)
    assert summarize(np.array([3.0, 1.0, 2.0])) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("n", range(1, 14))
def test_the_interquartile_mean_is_the_mean_trimmed_by_a_quarter(n):
    values = np.random.default_rng(n).normal(size=n)
    assert summarize(values).interquartile_mean == pytest.approx(oracle.trim_mean(values, 0.25), rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5, 10])
def test_the_middle_and_the_ends_are_those_of_the_values(n):
    values = normal(n)
    summary = summarize(values)
    assert (summary.median, summary.least, summary.most) == (np.median(values), min(values), max(values))


def test_one_seed_far_out_moves_the_mean_and_not_the_middle():
    values = np.arange(8.0)
    usual, far = summarize(values), summarize(np.append(values[:-1], 1e6))
    assert (far.median, far.interquartile_mean) == (usual.median, usual.interquartile_mean)
    assert far.mean > 1e5


def test_equal_values_have_an_interval_of_no_width():
    assert summarize(np.full(4, 0.25)) == Summary(4, 0.25, 0.0, 0.25, 0.25, 0.25, 0.25, 0.25, 0.25)


@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_seed_without_a_figure_is_left_out(lost):
    assert summarize(np.array([1.0, lost, 2.0, 4.0])) == summarize(np.array([1.0, 2.0, 4.0]))


def test_one_seed_has_a_mean_and_no_spread():
    n, mean, *spread, median, middle, least, most = summarize(np.array([0.7, math.nan]))
    assert (n, mean, median, middle, least, most) == (1, 0.7, 0.7, 0.7, 0.7, 0.7)
    assert all(map(math.isnan, spread))


@pytest.mark.parametrize("values", [[], [math.nan, math.nan]])
def test_no_seed_has_nothing(values):
    n, *rest = summarize(np.array(values))
    assert n == 0
    assert all(map(math.isnan, rest))


def test_single_precision_is_summed_in_double():
    values = np.array([16_777_216.0, 1.0, 1.0], np.float32)  # in float32 the ones are lost
    assert summarize(values).mean == 16_777_218 / 3


# ------------------------------------------------------------------------------------ bootstrap intervals


@pytest.mark.parametrize("n", [BCA_FROM, 17, 30])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_the_bootstrap_interval_is_scipys(n, confidence):
    values = np.sort(np.random.default_rng(n).exponential(3, n))
    found = oracle.bootstrap(
        (values,), np.mean, confidence_level=confidence, method="BCa", rng=np.random.default_rng(0)
    )
    assert bca_interval(values, confidence) == pytest.approx(tuple(found.confidence_interval), rel=1e-12)


SPREAD = [
    pytest.param(np.random.default_rng(1).normal(85, 2, 10), id="normal"),
    pytest.param(np.random.default_rng(2).exponential(2, 25), id="skewed"),
    pytest.param(np.append(np.full(9, 0.8), 0.1), id="one far out"),
    pytest.param(np.append(np.full(12, 0.3), 0.1 + 0.2), id="equal but for rounding"),
]


@pytest.mark.parametrize("values", SPREAD)
def test_the_bootstrap_interval_lies_within_the_values_in_any_order(values):
    low, high = bca_interval(values)
    rounding = 1e-12 * values.max()
    assert values.min() - rounding <= low <= high <= values.max() + rounding
    assert bca_interval(np.random.default_rng(0).permutation(values)) == (low, high)


@pytest.mark.parametrize("values", SPREAD)
def test_the_bootstrap_interval_moves_with_the_values(values):
    low, high = bca_interval(values)
    assert bca_interval(values + 8.0) == pytest.approx((low + 8, high + 8), rel=1e-9)
    assert bca_interval(values * 4.0) == pytest.approx((low * 4, high * 4), rel=1e-9)


def test_the_bootstrap_interval_asks_for_enough_seeds_with_a_figure():
    enough = normal(BCA_FROM)
    assert all(map(math.isfinite, bca_interval(np.append(enough, math.nan))))
    assert all(map(math.isnan, bca_interval(np.append(enough[1:], math.nan))))


def test_equal_values_have_a_bootstrap_interval_of_no_width():
    assert bca_interval(np.full(12, 0.7)) == Interval(0.7, 0.7)


# ------------------------------------------------------------------------------------ the permutation test


@pytest.mark.parametrize("n", range(2, 11))
@pytest.mark.parametrize("draw", [normal, whole])
def test_the_permutation_test_is_scipys(n, draw):
    for seed in range(4):
        differences = draw(n, seed)
        expected = oracle.permutation_test(
            (differences,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=True
        )
        assert permutation_p(differences) == pytest.approx(expected.pvalue, rel=1e-12)


@pytest.mark.parametrize(
    ("differences", "p"),
    [
        ([1, 2, 3, 4, 5], 2 / 32),
        ([1, 2, 3, 4, -5], 20 / 32),  # 5 in all: one sign has numbers of sum 0 to 5, which are 1, 1, 1, 2, 2 and 3 sets
        ([3], 1),
        ([1, 1], 1 / 2),
        ([1, -1], 1),
        ([0, 0, 4], 1),
        ([0, 1, 1, 1], 1 / 4),  # a tie tells nothing: as of three seeds
        (range(1, 11), 2 / 1024),
    ],
)
def test_permutation_tests_by_hand(differences, p):
    assert permutation_p(np.array(differences, np.float64)) == p


def test_sums_that_rounding_makes_unequal_count_as_equal():
    # 0.3 - 0.2 is not 0.1 in binary: every sign pattern with as many minus signs has the same sum all the same.
    differences = np.array([0.3 - 0.2, 0.1, 0.1, -(0.8 - 0.7)])
    assert permutation_p(differences) == permutation_p(np.array([1.0, 1, 1, -1])) == 10 / 16


@pytest.mark.parametrize("images", [7, 10_000, 116_323])
def test_accuracies_are_told_apart_by_images_and_never_by_rounding(images):
    generator = np.random.default_rng(images)
    for _ in range(300):
        n = int(generator.integers(2, 12))
        right, more = generator.integers(images // 2, images - 2, n), generator.integers(-2, 3, n)
        points = 100 * ((right + more) / images) - 100 * (right / images)
        assert permutation_p(points) == permutation_p(more)
        assert compare_paired(points).effect == pytest.approx(compare_paired(more).effect, rel=1e-6, nan_ok=True)


def exact_p(differences):
    """The exact p of whole numbers, however many: the distribution of their sum, number by number."""
    sums = {0: 1}
    for size in np.abs(differences).astype(int).tolist():
        grown = {}
        for (value, count), sign in itertools.product(sums.items(), (-1, 1)):
            grown[value + sign * size] = grown.get(value + sign * size, 0) + count
        sums = grown
    observed = abs(int(differences.sum()))
    return sum(count for value, count in sums.items() if abs(value) >= observed) / 2 ** len(differences)


@pytest.mark.parametrize("seed", range(5))
def test_the_exact_test_is_exact_to_the_last_seed(seed):
    differences = whole(EXACT_UP_TO, seed)
    assert permutation_p(differences) == exact_p(differences)


@pytest.mark.parametrize("n", [EXACT_UP_TO + 1, 30])
@pytest.mark.parametrize("seed", range(5))
def test_beyond_that_drawn_flips_come_close_and_come_again(n, seed):
    differences = whole(n, seed)
    p, exact = permutation_p(differences), exact_p(differences)
    assert p != exact
    assert abs(p - exact) < 4 * math.sqrt(exact * (1 - exact) / FLIPS) + 1 / FLIPS
    assert p == permutation_p(differences)


def test_drawn_flips_never_give_a_p_of_0():
    assert permutation_p(np.ones(60)) == smallest_p(60) == 1 / (1 + FLIPS)


@pytest.mark.parametrize("n", range(1, EXACT_UP_TO + 1))
def test_the_smallest_p_is_that_of_seeds_that_all_agree(n):
    assert permutation_p(np.abs(normal(n))) == smallest_p(n) == 2 / 2**n


@pytest.mark.parametrize("comparisons", [1, 2, 3, 6, 15, 66])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_no_fewer_seeds_can_reach_the_level(alpha, comparisons):
    n = seeds_to_reach(alpha, comparisons)
    assert comparisons * smallest_p(n) <= alpha < comparisons * smallest_p(n - 1)


def test_seeds_to_reach_by_hand():
    # 2 / 2^6 = 0.031 is the first below 0.05; 6 * 2 / 2^8 = 0.047 the first of six pairs.
    assert (seeds_to_reach(), seeds_to_reach(comparisons=6)) == (6, 8)


# ---------------------------------------------------------------------------------------- paired comparisons


@pytest.mark.parametrize("n", [2, 3, 5, 10, 40])
@pytest.mark.parametrize("seed", range(5))
def test_the_paired_t_test_is_scipys(n, seed):
    first, second = np.random.default_rng((n, seed)).normal([[80.0], [81.0]], 2, (2, n))
    test, expected = compare_paired(first - second), oracle.ttest_rel(first, second)
    interval = expected.confidence_interval(0.95)
    assert test.t_p == pytest.approx(expected.pvalue, rel=1e-12)
    assert (test.low, test.high) == pytest.approx((interval.low, interval.high), rel=1e-12)
    assert t_test_p(first - 80) == pytest.approx(oracle.ttest_1samp(first, 80).pvalue, rel=1e-12)


def test_a_paired_comparison_by_hand():
    # Mean 1, deviations 2, 0, -1, -1: SD sqrt(6 / 3). Of the 16 sums, of 3, 1, 0, 0, eight are 4 or -4.
    test = compare_paired(np.array([3.0, 1.0, 0.0, 0.0]))
    assert (test.n, test.mean, test.permutation_p) == (4, 1.0, 0.5)
    assert (test.wins, test.ties, test.losses) == (2, 2, 0)
    assert test.improvement == (2 + 2 / 2) / 4
    assert (test.sd, test.effect) == pytest.approx((math.sqrt(2), 1 / math.sqrt(2)))


def test_the_tests_of_a_comparison_are_those_of_this_module():
    differences = normal(12)
    test = compare_paired(differences)
    assert test[:5] == summarize(differences)[:5]
    assert test.permutation_p == permutation_p(differences)
    assert test.t_p == t_test_p(differences)
    assert (test.improvement_low, test.improvement_high) == wilson_interval(test.improvement, 12)
    assert test.seeds_needed == seeds_for_power(test.effect)


@for_samples
def test_the_order_of_the_seeds_does_not_matter(differences):
    shuffled = np.random.default_rng(1).permutation(differences)
    assert same(compare_paired(shuffled), compare_paired(differences))


@for_samples
def test_the_other_way_round_everything_is_mirrored(differences):
    test, swapped = compare_paired(differences), compare_paired(-differences)
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
    assert same(swapped, mirrored)


@pytest.mark.parametrize("factor", [1e-6, 0.1, 3.0, 1e6])
@for_samples
def test_the_unit_of_measurement_does_not_matter(differences, factor):
    test = compare_paired(differences)
    scaled = {name: factor * getattr(test, name) for name in ("mean", "sd", "low", "high")}
    assert same(compare_paired(factor * differences), test._replace(**scaled))


@for_samples
@pytest.mark.parametrize("lost", [math.nan, math.inf, -math.inf])
def test_a_difference_without_a_figure_is_left_out(differences, lost):
    assert same(compare_paired(np.insert(differences, 1, lost)), compare_paired(differences))


@for_samples
def test_every_field_lies_where_it_can(differences):
    test = compare_paired(differences)
    assert test.wins + test.ties + test.losses == test.n == len(differences)
    assert smallest_p(test.n) <= test.permutation_p <= 1
    assert 0 <= test.t_p <= 1
    assert 0 <= test.improvement_low <= test.improvement <= test.improvement_high + 1e-12 <= 1 + 1e-12
    assert test.low <= test.mean <= test.high


def test_single_precision_makes_no_difference():
    differences = normal(10).astype(np.float32)
    assert compare_paired(differences) == compare_paired(differences.astype(np.float64))


def test_no_seed_has_no_test():
    n, *rest = compare_paired(np.array([math.nan]))
    numbers, counts = [*rest[:7], *rest[10:13]], rest[7:10]
    assert (n, counts, rest[-1]) == (0, [0, 0, 0], None)
    assert all(map(math.isnan, numbers))


def test_one_seed_has_a_difference_and_no_spread():
    test = compare_paired(np.array([2.0]))
    assert (test.n, test.mean, test.permutation_p, test.wins, test.improvement) == (1, 2.0, 1.0, 1, 1.0)
    assert all(map(math.isnan, (test.sd, test.low, test.high, test.t_p, test.effect)))
    assert test.seeds_needed is None


def test_where_nothing_differs_there_is_no_effect_to_find():
    test = compare_paired(np.zeros(8))
    assert (test.permutation_p, test.t_p) == (1.0, 1.0)
    assert (test.wins, test.ties, test.losses, test.improvement) == (0, 8, 0, 0.5)
    assert math.isnan(test.effect)
    assert test.seeds_needed is None


@pytest.mark.parametrize("differences", [np.full(8, -0.25), -np.array([0.3 - 0.2, 0.1, 0.8 - 0.7] * 3)])
def test_an_effect_without_spread_is_infinite_though_rounding_spreads_it(differences):
    test = compare_paired(differences)
    assert (test.effect, test.t_p, test.seeds_needed) == (-math.inf, 0.0, seeds_to_reach())


def test_differences_that_cancel_have_no_effect_though_rounding_leaves_one():
    test = compare_paired(np.array([0.3 - 0.2, -0.1]))
    assert test.mean != 0
    assert (test.effect, test.t_p, test.permutation_p, test.seeds_needed) == (0.0, 1.0, 1.0, None)


# ----------------------------------------------------------------------------------- shares, power, families


@pytest.mark.parametrize("n", [1, 2, 5, 10, 100])
@pytest.mark.parametrize("confidence", [0.95, 0.99])
def test_wilsons_interval_is_scipys(n, confidence):
    for k in {0, 1, n // 2, n - 1, n}:
        expected = oracle.binomtest(k, n).proportion_ci(confidence, method="wilson")
        assert wilson_interval(k / n, n, confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


@pytest.mark.parametrize("effect", [0.05, 0.2, 0.5, 0.8, 1.0, 1.2])
@pytest.mark.parametrize("power", [0.8, 0.95])
@pytest.mark.parametrize("alpha", [0.05, 0.01])
def test_the_seeds_for_power_are_statsmodels(effect, power, alpha):
    expected = TTestPower().solve_power(effect_size=effect, power=power, alpha=alpha)
    assert seeds_for_power(effect, power, alpha) == max(math.ceil(expected), seeds_to_reach(alpha))


@pytest.mark.parametrize("effect", [0.01, 0.3, 1.0, -1.0, 1.5])
@pytest.mark.parametrize("n", [2, 6, 10, 30])
def test_the_power_is_statsmodels(effect, n):
    assert t_test_power(effect, n) == pytest.approx(TTestPower().power(effect, n, 0.05), rel=1e-9)


@pytest.mark.parametrize("n", [2, 6, 10, 30, 1000])
def test_power_rises_with_the_effect_from_the_level_to_1(n):
    powers = [t_test_power(effect, n) for effect in np.concatenate([np.linspace(0, 20, 500), [1e3, 1e9, math.inf]])]
    assert powers[0] == pytest.approx(0.05)
    assert powers[-1] == 1.0
    assert all(math.isfinite(power) for power in powers)
    assert min(np.diff(powers)) > -1e-12


@pytest.mark.parametrize("effect", [1e-8, 1e-3, 0.1, 0.7, 2.0, -2.0, 5.0, 1e6])
def test_one_seed_fewer_would_not_do(effect):
    n = seeds_for_power(effect)
    assert t_test_power(effect, n) >= 0.8
    assert n == seeds_to_reach() or t_test_power(effect, n - 1) < 0.8 + 1e-5


@pytest.mark.parametrize("effect", [0.0, math.nan])
def test_no_effect_takes_no_number_of_seeds(effect):
    assert seeds_for_power(effect) is None


def families():
    generator = np.random.default_rng(0)
    for size in [1, 2, 3, 6, 15, 66] * 5:
        smooth = generator.uniform(size=size) ** 3
        yield np.where(generator.uniform(size=size) < 0.5, smooth, generator.choice([0.0, 0.01, 0.02, 1.0], size))


def test_holm_is_statsmodels():
    for p_values in families():
        assert holm(p_values) == pytest.approx(multipletests(p_values, method="holm")[1], abs=1e-12)


def test_holm_leaves_out_of_the_family_what_has_no_p():
    for p_values in families():
        lost = np.insert(p_values, len(p_values) // 2, math.nan)
        found = holm(lost)
        assert found[np.isfinite(lost)].tolist() == holm(p_values).tolist()
        assert math.isnan(found[len(p_values) // 2])
        assert math.isnan(lost[len(p_values) // 2])  # and the argument is as it was


def test_holm_by_hand():
    # In order 0.01, 0.02, 0.02, 0.3 by 4, 3, 2, 1 gives 0.04, 0.06, 0.04, 0.3; none may be below one before it.
    assert holm(np.array([0.02, 0.3, 0.01, 0.02])) == pytest.approx([0.06, 0.3, 0.04, 0.06])
    assert holm(np.array([0.4, 0.5, 0.6])).tolist() == [1.0, 1.0, 1.0]


def test_holm_of_one_and_of_none():
    assert holm(np.array([0.03])).tolist() == [0.03]
    assert holm(np.array([])).tolist() == []


# ------------------------------------------------------------------------------------- published figures


@pytest.mark.parametrize(
    ("figure", "known", "half"),
    [
        (84.0, {}, 4.9683),  # 4.302653 * 2 / sqrt(3)
        (81.0, {}, 4.9683),
        (80.5, {"half_interval": 1.5}, 5.1898),  # the root of 4.9683 squared and 1.5 squared
        (78.0, {"one_run": True}, 9.9366),  # 4.302653 * 2 * sqrt(1 + 1 / 3)
        (75.0, {"one_run": True}, 9.9366),
    ],
)
def test_a_published_figure_is_held_against_the_interval_of_the_difference(figure, known, half):
    found = compare_to(summarize(np.array([84.0, 86.0, 88.0])), figure, **known)
    difference = 86 - figure
    assert found[:3] == pytest.approx((difference, difference - half, difference + half), abs=1e-4)
    assert found.inside is (abs(difference) <= half)


def test_one_seed_has_a_distance_to_a_published_figure_and_no_verdict():
    found = compare_to(summarize(np.array([84.0])), 80.0, 1.0)
    assert found._replace(low=0, high=0) == ReferenceDifference(4.0, 0, 0, None)
    assert math.isnan(found.low)
    assert math.isnan(found.high)


# ------------------------------------------------------------------------------------ simulated experiments

REPEATS = 4000


def rate(hits, within):
    """Assert that the share of ``hits`` lies ``within`` an interval; print it for who runs this with ``-s``."""
    share = float(np.mean(hits))
    print(f"{share:.4f} of {len(hits):,}", end="; ")
    low, high = within
    assert low <= share <= high


@pytest.mark.slow
@pytest.mark.parametrize("n", [5, 10, 30])
def test_students_interval_covers_the_mean_of_normal_seeds(n):
    samples = np.random.default_rng(n).normal(3, 2, (REPEATS, n))
    rate([summary.low <= 3 <= summary.high for summary in map(summarize, samples)], (0.93, 0.97))


@pytest.mark.slow
@pytest.mark.parametrize(("n", "least"), [(10, 0.86), (30, 0.91)])
def test_the_bootstrap_interval_covers_less_with_few_seeds(n, least):
    samples = np.random.default_rng(n).normal(3, 2, (REPEATS, n))
    rate([low <= 3 <= high for low, high in map(bca_interval, samples)], (least, 0.96))


@pytest.mark.slow
@pytest.mark.parametrize("n", [6, 8, 10, 12])
@pytest.mark.parametrize("tails", [None, 3])
def test_the_permutation_test_finds_what_is_not_there_as_rarely_as_it_says(n, tails):
    generator = np.random.default_rng(n)
    differences = generator.normal(size=(REPEATS, n)) if tails is None else generator.standard_t(tails, (REPEATS, n))
    exact = math.floor(0.05 / smallest_p(n)) * smallest_p(n)  # p is a multiple of the smallest, each as likely
    error = 4 * math.sqrt(exact * (1 - exact) / REPEATS)
    rate([permutation_p(sample) <= 0.05 for sample in differences], (exact - error, min(exact + error, 0.06)))


@pytest.mark.slow
def test_holm_keeps_the_error_rate_of_all_pairs_of_four():
    # Four treatments that are the same but for chance; what the seeds are like is common to them.
    generator = np.random.default_rng(0)
    accuracies = generator.normal(size=(REPEATS, 4, 10)) + 3 * generator.normal(size=(REPEATS, 1, 10))
    found = [
        holm(np.array([permutation_p(one - other) for one, other in itertools.combinations(treatments, 2)])).min()
        for treatments in accuracies
    ]
    rate(np.array(found) <= 0.05, (0.01, 0.06))


@pytest.mark.slow
@pytest.mark.parametrize("n", [3, 10, 30])
def test_one_run_of_the_same_kind_lies_inside_as_often_as_it_should(n):
    samples = np.random.default_rng(n).normal(3, 2, (REPEATS, n + 1))
    rate([bool(compare_to(summarize(of[1:]), of[0], one_run=True).inside) for of in samples], (0.93, 0.97))
