"""Tables and pictures of any bytes give valid rows, or are refused with one sentence."""

import io
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from fuzzing import TEXTS, Law, assert_one_sentence, damaged, put_to_test
from hypothesis import strategies as st
from PIL import Image
from test_fuzz_files import ARCHIVES, SPRUNG, TRAPS, saved

from pljax.data import custom
from pljax.data.custom import read
from pljax.types import InputError, ReadOptions

FEATURES = np.arange(12, dtype=np.float32).reshape(6, 2)
LABELS = ["a", "b", "", "a", "b", ""]
ROWS = pd.DataFrame(FEATURES, columns=["f0", "f1"]).assign(label=LABELS)


def parquet(frame):
    file = io.BytesIO()
    frame.to_parquet(file)
    return file.getvalue()


def picture(form):
    file = io.BytesIO()
    Image.fromarray(np.arange(48, dtype=np.uint8).reshape(4, 4, 3)).save(file, form)
    return file.getvalue()


def assert_can_be_shown(text):
    assert_one_sentence(text)
    assert text.isprintable()


def rows_are_valid_or_refused(path, options):
    try:
        rows = read(path, options)
    except InputError as refusal:
        assert_can_be_shown(str(refusal))
        return
    assert rows.features.dtype.kind in "biuf"
    assert rows.features.size > 0
    assert np.isfinite(rows.features).all()
    assert rows.labels is None or len(rows.labels.texts) == len(rows.features)
    "".join(rows.labels.texts if rows.labels else []).encode()
    assert not rows.columns or len(rows.columns) == rows.features.shape[1]
    assert not rows.names or len(rows.names) == len(rows.features)


OPTIONS = st.builds(
    ReadOptions, st.none() | st.just("label") | TEXTS, st.lists(st.just("f0") | TEXTS, max_size=2).map(tuple)
)


def holds(suffix):
    def law(example):
        content, options = example
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / f"rows{suffix}"
            path.write_bytes(content)
            rows_are_valid_or_refused(path, options)
            said = []
            try:
                dataset = custom.load(str(path), str(path), options, said.append)
            except InputError as refusal:
                assert_can_be_shown(str(refusal))
            else:
                assert np.isfinite(dataset.train_images).all()
                assert dataset.train_labels.max() == dataset.classes - 1
            for line in said:
                assert_can_be_shown(line)
        assert SPRUNG == []

    return law


def pictures_are_valid_or_refused(example):
    form, content = example
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / f"a.{form}").write_bytes(content)
        rows_are_valid_or_refused(Path(folder), ReadOptions())


CELLS = st.sampled_from(["1", "-2.5", "1e400", "nan", "inf", "", " ", '"', "a", "0x1", "1_0", "\0", "é", "9" * 30])
LINES = st.lists(st.lists(CELLS | TEXTS, max_size=4).map(",".join), max_size=6)
CSV = LINES.map(lambda lines: "\n".join(["f0,label", *lines]).encode("utf-8", "surrogatepass"))
KINDS = st.sampled_from([np.int8, np.float64, np.uint64, np.bool_, "U3", "category", "datetime64[s]", object])
TABLES = st.builds(
    lambda numbers, kind, name: parquet(ROWS.assign(**{name: pd.Series(numbers).astype(kind)})),
    st.lists(st.integers(0, 9), min_size=6, max_size=6),
    KINDS,
    st.sampled_from(["f0", "label", "more", "y"]),
)
ARRAYS = st.sampled_from([saved(X=FEATURES, y=np.array(LABELS)), saved(X=FEATURES, y=np.array([0, 1, -1] * 2))])


def with_options(contents):
    return st.tuples(contents, st.just(ReadOptions()) | OPTIONS)


LAWS = {
    "npz": Law(holds(".npz"), with_options(ARRAYS.flatmap(damaged) | ARCHIVES | TRAPS), 80, 3000),
    "csv": Law(
        holds(".csv"), with_options(CSV | damaged(ROWS.to_csv(index=False).encode()) | CSV.flatmap(damaged)), 60, 3000
    ),
    "parquet": Law(holds(".parquet"), with_options(TABLES | damaged(parquet(ROWS))), 60, 3000),
    "pictures": Law(
        pictures_are_valid_or_refused,
        st.sampled_from(["png", "gif", "bmp", "jpeg", "tiff"]).flatmap(
            lambda form: st.tuples(st.just(form), damaged(picture(form)))
        ),
        60,
        3000,
    ),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_any_bytes_give_valid_rows_or_one_sentence(law):
    put_to_test(law)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_any_of_many_bytes_give_valid_rows_or_one_sentence(law):
    put_to_test(law, at_length=True)


def test_valid_files_are_read_and_not_refused():
    for name, content in (("npz", saved(X=FEATURES, y=np.array(LABELS))), ("parquet", parquet(ROWS))):
        LAWS[name].holds((content, ReadOptions()))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "rows.parquet").write_bytes(parquet(ROWS))
        assert read(Path(folder) / "rows.parquet", ReadOptions()).labels.texts == LABELS
