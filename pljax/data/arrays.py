"""Rows from the arrays of an ``.npz`` file."""

import math
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pljax.data.rows import LABEL_NAMES, ReadOptions, Rows, label_texts, memory_limit, printable, shorten
from pljax.data.serialization import read_arrays
from pljax.types import InputError

# The array of features is the first of these that exists, where the options name none.
FEATURE_NAMES = ("X", "x", "features", "images", "data")


def read_npz(path: Path, options: ReadOptions) -> Rows:
    """Read the features and labels of an ``.npz`` file that :func:`numpy.savez` wrote.

    The features are an array of numbers ``[n, ...]``; further axes are flattened. The labels are numbers or text,
    ``[n]``. The first axis of both counts the rows.

    Raises:
      OSError: the file cannot be read.
      InputError: it has no such arrays, or they do not fit each other.
    """
    try:
        arrays = read_arrays(path, memory_limit(), texts=True)
    except ValueError as error:
        raise InputError(
            f"{path} cannot be used: {printable(error)}; save numbers, and labels as numbers or text, with numpy.savez."
        ) from error
    labels = _first(arrays, (options.label,) if options.label else LABEL_NAMES)
    if options.label and labels is None:
        raise InputError(f"{path} has no array {options.label!r}, but {shorten(arrays)}: name one with --label.")
    features = _features(path, arrays, options)
    if labels is not None and labels.shape != features.shape[:1]:
        raise InputError(
            f"{path} has {_describe(labels)} as labels for {_describe(features)}: give one label for each of the "
            f"{len(features)} rows."
        )
    with np.errstate(over="ignore"):  # too large numbers become infinite, which the caller refuses
        numbers = features.reshape(len(features), math.prod(features.shape[1:])).astype(np.float32)
    return Rows(numbers, None if labels is None else label_texts(path, labels))


def _features(path: Path, arrays: dict[str, np.ndarray], options: ReadOptions) -> np.ndarray:
    """Return the array of features: the named one, one of ``FEATURE_NAMES``, or the only one with several axes."""
    if len(options.columns) > 1:
        raise InputError(f"{path} has its features in one array, not in {shorten(options.columns)}: name that one.")
    features = _first(arrays, options.columns or FEATURE_NAMES)
    if features is None and not options.columns:
        candidates = [array for array in arrays.values() if array.ndim > 1]
        features = candidates[0] if len(candidates) == 1 else None
    if features is None:
        raise InputError(
            f"{path} has the arrays {shorten(arrays) or 'nothing'}: name that of the features with --features, or "
            f"call it {FEATURE_NAMES[0]}."
        )
    if features.ndim < 2 or features.dtype.kind == "U":
        raise InputError(f"The features in {path} are {_describe(features)}: give numbers, a row for each example.")
    return features


def _first(arrays: dict[str, np.ndarray], names: Iterable[str]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _describe(array: np.ndarray) -> str:
    """Return the dtype and shape of an array as text."""
    return f"{array.dtype.name} {list(array.shape)}"
