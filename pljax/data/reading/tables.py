"""Rows from a table in a text file or a ``.parquet`` file."""

from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from pljax.data.reading import labels
from pljax.data.reading.delimited import read_delimited
from pljax.data.reading.labels import LABEL_NAMES, find_label_name, name_of
from pljax.data.reading.rows import Rows, memory_limit
from pljax.data.reading.text_layout import UNNAMED
from pljax.data.text import printable, sentence, shorten
from pljax.types import InputError, ReadOptions

TEXT_SUFFIXES = (".csv", ".tsv", ".tab", ".txt", ".data", ".dat")
PARQUET_SUFFIXES = (".parquet", ".pq")
TABLE_SUFFIXES = (*TEXT_SUFFIXES, *PARQUET_SUFFIXES)
# What a column without a name is called here and by Arrow: nearly always it is an index that was saved with the table.
INDEX = (UNNAMED, "__index_level")


def is_table(path: Path) -> bool:
    """Return whether the ending of a file is that of a table: one of ``TABLE_SUFFIXES``, or a text one and ``.gz``."""
    return is_text_table(path) or path.suffix.lower() in PARQUET_SUFFIXES


def is_text_table(path: Path) -> bool:
    """Return whether the ending of a file is that of a table of text."""
    return path.name.lower().removesuffix(".gz").endswith(TEXT_SUFFIXES)


def read_table(path: Path, options: ReadOptions) -> Rows:
    """Read the features and labels of a table.

    Features are columns of numbers. A missing number is NaN. Names of columns are compared as :func:`labels.clean`
    shows them.

    Raises:
      OSError: the file cannot be read.
      InputError: it is no table, has no such columns, or columns of features that are not numbers.
    """
    options = options._replace(
        label=options.label and labels.clean(options.label), columns=tuple(map(labels.clean, options.columns))
    )
    notes: dict[str, str] = {}
    warnings: list[str] = []
    try:
        if path.suffix.lower() in PARQUET_SUFFIXES:
            table = _read_parquet(path)
        else:
            table, of_file, of_header = read_delimited(path, options)
            warnings.extend(of_header)
            notes = {"file": f"{', '.join(of_file)}"} if of_file else {}
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:  # pandas and Arrow raise many types of exception for a corrupt file
        raise InputError(f"{path} cannot be read as a table: {printable(error).rstrip('.')}.") from error
    table = _without_empty_columns(table)
    label = _require_label(path, list(table.columns), options, warnings)
    columns = _feature_columns(path, list(table.columns), label, options, warnings)
    if left_out := [name for name in table.columns if name not in columns and name != label]:
        notes["columns left out"] = f"{len(left_out)}: {shorten(left_out)}"
    if label is not None:
        notes["labels"] = f"column {printable(label)}"
    numbers = _numbers(path, table[list(columns)], options, warnings)
    of_rows = None if label is None else labels.read(table[label], options.unlabelled, path)
    if others := [name for name in columns if name.lower() in LABEL_NAMES and not options.columns]:
        warnings.append(f"the column {shorten(others)} is used as a feature: if it has labels, list the features.")
    return Rows(numbers, of_rows, columns, notes=notes, warnings=tuple(warnings))


def _read_parquet(path: Path) -> Any:
    """Return the table of a ``.parquet`` file, whose compressed bytes can hold far more rows than memory does."""
    import pandas as pd
    from pyarrow import parquet

    metadata = parquet.read_metadata(path)
    if metadata.num_rows * metadata.num_columns * np.dtype(np.float64).itemsize > memory_limit():
        raise InputError(
            f"{path} has {metadata.num_rows} rows of {metadata.num_columns} columns: too many for the memory."
        )
    table = pd.read_parquet(path)
    if any(name is not None for name in table.index.names):  # columns that pandas made the index
        table = table.reset_index()
    table.columns = [name_of(name) for name in table.columns]
    if duplicates := table.columns[table.columns.duplicated()].tolist():
        raise InputError(f"{path} has two columns of one name, {shorten(duplicates)}: rename one.")
    return table


