"""Files that users bring: the same rows from every kind of file, and a refusal for what is no table."""

from decimal import Decimal

import numpy as np
import pandas as pd
import psutil
import pyarrow as pa
import pyarrow.parquet
from refusal import refusal

from pljax.data.custom import is_path, read
from pljax.types import ReadOptions

FEATURES = np.array([[0.5, 1.0, -3.25], [2.0, 1.5, 1e-3], [1 / 3, 7.0, 12345.678]], np.float32)
LABELS = ["cat", "", "dog"]


def table(features=FEATURES, labels=LABELS, label="label"):
    columns = {f"f{place}": column for place, column in enumerate(np.asarray(features).T)}
    return pd.DataFrame(columns if labels is None else columns | {label: labels})


def refused(path, options=None):
    """The sentence that refuses a file."""
    sentence = refusal(read, path, options or ReadOptions())
    assert sentence.isprintable()
    return sentence


# ------------------------------------------------------------------------------------------------- read


def save_npz(path, features, labels):
    np.savez(path, X=features, y=np.array(labels))


def save_csv(path, features, labels):
    table(features, labels).to_csv(path, index=False)


def save_parquet(path, features, labels):
    table(features, labels).to_parquet(path)


SAVE = {"rows.npz": save_npz, "rows.csv": save_csv, "ROWS.CSV": save_csv, "rows.parquet": save_parquet}


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    for name, save in SAVE.items():
        save(tmp_path / name, FEATURES, LABELS)
        rows = read(tmp_path / name, ReadOptions())
        assert rows.features.dtype == (np.float32 if name.endswith("npz") else np.float64)
        np.testing.assert_allclose(rows.features, FEATURES, rtol=1e-6, err_msg=name)
        assert rows.labels.texts == LABELS, name
        assert rows.columns == (() if name.endswith("npz") else ("f0", "f1", "f2"))


def test_a_label_is_read_as_the_same_text_from_every_kind_of_file(tmp_path):
    for given, expected in (
        ([0, -1, 1], ["0", "", "1"]),
        ([3.0, np.nan, -1.0], ["3", "", ""]),
        (["3.0", "-1", "4"], ["3", "", "4"]),
        (["007", "nan", "x"], ["007", "", "x"]),
        ([" a ", "Unlabelled", "None"], ["a", "", "None"]),
        (["NA", "null", "N/A"], ["NA", "null", "N/A"]),
        ([True, False, True], ["True", "False", "True"]),
        ([2**53 + 1, 0, -1], ["9007199254740993", "0", ""]),
    ):
        for name, save in SAVE.items():
            save(tmp_path / name, FEATURES, given)
            assert read(tmp_path / name, ReadOptions()).labels.texts == expected, name


def test_a_missing_label_of_any_pandas_type_is_no_class(tmp_path):
    for kind in ("Int64", "string", "category", "boolean"):
        labels = pd.array([True, None, False] if kind == "boolean" else ["1", None, "0"]).astype(kind)
        table(labels=labels).to_parquet(tmp_path / "rows.parquet")
        assert read(tmp_path / "rows.parquet", ReadOptions()).labels.texts[1] == "", kind


def test_labels_as_bytes_are_text(tmp_path):
    for labels, texts in (
        ([b"cat", b"", b"dog"], ["cat", "", "dog"]),
        ([b"caf\xc3\xa9", None, b"-1"], ["caf\u00e9", "", ""]),
        ([b" a ", b"unlabelled", b"None"], ["a", "", "None"]),
    ):
        table(labels=labels).to_parquet(tmp_path / "rows.parquet")
        assert read(tmp_path / "rows.parquet", ReadOptions()).labels.texts == texts
    table(labels=[b"\xff", b"a", b"b"]).to_parquet(tmp_path / "rows.parquet")
    assert "labels that are no text" in refused(tmp_path / "rows.parquet")


def test_the_label_and_the_features_can_be_named(tmp_path):
    frame = table().rename(columns={"label": "kind"}).assign(y=["no", "number", "here"])
    frame.to_csv(tmp_path / "rows.csv", index=False)
    rows = read(tmp_path / "rows.csv", ReadOptions("kind", ("f2", "f0")))
    np.testing.assert_allclose(rows.features, FEATURES[:, [2, 0]], rtol=1e-6)
    assert (rows.labels.texts, rows.columns) == (LABELS, ("f2", "f0"))


