"""Values written to disk: JSON without what JSON cannot hold, and files that are complete or not there."""

import errno
import json
import math
import os
import stat

import numpy as np
import pytest

from pljax.data.serialization import atomic, without_nan, write_json, write_whole


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


@pytest.fixture
def order(monkeypatch):
    """The calls by which a file gets to the disk, in order: which names are there at each."""
    calls = []

    def recorded(name, call):
        def wrapper(*arguments):
            kind = "folder" if name == "fsync" and stat.S_ISDIR(os.fstat(arguments[0]).st_mode) else "file"
            calls.append(f"{name} {kind}")
            return call(*arguments)

        return wrapper

    for name in ("fsync", "replace"):
        monkeypatch.setattr(os, name, recorded(name, getattr(os, name)))
    return calls


def test_a_file_is_on_the_disk_before_it_has_its_name_and_then_its_name_is(tmp_path, order):
    write_whole(tmp_path / "file", "content")
    assert order == ["fsync file", "replace file", "fsync folder"]


def test_a_folder_that_cannot_be_flushed_is_no_failure(tmp_path, monkeypatch):
    def refused(*_):
        raise OSError(errno.EINVAL, "no folder can be flushed here")

    monkeypatch.setattr(os, "open", refused)
    write_whole(tmp_path / "file", "content")
    assert (tmp_path / "file").read_text() == "content"


@pytest.mark.parametrize("failing", ["write", "fsync", "replace"])
def test_a_disk_that_fails_leaves_the_older_file_alone_and_is_named(tmp_path, monkeypatch, failing):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    write_whole(tmp_path / "file", "older")
    if failing != "write":
        monkeypatch.setattr(os, failing, full)

    def rewrite():
        with atomic(tmp_path / "file") as stream:
            stream.write(b"newer")
            if failing == "write":
                full()

    with pytest.raises(OSError, match="No space left") as raised:
        rewrite()
    assert (raised.value.errno, raised.value.filename) == (errno.ENOSPC, str(tmp_path / "file"))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "older"


def test_an_interruption_while_a_file_is_written_leaves_nothing(tmp_path):
    def interrupted():
        with atomic(tmp_path / "file") as stream:
            stream.write(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == []


def test_what_earlier_crashes_left_does_not_matter_and_two_writers_do_not_meet(tmp_path):
    for name in ("file.part", ".0123456789abcdef.part"):
        (tmp_path / name).mkdir()  # it could not even be overwritten
    with atomic(tmp_path / "file") as one, atomic(tmp_path / "file") as other:
        one.write(b"one" * 10_000)
        other.write(b"other")
    assert (tmp_path / "file").read_bytes() == b"one" * 10_000
    assert len(list(tmp_path.iterdir())) == 3


def test_a_new_file_has_the_permissions_that_the_user_gives_new_files(tmp_path):
    (tmp_path / "plain").touch()
    write_whole(tmp_path / "file", "content")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_name_may_be_as_long_as_the_file_system_allows(tmp_path):
    write_whole(tmp_path / ("n" * 255), "content")
    assert (tmp_path / ("n" * 255)).read_text() == "content"


def test_a_value_that_cannot_be_written_leaves_the_older_file(tmp_path):
    write_json(tmp_path / "file", [1])
    with pytest.raises(TypeError):
        write_json(tmp_path / "file", {"a": object()})
    assert json.loads((tmp_path / "file").read_text()) == [1]
    assert len(list(tmp_path.iterdir())) == 1
