"""Rows from a table in a ``.csv`` or ``.parquet`` file."""

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from pljax.data.rows import LABEL_NAMES, ReadOptions, Rows, label_texts, memory_limit, printable, shorten
from pljax.types import InputError

TABLE_SUFFIXES = (".csv", ".parquet")
# What pandas and Arrow call a column without a name: nearly always the index that was saved with the table.
UNNAMED = ("Unnamed: ", "__index_level")


def read_table(path: Path, options: ReadOptions) -> Rows:
    """Read the features and labels of a ``.csv`` or ``.parquet`` file.

    Features are columns of numbers. A missing number is NaN.

    Raises:
      OSError: the file cannot be read.
      InputError: it is no table, has no such columns, or columns of features that are not numbers.
    """
    try:
        table = _read_csv(path, options) if path.suffix.lower() == ".csv" else _read_parquet(path)
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:  # pandas and Arrow raise many types of exception for a corrupt file
        raise InputError(f"{path} cannot be read as a table: {printable(error)}.") from error
    table.columns = table.columns.map(str)
    if duplicates := table.columns[table.columns.duplicated()].tolist():
        raise InputError(f"{path} has two columns of one name, {shorten(duplicates)}: call them differently.")
    label = _label_column(table.columns, options)
    if options.label and label is None:
        raise InputError(
            f"{path} has no column {options.label!r}, but {shorten(table.columns)}: name one with --label."
        )
    columns = _feature_columns(path, table.columns, label, options)
    numbers = _numbers(path, table[list(columns)])
    return Rows(numbers, None if label is None else label_texts(path, table[label]), columns)


def _read_csv(path: Path, options: ReadOptions) -> Any:
    """Return the table of a ``.csv`` file, its labels as text: the label 007 is not 7."""
    import pandas as pd

    # The header alone first: read with the table, the second of two equal names would be changed.
    header = pd.read_csv(path, header=None, nrows=1, dtype=str).iloc[0].dropna()
    if header.duplicated().any():
        raise InputError(f"{path} has two columns of one name, {shorten(header[header.duplicated()])}: rename one.")
    label = _label_column(header.tolist(), options)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(path, dtype={label: str} if label else None, index_col=False, low_memory=False)
    except pd.errors.ParserWarning as error:
        raise InputError(f"{path} has rows that are longer than its first line: give every column a name.") from error


def _read_parquet(path: Path) -> Any:
    """Return the table of a ``.parquet`` file, whose compressed bytes can hold far more rows than memory does."""
    import pandas as pd
    from pyarrow import parquet

    metadata = parquet.read_metadata(path)
    if metadata.num_rows * metadata.num_columns * np.dtype(np.float64).itemsize > memory_limit():
        raise InputError(
            f"{path} has {metadata.num_rows} rows of {metadata.num_columns} columns: too many for the memory."
        )
    return pd.read_parquet(path)


def _label_column(columns: Iterable[str], options: ReadOptions) -> str | None:
    """Return the column of labels: the named one, or the first of ``LABEL_NAMES`` that is not a feature."""
    names = (options.label,) if options.label else tuple(name for name in LABEL_NAMES if name not in options.columns)
    return next((name for name in names if name in columns), None)


def _feature_columns(path: Path, known: Any, label: str | None, options: ReadOptions) -> tuple[str, ...]:
    """Return the columns of the features: the named ones, or all but that of the labels. Raises ``InputError``."""
    if not options.columns:
        _require_unambiguous(path, known, label, options)
    columns = options.columns or tuple(name for name in known if name != label)
    if missing := [name for name in columns if name not in known]:
        raise InputError(f"{path} lacks the columns {shorten(missing)}: it has {shorten(known)}.")
    if label in columns or len(set(columns)) < len(columns):
        raise InputError(
            f"{shorten(columns)} are no features for {path}: give each once, and the labels not among them."
        )
    return columns


def _require_unambiguous(path: Path, columns: Any, label: str | None, options: ReadOptions) -> None:
    """Raise ``InputError`` if one of all the columns is probably not a feature: an index, or further labels."""
    unnamed = [name for name in columns if name.startswith(UNNAMED)]
    if unnamed:
        raise InputError(
            f"{path} has a column without a name, {shorten(unnamed)}, which usually counts the rows: remove it, or "
            "list the columns of the features with --features."
        )
    labels = [name for name in LABEL_NAMES if name in columns]
    if label and not options.label and len(labels) > 1:
        raise InputError(f"{path} has the columns {shorten(labels)}: say with --label which has the labels.")


def _numbers(path: Path, table: Any) -> np.ndarray:
    """Return the columns of a table as numbers, float32 ``[n, D]``. Raises ``InputError`` for any other column."""
    import pandas as pd

    others = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    if others and len(table):
        raise InputError(
            f"{path} has columns that are no numbers, {shorten(others)}: turn them into numbers, or list the others "
            "with --features; the column of labels is named with --label."
        )
    with np.errstate(over="ignore"):  # too large numbers become infinite, which the caller refuses
        return np.asarray(table.to_numpy(np.float32, na_value=np.nan))
