"""The networks and their layers: dropout, the classifier, the auto-encoders, and the transfer of weights."""

import itertools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax.nn import networks
from pljax.nn.layers import Dropout, keep_mask
from pljax.nn.networks import Autoencoder, Classifier, Network, forward, in_blocks, parameter_count, to_inputs, transfer
from pljax.protocols import arab2022, lee2013, quick
from pljax.protocols.config import shapes

KEY = jax.random.key(0)
NETWORK = Network(hidden=(8,), initial_weights="normal", inverted_dropout=False, output="sigmoid")


def initial(model, features=12):
    """The initial weights of a network as NumPy arrays, moved so that no bias is 0."""
    params = jax.jit(model.init)(KEY, np.zeros((1, features), np.float32))["params"]
    return jax.tree.map(lambda leaf: np.asarray(leaf) + np.float32(0.1), params)


def dense(params, layer, x):
    return x @ params[layer]["kernel"] + params[layer]["bias"][None]


def relu(x):
    return np.maximum(x, 0)


apply = jax.jit(forward, static_argnums=0)


# ---- dropout


def test_a_mask_is_true_with_its_probability_in_every_column():
    for keep in (0.5, 0.8, 0.3, 0.999):
        for value in (keep, jnp.float32(keep)):  # a traced one is an array
            mask = np.asarray(keep_mask(KEY, value, (2000, 45)))
            error = 4 * (keep * (1 - keep)) ** 0.5
            assert abs(mask.mean() - keep) < error / mask.size**0.5, value
            assert (abs(mask.mean(axis=0) - keep) < 1.5 * error / 2000**0.5).all(), value
    for keep in (0.0, 1.0):
        np.testing.assert_array_equal(keep_mask(KEY, keep, (50, 45)), bool(keep))


def test_the_units_of_a_mask_are_independent():
    for keep in (0.5, 0.8):
        mask = keep_mask(KEY, keep, (4000, 64))
        correlation = np.corrcoef(np.asarray(mask, np.float32), rowvar=False) - np.eye(64)
        assert abs(correlation).max() < 5 / 4000**0.5, keep


def test_rows_of_a_mask_do_not_depend_on_how_many_there_are():
    for keep in (0.5, 0.8):
        few, many = keep_mask(KEY, keep, (3, 50)), keep_mask(KEY, keep, (8, 50))
        np.testing.assert_array_equal(few, many[:3])


def test_the_papers_dropout_masks_in_training_and_scales_in_evaluation():
    x = jnp.ones((64, 500))
    dropout = Dropout(rate=0.2, inverted=False)
    trained = dropout.apply({}, x, train=True, rngs={"dropout": KEY})
    assert set(np.unique(trained)) == {0.0, 1.0}
    assert abs(trained.mean() - 0.8) < 0.01
    np.testing.assert_allclose(dropout.apply({}, x, train=False), 0.8)


def test_inverted_dropout_scales_in_training_and_is_the_identity_in_evaluation():
    x = jnp.ones((64, 500))
    dropout = Dropout(rate=0.2, inverted=True)
    trained = dropout.apply({}, x, train=True, rngs={"dropout": KEY})
    np.testing.assert_allclose(np.unique(trained), [0.0, 1.25])
    assert abs(trained.mean() - 1) < 0.01
    np.testing.assert_array_equal(dropout.apply({}, x, train=False), x)


def test_dropout_of_rate_0_is_the_identity_and_draws_nothing():
    x = jnp.linspace(0, 1, 40).reshape(4, 10)
    for inverted, train in itertools.product((False, True), (False, True)):
        np.testing.assert_array_equal(Dropout(rate=0.0, inverted=inverted).apply({}, x, train=train), x)


