"""Safe reading of the files that ``numpy.savez`` writes."""

import numpy as np
import pytest

from pljax.data.npz import NUMBERS, TEXTS, array_headers, read_arrays


def test_arrays_of_texts_are_read_only_on_request(tmp_path):
    arrays = {"y": np.array(["ä", "bc", ""]), "flags": np.array([True, False]), "X": np.ones((2, 3), np.float32)}
    np.savez(tmp_path / "file.npz", **arrays)
    for name, array in read_arrays(tmp_path / "file.npz", kinds=NUMBERS + TEXTS).items():
        assert array.dtype == arrays[name].dtype
        np.testing.assert_array_equal(array, arrays[name])
    with pytest.raises(ValueError, match="no array of numbers"):
        read_arrays(tmp_path / "file.npz")


def test_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "file.npz", y=np.array(["a", None], object), allow_pickle=True)
    with pytest.raises(ValueError, match="no array of numbers or texts"):
        read_arrays(tmp_path / "file.npz", kinds=NUMBERS + TEXTS)


def test_bytes_before_an_archive_are_refused(tmp_path):
    np.savez(tmp_path / "whole.npz", a=np.arange(3))
    assert read_arrays(tmp_path / "whole.npz")["a"].tolist() == [0, 1, 2]
    for before in (b"\x00", b"x" * 40, b"\x93NUMPY\x01\x00"):
        (tmp_path / "longer.npz").write_bytes(before + (tmp_path / "whole.npz").read_bytes())
        with pytest.raises(ValueError, match="no file of arrays"):
            read_arrays(tmp_path / "longer.npz")


def test_only_what_is_wanted_is_read(tmp_path):
    np.savez(tmp_path / "file.npz", a=np.arange(3), b=np.array([None], object), c=np.ones((2, 2)), allow_pickle=True)
    assert list(read_arrays(tmp_path / "file.npz", only=["c", "a"])) == ["a", "c"]
    headers = array_headers(tmp_path / "file.npz")
    assert {name: (header.shape, header.dtype.kind) for name, header in headers.items()} == {
        "a": ((3,), "i"),
        "b": ((1,), "O"),
        "c": ((2, 2), "f"),
    }
