"""Custom data: files and folders that users bring become a :class:`~pljax.types.Dataset`."""

import math
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pljax.data.datasets import DATASETS
from pljax.data.npz import array_headers
from pljax.data.reading import checks
from pljax.data.reading.arrays import read_npz
from pljax.data.reading.labels import EMPTY, Labels, clean
from pljax.data.reading.pictures import read_pictures
from pljax.data.reading.pixels import formats
from pljax.data.reading.rows import Rows
from pljax.data.reading.tables import TABLE_SUFFIXES, is_table, is_text_table, read_table
from pljax.data.scaling import scaling_of
from pljax.data.text import number, printable, sentence, shorten
from pljax.types import DEFAULT_OPTIONS, Dataset, InputError, Inputs, ReadOptions

FILE_SUFFIXES = (".npz", *TABLE_SUFFIXES)
# What to do with files of other kinds, by their endings.
NEXT_STEPS: dict[str | tuple[str, ...], str] = {
    ".npy": "save it with numpy.savez('data.npz', X=numpy.load(...)), and with y=labels for training",
    (".xls", ".xlsx", ".ods"): "save the sheet as .csv",
    (".zip", ".tar", ".tgz", ".rar", ".7z"): "unpack it",
    (".feather", ".json", ".jsonl", ".pkl", ".pickle", ".sav", ".dta", ".sas7bdat", ".rds"): (
        "read it with pandas and save it with DataFrame.to_parquet('data.parquet')"
    ),
    (".mat", ".h5", ".hdf5", ".pt"): "save its arrays with numpy.savez('data.npz', X=features, y=labels)",
}


def is_path(name: str) -> bool:
    """Return whether ``name`` is a file or folder, and not the name of a public data set, which goes first.

    >>> is_path("rows.csv"), is_path("mnist"), is_path("./mnist")
    (True, False, True)
    """
    if name in DATASETS:
        return False
    try:
        return "." in name or "/" in name or "\\" in name or name.startswith("~") or Path(name).is_dir()
    except OSError:  # longer than a path can be
        return False


def load(path: str, test: str | None, options: ReadOptions, say: Callable[[str], None] = print) -> Dataset:
    """Load a data set from a file or folder (see :func:`read`), and labelled test rows from another.

    An empty label, a missing one, -1, or ``unlabelled`` means that the class is unknown, and so does one of
    ``options.unlabelled``. Classes are numbered in the order of their names, and of their values where these are
    numbers. Features are scaled by the statistics of the training rows, the test rows by the same ones.

    Args:
      path: the training rows.
      test: the test rows; ``None``: the data set has none.
      options: how to read both.
      say: is called with a line for each warning.

    Raises ``InputError`` if the data cannot be used.
    """
    rows = read(Path(path).expanduser(), options)
    known = _require_labels(rows, path, options)
    classes = tuple(sorted({label for label in known.texts if label}, key=_sort_key))
    labels = _class_numbers(known, classes, path)
    inputs = Inputs(rows.columns, rows.image, scaling_of(rows.features), options._replace(white=rows.white))
    test_rows = read_like(test, inputs) if test else None
    warnings = [*rows.warnings, *known.warnings, *_warn_of_lonely(known), *checks.feature_warnings(rows, labels)]
    warnings = [printable(warning) for warning in (*warnings, *(test_rows.warnings if test_rows else ()))]
    for warning in warnings:
        say(f"warning: {warning}")
    return Dataset(
        name=_name(Path(path).expanduser().resolve()),
        classes=len(classes),
        train_images=inputs.scaling.apply(rows.features),
        train_labels=labels,
        test_images=inputs.scaling.apply(test_rows.features if test_rows else rows.features[:0]),
        test_labels=_test_labels(test_rows, classes, str(test)) if test_rows else np.zeros(0, np.int32),
        class_names=classes,
        inputs=inputs,
        row_names=rows.names,
        notes=notes(rows),
        warnings=tuple(warnings),
    )


