"""Calibration: the accuracy of a classifier by its confidence. Pure NumPy."""

from typing import NamedTuple

import numpy as np

BINS = 10


class Bins(NamedTuple):
    """Images in bins of equal width by confidence; the means of an empty bin are NaN."""

    counts: np.ndarray  # int [bins]
    confidence: np.ndarray  # float64 [bins], the mean confidence
    accuracy: np.ndarray  # float64 [bins]


def by_confidence(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> Bins:
    """Bin images by ``confidence``, ``[n]`` in [0, 1]; ``correct`` is bool ``[n]``.

    >>> found = by_confidence(np.array([0.1, 0.6, 0.8]), np.array([False, True, False]), bins=2)
    >>> found.counts.tolist(), found.confidence.round(3).tolist(), found.accuracy.tolist()
    ([1, 2], [0.1, 0.7], [0.0, 0.5])
    """
    confidence = np.asarray(confidence, np.float64)
    places = np.minimum((confidence * bins).astype(int), bins - 1)
    counts = np.bincount(places, minlength=bins)
    share = np.where(counts > 0, 1.0, np.nan) / np.maximum(counts, 1)
    confidences = share * np.bincount(places, weights=confidence, minlength=bins)
    return Bins(counts, confidences, share * np.bincount(places, weights=correct, minlength=bins))


def expected_calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = BINS) -> float:
    """The expected calibration error: the distance of accuracy from confidence in a bin, averaged over the images.

    >>> round(expected_calibration_error(np.array([0.1, 0.6, 0.8]), np.array([False, True, False]), bins=2), 4)
    0.1667
    """
    found = by_confidence(confidence, correct, bins)
    filled = found.counts > 0
    distances = np.abs(found.accuracy - found.confidence)[filled]
    return float((distances * found.counts[filled]).sum() / found.counts.sum())
