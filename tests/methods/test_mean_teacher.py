"""The mean teacher against its closed form, the Pi-model, and what the loss differentiates."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from one_seed import MEAN_TEACHER, SGD, batch, logits_of, start, step
from one_seed import training_data as data_of

from pljax.nn import losses
from pljax.nn.normalised_network import draw_noise, encode
from pljax.types import TrainState

KEY, SLOW = jax.random.key(1), optax.sgd(0.05)


@pytest.fixture(scope="module")
def data(blobs):
    return data_of(blobs)


@pytest.fixture(scope="module")
def made(blobs):
    return batch(blobs, 5, 9)


def state_of(method, data, seed=0):
    params, extra = start(method, jax.random.key(seed), data)
    return TrainState(params, SLOW.init(params), extra)


@pytest.mark.parametrize("decay", [0.0, 0.6, 0.95])
def test_the_teacher_is_the_weighted_mean_of_the_weights(decay, data, made):
    """The mean of the first weights, then theta' = decay theta' + (1 - decay) theta, in closed form."""
    method = MEAN_TEACHER.replace(teacher_decay=decay)
    state, seen, shares = state_of(method, data), [], np.zeros(0)
    for update in range(12):
        own = min(update / (update + 1), decay)
        shares = np.append(own * shares, 1 - own)
        seen.append(np.asarray(state.params["hidden"]["kernel"], np.float64))
        state, _, _ = step(method, SLOW, state, made, jnp.float32(2), jax.random.key(update))
    np.testing.assert_allclose(shares.sum(), 1)
    expected = np.tensordot(shares, np.stack(seen), axes=1)
    np.testing.assert_allclose(state.extra.teacher["hidden"]["kernel"], expected, rtol=1e-4, atol=1e-5)
    assert abs(seen[-1] - expected).max() > (0 if decay == 0 else 1e-4) - 1e-12


def test_without_decay_the_teacher_is_the_student(data, made):
    method = MEAN_TEACHER.replace(teacher_decay=0.0)
    state = state_of(method, data)
    for seed in range(3):
        before = state
        state, _, _ = step(method, SLOW, state, made, jnp.float32(2), jax.random.key(seed))
        chex.assert_trees_all_close(state.extra.teacher, before.params, rtol=1e-6)


def test_the_teachers_outputs_are_constants_for_the_gradient(data, made):
    """Also in the Pi-model, where the teacher has the same weights."""
    method = MEAN_TEACHER.replace(teacher_decay=0.0)
    state = state_of(method, data)
    after, loss, _ = step(method, SGD, state, made, jnp.float32(2), KEY)
    change = jax.tree.map(np.subtract, *jax.device_get((state.params, after.params)))
    noise, others = (
        draw_noise(jax.random.fold_in(KEY, number), state.params, rows, 0.3) for number, rows in ((0, 14), (1, 9))
    )
    seen = encode(state.params, made.unlabelled, method.normalise_separately(0, jnp.zeros(0)), others).logits
    targets = jax.nn.softmax(seen)

    def whole(params):
        rows = jnp.concatenate([made.images, made.unlabelled])
        logits = encode(params, rows, method.normalise_separately(5, made.weights), noise).logits
        supervised = losses.supervised_loss(logits[:5], made.labels, made.weights, "softmax")
        return supervised + 2 * jnp.square(jax.nn.softmax(logits[5:]) - targets).sum(axis=-1).mean()

    expected, gradient = jax.jit(jax.value_and_grad(whole))(state.params)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    chex.assert_trees_all_close(change, gradient, rtol=1e-3, atol=1e-5)


def test_an_update_of_weight_zero_is_supervised_training_of_the_noisy_network(data, made):
    state = state_of(MEAN_TEACHER, data)
    after, _, _ = step(MEAN_TEACHER, SGD, state, made, jnp.float32(0), KEY)
    noise = [of_layer[:5] for of_layer in draw_noise(jax.random.fold_in(KEY, 0), state.params, 14, 0.3)]

    @jax.jit
    def alone(params):
        logits = encode(params, made.images, MEAN_TEACHER.normalise_separately(5, made.weights), noise).logits
        return losses.supervised_loss(logits, made.labels, made.weights, "softmax")

    expected = jax.tree.map(lambda leaf, slope: leaf - slope, state.params, jax.grad(alone)(state.params))
    chex.assert_trees_all_close(after.params, expected, rtol=1e-5, atol=1e-6)


def test_the_teacher_predicts_with_statistics_of_its_own(data, made):
    state = state_of(MEAN_TEACHER, data)
    after, _, _ = step(MEAN_TEACHER, SLOW, state, made, jnp.float32(2), KEY)
    first = np.asarray(made.unlabelled) @ np.asarray(after.extra.teacher["hidden"]["kernel"])
    np.testing.assert_allclose(after.extra.running.layers[0].mean, first.mean(axis=0), rtol=1e-4, atol=1e-5)
    garbage = jax.tree.map(jnp.zeros_like, after.params)
    one, other = (logits_of(MEAN_TEACHER, params, after.extra, data.images) for params in (after.params, garbage))
    np.testing.assert_array_equal(one, other)
