"""The original IDX files of the public data sets: their addresses, sizes and SHA-256, and the check of a file."""

import hashlib
from pathlib import Path
from typing import NamedTuple

from pljax.types import InputError

TRAIN_IMAGES = "train-images-idx3-ubyte.gz"
TRAIN_LABELS = "train-labels-idx1-ubyte.gz"
TEST_IMAGES = "t10k-images-idx3-ubyte.gz"
TEST_LABELS = "t10k-labels-idx1-ubyte.gz"
FILES = (TRAIN_IMAGES, TRAIN_LABELS, TEST_IMAGES, TEST_LABELS)


class Record(NamedTuple):
    """The identity of an original file."""

    size: int  # bytes of the gzipped file
    sha256: str  # of the gzipped file, in hexadecimal


# The address of the folder with the four files of each data set, with a slash at the end.
URLS = {
    "mnist": "https://storage.googleapis.com/cvdf-datasets/mnist/",
    "fashion_mnist": "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "kmnist": "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
}

# The builder class of each data set in tensorflow_datasets.image_classification.mnist.
BUILDERS = {"mnist": "MNIST", "fashion_mnist": "FashionMNIST", "kmnist": "KMNIST"}

# Copied from TensorFlow Datasets 4.9.10, and compared with it by a test: importing it takes seconds, and is not needed
# where the files exist.
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


def read_original(path: Path, name: str, file: str) -> bytes:
    """Read a file and check that it is the original ``file`` of the data set ``name``.

    Returns:
      its gzipped content.

    Raises ``InputError`` if it cannot be read, or if its size or SHA-256 is another.
    """
    expected = RECORDS[name][file]
    try:
        with path.open("rb") as stream:
            content = stream.read(expected.size + 1)
            sha, size = hashlib.sha256(content), len(content)
            # A longer file is wrong. The rest is hashed for the message, in blocks to save memory.
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
    """Return " but the FILE of NAME" if ``found`` is the record of another original file, else ""."""
    for name, records in RECORDS.items():
        for file, record in records.items():
            if record == found:
                return f" but the {file} of {name}"
    return ""
