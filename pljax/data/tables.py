"""Files of rows and folders of images that people bring: read, believed only as far as they can be checked."""

import math
import re
import warnings
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import psutil

from pljax.data.serialization import read_arrays
from pljax.types import InputError

TABLES = (".csv", ".parquet")
SUFFIXES = (".npz", *TABLES)
PICTURES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
UNLABELLED = (  # what stands for no label, in small letters
    *("", "-1", "nan", "none", "unlabelled", "unlabeled"),
    *("na", "n/a", "<na>", "null"),  # a table may come from R or a database
)
_WHOLE = re.compile(r"(-?\d+)\.0*")
LARGEST = 1e30  # feature; float32 is to hold differences of two as well
LABEL_NAMES = ("label", "labels", "y", "target", "class")
FEATURE_NAMES = ("X", "x", "features", "images", "data")


class Rows(NamedTuple):
    """What is in a file or folder."""

    features: np.ndarray  # float32 [n, D], finite
    labels: list[str] | None  # [n], "" for one that is not known; None: there are no labels at all
    columns: tuple[str, ...] = ()  # [D], what the features of a table are called
    image: tuple[int, int] | None = None  # side length and channels of pictures
    names: tuple[str, ...] = ()  # [n], the files of pictures


class ReadOptions(NamedTuple):
    """How to read a file."""

    label: str | None = None  # the column or array of labels; one of LABEL_NAMES if not given
    columns: tuple[str, ...] = ()  # of the features, in order; all others if not given
    image: tuple[int, int | None] | None = None  # make pictures so large, with so many channels


def is_path(name: str) -> bool:
    """Whether the name of a data set is that of a file or folder.

    >>> is_path("rows.csv"), is_path("mnist"), is_path("./mnist")
    (True, False, True)
    """
    try:
        return name.lower().endswith(SUFFIXES) or "/" in name or "\\" in name or Path(name).is_dir()
    except OSError:  # longer than a path may be
        return False


def read(path: Path, options: ReadOptions) -> Rows:
    """The rows of an ``.npz``, ``.csv`` or ``.parquet`` file, or of a folder with a folder of pictures for each class.

    Raises ``InputError`` if it cannot be read, or holds what is no number.
    """
    try:
        if path.is_dir():
            rows = _pictures(path, options)
        elif path.suffix.lower() == ".npz":
            rows = _arrays(path, options)
        elif path.suffix.lower() in TABLES:
            rows = _table(path, options)
        else:
            raise InputError(f"{path} is no folder, nor a file that ends in {', '.join(SUFFIXES)}.")
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror or _printable(error)}.") from error
    except MemoryError as error:
        raise InputError(f"{path} is too large for the memory.") from error
    count, features = rows.features.shape
    if not count or not features:
        raise InputError(f"{path} has {count} rows of {features} features: there is nothing to learn from.")
    finite = np.abs(rows.features) < LARGEST  # false for NaN too
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        where = f"column {rows.columns[column]!r}" if rows.columns else f"feature {column}"
        raise InputError(
            f"{path} has {finite.size - finite.sum()} features that are empty or no number below {LARGEST:g}, the "
            f"first in row {row}, {where}: fill them in, leave them out, or say with --label that these are the labels."
        )
    return rows


