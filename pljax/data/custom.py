"""Custom data: files and folders that users bring become a :class:`~pljax.types.Dataset`."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from pljax.data.arrays import read_npz
from pljax.data.pictures import read_pictures
from pljax.data.rows import ReadOptions, Rows, printable, shorten
from pljax.data.scaling import scaling_of
from pljax.data.tables import TABLE_SUFFIXES, read_table
from pljax.types import Dataset, InputError, Inputs

FILE_SUFFIXES = (".npz", *TABLE_SUFFIXES)
MAX_FEATURE = 1e30  # largest magnitude of a feature: float32 must also hold differences of two


def is_path(name: str) -> bool:
    """Return whether ``name`` is a file or folder, and not the name of a public data set.

    >>> is_path("rows.csv"), is_path("mnist"), is_path("./mnist")
    (True, False, True)
    """
    try:
        return name.lower().endswith(FILE_SUFFIXES) or "/" in name or "\\" in name or Path(name).is_dir()
    except OSError:  # longer than a path can be
        return False


def load(path: str, test: str | None, options: ReadOptions, say: Callable[[str], None] = print) -> Dataset:
    """Load a data set from a file or folder (see :func:`read`), and labelled test rows from another.

    An empty label, -1, or a folder called ``unlabelled`` means that the class is unknown. Classes are numbered in the
    order of their names, and of their values where these are numbers. Features are scaled by the statistics of the
    training rows, the test rows by the same ones.

    Args:
      path: the training rows.
      test: the test rows; ``None``: the data set has none.
      options: how to read both.
      say: is called with a line for each warning.

    Raises ``InputError`` if the data cannot be used.
    """
    rows = read(Path(path), options)
    if rows.labels is None:
        raise InputError(f"{path} has no labels: name their column or array with --label.")
    classes = tuple(sorted({label for label in rows.labels if label}, key=_sort_key))
    if len(classes) < 2:
        raise InputError(f"{path} has labels of {len(classes)} classes: give labelled rows of at least two.")
    _warn_of_oddities(rows, rows.labels, say)
    inputs = Inputs(rows.columns, rows.image, scaling_of(rows.features))
    test_rows = read_like(test, inputs, options) if test else None
    return Dataset(
        name=re.sub(r"[^\w.-]+", "_", Path(path).resolve().stem),
        classes=len(classes),
        train_images=inputs.scaling.apply(rows.features),
        train_labels=_class_numbers(rows.labels, classes, path),
        test_images=inputs.scaling.apply(test_rows.features if test_rows else rows.features[:0]),
        test_labels=_test_labels(test_rows, classes, str(test)) if test_rows else np.zeros(0, np.int32),
        class_names=classes,
        inputs=inputs,
        row_names=rows.names,
    )


def read(path: Path, options: ReadOptions) -> Rows:
    """Read an ``.npz``, ``.csv`` or ``.parquet`` file, or a folder that has a subfolder of pictures for each class.

    Raises ``InputError`` if it cannot be read, is empty, or has features that are no finite numbers.
    """
    suffix = path.suffix.lower()
    try:
        if path.is_dir():
            rows = read_pictures(path, options)
        elif suffix == ".npz":
            rows = read_npz(path, options)
        elif suffix in TABLE_SUFFIXES:
            rows = read_table(path, options)
        else:
            raise InputError(f"{path} is no folder, nor a file that ends in {', '.join(FILE_SUFFIXES)}.")
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or printable(error)}.") from error
    except MemoryError as error:
        raise InputError(f"{path} is too large for the memory.") from error
    _require_numbers(path, rows)
    return rows


def read_like(path: str, inputs: Inputs, options: ReadOptions) -> Rows:
    """Read another file or folder that has the features of the training rows.

    Args:
      path: the file or folder; its type may differ from that of the training rows.
      inputs: how the training rows became inputs of the network.
      options: how the training rows were read. The columns of a table are those of ``inputs`` instead.

    Raises ``InputError`` if it cannot be read or has other features.
    """
    array = () if inputs.columns else options.columns
    columns = inputs.columns if Path(path).suffix.lower() in TABLE_SUFFIXES else array
    rows = read(Path(path), ReadOptions(options.label, columns, inputs.image))
    expected = len(inputs.scaling.shift)
    if rows.features.shape[1] != expected:
        raise InputError(f"{path} has {rows.features.shape[1]} features, but the training rows have {expected}.")
    return rows


def _require_numbers(path: Path, rows: Rows) -> None:
    """Raise ``InputError`` if there are no features, or one is NaN or above ``MAX_FEATURE``."""
    count, features = rows.features.shape
    if not count or not features:
        raise InputError(f"{path} has {count} rows of {features} features: there is nothing to learn from.")
    valid = np.abs(rows.features) < MAX_FEATURE  # false for NaN too
    if not valid.all():
        row, column = np.argwhere(~valid)[0]
        where = f"column {rows.columns[column]!r}" if rows.columns else f"feature {column}"
        raise InputError(
            f"{path} has {valid.size - valid.sum()} features that are empty or no number below {MAX_FEATURE:g}, the "
            f"first in row {row}, {where}: fill them in, leave them out, or say with --label that these are the labels."
        )


def _sort_key(label: str) -> tuple[bool, float, str]:
    """Return a key that sorts numbers by value, then other text alphabetically."""
    try:
        return False, float(label), label
    except ValueError:
        return True, 0.0, label


def _warn_of_oddities(rows: Rows, labels: Sequence[str], say: Callable[[str], None]) -> None:
    """Warn of classes with a single labelled row and of constant features."""
    once = sorted((label for label, count in Counter(labels).items() if label and count == 1), key=_sort_key)
    if once:
        say(f"warning: one row alone has the label {shorten(once)}: is it a class of its own, or a typing error?")
    constant = np.flatnonzero(rows.features.min(axis=0) == rows.features.max(axis=0))
    if len(constant) and rows.image is None:
        names = [rows.columns[place] if rows.columns else str(place) for place in constant]
        say(f"warning: the same in all rows, so of no use: feature {shorten(names)}.")


def _class_numbers(labels: Sequence[str], classes: Sequence[str], path: str) -> np.ndarray:
    """Return the number of each label's class, int32 ``[n]``, -1 for an unknown one.

    Raises ``InputError`` for a label that is none of the ``classes``.
    """
    number = {label: place for place, label in enumerate(classes)} | {"": -1}
    if unknown := sorted(set(labels) - set(number)):
        raise InputError(
            f"{path} has the labels {shorten(unknown)}, but no training row does: there are {shorten(classes)}."
        )
    return np.array([number[label] for label in labels], np.int32)


def _test_labels(rows: Rows, classes: Sequence[str], path: str) -> np.ndarray:
    """Return the class number of each test row, int32 ``[M]``. Raises ``InputError`` if one has no label."""
    if rows.labels is None or "" in rows.labels:
        raise InputError(f"{path} has rows without a label: every test row needs one.")
    return _class_numbers(rows.labels, classes, path)
