"""Labels as people write them: the one rule for which of them mean that the class is not known, and names as text."""

import math
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from pljax.data.text import number, printable, shorten
from pljax.types import InputError

# The column or array of labels is the first of these that exists, in any case, where no other is named.
LABEL_NAMES = ("label", "labels", "y", "target", "class")
EMPTY = "empty"  # how a label that is missing is called where spellings are listed
WORDS = ("unlabelled", "unlabeled")  # in files, in any case; an array says it with -1 or a missing value
# Class names that often mean that a label is not known. They are classes all the same, with a warning.
DOUBTFUL = (
    *("?", "-", "#n/a", "n/a", "na", "<na>", "nan", "nil", "none", "null"),
    *("missing", "undefined", "unknown", *WORDS),
)

_WHOLE_NUMBER = re.compile(r"(-?\d+)\.0*")
# Characters without width: zero-width space, direction marks, word joiner, byte-order mark, soft hyphen.
_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200e\u200f\u2060\ufeff\u00ad"))
_JOINERS = dict.fromkeys(map(ord, "\u200c\u200d"))  # without width too, but some scripts need them


class Labels(NamedTuple):
    """The labels of ``n`` rows as text."""

    texts: list[str]  # [n], "" for an unknown class
    unlabelled: dict[str, int]  # how often each spelling stands for an unknown class
    warnings: tuple[str, ...]  # what may not be as its author meant it


def find_label_name(names: Iterable[str], label: str | None, features: Sequence[str] = ()) -> str | None:
    """Return the name of the column or array of labels: ``label``, or the first of ``LABEL_NAMES``; ``None`` without.

    >>> find_label_name(["a", "Target"], None), find_label_name(["a", "b"], "c")
    ('Target', None)
    """
    names = [name for name in names if name == label or name not in features]
    if label is not None:
        return label if label in names else None
    for wanted in LABEL_NAMES:
        for same in (str, str.lower):
            if found := [name for name in names if same(name) == wanted]:
                return found[0]
    return None


def is_missing(value: Any) -> bool:
    """Return whether a label is a missing value: ``None``, NaN, ``pandas.NA``, ``pandas.NaT``, or NaN as text.

    >>> [is_missing(value) for value in (None, float("nan"), "nan", "NaN", "Nan", "NA", 0)]
    [True, True, True, True, False, False, False]
    """
    if isinstance(value, str):
        return value in ("nan", "NaN")  # what NumPy and JavaScript make of NaN among texts
    return value is None or type(value).__name__ == "NAType" or bool(value != value)


def clean(text: str) -> str:
    """Return a name as it is shown and compared: in NFC, trimmed, without control and invisible characters.

    >>> clean(" the  cat ")
    'the cat'
    """
    words = unicodedata.normalize("NFC", text.translate(_INVISIBLE)).split()
    visible = (char for char in " ".join(words) if unicodedata.category(char) != "Cc")
    return "".join(visible).strip("\u200c\u200d")


def name_of(value: Any) -> str:
    """Return a label or column name of any type as text: bytes are UTF-8, whole numbers have no decimals.

    Raises ``ValueError`` for bytes that are not UTF-8.

    >>> name_of(3.0), name_of(" cat "), name_of(b"dog"), name_of("007"), name_of(-0.0)
    ('3', 'cat', 'dog', '007', '0')
    """
    text = clean(value.decode() if isinstance(value, bytes) else str(value))
    whole = _WHOLE_NUMBER.fullmatch(text)
    if not whole:
        return text
    return "0" if whole[1] == "-0" else whole[1]


