"""Files and folders that people bring: the same rows from every kind of file, and one sentence for what is none."""

import io
import os
import re
import struct
import time
import tracemalloc
import zipfile

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from fuzzing import assert_one_sentence
from PIL import Image

from pljax.data import tables
from pljax.data.tables import ReadOptions, is_path, read
from pljax.types import InputError

FEATURES = np.array([[0.5, 1.0, -3.25], [2.0, 1.5, 1e-3], [1 / 3, 7.0, 12345.678]], np.float32)
LABELS = ["cat", "", "dog"]


def table(features=FEATURES, labels=LABELS, label="label"):
    columns = {f"f{place}": column for place, column in enumerate(np.asarray(features).T)}
    return pd.DataFrame(columns if labels is None else columns | {label: labels})


def refused(path, how=None):
    """What is said of a file that cannot be used."""
    with pytest.raises(InputError) as refusal:
        read(path, how or ReadOptions())
    assert_one_sentence(str(refusal.value))
    assert str(refusal.value).isprintable()
    return str(refusal.value)


# ------------------------------------------------------------------------------------------------- tables


def save_npz(path, features, labels):
    np.savez(path, X=features, y=np.array(labels))


def save_csv(path, features, labels):
    table(features, labels).to_csv(path, index=False)


def save_parquet(path, features, labels):
    table(features, labels).to_parquet(path)


SAVE = {"rows.npz": save_npz, "rows.csv": save_csv, "ROWS.CSV": save_csv, "rows.parquet": save_parquet}


@pytest.mark.parametrize("name", SAVE)
def test_every_kind_of_file_gives_the_same_rows(tmp_path, name):
    SAVE[name](tmp_path / name, FEATURES, LABELS)
    rows = read(tmp_path / name, ReadOptions())
    assert rows.features.dtype == np.float32
    np.testing.assert_allclose(rows.features, FEATURES, rtol=1e-6)
    assert rows.labels == LABELS
    assert rows.columns == (() if name.endswith("npz") else ("f0", "f1", "f2"))


@pytest.mark.parametrize("name", SAVE)
@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ([0, -1, 1], ["0", "", "1"]),
        ([3.0, np.nan, -1.0], ["3", "", ""]),
        (["3.0", "-1", "4"], ["3", "", "4"]),
        (["007", "nan", "x"], ["007", "", "x"]),
        ([" a ", "Unlabelled", "None"], ["a", "", ""]),
        (["NA", "null", "n"], ["", "", "n"]),
        ([True, False, True], ["True", "False", "True"]),
        ([2**53 + 1, 0, -1], ["9007199254740993", "0", ""]),
    ],
)
def test_a_label_is_read_as_the_same_text_from_every_kind_of_file(tmp_path, name, given, meant):
    SAVE[name](tmp_path / name, FEATURES, given)
    assert read(tmp_path / name, ReadOptions()).labels == meant


