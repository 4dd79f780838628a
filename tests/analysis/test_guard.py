"""The guard's rule, against a table by hand."""

import numpy as np
import pytest

from pljax.analysis.guard import Guard, compare

LABELS = np.array([0, 1, 1])
RIGHT = np.array([[0.9, 0.1], [0.1, 0.9], [0.2, 0.8]])


def test_errors_and_log_losses_are_those_of_the_rows():
    wrong = np.array([[0.4, 0.6], [0.1, 0.9], [0.3, 0.7]])
    guard = compare(wrong, RIGHT, LABELS)
    assert (guard.rows, guard.error, guard.supervised_error) == (3, pytest.approx(1 / 3), 0)
    assert guard.log_loss == pytest.approx(-np.log([0.4, 0.9, 0.7]).sum())
    assert guard.supervised_log_loss == pytest.approx(-np.log([0.9, 0.9, 0.8]).sum())


@pytest.mark.parametrize(
    ("error", "supervised_error", "increase", "used"),
    [
        (0.0, 0.0, 0.9, False),
        (0.0, 0.0, 1.1, True),
        (0.1, 0.0, 0.0, True),
        (0.1, 0.2, 0.0, False),
        (0.1, 0.1, np.nan, False),
    ],
)
def test_the_baseline_is_used_where_it_errs_less_or_has_a_lower_log_loss(error, supervised_error, increase, used):
    assert Guard(10, False, error, supervised_error, increase + 5, 5.0).use_supervised is used


def test_a_probability_of_zero_is_no_infinity():
    certain = np.array([[0.0, 1.0], [0.0, 1.0], [0.0, 1.0]])
    guard = compare(certain, RIGHT, LABELS)
    assert np.isfinite(guard.log_loss)
    assert guard.use_supervised
