"""The folder of a run: no two runs share a name, and what is written there is read as it was."""

import io
import json
import math

import numpy as np
import pytest

from pljax.protocols import SCENARIOS
from pljax.results.folder import FORMAT, RunFolder, folder_name
from pljax.results.pseudo_labels import Totals
from pljax.types import InputError, Inputs, Scaling

CONFIG = SCENARIOS["quick"]["pl"]

RUNS = {
    "plain": (CONFIG, "mnist", range(5), {}),
    "another scenario": (SCENARIOS["quick"]["nn"], "mnist", range(5), {}),
    "another protocol": (SCENARIOS["lee2013"]["pl"], "mnist", range(5), {}),
    "other data": (CONFIG, "mnist_5k", range(5), {}),
    "fewer seeds": (CONFIG, "mnist", range(4), {}),
    "one seed": (CONFIG, "mnist", range(1), {}),
    "later seeds": (CONFIG, "mnist", range(1, 5), {}),
    "a flag": (CONFIG, "mnist", range(5), {"t1": 5}),
    "the flag at another value": (CONFIG, "mnist", range(5), {"t1": 6}),
    "another flag at that value": (CONFIG, "mnist", range(5), {"t2": 5}),
    "two overrides": (CONFIG, "mnist", range(5), {"t1": 5, "t2": 6}),
    "a layer": (CONFIG, "mnist", range(5), {"hidden": (50,)}),
    "two layers": (CONFIG, "mnist", range(5), {"hidden": (50, 20)}),
    "a close rate": (CONFIG, "mnist", range(5), {"learning_rate": 0.1}),
    "a closer rate": (CONFIG, "mnist", range(5), {"learning_rate": 0.10000000000000002}),
}


def test_no_two_runs_share_a_folder():
    names = [folder_name([config], *rest) for config, *rest in RUNS.values()]
    assert sorted(set(names)) == sorted(names)


def test_the_name_says_what_was_run():
    name = folder_name([CONFIG], "mnist", range(2, 6), {"hidden": (50, 20), "alpha_f": 0.5})
    assert name == "quick-pl-mnist-seeds2to5-hidden=50x20-alpha_f=0.5"


def test_many_overrides_do_not_make_a_name_too_long_for_a_file_system():
    changes = {f"setting{number}": number / 7 for number in range(30)}
    names = {folder_name([CONFIG], "mnist", range(5), {**changes, "last": last}) for last in (1, 2)}
    assert len(names) == 2
    for name in names:
        assert name.startswith("quick-pl-mnist-seeds0to4-")
        assert len(name) < 255


def test_the_config_of_a_run_is_read_as_it_was_written(tmp_path):
    folder = RunFolder(str(tmp_path / "deep" / "run"))
    folder.make()
    assert folder.load_config() is None
    folder.save_config(CONFIG, {"seeds": [1, 2]})
    assert folder.load_config() == (CONFIG, {"format": FORMAT, "seeds": [1, 2]})
    assert not folder.finished


def test_a_run_of_another_version_is_not_resumed(tmp_path):
    folder = RunFolder(tmp_path)
    for other in ({}, {"format": FORMAT + 1}, {"format": None}):
        folder.save_config(CONFIG, {"seeds": [1, 2]})
        (tmp_path / "run.json").write_text(json.dumps({"seeds": [1, 2], **other}))
        with pytest.raises(InputError, match="--overwrite"):
            folder.load_config()


def test_clearing_removes_the_files_of_an_earlier_run_alone(tmp_path):
    for name in (
        "result.json",
        "parameters.npz",
        "extra.npz",
        "autoencoder.npz",
        "metrics.jsonl",
        "config.json",
        "run.json",
        "split.npz",
        "pseudo_labels.csv",
        "pseudo_labels.npz",
        "inputs.json",
        ".0123456789abcdef.part",
        "notes.txt",
    ):
        (tmp_path / name).write_text("old")
    (tmp_path / "checkpoints" / "group0").mkdir(parents=True)
    folder = RunFolder(tmp_path)
    assert folder.finished
    folder.clear()
    assert not folder.finished
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_metrics_are_cut_to_a_size_and_never_made_longer(tmp_path):
    folder = RunFolder(tmp_path)
    assert (folder.metrics_size(), folder.sync_metrics()) == (0, 0)
    folder.append_metrics([{"epoch": 0}])
    size = folder.sync_metrics()
    folder.append_metrics([{"epoch": 1}])
    folder.truncate_metrics(size)
    assert (tmp_path / "metrics.jsonl").read_text() == '{"epoch": 0}\n'
    folder.truncate_metrics(10 * size)
    assert folder.metrics_size() == size


