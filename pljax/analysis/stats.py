"""Statistics over seeds: confidence intervals and paired tests for arrays of shape ``[seeds]``.

Values that are not finite, those of diverged seeds, are left out and not counted in ``n``.
"""

import math
from typing import NamedTuple

import numpy as np
import scipy

CONFIDENCE = 0.95
ALPHA = 0.05  # the significance level of tests
POWER = 0.8
EXACT_UP_TO = 20  # seeds; with more, sign flips are sampled
FLIPS = 100_000
ROUNDING = 1e-9  # relative; accuracies are counts of images, so smaller differences are rounding errors

NAN = float("nan")


class Interval(NamedTuple):
    """An interval from ``low`` to ``high``; both are NaN if there are too few values."""

    low: float
    high: float


class Summary(NamedTuple):
    """Summary statistics of a sample of seeds; a field is NaN if the sample is too small for it."""

    n: int
    mean: float
    sd: float  # of the sample, n - 1 in the denominator
    low: float  # 95 % t-interval of the mean
    high: float
    median: float
    interquartile_mean: float
    least: float
    most: float


def summarize(values: np.ndarray, confidence: float = CONFIDENCE) -> Summary:
    """Compute mean, standard deviation, t-interval and robust statistics of the finite ``values``, ``[n]``.

    The interval is ``mean -+ t * sd / sqrt(n)`` with Student's t at ``n - 1`` degrees of freedom. It covers the
    variation between seeds (labelled subset, weights, mini-batch order); the test set is fixed. The interquartile mean
    leaves out a quarter of the values, rounded down, at either end.

    >>> summary = summarize(np.array([1.0, 2.0, 3.0, 4.0, 10.0]))
    >>> summary.n, summary.mean, summary.median, summary.interquartile_mean
    (5, 4.0, 3.0, 3.0)
    >>> round(summary.sd, 3), round(summary.low, 3), round(summary.high, 3)
    (3.536, -0.39, 8.39)
    >>> summarize(np.array([0.7])).low
    nan
    """
    values = np.sort(_finite(values))
    n = len(values)
    if n == 0:
        return Summary(0, *8 * (NAN,))
    mean, sd = float(values.mean()), float(values.std(ddof=1)) if n > 1 else NAN
    if sd <= ROUNDING * np.abs(values).max():
        sd = 0.0
    half = float(scipy.special.stdtrit(n - 1, (1 + confidence) / 2)) * sd / n**0.5 if n > 1 else NAN
    middle = values[n // 4 : n - n // 4]
    return Summary(
        n,
        mean,
        sd,
        mean - half,
        mean + half,
        float(np.median(values)),
        float(middle.mean()),
        float(values[0]),
        float(values[-1]),
    )


class Paired(NamedTuple):
    """Statistics of the differences between two treatments, paired by seed.

    A field is NaN if the sample is too small for it.
    """

    n: int
    mean: float
    sd: float
    low: float  # 95 % t-interval of the mean difference
    high: float
    permutation_p: float  # two-sided, from sign flips
    t_p: float  # two-sided, the paired t-test
    effect: float  # Cohen's d_z, mean / sd; infinite where all differences are the same
    wins: int
    ties: int
    losses: int
    improvement: float  # share of the seeds better with the first, ties left out: wins / (wins + losses)
    improvement_low: float  # its exact 95 % interval, that of the sign test
    improvement_high: float
    seeds_needed: int | None  # see :func:`seeds_for_power`


def compare_paired(differences: np.ndarray) -> Paired:
    """Test two treatments by the finite ``differences`` between them, one per seed.

    >>> test = compare_paired(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    >>> test.mean, test.permutation_p, round(test.t_p, 5), (test.wins, test.ties, test.losses)
    (3.0, 0.0625, 0.01324, (5, 0, 0))
    """
    differences = _finite(differences)
    summary = summarize(differences)
    wins, losses = int((differences > 0).sum()), int((differences < 0).sum())
    decided = wins + losses
    share, interval = (wins / decided, exact_interval(wins, decided)) if decided else (NAN, Interval(NAN, NAN))
    effect = _effect(differences)
    return Paired(
        *summary[:5],
        permutation_p(differences),
        t_test_p(differences),
        effect,
        wins,
        summary.n - decided,
        losses,
        share,
        *interval,
        seeds_for_power(effect),
    )


class Resampled(NamedTuple):
    """The mean of differences on several splits of one data set, with its 95 % interval and two-sided p-value."""

    n: int
    mean: float
    low: float
    high: float
    p: float


def compare_resampled(differences: np.ndarray, test_to_training: float) -> Resampled:
    """Test the ``differences`` of two treatments on random splits of the same rows into training and test rows.

    The splits overlap, so their differences are not independent and the t-interval is too narrow. The correction of
    Nadeau and Bengio (2003), "Inference for the generalization error", takes ``1 / n + test_to_training`` for the
    ``1 / n`` in the variance of the mean; ``test_to_training`` is the number of test rows over that of training rows.

    >>> found = compare_resampled(np.array([1.0, 2.0, 3.0, 4.0, 5.0]), 0.5)
    >>> found.mean, round(found.low, 2), round(found.high, 2), round(found.p, 3)
    (3.0, -0.67, 6.67, 0.086)
    """
    summary = summarize(differences)
    wider = (1 + summary.n * test_to_training) ** 0.5
    half = (summary.high - summary.mean) * wider
    t = abs(_effect(_finite(differences))) * summary.n**0.5 / wider
    p = float(2 * scipy.special.stdtr(summary.n - 1, -t))
    if summary.n > 1 and math.isnan(t):
        p = 1.0  # every difference is 0
    return Resampled(summary.n, summary.mean, summary.mean - half, summary.mean + half, p)


def permutation_p(differences: np.ndarray) -> float:
    """The two-sided p-value of the sign-flip permutation test of the sum of the differences.

    Under the null hypothesis that treatments are exchangeable within a seed, all ``2^n`` sign patterns are equally
    likely; p is the share of patterns whose absolute sum is at least the observed one. Up to ``EXACT_UP_TO``
    differences all patterns are enumerated. With more, ``FLIPS`` patterns are sampled, and the observed pattern is
    counted as one more, which keeps the test valid.

    >>> permutation_p(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    0.0625
    """
    differences = _finite(differences)
    n = len(differences)
    if n == 0:
        return NAN
    sizes = np.sort(np.abs(differences))  # sorted, so that p does not depend on the order of the seeds
    # A tolerance: sums that are equal in exact arithmetic may differ in their last bits.
    observed = abs(differences.sum()) - ROUNDING * sizes.sum()
    if n <= EXACT_UP_TO:
        sums = sizes[:1]  # its sign is fixed: flipping all signs does not change an absolute sum
        for size in sizes[1:]:
            sums = np.concatenate([sums + size, sums - size])
        return float((np.abs(sums) >= observed).mean())
    generator, sums = np.random.default_rng(0), np.zeros(FLIPS)
    for size in sizes:
        sums += np.where(generator.integers(0, 2, FLIPS, dtype=np.int8), size, -size)
    return float((1 + (np.abs(sums) >= observed).sum()) / (1 + FLIPS))


def smallest_p(n: int) -> float:
    """The smallest p-value that :func:`permutation_p` can give for ``n`` differences.

    >>> smallest_p(5), round(smallest_p(10), 5)
    (0.0625, 0.00195)
    """
    return 2.0 ** (1 - n) if n <= EXACT_UP_TO else 1 / (1 + FLIPS)


def seeds_to_reach(alpha: float = ALPHA, comparisons: int = 1) -> int:
    """The smallest number of seeds with which the exact test can reach ``alpha`` after Holm's correction.

    At most ``EXACT_UP_TO``, even if these are too few.

    >>> seeds_to_reach(), seeds_to_reach(comparisons=6)
    (6, 8)
    """
    return next(n for n in range(1, EXACT_UP_TO + 1) if comparisons * smallest_p(n) <= alpha or n == EXACT_UP_TO)


def t_test_p(differences: np.ndarray) -> float:
    """The two-sided p-value of the paired t-test that the mean difference is 0; NaN for fewer than two."""
    differences = _finite(differences)
    n, effect = len(differences), _effect(differences)
    if n < 2:
        return NAN
    if math.isnan(effect):
        return 1.0  # every difference is 0
    return float(2 * scipy.special.stdtr(n - 1, -abs(effect) * n**0.5))


def _effect(differences: np.ndarray) -> float:
    """Cohen's d_z, the mean over the standard deviation; NaN for fewer than two differences or if all are 0."""
    if len(differences) < 2 or not differences.any():
        return NAN
    mean, sd = float(differences.mean()), float(differences.std(ddof=1))
    rounding = ROUNDING * np.abs(differences).max()
    if abs(mean) <= rounding:
        return 0.0
    if sd <= rounding:
        return math.copysign(math.inf, mean)
    return mean / sd


def exact_interval(successes: int, trials: int, confidence: float = CONFIDENCE) -> Interval:
    """The exact interval (Clopper and Pearson 1934) of the probability of a success; from 0 to 1 without a trial.

    It has the probabilities that neither one-sided binomial test rejects at ``(1 - confidence) / 2``, and covers the
    true one with a probability of at least ``confidence``, whatever the number of trials.

    >>> low, high = exact_interval(5, 5)
    >>> round(low, 3), high
    (0.478, 1.0)
    """
    tail = (1 - confidence) / 2
    failures = trials - successes
    low = float(scipy.special.betaincinv(successes, failures + 1, tail)) if successes else 0.0
    high = float(scipy.special.betaincinv(successes + 1, failures, 1 - tail)) if failures else 1.0
    return Interval(low, high)


def seeds_for_power(effect: float, power: float = POWER, alpha: float = ALPHA) -> int | None:
    """The number of seeds with which a two-sided paired t-test detects an effect d_z with probability ``power``.

    It is at least the number with which the exact test can reach ``alpha``. ``None`` if the effect is 0 or NaN.

    >>> seeds_for_power(1.0), seeds_for_power(0.2), seeds_for_power(3.0)
    (10, 199, 6)
    """
    if math.isnan(effect) or effect == 0:
        return None
    fewest = seeds_to_reach(alpha)
    if math.isinf(effect):
        return fewest
    z = scipy.special.ndtri([1 - alpha / 2, power]).sum()
    n = max(fewest, math.floor((z / effect) ** 2))  # start at the normal approximation, which is never too large
    while t_test_power(effect, n, alpha) < power:
        n += 1
    return n


def t_test_power(effect: float, n: int, alpha: float = ALPHA) -> float:
    """The power of a two-sided paired t-test of ``n`` seeds, at least two, for an effect d_z.

    >>> round(t_test_power(1.0, 10), 3), t_test_power(100.0, 10)
    (0.803, 1.0)
    """
    noncentrality = abs(effect) * n**0.5
    critical = scipy.special.stdtrit(n - 1, 1 - alpha / 2)
    power = float(1 - scipy.special.ncfdtr(1, n - 1, noncentrality**2, critical**2))  # t squared is F
    return 1.0 if math.isnan(power) and noncentrality > 30 else power  # scipy may return NaN for large arguments


def holm(p_values: np.ndarray) -> np.ndarray:
    """Holm's (1979) adjusted p-values of a family of tests. NaN stays NaN and is not counted as a test.

    >>> holm(np.array([0.01, 0.04, 0.03])).round(3).tolist()
    [0.03, 0.06, 0.06]
    """
    adjusted = np.array(p_values, np.float64)
    order = np.argsort(adjusted)  # NaN comes last
    order = order[: np.isfinite(adjusted).sum()]
    steps = np.arange(len(order), 0, -1) * adjusted[order]
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1)
    return adjusted


def _finite(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values, np.float64)
    return values[np.isfinite(values)]
