"""The denoising auto-encoder whose first layer the classifier starts from. Everything is written for one seed."""

import functools
from typing import Any, Literal, NamedTuple

import chex
import flax.linen as nn
import jax
import jax.numpy as jnp
import optax

from pljax import losses, optimizers
from pljax.columns import linear, linear_gradient, lit_columns
from pljax.config import Config, Pretrain
from pljax.models import DenoisingAutoencoder, all_finite, keep_mask, to_inputs, transplant
from pljax.types import Evaluation, Metrics, Params, Split, Trainer, TrainingData, TrainState

# What the keys of the phase are for.
INIT, DRAW, CORRUPTION, DROPOUT = range(4)

ROUND_UPDATES = 30  # a round is the largest equal part of an epoch with at most so many updates


class Step(NamedTuple):
    """What every update of a phase has in common."""

    model: nn.Module
    optimizer: optax.GradientTransformation
    reduction: Literal["sum", "mean"]
    error: Literal["cross_entropy", "squared"] = "cross_entropy"


def train_step(
    step: Step,
    state: TrainState,
    images: jax.Array,
    corrupted: jax.Array,
    key: jax.Array,
    columns: jax.Array | None = None,
) -> tuple[TrainState, jax.Array]:
    """One update of the auto-encoder: reconstruct ``images`` from ``corrupted``, eq. 6-8 of Lee (2013).

    Args:
      step: the model, the optimizer and how the loss sums over pixels, all static.
      state: the parameters and the optimizer's state.
      images: float32 ``[B, D]`` in [0, 1].
      corrupted: float32 ``[B, D]``, the same images with noise.
      key: draws this update's dropout masks.
      columns: int32 ``[K]``, where ``corrupted`` is not 0 in every row: see :func:`pljax.columns.linear`.

    Returns:
      The next state, and the loss, float32 [].
    """
    chex.assert_equal_shape([images, corrupted])
    z = linear(state.params["hidden"], corrupted, columns)

    def objective(params: Params, z: jax.Array) -> jax.Array:
        logits = step.model.apply({"params": params}, corrupted, train=True, z=z, rngs={"dropout": key})
        return losses.reconstruction_loss(jnp.asarray(logits), images, step.reduction, step.error)

    loss, (gradients, z_gradient) = jax.value_and_grad(objective, argnums=(0, 1))(state.params, z)
    # The first layer is used twice where the weights are tied: its gradient as a decoder is there already.
    encoder = linear_gradient(corrupted, z_gradient, columns)
    gradients = {**gradients, "hidden": jax.tree.map(jnp.add, gradients["hidden"], encoder)}
    updates, opt_state = step.optimizer.update(gradients, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), opt_state), loss


def mask_pixels(key: jax.Array, images: jax.Array, level: float) -> jax.Array:
    """Masking noise: each pixel is set to 0 with probability ``level``."""
    return jnp.where(keep_mask(key, 1 - level, images.shape), images, 0)


def blur_once(key: jax.Array, images: jax.Array, rows: jax.Array, level: float) -> jax.Array:
    """Gaussian noise of standard deviation ``level``, clipped to [0, 1].

    It depends on the key and on each image's index in ``rows``, so that an image is given the same noise
    every time: that is the noise drawn once for the whole set, without the memory to hold it.
    """
    noise = jax.vmap(lambda row: jax.random.normal(jax.random.fold_in(key, row), images.shape[1:]))(rows)
    return jnp.clip(images + level * noise, 0, 1)


def corrupt(phase: Pretrain, key: jax.Array, images: jax.Array, rows: jax.Array) -> jax.Array:
    """Images with the phase's noise: float32 ``[B, D]`` in [0, 1]; ``rows`` are their indices, int32 ``[B]``."""
    if phase.noise == "masking":
        return mask_pixels(key, images, phase.noise_level)
    return blur_once(key, images, rows, phase.noise_level)