def test_every_layer_draws_its_own_mask():
    """Hidden layers of one width have the same dropout, but not the same mask."""
    model = Classifier(NETWORK.replace(hidden=(64, 64)), 3, 0.5, 0.5)
    params = jax.tree.map(np.ones_like, initial(model, 64))

    @jax.jit
    def forward_with_intermediates(images):
        return model.apply(
            {"params": params},
            images,
            train=True,
            rngs={"dropout": KEY},
            capture_intermediates=lambda module, _: isinstance(module, Dropout),
        )

    _, seen = forward_with_intermediates(np.ones((9, 64), np.float32))
    outputs = [*seen["intermediates"]["visible"]["__call__"], *seen["intermediates"]["drop"]["__call__"]]
    masks = [np.asarray(output) != 0 for output in outputs]
    assert len(masks) == 3
    agreement = [np.mean(masks[one] == masks[other]) for one, other in ((0, 1), (0, 2), (1, 2))]
    np.testing.assert_allclose(agreement, 0.5, atol=0.1)


# ---- the classifier


def test_a_classifier_by_hand():
    x = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 12)
    for inverted, keep_visible, keep_hidden in ((False, 0.8, 0.5), (True, 1.0, 1.0)):
        model = Classifier(NETWORK.replace(hidden=(8, 5), inverted_dropout=inverted), 3, 0.2, 0.5)
        params = initial(model)
        assert sorted(params) == ["hidden", "hidden_1", "output"]
        hidden = keep_hidden * relu(dense(params, "hidden", keep_visible * x))
        expected = dense(params, "output", keep_hidden * relu(dense(params, "hidden_1", hidden)))
        logits = apply(model, params, x)
        chex.assert_type(logits, jnp.float32)
        np.testing.assert_allclose(logits, expected, rtol=1e-5)


