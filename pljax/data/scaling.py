"""Standardisation of features of any kind, so that one learning rate suits all of them."""

import numpy as np

from pljax.types import Scaling

BLOCK = 1 << 24  # numbers of the copy in float64 that deviations are computed from

OF_CONSTANT = float(np.finfo(np.float32).max)  # the scale of a constant feature: what is divided by it is nearly 0

# Features have one scale in common if at least three quarters of them have a range of this share of the largest range.
SIMILAR_RANGE = 0.5


def scaling_of(features: np.ndarray) -> Scaling:
    """Compute the scaling that gives features ``[n, D]`` mean 0 and variance 1.

    Features with similar ranges, such as pixels, have one scale in common, the root of their mean variance: a scale of
    its own would magnify a pixel that is rarely above 0. Other features have one scale each. A constant feature
    becomes 0, whatever it is in later rows: no weight was trained for it. So does one whose standard deviation is too
    small to divide by in float32.

    >>> scaling = scaling_of(np.array([[0.0, 100.0, 5.0], [2.0, 300.0, 5.0]]))
    >>> scaling.apply(np.array([[3.0, 100.0, 9.0]])).round(6).tolist()
    [[2.0, -1.0, 0.0]]
    """
    shift = features.mean(axis=0, dtype=np.float64)
    deviation = np.sqrt(_sum_of_squares(features, shift) / len(features))
    low, high = features.min(axis=0).astype(np.float64), features.max(axis=0).astype(np.float64)
    ranges = high - low
    varied = deviation > np.finfo(np.float32).tiny
    varied &= ranges > 0  # rounding can give equal numbers a deviation above 0
    scale = deviation
    if varied.any() and np.quantile(ranges[varied], 0.25, method="lower") >= SIMILAR_RANGE * ranges.max():
        scale = np.full_like(scale, np.sqrt(np.mean(deviation[varied] ** 2)))
    return Scaling(np.where(varied, shift, low), np.where(varied, scale, OF_CONSTANT))


def _sum_of_squares(features: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """The sum of the squared distances of features ``[n, D]`` from ``shift``, float64 ``[D]``, in blocks of rows."""
    rows = max(BLOCK // max(features.shape[1], 1), 1)
    blocks = (features[first : first + rows] - shift for first in range(0, len(features), rows))
    return np.sum([(block * block).sum(axis=0) for block in blocks], axis=0)
