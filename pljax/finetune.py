"""The classifier, trained with labels and pseudo-labels. Everything here is written for one seed.

:func:`train_step` is section 2.4 of Lee (2013); :func:`trainer` puts an epoch around it.
"""

import functools
from typing import Any, NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from pljax import losses, optimizers, schedules
from pljax.columns import linear, linear_gradient, lit_columns
from pljax.config import Config, Dropout, Finetune, PseudoLabels
from pljax.models import (
    Classifier,
    all_finite,
    forward,
    predict,
    to_inputs,
    transplant,
)
from pljax.types import Evaluation, Labelling, Metrics, Params, Split, Trainer, TrainingData, TrainState

# What the keys of the phase are for.
INIT, LABELLED_ORDER, UNLABELLED_DRAW, DROPOUT = range(4)

WATCHED = 1000  # unlabelled images whose pseudo-labels are followed through the epochs


class Batch(NamedTuple):
    """The images of one update. The unlabelled ones are absent where alpha(t) is 0."""

    images: jax.Array  # float32 [B, D]
    labels: jax.Array  # int32 [B]
    weights: jax.Array  # float32 [B], 0 or 1: 0 for the rows that a short last mini-batch lacks
    unlabelled: jax.Array | None = None  # float32 [B', D]
    pseudo_labels: jax.Array | None = None  # int32 [B'], or None: label them now
    shares: jax.Array | None = None  # float32 [C], of the classes among the labelled rows, for alignment
    columns: jax.Array | None = None  # int32 [K]: all features that are not 0 in every image; D and beyond: none


class Step(NamedTuple):
    """What every update of a phase has in common."""

    model: Classifier
    optimizer: optax.GradientTransformation
    output: losses.Output
    threshold: float = 0.0  # of pseudo-labels
    alignment: float = 0.0


