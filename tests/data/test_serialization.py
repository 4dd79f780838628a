"""Values written to disk: JSON without what JSON cannot hold, and files that are complete or not there."""

import json
import math

import numpy as np
import pytest

from pljax.data.serialization import read_arrays, without_nan, write_json, write_whole


def test_what_json_cannot_hold_becomes_null():
    for value, plain in (
        (math.nan, None),
        (-math.inf, None),
        (np.float32("nan"), None),
        (np.float32(0.1), 0.1),
        (np.array([0.1, 1 / 3], np.float32), [0.1, 0.33333334]),
        (np.int64(3), 3),
        ((1, (2.0, math.inf)), [1, [2.0, None]]),
        ({"a": np.array([[1.0, np.nan]])}, {"a": [[1.0, None]]}),
        ({"text": "nan", "flag": True, "none": None}, {"text": "nan", "flag": True, "none": None}),
    ):
        assert without_nan(value) == plain
        assert json.loads(json.dumps(without_nan(value), allow_nan=False)) == plain


def test_a_list_of_numbers_is_on_one_line(tmp_path):
    write_json(tmp_path / "file", {"rows": [[1, 2], [3, 4]], "text": "[\n1\n]"})
    assert (tmp_path / "file").read_text() == '{\n "rows": [\n  [1, 2],\n  [3, 4]\n ],\n "text": "[\\n1\\n]"\n}\n'


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    for content in ("text ± −\n", b"\x89PNG\r\n"):
        write_whole(tmp_path / "file", "an older text that is longer than the new one")
        write_whole(tmp_path / "file", content)
        assert (tmp_path / "file").read_bytes() == (content.encode() if isinstance(content, str) else content)
        assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_value_that_cannot_be_written_leaves_the_older_file(tmp_path):
    write_json(tmp_path / "file", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "file", {"a": object()})
    assert json.loads((tmp_path / "file").read_text()) == [1]
    assert len(list(tmp_path.iterdir())) == 1


def test_arrays_of_texts_are_read_only_on_request(tmp_path):
    arrays = {"y": np.array(["ä", "bc", ""]), "flags": np.array([True, False]), "X": np.ones((2, 3), np.float32)}
    np.savez(tmp_path / "file.npz", **arrays)
    for name, array in read_arrays(tmp_path / "file.npz", texts=True).items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(ValueError, match="no array of numbers"):
        read_arrays(tmp_path / "file.npz")


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "file.npz", y=np.array(["a", None], object), allow_pickle=True)
    with pytest.raises(ValueError, match="no array of numbers or texts"):
        read_arrays(tmp_path / "file.npz", texts=True)


def test_bytes_before_an_archive_are_refused(tmp_path):
    np.savez(tmp_path / "whole.npz", a=np.arange(3))
    assert read_arrays(tmp_path / "whole.npz")["a"].tolist() == [0, 1, 2]
    for before in (b"\x00", b"x" * 40, b"\x93NUMPY\x01\x00"):
        (tmp_path / "longer.npz").write_bytes(before + (tmp_path / "whole.npz").read_bytes())
        with pytest.raises(ValueError, match="no file of arrays"):
            read_arrays(tmp_path / "longer.npz")
