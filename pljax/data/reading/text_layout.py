"""How a text is a table: its separator, decimal sign, header, and the lines above it."""

import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from pljax.data.reading.labels import clean
from pljax.data.text import number, printable, shorten
from pljax.types import InputError, ReadOptions

SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", r"\s+": "spaces"}
UNNAMED = "Unnamed: "  # and the number of a column whose name is empty; pandas calls one so as well
SAMPLE_LINES = 50  # of which separator and decimal sign are found
LEADING_LINES = 1000  # that may stand above the table

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_DECIMAL_COMMA = re.compile(r"[+-]?\d*,\d+")


class Layout(NamedTuple):
    """How a text is a table. The rows begin after the line ``skipped``."""

    separator: str
    names: list[str]  # of the columns
    skipped: int
    notes: list[str]  # what is not the usual way
    warnings: list[str]


class _Record(NamedTuple):
    """The cells of a row of the table, and the number of its last line, which differs if a cell has line breaks."""

    cells: list[str]
    last_line: int


def find_layout(path: Path, text: str, options: ReadOptions) -> Layout:
    """Return how a text is a table. Raises ``InputError`` for one without rows or with columns of one name."""
    lines = list(itertools.islice(io.StringIO(text), LEADING_LINES))
    given, comments, first = _read_lead(lines)
    sample = lines[first : first + SAMPLE_LINES]
    if not "".join(sample).strip():
        raise InputError(f"{path} has no rows: there is nothing to read.")
    separator = given or _find_separator(sample, options)
    notes = [] if separator == "," else [f"separated by {SEPARATORS.get(separator, repr(separator))}"]
    records = list(_records("".join(sample), separator))
    width = Counter(len(record.cells) for record in records).most_common(1)[0][0]
    titles = 0
    while options.header is not False and titles < len(records) - 1 and _is_title(records[titles].cells, width):
        titles += 1
    header, warnings = _find_header(path, records[titles:], separator, comments, options, notes)
    if len(header.cells) < width:
        raise InputError(
            f"{path} has {number(len(header.cells), 'cell')} in its first line and {width} in most others: give every "
            "column a name (in R, row.names=FALSE), or remove the line if it is a title."
        )
    if titles or comments:
        notes.append(f"after {number(titles + len(comments), 'line')} of {'comment' if comments else 'title'}")
    names = [clean(name) or f"{UNNAMED}{place}" for place, name in enumerate(_unquoted(header.cells))]
    if duplicates := sorted(name for name, count in Counter(names).items() if count > 1):
        hint = " It looks as if the file had no header: then give --no_header." if warnings else ""
        raise InputError(f"{path} has two columns of one name, {shorten(duplicates)}: rename one.{hint}")
    return Layout(separator, names, first + header.last_line, notes, warnings)


def _read_lead(lines: Sequence[str]) -> tuple[str | None, list[str], int]:
    """Return the separator that a first line ``sep=;`` gives, the lines of comment, and how many lines that is."""
    separator, comments, first = None, [], 0
    if lines and (given := re.fullmatch(r"sep=(.)\s*", lines[0])):
        separator, first = given[1], 1
    while first < len(lines) and (not lines[first].strip() or lines[first].startswith("#")):
        if lines[first].startswith("#"):
            comments.append(lines[first])
        first += 1
    return separator, comments, first


def _find_header(
    path: Path,
    records: Sequence[_Record],
    separator: str,
    comments: list[str],
    options: ReadOptions,
    notes: list[str],
) -> tuple[_Record, list[str]]:
    """Return the names of the columns with the line that they end in, and warnings. Adds to ``notes``."""
    cells = records[0].cells
    places = [str(place) for place in range(len(cells))]
    if options.header is False:
        if len(cells) > 1 and sorted(map(clean, cells)) == sorted(places):
            notes.append("its first line has the numbers of the columns")
            return records[0], []
        notes.append("without a header: columns are numbered from 0")
        return _Record(places, 0), []
    if not is_data(cells, [record.cells for record in records[1:]]):
        return records[0], []
    if comments:
        named = next(_records(comments[-1].lstrip("#"), separator)).cells
        if len(named) == len(cells):
            comments.pop()
            notes.append("its header after #")
            return _Record(named, 0), []
    return records[0], [
        f"the first line of {path.name} names the columns but looks like a row ({shorten(cells)}): if it is one, "
        "give --no_header, and --label with the number of the labels' column, from 0."
    ]


