"""The data of a group of seeds: the shares of the classes that belong to each split."""

import dataclasses

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from tiny_runs import ADAM, config, network, pseudo_label

from pljax.methods.pseudo_label import PseudoLabel
from pljax.training import seed_group
from pljax.training.seed_group import estimate_shares, make_group
from pljax.training.seeds import layout_for
from pljax.types import Dataset, Split

SHARES = np.array([0.6, 0.25, 0.15])


@pytest.fixture(scope="module")
def uneven():
    """A thousand rows of three classes with these shares."""
    X, y = make_blobs((1000 * SHARES).astype(int), n_features=5, cluster_std=2.0, random_state=1)
    return Dataset("uneven", 3, X.astype(np.float32), y.astype(np.int32), X[:0].astype(np.float32), y[:0])


def group(dataset, prior="estimated", seeds=(0, 1), **others):
    phase = pseudo_label(network(8), 3, 0, 1, ADAM, alignment=1.0, class_prior=prior)
    return make_group(config("pl", phase, labels=30), seeds, dataset, layout_for(len(seeds)), **others)


@pytest.mark.parametrize("rounded", [False, True])
def test_the_shares_of_evenly_labelled_images_are_estimated_for_each_split(uneven, rounded):
    shares = np.asarray(group(uneven, rounded=rounded).splits_on_host().shares)
    assert shares.shape == (2, 2, 3)
    low, high = shares.transpose(1, 0, 2)
    assert (low - 0.05 < SHARES).all()
    assert (high + 0.05 > SHARES).all()
    assert not np.array_equal(*shares)  # the seeds have other labelled images


def test_they_do_not_depend_on_the_labels_of_other_images(uneven):
    splits = group(uneven).splits_on_host()
    labels = np.roll(uneven.train_labels, 400)
    labels[splits.labelled[0]] = uneven.train_labels[splits.labelled[0]]
    others = dataclasses.replace(uneven, train_labels=labels)
    first = Split(*(of[:1] for of in splits.indices.values()))
    np.testing.assert_array_equal(estimate_shares(first, others), estimate_shares(first, uneven))


def test_they_are_estimated_once_where_all_seeds_have_the_same_rows(uneven, monkeypatch):
    splits, made = group(uneven).splits_on_host(), []
    estimate = seed_group.estimate
    monkeypatch.setattr(seed_group, "estimate", lambda *rows: made.append(rows) or estimate(*rows))
    different = estimate_shares(splits, uneven)
    assert len(made) == 2
    same = Split(*(np.stack([of[0], of[0][::-1]]) for of in splits.indices.values()))
    np.testing.assert_array_equal(estimate_shares(same, uneven), different[[0, 0]])
    assert len(made) == 3


def test_the_first_layer_leaves_out_columns_of_zeros_where_that_is_faster_and_the_method_allows_it(uneven, monkeypatch):
    sparser = dataclasses.replace(uneven, train_images=np.pad(uneven.train_images, ((0, 0), (0, 40))))
    for allowed in (True, False):
        monkeypatch.setattr(PseudoLabel, "sparse", allowed)
        for seeds, sequential in (((0,), True), ((0, 1), False)):
            made = group(sparser, seeds=seeds)
            made = made._replace(layout=made.layout._replace(sequential=sequential))
            assert (made.phase(0).method.network.max_nonzero_columns is not None) == (allowed and sequential)


def test_shares_that_are_known_are_those_of_every_split_and_others_are_none(uneven):
    known = np.tile(SHARES, (2, 1))
    np.testing.assert_allclose(group(uneven, shares=known).splits_on_host().shares, [known, known], rtol=1e-6)
    assert group(uneven, "labelled").splits_on_host().shares is None
