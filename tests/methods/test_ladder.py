"""The ladder network against the equations of Rasmus et al. (2015) in NumPy, and Lee's term on it."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy
from one_seed import LADDER, LADDER_PHASE, SGD, batch, logits_of, start, step, train, training_data

from pljax.methods.ladder import denoise
from pljax.nn import losses
from pljax.nn.normalised_network import EPSILON, draw_noise, encode
from pljax.types import TrainState

LAYERS = ("hidden", "hidden_1", "output")
KEY = jax.random.key(1)
SLOW = optax.sgd(1e-3)


@pytest.fixture(scope="module")
def data(blobs):
    return training_data(blobs)


@pytest.fixture(scope="module")
def made(blobs):
    return batch(blobs, 5, 9)


def state_of(method, data, seed=0):
    """Weights at which no number of a denoising function is 0."""
    params, extra = start(method, jax.random.key(seed), data)
    params = jax.tree.map(lambda leaf: leaf + 0.1 * jax.random.normal(jax.random.key(2), leaf.shape), params)
    return TrainState(params, SGD.init(params), extra)


# ---- the paper's equations in NumPy, float64


def normal(x):
    """Batch normalisation, and the mean and variance."""
    return (x - x.mean(axis=0)) / np.sqrt(x.var(axis=0) + EPSILON), (x.mean(axis=0), x.var(axis=0))


def encoder(params, x, noise):
    h, z, moments = x + noise[0], [x + noise[0]], []
    for layer, name in enumerate(LAYERS, start=1):
        normalised, of_layer = normal(h @ params[name]["kernel"])
        z.append(normalised + noise[layer])
        moments.append(of_layer)
        h = np.maximum(z[-1] + params[name]["bias"], 0)
    return z, moments, params["output"]["scale"] * (z[-1] + params["output"]["bias"])


def denoising_function(a, z, u):
    mean = a[0] / (1 + np.exp(-(a[1] * u + a[2]))) + a[3] * u + a[4]
    variance = a[5] / (1 + np.exp(-(a[6] * u + a[7]))) + a[8] * u + a[9]
    return (z - mean) * variance + mean


def costs(params, labelled, labels, unlabelled, noise):
    """The supervised cost, the squared error of each layer, the noisy and the clean outputs of unlabelled rows."""
    count = len(labelled)
    _, _, logits = encoder(params, labelled, [of_layer[:count] for of_layer in noise])
    supervised = -scipy.special.log_softmax(logits, axis=1)[np.arange(count), labels].mean()
    noisy, _, noisy_logits = encoder(params, unlabelled, [of_layer[count:] for of_layer in noise])
    clean, moments, clean_logits = encoder(params, unlabelled, [np.zeros(1)] * 4)
    signal, errors = scipy.special.softmax(noisy_logits, axis=1), []
    for layer in (3, 2, 1, 0):
        estimate = denoising_function(params[f"denoising_{layer}"]["numbers"], noisy[layer], normal(signal)[0])
        if layer:
            signal = estimate @ params[f"decoder_{layer - 1}"]["kernel"]
        if layer:
            mean, variance = moments[layer - 1]
            estimate = (estimate - mean) / np.sqrt(variance + EPSILON)
        errors.append(((estimate - clean[layer]) ** 2).mean())
    return supervised, errors[::-1], noisy_logits, clean_logits


def test_the_loss_is_the_papers(data, made):
    """Every term by hand: both normalisations, the denoising function, the weights, and Lee's term."""
    state = state_of(LADDER, data)
    _, loss, aux = step(LADDER, SGD, state, made, jnp.float32(0.7), KEY)
    noise = draw_noise(KEY, state.params, 14, 0.3)
    assert 0.2 < np.std(noise[0]) < 0.4
    params, noise, images, unlabelled = jax.tree.map(
        lambda leaf: np.asarray(leaf, np.float64), (state.params, noise, made.images, made.unlabelled)
    )
    supervised, errors, noisy, clean = costs(params, images, np.asarray(made.labels), unlabelled, noise)
    labels = clean.argmax(axis=1)
    lee = -scipy.special.log_softmax(noisy, axis=1)[np.arange(9), labels].mean()
    denoising = 10 * errors[0] + 10 * errors[1] + 0.1 * errors[2] + 0.1 * errors[3]
    np.testing.assert_array_equal(aux.pseudo_labels, labels)
    for name, expected in {"labelled": supervised, "denoising": denoising, "unlabelled": lee}.items():
        np.testing.assert_allclose(aux.metrics[f"{name}_loss"], expected, rtol=1e-4)
    np.testing.assert_allclose(loss, supervised + denoising + 0.7 * lee, rtol=1e-4)


def test_the_denoising_function_is_linear_in_z_with_a_slope_and_a_mean_that_depend_on_u():
    numbers = jax.random.normal(jax.random.key(0), (10, 6))
    u, z = jax.random.normal(jax.random.key(1), (2, 3, 6))
    expected = denoising_function(*(np.asarray(array, np.float64) for array in (numbers, z, u)))
    np.testing.assert_allclose(denoise(numbers, z, u), expected, rtol=1e-4, atol=1e-5)


# ---- targets