@pytest.mark.parametrize("kind", ["Int64", "string", "category", "boolean"])
def test_a_missing_label_of_every_pandas_kind_is_no_class(tmp_path, kind):
    labels = pd.array([True, None, False] if kind == "boolean" else ["1", None, "0"]).astype(kind)
    table(labels=labels).to_parquet(tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet", ReadOptions()).labels[1] == ""


def test_the_label_and_the_features_can_be_named(tmp_path):
    frame = table().rename(columns={"label": "kind"}).assign(y=["no", "number", "here"])
    frame.to_csv(tmp_path / "rows.csv", index=False)
    rows = read(tmp_path / "rows.csv", ReadOptions("kind", ("f2", "f0")))
    np.testing.assert_allclose(rows.features, FEATURES[:, [2, 0]], rtol=1e-6)
    assert (rows.labels, rows.columns) == (LABELS, ("f2", "f0"))


def test_a_feature_called_like_a_label_is_a_feature_where_it_is_named(tmp_path):
    table().rename(columns={"f0": "x", "f1": "y"}).to_csv(tmp_path / "rows.csv", index=False)
    rows = read(tmp_path / "rows.csv", ReadOptions(None, ("x", "y")))
    np.testing.assert_allclose(rows.features, FEATURES[:, :2], rtol=1e-6)
    assert read(tmp_path / "rows.csv", ReadOptions("label", ("x", "y"))).labels == LABELS


def test_without_labels_there_are_none(tmp_path):
    table(labels=None).to_csv(tmp_path / "rows.csv", index=False)
    np.savez(tmp_path / "rows.npz", X=FEATURES)
    for name in ("rows.csv", "rows.npz"):
        assert read(tmp_path / name, ReadOptions()).labels is None


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbflabel,a\nx,1\ny,2\n")
    assert read(tmp_path / "rows.csv", ReadOptions()).labels == ["x", "y"]


@pytest.mark.parametrize("dtype", ["u1", "<i8", ">i4", "<f2", ">f8", "?"])
def test_arrays_of_any_numbers_and_any_shape_are_rows(tmp_path, dtype):
    pixels = np.arange(24).reshape(2, 3, 4).astype(dtype)
    np.savez_compressed(tmp_path / "rows.npz", images=np.asfortranarray(pixels), labels=np.array([1, 0], ">i2"))
    rows = read(tmp_path / "rows.npz", ReadOptions())
    assert rows.features.dtype == np.float32
    assert rows.features.tolist() == pixels.reshape(2, 12).astype(np.float32).tolist()
    assert rows.labels == ["1", "0"]


def test_the_only_array_of_rows_needs_no_name(tmp_path):
    np.savez(tmp_path / "one.npz", pixels=FEATURES, y=np.arange(3))
    assert read(tmp_path / "one.npz", ReadOptions()).features.tolist() == FEATURES.tolist()
    np.savez(tmp_path / "two.npz", pixels=FEATURES, others=FEATURES + 1, y=np.arange(3))
    assert "pixels, others, y" in refused(tmp_path / "two.npz")
    assert read(tmp_path / "two.npz", ReadOptions(None, ("others",))).features.tolist() == (FEATURES + 1).tolist()


@pytest.mark.parametrize(
    ("name", "path"),
    [("rows.csv", True), ("A.NPZ", True), ("a/b", True), ("./mnist", True), ("a\\b", True), ("mnist", False)],
)
def test_a_path_is_told_from_the_name_of_a_data_set(name, path):
    assert is_path(name) == path


def test_the_name_of_a_folder_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    assert is_path("pictures")


# -------------------------------------------------------------------------------------- tables refused

CSV_REFUSED = {
    "an empty file": ("", "cannot be read as a table"),
    "no rows": ("f0,f1,label\n", "0 rows of 2 features"),
    "no features": ("label\n1\n2\n", "2 rows of 0 features"),
    "texts": ("f0,f1,label\n1,red,x\n2,blue,y\n", "no numbers, f1"),
    "a text among numbers": ("f0,f1,label\n1,2,x\n2,?,y\n", "no numbers, f1"),
    "a gap": (
        "f0,f1,label\n1,2,x\n2,,y\n",
        "1 features that are empty or no number below 1e+30, the first in row 1, column 'f1'",
    ),
    "infinity": ("f0,f1,label\n-inf,2,x\n2,3,y\n", "the first in row 0, column 'f0'"),
    "a number that is infinite as float32": ("f0,label\n1e300,x\n2,y\n", "the first in row 0, column 'f0'"),
    "a number whose square is": ("f0,label\n1,x\n3e38,y\n", "the first in row 1, column 'f0'"),
    "two columns of one name": ("f0,f0,label\n1,2,x\n2,3,y\n", "two columns of one name, f0"),
    "two columns of labels": ("f0,label,label\n1,2,x\n2,3,y\n", "two columns of one name, label"),
    "rows longer than the header": ("f0,f1,label\n1,2,3,x\n2,3,4,y\n", "longer than its first line"),
    "a row longer than others": ("f0,f1,label\n1,2,x\n2,3,4,y\n", "cannot be read as a table"),
    "an open quote": ('f0,label\n"1,x\n2,y\n', "cannot be read as a table"),
    "a name that is no text for a terminal": ("\x1b[31mred,label\na,x\nb,y\n", "\\x1b[31mred"),
}


@pytest.mark.parametrize("case", CSV_REFUSED)
def test_a_table_that_cannot_be_used_is_refused(tmp_path, case):
    content, says = CSV_REFUSED[case]
    (tmp_path / "rows.csv").write_text(content)
    assert says in refused(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (ReadOptions("kind"), "has no column 'kind', but f0, f1, f2, label"),
        (ReadOptions(None, ("f0", "f7", "f8")), "lacks the columns f7, f8"),
        (ReadOptions("f1", ("f0", "f1")), "f0, f1 are no features"),
        (ReadOptions(None, ("f0", "f0")), "f0, f0 are no features"),
    ],
)
@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_columns_that_are_not_there_or_there_twice_are_refused(tmp_path, name, how, says):
    SAVE[name](tmp_path / name, FEATURES, LABELS)
    assert says in refused(tmp_path / name, how)


