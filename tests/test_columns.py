import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax import columns
from pljax.columns import linear, linear_gradient


def test_a_product_without_its_empty_columns_is_the_product(blobs):
    inputs = jnp.asarray(blobs.train_images[:9], jnp.float32).at[:, jnp.array([0, 4, 5, 11])].set(0)
    layer = {"kernel": jax.random.normal(jax.random.key(0), (12, 7)), "bias": jnp.arange(7.0)}
    lit = jnp.array([1, 2, 3, 6, 7, 8, 9, 10, 12, 12], jnp.int32)
    chex.assert_trees_all_close(linear(layer, inputs, lit), linear(layer, inputs), rtol=1e-5)
    gradient = jax.random.normal(jax.random.key(1), (9, 7))
    one, other = linear_gradient(inputs, gradient, lit), linear_gradient(inputs, gradient)
    chex.assert_trees_all_close(one, other, rtol=1e-5)


def test_nearly_every_mini_batch_has_room_for_its_columns():
    chance = np.linspace(0, 0.3, 200)  # that a pixel is lit
    generator = np.random.default_rng(0)
    images = (generator.random((20_000, 200)) < chance).astype(np.uint8)
    room = columns.usually_lit(images, rows=8)
    assert 0 < room < 0.9 * 200
    batches = jnp.asarray(images[generator.integers(0, 20_000, (500, 8))])
    lit, fit = columns.lit_columns(batches, room)
    assert fit.mean() > 0.99
    assert (room - (lit < 200).sum(axis=1)).mean() < 60  # and not much more than that
    assert columns.usually_lit(np.ones((50, 200), np.uint8), rows=8) is None


@pytest.mark.parametrize("room", [4, 3])
def test_lit_columns_are_all_that_are_not_0_if_there_is_room(room):
    images = np.zeros((2, 5, 9), np.uint8)
    images[0, 1, [0, 7]] = images[0, 4, 3] = images[1, 2, [2, 3, 8, 5]] = 1
    found, fit = columns.lit_columns(jnp.asarray(images), room)
    assert found[0].tolist() == [0, 3, 7, 9][:room]
    assert found[1].tolist() == [2, 3, 5, 8][:room]
    assert fit.tolist() == [True, room == 4]
