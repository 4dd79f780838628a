"""The shares of the classes in a population, estimated from labelled and unlabelled rows."""

import math
import warnings
from typing import Any, NamedTuple

import numpy as np

FOLDS = 5
SPREADS = np.array([0, *np.geomspace(0.01, 1, 30)])  # of the shares around those of the labels, times sqrt(C)
ITERATIONS = 3
LEAST = 0.2  # rows that a class has at least among as many as are labelled
MOST_LABELLED = 2_000  # rows that the classifier is fitted to


class Shares(NamedTuple):
    """The share of each class."""

    mean: np.ndarray  # float64 [C], they sum to 1
    standard_error: np.ndarray  # float64 [C]

    def interval(self) -> np.ndarray:
        """The shares one standard error below and above, within [0, 1]: float64 ``[2, C]``."""
        return np.clip([self.mean - self.standard_error, self.mean + self.standard_error], 0, 1)


def of_labels(labels: np.ndarray, classes: int) -> Shares:
    """The shares among labels, int ``[n]``, taken for those of the population.

    >>> of_labels(np.array([0, 0, 1, 0]), 2).mean.tolist()
    [0.75, 0.25]
    """
    counts = np.bincount(labels, minlength=classes)
    return Shares(counts / counts.sum(), np.zeros(classes))


def estimate(inputs: np.ndarray, labels: np.ndarray, unlabelled: np.ndarray, classes: int) -> Shares:
    r"""Estimate the shares of the classes among the unlabelled rows; rows of a class look alike, labelled or not.

    Labels that were collected evenly do not tell how large the classes are, but the mean prediction for the unlabelled
    rows does (Lipton, Wang and Smola 2018, "Detecting and correcting for label shift with black box predictors"). The
    classifier is a logistic regression, cross-fitted: :math:`M_{cj}` is its mean probability of class :math:`j` for
    labelled rows of class :math:`c` that it was not fitted to, :math:`m` that for the unlabelled rows, and

    .. math::
        m = M^T p + \varepsilon, \qquad p = s + \delta, \qquad \delta \sim N(0, \tau^2 (I - 1 1^T / C)),

    where :math:`s` are the shares of the labels and the covariance of :math:`\varepsilon` is that of means of so many
    rows. :math:`\tau` has the largest marginal likelihood; at 0, which is frequent, the estimate is :math:`s`. The
    result is the posterior mean of :math:`p` with its standard deviation. Where a class has one label there is nothing
    to cross-fit, and the estimate is :math:`s`. Of more than ``MOST_LABELLED`` labelled rows, the classifier has a
    random part, with the same shares.

    Args:
      inputs: the labelled rows, float ``[n, D]``, features of about unit variance.
      labels: their classes, int ``[n]``; every class occurs.
      unlabelled: the unlabelled rows, float ``[U, D]``.
      classes: the number of classes C.
    """
    of_labelled = of_labels(labels, classes)
    folds = min(FOLDS, int(np.bincount(labels, minlength=classes).min()))
    if folds < 2 or not len(unlabelled):
        return of_labelled
    some = stratified_sample(labels, MOST_LABELLED)
    held_out, mean = cross_fit(inputs[some], labels[some], unlabelled, classes, folds)
    return posterior(held_out, labels[some], mean, len(unlabelled), of_labelled.mean)


def stratified_sample(labels: np.ndarray, most: int) -> np.ndarray:
    """The places of about ``most`` labels, a part of each class, but at least ``FOLDS`` of it if it has so many.

    >>> labels = np.repeat([0, 1], [900, 100])
    >>> np.bincount(labels[stratified_sample(labels, 100)]).tolist()
    [90, 10]
    """
    order = np.random.default_rng(0).permutation(len(labels))
    by_class = (order[labels[order] == label] for label in np.unique(labels))
    share = min(most / len(labels), 1)
    return np.sort(np.concatenate([of[: max(math.ceil(share * len(of)), FOLDS)] for of in by_class]))


def cross_fit(
    inputs: np.ndarray, labels: np.ndarray, unlabelled: np.ndarray, classes: int, folds: int
) -> tuple[np.ndarray, np.ndarray]:
    """Predict the labelled rows that a fold leaves out, ``[n, C]``, and the mean of the unlabelled rows, ``[C]``."""
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import StratifiedKFold

    held_out, means = np.zeros((len(labels), classes)), []
    for fitted, others in StratifiedKFold(folds, shuffle=True, random_state=0).split(inputs, labels):
        model: Any = LogisticRegression(max_iter=1000)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # it is good enough for an estimate
            model.fit(inputs[fitted], labels[fitted])
        held_out[others] = model.predict_proba(inputs[others])
        means.append(model.predict_proba(unlabelled).mean(axis=0))
    return held_out, np.mean(means, axis=0)


def posterior(held_out: np.ndarray, labels: np.ndarray, mean: np.ndarray, rows: int, labelled: np.ndarray) -> Shares:
    """Compute the posterior of the shares in the model of :func:`estimate`.

    Args:
      held_out: class probabilities of the labelled rows, float ``[n, C]``.
      labels: their classes, int ``[n]``.
      mean: the mean class probabilities of the unlabelled rows, float ``[C]``.
      rows: the number of unlabelled rows.
      labelled: the shares of the labels, float ``[C]``.
    """
    classes = len(labelled)
    by_class = [held_out[labels == label] for label in range(classes)]
    confusion = np.stack([of_class.mean(axis=0) for of_class in by_class])
    # Outputs vary as much as draws of a class with these probabilities would, or less. Each class has a share of a row.
    noise = [multinomial((of.sum(axis=0) + 1 / classes) / (len(of) + 1)) / len(of) for of in by_class]
    centred = np.eye(classes) - 1 / classes
    free = slice(classes - 1)  # the last probability follows from the others
    slope = (confusion.T @ centred)[free]
    residual = (mean - confusion.T @ labelled)[free]

    shares = labelled
    for _ in range(ITERATIONS):  # the covariance depends on the shares
        variance = np.tensordot(shares**2, noise, axes=1) + multinomial(mean) / rows
        variance = variance[free, free] + 1e-9 * np.eye(classes - 1)
        marginals = [spread**2 / classes * slope @ slope.T + variance for spread in SPREADS]
        best = int(np.argmax([log_density(residual, marginal) for marginal in marginals]))
        spread = SPREADS[best] ** 2 / classes
        gain = spread * slope.T @ np.linalg.inv(marginals[best])
        shares = np.maximum(labelled + gain @ residual, LEAST / len(labels))
        shares = shares / shares.sum()
    covariance = spread * centred - gain @ slope * spread
    return Shares(shares, np.sqrt(np.maximum(np.diag(covariance), 0)))


def multinomial(p: np.ndarray) -> np.ndarray:
    """The covariance of one draw of a class with probabilities ``p``, ``[C] -> [C, C]``."""
    return np.diag(p) - np.outer(p, p)


def log_density(x: np.ndarray, covariance: np.ndarray) -> float:
    """The logarithm of the density of N(0, covariance), but for a constant."""
    return float(-(np.linalg.slogdet(covariance)[1] + x @ np.linalg.solve(covariance, x)) / 2)