def test_of_many_names_a_few_are_told(tmp_path):
    pd.DataFrame([["text"] * 1000]).rename(columns=str).to_csv(tmp_path / "rows.csv", index=False)
    assert "0, 1, 2, 3, 4 and 995 more" in refused(tmp_path / "rows.csv")


def test_a_parquet_file_with_two_columns_of_one_name_is_refused(tmp_path):
    twice = pa.table([[1, 2], [3, 4], ["x", "y"]], names=["f0", "f0", "label"])
    pyarrow.parquet.write_table(twice, tmp_path / "rows.parquet")
    refused(tmp_path / "rows.parquet")


def test_a_parquet_file_of_more_rows_than_the_memory_holds_is_not_unpacked(tmp_path, monkeypatch):
    class Memory:
        available = 2**20

    pd.DataFrame({"f0": np.zeros(10**6), "label": "a"}).to_parquet(tmp_path / "rows.parquet")
    assert (tmp_path / "rows.parquet").stat().st_size < 10_000
    monkeypatch.setattr(tables.psutil, "virtual_memory", Memory)
    assert "1000000 rows of 2 columns" in refused(tmp_path / "rows.parquet")


@pytest.mark.parametrize(
    "column",
    [
        pd.to_datetime(["2020-01-01", "2021-01-01"]),
        [[1], [2]],
        [b"1", b"2"],
        pd.to_timedelta([1, 2]),
        [pd.NA, pd.NA],
        pd.array([1, None], "Int64"),
    ],
    ids=["times", "lists", "bytes", "durations", "nothing", "a gap"],
)
def test_columns_of_parquet_that_are_no_numbers_are_refused(tmp_path, column):
    pd.DataFrame({"f0": column, "label": ["a", "b"]}).to_parquet(tmp_path / "rows.parquet")
    assert "no number" in refused(tmp_path / "rows.parquet")


# -------------------------------------------------------------------------------------- what is no file


@pytest.mark.parametrize("name", ["no.npz", "no.csv", "no.parquet", "no/such/folder.csv"])
def test_a_file_that_is_not_there_is_told(tmp_path, name):
    assert "Cannot read" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["rows.xlsx", "rows", "rows.npy", "rows.csv.gz"])
def test_another_kind_of_file_is_told_which_there_are(tmp_path, name):
    (tmp_path / name).write_bytes(b"PK\3\4")
    assert ".npz, .csv, .parquet" in refused(tmp_path / name)


@pytest.mark.parametrize("name", ["rows.npz", "rows.csv", "rows.parquet"])
@pytest.mark.parametrize(
    "content", [b"", b"\0", b"PK\3\4", b"PAR1", b"PAR1PAR1", b"\xff\xfe\xfa\n\xff", b"\x89PNG\r\n"]
)
def test_bytes_that_are_no_table_are_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name)


# -------------------------------------------------------------------------------------- hostile archives


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


