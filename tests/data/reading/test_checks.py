"""Warnings of features that are of no use or harmful."""

import numpy as np

from pljax.data.reading.checks import feature_warnings
from pljax.data.reading.rows import Rows

CLASSES = np.arange(40) % 2
NOISE = np.random.default_rng(0).normal(size=40)


def warned(column, labels=CLASSES, columns=("noise", "it")):
    return list(feature_warnings(Rows(np.stack([NOISE, column], axis=1), None, columns), labels))


def test_a_feature_that_counts_the_rows_is_warned_of():
    for first in (0, 1):
        assert warned(np.arange(40) + first) == ["the feature it only counts the rows: leave it out with --features."]
    for column in (np.arange(40) + 2, np.arange(40)[::-1], np.arange(40) * 2, np.arange(40) % 39):
        assert warned(column) == []


def test_a_feature_that_is_the_label_in_another_form_is_warned_of():
    partly = np.where(np.arange(40) < 25, CLASSES, -1)
    for column in (CLASSES, 1 - CLASSES, 7.5 * CLASSES - 3):
        for labels in (CLASSES, partly):
            (sentence,) = warned(column, labels)
            assert sentence.startswith("the feature it tells the class of every labelled row")
    one_row_differs = np.where(np.arange(40) == 7, 1 - CLASSES, CLASSES)
    finer = CLASSES + 2 * (np.arange(40) > 20)
    assert warned(one_row_differs) == warned(finer) == []
    assert warned(CLASSES, np.where(np.arange(40) < 19, CLASSES, -1)) == []  # with few labels it may be an accident


def test_a_constant_feature_is_warned_of_by_name_or_number():
    for columns, name in (((), "1"), (("noise", "it"), "it")):
        assert warned(np.full(40, 0.1), columns=columns) == [f"the same in all rows, so of no use: feature {name}."]