def _require_labels(rows: Rows, path: str, options: ReadOptions) -> Labels:
    """Return the labels of training rows.

    Raises ``InputError`` if there are none, or of less than two classes, or if options do not suit the rows.
    """
    if rows.labels is None:
        hint = f" {sentence(rows.warnings[0])}" if rows.warnings else ""
        among = f" It has {shorten(rows.columns)}." if rows.columns else ""
        raise InputError(f"{path} has no labels: name their column or array with --label.{among}{hint}")
    if rows.image is None and (options.background or options.image):
        raise InputError(f"--{'background' if options.background else 'image_size'} is for pictures: {path} has none.")
    if rows.image is not None and (options.label or options.columns):
        raise InputError(
            f"--{'label' if options.label else 'features'} is for tables and arrays: {path} has pictures, whose labels "
            "are the names of their folders."
        )
    count = len(set(rows.labels.texts) - {""})
    if count < 2:
        step = (
            "give labelled rows of at least two classes"
            if rows.image is None
            else "give a folder of pictures for each class"
        )
        found = f"labels of {count} class" if count else "no labels"
        raise InputError(f"{path} has {found}{_spellings(rows.labels)}: {step}.")
    return rows.labels


def read(path: Path, options: ReadOptions) -> Rows:
    """Read an ``.npz`` file, a table, or a folder that has a subfolder of pictures for each class.

    Raises ``InputError`` if it cannot be read, is empty, or has features that are no finite numbers.
    """
    try:
        if path.is_dir():
            rows = read_pictures(path, options)
        elif path.suffix.lower() == ".npz":
            rows = read_npz(path, options)
        elif is_table(path):
            rows = read_table(path, options)
        else:
            raise InputError(f"{path} is {_what_to_do(path)}.")
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or printable(error)}.") from error
    except MemoryError as error:
        raise InputError(f"{path} is too large for the memory.") from error
    checks.require_numbers(path, rows, training=not options.labels_optional)
    return rows


def _name(path: Path) -> str:
    """Return the name of a data set: that of its file or folder, without the ending, in characters of file names."""
    name = path.name if path.is_dir() else Path(path.name.removesuffix(".gz")).stem
    return re.sub(r"[^\w.-]+", "_", name) or "data"


def _what_to_do(path: Path) -> str:
    """Return what a file of an unknown kind is, and what to do with it."""
    if not path.exists():
        return "not there: check the path"
    for suffixes, step in NEXT_STEPS.items():
        if path.name.lower().endswith(suffixes):
            return f"no file that is read here: {step}"
    if path.suffix.lower() in formats():
        return "a picture alone: give the folder that it is in"
    return f"no folder, nor a file that ends in {', '.join(FILE_SUFFIXES)}"


def read_like(path: str, inputs: Inputs, given: ReadOptions = DEFAULT_OPTIONS, *, labelled: bool = True) -> Rows:
    """Read another file or folder that has the features of the training rows.

    Columns are found by their names, whatever the kind of the file; an array with several columns has no names, and
    its columns are taken in the order of the training rows, with a warning.

    Args:
      path: the file or folder; its kind may differ from that of the training rows.
      inputs: how the training rows became inputs of the network.
      given: options for this file; what is not given is as for the training rows.
      labelled: whether the file must have the labels that ``inputs`` names.

    Raises ``InputError`` if it cannot be read or has other features.
    """
    file, trained = Path(path).expanduser(), inputs.options
    label = None if trained.label in given.columns else trained.label
    options = trained._replace(
        label=given.label or label,
        columns=given.columns or _columns_in(file, inputs, given.header),
        image=inputs.image,
        unlabelled=given.unlabelled or trained.unlabelled,
        header=trained.header if given.header is None else given.header,
        background=given.background or trained.background,
        labels_optional=not labelled and given.label is None,
    )
    rows = read(file, options)
    expected = len(inputs.scaling.shift)
    if rows.features.shape[1] != expected:
        raise InputError(f"{path} has {rows.features.shape[1]} features, but the training rows have {expected}.")
    if inputs.image is not None:
        checks.require_pixels(path, rows)
    if inputs.columns and rows.columns and rows.columns != inputs.columns:
        taken = f"the columns {shorten(rows.columns)} are taken for {shorten(inputs.columns)} in this order."
        return rows._replace(warnings=(*rows.warnings, taken))
    if inputs.columns and not rows.columns:
        order = f"the columns of {file.name} have no names: they are taken for {shorten(inputs.columns)} in this order."
        return rows._replace(warnings=(*rows.warnings, order))
    if rows.columns and not inputs.columns and not given.columns:
        order = f"the training rows have no names of columns: those of {file.name} are taken in the order "
        return rows._replace(warnings=(*rows.warnings, f"{order}{shorten(rows.columns)}."))
    return rows


