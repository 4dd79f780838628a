import dataclasses
import functools

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from pljax import losses, pretrain, split
from pljax.config import Adam, Config, Finetune, GradientDescent, Pretrain
from pljax.models import DenoisingAutoencoder, forward
from pljax.seeds import over_seeds, seed_keys
from pljax.types import TrainingData, TrainState

TIED = Pretrain(2, 6, 16, Adam(0.01), "masking", 0.5, hidden_dropout=0.5)
SQUARED = dataclasses.replace(TIED, error="squared")
DEEP = Pretrain(2, 6, 16, Adam(0.01), "gaussian", 0.5, hidden_dropout=0.5, bottleneck=(6, 4, 6), loss="mean")


@functools.cache
def compiled(phase):
    config = Config(
        "test",
        "pl_dae",
        (phase, Finetune(1, 5, GradientDescent(0.1))),
        (12,),
        "glorot",
        False,
        "sigmoid",
        labels=8,
        validation=20,
    )
    trainer = pretrain.trainer(config, phase)
    return trainer._replace(init=jax.jit(trainer.init), advance=jax.jit(trainer.advance))


@pytest.fixture(scope="module")
def data(blobs):
    return TrainingData(jnp.asarray(blobs.train_images), jnp.asarray(blobs.train_labels))


@jax.jit
def split_of(key, data):
    return split.make(key, data.labels, classes=4, labels=8, validation=20, choose="random")


def train(phase, data, seed=0, rounds=2):
    trainer, key = compiled(phase), jax.random.key(seed)
    parts = split_of(key, data)
    state, losses = trainer.init(key, {}, parts, data), []
    for t in range(rounds):
        state, metrics, _ = trainer.advance(key, jnp.int32(t), state, parts, data)
        losses.append(float(metrics["reconstruction_loss"]))
    return state, losses


@pytest.mark.parametrize("phase", [TIED, SQUARED, DEEP])
def test_reconstruction_is_learned(phase, data):
    _, losses = train(phase, data, rounds=40)
    assert np.mean(losses[-3:]) < 0.95 * losses[0]


def whole_gradient(model, params, images, corrupted, key, reduction, error):
    def objective(params):
        logits = forward(model, params, corrupted, key)
        return losses.reconstruction_loss(logits, images, reduction, error)

    return jax.value_and_grad(objective)(params)


@pytest.mark.parametrize("bottleneck", [(), (6, 4, 6)])
@pytest.mark.parametrize("room", [None, 12])
@pytest.mark.parametrize("error", ["cross_entropy", "squared"])
def test_the_steps_own_product_has_the_gradient_of_the_whole_network(blobs, bottleneck, room, error):
    model, key = DenoisingAutoencoder(9, bottleneck, 0.5, False, "glorot"), jax.random.key(3)
    images = jnp.asarray(blobs.train_images[:8], jnp.float32) / 255
    corrupted = pretrain.mask_pixels(key, images, 0.5).at[:, jnp.array([2, 6, 7])].set(0)
    params = model.init(key, images)["params"]
    step = pretrain.Step(model, optax.sgd(1.0), "sum", error)
    lit = None if room is None else jnp.array([0, 1, 3, 4, 5, 8, 9, 10, 11, 12, 12, 12], jnp.int32)
    state, loss = pretrain.train_step(
        step, TrainState(params, step.optimizer.init(params)), images, corrupted, key, lit
    )
    expected = whole_gradient(model, params, images, corrupted, key, "sum", error)
    by_hand = jax.tree.map(jnp.subtract, params, state.params)
    chex.assert_trees_all_close((loss, by_hand), expected, atol=1e-5)


@pytest.mark.parametrize("room", [12, 11, 3])  # for all columns; for those of most mini-batches; for those of none
def test_columns_that_are_0_are_left_out_and_change_nothing(data, room):
    lit = np.random.default_rng(1).random(data.images.shape) < 0.1
    sparse = data.replace(images=data.images * jnp.asarray(lit, jnp.uint8))
    chex.assert_trees_all_close(train(TIED, sparse.replace(columns=room)), train(TIED, sparse), atol=1e-5)


def test_features_of_any_sign_are_reconstructed_with_squared_errors(data):
    features = (data.images.astype(jnp.float32) - 100) / 50
    _, losses = train(SQUARED, data.replace(images=features), rounds=40)
    assert np.mean(losses[-3:]) < 0.95 * losses[0]


