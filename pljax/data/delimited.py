"""Text tables as programs and people write them: encoding, separator, decimal sign, comments and header are found."""

import codecs
import csv
import gzip
import io
import itertools
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pljax.data.labels import clean, find_label_name, printable, shorten
from pljax.data.rows import memory_limit
from pljax.types import InputError, ReadOptions

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", r"\s+": "spaces"}
UNNAMED = "Unnamed: "  # and the number of a column whose name is empty; pandas calls one so as well
SAMPLE_LINES = 50  # of which separator and decimal sign are found
# Texts that stand for a missing number. In the column of labels they are labels.
MISSING = ("", "#N/A", "<NA>", "N/A", "NA", "NULL", "NaN", "None", "n/a", "nan", "null")
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",  # before UTF-16, whose mark it begins with
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


class TextTable(NamedTuple):
    """A text table, its columns named."""

    frame: Any  # pandas.DataFrame; its labels are text
    file_notes: tuple[str, ...]  # how it is written, where that is not the usual way
    warnings: tuple[str, ...]


class _Layout(NamedTuple):
    """How a text is a table: the rows begin after the line ``skipped``."""

    separator: str
    names: list[str]
    skipped: int
    notes: list[str]
    warnings: list[str]


def read_delimited(path: Path, options: ReadOptions) -> TextTable:
    """Read a text table, which may be compressed with gzip.

    The encoding is that of a byte-order mark, else UTF-8, else cp1252. The separator is the one of ``SEPARATORS`` that
    divides the first lines evenly, or that of a first line ``sep=;``. Lines that begin with ``#`` above the table are
    passed over, except for the last one if it is the header. Numbers may have a decimal comma where the separator is
    another sign.

    Raises ``OSError``, ``InputError``, or an error of pandas for a text that is no table.
    """
    import pandas as pd

    text, encoding = _decode(path)
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    layout = _find_layout(path, text, options)
    label = find_label_name(layout.names, options.label, options.columns)
    cells = _sample_cells(text, layout, label)
    decimal = _decimal_sign(cells)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)
            frame = pd.read_csv(
                io.StringIO(text),
                sep=layout.separator,
                header=None,
                names=layout.names,
                skiprows=layout.skipped,
                dtype={label: str} if label else None,
                index_col=False,
                low_memory=False,
                decimal=decimal,
                keep_default_na=False,
                na_values={name: MISSING for name in layout.names if name != label},
                skipinitialspace=True,
            )
    except pd.errors.ParserWarning as error:
        raise InputError(
            f"{path} has rows that are longer than its first line: give every column a name (in R, row.names=FALSE)."
        ) from error
    notes = [*encoding, *layout.notes]
    if decimal == ",":
        notes.append("numbers with a decimal comma")
        layout.warnings.extend(_thousands(cells))
    return TextTable(frame, tuple(notes), tuple(layout.warnings))


def _decode(path: Path) -> tuple[str, list[str]]:
    """Return the text of a file, and its encoding in words unless it is UTF-8."""
    most = memory_limit() // 4  # the text takes up to four bytes a character
    with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise MemoryError
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
        pass
    try:
        return content.decode("cp1252"), ["in cp1252, because it is not UTF-8"]
    except UnicodeDecodeError as error:
        raise InputError(f"{path} is not UTF-8, UTF-16 or cp1252 text: save it as UTF-8.") from error


def _find_layout(path: Path, text: str, options: ReadOptions) -> _Layout:
    """Return the separator, the names of the columns and where the rows begin. Raises ``InputError``."""
    lines = list(itertools.islice(io.StringIO(text), 1000))
    separator, comments, first = None, [], 0
    if lines and (given := re.fullmatch(r"sep=(.)\s*", lines[0])):
        separator, first = given[1], 1
    while first < len(lines) and (not lines[first].strip() or lines[first].startswith("#")):
        if lines[first].startswith("#"):
            comments.append(lines[first])
        first += 1
    sample = lines[first : first + SAMPLE_LINES]
    if not "".join(sample).strip():
        raise InputError(f"{path} has no rows: there is nothing to learn from.")
    separator = separator or _find_separator(sample)
    notes = [] if separator == "," else [f"separated by {SEPARATORS.get(separator, repr(separator))}"]
    cells = list(itertools.islice(_records("".join(sample), separator), SAMPLE_LINES))
    header, consumed = cells[0], _lines_of_header("".join(sample), separator)
    looks_like_data = is_data(header, cells[1:])
    warned = []
    if not options.header:
        header, consumed = [str(place) for place in range(len(header))], 0
        notes.append("without a header: columns are numbered from 0")
    elif looks_like_data and comments:
        named = next(_records(comments[-1].lstrip("#"), separator))
        if len(named) == len(header):
            header, consumed, looks_like_data = named, 0, False
            comments.pop()
            notes.append("its header after #")
    if options.header and looks_like_data:
        warned.append(
            f"the first line of {path.name} names the columns but looks like a row ({shorten(header)}): if it is one, "
            "give --no_header, and --label with the number of the labels' column, from 0."
        )
    if comments:
        notes.append(f"after {len(comments)} lines of comment")
    names = [clean(name) or f"{UNNAMED}{place}" for place, name in enumerate(header)]
    _require_names(path, names, warned)
    return _Layout(separator, names, first + consumed, notes, warned)