@pytest.mark.parametrize("normalisation", ["batch", "layer"])
def test_the_gradient_flows_through_the_clean_pass_only_of_batch_normalisation(normalisation, data, made):
    """The update is the one where the labels are given as data, and with units normalised the clean activations too."""
    method = LADDER.replace(normalisation=normalisation)
    state = state_of(method, data)
    after, _, aux = step(method, SGD, state, made, jnp.float32(0.7), KEY)
    change = jax.tree.map(np.subtract, *jax.device_get((state.params, after.params)))

    def clean_pass(params):
        return encode(params, made.unlabelled, method.normalise_separately(0, made.weights[:0]))

    fixed = jax.jit(clean_pass)(state.params)

    def whole(params):
        rows = jnp.concatenate([made.images, made.unlabelled])
        noise = draw_noise(KEY, params, 14, 0.3)
        if normalisation == "layer":
            noise[-1] = jnp.zeros_like(noise[-1])
        noisy = encode(params, rows, method.normalise_separately(5, made.weights), noise)
        outputs = jax.nn.softmax(noisy.logits[5:])
        clean = clean_pass(params) if normalisation == "batch" else fixed
        denoising = method.denoising_loss(clean, method.decode(params, [z[5:] for z in noisy.z], outputs))
        supervised = losses.supervised_loss(noisy.logits[:5], made.labels, made.weights, "softmax")
        return supervised + denoising + 0.7 * losses.pseudo_label_loss(noisy.logits[5:], aux.pseudo_labels, "softmax")

    chex.assert_trees_all_close(change, jax.jit(jax.grad(whole))(state.params), rtol=1e-3, atol=1e-5)


# ---- what the unlabelled images change


def test_with_all_weights_zero_it_is_supervised_training_of_the_noisy_network(data, made):
    method = LADDER.replace(denoise_inputs=0.0, denoise_first=0.0, denoise_others=0.0)
    state = state_of(method, data)
    after, _, _ = step(method, SGD, state, made, jnp.float32(0), KEY)

    @jax.jit
    def alone(params):
        noise = [of_layer[:5] for of_layer in draw_noise(KEY, params, 14, 0.3)]
        logits = encode(params, made.images, method.normalise_separately(5, made.weights), noise).logits
        return losses.supervised_loss(logits, made.labels, made.weights, "softmax")

    expected = jax.tree.map(lambda leaf, slope: leaf - slope, state.params, jax.grad(alone)(state.params))
    chex.assert_trees_all_close(after.params, expected, rtol=1e-5, atol=1e-6)


def test_the_ladder_uses_unlabelled_images_where_alpha_is_zero(data):
    phase = LADDER_PHASE.replace(method=LADDER.replace(alpha_f=0.0))
    blind = data.replace(images=data.images.at[16:].set(0))
    one, other = (train(phase, of, rounds=1)[0].params for of in (data, blind))
    assert abs(one["decoder_0"]["kernel"] - other["decoder_0"]["kernel"]).max() > 1e-4


def test_pseudo_labels_are_given_only_with_alpha(data, made):
    without = LADDER.replace(alpha_f=0.0)
    assert (LADDER.gives_labels, without.gives_labels) == (True, False)
    state = state_of(without, data)
    assert step(without, SGD, state, made, jnp.float32(0), KEY)[2].pseudo_labels is None
    assert without.warnings(10) == []
    assert len(LADDER.replace(t2=50).warnings(10)) == 1


# ---- statistics


def test_predictions_use_the_mean_statistics_of_the_clean_unlabelled_images(data, made):
    state, moments = state_of(LADDER, data), []
    for seed in range(3):
        params, inputs = jax.tree.map(lambda leaf: np.asarray(leaf, np.float64), (state.params, made.unlabelled))
        moments.append(encoder(params, inputs, [np.zeros(1)] * 4)[1])
        state, _, _ = step(LADDER, SLOW, state, made, jnp.float32(1), jax.random.key(seed))
    for layer in range(3):
        mean, variance = (np.mean([of[layer][kind] for of in moments], axis=0) for kind in (0, 1))
        np.testing.assert_allclose(state.extra.layers[layer].mean, mean, rtol=1e-3, atol=1e-4)
        np.testing.assert_allclose(state.extra.layers[layer].variance, variance, rtol=1e-3, atol=1e-4)


def test_a_prediction_depends_on_its_own_row_alone(data):
    for normalisation in ("batch", "layer"):
        method = LADDER.replace(normalisation=normalisation)
        state = state_of(method, data)
        whole = logits_of(method, state.params, state.extra, data.images[:20])
        np.testing.assert_allclose(
            whole[3:4], logits_of(method, state.params, state.extra, data.images[3:4]), rtol=1e-4
        )


def test_padding_rows_change_nothing(data, made):
    state = state_of(LADDER, data)
    padded = made._replace(weights=jnp.array([1.0, 1, 1, 0, 0]))
    other = padded._replace(images=padded.images.at[3:].set(7.0), labels=padded.labels.at[3:].set(0))
    one, two = (step(LADDER, SGD, state, of, jnp.float32(1), KEY) for of in (padded, other))
    chex.assert_trees_all_close(one[:2], two[:2], rtol=1e-5, atol=1e-6)