def _is_title(cells: Sequence[str], width: int) -> bool:
    """Whether a first line is above the header of a table of ``width`` columns: it has one text, or none."""
    filled = sum(bool(cell.strip()) for cell in cells)
    return width > 1 and (filled == 0 or (filled == 1 and (len(cells) == 1 or width > 2)))


def _unquoted(cells: Sequence[str]) -> Sequence[str]:
    """Names without the quotes that all of them are in."""
    names = [cell.strip() for cell in cells]
    for quote in "'`":
        if all(len(name) > 2 and name[0] == name[-1] == quote for name in names):
            return [name[1:-1] for name in names]
    return names


def _records(text: str, separator: str) -> Iterator[_Record]:
    """Yield the rows of a text that have cells."""
    if separator == r"\s+":
        for place, line in enumerate(text.splitlines()):
            if line.strip():
                yield _Record(line.split(), place + 1)
        return
    reader = csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True)
    for cells in reader:
        if cells:
            yield _Record(cells, reader.line_num)


def _find_separator(sample: Sequence[str], options: ReadOptions) -> str:
    """Return the separator that divides a sample best, a comma if none does.

    It gives most lines the same number of cells, more than one. Of several such, it is the one that gives the most
    columns that ``options`` name, then the one that is most even, and then the one that leaves fewest names empty.
    """
    wanted = {*options.columns, *([options.label] if options.label else [])}

    def score(separator: str) -> tuple[int, float, int, int]:
        rows = [record.cells for record in _records("".join(sample), separator)]
        counts = [len(cells) for cells in rows]
        common = max(set(counts), key=counts.count) if counts else 0
        if common < 2:
            return (0, 0.0, 0, 0)
        named = max(len(wanted.intersection(map(clean, cells))) for cells in rows)
        return (named, counts.count(common) / len(counts), common, sum(map(bool, map(str.strip, rows[0]))))

    scores = {separator: score(separator) for separator in SEPARATORS}
    if all(share == 0 for _, share, _, _ in scores.values()):
        return ","
    by_sign = {separator: score for separator, score in scores.items() if separator != r"\s+" and score[1] > 0.9}
    if scores[r"\s+"][1] == 1 and all(share < 1 for _, share, _, _ in by_sign.values()):
        return r"\s+"  # it divides the header, too; the others are signs within cells, such as decimal commas
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


def sample_cells(text: str, layout: Layout, columns: Sequence[str]) -> list[str]:
    """Return the cells of some columns in the first rows."""
    lines = itertools.islice(io.StringIO(text), layout.skipped, layout.skipped + SAMPLE_LINES)
    rows = (record.cells for record in _records("".join(lines), layout.separator))
    return [cell.strip() for row in rows for name, cell in zip(layout.names, row, strict=False) if name in columns]


def decimal_sign(cells: Sequence[str]) -> str:
    """Return ``,`` if numbers among the cells have a decimal comma and none has a decimal point, else ``.``."""
    points = any(_NUMBER.fullmatch(cell) and "." in cell for cell in cells)
    return "," if not points and any(map(_DECIMAL_COMMA.fullmatch, cells)) else "."


def thousands_warning(cells: Sequence[str]) -> list[str]:
    """Return a warning if every comma has three digits behind it: it may separate thousands."""
    commas = [cell for cell in cells if _DECIMAL_COMMA.fullmatch(cell)]
    if not all(re.fullmatch(r"[+-]?[1-9]\d{0,2},\d{3}", cell) for cell in commas):
        return []
    return [
        f"{printable(commas[0])} is read as a number with a decimal comma: if the comma separates thousands, remove it."
    ]