def test_a_column_with_the_name_of_labels_is_a_feature_where_it_is_named(tmp_path):
    table().rename(columns={"f0": "x", "f1": "y"}).to_csv(tmp_path / "rows.csv", index=False)
    rows = read(tmp_path / "rows.csv", ReadOptions(None, ("x", "y")))
    np.testing.assert_allclose(rows.features, FEATURES[:, :2], rtol=1e-6)
    assert read(tmp_path / "rows.csv", ReadOptions("label", ("x", "y"))).labels.texts == LABELS


def test_a_file_without_labels_has_none(tmp_path):
    table(labels=None).to_csv(tmp_path / "rows.csv", index=False)
    np.savez(tmp_path / "rows.npz", X=FEATURES)
    for name in ("rows.csv", "rows.npz"):
        assert read(tmp_path / name, ReadOptions()).labels is None


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path):
    (tmp_path / "rows.csv").write_bytes(b"\xef\xbb\xbflabel,a\nx,1\ny,2\n")
    assert read(tmp_path / "rows.csv", ReadOptions()).labels.texts == ["x", "y"]


def test_a_path_is_distinguished_from_the_name_of_a_data_set(tmp_path, monkeypatch):
    for name in ("rows.csv", "A.NPZ", "a/b", "./mnist", "a\\b"):
        assert is_path(name), name
    assert not is_path("mnist")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pictures").mkdir()
    assert is_path("pictures")


# ---------------------------------------------------------------------------------------------- refused

CSV_REFUSED = {
    "an empty file": ("", "has no rows"),
    "no rows": ("f0,f1,label\n", "0 rows of 2 features"),
    "no features": ("label\n1\n2\n", "2 rows of 0 features"),
    "texts": ("f0,f1,label\n1,red,x\n2,blue,y\n", "no numbers, f1 ('red')"),
    "a text among numbers": ("f0,f1,label\n1,2,x\n2,?,y\n", "no numbers, f1 ('?')"),
    "a gap": (
        "f0,f1,label\n1,2,x\n2,,y\n",
        "1 missing number in 1 of 2 rows, the first in row 1, in column f1 (1): fill them in",
    ),
    "infinity": ("f0,f1,label\n-inf,2,x\n2,3,y\n", "the first in row 0, column f0"),
    "a number that is infinite as float32": ("f0,label\n1e300,x\n2,y\n", "the first in row 0, column f0"),
    "a number whose square is": ("f0,label\n1,x\n3e38,y\n", "the first in row 1, column f0"),
    "two columns of one name": ("f0,f0,label\n1,2,x\n2,3,y\n", "two columns of one name, f0"),
    "two columns of labels": ("f0,label,label\n1,2,x\n2,3,y\n", "two columns of one name, label"),
    "rows longer than the header": ("f0,f1,label\n1,2,3,x\n2,3,4,y\n", "3 cells in its first line and 4 in most"),
    "a row longer than others": ("f0,f1,label\n1,2,x\n2,3,4,y\n", "4 cells in line 3, but 3 columns"),
    "an open quote": ('f0,label\n"1,x\n2,y\n', "cannot be read as a table"),
    "a name with an escape sequence": ("\x1b[31mred,label\na,x\nb,y\n", "[31mred ('a')"),
    "many names": (",".join(map(str, range(1000))) + "\n" + ",".join(["text"] * 1000), "4 ('text') and 995"),
}


def test_a_csv_file_that_cannot_be_used_is_refused_with_the_reason(tmp_path):
    for case, (content, reason) in CSV_REFUSED.items():
        path = tmp_path / f"{case}.csv"
        path.write_text(content)
        sentence = refused(path)
        assert reason in sentence
        assert path.name in sentence


def test_columns_that_are_missing_or_named_twice_are_refused(tmp_path):
    for name in ("rows.csv", "rows.parquet"):
        SAVE[name](tmp_path / name, FEATURES, LABELS)
        for options, reason in (
            (ReadOptions("kind"), "has no column 'kind', but f0, f1, f2, label"),
            (ReadOptions(None, ("f0", "f7", "f8")), "lacks the columns f7, f8"),
            (ReadOptions("f1", ("f0", "f1")), "f1 is given both as --label and among --features"),
            (ReadOptions(None, ("f0", "f0")), "f0, f0 are no features"),
        ):
            assert reason in refused(tmp_path / name, options)


def test_columns_that_pandas_made_the_index_are_columns(tmp_path):
    frame = table().assign(label=["a", "b", "a"])
    for index, expected in (
        ("f1", ("f1", "f0", "f2")),
        (["f2", "f0"], ("f2", "f0", "f1")),
        ("label", ("f0", "f1", "f2")),
    ):
        frame.set_index(index).to_parquet(tmp_path / "rows.parquet")
        rows = read(tmp_path / "rows.parquet", ReadOptions())
        assert rows.columns == expected
        np.testing.assert_allclose(rows.features, frame[list(expected)], rtol=1e-6)
        assert rows.labels.texts == ["a", "b", "a"]


