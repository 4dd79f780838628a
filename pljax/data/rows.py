"""The rows of a file or folder of custom data, the options for reading them, and labels as text."""

import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from pljax.types import InputError

# The column or array of labels is the first of these that exists, where the options name none.
LABEL_NAMES = ("label", "labels", "y", "target", "class")

# Labels, in lower case, that stand for an unknown class. Those of the second line come from R and from databases.
UNLABELLED = (
    *("", "-1", "nan", "none", "unlabelled", "unlabeled"),
    *("na", "n/a", "<na>", "null"),
)
_WHOLE_NUMBER = re.compile(r"(-?\d+)\.0*")
MAX_NAMES = 5  # in a message: a table can have thousands of columns


class Rows(NamedTuple):
    """The features and labels of a file or folder, ``n`` rows of ``D`` features."""

    features: np.ndarray  # float32 [n, D], finite
    labels: list[str] | None  # [n], "" for an unknown class; None: the file has no labels
    columns: tuple[str, ...] = ()  # [D], the names of the columns of a table
    image: tuple[int, int] | None = None  # side length in pixels, and channels, of pictures
    names: tuple[str, ...] = ()  # [n], the paths of pictures, relative to their folder


class ReadOptions(NamedTuple):
    """The options for reading a file or folder."""

    label: str | None = None  # the column or array of labels; None: one of LABEL_NAMES
    columns: tuple[str, ...] = ()  # the columns of the features, in order, or their array; empty: all other columns
    image: tuple[int, int | None] | None = None  # side length and channels to convert pictures to; None: the first's


def memory_limit() -> int:
    """Return the bytes that the content of a file may take: half of the free memory, because it is copied once."""
    return int(psutil.virtual_memory().available) // 2


def label_texts(path: Path, values: Any) -> list[str]:
    """Return labels of any type as text, ``""`` for an unknown class.

    Args:
      path: the file that they come from, for the message of an error.
      values: an array or a pandas column, ``[n]``.

    Raises ``InputError`` if a label is not valid text.
    """
    try:
        labels = [label_text(value) for value in values.tolist()]
        "".join(labels).encode()
    except (ValueError, SystemError) as error:  # Python raises SystemError for invalid code points
        raise InputError(f"{path} has labels that are no text: {printable(error)}.") from error
    return labels


def label_text(value: Any) -> str:
    """Return one label as text: whole numbers without decimals, ``""`` for one of ``UNLABELLED``.

    >>> label_text(3.0), label_text(" cat "), label_text("NaN")
    ('3', 'cat', '')
    """
    text = str(value).strip()
    if whole := _WHOLE_NUMBER.fullmatch(text):
        text = whole[1]
    return "" if text.lower() in UNLABELLED else text


def shorten(names: Any) -> str:
    """Return names as a list in a sentence, the first ``MAX_NAMES`` of them.

    >>> shorten("abcdefg")
    'a, b, c, d, e and 2 more'
    """
    names = list(names)
    more = len(names) - MAX_NAMES
    return ", ".join(map(printable, names[:MAX_NAMES])) + (f" and {more} more" if more > 0 else "")


def printable(value: Any) -> str:
    """Return a text from a file on one line, with control characters escaped: it is shown on a terminal."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(str(value).split()))