def train_step(
    step: Step, state: TrainState, batch: Batch, alpha: jax.Array, key: jax.Array
) -> tuple[TrainState, jax.Array, jax.Array | None]:
    r"""One update of the network by eq. 15,

    .. math::
        L = \frac{1}{B} \sum_{m=1}^{B} \sum_{i=1}^{C} l(y_i^m, f_i^m)
          + \alpha(t) \frac{1}{B'} \sum_{m=1}^{B'} \sum_{i=1}^{C} l(y_i'^m, f_i'^m)

    where :math:`y'` are pseudo-labels: the classes (eq. 14) that the network itself, with dropout off,
    gives the unlabelled images before this update. Labelled and unlabelled rows go through the network
    together.

    Args:
      step: the model, the optimizer and the kind of output, all static.
      state: the parameters and the optimizer's state.
      batch: ``B`` labelled and ``B'`` (or no) unlabelled images.
      alpha: float32 [], the weight alpha(t).
      key: draws this update's dropout masks.

    Returns:
      The next state; the two loss terms, float32 [2], the second NaN without unlabelled images; and the pseudo-labels
      that these were given, int32 ``[B']``, -1 for none.
    """
    chex.assert_rank([batch.images, batch.labels, batch.weights], [2, 1, 1])
    model, params, pseudo_labels = step.model, state.params, batch.pseudo_labels
    images = batch.images if batch.unlabelled is None else jnp.concatenate([batch.images, batch.unlabelled])
    inputs = forward(model, {}, images, key, "inputs")
    if batch.unlabelled is None or pseudo_labels is not None:
        z = linear(params["hidden"], inputs, batch.columns)
    else:
        # One product for both passes: with dropout and, in the last rows, without. Undisturbed inputs serve both.
        disturbed = model.visible_dropout or model.input_noise
        clean = forward(model, {}, batch.unlabelled, part="inputs") if disturbed else inputs[:0]
        both = linear(params["hidden"], jnp.concatenate([inputs, clean]), batch.columns)
        z, z_clean = both[: len(inputs)], both[-len(batch.unlabelled) :]
        logits = forward(model, params, z_clean, part="upper")
        logits = logits if batch.shares is None else losses.align(logits, batch.shares, step.alignment)
        pseudo_labels = losses.pseudo_label(logits, step.output, step.threshold)

    def objective(upper: Params, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        logits = forward(model, upper, z, key, "upper")
        labelled, unlabelled = jnp.split(logits, [len(batch.labels)])
        supervised = losses.supervised_loss(labelled, batch.labels, batch.weights, step.output)
        if pseudo_labels is None:
            return supervised, jnp.stack([supervised, jnp.nan])
        unsupervised = losses.pseudo_label_loss(unlabelled, pseudo_labels, step.output)
        return supervised + alpha * unsupervised, jnp.stack([supervised, unsupervised])

    upper = {layer: weights for layer, weights in params.items() if layer != "hidden"}
    (gradients, z_gradient), terms = jax.grad(objective, argnums=(0, 1), has_aux=True)(upper, z)
    gradients = {**gradients, "hidden": linear_gradient(inputs, z_gradient, batch.columns)}
    updates, opt_state = step.optimizer.update(gradients, state.opt_state, params)
    return TrainState(optax.apply_updates(params, updates), opt_state, state.pseudo_labels), terms, pseudo_labels


def labelled_batches(key: jax.Array, labelled: int, batch_size: int, filled: bool) -> tuple[jax.Array, jax.Array]:
    """One shuffled pass over the labelled images, cut into mini-batches.

    A last mini-batch that the pass does not fill is filled up from the start of the pass. Those rows have
    weight 1 if it is to be ``filled``; otherwise they have weight 0, and it counts as a short one.

    Returns:
      Positions in the labelled set, int32 ``[updates, B]``, and weights, float32 ``[updates, B]``, with ``B``
      the smaller of ``batch_size`` and ``labelled``: no image is in a mini-batch twice.
    """
    size = min(batch_size, labelled)
    updates = -(-labelled // size)
    places = jnp.arange(updates * size)
    order = jax.random.permutation(key, labelled).astype(jnp.int32)
    weights = jnp.where(filled | (places < labelled), 1.0, 0.0)
    return order[places % labelled].reshape(updates, size), weights.reshape(updates, size)


def shuffle_buffer(key: jax.Array, draws: int, size: int) -> jax.Array:
    """The positions that a shuffling buffer lets through: ``tf.data``'s ``shuffle(size)`` on a fresh stream.

    The buffer starts with positions 0 to ``size - 1``; each draw takes a random place of it and refills
    that place with the stream's next position. Only the first ``size + draws - 1`` positions can appear.

    Returns:
      int32 ``[draws]``.
    """
    places = jax.random.randint(key, (draws,), 0, size)

    def draw(buffer: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        place, following = now
        return buffer.at[place].set(following), buffer[place]

    return jax.lax.scan(draw, jnp.arange(size, dtype=jnp.int32), (places, size + jnp.arange(draws, dtype=jnp.int32)))[1]


def pool(pseudo: PseudoLabels, updates: int, split: Split, data: TrainingData) -> jax.Array:
    """The training images that pseudo-labels are for, as indices, int32 ``[P]``."""
    if pseudo.draw == "uniform":
        return split.unlabelled
    reach = min(pseudo.buffer_size + updates * pseudo.batch_size, data.images.shape[0])
    return jnp.arange(reach, dtype=jnp.int32)


def draw(key: jax.Array, pseudo: PseudoLabels, updates: int, size: int) -> jax.Array:
    """The unlabelled mini-batches of an epoch, as positions in a pool of ``size``: int32 ``[updates, B']``.

    Uniform draws are with replacement: an update needs no memory of the ones before, and an epoch of
    the paper sees but a sixtieth of the pool.
    """
    draws = updates * pseudo.batch_size
    if pseudo.draw == "uniform":
        positions = jax.random.randint(key, (draws,), 0, size)
    else:
        positions = shuffle_buffer(key, draws, min(pseudo.buffer_size, size)) % size
    return positions.reshape(updates, pseudo.batch_size)


def classifier(config: Config, phase: Finetune, classes: int) -> Classifier:
    """The network of a config with the dropout of one of its phases."""
    dropout = phase.dropout or Dropout(0.0, 0.0)
    return Classifier(
        widths=config.hidden,
        classes=classes,
        visible_dropout=dropout.visible,
        hidden_dropout=dropout.hidden,
        inverted_dropout=config.inverted_dropout,
        initial_weights=config.initial_weights,
        input_noise=phase.input_noise,
    )


class Plan(NamedTuple):
    """What is fixed for all epochs of a phase."""

    step: Step
    optimizer: optimizers.ScheduledOptimizer
    pseudo: PseudoLabels | None
    alpha: optax.Schedule
    labels: int
    batch_size: int
    fills_batches: bool
    updates: int  # an epoch


def labelled_shares(plan: Plan, split: Split, data: TrainingData) -> jax.Array | None:
    """The classes' shares among the labelled images, float32 ``[C]``, where pseudo-labels are aligned with them."""
    if not plan.step.alignment:
        return None
    counts = jnp.bincount(data.labels[split.labelled], length=plan.step.model.classes)
    return counts.astype(jnp.float32) / plan.labels


def init(plan: Plan, key: jax.Array, handed_on: Params, split: Split, data: TrainingData) -> TrainState:
    """Fresh weights, the layers that an earlier phase handed on in their place, and labels given once."""
    blank = jnp.zeros((1, data.images.shape[1]), jnp.float32)
    fresh = plan.step.model.init(jax.random.fold_in(key, INIT), blank)["params"]
    params = transplant(handed_on, fresh)
    labels = None
    if plan.pseudo is not None and plan.pseudo.assign == "once":
        candidates = pool(plan.pseudo, plan.updates, split, data)
        logits = predict(plan.step.model, params, data.images[candidates])
        if (shares := labelled_shares(plan, split, data)) is not None:
            logits = losses.align(logits, shares, plan.step.alignment)
        labels = losses.pseudo_label(logits, plan.step.output, plan.step.threshold)
    return TrainState(params, plan.step.optimizer.init(params), labels)


def train_epoch(
    plan: Plan, key: jax.Array, t: jax.Array, alpha: jax.Array, state: TrainState, split: Split, data: TrainingData
) -> tuple[TrainState, jax.Array, Labelling | None]:
    """All updates of epoch ``t``; also the loss terms of each, float32 ``[updates, 2]``, and what was labelled how.

    Where alpha is 0 the unlabelled images are not even looked at, and where the columns that are not 0 have room,
    the others are left out of the products. Both hold for a whole epoch, so a condition on them costs nothing.
    """

    def key_for(purpose: int) -> jax.Array:
        return jax.random.fold_in(jax.random.fold_in(key, purpose), t)

    def update(state: TrainState, now: tuple[Any, ...]) -> tuple[TrainState, tuple[jax.Array, jax.Array | None]]:
        number, positions, weights, drawn = now
        rows = split.labelled[positions]
        batch = Batch(to_inputs(data.images[rows]), data.labels[rows], weights)
        if drawn is not None:
            unlabelled, labels, columns = drawn
            images = to_inputs(data.images[unlabelled])
            batch = batch._replace(unlabelled=images, pseudo_labels=labels, columns=columns, shares=shares)
        state, terms, given = train_step(plan.step, state, batch, alpha, jax.random.fold_in(key_for(DROPOUT), number))
        return state, (terms, given)

    shares = labelled_shares(plan, split, data)
    labelled = labelled_batches(key_for(LABELLED_ORDER), plan.labels, plan.batch_size, plan.fills_batches)

    def epoch_with(drawn: tuple[jax.Array | None, ...] | None) -> tuple[TrainState, tuple[jax.Array, jax.Array | None]]:
        return jax.lax.scan(update, state, (jnp.arange(plan.updates), *labelled, drawn))

    def epoch_without() -> tuple[TrainState, tuple[jax.Array, jax.Array]]:
        state, (terms, _) = epoch_with(None)
        return state, (terms, jnp.full_like(drawn, -1))

    if plan.pseudo is None:
        state, (terms, _) = epoch_with(None)
        return state, terms, None
    candidates = pool(plan.pseudo, plan.updates, split, data)
    positions = draw(key_for(UNLABELLED_DRAW), plan.pseudo, plan.updates, len(candidates))
    given_once = None if state.pseudo_labels is None else state.pseudo_labels[positions]
    drawn = candidates[positions]
    ways = [epoch_without, lambda: epoch_with((drawn, given_once, None))]
    way = (alpha > 0).astype(jnp.int32)
    if data.columns is not None:
        rows = jnp.concatenate([split.labelled[labelled[0]], drawn], axis=1)
        columns, fit = lit_columns(data.images[rows], data.columns)
        ways.append(lambda: epoch_with((drawn, given_once, columns)))
        way *= jnp.where(fit.all(), 2, 1)
    state, (terms, given) = jax.lax.switch(way, ways)
    return state, terms, Labelling(drawn.ravel(), given.ravel())


def advance(
    plan: Plan, key: jax.Array, t: jax.Array, state: TrainState, split: Split, data: TrainingData
) -> tuple[TrainState, Metrics, Labelling | None]:
    """Epoch ``t``, and the pseudo-labels that were given in it, if the phase gives any.

    Metrics: ``labelled_loss`` and ``unlabelled_loss`` (means over the updates; the latter is NaN where alpha(t)
    is 0), ``alpha``, ``learning_rate`` and ``momentum`` (at the first update), and ``finite``.
    """
    alpha = jnp.asarray(plan.alpha(t), jnp.float32)
    state, terms, labelling = train_epoch(plan, key, t, alpha, state, split, data)
    labelled_loss, unlabelled_loss = terms.mean(axis=0)
    first = t * plan.updates
    metrics = {
        "labelled_loss": labelled_loss,
        "unlabelled_loss": unlabelled_loss,
        "alpha": alpha,
        "learning_rate": jnp.asarray(plan.optimizer.learning_rate(first), jnp.float32),
        "momentum": jnp.asarray(plan.optimizer.momentum(first), jnp.float32),
        "finite": all_finite(state.params) & jnp.isfinite(labelled_loss),
    }
    return state, metrics, labelling


def accuracy(predicted: jax.Array, truth: jax.Array) -> jax.Array:
    """The share of right ones among those whose class is known (``truth`` is not -1), float32 []; NaN of none."""
    known = truth >= 0
    return (known & (predicted == truth)).sum() / known.sum()


def evaluate(plan: Plan, state: TrainState, split: Split, data: TrainingData) -> Evaluation:
    """The network with dropout off, against labels it never learns from.

    Metrics: ``validation_accuracy`` on the validation images; ``unlabelled_accuracy`` on the first ``WATCHED``
    unlabelled images, against their hidden labels; ``pseudo_label_accuracy`` of the pseudo-labels in use, against
    the hidden labels. Each is NaN where there is nothing to measure it on.
    """
    validation, watched = split.validation, split.unlabelled[:WATCHED]
    rows = jnp.concatenate([validation, watched])
    predicted = losses.pseudo_label(predict(plan.step.model, state.params, data.images[rows]))
    truth = data.labels[rows]
    metrics = {
        "validation_accuracy": accuracy(predicted[: len(validation)], truth[: len(validation)]),
        "unlabelled_accuracy": accuracy(predicted[len(validation) :], truth[len(validation) :]),
        "pseudo_label_accuracy": jnp.asarray(jnp.nan, jnp.float32),
    }
    if plan.pseudo is None:
        return Evaluation(metrics)
    if state.pseudo_labels is not None:
        truth = data.labels[pool(plan.pseudo, plan.updates, split, data)]
        metrics["pseudo_label_accuracy"] = accuracy(state.pseudo_labels, truth)
        return Evaluation(metrics, state.pseudo_labels)
    metrics["pseudo_label_accuracy"] = metrics["unlabelled_accuracy"]
    return Evaluation(metrics, predicted[len(validation) :])


def trainer(config: Config, phase: Finetune, classes: int) -> Trainer:
    """The phase as functions of one seed: :func:`init`, :func:`advance` and :func:`evaluate` under one plan."""
    updates = -(-config.labels // phase.batch_size)
    optimizer = optimizers.make(phase.optimizer, updates)
    pseudo = phase.pseudo_labels
    plan = Plan(
        step=Step(
            classifier(config, phase, classes),
            optimizer.transform,
            config.output,
            *((pseudo.threshold, pseudo.alignment) if pseudo else ()),
        ),
        optimizer=optimizer,
        pseudo=pseudo,
        alpha=schedules.alpha(pseudo.alpha_f, pseudo.t1, pseudo.t2) if pseudo else optax.constant_schedule(0.0),
        labels=config.labels,
        batch_size=phase.batch_size,
        fills_batches=phase.last_batch == "filled",
        updates=updates,
    )
    return Trainer(
        epochs=phase.epochs,
        rounds=1,
        updates=updates,
        init=functools.partial(init, plan),
        advance=functools.partial(advance, plan),
        evaluate=functools.partial(evaluate, plan),
        hand_on=lambda state: state.params,
        alpha=plan.alpha if pseudo else None,
    )