class Trap:
    """Makes a folder where it is unpickled."""

    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_what_is_pickled_in_an_archive_is_not_executed(tmp_path):
    sprung = tmp_path / "sprung"
    trapped = np.array([Trap(sprung), Trap(sprung)], object)
    for content in (
        saved(X=trapped),
        saved(X=FEATURES, y=trapped),
        saved(X=FEATURES, other=trapped),
        npz([("X", npy("|O", "(2,)", trapped.dumps()))]),
        npz([("X", trapped.dumps())]),
    ):
        (tmp_path / "rows.npz").write_bytes(content)
        assert "no array of numbers or texts" in refused(tmp_path / "rows.npz")
        assert not sprung.exists()
    with np.load(io.BytesIO(saved(X=np.array([Trap(sprung)], object))), allow_pickle=True) as archive:
        archive["X"]
    assert sprung.exists()  # the trap is one


ARRAYS_REFUSED = {
    "structured": saved(X=np.zeros(3, "f4,f4")),
    "times": saved(X=np.zeros((3, 2), "M8[s]")),
    "durations": saved(X=np.zeros((3, 2), "m8[s]")),
    "complex": saved(X=np.zeros((3, 2), "c8")),
    "void": saved(X=np.zeros((3, 2), "V4")),
    "bytes": saved(X=np.zeros((3, 2)), y=np.array([b"a", b"b", b"c"])),
    "long double": saved(X=np.zeros((3, 2), np.longdouble)),
    "no such number": npz([("X", npy("<f3", "(2, 2)", bytes(12)))]),
    "texts of no length": npz([("X", npy("<U0", "(2, 2)", b""))]),
    "texts of gigantic length": npz([("X", npy("<U999999999", "(0, 2)", b""))]),
    "texts that are no text": npz([("X", npy("<f4", "(1, 1)", bytes(4))), ("y", npy("<U1", "(1,)", b"\xff" * 4))]),
    "half a character": npz([("X", npy("<f4", "(1, 1)", bytes(4))), ("y", npy("<U1", "(1,)", b"\0\xd8\0\0"))]),
    "fewer numbers than it says": npz([("X", npy("<f4", "(2, 3)", bytes(20)))]),
    "more numbers than it says": npz([("X", npy("<f4", "(2, 3)", bytes(28)))]),
    "more than can be": npz([("X", npy("<f4", "(4294967296, 4294967296)", bytes(24)))]),
    "nothing, gigantic": npz([("X", npy("<f4", "(0, 4294967296, 4294967296, 4294967296)", b""))]),
    "nothing, of many rows": npz([("X", npy("<f4", "(1099511627776, 0)", b""))]),
    "a negative size": npz([("X", npy("<f4", "(-1, -6)", bytes(24)))]),
    "a size of many digits": npz([("X", npy("<f4", f"({'9' * 5000}, 0)", b""))]),
    "many dimensions": npz([("X", npy("<f4", f"({'1, ' * 65})", bytes(4)))]),
    "another version": npz([("X", npy("<f4", "(1, 1)", bytes(4), version=3))]),
    "no order": npz([("X", npy("<f4", "(1, 1)", bytes(4), order="None"))]),
    "code for a shape": npz([("X", npy("<f4", "(__import__('os').getpid(), 1)", bytes(4)))]),
    "no array": npz([("X", b"text")]),
    "nothing in it": npz([]),
    "packed in another way": npz([("X", npy("<f4", "(1, 1)", bytes(4)))], zipfile.ZIP_LZMA),
    "bytes before it": b"\x93NUMPY\1\0" + saved(X=FEATURES),
    "its end is missing": saved(X=FEATURES)[:-30],
    "half of it": saved(X=FEATURES)[:150],
    "a flipped bit": saved(X=FEATURES).replace(FEATURES.tobytes(), b"\1" + FEATURES.tobytes()[1:]),
    "features that are texts": saved(X=np.array([["1", "2"]])),
    "features without rows": saved(X=np.zeros((0, 3))),
    "rows without features": saved(X=np.zeros((3, 0))),
    "a row": saved(X=np.zeros(3)),
    "a number": saved(X=np.float32(3)),
    "fewer labels than rows": saved(X=FEATURES, y=np.arange(2)),
    "labels in a table": saved(X=FEATURES, y=np.arange(3)[:, None]),
    "a label": saved(X=FEATURES, y=np.int32(3)),
    "NaN": saved(X=np.array([[1, 2], [np.nan, 3]])),
    "as float32 infinite": saved(X=np.array([[1, 2], [3, 1e39]])),
}


