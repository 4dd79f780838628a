"""``python -m pljax.predict``: what a finished run says of new rows is what its networks say, and it says the same."""

import contextlib
import dataclasses
import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny_runs import CLASSES, NAMES, OWN, PIXELS, finished, finished_own, rows, write_table

from pljax import predict as program
from pljax.data import custom
from pljax.data.tables import ReadOptions
from pljax.results import ensemble
from pljax.results.folder import RunFolder

SEEDS = [3, 0, 7]


def call(*arguments):
    """The command in this process: its exit status, what it printed, what it said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = program.main([*map(str, arguments)])
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


def predicted(run, source, output):
    status, _, err = call("--run", run, "--input", source, "--output", output)
    assert (status, err) == (0, "")
    if output.suffix == ".csv":
        return pd.read_csv(output)
    with np.load(output) as archive:
        return dict(archive)


def refused(*arguments):
    status, out, err = call(*arguments)
    assert (status, out) == (2, "")
    assert err.startswith("pljax: ")
    assert err.count("\n") == 1
    assert err.rstrip("\n").isprintable()
    return err


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A run on a table: tests look at it and leave it as it is."""
    return finished_own(tmp_path_factory.mktemp("own") / "run").path


@pytest.fixture(scope="module")
def pixels(blobs, tmp_path_factory):
    """A run on pixels, with other outputs and another dropout."""
    return finished(tmp_path_factory.mktemp("pixels") / "run", blobs, PIXELS, [1, 2]).path


@pytest.fixture
def copy(own, tmp_path):
    """The same run in a place where it may be changed."""
    return shutil.copytree(own, tmp_path / "run")


@pytest.fixture
def new(tmp_path):
    """A table of rows without labels."""
    pd.DataFrame(rows(25, seed=1)[0], columns=NAMES).to_csv(tmp_path / "new.csv", index=False)
    return tmp_path / "new.csv"


def test_the_label_is_the_class_of_the_largest_mean_probability(own, new, tmp_path):
    given = predicted(own, new, tmp_path / "out.npz")
    by_seed = ensemble.probabilities(ensemble.load(RunFolder(own)), rows(25, seed=1)[0])
    assert by_seed.shape == (len(SEEDS), 25, len(CLASSES))
    np.testing.assert_allclose(by_seed.sum(axis=2), 1, rtol=1e-5)
    mean = by_seed.mean(axis=0)
    np.testing.assert_allclose(given["probabilities"], mean, rtol=1e-4, atol=1e-6)
    assert given["label"].tolist() == [CLASSES[best] for best in mean.argmax(axis=1)]
    np.testing.assert_allclose(given["confidence"], mean.max(axis=1), rtol=1e-4)
    assert given["seeds_agree"].tolist() == (by_seed.argmax(axis=2) == mean.argmax(axis=1)).sum(axis=0).tolist()
    assert given["classes"].tolist() == list(CLASSES)
    assert (given["label"] == rows(25, seed=1)[1]).mean() > 0.5  # it has learned something


def test_both_kinds_of_output_say_the_same(own, new, tmp_path):
    table, arrays = predicted(own, new, tmp_path / "out.csv"), predicted(own, new, tmp_path / "out.npz")
    assert list(table) == ["index", "label", "confidence", "seeds_agree", "seeds", "p_ant", "p_bee", "p_cow"]
    assert table["index"].tolist() == list(range(25))
    assert set(table["seeds"]) == {len(SEEDS)}
    for name in ("label", "seeds_agree"):
        assert table[name].tolist() == arrays[name].tolist()
    np.testing.assert_allclose(table["confidence"], arrays["confidence"], rtol=1e-5)
    np.testing.assert_allclose(table[[f"p_{name}" for name in CLASSES]], arrays["probabilities"], rtol=1e-5)


