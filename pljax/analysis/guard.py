"""Whether a classifier trained with unlabelled rows is to be believed, or its twin trained without them."""

import dataclasses

import numpy as np

from pljax.analysis.calibration import SMALLEST

MOST_NATS = 1.0  # that labelled rows may be less likely, summed over them


@dataclasses.dataclass(frozen=True)
class Guard:
    """A classifier and its supervised twin on labelled rows."""

    rows: int  # the labelled rows
    validation: bool  # whether training did not use them
    error: float  # the share of the rows that the classifier gets wrong
    supervised_error: float
    nats: float  # the negative log-likelihood of the classifier, summed over the rows; NaN with validation rows
    supervised_nats: float

    @property
    def answers_supervised(self) -> bool:
        """Whether the twin answers: it errs less often, or the labels of training are less likely without it.

        Both were trained on the labels. Where the unlabelled rows pull the network away from them, by an error or by
        ``MOST_NATS``, the classes do not lie where the unlabelled rows do.
        """
        return self.error > self.supervised_error or self.nats - self.supervised_nats > MOST_NATS

    @property
    def warning(self) -> str:
        """The sentence that says that the twin answers, and why."""
        rows = f"{self.rows:,} {'validation' if self.validation else 'labelled'} rows"
        reason = f"{self.error:.1%} of {rows} are wrong with them and {self.supervised_error:.1%} without"
        if self.error <= self.supervised_error:
            reason = f"they make the classes of {rows} less likely, by {self.nats - self.supervised_nats:.1f} nats"
        return f"Unlabelled rows seem to do harm: {reason}. supervised_ answers, which was trained without them."


def compare(
    probabilities: np.ndarray, supervised: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> Guard:
    """Compare two classifiers on the labelled rows that both were trained on.

    Args:
      probabilities: of the classifier, float ``[n, C]``.
      supervised: of its twin, float ``[n, C]``.
      labels: the classes of the rows, int ``[n]``.
      weights: how many rows each counts as, float ``[n]``; ``None``: one.

    >>> sure, unsure = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
    >>> guard = compare(unsure, sure, np.array([0]))
    >>> guard.error, guard.supervised_error, round(guard.nats - guard.supervised_nats, 2), guard.answers_supervised
    (1.0, 0.0, 1.5, True)
    """

    def error(of_rows: np.ndarray) -> float:
        return float(np.average(of_rows.argmax(axis=1) != labels, weights=weights))

    def nats(of_rows: np.ndarray) -> float:
        right = np.take_along_axis(np.asarray(of_rows, np.float64), labels[:, None], axis=1)
        return float(-np.average(np.log(np.maximum(right, SMALLEST))[:, 0], weights=weights) * len(labels))

    errors = error(probabilities), error(supervised)
    return Guard(len(labels), False, *errors, nats(probabilities), nats(supervised))
