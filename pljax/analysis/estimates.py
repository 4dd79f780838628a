"""Estimated differences, of paired runs or from published figures: intervals, p-values and equivalence tests."""

import math
from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import scipy

from pljax.analysis.stats import ALPHA, CONFIDENCE, NAN, ROUNDING, Paired, Summary, holm

Z = float(scipy.special.ndtri((1 + CONFIDENCE) / 2))  # 1.96


class Estimate(NamedTuple):
    """An estimated difference: a mean over seeds, minus 0 or a published figure that has an error of its own.

    The half-widths of the intervals of both, ``t * standard_error`` with Student's t and ``z * half_interval / 1.96``
    with the normal quantile, are combined as the root of the sum of their squares (Zou and Donner 2008). Without a
    ``half_interval`` this is Student's interval.
    """

    value: float
    standard_error: float  # of the mean over seeds; NaN for fewer than two
    degrees: int  # of freedom
    half_interval: float = 0.0  # half the 95 % interval of the figure

    def half_width(self, confidence: float = CONFIDENCE) -> float:
        """Half the width of the interval; NaN for fewer than two seeds.

        >>> round(Estimate(2.0, 1.0, 9).half_width(), 3), round(Estimate(2.0, 1.0, 9, 1.5).half_width(), 3)
        (2.262, 2.714)
        """
        return self._half_width((1 - confidence) / 2)

    def _half_width(self, tail: float) -> float:
        if math.isnan(self.standard_error):
            return NAN
        of_mean = -float(scipy.special.stdtrit(self.degrees, tail)) * self.standard_error
        return math.hypot(of_mean, -float(scipy.special.ndtri(tail)) / Z * self.half_interval)

    def p_value(self, hypothesis: float = 0.0) -> float:
        """The two-sided p-value of a true difference: the interval of confidence ``1 - p`` ends at the hypothesis.

        >>> round(Estimate(2.0, 1.0, 9).p_value(), 4), round(Estimate(2.0, 1.0, 9, 1.5).p_value(), 4)
        (0.0766, 0.1352)
        """
        distance = abs(self.value - hypothesis)
        if math.isnan(self.standard_error):
            return NAN
        if distance == 0:
            return 1.0
        of_mean = 2 * scipy.special.stdtr(self.degrees, -distance / self.standard_error) if self.standard_error else 0.0
        of_figure = 2 * scipy.special.ndtr(-distance * Z / self.half_interval) if self.half_interval else 0.0
        least = float(max(of_mean, of_figure))
        if least == 0 or not self.half_interval:
            return least
        return math.exp(  # by its logarithm, for the relative precision of a small p
            scipy.optimize.brentq(lambda log_p: self._half_width(math.exp(log_p) / 2) - distance, _below(least), 0.0)
        )


def _below(p: float) -> float:
    """A logarithm a little below that of ``p``: a bound that rounding does not pass."""
    return math.log(p) - 1e-9


class ReferenceDifference(NamedTuple):
    """The difference between the mean of a sample of seeds and a published figure. Nothing is paired."""

    difference: float  # the mean minus the figure
    low: float  # 95 % interval, with the uncertainty of the figure as far as it is known
    high: float
    inside: bool | None  # whether the interval contains 0; None if there is no interval
    p: float  # two-sided, of no difference; NaN if there is no interval


def from_figure(summary: Summary, figure: float, half_interval: float | None = None, one_run: bool = False) -> Estimate:
    """The difference between the mean of a sample and a published ``figure``.

    If the source gives a ``half_interval`` of its figure, this is a part of the error. If the figure is of ``one_run``,
    which varies as a single seed does, the standard error is ``sd * sqrt(1 + 1 / n)`` instead of ``sd / sqrt(n)``.
    """
    difference = summary.mean - figure
    if abs(difference) <= ROUNDING * abs(figure):
        difference = 0.0
    error = summary.sd * math.sqrt(1 / summary.n + int(one_run)) if summary.n else NAN
    return Estimate(difference, error, summary.n - 1, 0.0 if one_run or half_interval is None else half_interval)


