"""The denoising auto-encoder against the paper's equations, its noise, and the layer that it transfers."""

import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from one_seed import (
    GAUSSIAN,
    GAUSSIAN_PHASE,
    KERAS,
    MASKING,
    MASKING_PHASE,
    SUPERVISED_PHASE,
    batch,
    evaluate,
    init,
    split_of,
    start,
    step,
    train,
    train_round,
    training_data,
)

from pljax.methods.denoising_autoencoder import Extra, add_fixed_noise, mask_pixels
from pljax.nn.losses import reconstruction_loss
from pljax.nn.networks import forward
from pljax.types import TrainState

PHASES = {"masking": MASKING_PHASE, "gaussian": GAUSSIAN_PHASE}
every_phase = pytest.mark.parametrize("phase", PHASES.values(), ids=PHASES)
SQUARED = MASKING.replace(error="squared")


@pytest.fixture(scope="module")
def data(blobs):
    return training_data(blobs)


# ---- the paper's equations


def plain_step(params, rate, images, corrupted, mask, error):
    """Eq. 6 to 8 with tied weights, or with squared errors, written with sums and no library; float64."""
    w, b, a = params
    active = corrupted @ w + b
    hidden = np.maximum(active, 0) * mask
    outputs = hidden @ w.T + a
    outputs = 1 / (1 + np.exp(-outputs)) if error == "cross_entropy" else outputs
    if error == "cross_entropy":
        loss = -(images * np.log(outputs) + (1 - images) * np.log(1 - outputs)).sum(axis=1).mean()
    else:
        loss = ((outputs - images) ** 2 / 2).sum(axis=1).mean()
    delta = (outputs - images) / len(images)
    back = (delta @ w) * mask * (active > 0)
    gradients = corrupted.T @ back + delta.T @ hidden, back.sum(axis=0), delta.sum(axis=0)
    return [leaf - rate * slope for leaf, slope in zip(params, gradients, strict=True)], loss


@functools.partial(jax.jit, static_argnums=2)
def mask_of(method, key, rows):
    """The mask that the network draws from ``key``: what its dropout layer makes of ones."""
    ones = {"hidden": {"kernel": jnp.zeros((12, 12)), "bias": jnp.ones(12)}, "reconstruction_bias": jnp.zeros(12)}
    _, seen = method.model.apply(
        {"params": ones},
        jnp.ones((rows, 12)),
        train=True,
        rngs={"dropout": key},
        capture_intermediates=lambda module, _: type(module).__name__ == "Dropout",
    )
    return seen["intermediates"]["Dropout_0"]["__call__"][0]


@jax.jit
def corrupt(method, extra, images, rows, update):
    return method.corrupt(jax.random.wrap_key_data(extra.noise), images, rows, update)


@pytest.mark.parametrize("method", [MASKING, SQUARED], ids=["cross_entropy", "squared"])
def test_steps_are_the_papers_equations(method, data, blobs):
    """Both uses of the tied weights are trained."""
    method, key = method.replace(network=KERAS.replace(hidden=(12,), inverted_dropout=False)), jax.random.key(3)
    params, extra = start(method, key, data)
    optimizer = optax.sgd(0.1)
    state = TrainState(params, optimizer.init(params), extra)
    names = (("hidden", "kernel"), ("hidden", "bias"))
    plain = [np.asarray(params[layer][kind], np.float64) for layer, kind in names]
    plain.append(np.asarray(params["reconstruction_bias"], np.float64))
    made = batch(blobs, 9)
    for update in range(6):
        update_key = jax.random.fold_in(key, update)
        corrupted = corrupt(method, extra, made.images, made.rows, update)
        images, corrupted = (np.asarray(of, np.float64) for of in (made.images, corrupted))
        mask = np.asarray(mask_of(method, update_key, 9))
        plain, expected = plain_step(plain, 0.1, images, corrupted, mask, method.error)
        state, loss, aux = step(method, optimizer, state, made, jnp.float32(0), update_key)
        np.testing.assert_allclose(loss, expected, rtol=1e-5)
        assert float(aux.metrics["reconstruction_loss"]) == float(loss)
    *weights, bias = plain
    for (layer, kind), slow in zip(names, weights, strict=True):
        np.testing.assert_allclose(state.params[layer][kind], slow, atol=1e-5)
    np.testing.assert_allclose(state.params["reconstruction_bias"], bias, atol=1e-5)


@pytest.mark.parametrize("method", [MASKING, GAUSSIAN], ids=["masking", "gaussian"])
def test_the_loss_is_the_error_of_what_is_made_of_the_corrupted_images(method, data, blobs):
    """Compared with the images without noise."""
    key, made = jax.random.key(3), batch(blobs, 9)
    params, extra = start(method, key, data)
    corrupted = corrupt(method, extra, made.images, made.rows, 4)

    @jax.jit
    def by_hand(method):
        outputs = forward(method.model, params, corrupted, key)
        return reconstruction_loss(outputs, made.images, method.reduction, method.error)

    loss, aux = jax.jit(type(method).loss)(
        method, params, extra._replace(updates=jnp.int32(4)), made, jnp.float32(0), key
    )
    expected = by_hand(method)
    np.testing.assert_allclose(loss, expected, rtol=1e-6)
    assert int(aux.extra.updates) == 5
    np.testing.assert_array_equal(aux.extra.noise, extra.noise)


