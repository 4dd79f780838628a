"""Text tables as programs and people write them, read with pandas."""

import codecs
import gzip
import io
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pljax.data.reading.labels import find_label_name, is_missing
from pljax.data.reading.rows import memory_limit
from pljax.data.reading.text_layout import Layout, decimal_sign, find_layout, sample_cells, thousands_warning
from pljax.types import InputError, ReadOptions

# Texts that stand for a missing number. In the column of labels they are labels.
MISSING = ("", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
GZIP = b"\x1f\x8b"
JSON = "JSON: read it with pandas and save it with DataFrame.to_csv('data.csv', index=False)"
# What a file is whose first bytes, in lower case, are these, and what to do with it.
OTHER_FILES = {
    b"pk\x03\x04": "a zip archive: unpack it, or save the sheet as .csv",
    b"par1": "a parquet file: give it the ending .parquet",
    b'{"': JSON,
    b"[{": JSON,
    b"<html": "HTML: save the table as .csv",
    b"<!doctype": "HTML: save the table as .csv",
    b"<?xml": "XML: save the table as .csv",
}


class TextTable(NamedTuple):
    """A text table, its columns named."""

    frame: Any  # pandas.DataFrame; its labels are text
    file_notes: tuple[str, ...]  # how it is written, where that is not the usual way
    warnings: tuple[str, ...]


def read_delimited(path: Path, options: ReadOptions) -> TextTable:
    """Read a text table, which may be compressed with gzip.

    The encoding is that of a byte-order mark, else UTF-8, else cp1252. The separator is the one of ``SEPARATORS`` that
    divides the first lines evenly, or that of a first line ``sep=;``. Lines above the table that begin with ``#`` or
    have a single text are passed over, except for a last line of comment that is the header. Numbers may have a decimal
    comma where the separator is another sign.

    Raises ``OSError``, ``InputError``, or an error of pandas for a text that is no table.
    """
    text, encoding = _decode(path)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    layout = find_layout(path, text, options)
    label = find_label_name(layout.names, options.label, options.columns)
    features = [name for name in layout.names if name in options.columns]
    cells = sample_cells(text, layout, features or [name for name in layout.names if name != label])
    decimal = decimal_sign(cells)
    frame = _read_rows(path, text, layout, label, decimal)
    rows = _without_empty_end(frame, label)
    notes = [*encoding, *layout.notes]
    if decimal == ",":
        notes.append("numbers with a decimal comma")
        layout.warnings.extend(thousands_warning(cells))
    if len(rows) < len(frame):
        notes.append(f"empty lines at the end left out ({len(frame) - len(rows)})")
    return TextTable(rows, tuple(notes), tuple(layout.warnings))


def _read_rows(path: Path, text: str, layout: Layout, label: str | None, decimal: str) -> Any:
    """Return the rows as a table of pandas. Raises ``InputError`` for a row that is longer than the header."""
    import pandas as pd

    exact: Any = {"float_precision": "round_trip"} if int(pd.__version__.split(".")[0]) < 3 else {}  # later: always
    rows = io.StringIO(text)
    for _ in range(layout.skipped):  # pandas would count a record with line breaks as one line
        rows.readline()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            return pd.read_csv(
                rows,
                sep=layout.separator,
                header=None,
                names=layout.names,
                dtype={label: str} if label else None,
                index_col=False,
                low_memory=False,
                decimal=decimal,
                **exact,
                keep_default_na=False,
                na_values={name: MISSING for name in layout.names if name != label},
                skipinitialspace=True,
                skip_blank_lines=len(layout.names) > 1,  # of a single column, an empty line is a missing cell
            )
    except pd.errors.ParserWarning as error:
        raise InputError(
            f"{path} has rows that are longer than its first line: give every column a name (in R, row.names=FALSE)."
        ) from error
    except pd.errors.ParserError as error:
        counts = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
        if counts is None:
            raise
        line = layout.skipped + int(counts[2])
        raise InputError(
            f"{path} has {counts[3]} cells in line {line}, but {counts[1]} columns: correct the line, or put a text "
            "that contains the separator in quotes."
        ) from error


def _without_empty_end(frame: Any, label: str | None) -> Any:
    """Return a table without the rows at its end that have neither a number nor a label, as spreadsheets leave them."""
    features = frame.drop(columns=[label] if label else [])
    filled = features.notna().any(axis=1).to_numpy()
    if label:
        labelled = [not is_missing(value) and bool(str(value).strip()) for value in frame[label]]
        filled = filled | np.array(labelled, np.bool_)
    places = np.flatnonzero(filled)
    return frame.iloc[: places[-1] + 1] if len(places) and features.shape[1] else frame


def _decode(path: Path) -> tuple[str, list[str]]:
    """Return the text of a file, and its encoding in words unless it is UTF-8. Raises ``InputError``."""
    most = memory_limit() // 4  # the text takes up to four bytes a character
    with path.open("rb") as file:
        packed = file.read(len(GZIP)) == GZIP or path.suffix.lower() == ".gz"
        file.seek(0)
        content = (gzip.GzipFile(fileobj=file) if packed else file).read(most + 1)
    if len(content) > most:
        raise MemoryError
    for begin, kind in OTHER_FILES.items():
        if content[:100].lstrip().lower().startswith(begin):
            raise InputError(f"{path} is {kind}.")
    try:
        return _decode_text(content)
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8, UTF-16 or cp1252 text: save it as UTF-8.") from error


def _decode_text(content: bytes) -> tuple[str, list[str]]:
    """Return a text and its encoding in words. Raises ``UnicodeDecodeError``."""
    for mark, encoding in BYTE_ORDER_MARKS.items():
        if content.startswith(mark):
            return content.decode(encoding), [] if encoding == "utf-8-sig" else [f"in {encoding.upper()}"]
    sample = content[:1000]
    if b"\0" in sample and len(content) % 2 == 0:  # letters of UTF-16 have a zero byte, before or after another
        encoding = "utf-16-be" if sample[::2].count(0) > sample[1::2].count(0) else "utf-16-le"
        return content.decode(encoding), ["in UTF-16"]
    try:
        return content.decode(), []
    except UnicodeDecodeError:
        return content.decode("cp1252"), ["in cp1252, because it is not UTF-8"]
