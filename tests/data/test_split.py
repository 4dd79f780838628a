"""The split of the training images: what each of the three sets holds, and what cannot be split is refused."""

import jax
import numpy as np
import pytest

from pljax.data import split
from pljax.training.seed_group import PURPOSE
from pljax.types import InputError

make = jax.jit(split.make, static_argnames=("classes", "labels", "validation", "choose"))


def split_of(seed, labels, *, choose="random", classes=4, labelled=8, validation=10):
    return make(
        jax.random.key(seed),
        jax.numpy.asarray(labels),
        classes=classes,
        labels=labelled,
        validation=validation,
        choose=choose,
    )


def test_the_three_sets_are_disjoint_and_cover_everything_with_as_many_labels_of_each_class(blobs):
    for choose in ("random", "first"):
        parts = split_of(0, blobs.train_labels, choose=choose)
        everything = np.concatenate([parts.labelled, parts.validation, parts.unlabelled])
        assert sorted(everything.tolist()) == list(range(len(blobs.train_labels)))
        assert (len(parts.labelled), len(parts.validation)) == (8, 10)
        assert np.bincount(blobs.train_labels[parts.labelled]).tolist() == [2, 2, 2, 2]


UNEQUAL = np.repeat([0, 1, 2, 3], [3, 100, 7, 50]).astype(np.int32)


def test_classes_of_different_sizes_have_as_many_labels_each():
    parts = split_of(2, UNEQUAL, labelled=12, validation=5)
    assert np.bincount(UNEQUAL[parts.labelled]).tolist() == [3, 3, 3, 3]


def test_the_first_images_of_each_class_are_taken_in_file_order_whatever_the_seed():
    labels = np.array([2, 0, 0, 1, 0, 2, 1, 1, 3, 3, 3, 2, 0, 1], np.int32)
    for seed in (0, 7):
        parts = split_of(seed, labels, choose="first", validation=2)
        assert parts.labelled.tolist() == [0, 1, 2, 3, 5, 6, 8, 9]
        assert parts.validation.tolist() == [4, 7]
        assert parts.unlabelled.tolist() == [10, 11, 12, 13]


def test_more_labels_include_the_fewer(blobs):
    """The labelled sets of a seed are nested, so that a study over the number of labels is paired too."""
    few, many = (set(split_of(3, blobs.train_labels, labelled=n).labelled.tolist()) for n in (8, 24))
    assert few < many


# ---- given labels

# Of 40 images half have a label: 10, 6 and 4 of a class.
GIVEN = np.concatenate([np.repeat([0, 1, 2], [10, 6, 4]), np.full(20, -1)]).astype(np.int32)
GIVEN = np.random.default_rng(0).permutation(GIVEN)
SIZES = (0, 1, 10, 17, 18, 20)  # of the validation set


def given_split(seed, validation=10):
    return split_of(seed, GIVEN, choose="given", classes=3, labelled=20 - validation, validation=validation)


def test_given_labels_are_all_used_and_shared_with_validation_evenly_by_class():
    for validation in SIZES:
        parts = given_split(3, validation)
        assert (len(parts.labelled), len(parts.validation)) == (20 - validation, validation)
        known = np.concatenate([parts.labelled, parts.validation])
        assert sorted(known.tolist()) == np.flatnonzero(GIVEN >= 0).tolist()
        assert sorted(parts.unlabelled.tolist()) == np.flatnonzero(GIVEN == -1).tolist()
        assert {leaf.dtype for leaf in jax.tree.leaves(parts)} == {np.dtype(np.int32)}
        counts = np.bincount(GIVEN[parts.validation], minlength=3)
        assert (abs(counts - validation / 20 * np.array([10, 6, 4])) < 1).all(), validation


def test_seeds_differ_in_the_validation_images_of_given_labels_and_in_nothing_else():
    splits = [given_split(seed) for seed in range(5)]
    assert len({tuple(sorted(parts.validation.tolist())) for parts in splits}) == 5
    without = [given_split(seed, validation=0) for seed in range(5)]
    assert len({tuple(sorted(parts.labelled.tolist())) for parts in without}) == 1
    assert len({tuple(sorted(parts.unlabelled.tolist())) for parts in (*splits, *without)}) == 1


