import functools

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax.nn import sparse

FEATURES, UNITS, ROWS = 12, 7, 9
LIT = {"none": [], "some": [1, 2, 5], "as many as there is room": [0, 3, 4, 7, 11], "too many": [0, 2, 3, 4, 8, 11],
       "all": list(range(FEATURES))}  # fmt: skip
ROOM = 5


@pytest.fixture(autouse=True)
def _few_rows_leave_columns_out_too(monkeypatch):
    monkeypatch.setattr(sparse, "FEWEST_ROWS", 1)


def inputs(lit, seed=0):
    """Numbers in the lit columns, some of them 0, and 0 in the others."""
    numbers = np.random.default_rng(seed).normal(size=(ROWS, FEATURES)).astype(np.float32)
    numbers[1::2, ::3] = 0
    return jnp.asarray(numbers * np.isin(np.arange(FEATURES), lit))


KERNEL = jax.random.normal(jax.random.key(0), (FEATURES, UNITS))
ALONG = jax.random.normal(jax.random.key(1), (ROWS, UNITS))


def with_gradients(multiply):
    """The product, and both gradients of what is behind it."""

    def all_three(x, kernel, along):
        result, back = jax.vjp(multiply, x, kernel)
        return result, *back(along)

    return all_three


def fast(room):
    return with_gradients(lambda x, kernel: sparse.product(x, kernel, room))


dense = with_gradients(jnp.matmul)


@pytest.mark.parametrize("lit", LIT.values(), ids=LIT)
@pytest.mark.parametrize("room", [1, ROOM, FEATURES])
@pytest.mark.parametrize("way", [lambda function: function, jax.jit], ids=["plain", "jit"])
def test_the_product_and_both_its_gradients_are_those_of_the_dense_product(lit, room, way):
    x = inputs(lit)
    result = way(fast(room))(x, KERNEL, ALONG)
    chex.assert_trees_all_close(result, dense(x, KERNEL, ALONG), rtol=1e-5, atol=1e-5)
    chex.assert_trees_all_equal_shapes_and_dtypes(result, dense(x, KERNEL, ALONG))


@pytest.mark.parametrize("axes", [(0, 0, 0), (0, None, 0), (None, 0, 0)])
@pytest.mark.parametrize("way", [lambda function: function, jax.jit], ids=["plain", "jit"])
def test_mapped_products_are_those_alone(axes, way):
    """Of which some have room for their columns and others have not."""
    xs = jnp.stack([inputs(lit, seed) for seed, lit in enumerate(LIT.values())])
    scales = jnp.arange(1.0, 1.0 + len(LIT))[:, None, None]
    given = [
        many if axis == 0 else many[1]
        for many, axis in zip((xs, scales * KERNEL[None], ALONG[None] / scales), axes, strict=True)
    ]
    mapped = way(jax.vmap(fast(ROOM), axes))(*given)
    expected = jax.vmap(dense, axes)(*given)
    chex.assert_trees_all_close(mapped, expected, rtol=1e-5, atol=1e-5)


def test_rows_of_dark_columns_have_no_gradient_and_change_no_product():
    x = inputs(LIT["some"])
    dark = np.setdiff1d(np.arange(FEATURES), LIT["some"])
    other = KERNEL.at[dark].set(1e30)
    result, _, gradient = fast(ROOM)(x, other, ALONG)
    np.testing.assert_array_equal(result, fast(ROOM)(x, KERNEL, ALONG)[0])
    np.testing.assert_array_equal(gradient[dark], 0)


@pytest.mark.parametrize("room", [None, 3, ROOM, FEATURES, 100])  # room for more columns than there are, too
def test_a_layer_is_the_dense_layer_of_flax(room):
    """From its first weights on: values and all gradients."""
    layer = sparse.Dense(UNITS, nn.initializers.glorot_uniform(), room)
    reference = nn.Dense(UNITS, kernel_init=nn.initializers.glorot_uniform())
    x, key = inputs(LIT["some"]), jax.random.key(2)
    params = layer.init(key, x)
    chex.assert_trees_all_equal(params, reference.init(key, x))
    params = jax.tree.map(lambda leaf: leaf + 0.3, params)

    def loss(layer, params, x):
        return (layer.apply(params, x) * ALONG).sum() + (layer.apply(params, x) ** 2).sum()

    np.testing.assert_allclose(layer.apply(params, x), reference.apply(params, x), rtol=1e-5, atol=1e-6)
    gradients, expected = (
        jax.jit(jax.grad(functools.partial(loss, of), argnums=(0, 1)))(params, x) for of in (layer, reference)
    )
    chex.assert_trees_all_close(gradients, expected, rtol=1e-4, atol=1e-5)


def test_nearly_every_mini_batch_has_room_for_its_columns():
    generator = np.random.default_rng(0)
    chance = np.linspace(0, 0.3, 200)  # that a pixel is lit
    images = (generator.random((20_000, 200)) < chance).astype(np.uint8)
    room = sparse.room_for(images, rows=8)
    lit = images[generator.integers(0, 20_000, (500, 8))].any(axis=1).sum(axis=1)
    assert (lit <= room).mean() > 0.99
    assert (room - lit).mean() < 60  # and there is not much more


def test_there_is_no_room_where_nearly_all_columns_are_lit():
    images = np.ones((50, 200), np.uint8)
    assert sparse.room_for(images, rows=8) is None
    images[:, :100] = 0
    assert 100 <= sparse.room_for(images, rows=8) <= 180