def _columns_in(file: Path, inputs: Inputs, header: bool | None) -> tuple[str, ...]:
    """Return the names of the columns or array of a file that are features, empty for all but the labels."""
    if header is False and inputs.options.header is not False and is_text_table(file):
        return ()  # its columns have numbers instead of names
    if file.suffix.lower() != ".npz":
        return inputs.columns
    if not inputs.columns:
        return inputs.options.columns
    try:
        named = {clean(name): name for name in array_headers(file)}
    except (OSError, ValueError):  # reading it will say so
        return ()
    return tuple(named[name] for name in inputs.columns) if set(inputs.columns) <= set(named) else ()


def notes(rows: Rows) -> Mapping[str, str]:
    """Return what was read and how, by heading."""
    found = dict(rows.notes)
    count = rows.features.shape[1]
    if rows.image is None:
        of_columns = f": {shorten(rows.columns)}" if rows.columns else ""
        found["features"] = f"{count} without missing values{of_columns}"
    constant = checks.constant_features(rows.features)
    if len(constant) and rows.image is None:
        names = rows.columns or tuple(map(str, range(count)))
        found["constant features"] = f"{len(constant)}: {shorten(names[place] for place in constant)}"
    if rows.labels is not None and rows.labels.unlabelled:
        found["unlabelled"] = f"{number(sum(rows.labels.unlabelled.values()), 'row')}{_spellings(rows.labels)}"
    return found


def _spellings(labels: Labels) -> str:
    """Return how labels say that the class is not known, to follow a noun.

    >>> _spellings(Labels([], {"empty": 2, "-1": 1}, ()))
    ' (2 empty, 1 as -1)'
    """
    parts = [
        f"{count:,} {'' if spelling == EMPTY else 'as '}{printable(spelling)}"
        for spelling, count in labels.unlabelled.items()
    ]
    return f" ({', '.join(parts)})" if parts else ""


def _sort_key(label: str) -> tuple[bool, float, str]:
    """Return a key that sorts numbers by value, then other text alphabetically."""
    try:
        value = float(label)
    except ValueError:
        value = math.nan
    return (True, 0.0, label) if math.isnan(value) else (False, value, label)


def _warn_of_lonely(labels: Labels) -> list[str]:
    """Return a warning of classes with a single labelled row."""
    once = sorted(checks.lonely_labels(labels.texts), key=_sort_key)
    return (
        [f"only one row has the label {shorten(once)}: is it a class of its own, or a typing error?"]
        if len(once) == 1
        else [f"only one row each has the labels {shorten(once)}: are they classes, or typing errors?"]
        if once
        else []
    )


def _class_numbers(labels: Labels, classes: Sequence[str], path: str) -> np.ndarray:
    """Return the number of each label's class, int32 ``[n]``, -1 for an unknown one.

    Raises ``InputError`` for a label that is none of the ``classes``.
    """
    number = {label: place for place, label in enumerate(classes)} | {"": -1}
    if unknown := sorted(set(labels.texts) - set(number)):
        raise InputError(
            f"{path} has the labels {shorten(unknown)}, but no training row does: there are {shorten(classes)}."
        )
    return np.array([number[label] for label in labels.texts], np.int32)


def _test_labels(rows: Rows, classes: Sequence[str], path: str) -> np.ndarray:
    """Return the class number of each test row, int32 ``[M]``. Raises ``InputError`` if one has no label."""
    if rows.labels is None or "" in rows.labels.texts:
        missing = "" if rows.labels is None else _spellings(rows.labels)
        raise InputError(f"{path} has rows without a label{missing}: every test row needs one.")
    return _class_numbers(rows.labels, classes, path)
