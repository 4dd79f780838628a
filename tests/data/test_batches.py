"""Mini-batches: what a pass covers, what is drawn from which set, and which keys the updates have."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax.data.batches import ROUND_UPDATES, DrawnBatches, LabelledBatches, MixedBatches, one_pass, shuffle_buffer
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam
from pljax.protocols.config import Phase
from pljax.types import InputError, Split, TrainingData

KEY = jax.random.key(0)
MIXED = MixedBatches(batch_size=5, unlabelled_batch_size=16)
BUFFERED = MIXED.replace(draw_from="shuffle_buffer", buffer_size=30)
EVERY_KIND = [
    LabelledBatches(batch_size=5),
    LabelledBatches(batch_size=5, last_batch="short"),
    MIXED,
    BUFFERED,
    DrawnBatches(batch_size=16, updates_per_epoch=6),
    DrawnBatches(batch_size=16, updates_per_epoch=40),
]


def make_split(labelled=8, validation=20, unlabelled=172, labelled_padding=0, padding=0):
    """A split and its data, with rows of padding in the labelled and the unlabelled set."""
    images = labelled + validation + unlabelled
    order = np.random.default_rng(0).permutation(images).astype(np.int32)
    last = images + padding  # the row that padding refers to
    first, held_back, rest = np.split(order, [labelled, labelled + validation])
    split = Split(
        jnp.asarray(np.pad(first, (0, labelled_padding), constant_values=last)),
        jnp.asarray(held_back),
        jnp.asarray(np.pad(rest, (0, padding), constant_values=last)),
    )
    rows = last + 1 if padding else images
    data = TrainingData(
        jnp.zeros((rows, 3), jnp.uint8),
        jnp.zeros(rows, jnp.int32),
        labelled=jnp.int32(labelled),
        unlabelled=jnp.int32(unlabelled),
        classes=4,
    )
    return split, data


@jax.jit
def draw(batches, t, split, data):
    return batches.draw(KEY, jnp.asarray(t, jnp.int32), split, data)


# ---- one pass


def test_a_pass_sees_every_image_once_and_pads_its_last_batch_with_its_first_images():
    for count, size in ((8, 5), (8, 8), (3, 10)):
        positions, weights = one_pass(KEY, count, count, size, filled=False)
        updates = -(-count // size)
        chex.assert_shape([positions, weights], (updates, min(size, count)))
        chex.assert_type([positions, weights], [jnp.int32, jnp.float32])
        assert sorted(positions[weights == 1].tolist()) == list(range(count))
        np.testing.assert_array_equal(weights.ravel(), np.arange(weights.size) < count)
        filled, weights = one_pass(KEY, count, count, size, filled=True)
        np.testing.assert_array_equal(filled.ravel()[:count], positions.ravel()[:count])
        np.testing.assert_array_equal(filled.ravel()[count:], filled.ravel()[: filled.size - count])
        assert (weights == 1).all()


@pytest.mark.parametrize("filled", [True, False])
def test_padding_changes_nothing_of_a_pass(filled):
    """Where the updates are as many. If the mini-batch is larger than the pass, all that is more has weight 0."""
    for count, size, batch_size in ((8, 10, 5), (3, 10, 10), (1569, 1600, 32)):
        case = f"{count} of {size} positions, {batch_size} a batch"
        positions, weights = one_pass(KEY, size, jnp.int32(count), batch_size, filled)
        expected, expected_weights = one_pass(KEY, count, count, batch_size, filled)
        chex.assert_shape([positions, weights], (size // batch_size, batch_size))
        np.testing.assert_array_equal(positions.ravel()[:count], expected.ravel()[:count], case)
        assert positions.max() < count, case
        if count >= batch_size:
            np.testing.assert_array_equal(positions, expected, case)
            np.testing.assert_array_equal(weights, expected_weights, case)
        else:
            np.testing.assert_array_equal(weights.ravel(), np.arange(size) < count, case)


def test_a_long_padded_pass_sees_every_image_once():
    """In another order than without padding."""
    for filled in (True, False):
        positions, weights = one_pass(KEY, 4096, jnp.int32(4070), 32, filled)
        assert sorted(positions.ravel()[:4070].tolist()) == list(range(4070))
        np.testing.assert_array_equal(positions.ravel()[4070:], positions.ravel()[: 4096 - 4070])
        np.testing.assert_array_equal(weights.ravel(), np.where(np.arange(4096) < 4070, 1, float(filled)))


def test_passes_of_different_keys_differ_in_their_order():
    orders = {tuple(one_pass(jax.random.key(seed), 20, 20, 5, True)[0].ravel().tolist()) for seed in range(5)}
    assert len(orders) == 5


# ---- the shuffle buffer


def test_a_shuffle_buffer_returns_what_a_list_with_a_refilled_place_would():
    key, draws, size = jax.random.key(4), 200, 16
    places = jax.random.randint(key, (draws,), 0, size).tolist()
    buffer, stream, expected = list(range(size)), iter(range(size, size + draws)), []
    for place in places:
        expected.append(buffer[place])
        buffer[place] = next(stream)
    assert shuffle_buffer(key, draws, size).tolist() == expected


# ---- the mini-batches of a round


@pytest.mark.parametrize("batches", EVERY_KIND, ids=str)
def test_indices_have_their_shapes_and_are_drawn_anew_every_round(batches):
    split, data = make_split()
    updates = batches.updates(8)
    drawn, same, other = (draw(batches, t, split, data) for t in (1, 1, 2))
    chex.assert_trees_all_equal(drawn, same)
    assert (drawn.images != other.images).any()
    chex.assert_shape([drawn.images, drawn.weights], (updates, batches.batch_size))
    chex.assert_type([drawn.images, drawn.weights], [jnp.int32, jnp.float32])
    assert (drawn.unlabelled is not None) == batches.unlabelled
    if batches.unlabelled:
        chex.assert_shape(drawn.unlabelled, (updates, 16))
        chex.assert_type(drawn.unlabelled, jnp.int32)
        assert (drawn.unlabelled != other.unlabelled).any()
    assert batches.rows_at_once() == batches.batch_size + 16 * batches.unlabelled
    assert not set(np.asarray(drawn.images).ravel()) & set(np.asarray(split.validation))


def test_padding_of_the_data_changes_no_draw():
    """In one program for data of several sizes. (A shuffle buffer reads all rows: it is not for such data.)"""
    for batches in EVERY_KIND:
        if batches != BUFFERED:
            plain, padded = make_split(), make_split(labelled_padding=2, padding=17)
            chex.assert_trees_all_equal(*(draw(batches, 3, *made) for made in (plain, padded)))


def test_labelled_batches_are_a_pass_over_the_labelled_images():
    split, data = make_split()
    for last_batch, weight in (("filled", 1.0), ("short", 0.0)):
        drawn = draw(LabelledBatches(batch_size=5, last_batch=last_batch), 0, split, data)
        assert sorted(drawn.images.ravel()[:8].tolist()) == sorted(split.labelled.tolist())
        np.testing.assert_array_equal(drawn.weights, [[1, 1, 1, 1, 1], [1, 1, 1, weight, weight]])


def test_mixed_batches_have_the_labelled_images_of_labelled_batches():
    """So that scenarios train alike for as long as the unlabelled images have no weight."""
    split, data = make_split()
    labelled = draw(LabelledBatches(batch_size=5), 4, split, data)
    chex.assert_trees_all_equal(draw(MIXED, 4, split, data)._replace(unlabelled=None), labelled)


def test_unlabelled_images_are_drawn_uniformly_from_their_set():
    split, data = make_split(labelled=20, unlabelled=40)
    drawn = draw(MIXED.replace(batch_size=1, unlabelled_batch_size=1000), 0, split, data)
    counts = np.bincount(drawn.unlabelled.ravel(), minlength=80)
    assert abs(counts[split.unlabelled] - 500).max() < 5 * 500**0.5
    assert counts.sum() == counts[split.unlabelled].sum() == 20_000


def test_a_shuffle_buffer_draws_the_first_images_of_the_file():
    """``buffer_size`` of them and as many as are drawn, of all sets; a small file is read again."""
    split, data = make_split()
    candidates = BUFFERED.unlabelled_candidates(split, data)
    drawn = draw(BUFFERED, 0, split, data)
    np.testing.assert_array_equal(candidates, np.arange(30 + 2 * 16))
    assert len(set(drawn.unlabelled.ravel().tolist())) == 2 * 16  # none twice
    assert set(drawn.unlabelled.ravel().tolist()) <= set(candidates.tolist())
    split, data = make_split(validation=4, unlabelled=8)
    np.testing.assert_array_equal(BUFFERED.unlabelled_candidates(split, data), np.arange(20))
    drawn = draw(BUFFERED, 0, split, data)
    assert 0 <= drawn.unlabelled.min() <= drawn.unlabelled.max() < 20


def test_drawn_batches_are_drawn_uniformly_from_all_but_the_validation_images():
    split, data = make_split(labelled=8, validation=20, unlabelled=52)
    drawn = draw(DrawnBatches(batch_size=1000, updates_per_epoch=30), 0, split, data)
    counts = np.bincount(drawn.images.ravel(), minlength=80)
    assert (counts[split.validation] == 0).all()
    assert abs(np.delete(counts, split.validation) - 500).max() < 5 * 500**0.5
    assert (drawn.weights == 1).all()


def test_drawn_batches_have_no_labels_and_train_no_classifier():
    """They hold unlabelled images, whose labels are not to be known."""
    batches = DrawnBatches(batch_size=5, updates_per_epoch=4)
    assert (draw(batches, 0, *make_split()).labels == -1).all()
    network = Network(hidden=(4,), initial_weights="glorot", inverted_dropout=True, output="softmax")
    for method in (Supervised(network=network), PseudoLabel(network=network, alpha_f=1.0, t1=0, t2=1)):
        with pytest.raises(InputError):
            Phase(method=method, batches=batches, optimizer=Adam(learning_rate=0.1), epochs=1)


# ---- rounds and keys


def test_an_epoch_of_drawn_batches_is_cut_into_equal_short_rounds():
    for updates, rounds in ((234, 9), (1875, 75), (30, 1), (31, 31), (1, 1)):
        batches = DrawnBatches(batch_size=2, updates_per_epoch=updates)
        assert batches.rounds(8) == rounds, updates
        assert batches.updates(8) * rounds == updates
        assert batches.updates(8) <= ROUND_UPDATES


def test_every_update_has_a_key_of_its_own():
    for batches in (MIXED, DrawnBatches(batch_size=16, updates_per_epoch=6)):
        updates = batches.updates(8)
        keys = [jax.random.key_data(batches.update_keys(KEY, jnp.int32(t), updates)) for t in range(4)]
        assert len({tuple(key) for key in np.concatenate(keys).tolist()}) == 4 * updates


def test_the_keys_of_drawn_batches_do_not_depend_on_how_an_epoch_is_cut():
    batches = DrawnBatches(batch_size=2, updates_per_epoch=60)
    whole = batches.update_keys(KEY, jnp.int32(0), 60)
    parts = [batches.update_keys(KEY, jnp.int32(t), 20) for t in range(3)]
    np.testing.assert_array_equal(jax.random.key_data(whole), jnp.concatenate(list(map(jax.random.key_data, parts))))