def _arrays(path: Path, options: ReadOptions) -> Rows:
    try:
        arrays = read_arrays(path, psutil.virtual_memory().available // 2, texts=True)
    except ValueError as error:
        raise InputError(
            f"{path} cannot be used: {_printable(error)}; save numbers, and labels as numbers or text, with "
            "numpy.savez."
        ) from error
    labels = _chosen(arrays, (options.label,) if options.label else LABEL_NAMES)
    if options.label and labels is None:
        raise InputError(f"{path} has no array {options.label!r}, but {shorten(arrays)}: name one with --label.")
    if len(options.columns) > 1:
        raise InputError(f"{path} has its features in one array, not in {shorten(options.columns)}: name that one.")
    features = _chosen(arrays, options.columns or FEATURE_NAMES)
    if features is None and not options.columns:
        tables = [array for array in arrays.values() if array.ndim > 1]
        features = tables[0] if len(tables) == 1 else None
    if features is None:
        raise InputError(
            f"{path} has the arrays {shorten(arrays) or 'nothing'}: name that of the features with --features, or "
            f"call it {FEATURE_NAMES[0]}."
        )
    if features.ndim < 2 or features.dtype.kind == "U":
        raise InputError(f"The features in {path} are {_shape(features)}: give numbers, a row for each example.")
    if labels is not None and labels.shape != features.shape[:1]:
        raise InputError(
            f"{path} has {_shape(labels)} as labels for {_shape(features)}: give one label for each of the "
            f"{len(features)} rows."
        )
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and that is refused
        numbers = features.reshape(len(features), math.prod(features.shape[1:])).astype(np.float32)
    return Rows(numbers, _labels(path, labels))


def _shape(array: np.ndarray) -> str:
    """An array in a sentence."""
    return f"{array.dtype.name} {list(array.shape)}"


def _chosen(arrays: dict[str, np.ndarray], names: tuple[str | None, ...]) -> np.ndarray | None:
    return next((arrays[name] for name in names if name in arrays), None)


def _table(path: Path, options: ReadOptions) -> Rows:
    import pandas as pd

    try:
        table = _csv(path, options) if path.suffix.lower() == ".csv" else _parquet(path)
    except (InputError, OSError, MemoryError):
        raise
    except Exception as error:  # a rotten file can fail in any way
        raise InputError(f"{path} cannot be read as a table: {_printable(error)}.") from error
    table.columns = table.columns.map(str)
    if twice := table.columns[table.columns.duplicated()].tolist():
        raise InputError(f"{path} has two columns of one name, {shorten(twice)}: call them differently.")
    label = _label_column(table.columns, options)
    if options.label and label is None:
        raise InputError(
            f"{path} has no column {options.label!r}, but {shorten(table.columns)}: name one with --label."
        )
    if not options.columns:
        _require_clear(path, table.columns, label, options)
    columns = options.columns or tuple(name for name in table.columns if name != label)
    if missing := [name for name in columns if name not in table.columns]:
        raise InputError(f"{path} lacks the columns {shorten(missing)}: it has {shorten(table.columns)}.")
    if label in columns or len(set(columns)) < len(columns):
        raise InputError(
            f"{shorten(columns)} are no features for {path}: give each once, and the labels not among them."
        )
    chosen = table[list(columns)]
    words = [name for name in columns if not pd.api.types.is_numeric_dtype(chosen[name])]
    if words and len(table):
        raise InputError(
            f"{path} has columns that are no numbers, {shorten(words)}: turn them into numbers, or list the others "
            "with --features; the column of labels is named with --label."
        )
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and that is refused
        numbers = chosen.to_numpy(np.float32, na_value=np.nan)
    return Rows(numbers, None if label is None else _labels(path, table[label]), columns)


def _require_clear(path: Path, columns: Any, label: str | None, options: ReadOptions) -> None:
    """Raise ``InputError`` where a column that nobody named as a feature is probably none."""
    nameless = [name for name in columns if name.startswith(("Unnamed: ", "__index_level"))]
    if nameless:
        raise InputError(
            f"{path} has a column without a name, {shorten(nameless)}, which usually counts the rows: remove it, or "
            "list the columns of the features with --features."
        )
    labels = [name for name in LABEL_NAMES if name in columns]
    if label and not options.label and len(labels) > 1:
        raise InputError(f"{path} has the columns {shorten(labels)}: say with --label which has the labels.")


def _csv(path: Path, options: ReadOptions) -> Any:
    """The table in a ``.csv`` file, labels as they are written there: 007 is not 7."""
    import pandas as pd

    # Two columns of one name would be renamed.
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


def _parquet(path: Path) -> Any:
    """The table in a ``.parquet`` file: a few bytes may say that there are very many rows."""
    import pandas as pd
    from pyarrow import parquet

    about = parquet.read_metadata(path)
    if about.num_rows * about.num_columns * np.dtype(np.float64).itemsize > psutil.virtual_memory().available // 2:
        raise InputError(f"{path} has {about.num_rows} rows of {about.num_columns} columns: too many for the memory.")
    return pd.read_parquet(path)


def _label_column(columns: Any, options: ReadOptions) -> str | None:
    names = (options.label,) if options.label else tuple(name for name in LABEL_NAMES if name not in options.columns)
    return next((name for name in names if name in columns), None)


def _pictures(path: Path, options: ReadOptions) -> Rows:
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in PICTURES and file.is_file())
    if not files:
        raise InputError(f"{path} has no pictures ({', '.join(PICTURES)}): give a folder with a folder for each class.")
    classes = {file: file.relative_to(path).parts[0] if file.parent != path else "" for file in files}
    if empty := [
        folder.name for folder in sorted(path.iterdir()) if folder.is_dir() and folder.name not in classes.values()
    ]:
        raise InputError(f"{path} has no pictures of {shorten(empty)}: fill or remove the folder.")
    side, channels = options.image or (None, None)
    first = _open(files[0])
    side = max(first.size) if side is None else side
    channels = channels or (1 if first.mode in ("1", "L", "LA") else 3)
    if side < 1 or channels not in (1, 3):
        raise InputError(f"Pictures of side length {side} with {channels} channels cannot be: give --image_size=28.")
    needed = len(files) * side * side * channels * np.dtype(np.float32).itemsize
    if needed > psutil.virtual_memory().available // 2:
        raise InputError(f"{path} has {len(files)} pictures, too many at {side} pixels a side: give --image_size=28.")
    pixels = np.empty((len(files), side * side * channels), np.float32)
    for place, file in enumerate(files):
        picture = _open(file).convert("L" if channels == 1 else "RGB").resize((side, side))
        pixels[place] = np.asarray(picture, np.float32).ravel()
    labels = [_as_label(classes[file]) for file in files]
    names = tuple(file.relative_to(path).as_posix() for file in files)
    return Rows(pixels, labels, image=(side, channels), names=names)


