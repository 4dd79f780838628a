"""Features of any kind on a common scale, so that one rate of learning suits them all."""

import numpy as np

from pljax.types import Scaling

ALIKE = 0.5  # three quarters of the features with this share of the largest range or more: all are of one kind


def scaling_of(features: np.ndarray) -> Scaling:
    """How to centre features ``[n, D]`` and bring their variance to 1.

    Features of one kind, like pixels, which have about the same range, share one scale: a pixel that is rarely lit
    would be blown up by its own. Others have one each. A feature that is the same in all rows becomes 0, and so does
    one whose numbers differ by less than float32 can divide by.

    >>> scaling_of(np.array([[0.0, 100.0, 5.0], [2.0, 300.0, 5.0]])).scale.tolist()
    [1.0, 100.0, 1.0]
    """
    shift = features.mean(axis=0, dtype=np.float64)
    deviation = features.std(axis=0, dtype=np.float64)
    low, high = features.min(axis=0).astype(np.float64), features.max(axis=0).astype(np.float64)
    spread = high - low
    varied = deviation > np.finfo(np.float32).tiny
    varied &= spread > 0  # rounding alone gives equal numbers a deviation
    scale = np.where(varied, deviation, 1.0)
    if varied.any() and np.quantile(spread[varied], 0.25, method="lower") >= ALIKE * spread.max():
        scale = np.full_like(scale, np.sqrt(np.mean(deviation[varied] ** 2)))
    return Scaling(shift.astype(np.float32), scale.astype(np.float32))
