"""A property: a table that pandas or NumPy writes, in any format that is read here, is read as it was written."""

import functools
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzzing import Law, put_to_test
from hypothesis import strategies as st

from pljax.data import custom
from pljax.data.reading.labels import clean
from pljax.types import ReadOptions

LETTERS = st.characters(codec="utf-8", categories=["Lu", "Ll", "Lo", "Nd", "Po", "Sm", "So", "Zs", "Mn"])
# Names that stay what they are: other tests say what becomes of spaces, numbers and empty names.
NAMES = (
    st.text(LETTERS, min_size=1, max_size=8)
    .map(lambda text: f"n{clean(text)}")
    .filter(lambda text: clean(text) == text)
)
CLASSES = st.lists(
    NAMES | st.sampled_from(["None", "NA", "N/A", "null", "True", "0", "1", "2.5", "007", "#1", "a,b", 'a"b', "a;b"]),
    min_size=2,
    max_size=5,
    unique=True,
)
NUMBERS = st.floats(-1e12, 1e12).map(lambda value: value or 0.0) | st.integers(-(2**53), 2**53).map(float)
UNLABELLED = st.sampled_from(["", "-1", "unlabelled", None])


@st.composite
def tables(draw):
    """Names of columns, rows of numbers, and a label for each row, some of them unknown."""
    names = draw(st.lists(NAMES, min_size=1, max_size=5, unique_by=lambda name: unicodedata.normalize("NFKC", name)))
    count = draw(st.integers(6, 12))
    numbers = draw(
        st.lists(st.lists(NUMBERS, min_size=len(names), max_size=len(names)), min_size=count, max_size=count)
    )
    classes = draw(CLASSES)
    labels = [*classes, *draw(st.lists(st.sampled_from(classes) | UNLABELLED, min_size=count, max_size=count))][:count]
    return names, np.array(numbers), draw(st.permutations(labels)), draw(st.integers(0, len(names)))


def as_text(separator, encoding, decimal="."):
    def write(frame, path):
        frame.to_csv(path, index=False, sep=separator, encoding=encoding, decimal=decimal)
        return path

    return write


def as_npz(frame, path):
    columns = {name: frame[name].to_numpy() for name in frame.columns if name != "label"}
    np.savez(path, label=frame["label"].fillna("").to_numpy(str), **columns)
    return path


def as_parquet(frame, path):
    frame.to_parquet(path)
    return path


FORMATS = {
    "rows.csv": as_text(",", "utf-8"),
    "marked.csv": as_text(",", "utf-8-sig"),
    "wide.csv": as_text(",", "utf-16"),
    "comma.csv": as_text(";", "utf-8", ","),
    "rows.tsv": as_text("\t", "utf-8"),
    "rows.csv.gz": as_text(",", "utf-8"),
    "rows.parquet": as_parquet,
    "rows.npz": as_npz,
}


def what_is_read_is_what_was_written(name, table):
    names, numbers, labels, place = table
    frame = pd.DataFrame(numbers, columns=names)
    frame.insert(place, "label", pd.Series(labels, dtype=object))
    with tempfile.TemporaryDirectory() as folder:
        path = FORMATS[name](frame, Path(folder) / name)
        options = ReadOptions("label", tuple(names) if name.endswith("npz") else ())
        rows = custom.read(path, options)
        np.testing.assert_array_equal(rows.features, numbers)
        assert rows.columns == tuple(names)
        assert rows.labels.texts == ["" if label in ("", "-1", "unlabelled", None) else label for label in labels]
        assert sum(rows.labels.unlabelled.values()) == rows.labels.texts.count("")


LAWS = {
    name: Law(functools.partial(what_is_read_is_what_was_written, name), tables(), few=15, many=500) for name in FORMATS
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_what_is_read_is_what_was_written(law):
    put_to_test(law)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_what_is_read_is_what_was_written_for_many_tables(law):
    put_to_test(law, at_length=True)
