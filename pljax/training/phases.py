"""A training phase as pure functions of one seed: initial state, training rounds, and evaluation.

The unit of work is a *round*: an epoch, or an equal part of a long epoch, so that progress is shown and a signal is
handled within seconds. The number ``t`` of the round is an argument, not a field of the state, because all seeds share
it: a condition on it stays a branch under ``vmap``.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from pljax.data.batches import BatchIndices
from pljax.methods.base import Aux, Batch
from pljax.nn.losses import pseudo_label
from pljax.nn.networks import all_finite, in_blocks, to_inputs
from pljax.protocols.config import Config, Phase, shapes
from pljax.results.result import MONITORED_IMAGES
from pljax.training.step import train_step
from pljax.types import AssignedLabels, Evaluation, InputError, Metrics, Params, Split, TrainingData, TrainState

# The names in metrics.jsonl that a method cannot give its own metrics.
OF_LINES = ("phase", "name", "epoch", "updates", "seed")
OF_ROUNDS = ("alpha", "learning_rate", "momentum", "finite")
OF_EVALUATIONS = ("validation_accuracy", "unlabelled_accuracy", "pseudo_label_accuracy", "pseudo_label_coverage")
TAKEN = frozenset((*OF_LINES, *OF_ROUNDS, *OF_EVALUATIONS, "pseudo_labels_changed"))


def init_state(phase: Phase, key: jax.Array, start: Params, split: Split, data: TrainingData) -> TrainState:
    """The state before the first update; ``start`` holds the layers that the previous phase handed on."""
    drawn_from = dataclasses.replace(split, unlabelled=phase.batches.unlabelled_candidates(split, data))
    params, extra = phase.method.init(key, data, drawn_from, start)
    optimizer = phase.optimizer.transform(phase.updates_per_epoch(split), phase.epochs)
    return TrainState(params, optimizer.init(params), extra)


def train_round(
    phase: Phase, key: jax.Array, t: jax.Array, state: TrainState, split: Split, data: TrainingData
) -> tuple[TrainState, Metrics, AssignedLabels | None]:
    """Train round ``t``.

    Returns:
      The next state; the metrics, scalars by name; and the pseudo-labels that were given, if the method gives any.
      The metrics are those of the method (means over the updates), ``alpha`` (the weight of the unlabelled images, if
      the method uses them), ``learning_rate`` and ``momentum`` (at the first update), and ``finite`` (bool: whether
      all weights and losses are finite).
    """
    epoch = t // phase.batches.rounds(len(split.labelled))
    weight = phase.method.weight(epoch)
    alpha = jnp.asarray(0.0 if weight is None else weight, jnp.float32)
    rows = phase.batches.draw(key, t, split, data)
    state, losses, aux = train_on_rows(phase, key, t, state, rows, alpha, split, data)
    if taken := sorted(aux.metrics.keys() & TAKEN):
        raise InputError(f"{type(phase.method).__name__} has a metric {taken[0]}, a name that is taken: give another.")
    metrics = {name: values.mean() for name, values in aux.metrics.items()}
    if weight is not None:
        metrics["alpha"] = alpha
    first, per_epoch = t * len(rows.images), phase.updates_per_epoch(split)
    metrics["learning_rate"] = jnp.asarray(phase.optimizer.rate(per_epoch, phase.epochs)(first), jnp.float32)
    metrics["momentum"] = jnp.asarray(phase.optimizer.momentum(per_epoch)(first), jnp.float32)
    metrics["finite"] = all_finite(state.params) & jnp.isfinite(losses).all()
    if aux.pseudo_labels is None or rows.unlabelled is None:
        return state, metrics, None
    return state, metrics, AssignedLabels(rows.unlabelled.ravel(), aux.pseudo_labels.ravel())


def train_on_rows(
    phase: Phase,
    key: jax.Array,
    t: jax.Array,
    state: TrainState,
    rows: BatchIndices,
    weight: jax.Array,
    split: Split,
    data: TrainingData,
) -> tuple[TrainState, jax.Array, Aux]:
    """Make one update for each mini-batch of ``rows``, with one weight of the unlabelled images for the whole round.

    Where the weight is 0, nothing is computed of the unlabelled images, unless the method uses them without it.

    Returns:
      The next state, the loss of each update, and the auxiliary outputs of each update, stacked.
    """
    optimizer = phase.optimizer.transform(phase.updates_per_epoch(split), phase.epochs)
    keys = phase.batches.update_keys(key, t, len(rows.images))

    def update(state: TrainState, step: tuple[BatchIndices, jax.Array]) -> tuple[TrainState, tuple[jax.Array, Aux]]:
        rows, update_key = step
        state, loss, aux = train_step(phase.method, optimizer, state, make_batch(rows, data), weight, update_key)
        metrics = {name: jnp.asarray(value, jnp.float32) for name, value in aux.metrics.items()}
        return state, (loss, aux._replace(extra=None, metrics=metrics))

    def all_updates(rows: BatchIndices) -> tuple[TrainState, jax.Array, Aux]:
        after, (losses, aux) = jax.lax.scan(update, state, (rows, keys))
        return after, losses, aux

    if rows.unlabelled is None or not phase.method.weight_covers_all:
        return all_updates(rows)
    *_, complete = jax.eval_shape(all_updates, rows)

    def without_unlabelled() -> tuple[TrainState, jax.Array, Aux]:
        after, losses, aux = all_updates(rows._replace(unlabelled=None))
        return after, losses, fill_missing(aux, complete)

    return jax.lax.cond(weight != 0, lambda: all_updates(rows), without_unlabelled)


def make_batch(rows: BatchIndices, data: TrainingData) -> Batch:
    """Gather the images and labels of one mini-batch."""
    batch = Batch(to_inputs(data.images[rows.images]), rows.labels, rows.weights, rows.images)
    if rows.unlabelled is None:
        return batch
    return batch._replace(unlabelled=to_inputs(data.images[rows.unlabelled]), unlabelled_rows=rows.unlabelled)


def fill_missing(aux: Aux, complete: Aux) -> Aux:
    """Give ``aux`` of updates without unlabelled images the structure of ``complete``.

    Missing metrics are NaN, missing pseudo-labels -1.
    """
    metrics = {
        name: aux.metrics.get(name, jnp.full(shape.shape, jnp.nan, shape.dtype))
        for name, shape in complete.metrics.items()
    }
    labels = complete.pseudo_labels
    return Aux(None, metrics, None if labels is None else jnp.full(labels.shape, -1, labels.dtype))


def accuracy(predicted: jax.Array, truth: jax.Array) -> jax.Array:
    """The accuracy over the images whose class is known (``truth`` is not -1), float32 []; NaN if there are none."""
    known = truth >= 0
    return (known & (predicted == truth)).sum() / known.sum()


def predict(phase: Phase, state: TrainState, images: jax.Array) -> jax.Array:
    """The classes that the network predicts for images ``[n, D]``, int32 ``[n]``."""
    return pseudo_label(in_blocks(lambda block: phase.method.logits(state.params, state.extra, block), images))


def predict_and_label(
    phase: Phase, state: TrainState, count: int, split: Split, data: TrainingData
) -> tuple[jax.Array, jax.Array]:
    """The predicted classes of the first ``count`` unlabelled images, and the pseudo-labels that an update gives them.

    A label can depend on the other images of its mini-batch: by alignment, or by the statistics of a normalised layer.
    So the images are labelled in mini-batches of the size that training has. The last one is filled up with the images
    that follow, and with the first ones where there are no more: padding is in none.

    Returns:
      Both int32 ``[count]``; without a meaning from ``data.unlabelled`` on, where ``split.unlabelled`` is padding.
    """
    size = phase.batches.rows_at_once() - phase.batches.batch_size  # the unlabelled images of an update
    places = jnp.arange(-(-count // size) * size) % jnp.maximum(data.unlabelled, 1)

    def of_batch(rows: jax.Array) -> tuple[jax.Array, jax.Array]:
        images = to_inputs(data.images[rows])
        logits = phase.method.logits(state.params, state.extra, images)
        return pseudo_label(logits), phase.method.pseudo_labels(state.params, state.extra, images, rows, logits)

    predicted, labels = jax.lax.map(of_batch, split.unlabelled[places].reshape(-1, size))
    return predicted.ravel()[:count], labels.ravel()[:count]


def evaluate(phase: Phase, state: TrainState, split: Split, data: TrainingData) -> Evaluation:
    """Evaluate the network without dropout, with labels that training does not use.

    Two metrics are of the network's predictions: ``validation_accuracy`` on the validation images, and
    ``unlabelled_accuracy`` on the first ``MONITORED_IMAGES`` unlabelled images, with their hidden labels.

    Two are of the pseudo-labels that training gives the same unlabelled images or, where labels are given once, all
    images that it draws unlabelled ones from: ``pseudo_label_coverage``, the share of the images that have a label,
    and ``pseudo_label_accuracy``, the share of these labels that the hidden ones agree with.

    Each is NaN if there is nothing to measure it on. Pre-training has no metrics.
    """
    method = phase.method
    if method.pretrains:
        return Evaluation({})
    rows = monitored = split.unlabelled[:MONITORED_IMAGES]
    labels, once = None, method.labels_given_once(state.extra) if phase.gives_labels else None
    if phase.gives_labels and once is None:
        predicted, labels = predict_and_label(phase, state, len(monitored), split, data)
    else:
        predicted = predict(phase, state, data.images[monitored])
    if once is not None:
        rows = phase.batches.unlabelled_candidates(split, data)
        labels = once[rows]
    nothing, of_validation = jnp.asarray(jnp.nan, jnp.float32), predict(phase, state, data.images[split.validation])
    metrics = {
        "validation_accuracy": accuracy(of_validation, data.labels[split.validation]),
        "unlabelled_accuracy": accuracy(predicted, data.labels[monitored]),
        "pseudo_label_accuracy": nothing,
        "pseudo_label_coverage": nothing,
    }
    if labels is not None:
        counts = rows < data.labelled + len(split.validation) + data.unlabelled  # the other rows are padding
        labels = jnp.where(counts, labels, -1)
        metrics["pseudo_label_accuracy"] = accuracy(labels, jnp.where(labels < 0, -1, data.labels[rows]))
        metrics["pseudo_label_coverage"] = (labels >= 0).sum() / counts.sum()
    return Evaluation(metrics, labels)


def state_shapes(config: Config, images: np.ndarray, classes: int) -> list[TrainState]:
    """The state of every phase, for one seed and images of this shape, as ``jax.ShapeDtypeStruct``."""
    return [
        TrainState(params, jax.eval_shape(phase.optimizer.transform(1, 1).init, params), extra)
        for phase, (params, extra) in zip(config.phases, shapes(config, images, classes), strict=True)
    ]