def _without_empty_columns(table: Any) -> Any:
    """Return a table without its columns that have neither a name nor a value: lines that end in a separator."""
    empty = [name for name in table.columns if name.startswith(UNNAMED) and table[name].isna().all()]
    return table.drop(columns=empty)


def _require_label(path: Path, known: Sequence[str], options: ReadOptions, warnings: Sequence[str]) -> str | None:
    """Return the column of labels, ``None`` without one. Raises ``InputError`` if it is named and not there."""
    label = find_label_name(known, options.label, options.columns)
    if options.label is not None and options.label in options.columns:
        raise InputError(f"{printable(options.label)} is given both as --label and among --features: give it once.")
    if options.label is not None and label is None and not options.labels_optional:
        hint = f"; {warnings[0]}" if warnings else "."
        raise InputError(
            f"{path} has no column {options.label!r}, but {shorten(known)}: name one of these with --label{hint}"
        )
    return label


def _feature_columns(
    path: Path, known: Sequence[str], label: str | None, options: ReadOptions, warnings: Sequence[str]
) -> tuple[str, ...]:
    """Return the columns of the features: the named ones, or all but that of the labels. Raises ``InputError``."""
    if not options.columns:
        _require_unambiguous(path, known, label, options)
    columns = options.columns or tuple(name for name in known if name != label)
    if missing := [name for name in columns if name not in known]:
        hint = f" {sentence(warnings[0])}" if warnings else ""
        raise InputError(f"{path} lacks the columns {shorten(missing)}: it has {shorten(known)}.{hint}")
    if len(set(columns)) < len(columns):
        raise InputError(f"{shorten(columns)} are no features for {path}: give each once.")
    return columns


def _require_unambiguous(path: Path, columns: Sequence[str], label: str | None, options: ReadOptions) -> None:
    """Raise ``InputError`` if one of all the columns is probably not a feature: an index, or further labels."""
    unnamed = [name for name in columns if name.startswith(INDEX)]
    if unnamed:
        raise InputError(
            f"{path} has a column without a name, {shorten(unnamed)}, which usually counts the rows: remove it, or "
            "list the columns of the features with --features."
        )
    found = [name for name in columns if name.lower() in LABEL_NAMES]
    if label and not options.label and len(found) > 1:
        raise InputError(f"{path} has the columns {shorten(found)}: say with --label which has the labels.")


def _numbers(path: Path, table: Any, options: ReadOptions, warnings: Sequence[str]) -> np.ndarray:
    """Return the columns of a table as numbers, float64 ``[n, D]``. Raises ``InputError`` for any other column."""
    import pandas as pd

    others = [name for name in table.columns if not pd.api.types.is_numeric_dtype(table[name])]
    numbers = [name for name in others if _holds_numbers(table[name])]
    table = table.assign(**{name: pd.to_numeric(table[name], errors="coerce") for name in numbers})
    others = [name for name in others if name not in numbers]
    if others and len(table):
        examples = [f"{name} ({_example(table[name])})" for name in others]
        hint = f" Note that {warnings[0]}" if warnings else ""
        if options.header is False:
            hint = " If its first line has names, give --no_header=false and list the features."
        raise InputError(
            f"{path} has columns that are no numbers, {shorten(examples)}: turn them into numbers, or list the others "
            f"with --features; the column of labels is named with --label.{hint}"
        )
    return np.asarray(table.to_numpy(np.float64, na_value=np.nan))


def _holds_numbers(column: Any) -> bool:
    """Whether a column of objects has numbers: truth values of which some are missing, whole or decimal ones."""
    values = column.dropna()
    return len(values) > 0 and all(isinstance(value, (bool, int, Decimal)) for value in values)


def _example(column: Any) -> str:
    """Return a value of a column that is no number, as text."""
    import pandas as pd

    values = texts = column.dropna()
    if not pd.api.types.is_datetime64_any_dtype(values) and not pd.api.types.is_timedelta64_dtype(values):
        texts = values[pd.to_numeric(values, errors="coerce").isna()]
    return repr(printable(texts.iloc[0])[:30]) if len(texts) else "empty"
