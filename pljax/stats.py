"""Means and their uncertainty over arrays of shape [seeds]. Knows numpy and scipy alone."""

from typing import NamedTuple

import numpy as np
from scipy import special


class Summary(NamedTuple):
    """A sample of seeds in short; every field is NaN where the sample is too small to have it."""

    n: int
    mean: float
    sd: float  # of the sample, n - 1 in the denominator
    low: float  # 95 % t-interval of the mean
    high: float


def summarize(values: np.ndarray, confidence: float = 0.95) -> Summary:
    """Mean, standard deviation and t-interval of the finite ``values``.

    The interval is ``mean -+ t * sd / sqrt(n)`` with Student's t at ``n - 1`` degrees of freedom: it is
    about the seeds (labelled subset, weights, mini-batch order), with the test set held fixed.

    >>> summary = summarize(np.array([1.0, 2.0, 3.0, 4.0, 5.0]))
    >>> summary.n, summary.mean, round(summary.sd, 3), round(summary.low, 3), round(summary.high, 3)
    (5, 3.0, 1.581, 1.037, 4.963)
    >>> summarize(np.array([0.7])).low
    nan
    """
    values = np.asarray(values, np.float64)
    values = values[np.isfinite(values)]
    n = len(values)
    if n == 0:
        return Summary(0, *4 * (float("nan"),))
    mean = float(values.mean())
    if n == 1:
        return Summary(1, mean, *3 * (float("nan"),))
    sd = float(values.std(ddof=1))
    half = float(special.stdtrit(n - 1, (1 + confidence) / 2)) * sd / n**0.5
    return Summary(n, mean, sd, mean - half, mean + half)
