"""Files of arrays that users bring: which arrays are read, and hostile archives that are refused unharmed."""

import io
import os
import re
import struct
import tracemalloc
import zipfile

import numpy as np
import psutil
import pytest
from refusal import refusal

from pljax.data.custom import read
from pljax.data.npz import Header
from pljax.data.reading import arrays
from pljax.types import ReadOptions

FEATURES = np.arange(9, dtype=np.float32).reshape(3, 3)


def refused(path, options=None):
    """The sentence that refuses a file."""
    sentence = refusal(read, path, options or ReadOptions())
    assert sentence.isprintable()
    return sentence


def npy(descr, shape, body, version=1, order="False"):
    """A member of an archive whose header need not be true."""
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}"
    header = header.ljust(-(-(len(header) + 11) // 64) * 64 - 11) + "\n"
    return b"\x93NUMPY" + bytes([version, 0]) + struct.pack("<H", len(header)) + header.encode() + body


def npz(members, packed=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", packed) as archive:
        for name, content in members:
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def saved(**arrays):
    file = io.BytesIO()
    np.savez(file, allow_pickle=True, **arrays)
    return file.getvalue()


# ------------------------------------------------------------------------------------------------- read


def test_arrays_of_any_numbers_and_any_shape_are_rows(tmp_path):
    for dtype in ("u1", "<i8", ">i4", "<f2", ">f8", "<u8", "?"):
        pixels = np.arange(24).reshape(2, 3, 4).astype(dtype)
        np.savez_compressed(tmp_path / "rows.npz", images=np.asfortranarray(pixels), labels=np.array([1, 0], ">i2"))
        rows = read(tmp_path / "rows.npz", ReadOptions())
        assert rows.features.dtype == np.dtype("<f8" if dtype in ("<u8", "?") else dtype)
        assert rows.features.astype(np.float32).tolist() == pixels.reshape(2, 12).astype(np.float32).tolist(), dtype
        assert rows.labels.texts == ["1", "0"]


def test_labels_may_be_bytes_truth_values_or_one_column(tmp_path):
    for labels, texts in (
        (np.array([b"cat", b"", "h\u00e9".encode()]), ["cat", "", "h\u00e9"]),
        (np.array([[1], [-1], [0]]), ["1", "", "0"]),
        (np.array([["a"], ["nan"], ["b"]]), ["a", "", "b"]),
        (np.array([True, False, True]), ["True", "False", "True"]),
        (np.array([1.0, np.nan, 0.5]), ["1", "", "0.5"]),
    ):
        np.savez(tmp_path / "rows.npz", X=FEATURES, y=labels)
        assert read(tmp_path / "rows.npz", ReadOptions()).labels.texts == texts


def test_arrays_that_are_columns_are_read_by_name_and_others_are_left_out(tmp_path):
    np.savez(
        tmp_path / "rows.npz",
        allow_pickle=True,
        b=FEATURES[:, 1],
        a=FEATURES[:, 0],
        X=FEATURES,
        y=np.arange(3),
        notes=np.array([{}]),
    )
    rows = read(tmp_path / "rows.npz", ReadOptions(None, ("a", "b")))
    assert (rows.columns, rows.features.tolist()) == (("a", "b"), FEATURES[:, :2].tolist())
    assert rows.notes["arrays left out"] == "X, notes"
    assert rows.notes["labels"] == "array y int64 [3]"


def test_the_only_array_of_rows_needs_no_name(tmp_path):
    np.savez(tmp_path / "one.npz", pixels=FEATURES, y=np.arange(3))
    assert read(tmp_path / "one.npz", ReadOptions()).features.tolist() == FEATURES.tolist()
    np.savez(tmp_path / "two.npz", pixels=FEATURES, others=FEATURES + 1, y=np.arange(3))
    assert "pixels, others, y" in refused(tmp_path / "two.npz")
    assert read(tmp_path / "two.npz", ReadOptions(None, ("others",))).features.tolist() == (FEATURES + 1).tolist()


# ---------------------------------------------------------------------------------------------- refused


def test_arrays_that_are_missing_are_refused_with_the_ones_there_are(tmp_path):
    np.savez(tmp_path / "rows.npz", X=FEATURES, y=np.arange(3))
    for options, reason in (
        (ReadOptions("kind"), "has no array 'kind', but X, y"),
        (ReadOptions(None, ("pixels",)), "lacks pixels: it has the arrays X, y"),
        (ReadOptions(None, ("X", "y")), "are X float32 [3, 3], y int64 [3]: give one array of numbers with a row"),
    ):
        assert reason in refused(tmp_path / "rows.npz", options)


UNUSABLE = {
    "features that are texts": (saved(X=np.array([["1", "2"]])), "X str32 [1, 2]: give one array of numbers"),
    "texts of no length": (npz([("X", npy("<U0", "(2, 2)", b""))]), "X str [2, 2]: give one array of numbers"),
    "features without rows": (saved(X=np.zeros((0, 3))), "0 rows of 3 features"),
    "rows without features": (saved(X=np.zeros((3, 0))), "3 rows of 0 features"),
    "many rows without features": (npz([("X", npy("<f4", "(1099511627776, 0)", b""))]), "1099511627776 rows of 0"),
    "a row": (saved(X=np.zeros(3)), "X float64 [3]: give one array of numbers"),
    "a number": (saved(X=np.float32(3)), "X float32 []: give one array of numbers"),
    "fewer labels than rows": (saved(X=FEATURES, y=np.arange(2)), "one label for each of the 3 rows"),
    "labels in a table": (saved(X=FEATURES, y=np.zeros((3, 2))), "one label for each of the 3 rows"),
    "a label": (saved(X=FEATURES, y=np.int32(3)), "one label for each of the 3 rows"),
    "NaN": (
        saved(X=np.array([[1, 2], [np.nan, 3]])),
        "1 missing number in 1 of 2 rows, the first in row 1, in feature 0 (1)",
    ),
    "infinite as float32": (saved(X=np.array([[1, 2], [3, 1e39]])), "the first in row 1, feature 1"),
    "texts out of Unicode": (
        npz([("X", npy("<f4", "(1, 1)", bytes(4))), ("y", npy("<U1", "(1,)", b"\xff" * 4))]),
        "labels that are no text",
    ),
    "half a character": (
        npz([("X", npy("<f4", "(1, 1)", bytes(4))), ("y", npy("<U1", "(1,)", b"\0\xd8\0\0"))]),
        "labels that are no text",
    ),
}


def test_arrays_that_cannot_be_used_are_refused_with_the_reason(tmp_path):
    for case, (content, reason) in UNUSABLE.items():
        path = tmp_path / f"{case}.npz"
        path.write_bytes(content)
        assert reason in refused(path)


UNREADABLE = {
    "structured": saved(X=np.zeros(3, "f4,f4")),
    "times": saved(X=np.zeros((3, 2), "M8[s]")),
    "durations": saved(X=np.zeros((3, 2), "m8[s]")),
    "complex": saved(X=np.zeros((3, 2), "c8")),
    "void": saved(X=np.zeros((3, 2), "V4")),
    "unknown type": npz([("X", npy("<f3", "(2, 2)", bytes(12)))]),
    "texts of gigantic length": npz([("X", npy("<U999999999", "(0, 2)", b""))]),
    "fewer numbers than the header says": npz([("X", npy("<f4", "(2, 3)", bytes(20)))]),
    "more numbers than the header says": npz([("X", npy("<f4", "(2, 3)", bytes(28)))]),
    "a gigantic shape": npz([("X", npy("<f4", "(4294967296, 4294967296)", bytes(24)))]),
    "a gigantic shape of size 0": npz([("X", npy("<f4", "(0, 4294967296, 4294967296, 4294967296)", b""))]),
    "a negative size": npz([("X", npy("<f4", "(-1, -6)", bytes(24)))]),
    "a size of many digits": npz([("X", npy("<f4", f"({'9' * 5000}, 0)", b""))]),
    "many dimensions": npz([("X", npy("<f4", f"({'1, ' * 65})", bytes(4)))]),
    "another version": npz([("X", npy("<f4", "(1, 1)", bytes(4), version=3))]),
    "no order": npz([("X", npy("<f4", "(1, 1)", bytes(4), order="None"))]),
    "code for a shape": npz([("X", npy("<f4", "(__import__('os').getpid(), 1)", bytes(4)))]),
    "no array": npz([("X", b"text")]),
    "an empty archive": npz([]),
    "another compression": npz([("X", npy("<f4", "(1, 1)", bytes(4)))], zipfile.ZIP_LZMA),
    "bytes before the archive": b"\x93NUMPY\1\0" + saved(X=FEATURES),
    "a missing end": saved(X=FEATURES)[:-30],
    "half an archive": saved(X=FEATURES)[:150],
    "a flipped bit": saved(X=FEATURES).replace(FEATURES.tobytes(), b"\1" + FEATURES.tobytes()[1:]),
}


def test_files_that_numpy_savez_does_not_write_are_refused(tmp_path):
    for case, content in UNREADABLE.items():
        path = tmp_path / f"{case}.npz"
        path.write_bytes(content)
        assert re.search("is no file of arrays|give one array of numbers", refused(path)), case


def test_two_arrays_of_one_name_are_refused(tmp_path):
    members = [("X", npy("<f4", "(1, 1)", bytes(4))), ("X", npy("<f4", "(1, 1)", bytes(3) + b"\x40"))]
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = npz(members)
    (tmp_path / "rows.npz").write_bytes(content)
    assert "two arrays of one name" in refused(tmp_path / "rows.npz")


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_pickle_in_an_archive_is_not_executed(tmp_path):
    sprung = tmp_path / "sprung"
    trapped = np.array([Trap(sprung), Trap(sprung)], object)
    for content in (
        saved(X=trapped),
        saved(X=FEATURES, y=trapped),
        npz([("X", npy("|O", "(2,)", trapped.dumps()))]),
        npz([("X", trapped.dumps())]),
    ):
        (tmp_path / "rows.npz").write_bytes(content)
        assert re.search("is no file of arrays|give one array of numbers", refused(tmp_path / "rows.npz"))
        assert not sprung.exists()
    (tmp_path / "rows.npz").write_bytes(saved(X=FEATURES, other=trapped))
    assert read(tmp_path / "rows.npz", ReadOptions()).features.tolist() == FEATURES.tolist()
    assert not sprung.exists()
    with np.load(io.BytesIO(saved(X=np.array([Trap(sprung)], object))), allow_pickle=True) as archive:
        archive["X"]
    assert sprung.exists()  # the trap works


def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch):
    """A few kilobytes that unpack to 64 MB, with their size in the archive's directory or a false one."""

    class Memory:
        available = 2**25

    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    size = 2**26
    honest = npz([("X", npy("<f4", f"({size // 64}, 16)", bytes(size)))], zipfile.ZIP_DEFLATED)
    packed_size = struct.pack("<I", size + 128)
    assert packed_size in honest
    assert len(honest) < 2**18
    for content in (honest, honest.replace(packed_size, struct.pack("<I", 256))):
        (tmp_path / "rows.npz").write_bytes(content)
        tracemalloc.start()
        try:
            refused(tmp_path / "rows.npz")
            assert tracemalloc.get_traced_memory()[1] < 2**23
        finally:
            tracemalloc.stop()


def test_the_arrays_leave_room_for_the_features_that_are_made_of_them(monkeypatch):
    free = 10**9
    monkeypatch.setattr(arrays, "free_memory", lambda: free)
    for dtypes, made in (
        (["u1"], 0),
        (["f4"], 0),
        (["f8"], 0),
        (["?"], 8),
        (["u8"], 8),
        (["u1", "u1", "u1", "f8"], 8),
        (["f4", "f4"], 4),
    ):
        most = arrays._memory_limit([Header((1,), np.dtype(dtype), False) for dtype in dtypes])
        numbers = most * len(dtypes) / sum(np.dtype(dtype).itemsize for dtype in dtypes)
        assert most + numbers * made + 4 * numbers == pytest.approx(free, rel=1e-6), dtypes
