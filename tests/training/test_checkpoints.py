"""Checkpoints are restored as they were saved, the newest sound one first, and only if their digest is right."""

import numpy as np
import pytest

from pljax.training.checkpointer import SaveInterval, parse_interval
from pljax.training.checkpoints import KEPT, Checkpoints, digest
from pljax.types import InputError

ARRAYS = {
    "state/hidden/kernel": np.arange(12, dtype=np.float32).reshape(3, 4),
    "log/before": np.array([0.1, np.nan]),
    "labels": np.array([[1, 2], [3, 4]], np.int32),
    "nothing": np.zeros((0, 3), np.float32),
    "count": np.array(7, np.int32),
}


def saved(path, *numbers):
    checkpoints = Checkpoints(path)
    for number in numbers:
        checkpoints.save(number, ARRAYS, {"number": number, "share": 0.1})
    checkpoints.close()
    return checkpoints


def silent(text):
    raise AssertionError(text)


def test_arrays_and_facts_are_restored_to_the_bit(tmp_path):
    arrays, facts = saved(tmp_path / "c", 1).restore(silent)
    assert facts == {"number": 1, "share": 0.1}
    assert arrays.keys() == ARRAYS.keys()
    for name, array in ARRAYS.items():
        assert (arrays[name].dtype, arrays[name].shape) == (array.dtype, array.shape)
        assert arrays[name].tobytes() == array.tobytes()


def test_the_newest_is_restored_and_the_last_two_are_kept(tmp_path):
    checkpoints = saved(tmp_path / "c", 1, 2, 3, 10)
    assert checkpoints.restore(silent)[1]["number"] == 10
    assert sorted(int(path.name) for path in (tmp_path / "c").iterdir() if path.name.isdecimal()) == [3, 10]
    assert KEPT == 2


def test_without_a_finished_checkpoint_there_is_nothing_to_restore(tmp_path):
    assert Checkpoints(tmp_path / "c").restore(silent) is None
    (tmp_path / "c" / "5.orbax-checkpoint-tmp").mkdir(parents=True)  # one that was begun
    assert Checkpoints(tmp_path / "c").restore(silent) is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_an_empty_folder_in_the_place_of_a_checkpoint_is_reported_and_the_one_before_is_used(tmp_path):
    saved(tmp_path / "c", 1)
    (tmp_path / "c" / "2").mkdir()
    said = []
    assert Checkpoints(tmp_path / "c").restore(said.append)[1]["number"] == 1
    assert len(said) == 1
    assert "2 is corrupt" in said[0]


def test_all_can_be_removed(tmp_path):
    checkpoints = saved(tmp_path / "c", 1)
    checkpoints.remove()
    assert not (tmp_path / "c").exists()
    checkpoints.remove()


def test_a_digest_depends_on_facts_names_and_numbers_and_not_on_their_order():
    expected = digest({"a": 1}, ARRAYS)
    assert digest({"a": 1}, dict(reversed(ARRAYS.items()))) == expected
    for other in (
        ({"a": 2}, ARRAYS),
        ({"a": 1}, {**ARRAYS, "count": np.array(8, np.int32)}),
        ({"a": 1}, {name: array for name, array in ARRAYS.items() if name != "count"}),
        ({"a": 1}, {("labels2" if name == "labels" else name): array for name, array in ARRAYS.items()}),
    ):
        assert digest(*other) != expected


def test_an_interval_is_a_time_or_epochs_and_anything_else_is_refused():
    for text, every in (
        ("30s", SaveInterval(seconds=30.0)),
        ("1.5min", SaveInterval(seconds=90.0)),
        ("2 h", SaveInterval(seconds=7200.0)),
        ("1epoch", SaveInterval(epochs=1)),
        (" 20 epochs ", SaveInterval(epochs=20)),
    ):
        assert parse_interval(text) == every
    for text in ("", "1", "s", "0s", "0epochs", "-1s", "1.5epochs", "1 day", "infs", "nan", "9" * 5000):
        with pytest.raises(InputError, match=r"^--checkpoint_every is .*: give a time or a number of epochs"):
            parse_interval(text)