def compare_to(estimate: Estimate) -> ReferenceDifference:
    """Compare a sample with a published figure, by the difference that :func:`from_figure` gives.

    >>> import numpy as np
    >>> from pljax.analysis.stats import summarize
    >>> summary = summarize(np.array([84.0, 86.0, 88.0]))
    >>> [compare_to(from_figure(summary, 80.0, one_run=one_run)).inside for one_run in (False, True)]
    [False, True]
    """
    difference, half = estimate.value, estimate.half_width()
    inside = None if math.isnan(half) else abs(difference) <= half
    return ReferenceDifference(difference, difference - half, difference + half, inside, estimate.p_value())


def from_pairs(test: Paired) -> Estimate:
    """The mean of the differences between two runs, paired by seed."""
    return Estimate(test.mean, test.sd / math.sqrt(test.n) if test.n else NAN, test.n - 1)


class Equivalence(NamedTuple):
    """Whether a difference is small: two one-sided tests (Schuirmann 1987) against ``-margin`` and ``margin``."""

    margin: float
    low: float  # 90 % interval of the difference
    high: float
    p: float  # the larger one of the two tests; at most 0.05 where the 90 % interval lies within the margin
    result: Literal["equivalent", "not shown", "differs"]
    holm_p: float = NAN  # p adjusted for the other tests of a comparison: see corrected


def equivalence(estimate: Estimate, margin: float) -> Equivalence:
    """Test whether the true difference lies within ``-margin`` and ``margin``.

    It is shown to lie within (``equivalent``) if both one-sided tests reject at 5 %, that is, if the 90 % interval lies
    within the margin; and to lie outside (``differs``) if the 95 % interval lies outside, on one side. Each of the two
    is wrong in at most 5 % of cases. Otherwise neither is shown, and so it is where all seeds have the same difference:
    then nothing tells how much it varies, and p is NaN.

    >>> [equivalence(Estimate(value, 0.5, 9), margin=2.0).result for value in (0.5, 1.5, 3.5)]
    ['equivalent', 'not shown', 'differs']
    """
    value, half = estimate.value, estimate.half_width(1 - 2 * ALPHA)
    if not estimate.standard_error > 0:
        return Equivalence(margin, value - half, value + half, NAN, "not shown")
    beyond = abs(value) - margin
    if abs(beyond) <= ROUNDING * margin:
        beyond = 0.0
    two_sided = estimate._replace(value=beyond).p_value()  # of the bound that is nearer: its test has the larger p
    p = two_sided / 2 if beyond <= 0 else 1 - two_sided / 2
    differs = beyond > estimate.half_width()
    return Equivalence(
        margin,
        value - half,
        value + half,
        p,
        "equivalent" if p <= ALPHA else "differs" if differs else "not shown",
    )


def corrected(tests: Sequence[Equivalence], significant: Sequence[bool]) -> list[Equivalence]:
    """Correct the tests of a comparison for their number.

    ``equivalent`` is a test whose p is at most 5 % after Holm's correction; one ``differs`` if the p of a difference
    within the margin, 1 - p, is at most 2.5 % after it. ``significant`` says of which differences a test against 0,
    corrected for their number, finds that there is one: no other can be called one that ``differs``.

    >>> one = equivalence(Estimate(0.8, 0.6, 9), margin=2.0)
    >>> one.result, [test.result for test in corrected([one, one], [False, False])]
    ('equivalent', ['not shown', 'not shown'])
    """
    p = np.array([test.p for test in tests], np.float64)
    of_each = zip(tests, holm(p).tolist(), holm(1 - p).tolist(), significant, strict=True)
    found = []
    for test, holm_p, outside_p, nonzero in of_each:
        differs = nonzero and outside_p <= ALPHA / 2
        holds = {"equivalent": holm_p <= ALPHA, "differs": differs, "not shown": True}[test.result]
        found.append(test._replace(holm_p=holm_p, result=test.result if holds else "not shown"))
    return found