def _require_names(path: Path, names: Sequence[str], warned: Sequence[str]) -> None:
    """Raise ``InputError`` if two columns have one name."""
    if duplicates := sorted(name for name, count in Counter(names).items() if count > 1):
        hint = " It looks as if the file had no header: then give --no_header." if warned else ""
        raise InputError(f"{path} has two columns of one name, {shorten(duplicates)}: rename one.{hint}")


def _records(text: str, separator: str) -> Iterator[list[str]]:
    """Yield the cells of each line of a text."""
    if separator == r"\s+":
        return (line.split() for line in text.splitlines() if line.strip())
    return (row for row in csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True) if row)


def _lines_of_header(text: str, separator: str) -> int:
    """Return the number of lines that the header takes: a name in quotes may have line breaks."""
    if separator == r"\s+":
        return 1
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    next(reader)
    return reader.line_num


def _find_separator(sample: Sequence[str]) -> str:
    """Return the separator that gives most lines of the sample the same number of cells, more than one."""

    def evenness(separator: str) -> tuple[float, int]:
        counts = [len(cells) for cells in _records("".join(sample), separator)]
        common = max(set(counts), key=counts.count) if counts else 0
        return (counts.count(common) / len(counts), common) if common > 1 else (0.0, 0)

    scores = {separator: evenness(separator) for separator in SEPARATORS}
    if all(share == 0 for share, _ in scores.values()):
        return ","
    by_sign = {separator: score for separator, score in scores.items() if separator != r"\s+" and score[0] > 0.9}
    return max(by_sign or scores, key=lambda separator: scores[separator])


def is_data(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether a first line looks like a row: a cell is a number, and they do not just count the columns.

    >>> is_data(["5.1", "setosa"], []), is_data(["0", "1", "label"], []), is_data(["2019", "2020"], [["5.1", "6"]])
    (True, False, False)
    """
    numbers = [cell.strip() for cell in header if _NUMBER.fullmatch(cell.strip())]
    if not numbers or numbers in ([str(n) for n in range(len(numbers))], [str(n + 1) for n in range(len(numbers))]):
        return False
    whole = all(cell.isdecimal() for cell in numbers)
    return not whole or _repeats(header, rows)


def _repeats(header: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Return whether half the cells of a first line occur again in their columns, or a number does twice in it."""
    columns = list(itertools.zip_longest(*rows, fillvalue=""))
    again = sum(cell in column for cell, column in zip(header, columns, strict=False))
    return len(set(header)) < len(header) or 2 * again >= len(header)


def _sample_cells(text: str, layout: _Layout, label: str | None) -> list[str]:
    """Return the cells of the first rows, except for the labels."""
    lines = itertools.islice(io.StringIO(text), layout.skipped, layout.skipped + SAMPLE_LINES)
    rows = _records("".join(lines), layout.separator)
    return [cell.strip() for row in rows for name, cell in zip(layout.names, row, strict=False) if name != label]


def _decimal_sign(cells: Sequence[str]) -> str:
    """Return ``,`` if numbers among the cells have a decimal comma and none has a decimal point, else ``.``."""
    points = any(_NUMBER.fullmatch(cell) and "." in cell for cell in cells)
    return "," if not points and any(map(_DECIMAL_COMMA.fullmatch, cells)) else "."


def _thousands(cells: Sequence[str]) -> list[str]:
    """Return a warning if every comma has three digits behind it: it may separate thousands."""
    commas = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if not all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell) for cell in commas):
        return []
    return [
        f"{printable(commas[0])} is read as a number with a decimal comma: if the comma separates thousands, remove it."
    ]