def test_of_the_training_rows_it_says_what_the_run_said(own, tmp_path):
    given = predicted(own, own.parent / "rows.csv", tmp_path / "out.csv")
    told = pd.read_csv(own / "pseudo_labels.csv")
    assert told["index"].tolist() == list(range(12, 60))
    assert given["label"][12:].tolist() == told["label"].tolist()
    assert given["seeds_agree"][12:].tolist() == told["seeds_agree"].tolist()
    np.testing.assert_allclose(given["confidence"][12:], told["confidence"], atol=1e-4)


def test_of_training_pixels_it_says_what_the_run_said_where_no_seed_knew_the_label(pixels, blobs, tmp_path):
    np.savez(tmp_path / "images.npz", X=blobs.train_images)
    given = predicted(pixels, tmp_path / "images.npz", tmp_path / "out.csv")
    told = pd.read_csv(pixels / "pseudo_labels.csv").query("seeds == 2")
    assert 100 < len(told) < len(blobs.train_images)
    assert given["label"][told["index"]].tolist() == told["label"].tolist()
    np.testing.assert_allclose(given["confidence"][told["index"]], told["confidence"], atol=1e-4)


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_the_kind_of_the_input_is_no_matter(own, new, tmp_path, suffix):
    features = rows(25, seed=1)[0]
    if suffix == "npz":
        np.savez(tmp_path / "same.npz", X=features)
    else:
        pd.DataFrame(features[:, ::-1], columns=NAMES[::-1]).assign(more="text").to_parquet(tmp_path / "same.parquet")
    expected = predicted(own, new, tmp_path / "out.csv")
    same = predicted(own, tmp_path / f"same.{suffix}", tmp_path / "same.csv")
    assert same["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(same["confidence"], expected["confidence"], rtol=1e-4)


def test_more_rows_than_go_at_once_are_each_what_they_are_alone(own):
    of = ensemble.load(RunFolder(own))
    features = rows(ensemble.BLOCK_ROWS + 3)[0]
    whole = ensemble.probabilities(of, features)
    assert whole.shape[1] == len(features)
    np.testing.assert_allclose(whole[:, -4:], ensemble.probabilities(of, features[-4:]), rtol=1e-5)
    assert ensemble.probabilities(of, features[:0]).shape == (3, 0, 3)


def test_pictures_go_by_their_names(tmp_path):
    for place in range(6):
        folder = tmp_path / "train" / ("dark", "light", "unlabelled")[place % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 3), (place, 250 - place, 255)[place % 3]).save(folder / f"{place}.png")
    (tmp_path / "new").mkdir()
    Image.new("RGB", (9, 5), (255, 255, 255)).save(tmp_path / "new" / "other.png")
    dataset = custom.load(str(tmp_path / "train"), None, ReadOptions(), print)
    run = finished(tmp_path / "run", dataset, dataclasses.replace(OWN, labels=4), [0]).path
    assert pd.read_csv(run / "pseudo_labels.csv")["index"].tolist() == list(dataset.row_names[-2:])
    given = predicted(run, tmp_path / "new", tmp_path / "out.csv")
    assert given["index"].tolist() == ["other.png"]
    assert given["label"][0] in ("dark", "light")


def test_a_seed_that_diverged_is_left_out(copy, new, tmp_path):
    folder = RunFolder(copy)
    parameters = folder.load_parameters()
    kernel = np.array(parameters["hidden"]["kernel"])
    kernel[1] = np.nan
    parameters["hidden"]["kernel"] = kernel
    folder.save_parameters(parameters)
    result = json.loads((copy / "result.json").read_text())
    result["diverged"] = {"0": "finetune, epoch 1"}
    (copy / "result.json").write_text(json.dumps(result))
    of = ensemble.load(folder)
    assert of.seeds == (3, 7)
    given = predicted(copy, new, tmp_path / "out.csv")
    assert set(given["seeds"]) == {2}
    np.testing.assert_allclose(
        given["confidence"], ensemble.probabilities(of, rows(25, seed=1)[0]).mean(axis=0).max(axis=1), rtol=1e-4
    )
    result["diverged"] = {str(seed): "finetune, epoch 1" for seed in SEEDS}
    (copy / "result.json").write_text(json.dumps(result))
    assert "Every seed" in refused("--run", copy, "--input", new, "--output", tmp_path / "out.csv")


