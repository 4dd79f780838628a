"""Normalisation and running statistics against NumPy, and their stacking over seeds."""

import jax
import jax.numpy as jnp
import numpy as np
from one_seed import KERAS

from pljax.nn.normalised_network import (
    EPSILON,
    Moments,
    by_moments,
    by_row,
    draw_noise,
    encode,
    initial_parameters,
    initial_statistics,
    moments,
    update_running,
    widths,
)

X = jax.random.normal(jax.random.key(0), (7, 5)) * 3 + 2


def test_batch_normalisation_gives_every_unit_mean_0_and_variance_1():
    normalised = by_moments(X, moments(X))
    np.testing.assert_allclose(normalised.mean(axis=0), np.zeros(5), atol=1e-5)
    np.testing.assert_allclose(normalised.var(axis=0), np.ones(5), atol=1e-4)
    np.testing.assert_allclose(moments(X).variance, np.asarray(X).var(axis=0), rtol=1e-5)


def test_rows_of_weight_zero_are_not_in_the_statistics():
    weights = jnp.array([1.0, 1, 0, 1, 0, 1, 1])
    counted = np.asarray(X)[np.asarray(weights) > 0]
    np.testing.assert_allclose(moments(X, weights).mean, counted.mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(moments(X, weights).variance, counted.var(axis=0), rtol=1e-5)


def test_layer_normalisation_gives_every_row_mean_0_and_variance_1():
    x = np.asarray(X, np.float64)
    expected = (x - x.mean(axis=1, keepdims=True)) / np.sqrt(x.var(axis=1, keepdims=True) + EPSILON)
    np.testing.assert_allclose(by_row(X), expected, rtol=1e-4, atol=1e-5)


def test_running_statistics_are_the_mean_and_later_decay():
    params = initial_parameters(jax.random.key(0), KERAS, 5, 3)
    running, means = initial_statistics(params), []
    for update in range(150):
        layers = tuple(Moments(jnp.full(width, update), jnp.ones(width)) for width in widths(params)[1:])
        layers = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), layers)
        running = update_running(running, layers)
        means.append(float(running.layers[1].mean[0]))
    np.testing.assert_allclose(means[:100], np.arange(100) / 2, rtol=1e-4)  # of 0 to update
    expected = means[99]
    for update in range(100, 150):
        expected += 0.01 * (update - expected)
    np.testing.assert_allclose(means[149], expected, rtol=1e-3)
    assert int(running.updates) == 150


def test_statistics_of_one_seed_do_not_depend_on_another_beside_it():
    keys = jax.random.split(jax.random.key(1))
    stacked = jax.vmap(lambda key: initial_parameters(key, KERAS, 5, 3))(keys)
    inputs = jax.random.normal(jax.random.key(2), (2, 7, 5))

    def of_seed(params, x):
        return encode(params, x, lambda layer, h: (by_moments(h, moments(h)), moments(h))).moments

    both = jax.vmap(of_seed)(stacked, inputs)
    changed = jax.vmap(of_seed)(stacked, inputs.at[1].set(100.0))
    for one, other in zip(jax.tree.leaves(both), jax.tree.leaves(changed), strict=True):
        np.testing.assert_array_equal(one[0], other[0])


def test_noise_is_gaussian_and_independent_by_layer():
    params = initial_parameters(jax.random.key(0), KERAS.replace(hidden=(400, 300)), 500, 3)
    noise = draw_noise(jax.random.key(1), params, 200, 0.3)
    assert [of_layer.shape for of_layer in noise] == [(200, 500), (200, 400), (200, 300), (200, 3)]
    for of_layer in noise[:3]:
        np.testing.assert_allclose(of_layer.std(), 0.3, rtol=0.01)
        np.testing.assert_allclose((np.asarray(of_layer, np.float64) ** 4).mean() / 0.3**4, 3, rtol=0.05)
    assert abs(np.corrcoef(noise[0][:, :300].ravel(), noise[2].ravel())[0, 1]) < 0.02