def test_columns_that_are_probably_no_features_must_be_named(tmp_path):
    frame = pd.DataFrame({"a": [1, 2], "y": [0, 1], "class": [0, 1]})
    for name, save in (("rows.csv", frame.to_csv), ("rows.parquet", frame.to_parquet)):
        save(tmp_path / name, index=False)
        assert "say with --label which has the labels" in refused(tmp_path / name)
        assert read(tmp_path / name, ReadOptions("y")).columns == ("a", "class")
    frame.drop(columns="class").to_csv(tmp_path / "rows.csv")
    assert "usually counts the rows" in refused(tmp_path / "rows.csv")
    assert read(tmp_path / "rows.csv", ReadOptions("y", ("a",))).columns == ("a",)


def test_parquet_columns_that_are_no_numbers_or_of_one_name_are_refused(tmp_path):
    for case, column in {
        "times": pd.to_datetime(["2020-01-01", "2021-01-01"]),
        "lists": [[1], [2]],
        "bytes": [b"1", b"2"],
        "durations": pd.to_timedelta([1, 2]),
        "nothing": [pd.NA, pd.NA],
    }.items():
        pd.DataFrame({"f0": column, "label": ["a", "b"]}).to_parquet(tmp_path / f"{case}.parquet")
        assert "no numbers, f0" in refused(tmp_path / f"{case}.parquet")
    pd.DataFrame({"f0": [True, None], "label": ["a", "b"]}).to_csv(tmp_path / "rows.csv", index=False)
    assert "1 missing number in 1 of 2 rows, the first in row 1, in column f0" in refused(tmp_path / "rows.csv")
    pd.DataFrame({"f0": [Decimal("1.5"), 2**70], "label": ["a", "b"]}).to_csv(tmp_path / "rows.csv", index=False)
    assert read(tmp_path / "rows.csv", ReadOptions()).features.tolist() == [[1.5], [2.0**70]]
    decimals = pa.table([pa.array([Decimal("1.5"), Decimal("2")]), ["x", "y"]], names=["f0", "label"])
    pyarrow.parquet.write_table(decimals, tmp_path / "rows.parquet")
    assert read(tmp_path / "rows.parquet", ReadOptions()).features.tolist() == [[1.5], [2.0]]
    twice = pa.table([[1, 2], [3, 4], ["x", "y"]], names=["f0", "f0", "label"])
    pyarrow.parquet.write_table(twice, tmp_path / "rows.parquet")
    refused(tmp_path / "rows.parquet")


def test_a_parquet_file_of_more_rows_than_the_memory_holds_is_not_unpacked(tmp_path, monkeypatch):
    class Memory:
        available = 2**20

    pd.DataFrame({"f0": np.zeros(10**6), "label": "a"}).to_parquet(tmp_path / "rows.parquet")
    assert (tmp_path / "rows.parquet").stat().st_size < 10_000
    monkeypatch.setattr(psutil, "virtual_memory", Memory)
    assert "1000000 rows of 2 columns" in refused(tmp_path / "rows.parquet")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    for name in ("no.npz", "no.csv", "no.parquet", "no/such/folder.csv", "no.csv.gz"):
        assert "Cannot read" in refused(tmp_path / name)
    assert "is not there" in refused(tmp_path / "no")


def test_another_kind_of_file_is_refused_with_the_next_step(tmp_path):
    for name, step in (
        ("rows.xlsx", "save the sheet as .csv"),
        ("X.npy", "numpy.savez('data.npz', X=numpy.load(...)), and with y=labels"),
        ("x.png", "give the folder that it is in"),
        ("rows.zip", "unpack it"),
        ("rows.json", "DataFrame.to_parquet"),
        ("rows", "nor a file that ends in .npz, .csv"),
        ("rows.docx", "nor a file that ends in .npz, .csv"),
    ):
        (tmp_path / name).write_bytes(b"PK\3\4")
        assert step in refused(tmp_path / name), name


def test_bytes_that_are_no_table_are_refused(tmp_path):
    for content in (b"", b"\0", b"PK\3\4", b"PAR1", b"PAR1PAR1", b"\xff\xfe\xfa\n\xff", b"\x89PNG\r\n"):
        for name in ("rows.npz", "rows.csv", "rows.parquet"):
            (tmp_path / name).write_bytes(content)
            refused(tmp_path / name)