def test_a_forward_pass_in_training_depends_on_its_key_alone():
    model = Classifier(NETWORK.replace(hidden=(64,)), 3, 0.2, 0.5, 0.5)
    params, images = initial(model), np.ones((2, 12), np.float32)
    one, same, other = (apply(model, params, images, jax.random.key(seed)) for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


def test_input_noise_is_added_in_training_only_and_has_its_standard_deviation():
    """Seen through a network that is the identity."""
    model = Classifier(NETWORK.replace(hidden=(50,)), 50, input_noise=0.5)
    through = {
        "hidden": {"kernel": np.eye(50, dtype=np.float32), "bias": np.full(50, 10, np.float32)},
        "output": {"kernel": np.eye(50, dtype=np.float32), "bias": np.full(50, -10, np.float32)},
    }
    images = np.ones((100, 50), np.float32)
    np.testing.assert_allclose(apply(model, through, images), images, atol=1e-5)
    noise = np.asarray(apply(model, through, images, KEY)) - images
    np.testing.assert_allclose(noise.std(), 0.5, rtol=0.05)
    np.testing.assert_allclose(noise.mean(), 0.0, atol=0.02)
    np.testing.assert_allclose(noise.mean(axis=0), 0.0, atol=0.25)
    np.testing.assert_allclose(noise.mean(axis=1), 0.0, atol=0.35)


# ---- the auto-encoder


def test_a_tied_autoencoder_by_hand():
    x = np.linspace(0, 1, 14, dtype=np.float32).reshape(2, 7)
    for inverted, scale in ((False, 0.5), (True, 1.0)):
        model = Autoencoder(NETWORK.replace(hidden=(5,), inverted_dropout=inverted), (), 0.5)
        params = initial(model, 7)
        hidden = scale * relu(dense(params, "hidden", x))
        expected = hidden @ params["hidden"]["kernel"].T + params["reconstruction_bias"][None]
        np.testing.assert_allclose(apply(model, params, x), expected, rtol=1e-5)


def test_an_autoencoder_with_a_bottleneck_by_hand():
    model = Autoencoder(NETWORK.replace(hidden=(5,)), (3, 2), 0.2)
    params = initial(model, 7)
    layers = ("hidden", "bottleneck_0", "bottleneck_1", "decoder", "reconstruction")
    assert sorted(params) == sorted(layers)
    x = np.linspace(0, 1, 14, dtype=np.float32).reshape(2, 7)
    expected = x
    for layer in layers:
        expected = dense(params, layer, expected)
        if layer != "reconstruction":
            expected = relu(expected) * (0.8 if layer in ("hidden", "decoder") else 1.0)
    np.testing.assert_allclose(apply(model, params, x), expected, rtol=1e-5)


# ---- sizes and initial weights


def test_a_network_has_the_number_of_parameters_of_its_publication():
    images = jax.ShapeDtypeStruct((60_000, 784), np.uint8)
    for config, phase, count in (
        (lee2013.SCENARIOS["pl"], -1, 3_975_010),
        (arab2022.SCENARIOS["pl"], -1, 3_975_010),
        (arab2022.SCENARIOS["pl_dae"], 0, 9_151_680),
        (quick.SCENARIOS["pl_dae"], 0, 784 * 1000 + 1000 + 784),  # tied
    ):
        params, _ = shapes(config, images, 10)[phase]
        assert parameter_count(params) == count, (config.protocol, config.scenario)


def test_initial_weights_have_their_standard_deviation_and_biases_are_0():
    for kind, deviation in (("normal", 0.01), ("glorot", (2 / (300 + 200)) ** 0.5)):
        network = NETWORK.replace(hidden=(200,), initial_weights=kind)
        for model in (Classifier(network, 3), Autoencoder(network, (9,))):
            params = jax.jit(model.init)(KEY, np.zeros((1, 300), np.float32))["params"]
            np.testing.assert_allclose(np.std(params["hidden"]["kernel"]), deviation, rtol=0.02)
            assert not any(np.any(layer["bias"]) for layer in params.values())


# ---- inputs, and the transfer of layers


def test_in_blocks_is_the_function_of_all_rows(monkeypatch):
    monkeypatch.setattr(networks, "BLOCK_ROWS", 4)
    generator = np.random.default_rng(0)
    weights = generator.normal(size=(12, 3)).astype(np.float32)
    for rows in (3, 8, 11):
        images = generator.integers(0, 256, (rows, 12)).astype(np.uint8)
        blocks = jax.jit(lambda images: in_blocks(lambda block: block @ weights, images))(images)
        np.testing.assert_allclose(blocks, images / 255 @ weights, rtol=1e-4, atol=1e-5, err_msg=str(rows))


def test_pixels_are_scaled_to_the_unit_interval_and_other_features_unchanged():
    pixels = to_inputs(jnp.array([0, 51, 255], jnp.uint8))
    np.testing.assert_allclose(pixels, [0, 0.2, 1], rtol=1e-6)
    chex.assert_type(pixels, jnp.float32)
    features = jnp.array([-3.5, 0.0, 1e30], jnp.float32)
    np.testing.assert_array_equal(to_inputs(features), features)
    chex.assert_type(to_inputs(features), jnp.float32)


def test_a_transfer_replaces_the_layers_of_the_donor_and_no_other():
    params = initial(Classifier(NETWORK, 3))
    donor = {"hidden": jax.tree.map(lambda leaf: leaf + 1, params["hidden"])}
    chex.assert_trees_all_equal(transfer(donor, params), {**params, **donor})
    chex.assert_trees_all_equal(transfer({}, params), params)


def test_a_transfer_that_does_not_fit_is_an_error():
    params = initial(Classifier(NETWORK, 3))
    with pytest.raises(ValueError, match="no layer 'encoder'"):
        transfer({"encoder": params["hidden"]}, params)
    with pytest.raises(ValueError, match="has shapes"):
        transfer({"hidden": params["output"]}, params)


def test_all_finite_finds_a_single_nan_or_infinity():
    params = {"a": jnp.ones((3, 3)), "b": jnp.ones(2)}
    assert networks.all_finite(params)
    for bad in (jnp.nan, jnp.inf):
        assert not networks.all_finite({**params, "a": params["a"].at[1, 2].set(bad)})
