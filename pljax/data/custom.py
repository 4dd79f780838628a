"""Rows that people bring become a :class:`~pljax.types.Dataset`: classes by number, features on a common scale."""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pljax.data.scaling import scaling_of
from pljax.data.tables import TABLES, ReadOptions, Rows, read, shorten
from pljax.types import Dataset, InputError, Inputs


def load(path: str, test: str | None, options: ReadOptions, say: Callable[[str], None] = print) -> Dataset:
    """A data set from a file or folder, see :func:`pljax.data.tables.read`, and the labelled test rows of another.

    An empty label, -1, or a folder called ``unlabelled`` means that the class is not known. Features are scaled by what
    the training rows tell, the test rows by the same. ``say`` is told in a line what is odd and yet usable.

    Raises ``InputError`` for what cannot be used.
    """
    rows = read(Path(path), options)
    if rows.labels is None:
        raise InputError(f"{path} has no labels: name their column or array with --label.")
    classes = tuple(sorted({label for label in rows.labels if label}, key=_in_order))
    if len(classes) < 2:
        raise InputError(f"{path} has labels of {len(classes)} classes: give labelled rows of at least two.")
    _warn_of_oddities(rows, classes, say)
    inputs = Inputs(rows.columns, rows.image, scaling_of(rows.features))
    test_rows = read_like(test, inputs, options) if test else None
    return Dataset(
        name=re.sub(r"[^\w.-]+", "_", Path(path).resolve().stem),
        classes=len(classes),
        train_images=inputs.scaling.apply(rows.features),
        train_labels=_numbers(rows.labels, classes, path),
        test_images=inputs.scaling.apply(test_rows.features if test_rows else rows.features[:0]),
        test_labels=_test_labels(test_rows, classes, str(test)) if test_rows else np.zeros(0, np.int32),
        class_names=classes,
        inputs=inputs,
        row_names=rows.names,
    )


def read_like(path: str, inputs: Inputs, options: ReadOptions) -> Rows:
    """The rows of another file or folder, with the features that the training rows have. Raises ``InputError``.

    ``how`` is how the training rows were read. Their columns have names in a table alone.
    """
    array = () if inputs.columns else options.columns
    columns = inputs.columns if Path(path).suffix.lower() in TABLES else array
    rows = read(Path(path), ReadOptions(options.label, columns, inputs.image))
    expected = len(inputs.scaling.shift)
    if rows.features.shape[1] != expected:
        raise InputError(f"{path} has {rows.features.shape[1]} features, but the training rows have {expected}.")
    return rows


def _in_order(label: str) -> tuple[bool, float, str]:
    """Numbers by size, then texts by letter."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def _warn_of_oddities(rows: Rows, classes: Sequence[str], say: Callable[[str], None]) -> None:
    assert rows.labels is not None
    counts = dict.fromkeys(classes, 0)
    for label in rows.labels:
        if label:
            counts[label] += 1
    once = [label for label, count in counts.items() if count == 1]
    if once:
        say(f"warning: one row alone has the label {shorten(once)}: is that a class, or a slip?")
    constant = np.flatnonzero(rows.features.min(axis=0) == rows.features.max(axis=0))
    if len(constant) and rows.image is None:
        names = [rows.columns[place] if rows.columns else str(place) for place in constant]
        say(f"warning: the same in all rows, so of no use: feature {shorten(names)}.")


def _numbers(labels: Sequence[str], classes: Sequence[str], path: str) -> np.ndarray:
    """Labels as numbers of classes, int32 ``[n]``, -1 for one that is not known."""
    number = {label: place for place, label in enumerate(classes)} | {"": -1}
    if strange := sorted(set(labels) - set(number)):
        raise InputError(
            f"{path} has the labels {shorten(strange)}, but no training row does: there are {shorten(classes)}."
        )
    return np.array([number[label] for label in labels], np.int32)


def _test_labels(rows: Rows, classes: Sequence[str], path: str) -> np.ndarray:
    if rows.labels is None or "" in rows.labels:
        raise InputError(f"{path} has rows without a label: every test row needs one.")
    return _numbers(rows.labels, classes, path)