# ------------------------------------------------------------------------------------------------- refused


def test_a_run_that_is_not_finished_is_refused(copy, new, tmp_path):
    (copy / "result.json").unlink()
    assert "is not finished: the command that began it goes on" in refused(
        "--run", copy, "--input", new, "--output", tmp_path / "out.csv"
    )


@pytest.mark.parametrize("output", ["out.txt", "out", "nowhere/out.csv"])
def test_an_output_that_cannot_be_is_refused(own, new, tmp_path, output):
    assert "--output" in refused("--run", own, "--input", new, "--output", tmp_path / output)


def test_an_output_that_is_a_folder_is_refused_and_nothing_is_left_beside_it(own, new, tmp_path):
    (tmp_path / "out.csv").mkdir()
    before = sorted(tmp_path.iterdir())
    assert "cannot be written" in refused("--run", own, "--input", new, "--output", tmp_path / "out.csv")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(
    ("name", "says"), [("fewer.csv", "lacks the columns noise"), ("fewer.npz", "3 features"), ("a.txt", "no folder")]
)
def test_other_features_are_refused(own, tmp_path, name, says):
    features = rows(5)[0][:, :3]
    np.savez(tmp_path / "fewer.npz", X=features)
    pd.DataFrame(features, columns=NAMES[:3]).to_csv(tmp_path / "fewer.csv", index=False)
    (tmp_path / "a.txt").touch()
    assert says in refused("--run", own, "--input", tmp_path / name, "--output", tmp_path / "out.csv")


@pytest.mark.parametrize("images", [np.zeros((2, 5)), np.full((2, 12), 0.5), np.full((2, 12), 256), -np.ones((2, 12))])
def test_what_is_no_pixels_is_refused_where_the_network_takes_pixels(pixels, tmp_path, images):
    np.savez(tmp_path / "images.npz", X=images)
    assert "the network takes" in refused(
        "--run", pixels, "--input", tmp_path / "images.npz", "--output", tmp_path / "out.csv"
    )


def change(**values):
    return lambda text: json.dumps({**json.loads(text), **values})


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: "",
        lambda text: "{",
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{}",
        change(classes=["ant", "bee"]),
        change(classes=3),
        change(columns=["wide"]),
        change(columns=None),
        change(shift=[0, 0]),
        change(shift=[0] * 5, scale=[1] * 5),
        change(shift=[0, 0, 0, "x"]),
        change(shift=[0, 0, 0, None]),
        change(scale=[1, 1, 1, 0]),
        change(scale=[1, 1, 1, -1]),
        change(scale=[1, 1, 1, float("inf")]),
        change(scale=[[1, 1], [1, 1]]),
        change(image=[2]),
        change(image=[2, 5]),
        change(image=[-2, 1]),
        change(image=["two", "one"]),
    ],
)
def test_damaged_inputs_are_refused(copy, new, tmp_path, damage):
    path = copy / "inputs.json"
    path.write_text(damage(path.read_text()))
    assert str(copy) in refused("--run", copy, "--input", new, "--output", tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["parameters.npz", "result.json"])
def test_damaged_files_of_a_run_are_refused(copy, new, tmp_path, name):
    (copy / name).write_bytes((copy / name).read_bytes()[:200])
    refused("--run", copy, "--input", new, "--output", tmp_path / "out.csv")


def test_a_table_of_labels_that_the_run_never_saw_is_predicted_all_the_same(own, tmp_path):
    table = pd.read_csv(write_table(tmp_path / "rows.csv", count=6, known=6)).assign(label="zebra")
    table.to_csv(tmp_path / "rows.csv", index=False)
    assert set(predicted(own, tmp_path / "rows.csv", tmp_path / "out.csv")["label"]) <= set(CLASSES)