def test_a_config_that_cannot_be_read_is_refused(tmp_path):
    folder = RunFolder(tmp_path)
    for written in ("{", "[]", "3", '{"kind": "Config"}', "\xff"):
        folder.save_config(CONFIG, {})
        (tmp_path / "config.json").write_text(written)
        with pytest.raises(InputError, match="--overwrite"):
            folder.load_config()


def test_a_file_where_the_folder_should_be_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "file").write_text("mine")
    for place in ("file", "file/below"):
        with pytest.raises(
            InputError, match=r"cannot be written \(.*\): give another place with --workdir\.$"
        ) as error:
            RunFolder(tmp_path / place).make()
        assert "\n" not in str(error.value)
    assert (tmp_path / "file").read_text() == "mine"


def test_making_the_folder_changes_nothing_in_it(tmp_path):
    (tmp_path / "result.json").write_text("old")
    RunFolder(tmp_path).make()
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    assert (tmp_path / "result.json").read_text() == "old"


def test_metrics_are_appended_a_line_each_without_nan(tmp_path):
    folder = RunFolder(tmp_path)
    folder.append_metrics([{"epoch": 0, "loss": 0.5}, {"epoch": 0, "loss": math.nan}])
    folder.append_metrics([{"epoch": 1, "loss": math.inf}])
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == [{"epoch": 0, "loss": 0.5}, {"epoch": 0, "loss": None}, {"epoch": 1, "loss": None}]


def test_parameters_are_read_as_they_were_written_without_pickle(tmp_path):
    generator = np.random.default_rng(0)
    params = {
        "hidden": {"kernel": generator.normal(size=(2, 3, 4)).astype(np.float32), "bias": np.zeros((2, 4), np.float32)},
        "output": {"kernel": np.full((2, 4, 1), np.nan, np.float32)},
        "scale": np.arange(2, dtype=np.int32),
    }
    folder = RunFolder(tmp_path)
    folder.save_parameters(params)
    loaded = folder.load_parameters()
    assert loaded.keys() == params.keys()
    assert loaded["hidden"].keys() == params["hidden"].keys()
    for one, other in [
        (loaded["hidden"]["kernel"], params["hidden"]["kernel"]),
        (loaded["hidden"]["bias"], params["hidden"]["bias"]),
        (loaded["output"]["kernel"], params["output"]["kernel"]),
        (loaded["scale"], params["scale"]),
    ]:
        np.testing.assert_array_equal(one, other)
        assert one.dtype == other.dtype
    assert [path.name for path in tmp_path.iterdir()] == ["parameters.npz"]
    with np.load(tmp_path / "parameters.npz", allow_pickle=False) as file:
        assert sorted(file) == ["hidden/bias", "hidden/kernel", "output/kernel", "scale"]


def test_parameters_that_cannot_be_read_are_refused_in_one_sentence(tmp_path):
    path = tmp_path / "parameters.npz"
    RunFolder(tmp_path).save_parameters({"hidden": {"kernel": np.ones((1, 2))}})
    whole = path.read_bytes()
    pickled = io.BytesIO()
    np.savez(pickled, objects=np.array([{}], object))
    lone = io.BytesIO()
    np.save(lone, np.ones(3))
    for content in (None, b"", b"banana", whole[:-30], whole[:50], pickled.getvalue(), lone.getvalue()):
        path.unlink() if content is None else path.write_bytes(content)
        with pytest.raises(InputError, match="No parameters can be read at ") as refusal:
            RunFolder(tmp_path).load_parameters()
        assert "\n" not in str(refusal.value)
        path.touch()


