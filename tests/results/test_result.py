"""A result is read from its file as it was written; what is no result is refused in one sentence."""

import dataclasses
import json
import math

import numpy as np
import pytest

from pljax.protocols import quick
from pljax.results.result import Result
from pljax.settings import to_json
from pljax.types import InputError

CONFIG = quick.SCENARIOS["pl"]
RESULT = Result(
    scenario="pl",
    protocol="quick",
    dataset={"name": "mnist", "digest": "00ff", "train": 60_000, "test": 10_000},
    seeds=[3, 4],
    test_accuracy=[0.1 + 0.2, None],
    test_error=[0.7, None],
    diverged={"4": "finetune, epoch 7"},
    class_counts={"labelled": [50, 50], "test": [5000, 5000]},
    confusion=[[[1, 2], [3, 4]], None],
    conditional_entropy={"labelled": [1e-9, None], "unlabelled": [0.03, None], "test": [0.02, None]},
    pseudo_label_accuracy=[0.5, None],
    unlabelled_training={"measured_on": "validation", "before": [0.4, None], "after": [0.5, None]},
    parameters=795_010,
    config=to_json(CONFIG),
    warnings=["épée"],
    versions={"python": "3.11.0"},
    device={"platform": "cpu", "count": 2},
    seconds={"finetune": 1.5},
)


def refuse_constants(name):
    raise AssertionError(f"{name} is no JSON")


def test_a_result_is_read_as_it_was_written_from_its_file_or_folder(tmp_path):
    RESULT.save(tmp_path / "result.json")
    RESULT.save(tmp_path / "result.json")
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    loaded = Result.load(tmp_path / "result.json")
    assert loaded == Result.load(str(tmp_path)) == RESULT
    assert loaded.effective_config() == CONFIG


def test_a_diverged_seed_is_null_in_the_file_and_nan_in_the_array(tmp_path):
    dataclasses.replace(RESULT, test_accuracy=[0.25, None]).save(tmp_path / "result.json")
    written = json.loads((tmp_path / "result.json").read_text(), parse_constant=refuse_constants)
    assert written["test_accuracy"] == [0.25, None]
    np.testing.assert_array_equal(Result.load(tmp_path).accuracies(), [0.25, np.nan])


UNTESTED = dataclasses.replace(
    RESULT,
    dataset={**RESULT.dataset, "test": 0},
    test_accuracy=[None, None],
    test_error=[None, None],
    class_counts={"labelled": [50, 50], "test": [0, 0]},
    confusion=[None, None],
    conditional_entropy={**RESULT.conditional_entropy, "test": [None, None]},
)


def test_a_result_without_test_images_is_marked_so_and_read_as_it_was_written(tmp_path):
    UNTESTED.save(tmp_path / "result.json")
    assert Result.load(tmp_path) == UNTESTED
    assert (RESULT.tested, UNTESTED.tested) == (True, False)
    assert np.isnan(UNTESTED.accuracies()).all()
    with pytest.raises(InputError, match="diverged is not "):
        dataclasses.replace(UNTESTED, diverged={"5": "finetune, epoch 7"})


def test_a_result_from_before_coverage_was_recorded_is_read(tmp_path):
    values = {name: value for name, value in fields_of(RESULT).items() if name != "pseudo_label_coverage"}
    (tmp_path / "result.json").write_text(json.dumps(values))
    assert Result.load(tmp_path) == RESULT
    recorded = dataclasses.replace(RESULT, pseudo_label_coverage=[0.25, None])
    recorded.save(tmp_path / "result.json")
    assert Result.load(tmp_path) == recorded


def fields_of(result):
    return dataclasses.asdict(result)


