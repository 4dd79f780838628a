"""Rows of users' files as a data set: classes by number, one scale for training and test, warnings of oddities."""

import itertools

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from refusal import refusal

from pljax.data import custom
from pljax.types import InputError, ReadOptions

RANDOM = np.random.default_rng(0)
FEATURES = RANDOM.normal(size=(12, 3)).astype(np.float32) * [1, 100, 1e-3] + [0, 7, 1]
LABELS = ["b", "", "a", "c", "", "a", "b", "c", "", "a", "b", "c"]
NUMBERS = [1, -1, 0, 2, -1, 0, 1, 2, -1, 0, 1, 2]


def save(path, features=FEATURES, labels=LABELS, names=("f0", "f1", "f2")):
    features = np.asarray(features, np.float32)
    if path.suffix == ".npz":
        np.savez(path, X=features, **({} if labels is None else {"y": np.array(labels)}))
        return str(path)
    frame = pd.DataFrame(features, columns=list(names))
    if labels is not None:
        frame["label"] = labels
    if path.suffix == ".csv":
        frame.to_csv(path, index=False)
    else:
        frame.to_parquet(path)
    return str(path)


def load(path, test=None, options=None):
    """The data set, and the warnings."""
    said = []
    return custom.load(str(path), test and str(test), options or ReadOptions(), said.append), said


def refused(path, test=None):
    """The sentence that refuses a data set."""
    return refusal(load, path, test)


SUFFIXES = ["npz", "csv", "parquet"]


def test_a_folder_with_the_name_of_a_public_data_set_does_not_hide_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("mnist", "pictures"):
        (tmp_path / name).mkdir()
    found = [custom.is_path(name) for name in ("mnist", "./mnist", "pictures", "kmnist")]
    assert found == [False, True, True, False]


def test_the_same_rows_give_the_same_data_set_whatever_the_kinds_of_their_files(tmp_path):
    expected, _ = load(save(tmp_path / "rows.npz"), save(tmp_path / "test.npz", FEATURES[2:4] + 1, ["a", "c"]))
    for suffix, test_suffix in itertools.product(SUFFIXES, SUFFIXES):
        test = save(tmp_path / f"held_out.{test_suffix}", FEATURES[2:4] + 1, ["a", "c"])
        dataset, said = load(save(tmp_path / f"rows.{suffix}"), test)
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            found, wanted, case = getattr(dataset, name), getattr(expected, name), f"{name} {suffix} {test_suffix}"
            assert (found.dtype, found.shape) == (wanted.dtype, wanted.shape), case
            np.testing.assert_allclose(found, wanted, 1e-3 if name == "test_images" else 1e-4, 1e-4, err_msg=case)
        if suffix == test_suffix == "parquet":
            assert dataset.digest == expected.digest
        assert (dataset.name, dataset.classes, dataset.class_names) == ("rows", 3, ("a", "b", "c"))
        one_has_no_names = (suffix == "npz") != (test_suffix == "npz")
        assert len(said) == one_has_no_names, case


def test_the_features_are_standardised_and_the_classes_numbered(tmp_path):
    dataset, _ = load(save(tmp_path / "rows.csv"))
    assert dataset.train_images.dtype == np.float32
    assert dataset.train_labels.dtype == np.int32
    assert dataset.train_labels.tolist() == NUMBERS
    assert dataset.test_images.shape == (0, 3)
    assert dataset.test_labels.shape == (0,)
    np.testing.assert_allclose(dataset.train_images.mean(axis=0), 0, atol=1e-4)
    np.testing.assert_allclose(dataset.train_images.var(axis=0), 1, rtol=1e-3)


def test_labels_as_numbers_or_texts_are_the_same_classes(tmp_path):
    for suffix in SUFFIXES:
        for labels in (NUMBERS, np.array(NUMBERS, np.float32), [str(number) for number in NUMBERS]):
            dataset, _ = load(save(tmp_path / f"rows.{suffix}", labels=labels))
            assert dataset.class_names == ("0", "1", "2"), suffix
            assert dataset.train_labels.tolist() == NUMBERS, suffix


def test_classes_are_in_the_order_of_their_numbers_then_of_their_letters(tmp_path):
    labels = ["10", "9", "b", "a", "-2", "1.5"] * 2
    assert load(save(tmp_path / "rows.csv", labels=labels))[0].class_names == ("-2", "1.5", "9", "10", "a", "b")


def test_columns_in_another_order_are_the_same_features(tmp_path):
    train = save(tmp_path / "rows.csv")
    test = save(tmp_path / "test.csv", FEATURES[2:4], ["a", "c"])
    mixed = save(tmp_path / "mixed.parquet", FEATURES[2:4][:, [2, 0, 1]], ["a", "c"], names=("f2", "f0", "f1"))
    expected = load(train, test)[0].test_images
    np.testing.assert_allclose(load(train, mixed)[0].test_images, expected, rtol=1e-3)
    np.testing.assert_allclose(expected, load(train)[0].train_images[2:4], rtol=1e-6)


def test_the_test_rows_do_not_change_the_scale(tmp_path):
    train = save(tmp_path / "rows.csv")
    far = save(tmp_path / "far.csv", FEATURES[2:4] + 1e6, ["a", "c"])
    np.testing.assert_array_equal(load(train, far)[0].train_images, load(train)[0].train_images)
    assert load(train, far)[0].test_images.min() > 1000