def test_a_reconstruction_is_the_outputs_as_pixels(data, blobs):
    made, key = batch(blobs, 9), jax.random.key(3)
    for method in (MASKING, SQUARED):
        params, _ = start(method, key, data)
        outputs = forward(method.model, params, made.images)
        expected = 1 / (1 + np.exp(-outputs)) if method.error == "cross_entropy" else outputs
        np.testing.assert_allclose(method.reconstruct(params, made.images), expected, rtol=1e-5)


# ---- noise


def test_masking_noise_blackens_a_share_of_the_pixels():
    masked = mask_pixels(jax.random.key(0), jnp.ones((200, 300)), 0.3)
    assert set(np.unique(masked)) == {0.0, 1.0}
    assert abs((masked == 0).mean() - 0.3) < 0.01


def test_gaussian_noise_belongs_to_the_image_and_not_to_its_place():
    key, images = jax.random.key(0), jnp.full((5, 400), 0.5)
    rows = jnp.array([7, 3, 9, 3, 1])
    noisy = add_fixed_noise(key, images, rows, 0.1)
    np.testing.assert_array_equal(noisy[1], noisy[3])
    assert (noisy[0] != noisy[1]).any()
    np.testing.assert_array_equal(noisy[2], add_fixed_noise(key, images[:1], rows[2:3], 0.1)[0])
    assert abs(float(noisy.mean()) - 0.5) < 0.01
    assert abs(float(noisy.std()) - 0.1) < 0.01


def test_gaussian_noise_is_clipped_to_the_unit_interval():
    strong = add_fixed_noise(jax.random.key(0), jnp.full((5, 400), 0.5), jnp.arange(5), 5.0)
    assert strong.min() == 0
    assert strong.max() == 1


@pytest.mark.parametrize("method", [MASKING, GAUSSIAN], ids=["masking", "gaussian"])
def test_noise_is_the_same_every_time_for_an_image_or_drawn_anew_at_every_update(method, data, blobs):
    """Gaussian and masking noise. Of the key of an update neither depends: without dropout it draws nothing."""
    method, made = method.replace(encoder_dropout=0.0), batch(blobs, 9)
    params, extra = start(method, jax.random.key(3), data)

    @jax.jit
    def loss(updates, seed):
        return method.loss(params, Extra(extra.noise, updates), made, jnp.float32(0), jax.random.key(seed))[0]

    assert len({float(loss(jnp.int32(4), seed)) for seed in range(3)}) == 1
    assert len({float(loss(jnp.int32(update), 0)) for update in range(3)}) == (1 if method.noise == "gaussian" else 3)


def test_seeds_have_noise_of_their_own(data):
    keys = [jax.random.key(seed) for seed in range(3)]
    assert len({init(MASKING_PHASE, key, split_of(key, data), data).extra.noise.tobytes() for key in keys}) == 3


# ---- the phase


@every_phase
def test_reconstruction_is_learned(phase, data):
    _, metrics = train(phase, data, rounds=100)
    of_rounds = [float(of_round["reconstruction_loss"]) for of_round in metrics]
    assert np.mean(of_rounds[-3:]) < 0.95 * of_rounds[0]


def test_features_of_any_sign_are_reconstructed_with_squared_errors(data):
    features = (data.images.astype(jnp.float32) - 100) / 50
    _, metrics = train(MASKING_PHASE.replace(method=SQUARED), data.replace(images=features), rounds=40)
    of_rounds = [float(of_round["reconstruction_loss"]) for of_round in metrics]
    assert np.mean(of_rounds[-3:]) < 0.95 * of_rounds[0]


@every_phase
def test_labels_and_validation_images_do_not_change_the_training(phase, data):
    parts = split_of(jax.random.key(0), data)
    other = data.replace(images=data.images.at[parts.validation].set(0), labels=jnp.full_like(data.labels, -1))
    chex.assert_trees_all_equal(*(train(phase, of, parts=parts) for of in (data, other)))


def test_updates_are_counted_from_round_to_round(data):
    state, metrics = train(MASKING_PHASE, data, rounds=3)
    assert int(state.extra.updates) == 3 * 6
    assert "alpha" not in metrics[0]  # there is no such term


def test_nothing_is_labelled_and_nothing_evaluated(data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state = init(MASKING_PHASE, key, parts, data)
    assert train_round(MASKING_PHASE, key, 0, state, parts, data)[2] is None
    evaluation = evaluate(MASKING_PHASE, state, parts, data)
    assert evaluation.metrics == {}
    assert evaluation.pseudo_labels is None


@every_phase
def test_the_first_layer_alone_is_handed_on_and_the_next_phase_starts_from_it(phase, data):
    key = jax.random.key(0)
    parts = split_of(key, data)
    state, _ = train(phase, data)
    handed_on = phase.method.transfers(state.params)
    chex.assert_trees_all_equal(handed_on, {"hidden": state.params["hidden"]})
    classifier = SUPERVISED_PHASE.replace(method=SUPERVISED_PHASE.method.replace(network=phase.method.network))
    fresh, begun = (init(classifier, key, parts, data, start).params for start in ({}, handed_on))
    chex.assert_trees_all_equal(begun, {**fresh, **handed_on})
    assert (begun["hidden"]["kernel"] != fresh["hidden"]["kernel"]).any()