def test_given_labels_of_all_images_leave_none_unlabelled(blobs):
    parts = split_of(0, blobs.train_labels, choose="given", labelled=200, validation=40)
    assert len(parts.unlabelled) == 0
    assert np.bincount(blobs.train_labels[parts.validation]).tolist() == [10, 10, 10, 10]


# ---- seeds


def test_a_seed_has_the_same_split_alone_and_among_others(blobs):
    labels = jax.numpy.asarray(blobs.train_labels)

    def of_key(key):
        return make(key, labels, classes=4, labels=8, validation=10, choose="random")

    stacked = jax.vmap(of_key)(jax.vmap(jax.random.key)(np.arange(5, dtype=np.uint32)))
    for seed in range(5):
        alone = of_key(jax.random.key(seed))
        jax.tree.map(lambda many, one: np.testing.assert_array_equal(many[seed], one), stacked, alone)  # noqa: B023
    assert len({tuple(sorted(row.tolist())) for row in stacked.labelled}) == 5


def test_the_key_of_the_split_depends_on_the_root_key_alone_and_no_phase_has_it(blobs):
    sizes = {"classes": 4, "labels": 8, "validation": 10, "choose": "random"}
    root, labels = jax.random.key(3), jax.numpy.asarray(blobs.train_labels)
    expected = make(jax.random.fold_in(root, split.SPLIT), labels, **sizes)
    jax.tree.map(np.testing.assert_array_equal, split.of_seed(root, labels, **sizes), expected)
    assert split.SPLIT not in PURPOSE.values()


# ---- what is refused


def test_what_the_data_cannot_give_is_refused_with_the_numbers(blobs):
    for labels, validation, sentence in (
        (101, 0, "101 labels cannot be shared evenly by 4 classes: give a multiple of 4, for example 100 or 104"),
        (3, 0, "give a multiple of 4, for example 4 or 8"),
        (244, 0, "244 labels need 61 images of each class, but class 0 has 60: give at most 240"),
        (8, 49, "49 validation images are more than a fifth of the 240 training images: give a validation of"),
        (192, 48, "leave none of the 240 training images unlabelled"),
    ):
        with pytest.raises(InputError, match=sentence):
            split.check(blobs.train_labels, 4, labels, validation)
    split.check(blobs.train_labels, 4, 8, 48)
    with pytest.raises(InputError, match="16 labels need 4 images of each class, but class 0 has 3: give at most 12"):
        split.check(UNEQUAL, 4, 16, 0)


def test_given_labels_that_are_not_used_exactly_once_are_refused():
    for labels, validation in ((20, 1), (19, 0), (40, 0), (0, 20)):
        sentence = f"{labels} labels and {validation} validation images are asked for, but 20 images have a label"
        with pytest.raises(InputError, match=sentence):
            split.check(GIVEN, 3, labels, validation, "given")
    for labels, validation in ((20, 0), (13, 7)):
        split.check(GIVEN, 3, labels, validation, "given")


def test_a_split_is_refused_exactly_if_all_given_labels_of_a_class_would_be_for_validation():
    for validation in SIZES[:-1]:
        if np.bincount(GIVEN[given_split(3, validation).labelled], minlength=3).all():
            split.check(GIVEN, 3, 20 - validation, validation, "given")
        else:
            sentence = f"{validation} validation images of 20 that have a label leave a class without"
            with pytest.raises(InputError, match=sentence):
                split.check(GIVEN, 3, 20 - validation, validation, "given")


def test_every_class_keeps_an_image_if_enough_have_several():
    assert split.every_class_keeps_one(np.repeat(np.arange(10), 100), 10, 100)
    assert not split.every_class_keeps_one(np.arange(1000), 1000, 100)
    assert not split.every_class_keeps_one(np.array([0, 0, 0, 1, -1]), 2, 3)
    assert split.every_class_keeps_one(np.array([0, 0, 0, 1, -1]), 2, 0)


def test_images_without_a_label_are_refused_where_labels_are_chosen():
    for choose in ("random", "first"):
        with pytest.raises(InputError, match="20 of the 40 training images have no label"):
            split.check(GIVEN, 3, 3, 0, choose)