def rounds_per_epoch(updates_per_epoch: int) -> int:
    """How many equal rounds of at most ``ROUND_UPDATES`` updates an epoch is cut into.

    >>> rounds_per_epoch(234), rounds_per_epoch(1875), rounds_per_epoch(4)
    (9, 75, 1)
    """
    fewest = -(-updates_per_epoch // ROUND_UPDATES)
    return next(rounds for rounds in range(fewest, updates_per_epoch + 1) if updates_per_epoch % rounds == 0)


def autoencoder(config: Config, phase: Pretrain) -> DenoisingAutoencoder:
    """The auto-encoder whose first layer fits the network of ``config``."""
    return DenoisingAutoencoder(
        config.hidden[0], phase.bottleneck, phase.hidden_dropout, config.inverted_dropout, config.initial_weights
    )


class Plan(NamedTuple):
    """What is fixed for all rounds of a phase."""

    step: Step
    optimizer: optimizers.ScheduledOptimizer
    phase: Pretrain
    updates: int  # a round


def init(plan: Plan, key: jax.Array, handed_on: Params, split: Split, data: TrainingData) -> TrainState:
    """Fresh weights, and the layers that an earlier phase handed on in their place."""
    blank = jnp.zeros((1, data.images.shape[1]), jnp.float32)
    params = transplant(handed_on, plan.step.model.init(jax.random.fold_in(key, INIT), blank)["params"])
    return TrainState(params, plan.step.optimizer.init(params))


def advance(
    plan: Plan, key: jax.Array, t: jax.Array, state: TrainState, split: Split, data: TrainingData
) -> tuple[TrainState, Metrics, None]:
    """Round ``t``. The images are drawn uniformly, with replacement, from the labelled and unlabelled ones.

    Validation images are left out. Metrics: ``reconstruction_loss`` (mean over the round), ``learning_rate`` and
    ``finite``.
    """
    corruption, dropout = jax.random.fold_in(key, CORRUPTION), jax.random.fold_in(key, DROPOUT)
    candidates = jnp.concatenate([split.labelled, split.unlabelled])
    draws = jax.random.fold_in(jax.random.fold_in(key, DRAW), t)
    positions = jax.random.randint(draws, (plan.updates, plan.phase.batch_size), 0, len(candidates))
    first = t * plan.updates

    def update(state: TrainState, now: tuple[Any, ...]) -> tuple[TrainState, jax.Array]:
        number, rows, columns = now
        images = to_inputs(data.images[rows])
        # Masks are drawn anew at every update, the other noise once for all of them.
        noise_key = jax.random.fold_in(corruption, number) if plan.phase.noise == "masking" else corruption
        corrupted = corrupt(plan.phase, noise_key, images, rows)
        return train_step(plan.step, state, images, corrupted, jax.random.fold_in(dropout, number), columns)

    numbers, rows = first + jnp.arange(plan.updates), candidates[positions]
    if data.columns is None or plan.phase.noise != "masking":
        state, losses_of_updates = jax.lax.scan(update, state, (numbers, rows, None))
    else:
        columns, fit = lit_columns(data.images[rows], data.columns)
        state, losses_of_updates = jax.lax.cond(
            fit.all(),
            lambda: jax.lax.scan(update, state, (numbers, rows, columns)),
            lambda: jax.lax.scan(update, state, (numbers, rows, None)),
        )
    loss = losses_of_updates.mean()
    metrics = {
        "reconstruction_loss": loss,
        "learning_rate": jnp.asarray(plan.optimizer.learning_rate(first), jnp.float32),
        "finite": all_finite(state.params) & jnp.isfinite(loss),
    }
    return state, metrics, None


def trainer(config: Config, phase: Pretrain) -> Trainer:
    """The phase as functions of one seed: :func:`init` and :func:`advance` under one plan; hands its first layer on."""
    rounds = rounds_per_epoch(phase.updates_per_epoch)
    optimizer = optimizers.make(phase.optimizer, phase.updates_per_epoch)
    plan = Plan(
        step=Step(autoencoder(config, phase), optimizer.transform, phase.loss, phase.error),
        optimizer=optimizer,
        phase=phase,
        updates=phase.updates_per_epoch // rounds,
    )
    return Trainer(
        epochs=phase.epochs,
        rounds=rounds,
        updates=plan.updates,
        init=functools.partial(init, plan),
        advance=functools.partial(advance, plan),
        evaluate=lambda state, split, data: Evaluation({}),
        hand_on=lambda state: {"hidden": state.params["hidden"]},
        alpha=None,
    )
