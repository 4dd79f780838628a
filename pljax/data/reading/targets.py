"""The targets ``y`` of scikit-learn's kind: which rows are unlabelled, and the classes of the others."""

import warnings
from collections import Counter
from typing import Any, NamedTuple

import numpy as np
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d

from pljax.data.reading.labels import DOUBTFUL, EMPTY, clean, look_alikes, unlabelled_spelling
from pljax.data.text import shorten
from pljax.types import InputError

HINT = "-1 and missing values mark unlabelled rows"


class Targets(NamedTuple):
    """The targets of ``n`` rows."""

    classes: np.ndarray  # [C], sorted, of the type of ``y``
    numbers: np.ndarray  # int32 [n], the place of each row's class; -1: unlabelled
    unlabelled: dict[str, int]  # how often each spelling stands for an unlabelled row


def read_targets(y: Any) -> Targets:
    """Read targets: an array, a pandas column or a list, ``[n]``, of numbers, texts or truth values.

    Unlabelled rows are those with -1, a missing value (``None``, NaN, ``pandas.NA``, a masked one) or an empty text.

    Raises ``InputError`` for targets that are no classes, or of less than two.
    """
    values, unlabelled = split_unlabelled(y)
    known = np.array([spelling is None for spelling in unlabelled], np.bool_)
    classes, encoded = np.unique(values, return_inverse=True)
    if len(classes) < 2:
        found = f"labelled rows of 1 class ({shorten(classes)})" if len(classes) else "no labelled rows"
        raise InputError(f"y has {found}: give rows of at least two classes. {HINT}, so no class can be called -1.")
    numbers = np.full(len(known), -1, np.int32)
    numbers[known] = encoded
    return Targets(classes, numbers, dict(Counter(spelling for spelling in unlabelled if spelling is not None)))


def split_unlabelled(y: Any) -> tuple[np.ndarray, list[str | None]]:
    """Return the targets of the labelled rows, and for each row how it is unlabelled, or ``None`` if it is not.

    Raises ``InputError`` for targets that are no classes.

    >>> split_unlabelled(["cat", float("nan"), "dog", None])
    (array(['cat', 'dog'], dtype=object), [None, 'empty', None, 'empty'])
    """
    if isinstance(y, np.ma.MaskedArray):
        mask, y = np.ma.getmaskarray(y), np.array(y.data, object)
        y[mask] = None
    # As objects: an array of texts would turn NaN into a text.
    dtype = getattr(y, "dtype", np.dtype(float))
    as_objects = isinstance(y, list | tuple) or not isinstance(dtype, np.dtype) or dtype.kind == "T"
    values = column_or_1d(np.array(y, dtype=object) if as_objects else np.asarray(y), warn=True)
    if values.dtype.kind in "biu":
        spellings: list[str | None] = [None if label else "-1" for label in values != -1]
    elif values.dtype.kind == "f":
        if np.isinf(values).any():
            raise InputError(f"y has infinite values, which are no classes. {HINT}.")
        spellings = ["-1" if label == -1 else EMPTY if np.isnan(label) else None for label in values]
    else:
        spellings = [unlabelled_spelling(label, words=()) for label in values.tolist()]
    known = _uniform(values[[spelling is None for spelling in spellings]])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # few labelled rows a class look like regression
            check_classification_targets(known)
    except ValueError as error:
        raise InputError(f"{error} {HINT}.") from error
    return known, spellings


def _uniform(values: np.ndarray) -> np.ndarray:
    """Return an array of objects as one of numbers or truth values, if it has these alone.

    Raises ``InputError`` if it mixes texts and numbers.
    """
    if values.dtype != object or not len(values):
        return values
    texts = [isinstance(value, str | bytes) for value in values]
    if all(texts):
        return values
    if any(texts):
        text, number = values[texts.index(True)], values[texts.index(False)]
        raise InputError(f"y mixes texts and numbers, {text!r} and {number!r}: give one kind. {HINT}.")
    return np.array(values.tolist())


def target_warnings(targets: Targets) -> list[str]:
    """Return a sentence for everything about targets that may not be as their author meant it."""
    names = [name for name in targets.classes.tolist() if isinstance(name, str)]
    groups = look_alikes({clean(name) for name in names})
    cleaned = Counter(map(clean, names))
    groups += [[name for name in names if clean(name) == same] for same, count in cleaned.items() if count > 1]
    doubtful = [
        f"the class {name!r} may mean that the class is not known: if so, mark these rows by -1 or a missing value."
        for name in names
        if clean(name).lower() in DOUBTFUL
    ]
    return doubtful + [
        f"the classes {', '.join(map(ascii, group))} look alike but are different: if they are one, write them alike."
        for group in groups
    ]
