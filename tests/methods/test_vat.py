"""Virtual adversarial training against a power iteration by finite differences, and what its loss differentiates."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy
from one_seed import SGD, VAT, batch, start, step, training_data

from pljax.methods.vat import unit_rows
from pljax.nn import losses
from pljax.nn.normalised_network import EPSILON, encode
from pljax.types import TrainState

KEY = jax.random.key(1)
LAYERS = ("hidden", "hidden_1", "output")


@pytest.fixture(scope="module")
def data(blobs):
    return training_data(blobs)


@pytest.fixture(scope="module")
def made(blobs):
    return batch(blobs, 5, 6)


def state_of(method, data, seed=0):
    params, extra = start(method, jax.random.key(seed), data)
    params = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(2), leaf.shape), params)
    return TrainState(params, SGD.init(params), extra)


def outputs(params, x, normalisation):
    """The logarithms of the outputs in NumPy, float64."""
    h = x
    for name in LAYERS:
        a = h @ params[name]["kernel"]
        axis, keep = (0, False) if normalisation == "batch" else (1, True)
        if normalisation == "batch" or name != "output":
            a = (a - a.mean(axis=axis, keepdims=keep)) / np.sqrt(a.var(axis=axis, keepdims=keep) + EPSILON)
        h = a + params[name]["bias"] if name == "output" else np.maximum(a + params[name]["bias"], 0)
    return scipy.special.log_softmax(params["output"]["scale"] * h, axis=1)


@jax.jit
def logits_of_rows(method, params, x):
    """The logits of rows that are normalised by themselves."""
    return encode(params, x, method.normalise_separately(0, jnp.zeros(0))).logits


perturbation_of = jax.jit(lambda method, *arguments: method.adversarial_perturbation(*arguments))


def divergence(params, x, perturbation, normalisation):
    log_p, log_q = (outputs(params, of, normalisation) for of in (x, x + perturbation))
    return (np.exp(log_p) * (log_p - log_q)).sum(axis=1).mean()


@pytest.mark.parametrize(("normalisation", "iterations"), [("batch", 1), ("layer", 3)])
def test_the_perturbation_is_that_of_a_power_iteration_by_finite_differences(normalisation, iterations, data, made):
    method = VAT.replace(normalisation=normalisation, power_iterations=iterations, epsilon=1.5, xi=0.5)
    params = state_of(method, data).params
    logits = logits_of_rows(method, params, made.unlabelled)
    perturbation = perturbation_of(method, params, made.unlabelled, logits, KEY)
    exact, x = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (params, made.unlabelled))
    direction = np.asarray(unit_rows(jax.random.normal(KEY, x.shape)), np.float64)
    for _ in range(iterations):
        slope, small = np.zeros_like(x), 1e-5
        for place in np.ndindex(x.shape):
            step_at = np.zeros_like(x)
            step_at[place] = small
            there, back = (divergence(exact, x, 0.5 * direction + way * step_at, normalisation) for way in (1, -1))
            slope[place] = (there - back) / (2 * small)
        direction = slope / np.linalg.norm(slope, axis=1, keepdims=True)
    np.testing.assert_allclose(np.linalg.norm(perturbation, axis=1), 1.5, rtol=1e-5)
    np.testing.assert_allclose(perturbation, 1.5 * direction, atol=5e-3)


def test_the_perturbation_alters_the_outputs_more_than_a_random_one_of_its_length(data, made):
    method = VAT.replace(epsilon=0.1, power_iterations=2)
    params = state_of(method, data).params
    logits = logits_of_rows(method, params, made.unlabelled)
    perturbation, divergence = perturbation_of(method, params, made.unlabelled, logits, KEY), jax.jit(method.divergence)
    worst = divergence(params, logits, made.unlabelled + perturbation)
    for seed in range(5):
        other = 0.1 * unit_rows(jax.random.normal(jax.random.key(seed), made.unlabelled.shape))
        assert divergence(params, logits, made.unlabelled + other) < worst


@pytest.mark.parametrize(("entropy_weight", "marginal_weight"), [(0.0, 0.0), (0.5, 2.0)])
def test_the_perturbation_and_the_outputs_without_it_are_constants_for_the_gradient(
    entropy_weight, marginal_weight, data, made
):
    method = VAT.replace(entropy_weight=entropy_weight, marginal_entropy_weight=marginal_weight)
    state = state_of(method, data)
    after, loss, aux = step(method, SGD, state, made, jnp.float32(0.7), KEY)
    own_gradient = jax.tree.map(np.subtract, *jax.device_get((state.params, after.params)))

    def clean(params):
        rows = jnp.concatenate([made.images, made.unlabelled])
        return encode(params, rows, method.normalise_separately(5, made.weights)).logits

    fixed = jax.jit(clean)(state.params)[5:]
    adversarial = perturbation_of(method, state.params, made.unlabelled, fixed, KEY)

    def whole(params):
        logits = clean(params)
        supervised = losses.supervised_loss(logits[:5], made.labels, made.weights, "softmax")
        log_p = jax.nn.log_softmax(logits[5:])
        entropy = -(jnp.exp(log_p) * log_p).sum(axis=-1).mean()
        moved = encode(params, made.unlabelled + adversarial, method.normalise_separately(0, jnp.zeros(0))).logits
        log_p, log_q = jax.nn.log_softmax(fixed), jax.nn.log_softmax(moved)
        divergence = (jnp.exp(log_p) * (log_p - log_q)).sum(axis=-1).mean()
        mean = jax.nn.softmax(logits[5:]).mean(axis=0)
        marginal = -(mean * jnp.log(mean)).sum()
        return supervised + 0.7 * (divergence + entropy_weight * entropy - marginal_weight * marginal)

    expected, gradient = jax.jit(jax.value_and_grad(whole))(state.params)
    np.testing.assert_allclose(loss, expected, rtol=1e-4)
    chex.assert_trees_all_close(own_gradient, gradient, rtol=1e-3, atol=1e-5)
    assert ("entropy" in aux.metrics) == (entropy_weight > 0)
    assert ("marginal_entropy" in aux.metrics) == (marginal_weight > 0)


def test_an_update_of_weight_zero_is_that_of_supervised_training(data, made):
    state = state_of(VAT, data)
    short = made._replace(unlabelled=None, unlabelled_rows=None)
    one, other = (step(VAT, SGD, state, of, jnp.float32(0), KEY)[0].params for of in (made, short))
    chex.assert_trees_all_close(one, other, rtol=1e-5, atol=1e-6)


def test_predictions_use_the_statistics_of_the_clean_unlabelled_images(data, made):
    state = state_of(VAT, data)
    after, _, _ = step(VAT, SGD, state, made, jnp.float32(1), KEY)
    first = np.asarray(made.unlabelled) @ np.asarray(state.params["hidden"]["kernel"])
    np.testing.assert_allclose(after.extra.layers[0].mean, first.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(after.extra.layers[0].variance, first.var(axis=0), rtol=1e-4, atol=1e-5)


def test_a_gradient_of_0_has_no_direction_and_no_nan():
    np.testing.assert_array_equal(unit_rows(jnp.zeros((2, 3))), np.zeros((2, 3)))
    np.testing.assert_allclose(jnp.linalg.norm(unit_rows(jnp.full((2, 3), 1e-30)), axis=1), np.ones(2), rtol=1e-5)


def test_the_weight_is_the_same_in_all_epochs_unless_it_shall_rise():
    np.testing.assert_array_equal(VAT.replace(alpha_f=0.7).weight(np.arange(4)), np.float32(0.7))
    rising = VAT.replace(alpha_f=0.8, t1=0, t2=4)
    np.testing.assert_allclose(rising.weight(np.arange(6)), [0, 0.2, 0.4, 0.6, 0.8, 0.8], rtol=1e-6)
