"""The predict command: what a finished run predicts for new rows is what its networks predict."""

import json
import shutil

import jax
import numpy as np
import pandas as pd
import pytest
from commands import ON_PIXELS, ON_TABLE, SEEDS, assert_refused, call, untrained
from PIL import Image
from tiny_runs import CLASSES, NAMES, finished, rows, write_table

from pljax import export
from pljax.data import custom
from pljax.predict import main
from pljax.results import ensemble, inference
from pljax.results.folder import RunFolder
from pljax.types import ReadOptions


def predict(run, source, output, *flags):
    return call(main, "--run", run, "--input", source, "--output", output, *flags)


def predicted(run, source, output):
    status, _, err = predict(run, source, output)
    assert (status, err) == (0, "")
    if output.suffix == ".csv":
        return pd.read_csv(output)
    with np.load(output) as archive:
        return dict(archive)


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A finished run on a table. No test changes it."""
    place = tmp_path_factory.mktemp("own")
    dataset = custom.load(str(write_table(place / "rows.csv")), None, ReadOptions())
    return finished(place / "run", dataset, ON_TABLE, SEEDS).path


@pytest.fixture(scope="module")
def pixels(blobs, tmp_path_factory):
    """A finished run on pixels, with other outputs and another kind of dropout."""
    return finished(tmp_path_factory.mktemp("pixels"), blobs, ON_PIXELS, [1, 2]).path


@pytest.fixture
def copy(own, tmp_path):
    """A copy of the run that a test may change."""
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


def test_both_kinds_of_output_hold_the_same_predictions(own, new, tmp_path):
    table, arrays = predicted(own, new, tmp_path / "out.csv"), predicted(own, new, tmp_path / "out.npz")
    assert list(table) == ["index", "label", "confidence", "seeds_agree", "seeds", "p_ant", "p_bee", "p_cow"]
    assert table["index"].tolist() == list(range(25))
    assert set(table["seeds"]) == {len(SEEDS)}
    for name in ("label", "seeds_agree"):
        assert table[name].tolist() == arrays[name].tolist()
    np.testing.assert_allclose(table["confidence"], arrays["confidence"], rtol=1e-5)
    np.testing.assert_allclose(table[[f"p_{name}" for name in CLASSES]], arrays["probabilities"], rtol=1e-5)


def test_predictions_for_the_training_rows_are_the_pseudo_labels_of_the_run(own, tmp_path):
    given = predicted(own, own.parent / "rows.csv", tmp_path / "out.csv")
    pseudo_labels = pd.read_csv(own / "pseudo_labels.csv")
    assert pseudo_labels["index"].tolist() == list(range(12, 60))
    assert given["label"][12:].tolist() == pseudo_labels["label"].tolist()
    assert given["seeds_agree"][12:].tolist() == pseudo_labels["seeds_agree"].tolist()
    np.testing.assert_allclose(given["confidence"][12:], pseudo_labels["confidence"], atol=1e-4)


def test_predictions_for_images_that_no_seed_had_labelled_are_the_pseudo_labels_of_the_run(pixels, blobs, tmp_path):
    np.savez(tmp_path / "images.npz", X=blobs.train_images)
    given = predicted(pixels, tmp_path / "images.npz", tmp_path / "out.csv")
    pseudo_labels = pd.read_csv(pixels / "pseudo_labels.csv").query("seeds == 2")
    assert 100 < len(pseudo_labels) < len(blobs.train_images)
    assert given["label"][pseudo_labels["index"]].tolist() == pseudo_labels["label"].tolist()
    np.testing.assert_allclose(given["confidence"][pseudo_labels["index"]], pseudo_labels["confidence"], atol=1e-4)


@pytest.mark.parametrize("suffix", ["npz", "parquet"])
def test_all_kinds_of_input_give_the_same_predictions(own, new, tmp_path, suffix):
    features = rows(25, seed=1)[0]
    if suffix == "npz":
        np.savez(tmp_path / "same.npz", X=rows(3)[0], **dict(zip(NAMES[::-1], features.T[::-1], strict=True)))
    else:
        pd.DataFrame(features[:, ::-1], columns=NAMES[::-1]).assign(more="text").to_parquet(tmp_path / "same.parquet")
    expected = predicted(own, new, tmp_path / "out.csv")
    same = predicted(own, tmp_path / f"same.{suffix}", tmp_path / "same.csv")
    assert same["label"].tolist() == expected["label"].tolist()
    np.testing.assert_allclose(same["confidence"], expected["confidence"], rtol=1e-4)


def test_a_row_has_the_same_prediction_in_every_block(own):
    model = ensemble.load(RunFolder(own))
    features = rows(inference.BLOCK_ROWS + 3)[0]
    whole = ensemble.probabilities(model, features)
    np.testing.assert_allclose(whole[:, -4:], ensemble.probabilities(model, features[-4:]), rtol=1e-5)
    assert ensemble.probabilities(model, features[:0]).shape == (3, 0, 3)


def test_the_index_of_a_picture_is_its_file_name(tmp_path):
    for place in range(6):
        folder = tmp_path / "train" / ("dark", "light", "unlabelled")[place % 3]
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("L", (3, 3), (place, 250 - place, 255)[place % 3]).save(folder / f"{place}.png")
    (tmp_path / "new").mkdir()
    Image.new("RGB", (9, 5), (255, 255, 255)).save(tmp_path / "new" / "other.png")
    run = untrained(tmp_path / "run", custom.load(str(tmp_path / "train"), None, ReadOptions()), ON_TABLE, [0])
    given = predicted(run, tmp_path / "new", tmp_path / "out.csv")
    assert given["index"].tolist() == ["other.png"]
    assert given["label"][0] in ("dark", "light")


# ------------------------------------------------------------------------------- files of another kind, and the flags


@pytest.fixture(scope="module")
def of_arrays(tmp_path_factory):
    """A run on an archive whose arrays have names of their own, among them one that cannot be read."""
    place = tmp_path_factory.mktemp("arrays")
    features, labels = rows(60)
    arrays = {"other": np.array([{}]), "kind": np.array([*labels[:12], *[""] * 48]), "signal": features}
    np.savez(place / "rows.npz", allow_pickle=True, **arrays)
    options = ReadOptions("kind", ("signal",))
    return untrained(place / "run", custom.load(str(place / "rows.npz"), None, options), ON_TABLE, [0])


def test_the_names_of_the_training_command_hold_for_prediction(of_arrays, tmp_path):
    features = rows(25, seed=1)[0]
    np.savez(tmp_path / "same.npz", signal=features, other=features[::-1])
    np.savez(tmp_path / "labelled.npz", kind=np.array(["zebra"] * 25), signal=features)
    np.savez(tmp_path / "renamed.npz", kind=features, readings=features[::-1], signal=features[::-1])
    expected = predicted(of_arrays, tmp_path / "same.npz", tmp_path / "out.npz")["probabilities"]
    for name, flags in (("labelled.npz", ()), ("renamed.npz", ("--features=kind",))):
        status, _, err = predict(of_arrays, tmp_path / name, tmp_path / "out.npz", *flags)
        assert (status, err) == (0, ""), name
        with np.load(tmp_path / "out.npz") as given:
            np.testing.assert_array_equal(given["probabilities"], expected, err_msg=name)
    np.savez(tmp_path / "without.npz", readings=features)
    sentence = assert_refused(predict(of_arrays, tmp_path / "without.npz", tmp_path / "out.npz"), "lacks signal")
    assert "readings" in sentence
    assert "--features" in sentence


def test_columns_are_found_by_name_whatever_the_kind_of_the_file(own, new, tmp_path):
    features = rows(25, seed=1)[0]
    expected = predicted(own, new, tmp_path / "out.csv")
    table = pd.DataFrame(features, columns=NAMES)[list(NAMES[::-1])].assign(label="zebra", more=1.0)
    table.to_csv(tmp_path / "semicolon.csv", sep=";", decimal=",", index=False)
    table.to_csv(tmp_path / "rows.tsv.gz", sep="\t", index=False)
    table.to_parquet(tmp_path / "rows.parquet")
    np.savez(tmp_path / "columns.npz", **{name: table[name].to_numpy() for name in NAMES}, y=np.zeros(25))
    for name in ("semicolon.csv", "rows.tsv.gz", "rows.parquet", "columns.npz"):
        given = predicted(own, tmp_path / name, tmp_path / "out.csv")
        np.testing.assert_allclose(given["confidence"], expected["confidence"], atol=1e-5, err_msg=name)
    np.savez(tmp_path / "nameless.npz", X=features)
    status, _, err = predict(own, tmp_path / "nameless.npz", tmp_path / "out.csv")
    assert status == 0
    assert (
        err
        == f"warning: the columns of nameless.npz have no names: they are taken for {', '.join(NAMES)} in this order.\n"
    )
    np.testing.assert_allclose(pd.read_csv(tmp_path / "out.csv")["confidence"], expected["confidence"], atol=1e-5)


def test_a_table_for_a_run_on_nameless_features_is_read_in_the_order_of_its_columns(of_arrays, tmp_path):
    features = rows(25, seed=1)[0]
    np.savez(tmp_path / "same.npz", signal=features)
    expected = predicted(of_arrays, tmp_path / "same.npz", tmp_path / "out.npz")["probabilities"]
    pd.DataFrame(features, columns=NAMES).assign(species="ant").to_csv(tmp_path / "new.csv", index=False)
    refused = assert_refused(predict(of_arrays, tmp_path / "new.csv", tmp_path / "out.npz"), "species ('ant')")
    assert "--label" in refused
    assert predict(of_arrays, tmp_path / "new.csv", tmp_path / "out.npz", "--label=species").status == 0
    with np.load(tmp_path / "out.npz") as given:
        np.testing.assert_allclose(given["probabilities"], expected, atol=1e-5)


def test_a_table_without_a_header_is_predicted_as_it_was_trained(tmp_path):
    features, labels = rows(60)
    table = pd.DataFrame(features).assign(label=[*labels[:12], *[""] * 48])
    table.to_csv(tmp_path / "train.csv", index=False, header=False)
    data = custom.load(str(tmp_path / "train.csv"), None, ReadOptions("4", header=False), list)
    run = untrained(tmp_path / "run", data, ON_TABLE, [0])
    pd.DataFrame(features).to_csv(tmp_path / "new.csv", index=False, header=False)
    assert len(predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")) == 60
    expected = predicted(run, tmp_path / "new.csv", tmp_path / "out.csv")["confidence"]
    # A header that numbers the columns, as pandas writes one, is a header whatever its order.
    for order in ([0, 1, 2, 3], [2, 0, 3, 1]):
        pd.DataFrame(features)[order].to_csv(tmp_path / "numbered.csv", index=False)
        given = predicted(run, tmp_path / "numbered.csv", tmp_path / "out.csv")["confidence"]
        np.testing.assert_array_equal(given, expected)
    pd.DataFrame(features, columns=NAMES).to_csv(tmp_path / "named.csv", index=False)
    line = assert_refused(predict(run, tmp_path / "named.csv", tmp_path / "out.csv"), "no numbers")
    assert "--no_header=false" in line
    flags = ("--no_header=false", f"--features={','.join(NAMES)}")
    status, _, err = predict(run, tmp_path / "named.csv", tmp_path / "out.csv", *flags)
    assert (status, "are taken for 0, 1, 2, 3 in this order" in err) == (0, True)
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "out.csv")["confidence"], expected)


def test_a_table_without_a_header_is_predicted_by_a_run_on_named_columns(own, new, tmp_path):
    expected = predicted(own, new, tmp_path / "out.csv")["confidence"]
    pd.read_csv(new).to_csv(tmp_path / "bare.csv", index=False, header=False)
    line = assert_refused(predict(own, tmp_path / "bare.csv", tmp_path / "out.csv"), "lacks the columns")
    assert "--no_header" in line
    status, _, err = predict(own, tmp_path / "bare.csv", tmp_path / "out.csv", "--no_header")
    assert (status, f"are taken for {', '.join(NAMES)} in this order" in err) == (0, True)
    np.testing.assert_array_equal(pd.read_csv(tmp_path / "out.csv")["confidence"], expected)


def test_numbers_far_from_0_are_predicted_and_exported_as_they_were_trained(tmp_path):
    """Times in seconds since 1970, which float32 cannot tell apart."""
    features, labels = rows(60)
    table = pd.DataFrame(features.astype(np.float64), columns=NAMES).assign(label=[*labels[:12], *[""] * 48])
    table["time"] = 1.7e9 + 60 * table[NAMES[0]]
    table.to_csv(tmp_path / "rows.csv", index=False)
    run = untrained(tmp_path / "run", custom.load(str(tmp_path / "rows.csv"), None, ReadOptions(), list), ON_TABLE, [0])
    again = ensemble.load(RunFolder(run))
    assert again.scaling.apply(table[[*NAMES, "time"]].to_numpy())[:, -1].std() == pytest.approx(1, abs=1e-3)
    assert call(export.main, f"--run={run}", "--format=stablehlo").status == 0
    facts = json.loads((run / "model.stablehlo.json").read_text())
    assert (facts["dtype"], facts["inputs"]["shift"][-1]) == ("float64", again.scaling.shift[-1])
    program = jax.export.deserialize(bytearray((run / "model.stablehlo").read_bytes()))
    with jax.enable_x64(True):
        exported = np.asarray(program.call(table[[*NAMES, "time"]].to_numpy()))
    expected = ensemble.probabilities(again, table[[*NAMES, "time"]].to_numpy()).mean(axis=0)
    np.testing.assert_allclose(exported, expected, atol=1e-6)
    assert np.ptp(expected[:, 0]) > 0


def test_numbers_that_float32_just_holds_are_exported_without_loss(tmp_path):
    """Years and air pressures: a standard deviation is four hundredths of the mean or less."""
    features, labels = rows(60)
    table = pd.DataFrame(features[:, :2], columns=["year", "pressure"]) * [5, 11] + [2011.3, 1008.7]
    table.assign(label=[*labels[:12], *[""] * 48]).to_csv(tmp_path / "rows.csv", index=False)
    dataset = custom.load(str(tmp_path / "rows.csv"), None, ReadOptions(), list)
    run = untrained(tmp_path / "run", dataset, ON_TABLE, [0])
    model = ensemble.load(RunFolder(run))
    steep = model._replace(params=jax.tree.map(lambda leaf: 30 * leaf, model.params))
    assert model.scaling.dtype is np.float32
    export.check(steep, export.stablehlo(steep), "stablehlo")


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
    model = ensemble.load(folder)
    assert model.seeds == (3, 7)
    given = predicted(copy, new, tmp_path / "out.csv")
    assert set(given["seeds"]) == {2}
    mean = ensemble.probabilities(model, rows(25, seed=1)[0]).mean(axis=0)
    np.testing.assert_allclose(given["confidence"], mean.max(axis=1), rtol=1e-4)
    result["diverged"] = {str(seed): "finetune, epoch 1" for seed in SEEDS}
    (copy / "result.json").write_text(json.dumps(result))
    assert_refused(predict(copy, new, tmp_path / "out.csv"), "Every seed")


def test_labels_that_the_run_does_not_know_are_ignored(own, tmp_path):
    table = pd.read_csv(write_table(tmp_path / "rows.csv", count=6, known=6)).assign(label="zebra")
    table.to_csv(tmp_path / "rows.csv", index=False)
    assert set(predicted(own, tmp_path / "rows.csv", tmp_path / "out.csv")["label"]) <= set(CLASSES)


# ------------------------------------------------------------------------------------------------- refused


def test_a_run_that_is_not_finished_is_refused(copy, new, tmp_path):
    (copy / "result.json").unlink()
    assert_refused(predict(copy, new, tmp_path / "out.csv"), "is not finished")


@pytest.mark.parametrize("output", ["out.txt", "nowhere/out.csv"])
def test_an_output_that_cannot_be_written_is_refused(own, new, tmp_path, output):
    assert_refused(predict(own, new, tmp_path / output), "--output")


def test_an_output_that_is_the_input_or_a_file_of_the_run_is_refused(copy, new):
    before = {path: path.read_bytes() for path in (new, copy / "pseudo_labels.csv")}
    assert_refused(predict(copy, new, new), "--output and --input are both")
    assert_refused(predict(copy, new, copy / "pseudo_labels.csv"), "is a file of the run itself")
    assert {path: path.read_bytes() for path in before} == before


def test_an_output_that_is_a_folder_is_refused_and_no_file_is_left_beside_it(own, new, tmp_path):
    (tmp_path / "out.csv").mkdir()
    before = sorted(tmp_path.iterdir())
    assert_refused(predict(own, new, tmp_path / "out.csv"), "cannot be written")
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize(("name", "expected"), [("fewer.csv", "lacks the columns noise"), ("fewer.npz", "3 features")])
def test_other_features_are_refused(own, tmp_path, name, expected):
    features = rows(5)[0][:, :3]
    np.savez(tmp_path / "fewer.npz", X=features)
    pd.DataFrame(features, columns=NAMES[:3]).to_csv(tmp_path / "fewer.csv", index=False)
    assert_refused(predict(own, tmp_path / name, tmp_path / "out.csv"), expected)


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (np.zeros((2, 5)), "the network takes"),
        (np.full((2, 12), 0.5), "the network takes"),
        (np.full((2, 12), 256), "the network takes"),
        (-np.ones((2, 12)), "the network takes"),
        (np.eye(12, dtype=np.uint8), "white is 255 for the network"),
    ],
)
def test_features_that_are_not_pixels_are_refused_by_a_run_on_pixels(pixels, tmp_path, images, expected):
    np.savez(tmp_path / "images.npz", X=images)
    assert_refused(predict(pixels, tmp_path / "images.npz", tmp_path / "out.csv"), expected)


def change(**values):
    return lambda text: json.dumps({**json.loads(text), **values})


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "[]",
        lambda text: "{}",
        change(classes=["ant", "bee"]),
        change(columns=["wide"]),
        change(columns=None),
        change(shift=[0, 0]),
        change(shift=[0, 0, 0, "x"]),
        change(scale=[1, 1, 1, 0]),
        change(scale=[1, 1, 1, float("inf")]),
        change(image=[2, 5]),
        change(image=["two", "one"]),
    ],
)
def test_corrupt_inputs_are_refused(copy, new, tmp_path, damage):
    path = copy / "inputs.json"
    path.write_text(damage(path.read_text()))
    assert_refused(predict(copy, new, tmp_path / "out.csv"), str(copy))
    assert not (tmp_path / "out.csv").exists()


@pytest.mark.parametrize("name", ["parameters.npz", "result.json"])
def test_truncated_files_of_a_run_are_refused(copy, new, tmp_path, name):
    (copy / name).write_bytes((copy / name).read_bytes()[:200])
    assert_refused(predict(copy, new, tmp_path / "out.csv"), str(copy))