@pytest.mark.parametrize("case", ARRAYS_REFUSED)
def test_arrays_that_cannot_be_used_are_refused(tmp_path, case):
    (tmp_path / "rows.npz").write_bytes(ARRAYS_REFUSED[case])
    refused(tmp_path / "rows.npz")


def test_the_place_of_a_number_that_is_none_is_told(tmp_path):
    (tmp_path / "rows.npz").write_bytes(ARRAYS_REFUSED["NaN"])
    assert "the first in row 1, feature 0" in refused(tmp_path / "rows.npz")


def test_two_members_of_one_name_are_refused(tmp_path):
    members = [("X", npy("<f4", "(1, 1)", bytes(4))), ("X", npy("<f4", "(1, 1)", bytes(3) + b"\x40"))]
    with pytest.warns(UserWarning, match="Duplicate name"):
        content = npz(members)
    (tmp_path / "rows.npz").write_bytes(content)
    assert "two arrays of one name" in refused(tmp_path / "rows.npz")


@pytest.mark.parametrize("name", ["rows.csv", "rows.parquet"])
def test_columns_that_are_probably_no_features_are_asked_about(tmp_path, name):
    table = pd.DataFrame({"a": [1, 2], "y": [0, 1], "class": [0, 1]})
    save = {"rows.csv": table.to_csv, "rows.parquet": table.to_parquet}[name]
    save(tmp_path / name, index=False)
    assert "say with --label which has the labels" in refused(tmp_path / name)
    assert read(tmp_path / name, ReadOptions("y")).columns == ("a", "class")
    table.drop(columns="class").to_csv(tmp_path / "rows.csv")
    assert "usually counts the rows" in refused(tmp_path / "rows.csv")
    assert read(tmp_path / "rows.csv", ReadOptions("y", ("a",))).columns == ("a",)


@pytest.mark.parametrize(
    ("how", "says"),
    [
        (ReadOptions("kind"), "has no array 'kind', but X, y"),
        (ReadOptions(None, ("pixels",)), "has the arrays X, y"),
        (ReadOptions(None, ("X", "y")), "in one array, not in X, y"),
    ],
)
def test_arrays_that_are_not_there_are_told(tmp_path, how, says):
    np.savez(tmp_path / "rows.npz", X=FEATURES, y=np.arange(3))
    assert says in refused(tmp_path / "rows.npz", how)


def bombs():
    """A few kilobytes that unpack to a quarter of a gigabyte: as it is, and with sizes that are not said."""
    size = 2**28
    whole = npz([("X", npy("<f4", f"({size // 64}, 16)", bytes(size)))], zipfile.ZIP_DEFLATED)
    told = struct.pack("<I", size + 128)
    assert whole.count(told) >= 1
    return {"honest": whole, "lying": whole.replace(told, struct.pack("<I", 256))}


@pytest.fixture(scope="module")
def packed_bombs():
    return bombs()


@pytest.mark.parametrize("kind", ["honest", "lying"])
def test_a_zip_bomb_is_not_unpacked(tmp_path, monkeypatch, packed_bombs, kind):
    class Memory:
        available = 2**27

    monkeypatch.setattr(tables.psutil, "virtual_memory", Memory)
    assert len(packed_bombs[kind]) < 2**20
    (tmp_path / "rows.npz").write_bytes(packed_bombs[kind])
    started = time.monotonic()
    tracemalloc.start()
    try:
        refused(tmp_path / "rows.npz")
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()
    assert time.monotonic() - started < 5


# ----------------------------------------------------------------------------------------------- pictures