@pytest.mark.parametrize("phase", [TIED, DEEP])
def test_labels_and_validation_images_are_not_looked_at(phase, data):
    parts = split_of(jax.random.key(0), data)
    other = data.replace(images=data.images.at[parts.validation].set(0), labels=jnp.zeros_like(data.labels))
    trainer, key = compiled(phase), jax.random.key(0)
    for t in range(2):
        one = trainer.advance(key, jnp.int32(t), trainer.init(key, {}, parts, data), parts, data)
        two = trainer.advance(key, jnp.int32(t), trainer.init(key, {}, parts, data), parts, other)
        chex.assert_trees_all_equal(one, two)


@pytest.mark.parametrize("phase", [TIED, DEEP])
def test_stacked_seeds_are_the_seeds_alone(phase, data):
    trainer, keys = compiled(phase), seed_keys([4, 1])
    parts = over_seeds(split_of, (0, None))(keys, data)
    state = over_seeds(trainer.init, (0, None, 0, None))(keys, {}, parts, data)
    advance = over_seeds(trainer.advance, (0, None, 0, 0, None))
    for t in range(2):
        state, _, _ = advance(keys, jnp.int32(t), state, parts, data)
    for place, seed in enumerate([4, 1]):
        alone, _ = train(phase, data, seed)
        chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[place], state.params), alone.params, atol=1e-5)  # noqa: B023


def test_nothing_is_labelled(data):
    trainer, key = compiled(TIED), jax.random.key(0)
    parts = split_of(key, data)
    assert trainer.advance(key, jnp.int32(0), trainer.init(key, {}, parts, data), parts, data)[2] is None


def test_only_the_first_layer_is_handed_on(data):
    state, _ = train(TIED, data)
    handed_on = compiled(TIED).hand_on(state)
    assert list(handed_on) == ["hidden"]
    chex.assert_trees_all_equal(handed_on["hidden"], state.params["hidden"])


def test_masking_noise_blackens_a_share_of_the_pixels():
    images = jnp.ones((200, 300))
    masked = pretrain.mask_pixels(jax.random.key(0), images, 0.3)
    assert set(np.unique(masked)) == {0.0, 1.0}
    assert abs((masked == 0).mean() - 0.3) < 0.01


def test_gaussian_noise_belongs_to_the_image_and_not_to_the_update():
    key, images = jax.random.key(0), jnp.full((5, 400), 0.5)
    rows = jnp.array([7, 3, 9, 3, 1])
    noisy = pretrain.blur_once(key, images, rows, 0.1)
    np.testing.assert_array_equal(noisy[1], noisy[3])
    assert (noisy[0] != noisy[1]).any()
    np.testing.assert_array_equal(noisy[2], pretrain.blur_once(key, images[:1], rows[2:3], 0.1)[0])
    assert abs(float(noisy.std()) - 0.1) < 0.01
    strong = pretrain.blur_once(key, images, rows, 5.0)
    assert strong.min() == 0
    assert strong.max() == 1


@pytest.mark.parametrize(("updates", "rounds"), [(234, 9), (1875, 75), (30, 1), (31, 31), (1, 1)])
def test_an_epoch_is_cut_into_equal_short_rounds(updates, rounds):
    assert pretrain.rounds_per_epoch(updates) == rounds
    assert updates % rounds == 0
    assert updates // rounds <= pretrain.ROUND_UPDATES


def test_the_gradient_of_a_tied_weight_comes_through_both_its_uses():
    model = DenoisingAutoencoder(5, (), 0.0, False, "glorot")
    images = jax.random.uniform(jax.random.key(1), (3, 7))
    params = model.init(jax.random.key(0), images)["params"]

    def untied(encoder, decoder):
        hidden = jax.nn.relu(images @ encoder + params["hidden"]["bias"][None])
        return ((hidden @ decoder.T + params["reconstruction_bias"][None]) ** 2).sum()

    def tied(kernel):
        changed = {**params, "hidden": {**params["hidden"], "kernel": kernel}}
        return (model.apply({"params": changed}, images) ** 2).sum()

    kernel = params["hidden"]["kernel"]
    through_encoder, through_decoder = jax.grad(untied, argnums=(0, 1))(kernel, kernel)
    np.testing.assert_allclose(jax.grad(tied)(kernel), through_encoder + through_decoder, rtol=1e-4, atol=1e-5)


def test_noise_is_drawn_anew_at_every_update_where_it_masks(data):
    """Two rounds on the same weights and images differ: the masks do."""
    trainer, key = compiled(dataclasses.replace(TIED, hidden_dropout=0.0)), jax.random.key(0)
    parts = split_of(key, data)
    state = trainer.init(key, {}, parts, data)
    one, two = (trainer.advance(key, jnp.int32(t), state, parts, data)[1]["reconstruction_loss"] for t in (0, 1))
    assert float(one) != float(two)