def test_named_columns_and_arrays_are_read_from_the_test_file_too(tmp_path):
    frame = pd.DataFrame(FEATURES, columns=["f0", "f1", "f2"]).assign(kind=LABELS, label="not this one")
    frame.to_csv(tmp_path / "rows.csv", index=False)
    frame[frame.kind != ""].to_csv(tmp_path / "test.csv", index=False)
    dataset, _ = load(tmp_path / "rows.csv", tmp_path / "test.csv", ReadOptions("kind", ("f2", "f0")))
    assert (dataset.inputs.columns, dataset.test_images.shape) == (("f2", "f0"), (9, 2))
    known = np.array(NUMBERS) >= 0
    arrays = {"rows": FEATURES, "others": FEATURES + 1, "kind": np.array(NUMBERS)}
    np.savez(tmp_path / "rows.npz", **arrays)
    np.savez(tmp_path / "test.npz", **{name: array[known] for name, array in arrays.items()})
    dataset, _ = load(tmp_path / "rows.npz", tmp_path / "test.npz", ReadOptions("kind", ("rows",)))
    np.testing.assert_array_equal(dataset.test_images, dataset.train_images[known])


# ------------------------------------------------------------------------------------------------ pictures


def paint(path, color, size=(3, 3)):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("L", size, color).save(path)


@pytest.fixture
def pictures(tmp_path):
    for place, (name, color) in enumerate([("cats", 0), ("cats", 10), ("dogs", 200), ("dogs", 255), ("unlabelled", 9)]):
        paint(tmp_path / "train" / name / f"{place}.png", color)
    paint(tmp_path / "test" / "dogs" / "large.png", 255, (9, 9))
    return tmp_path


def test_folders_of_pictures_are_a_data_set(pictures):
    dataset, said = load(pictures / "train", pictures / "test")
    assert dataset.class_names == ("cats", "dogs")
    assert dataset.train_labels.tolist() == [0, 0, 1, 1, -1]
    assert dataset.row_names[-1] == "unlabelled/4.png"
    assert dataset.inputs.image == (3, 1)
    assert dataset.test_labels.tolist() == [1]
    np.testing.assert_allclose(dataset.test_images, dataset.train_images[3:4])
    assert said == []  # constant pixels are no oddity


def test_names_of_columns_are_refused_for_pictures(pictures):
    for options, flag in ((ReadOptions(label="kind"), "--label"), (ReadOptions(columns=("a",)), "--features")):
        with pytest.raises(InputError, match=f"{flag} is for tables and arrays"):
            load(pictures / "train", None, options)


def test_arrays_are_taken_for_pictures_only_where_they_have_their_pixels(pictures, tmp_path):
    pixels = np.full((1, 9), 255.0)
    np.savez(tmp_path / "pixels.npz", X=pixels, y=["dogs"])
    dataset, _ = load(pictures / "train", tmp_path / "pixels.npz")
    np.testing.assert_array_equal(dataset.test_images, dataset.train_images[3:4])
    for others in (pixels / 255 * 0.5, -pixels, pixels + 1):
        np.savez(tmp_path / "pixels.npz", X=others, y=["dogs"])
        assert "numbers that are no pixels" in refused(pictures / "train", tmp_path / "pixels.npz")


# ------------------------------------------------------------------------------------------------- refused

REFUSED = {
    "no labels": (None, None, "rows.csv has no labels"),
    "no label known": ([""] * 12, None, "has no labels (12 empty): give labelled rows of at least two classes"),
    "one class": (["a", ""] * 6, None, "labels of 1 class (6 empty): give"),
    "a test label that no training row has": (LABELS, ["a", "z"], "has the labels z, but no training row does"),
    "a test row without a label": (LABELS, ["a", ""], "rows without a label"),
    "test rows without labels": (LABELS, None, "rows without a label"),
}


def test_labels_that_cannot_be_used_are_refused(tmp_path):
    for labels, test_labels, reason in REFUSED.values():
        train = save(tmp_path / "rows.csv", labels=labels)
        assert reason in refused(train, save(tmp_path / "test.csv", FEATURES[2:4], test_labels))


def test_a_test_file_with_other_features_is_refused(tmp_path):
    train, train_arrays = save(tmp_path / "rows.csv"), save(tmp_path / "rows.npz")
    for suffix in SUFFIXES:
        fewer = save(tmp_path / f"test.{suffix}", FEATURES[2:4, :2], ["a", "c"], names=("f0", "f1"))
        reason = "has 2 features, but the training rows have 3" if suffix == "npz" else "lacks the columns f2"
        assert reason in refused(train, fewer)
        assert "has 2 features" in refused(train_arrays, fewer)


def test_a_test_file_that_is_not_there_is_named(tmp_path):
    assert "nowhere.csv" in refused(save(tmp_path / "rows.csv"), tmp_path / "nowhere.csv")


# ------------------------------------------------------------------------------------------------ warnings


def test_a_label_of_one_row_alone_is_warned_of(tmp_path):
    _, said = load(save(tmp_path / "rows.csv", labels=[*LABELS[:-1], "d"]))
    (line,) = said
    assert line.startswith("warning: only one row has the label d: is it a class")
    _, said = load(save(tmp_path / "rows.csv", labels=[*LABELS[:-2], "d", "e"]))
    assert said[0].startswith("warning: only one row each has the labels d, e: are they classes")


def test_a_constant_feature_is_warned_of_and_becomes_0(tmp_path):
    features = FEATURES.copy()
    features[:, 1] = 0.1
    for suffix, name in (("csv", "f1"), ("npz", "1")):
        dataset, said = load(save(tmp_path / f"rows.{suffix}", features))
        assert said == [f"warning: the same in all rows, so of no use: feature {name}."]
        assert (dataset.train_images[:, 1] == 0).all()


def test_the_order_of_the_classes_is_that_of_their_values_and_a_text_like_nan_is_a_text():
    names = ["NAN", "10", "Nan", "9", "b"]
    for order in itertools.permutations(names):
        assert sorted(order, key=custom._sort_key) == ["9", "10", "NAN", "Nan", "b"]
