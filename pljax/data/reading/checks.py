"""Checks of the rows that users bring: what cannot be learned from, and what may not be as its author meant it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np

from pljax.data.reading.rows import Rows
from pljax.data.text import number, printable, shorten
from pljax.types import InputError

MAX_FEATURE = 1e30  # largest magnitude of a feature: float32 must also hold differences of two
LEAST_LABELS = 20  # with which a feature that is the same as the labels is no accident
MOST_LABELS = 1000  # that it is compared with


def require_numbers(path: Path, rows: Rows, *, training: bool) -> None:
    """Raise ``InputError`` if there are no features, or one is NaN or above ``MAX_FEATURE``.

    ``training`` says whether other features may be chosen.
    """
    count, features = rows.features.shape
    if not count or not features:
        raise InputError(f"{path} has {count} rows of {features} features: there is nothing to read.")
    if np.can_cast(rows.features.dtype, np.int64):
        return
    most = min(MAX_FEATURE, float(np.finfo(rows.features.dtype).max))
    if -most <= rows.features.min() and rows.features.max() <= most:  # not so if one is NaN
        return
    missing = np.isnan(rows.features)
    if missing.any():
        of_feature = missing.sum(axis=0)
        where = (f"{feature_name(rows, place)} ({of_feature[place]})" for place in np.flatnonzero(of_feature))
        others = ", or list other features with --features" if training else ""
        incomplete = np.flatnonzero(missing.any(axis=1))
        raise InputError(
            f"{path} has {number(missing.sum(), 'missing number')} in {len(incomplete)} of {count} rows, the first in "
            f"row {incomplete[0]}, in {shorten(where)}: fill them in, or leave out these rows{others}."
        )
    large = np.abs(rows.features) > most
    row, place = np.argwhere(large)[0]
    raise InputError(
        f"{path} has {large.sum()} numbers that are not between -{MAX_FEATURE:g} and {MAX_FEATURE:g}, the first in "
        f"row {row}, {feature_name(rows, place)}: correct them, or leave out these rows."
    )


def require_pixels(path: str, rows: Rows) -> None:
    """Raise ``InputError`` if rows for a network of pictures are no pixels: whole ones, or of resized pictures."""
    whole = rows.image is not None or not (rows.features % 1).any()
    if not whole or rows.features.min() < 0 or rows.features.max() > 255:
        raise InputError(f"{path} has numbers that are no pixels: the network takes whole numbers from 0 to 255.")
    if rows.image is None and rows.features.max() == 1:
        raise InputError(f"{path} has no number but 0 and 1, but white is 255 for the network: multiply them by 255.")


def feature_name(rows: Rows, place: np.integer | int) -> str:
    """Return the name of a feature in a sentence.

    >>> feature_name(Rows(np.zeros((1, 2)), None, ("a", "b")), 1), feature_name(Rows(np.zeros((1, 2)), None), 1)
    ('column b', 'feature 1')
    """
    return f"column {printable(rows.columns[place])}" if rows.columns else f"feature {place}"


def constant_features(features: np.ndarray) -> np.ndarray:
    """Return the places of the features, ``[n, D]``, that are the same in all rows."""
    return np.flatnonzero(features.min(axis=0) == features.max(axis=0))


def feature_warnings(rows: Rows, labels: np.ndarray) -> Iterable[str]:
    """Yield a sentence for each kind of feature that is of no use or harmful.

    ``labels`` are the classes of the rows by number, int32 ``[n]``, -1 for an unknown one.
    """
    if rows.image is not None:
        return
    names = rows.columns or tuple(map(str, range(rows.features.shape[1])))
    if len(constant := constant_features(rows.features)):
        yield f"the same in all rows, so of no use: feature {shorten(names[place] for place in constant)}."
    if counting := [name for name, column in zip(names, rows.features.T, strict=True) if _counts_rows(column)]:
        yield f"the feature {shorten(counting)} only counts the rows: leave it out with --features."
    known = np.flatnonzero(labels >= 0)[:MOST_LABELS]
    if len(known) >= LEAST_LABELS:
        same = [
            name
            for name, column in zip(names, rows.features[known].T, strict=True)
            if _is_renamed(column, labels[known])
        ]
        if same:
            yield (
                f"the feature {shorten(same)} tells the class of every labelled row: if it is another form of the "
                "label, leave it out with --features."
            )


def _counts_rows(column: np.ndarray) -> bool:
    """Whether a column is 0, 1, 2, ... or 1, 2, 3, ..."""
    if len(column) < 3 or column[0] not in (0, 1) or column[2] - column[0] != 2:
        return False
    return bool((np.diff(column) == 1).all())


def _is_renamed(column: np.ndarray, labels: np.ndarray) -> bool:
    """Whether the values of a column and the classes ``[n]`` stand for each other, one to one."""
    classes = len(np.unique(labels))
    if len(np.unique(column)) != classes:
        return False
    return len(set(zip(column.tolist(), labels.tolist(), strict=True))) == classes


def lonely_labels(labels: Sequence[str]) -> list[str]:
    """Return the labels that a single row has."""
    return sorted(label for label, count in Counter(labels).items() if label and count == 1)