WHOLE = json.dumps(fields_of(RESULT))
NO_RESULT = {
    "cut off": WHOLE[: len(WHOLE) // 2].encode(),
    "empty": b"",
    "a list": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "other JSON": b'{"accuracy": 0.9}',
    "a field missing": json.dumps(
        {name: value for name, value in fields_of(RESULT).items() if name != "seeds"}
    ).encode(),
    "a field too many": json.dumps({**fields_of(RESULT), "colour": "red"}).encode(),
    "the config of another program": json.dumps({**fields_of(RESULT), "config": {"kind": "Banana"}}).encode(),
    "part of a config": json.dumps({**fields_of(RESULT), "config": {"kind": "Adam"}}).encode(),
    "a config that is a list": json.dumps({**fields_of(RESULT), "config": [1]}).encode(),
    "a config out of range": WHOLE.replace('"labels": 100', '"labels": -100').encode(),
    "binary": bytes(range(256)),
    "deep": b"[" * 100_000,
}


def test_a_file_that_is_no_result_is_refused_in_one_sentence(tmp_path):
    path = tmp_path / "result.json"
    for name, content in NO_RESULT.items():
        path.write_bytes(content)
        with pytest.raises(InputError) as refusal:
            Result.load(path)
        assert str(refusal.value).startswith(f"{path} is no result of pljax: "), name
        assert "\n" not in str(refusal.value), name
        assert ("it is not JSON, " in str(refusal.value)) == (name in ("cut off", "empty", "deep", "binary")), name
        named = {"a field missing": "seeds missing", "a field too many": "colour missing or unknown"}
        assert named.get(name, "") in str(refusal.value)


def test_a_field_that_is_not_what_it_must_be_is_refused():
    for field, values in (
        ("dataset", [None, {}, {**RESULT.dataset, "test": "9"}, {"name": "mnist", "digest": "00ff", "train": 60_000}]),
        (
            "dataset",
            [
                {**RESULT.dataset, **wrong}
                for wrong in ({"test": -1}, {"test": True}, {"test": None}, {"train": 0}, {"name": "a\nb"})
            ],
        ),
        ("scenario", [None, 7, "a\nb", "\ud800"]),
        ("seeds", [None, [], ["3", "4"], [3.0, 4.0], [True, False], 3, [3, 3], [3, -4], [3, 2**32]]),
        ("test_accuracy", [None, [0.5], [0.5, 0.5, 0.5], ["0.5", None], 0.5]),
        ("test_accuracy", [[share, None] for share in (-0.1, 1.1, math.nan, math.inf, 10**400, True, [0.5], None)]),
        ("test_accuracy", [[None, 0.5], [0.5, 0.5]]),  # seed 4 diverged, and only this one
        ("test_error", [None, [0.5], [1.1, None]]),
        ("pseudo_label_accuracy", [None, [0.5], [1.1, None]]),
        ("pseudo_label_coverage", [[0.5], [1.1, None], [-0.1, None], 0.5]),
        ("class_counts", [None, {}, {"labelled": [1], "test": 1}, {"labelled": [1, 1], "test": [1, -1]}]),
        ("confusion", [None, [None], [[[1, 2], [3]], None], [[[1, 2]], None], [[[1, 2], [3, 4.0]], None], [7, None]]),
        ("conditional_entropy", [None, {"labelled": [0.5]}, {"labelled": None}]),
        ("conditional_entropy", [{**RESULT.conditional_entropy, "test": column} for column in ([0.5], [-1, None], 7)]),
        ("unlabelled_training", [7, {}, {"measured_on": "validation"}]),
        ("unlabelled_training", [{"measured_on": "validation", "before": [0.5], "after": [0.5, 0.5]}]),
        ("unlabelled_training", [{"measured_on": 7, "before": [0.5, 0.5], "after": [0.5, 0.5]}]),
        ("diverged", [None, [4], {}, {"4": 7}, {"4": "finetune", "5": "finetune"}]),
        ("parameters", [None, "9", -1, 1.5, True, 2**63]),
        ("config", [None, []]),
        ("warnings", [None, "none", [7]]),
        ("versions", [None, {"python": 3}]),
        ("device", [None, {"count": [2]}, {"count": math.nan}]),
        ("seconds", [None, [1.5], {"finetune": "1.5"}, {"finetune": 10**400}, {"finetune": -1}]),
    ):
        for value in values:
            with pytest.raises(InputError, match=r" is not .*\.$"):
                dataclasses.replace(RESULT, **{field: value})


def test_a_file_that_is_not_there_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("{}")
    for place in ("", "no such file.json", "file/below a file"):
        with pytest.raises(InputError) as refusal:
            Result.load(tmp_path / place)
        assert str(refusal.value).startswith(f"No result can be read at {tmp_path}")
        assert "\n" not in str(refusal.value)