def paint(path, color, size=(4, 4), mode="L"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


@pytest.fixture
def pictures(tmp_path):
    """Two classes and pictures of none: 0, 255 and 100, all gray."""
    paint(tmp_path / "cats" / "deeper" / "a.png", 0)
    paint(tmp_path / "dogs" / "b.PNG", 255)
    paint(tmp_path / "unlabelled" / "c.png", 100)
    return tmp_path


def test_a_folder_of_pictures_has_a_folder_for_each_class(pictures):
    (pictures / "notes.txt").write_text("no picture")
    rows = read(pictures, ReadOptions())
    assert rows.labels == ["cats", "dogs", ""]
    assert rows.names == ("cats/deeper/a.png", "dogs/b.PNG", "unlabelled/c.png")
    assert rows.image == (4, 1)
    assert rows.features.tolist() == [[0.0] * 16, [255.0] * 16, [100.0] * 16]


def test_pictures_beside_the_folders_have_no_class(tmp_path):
    paint(tmp_path / "a.png", 1)
    paint(tmp_path / "b.png", 2)
    assert read(tmp_path, ReadOptions()).labels == ["", ""]


@pytest.mark.parametrize("size", [(8, 8), (2, 6), (1, 1)])
def test_pictures_of_other_sizes_are_resized(pictures, size):
    paint(pictures / "dogs" / "other.png", 255, size)
    rows = read(pictures, ReadOptions())
    assert rows.features.shape == (4, 16)
    assert (rows.features[rows.names.index("dogs/other.png")] == 255).all()


@pytest.mark.parametrize("side", [1, 3, 28])
def test_pictures_get_the_side_length_that_is_asked_for(pictures, side):
    rows = read(pictures, ReadOptions(image=(side, None)))
    assert rows.image == (side, 1)
    assert rows.features.shape == (3, side * side)


def test_pictures_in_colour_have_three_channels_pixel_by_pixel(tmp_path):
    paint(tmp_path / "red" / "a.png", (255, 0, 0), (2, 2), "RGB")
    paint(tmp_path / "seen through" / "b.png", (0, 255, 0, 9), (2, 2), "RGBA")
    paint(tmp_path / "gray" / "z.png", 7, (2, 2))
    rows = read(tmp_path, ReadOptions())
    assert rows.image == (2, 1)  # as the first file is
    rows = read(tmp_path, ReadOptions(image=(2, 3)))
    assert rows.features.tolist() == [[7.0] * 12, [255.0, 0, 0] * 4, [0.0, 255, 0] * 4]


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_gray_of_16_bits_is_brought_to_8(tmp_path, suffix):
    pixels = np.array([[0, 257 * 7], [257 * 100, 65535]], np.uint16)
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}")
    rows = read(tmp_path, ReadOptions())
    assert rows.image == (2, 1)
    assert rows.features.tolist() == [[0, 7, 100, 255]]


@pytest.mark.parametrize("suffix", [suffix for suffix in tables.PICTURES if suffix != ".webp"])
def test_pictures_of_every_kind_are_read(tmp_path, suffix):
    paint(tmp_path / "a" / f"picture{suffix}", 200)
    np.testing.assert_allclose(read(tmp_path, ReadOptions(image=(4, 1))).features, 200, atol=2)


def test_a_folder_without_pictures_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    assert "has no pictures" in refused(tmp_path)


def test_an_empty_folder_of_a_class_is_refused(pictures):
    (pictures / "mice").mkdir()
    assert "has no pictures of mice" in refused(pictures)


@pytest.mark.parametrize("content", [b"", b"text", b"\x89PNG\r\n\x1a\n" + bytes(40), "half"])
def test_a_file_that_is_no_picture_is_named(pictures, content):
    whole = io.BytesIO()
    Image.effect_noise((64, 64), 50).save(whole, "PNG")
    path = pictures / "dogs" / "none.png"
    path.write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2] if content == "half" else content)
    assert f"{path} cannot be read as a picture" in refused(pictures)


def test_a_picture_that_is_far_too_large_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    paint(tmp_path / "a.png", 0, (100, 100))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 5000)
    assert "cannot be read as a picture" in refused(tmp_path)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 9000)  # that much too large is a warning
    assert "cannot be read as a picture" in refused(tmp_path)


@pytest.mark.parametrize("image", [(0, None), (-4, None), (4, 2), (10**7, None), (10**10, None)])
def test_pictures_of_a_size_that_cannot_be_are_refused(pictures, image):
    assert re.search(r"--image_size=28\.$", refused(pictures, ReadOptions(image=image)))
