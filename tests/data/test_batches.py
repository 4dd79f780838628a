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
SIZES = [(100, 32), (8, 5), (6, 6), (3, 10)]  # labelled images, and the size of a mini-batch
MIXED = MixedBatches(batch_size=5, unlabelled_batch_size=16)


def rows(labelled=8, validation=20, unlabelled=172, places=None, padding=0):
    """A split, and data; with room for more in the labelled and unlabelled set if ``places`` and ``padding`` say so."""
    images = labelled + validation + unlabelled
    order = np.random.default_rng(0).permutation(images).astype(np.int32)
    none = images + padding  # the last row, which is none
    first, held, rest = np.split(order, [labelled, labelled + validation])
    parts = Split(
        jnp.asarray(np.pad(first, (0, (places or labelled) - labelled), constant_values=none)),
        jnp.asarray(held),
        jnp.asarray(np.pad(rest, (0, padding), constant_values=none)),
    )
    data = TrainingData(
        jnp.zeros((none + 1 if padding else images, 3), jnp.uint8),
        jnp.zeros(none + 1 if padding else images, jnp.int32),
        labelled=jnp.int32(labelled),
        unlabelled=jnp.int32(unlabelled),
        classes=4,
    )
    return parts, data


# ---- one pass


@pytest.mark.parametrize(("labelled", "size"), SIZES)
def test_a_pass_of_short_batches_sees_every_image_once(labelled, size):
    places, weights = one_pass(KEY, labelled, labelled, size, filled=False)
    updates = -(-labelled // size)
    chex.assert_shape([places, weights], (updates, min(size, labelled)))
    chex.assert_type([places, weights], [jnp.int32, jnp.float32])
    assert sorted(places[weights == 1].tolist()) == list(range(labelled))
    assert int(weights[-1].sum()) == labelled - (updates - 1) * size
    assert (weights[:-1] == 1).all()


@pytest.mark.parametrize(("labelled", "size"), SIZES)
def test_a_filled_pass_is_the_short_one_filled_up_with_its_first_images(labelled, size):
    places, weights = one_pass(KEY, labelled, labelled, size, filled=True)
    short, _ = one_pass(KEY, labelled, labelled, size, filled=False)
    np.testing.assert_array_equal(places.ravel()[:labelled], short.ravel()[:labelled])
    np.testing.assert_array_equal(places.ravel()[labelled:], places.ravel()[: places.size - labelled])
    assert (weights == 1).all()
    assert all(len(set(row)) == min(size, labelled) for row in places.tolist())


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize(
    ("count", "size", "batch_size"),
    [(8, 10, 5), (6, 10, 5), (10, 10, 5), (3, 10, 10), (97, 128, 32), (1500, 1600, 32), (1569, 1600, 32), (1, 4, 4)],
)
def test_places_added_to_a_pass_change_nothing_of_it(count, size, batch_size, filled):
    """Where the updates are as many. A mini-batch larger than the pass is longer, but all that is more has weight 0."""
    places, weights = one_pass(KEY, size, jnp.int32(count), batch_size, filled)
    expected, expected_weights = one_pass(KEY, count, count, batch_size, filled)
    chex.assert_shape([places, weights], (size // batch_size, batch_size))
    np.testing.assert_array_equal(places.ravel()[:count], expected.ravel()[:count])
    assert places.max() < count
    if count >= batch_size and -(-count // batch_size) == size // batch_size:
        np.testing.assert_array_equal(places, expected)
        np.testing.assert_array_equal(weights, expected_weights)
    if count < batch_size:
        np.testing.assert_array_equal(weights.ravel(), np.arange(size) < count)


@pytest.mark.parametrize("filled", [True, False])
def test_a_long_pass_with_places_added_sees_every_image_once(filled):
    """There the order is another one."""
    places, weights = one_pass(KEY, 4096, jnp.int32(4070), 32, filled)
    assert sorted(places.ravel()[:4070].tolist()) == list(range(4070))
    np.testing.assert_array_equal(places.ravel()[4070:], places.ravel()[: 4096 - 4070])
    np.testing.assert_array_equal(weights.ravel(), np.where(np.arange(4096) < 4070, 1, float(filled)))


def test_passes_differ_in_their_order():
    orders = {tuple(one_pass(jax.random.key(seed), 20, 20, 5, True)[0].ravel().tolist()) for seed in range(5)}
    assert len(orders) == 5


# ---- the shuffle buffer


def test_a_shuffle_buffer_lets_through_what_tf_data_would():
    """The same draws in plain Python: a list whose drawn place is filled by the next of the stream."""
    key, draws, size = jax.random.key(4), 200, 16
    places = jax.random.randint(key, (draws,), 0, size).tolist()
    buffer, stream, expected = list(range(size)), iter(range(size, size + draws)), []
    for place in places:
        expected.append(buffer[place])
        buffer[place] = next(stream)
    assert shuffle_buffer(key, draws, size).tolist() == expected
    assert len(set(expected)) == draws


# ---- the mini-batches of a round

EVERY_KIND = [
    LabelledBatches(batch_size=5),
    LabelledBatches(batch_size=5, last_batch="short"),
    MIXED,
    MIXED.replace(draw_from="shuffle_buffer", buffer_size=30),
    DrawnBatches(batch_size=16, updates_per_epoch=6),
    DrawnBatches(batch_size=16, updates_per_epoch=40),
]


@pytest.mark.parametrize("batches", EVERY_KIND, ids=str)
def test_rows_have_their_shapes_and_are_drawn_anew_every_round(batches):
    parts, data = rows()
    updates = batches.updates(8)
    drawn, same, other = (batches.draw(KEY, jnp.int32(t), parts, data) for t in (1, 1, 2))
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
    assert not set(np.asarray(drawn.images).ravel()) & set(np.asarray(parts.validation))


@pytest.mark.parametrize("batches", EVERY_KIND[:3] + EVERY_KIND[4:], ids=str)
def test_room_for_more_rows_changes_no_draw(batches):
    """In one program for data of several sizes. (A shuffle buffer is fed all rows: it is not for such data.)"""
    given = (batches.draw(KEY, jnp.int32(3), *made) for made in (rows(), rows(places=10, padding=17)))
    chex.assert_trees_all_equal(*given)


@pytest.mark.parametrize("last_batch", ["filled", "short"])
def test_labelled_batches_are_a_pass_over_the_labelled_images(last_batch):
    parts, data = rows()
    drawn = LabelledBatches(batch_size=5, last_batch=last_batch).draw(KEY, jnp.int32(0), parts, data)
    assert sorted(drawn.images.ravel()[:8].tolist()) == sorted(parts.labelled.tolist())
    last = 1.0 if last_batch == "filled" else 0.0
    np.testing.assert_array_equal(drawn.weights, [[1, 1, 1, 1, 1], [1, 1, 1, last, last]])


def test_mixed_batches_have_the_labelled_rows_of_labelled_batches():
    """So that scenarios share their course for as long as the unlabelled images have no weight."""
    parts, data = rows()
    labelled = LabelledBatches(batch_size=5).draw(KEY, jnp.int32(4), parts, data)
    chex.assert_trees_all_equal(MIXED.draw(KEY, jnp.int32(4), parts, data)._replace(unlabelled=None), labelled)


def test_unlabelled_images_are_drawn_evenly_from_their_set():
    parts, data = rows(labelled=20, unlabelled=40)
    drawn = MIXED.replace(batch_size=1, unlabelled_batch_size=1000).draw(KEY, jnp.int32(0), parts, data)
    chex.assert_shape(drawn.unlabelled, (20, 1000))
    counts = np.bincount(drawn.unlabelled.ravel(), minlength=80)
    assert abs(counts[parts.unlabelled] - 500).max() < 5 * 500**0.5
    assert counts.sum() == counts[parts.unlabelled].sum()


def test_a_shuffle_buffer_lets_through_the_first_images_of_the_file():
    """``buffer_size`` of them and as many as are drawn, of all sets; a small file is gone through again."""
    parts, data = rows()
    batches = MIXED.replace(draw_from="shuffle_buffer", buffer_size=30)
    pool, drawn = batches.pool(parts, data), batches.draw(KEY, jnp.int32(0), parts, data)
    np.testing.assert_array_equal(pool, np.arange(30 + 2 * 16))
    assert len(set(drawn.unlabelled.ravel().tolist())) == 2 * 16  # none twice
    assert set(drawn.unlabelled.ravel().tolist()) <= set(pool.tolist())
    parts, data = rows(validation=4, unlabelled=8)
    np.testing.assert_array_equal(batches.pool(parts, data), np.arange(20))
    drawn = batches.draw(KEY, jnp.int32(0), parts, data)
    assert 0 <= drawn.unlabelled.min() <= drawn.unlabelled.max() < 20


def test_drawn_batches_are_drawn_evenly_from_all_but_the_validation_images():
    parts, data = rows(labelled=8, validation=20, unlabelled=52)
    drawn = DrawnBatches(batch_size=1000, updates_per_epoch=30).draw(KEY, jnp.int32(0), parts, data)
    counts = np.bincount(drawn.images.ravel(), minlength=80)
    assert (counts[parts.validation] == 0).all()
    assert abs(np.delete(counts, parts.validation) - 500).max() < 5 * 500**0.5
    assert (drawn.weights == 1).all()


@pytest.mark.parametrize(("updates", "rounds"), [(234, 9), (1875, 75), (30, 1), (31, 31), (1, 1)])
def test_an_epoch_is_cut_into_equal_short_rounds(updates, rounds):
    batches = DrawnBatches(batch_size=2, updates_per_epoch=updates)
    assert batches.rounds(8) == rounds
    assert batches.updates(8) * rounds == updates
    assert batches.updates(8) <= ROUND_UPDATES


@pytest.mark.parametrize("batches", EVERY_KIND[2:5], ids=str)
def test_every_update_has_a_key_of_its_own(batches):
    updates = batches.updates(8)
    keys = jnp.concatenate([jax.random.key_data(batches.update_keys(KEY, jnp.int32(t), updates)) for t in range(4)])
    assert len({tuple(key) for key in keys.tolist()}) == 4 * updates


def test_the_keys_of_drawn_batches_do_not_depend_on_how_an_epoch_is_cut():
    batches = DrawnBatches(batch_size=2, updates_per_epoch=60)
    whole = batches.update_keys(KEY, jnp.int32(0), 60)
    parts = [batches.update_keys(KEY, jnp.int32(t), 20) for t in range(3)]
    np.testing.assert_array_equal(jax.random.key_data(whole), jnp.concatenate(list(map(jax.random.key_data, parts))))


def test_drawn_batches_bring_no_labels_and_train_no_classifier():
    """They hold unlabelled images, whose labels are not to be known."""
    parts, data = rows()
    batches = DrawnBatches(batch_size=5, updates_per_epoch=4)
    assert (batches.draw(KEY, jnp.int32(0), parts, data).labels == -1).all()
    network = Network(hidden=(4,), initial_weights="glorot", inverted_dropout=True, output="softmax")
    for method in (Supervised(network=network), PseudoLabel(network=network, alpha_f=1.0, t1=0, t2=1)):
        with pytest.raises(InputError):
            Phase(method=method, batches=batches, optimizer=Adam(learning_rate=0.1), epochs=1)
