"""Training with labels alone against gradients by hand, and what it may and may not look at."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from one_seed import (
    DROPOUT,
    KERAS,
    SGD,
    SUPERVISED,
    SUPERVISED_PHASE,
    batch,
    evaluate,
    init,
    leaves_of,
    split_of,
    start,
    step,
    train,
    train_round,
    training_data,
)

from pljax.methods.supervised import Supervised
from pljax.types import TrainState

LAYERS = ("hidden", "hidden_1", "output")


@pytest.fixture(scope="module")
def data(blobs):
    return training_data(blobs)


def state_of(method, data):
    """The state before the first update."""
    params, extra = start(method, jax.random.key(0), data)
    return TrainState(params, SGD.init(params), extra)


def test_a_step_without_dropout_is_the_gradient_of_the_cross_entropy_by_hand(data, blobs):
    """Two ReLU layers and a softmax, with sums and no library; float64."""
    method, made = Supervised(network=KERAS), batch(blobs, 9)
    state = state_of(method, data)
    after, loss, aux = step(method, SGD, state, made, jnp.float32(0), jax.random.key(1))
    w1, b1, w2, b2, w3, b3 = (np.asarray(leaf, np.float64) for leaf in leaves_of(state.params, *LAYERS))
    x, y = np.asarray(made.images, np.float64), np.eye(4)[np.asarray(made.labels)]
    first = np.maximum(x @ w1 + b1, 0)
    second = np.maximum(first @ w2 + b2, 0)
    outputs = np.exp(second @ w3 + b3)
    outputs /= outputs.sum(axis=1, keepdims=True)
    error = (outputs - y) / 9
    into_second = (error @ w3.T) * (second > 0)
    into_first = (into_second @ w2.T) * (first > 0)
    gradients = [x.T @ into_first, into_first.sum(0), first.T @ into_second, into_second.sum(0), second.T @ error,
                 error.sum(0)]  # fmt: skip
    expected = [leaf - slope for leaf, slope in zip((w1, b1, w2, b2, w3, b3), gradients, strict=True)]
    for fast, slow in zip(leaves_of(after.params, *LAYERS), expected, strict=True):
        np.testing.assert_allclose(fast, slow, atol=1e-6)
    np.testing.assert_allclose(loss, -np.log((outputs * y).sum(axis=1)).mean(), rtol=1e-5)
    assert float(aux.metrics["labelled_loss"]) == float(loss)


def test_a_short_mini_batch_is_its_rows_and_nothing_else(data, blobs):
    """Rows of weight 0 may hold anything."""
    method = Supervised(network=KERAS, **DROPOUT)
    whole, state, key = batch(blobs, 5), state_of(method, data), jax.random.key(1)
    short = jax.tree.map(lambda leaf: leaf[:3], whole)
    padded = whole._replace(
        weights=jnp.array([1.0, 1, 1, 0, 0]),
        images=whole.images.at[3:].set(7.0),
        labels=whole.labels.at[3:].set(jnp.array([0, 3])),
    )
    one, two, full = (step(method, SGD, state, made, jnp.float32(0), key)[:2] for made in (short, padded, whole))
    chex.assert_trees_all_close(one, two, rtol=1e-5, atol=1e-6)
    assert abs(one[0].params["output"]["bias"] - full[0].params["output"]["bias"]).max() > 1e-3


def test_only_the_labelled_images_change_the_training(data):
    parts = split_of(jax.random.key(0), data)
    floats = data.replace(images=data.images.astype(jnp.float32) / 255)
    others = jnp.concatenate([parts.unlabelled, parts.validation])
    blind = floats.replace(images=floats.images.at[others].set(jnp.nan))
    chex.assert_trees_all_equal(*(train(SUPERVISED_PHASE, of, parts=parts) for of in (floats, blind)))


def test_metrics_of_a_round(data):
    _, metrics = train(SUPERVISED_PHASE, data)
    for name, expected in {
        "alpha": np.zeros(4),
        "learning_rate": 0.5 * 0.99 ** np.arange(4),
        "momentum": 0.5 + 0.08 * np.arange(4),
        "finite": np.ones(4),
        "unlabelled_loss": np.full(4, np.nan),
    }.items():
        np.testing.assert_allclose([float(of_round[name]) for of_round in metrics], expected, rtol=1e-6)


def test_no_pseudo_labels_are_given(data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(SUPERVISED_PHASE, key, parts, data)
    assert train_round(SUPERVISED_PHASE, key, 3, state, parts, data)[2] is None
    evaluation = evaluate(SUPERVISED_PHASE, state, parts, data)
    assert evaluation.pseudo_labels is None
    assert jnp.isnan(evaluation.metrics["pseudo_label_accuracy"])


def test_a_phase_starts_from_the_layers_that_are_handed_on(data):
    """Each in the place of the fresh one; the others stay fresh."""
    key = jax.random.key(0)
    parts = split_of(key, data)
    fresh = init(SUPERVISED_PHASE, key, parts, data).params
    donor = jax.tree.map(lambda leaf: leaf + 1, fresh)
    one, all_layers = (
        init(SUPERVISED_PHASE, key, parts, data, start).params for start in ({"hidden": donor["hidden"]}, donor)
    )
    chex.assert_trees_all_equal(one, {**fresh, "hidden": donor["hidden"]})
    chex.assert_trees_all_equal(all_layers, donor)
    chex.assert_trees_all_equal(SUPERVISED.transfers(donor), donor)
