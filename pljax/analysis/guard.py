"""Whether to use a classifier that was trained with unlabelled rows, or the supervised baseline without them."""

import dataclasses

import numpy as np

from pljax.analysis.calibration import SMALLEST

MAX_INCREASE = 1.0  # of the log loss, summed over the labelled rows


@dataclasses.dataclass(frozen=True)
class Guard:
    """A classifier, and the same network trained with the labelled rows alone, the baseline, on these rows."""

    rows: int  # the labelled rows
    validation: bool  # whether training did not use them
    error: float  # the share of the rows that the classifier gets wrong
    supervised_error: float
    log_loss: float  # of the classifier, summed over the rows; NaN with validation rows
    supervised_log_loss: float

    @property
    def use_supervised(self) -> bool:
        """Whether to use the baseline: it errs less often, or the classifier's log loss is larger by ``MAX_INCREASE``.

        Both were trained on the labels. Where the unlabelled rows pull the network away from them, the classes do not
        lie where the unlabelled rows do.
        """
        return self.error > self.supervised_error or self.log_loss - self.supervised_log_loss > MAX_INCREASE

    @property
    def warning(self) -> str:
        """The sentence that says that the baseline is used, and why."""
        rows = f"{self.rows:,} {'validation' if self.validation else 'labelled'} rows"
        reason = f"{self.error:.1%} of {rows} are wrong with them and {self.supervised_error:.1%} without"
        if self.error <= self.supervised_error:
            increase = self.log_loss - self.supervised_log_loss
            reason = f"the log loss of {rows} is {increase:.1f} larger with them, summed over the rows"
        return f"Unlabelled rows seem to do harm: {reason}. predict uses supervised_, which was trained without them."


def compare(
    probabilities: np.ndarray, supervised: np.ndarray, labels: np.ndarray, weights: np.ndarray | None = None
) -> Guard:
    """Compare two classifiers on the labelled rows that both were trained on.

    Args:
      probabilities: of the classifier, float ``[n, C]``.
      supervised: of the supervised baseline, float ``[n, C]``.
      labels: the classes of the rows, int ``[n]``.
      weights: how many rows each counts as, float ``[n]``; ``None``: one.

    >>> sure, unsure = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
    >>> guard = compare(unsure, sure, np.array([0]))
    >>> guard.error, guard.supervised_error, round(guard.log_loss - guard.supervised_log_loss, 2), guard.use_supervised
    (1.0, 0.0, 1.5, True)
    """

    def error(of_rows: np.ndarray) -> float:
        return float(np.average(of_rows.argmax(axis=1) != labels, weights=weights))

    def log_loss(of_rows: np.ndarray) -> float:
        right = np.take_along_axis(np.asarray(of_rows, np.float64), labels[:, None], axis=1)
        return float(-np.average(np.log(np.maximum(right, SMALLEST))[:, 0], weights=weights) * len(labels))

    errors = error(probabilities), error(supervised)
    return Guard(len(labels), False, *errors, log_loss(probabilities), log_loss(supervised))