def test_inputs_are_read_as_they_were_written(tmp_path):
    folder = RunFolder(tmp_path)
    assert folder.load_inputs() is None
    scaling = Scaling(np.array([0.1, -7.0, 1e30]), np.array([1 / 3, 1.0, 1e-30]))
    for columns, image in (((), (1, 3)), (("é", "b,c", 'd"'), None)):
        folder.save_inputs(Inputs(columns, image, scaling), ("one", "2"))
        inputs, classes = folder.load_inputs()
        assert (inputs.columns, inputs.image, classes) == (columns, image, ("one", "2"))
        for ours, theirs in zip(inputs.scaling, scaling, strict=True):
            assert ours.dtype == np.float64
            np.testing.assert_array_equal(ours, theirs)


def test_inputs_that_cannot_be_read_are_refused_in_one_sentence(tmp_path):
    for content in (
        "",
        "[]",
        "{}",
        "7",
        '{"classes": [], "columns": [], "image": null, "shift": [1, 2], "scale": [1]}',
        '{"classes": [], "columns": [], "image": [1], "shift": [1], "scale": [1]}',
        "[" * 100_000,
    ):
        (tmp_path / "inputs.json").write_text(content)
        with pytest.raises(InputError, match="does not say how rows become inputs"):
            RunFolder(tmp_path).load_inputs()


# Three images and two classes. Image 1 was labelled for every seed.
TOTALS = Totals(
    seeds=np.array([2, 0, 2], np.int32),
    probabilities=np.array([[1.0, 0.9], [0, 0], [0, 2]], np.float32),
    votes=np.array([[1, 1], [0, 0], [0, 2]], np.uint8),
    first_change=np.array([-1, -1, 3], np.int32),
    last_change=np.array([-1, -1, 9], np.int32),
)
ROWS = ("a,b", "labelled", "ü\n")


def test_pseudo_labels_are_a_table_and_are_read_as_they_were(tmp_path):
    folder = RunFolder(tmp_path)
    folder.save_pseudo_labels(TOTALS, ("cat", "dog"), ROWS)
    header = "index,label,confidence,seeds_agree,seeds,first_change,last_change\n"
    written = (tmp_path / "pseudo_labels.csv").read_bytes().decode()
    assert written == header + '"a,b",cat,0.5000,1,2,,\n"ü\n",dog,1.0000,2,2,3,9\n'
    totals, names, rows = folder.load_pseudo_labels()
    assert (names, rows) == (("cat", "dog"), {0: "a,b", 2: "ü\n"})
    for name, array in TOTALS._asdict().items():
        assert getattr(totals, name).dtype == array.dtype
        np.testing.assert_array_equal(getattr(totals, name), array)


def test_a_table_that_cannot_be_made_leaves_the_earlier_one(tmp_path):
    folder = RunFolder(tmp_path)
    folder.save_pseudo_labels(TOTALS, ("cat", "dog"), ROWS)
    before = (tmp_path / "pseudo_labels.csv").read_bytes()
    with pytest.raises(IndexError):
        folder.save_pseudo_labels(TOTALS, ("cat",))
    assert (tmp_path / "pseudo_labels.csv").read_bytes() == before


def test_pseudo_labels_that_do_not_fit_together_are_refused(tmp_path):
    folder = RunFolder(tmp_path)
    for changed in (
        {"seeds": TOTALS.seeds[:2]},
        {"votes": TOTALS.votes.astype(np.float32)},
        {"probabilities": TOTALS.probabilities[:, :1]},
        {"seeds": np.array([2, 1, 2], np.int32)},  # a row that the table has not
        {"other": TOTALS.seeds},
    ):
        folder.save_pseudo_labels(TOTALS, ("cat", "dog"), ROWS)
        folder.save_arrays({**TOTALS._asdict(), "names": np.array(["cat", "dog"]), **changed}, "pseudo_labels.npz")
        with pytest.raises(InputError, match="are not of one run"):
            folder.load_pseudo_labels()
