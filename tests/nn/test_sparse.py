"""Products that leave out the columns of zeros, against the dense product."""

import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax.nn import sparse

FEATURES, UNITS, ROWS, ROOM = 12, 7, 9, 5
# The columns that are not 0 in every row.
NONZERO = {
    "none": [],
    "some": [1, 2, 5],
    "as many as there is room": [0, 3, 4, 7, 11],
    "too many": [0, 2, 3, 4, 8, 11],
    "all": list(range(FEATURES)),
}


@pytest.fixture(autouse=True)
def _few_rows_are_enough(monkeypatch):
    monkeypatch.setattr(sparse, "FEWEST_ROWS", 1)


def inputs(nonzero, seed=0):
    """Numbers in the nonzero columns, some of them 0, and 0 in the others."""
    numbers = np.random.default_rng(seed).normal(size=(ROWS, FEATURES)).astype(np.float32)
    numbers[1::2, ::3] = 0
    return jnp.asarray(numbers * np.isin(np.arange(FEATURES), nonzero))


KERNEL = jax.random.normal(jax.random.key(0), (FEATURES, UNITS))
COTANGENT = jax.random.normal(jax.random.key(1), (ROWS, UNITS))


def with_gradients(multiply):
    """The product, and the gradients by both factors."""

    def all_three(x, kernel, cotangent):
        result, back = jax.vjp(multiply, x, kernel)
        return result, *back(cotangent)

    return all_three


def fast(room):
    return with_gradients(lambda x, kernel: sparse.product(x, kernel, room))


dense = with_gradients(jnp.matmul)


@pytest.mark.parametrize("room", [1, ROOM, FEATURES])
def test_the_product_and_both_its_gradients_are_those_of_the_dense_product(room):
    product = jax.jit(fast(room))
    for columns in NONZERO.values():
        x = inputs(columns)
        result, expected = product(x, KERNEL, COTANGENT), dense(x, KERNEL, COTANGENT)
        chex.assert_trees_all_close(result, expected, rtol=1e-5, atol=1e-5)
        chex.assert_trees_all_equal_shapes_and_dtypes(result, expected)


@pytest.mark.parametrize("axes", [(0, 0, 0), (0, None, 0), (None, 0, 0)])
def test_products_under_vmap_are_those_alone(axes):
    """Some have room for their columns and others have not."""
    xs = jnp.stack([inputs(columns, seed) for seed, columns in enumerate(NONZERO.values())])
    scales = jnp.arange(1.0, 1.0 + len(NONZERO))[:, None, None]
    given = [
        many if axis == 0 else many[1]
        for many, axis in zip((xs, scales * KERNEL[None], COTANGENT[None] / scales), axes, strict=True)
    ]
    mapped = jax.jit(jax.vmap(fast(ROOM), axes))(*given)
    chex.assert_trees_all_close(mapped, jax.vmap(dense, axes)(*given), rtol=1e-5, atol=1e-5)


def test_weights_of_columns_of_zeros_have_no_gradient_and_change_no_product():
    x, product = inputs(NONZERO["some"]), jax.jit(fast(ROOM))
    zeros = np.setdiff1d(np.arange(FEATURES), NONZERO["some"])
    result, _, gradient = product(x, KERNEL.at[zeros].set(1e30), COTANGENT)
    np.testing.assert_array_equal(result, product(x, KERNEL, COTANGENT)[0])
    np.testing.assert_array_equal(gradient[zeros], 0)


@pytest.mark.parametrize("room", [None, ROOM, 100])  # room for more columns than there are, too
def test_a_layer_is_the_dense_layer_of_flax(room):
    """From its first weights on: values and all gradients."""
    layer = sparse.Dense(UNITS, nn.initializers.glorot_uniform(), room)
    reference = nn.Dense(UNITS, kernel_init=nn.initializers.glorot_uniform())
    x, key = inputs(NONZERO["some"]), jax.random.key(2)
    params = layer.init(key, x)
    chex.assert_trees_all_equal(params, reference.init(key, x))
    params = jax.tree.map(lambda leaf: leaf + 0.3, params)

    def loss(layer, params, x):
        outputs = layer.apply(params, x)
        return (outputs * COTANGENT).sum() + (outputs**2).sum(), outputs

    found, expected = (
        jax.jit(jax.grad(functools.partial(loss, of), argnums=(0, 1), has_aux=True))(params, x)
        for of in (layer, reference)
    )
    chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-5)


def test_nearly_every_mini_batch_has_room_for_its_columns():
    generator = np.random.default_rng(0)
    chance = np.linspace(0, 0.3, 200)  # that a pixel is above 0
    images = (generator.random((20_000, 200)) < chance).astype(np.uint8)
    room = sparse.max_nonzero_columns(images, rows=8)
    nonzero = images[generator.integers(0, 20_000, (500, 8))].any(axis=1).sum(axis=1)
    assert (nonzero <= room).mean() > 0.99
    assert (room - nonzero).mean() < 60  # and there is not much more


def test_there_is_no_room_where_nearly_all_columns_are_lit():
    images = np.ones((50, 200), np.uint8)
    assert sparse.max_nonzero_columns(images, rows=8) is None
    images[:, :100] = 0
    assert 100 <= sparse.max_nonzero_columns(images, rows=8) <= 180