def unlabelled_spelling(value: Any, spellings: Sequence[str] = (), words: Sequence[str] = WORDS) -> str | None:
    """Return how a label says that its class is not known, or ``None`` where it names a class.

    An empty text, a missing value (see :func:`is_missing`), -1 and ``words`` say it, and ``spellings`` do.

    >>> [unlabelled_spelling(value) for value in ("", None, -1.0, "-1", "Unlabelled", "None", 0)]
    ['empty', 'empty', '-1', '-1', 'Unlabelled', None, None]
    >>> unlabelled_spelling("None", spellings=["None"])
    'None'
    """
    if is_missing(value):
        return value if isinstance(value, str) else EMPTY
    name = name_of(value)
    if not name:
        return EMPTY
    return name if name == "-1" or name.lower() in words or name in spellings else None


def read(values: Any, spellings: Sequence[str], source: Any) -> Labels:
    """Read the labels of a file.

    Args:
      values: the labels, an array, a pandas column or a list of any type.
      spellings: labels that mean that the class is not known, beside those of :func:`unlabelled_spelling`.
      source: the file that they come from, for the message of an error.

    Raises ``InputError`` if a label is not valid text.
    """
    spellings = [clean(text) for text in spellings]
    texts, unlabelled, written = [], Counter[str](), defaultdict[str, set[str]](set)
    known: dict[Any, tuple[str, str | None]] = {}  # a table has few labels and many rows
    try:
        for value in values if isinstance(values, list) else values.tolist():
            # NaN, of which every row can have its own, is not equal to another.
            key = (type(value), None if isinstance(value, float) and math.isnan(value) else value)
            if key not in known:
                known[key] = name_of(value), unlabelled_spelling(value, spellings)
                known[key][0].encode()
            name, spelling = known[key]
            if spelling is not None:
                unlabelled[spelling] += 1
            else:
                written[name].add(value if isinstance(value, str) else name)
            texts.append("" if spelling is not None else name)
    except (TypeError, ValueError, SystemError) as error:  # SystemError: Python's own, for invalid code points
        raise InputError(f"{source} has labels that are no text: {printable(error)}.") from error
    return Labels(texts, dict(unlabelled), tuple(_warnings(texts, unlabelled, written, spellings)))


def _warnings(
    texts: Sequence[str], unlabelled: Counter[str], written: dict[str, set[str]], spellings: Sequence[str]
) -> Iterable[str]:
    """Yield a sentence for everything about labels that may not be as their author meant it."""
    for name, forms in written.items():
        if len({form.strip() for form in forms if not _WHOLE_NUMBER.fullmatch(form.strip())}) > 1 or (
            len(forms) > 1 and len({form.strip() for form in forms}) == 1
        ):
            yield (
                f"{len(forms)} labels that look like {printable(name)} are read as this one: they differ in spaces, "
                "invisible characters or the encoding of accents alone."
            )
    for names in look_alikes(written):
        yield f"the labels {shorten(names)} look alike but are different classes: if they are one, write them alike."
    counts = Counter(texts)
    for name in sorted(counts):
        if name.lower() in DOUBTFUL:
            rows = number(counts[name], "row")
            yield (
                f"the label {printable(name)} of {rows} is a class: if it means that the class is not known, give "
                f"--unlabelled={printable(name)}."
            )
    if "-1" in unlabelled and (len(unlabelled) > 1 or {"0", "1"} == set(written) or {"1"} == set(written)):
        rows = number(unlabelled["-1"], "row")
        yield f"-1 is taken for unlabelled in {rows}: if it is a class of yours, give it another name."
    for spelling in spellings:
        if spelling not in unlabelled:
            yield f"--unlabelled names {printable(spelling)}, but no row has this label."


def look_alikes(names: Iterable[str]) -> list[list[str]]:
    """Group names that differ in case, width or joining characters alone. Names without such a partner are left out.

    >>> look_alikes(["Cat", "dog", "cat"])
    [['Cat', 'cat']]
    """
    groups = defaultdict(list)
    for name in names:
        groups[unicodedata.normalize("NFKC", name.translate(_JOINERS)).casefold()].append(name)
    return [sorted(group) for group in groups.values() if len(group) > 1]
