"""Rows from the arrays of an ``.npz`` file."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pljax.data.free_memory import free_memory
from pljax.data.npz import NUMBERS, TEXTS, Header, array_headers, read_arrays
from pljax.data.reading import labels
from pljax.data.reading.labels import clean, find_label_name
from pljax.data.reading.rows import Rows
from pljax.data.text import printable, shorten
from pljax.types import InputError, ReadOptions

# The array of features is the first of these that exists, where the options name none.
FEATURE_NAMES = ("X", "x", "features", "images", "data")


def read_npz(path: Path, options: ReadOptions) -> Rows:
    """Read the features and labels of an ``.npz`` file that :func:`numpy.savez` wrote.

    The features are an array of numbers ``[n, ...]``, whose further axes are flattened, or several arrays ``[n]``, each
    a column with its name. The labels are numbers or text, ``[n]`` or ``[n, 1]``. Other arrays are not read.

    Raises:
      OSError: the file cannot be read.
      InputError: it has no such arrays, or they do not fit each other.
    """
    try:
        headers = array_headers(path)
        label, wanted = _label(path, headers, options), _features(path, headers, options)
        names = (*wanted, *([] if label is None else [label]))
        arrays = read_arrays(path, _memory_limit([headers[name] for name in wanted]), only=names, kinds=NUMBERS + TEXTS)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(
            f"{path} cannot be used: {printable(error)}; save numbers, and labels as numbers or text, with numpy.savez."
        ) from error
    columns = _is_columns([headers[name] for name in wanted])
    features = np.stack([arrays[name] for name in wanted], axis=1) if columns else arrays[wanted[0]]
    notes = {"arrays": ", ".join(_describe(name, headers[name]) for name in wanted)}
    of_rows = None
    if label is not None:
        notes["labels"] = f"array {_describe(label, headers[label])}"
        values = arrays[label].reshape(-1) if arrays[label].shape[1:] == (1,) else arrays[label]
        if values.shape != features.shape[:1]:
            raise InputError(
                f"{path} has {_describe(label, headers[label])} as labels for "
                f"{_describe(wanted[0], headers[wanted[0]])}: give one label for each of the {len(features)} rows."
            )
        of_rows = labels.read(values, options.unlabelled, path)
    if left_out := [name for name in headers if name not in names]:
        notes["arrays left out"] = shorten(left_out)
    features = features.astype(_dtype([headers[name] for name in wanted]), copy=False)
    flat = features.reshape(len(features), math.prod(features.shape[1:]))
    return Rows(flat, of_rows, tuple(map(clean, wanted)) if columns else (), notes=notes)


def _dtype(headers: Sequence[Header]) -> np.dtype[Any]:
    """The type of the features that are made of these arrays."""
    dtype = headers[0].dtype if len(headers) == 1 else np.result_type(*(header.dtype for header in headers))
    differences_wrap = dtype.kind == "b" or dtype == np.uint64  # or are no numbers
    return np.dtype(np.float64) if differences_wrap else dtype


def _memory_limit(headers: Sequence[Header]) -> int:
    """The bytes that arrays of features may take, so that there is room for what is made of them as well.

    That is an array of all of them, if they are columns or of another type, and the standardised features in float32.
    """
    given = sum(header.dtype.itemsize for header in headers)  # in a row of columns, or for each number of one array
    made, count = _dtype(headers), len(headers)
    copied = 0 if count == 1 and made == headers[0].dtype else count * made.itemsize
    return free_memory() * given // (given + copied + count * np.dtype(np.float32).itemsize)


def _label(path: Path, headers: Mapping[str, Header], options: ReadOptions) -> str | None:
    """Return the name of the array of labels, ``None`` without one. Raises ``InputError``."""
    label = find_label_name(headers, options.label, options.columns)
    if options.label and label is None and not options.labels_optional:
        raise InputError(f"{path} has no array {options.label!r}, but {shorten(headers)}: name one with --label.")
    return label


def _features(path: Path, headers: Mapping[str, Header], options: ReadOptions) -> Sequence[str]:
    """Return the names of the arrays of features: the named ones, else one of ``FEATURE_NAMES``, else the only one.

    The only one is that with several axes. Raises ``InputError`` if there is none, or it has no numbers.
    """
    names = options.columns or [name for name in FEATURE_NAMES if name in headers][:1]
    if not names:
        of_numbers = {name: header for name, header in headers.items() if header.dtype.kind in NUMBERS}
        candidates = [name for name, header in of_numbers.items() if len(header.shape) > 1 and name != options.label]
        names = candidates if len(candidates) == 1 else []
    if not names or any(name not in headers for name in names):
        missing = f"lacks {shorten(name for name in names if name not in headers)}: it " if names else ""
        raise InputError(
            f"{path} {missing}has the arrays {shorten(headers) or 'nothing'}: name that of the features with "
            f"--features, or call it {FEATURE_NAMES[0]}."
        )
    chosen = [headers[name] for name in names]
    if options.columns and _is_columns(chosen) and len({header.shape for header in chosen}) == 1:
        return names
    if len(names) > 1 or len(chosen[0].shape) < 2 or chosen[0].dtype.kind not in NUMBERS:
        described = ", ".join(map(_describe, names, chosen))
        raise InputError(
            f"The features in {path} are {described}: give one array of numbers with a row for each example, or one "
            "array of numbers for each column."
        )
    return names


def _is_columns(headers: Sequence[Header]) -> bool:
    """Whether each of the arrays is a column of numbers."""
    return all(len(header.shape) == 1 and header.dtype.kind in NUMBERS for header in headers)


def _describe(name: str, header: Header) -> str:
    """Return the name, dtype and shape of an array as text."""
    return f"{printable(name)} {header.dtype.name} {list(header.shape)}"
