"""Calibration: the accuracy of a classifier by its confidence, and the temperature that brings them together."""

import warnings
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import log_softmax, softmax

BINS = 10
TEMPERATURES = 0.05, 50.0  # the least and the greatest that is fitted
FACTOR, GUESSES, FIXED = 1.5, (1.5, 20.0), 2.5  # see guess_temperature
FOLDS, MOST_ROWS = 5, 1000  # of its cross-fit
SMALLEST = float(np.finfo(np.float32).tiny)  # a probability of 0 is taken for this


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


def fit_temperature(probabilities: np.ndarray, labels: np.ndarray) -> float:
    r"""Fit the temperature T under which the labels are most likely (Guo et al. 2017, "On calibration of modern neural
    networks"): it minimises :math:`-\sum_i \log q_i(y_i)` with :math:`q \propto p^{1/T}`.

    Args:
      probabilities: of rows that the classifier was not trained on, float ``[n, C]``.
      labels: their classes, int ``[n]``.

    A classifier that is sure and right in seven of ten cases is too sure:

    >>> sure = np.tile([0.99, 0.01], (10, 1))
    >>> temperature = fit_temperature(sure, np.array([0] * 7 + [1] * 3))
    >>> round(temperature, 1), at_temperature(sure, temperature)[0].round(2).tolist()
    (5.4, [0.7, 0.3])
    """
    logits, rows = _log(probabilities), np.arange(len(labels))

    def log_loss(log_temperature: float) -> float:
        return float(-log_softmax(logits / np.exp(log_temperature), axis=1)[rows, labels].sum())

    return float(np.exp(minimize_scalar(log_loss, bounds=np.log(TEMPERATURES), method="bounded").x))


def guess_temperature(inputs: np.ndarray, labels: np.ndarray) -> float:
    """Guess the temperature of a network that is trained with a few labels, all of which it needs.

    The harder the data, the more a network that has learnt its labels by heart is too sure. How hard they are, the
    temperature tells that a cross-fitted logistic regression needs. The guess is 1.5 times it, but within ``GUESSES``:
    of the rules of this form, the best for ``pl`` on thirteen data sets with 10 labels a class. Where a class has a
    single label, the guess is 2.5, the best of all fixed temperatures there.

    Args:
      inputs: the labelled rows, float ``[n, D]``, features of about unit variance.
      labels: their classes, int ``[n]``, from 0; every class occurs.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold, cross_val_predict

    if len(labels) > MOST_ROWS:
        some = np.random.default_rng(0).permutation(len(labels))[:MOST_ROWS]
        inputs, labels = inputs[some], labels[some]
    folds = min(FOLDS, int(np.bincount(labels).min()))
    if folds < 2:
        return FIXED
    splits = StratifiedKFold(folds, shuffle=True, random_state=0)
    model = LogisticRegression(max_iter=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is good enough for a guess
        held_out = cross_val_predict(model, inputs, labels, cv=splits, method="predict_proba")
    return float(np.clip(FACTOR * fit_temperature(held_out, labels), *GUESSES))


def at_temperature(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Return class probabilities, float64 ``[..., C]``, whose logits are divided by a temperature."""
    return softmax(_log(probabilities) / temperature, axis=-1)


def _log(probabilities: np.ndarray) -> np.ndarray:
    return np.log(np.maximum(np.asarray(probabilities, np.float64), SMALLEST))