def _open(file: Path) -> Any:
    """A picture, gray or in colours of 8 bits. Raises ``InputError`` for what is none, or is far too large."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                picture.load()
            if picture.mode.startswith("I"):  # 16 bits, which Pillow would cut at 255
                return Image.fromarray((np.asarray(picture) / 257).clip(0, 255).astype(np.uint8))
            return picture if picture.mode in ("1", "L", "LA", "RGB") else picture.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # a rotten picture can fail in any way
        raise InputError(f"{file} cannot be read as a picture: {_printable(error)}.") from error


def _labels(path: Path, values: Any) -> list[str] | None:
    """Labels of any kind as text. Raises ``InputError`` for what is none."""
    if values is None:
        return None
    try:
        labels = [_as_label(value) for value in values.tolist()]
        "".join(labels).encode()
    except (ValueError, SystemError) as error:  # the latter: Python of code points that there are not
        raise InputError(f"{path} has labels that are no text: {_printable(error)}.") from error
    return labels


def _as_label(value: Any) -> str:
    """A label as text: that of 3.0 is 3, and what stands for none is empty."""
    text = str(value).strip()
    if whole := _WHOLE.fullmatch(text):
        text = whole[1]
    return "" if text.lower() in UNLABELLED else text


def shorten(names: Any) -> str:
    """Some names in a sentence, not all of a thousand."""
    names = list(names)
    return ", ".join(map(_printable, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


def _printable(value: Any) -> str:
    """What comes from a file, safe to be shown on a terminal."""
    return "".join(sign if sign.isprintable() else ascii(sign)[1:-1] for sign in " ".join(str(value).split()))
