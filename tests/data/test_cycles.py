"""Mini-batches whose number does not depend on the number of labels."""

import collections

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_seed import split_of, training_data

from pljax.data.cycles import CycledBatches

KEY = jax.random.key(3)


@pytest.fixture(scope="module")
def data(blobs):
    return training_data(blobs)


def draw(batches, data, t=0):
    parts = split_of(jax.random.key(0), data)
    return jax.device_get(batches.draw(KEY, jnp.int32(t), parts, data)), parts


def test_an_epoch_has_its_updates_whatever_the_labels():
    batches = CycledBatches(batch_size=50, unlabelled_batch_size=100, updates_per_epoch=100)
    for labels in (10, 100, 3000):
        assert batches.rounds(labels) * batches.updates(labels) == 100
        assert batches.updates(labels) <= 30
    assert batches.rows_at_once() == 150


def test_labelled_images_come_in_passes(data):
    """Each of the 8 labelled images is in every pair of mini-batches of 4, with its label."""
    rows, parts = draw(CycledBatches(batch_size=4, unlabelled_batch_size=9, updates_per_epoch=6), data)
    assert rows.images.shape == (6, 4)
    for pair in rows.images.reshape(3, 8):
        assert collections.Counter(pair.tolist()) == collections.Counter(np.asarray(parts.labelled).tolist())
    np.testing.assert_array_equal(rows.labels, np.asarray(data.labels)[rows.images])
    np.testing.assert_array_equal(rows.weights, 1)
    assert len({tuple(pair) for pair in rows.images.reshape(3, 8).tolist()}) == 3


def test_a_pass_can_last_several_rounds(data):
    """Of 8 images in mini-batches of 1, with 3 updates a round: three rounds have a pass, and begin another."""
    batches, orders = CycledBatches(batch_size=1, unlabelled_batch_size=9, updates_per_epoch=3), []
    for first in (0, 3):
        rounds = [draw(batches, data, t) for t in range(first, first + 3)]
        order = np.concatenate([rows.images.ravel() for rows, _ in rounds]).tolist()
        assert sorted(order[:8]) == sorted(np.asarray(rounds[0][1].labelled).tolist())
        orders.append(order)
    assert orders[0] != orders[1]


def test_a_mini_batch_is_no_larger_than_the_labelled_set(data):
    rows, parts = draw(CycledBatches(batch_size=50, unlabelled_batch_size=9, updates_per_epoch=3), data)
    assert rows.images.shape == (3, 8)
    for images in rows.images:
        assert sorted(images) == sorted(np.asarray(parts.labelled))


def test_unlabelled_images_are_drawn_from_the_unlabelled_set_anew_in_every_round(data):
    batches = CycledBatches(batch_size=4, unlabelled_batch_size=40, updates_per_epoch=6)
    (one, parts), (other, _) = draw(batches, data), draw(batches, data, t=1)
    assert one.unlabelled.shape == (6, 40)
    assert set(one.unlabelled.ravel().tolist()) <= set(np.asarray(parts.unlabelled).tolist())
    assert len(set(one.unlabelled.ravel().tolist())) > 100
    assert (one.unlabelled != other.unlabelled).any()
    assert (one.images != other.images).any()
