"""Names and numbers in sentences."""

from typing import Any

MAX_NAMES = 5  # in a message: a table can have thousands of columns


def number(count: Any, noun: str) -> str:
    """Return a number of things in words.

    >>> number(1, "row"), number(2000, "row")
    ('1 row', '2,000 rows')
    """
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def sentence(text: str) -> str:
    """Return a text with a capital letter.

    >>> sentence("the label is missing.")
    'The label is missing.'
    """
    return f"{text[:1].upper()}{text[1:]}"


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
