"""A phase as pure functions of one seed: what it starts from, a round of its updates, and a look at where it is.

The unit of work is a *round*: an epoch, or an equal part of a long one, so that progress is seen and interruptions are
heard within seconds. The round's number ``t`` is an argument of its own, not a field of the state, because all seeds
share it: a condition on it stays a branch when seeds are stacked.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pljax.data.batches import Rows
from pljax.methods.base import Aux, Batch
from pljax.nn.losses import pseudo_label
from pljax.nn.networks import all_finite, in_blocks, to_inputs
from pljax.protocols.config import Config, Phase, shapes
from pljax.training.step import train_step
from pljax.types import AssignedLabels, Evaluation, Metrics, Params, Split, TrainingData, TrainState

WATCHED = 1000  # unlabelled images whose predictions are followed through the epochs


def init_state(phase: Phase, key: jax.Array, start: Params, split: Split, data: TrainingData) -> TrainState:
    """The state before the first update, with the layers that an earlier phase handed on in their place."""
    drawn_from = split.replace(unlabelled=phase.batches.pool(split, data))  # type: ignore[attr-defined]
    params, extra = phase.method.init(key, data, drawn_from, start)
    return TrainState(params, phase.optimizer.transform(phase.updates_per_epoch(split)).init(params), extra)


def train_round(
    phase: Phase, key: jax.Array, t: jax.Array, state: TrainState, split: Split, data: TrainingData
) -> tuple[TrainState, Metrics, AssignedLabels | None]:
    """Round ``t``, and the pseudo-labels that were given in it, if the method gives any.

    Metrics: those of the method (means over the updates), ``alpha`` (the weight of the unlabelled images, if the method
    has such a term), ``learning_rate`` and ``momentum`` (at the first update), and ``finite``.
    """
    epoch = t // phase.batches.rounds(len(split.labelled))
    weight = phase.method.weight(epoch)
    alpha = jnp.asarray(0.0 if weight is None else weight, jnp.float32)
    rows = phase.batches.draw(key, t, split, data)
    state, losses, aux = train_rows(phase, key, t, state, rows, alpha, split, data)
    metrics = {name: values.mean() for name, values in aux.metrics.items()}
    if weight is not None:
        metrics["alpha"] = alpha
    first, per_epoch = t * len(rows.images), phase.updates_per_epoch(split)
    metrics["learning_rate"] = jnp.asarray(phase.optimizer.rate(per_epoch)(first), jnp.float32)
    metrics["momentum"] = jnp.asarray(phase.optimizer.momentum(per_epoch)(first), jnp.float32)
    metrics["finite"] = all_finite(state.params) & jnp.isfinite(losses).all()
    if aux.pseudo_labels is None or rows.unlabelled is None:
        return state, metrics, None
    return state, metrics, AssignedLabels(rows.unlabelled.ravel(), aux.pseudo_labels.ravel())


def train_rows(
    phase: Phase,
    key: jax.Array,
    t: jax.Array,
    state: TrainState,
    rows: Rows,
    weight: jax.Array,
    split: Split,
    data: TrainingData,
) -> tuple[TrainState, jax.Array, Aux]:
    """An update for each line of ``rows``; also the loss of each, and what it gave beside its value.

    Where the weight is 0 the unlabelled images are not even looked at. The weight is that of a whole round, and the
    same for all seeds, so a condition on it costs nothing.
    """
    optimizer = phase.optimizer.transform(phase.updates_per_epoch(split))
    keys = phase.batches.update_keys(key, t, len(rows.images))

    def update(state: TrainState, now: tuple[Rows, jax.Array]) -> tuple[TrainState, tuple[jax.Array, Aux]]:
        rows, update_key = now
        state, loss, aux = train_step(phase.method, optimizer, state, batch_of(rows, data), weight, update_key)
        return state, (loss, aux._replace(extra=None))

    def all_updates(rows: Rows) -> tuple[TrainState, jax.Array, Aux]:
        after, (losses, aux) = jax.lax.scan(update, state, (rows, keys))
        return after, losses, aux

    if rows.unlabelled is None:
        return all_updates(rows)
    *_, complete = jax.eval_shape(all_updates, rows)

    def without_unlabelled() -> tuple[TrainState, jax.Array, Aux]:
        after, losses, aux = all_updates(rows._replace(unlabelled=None))
        return after, losses, like(complete, aux)

    return jax.lax.cond(weight > 0, lambda: all_updates(rows), without_unlabelled)


def batch_of(rows: Rows, data: TrainingData) -> Batch:
    """The images of one update."""
    batch = Batch(to_inputs(data.images[rows.images]), rows.labels, rows.weights, rows.images)
    if rows.unlabelled is None:
        return batch
    return batch._replace(unlabelled=to_inputs(data.images[rows.unlabelled]), unlabelled_rows=rows.unlabelled)


def like(complete: Aux, aux: Aux) -> Aux:
    """``aux`` of updates without unlabelled images, with what it lacks: metrics that are NaN, labels that are -1."""
    metrics = {name: aux.metrics.get(name, jnp.full(shape.shape, jnp.nan)) for name, shape in complete.metrics.items()}
    labels = complete.pseudo_labels
    return Aux(None, metrics, None if labels is None else jnp.full(labels.shape, -1, labels.dtype))


def accuracy(predicted: jax.Array, truth: jax.Array) -> jax.Array:
    """The share of right ones among those whose class is known (``truth`` is not -1), float32 []; NaN of none."""
    known = truth >= 0
    return (known & (predicted == truth)).sum() / known.sum()


def evaluate(phase: Phase, state: TrainState, split: Split, data: TrainingData) -> Evaluation:
    """The network with dropout off, against labels it never learns from.

    Metrics: ``validation_accuracy`` on the validation images; ``unlabelled_accuracy`` on the first ``WATCHED``
    unlabelled images, against their hidden labels; ``pseudo_label_accuracy`` of the pseudo-labels in use, against
    the hidden labels. Each is NaN where there is nothing to measure it on. Pre-training has none of them.
    """
    if phase.method.pretrains:
        return Evaluation({})
    validation, watched = split.validation, split.unlabelled[:WATCHED]
    rows = jnp.concatenate([validation, watched])
    logits = in_blocks(lambda images: phase.method.logits(state.params, state.extra, images), data.images[rows])
    predicted, truth = pseudo_label(logits), data.labels[rows]
    measured: dict[str, Any] = {
        "validation_accuracy": accuracy(predicted[: len(validation)], truth[: len(validation)]),
        "unlabelled_accuracy": accuracy(predicted[len(validation) :], truth[len(validation) :]),
        "pseudo_label_accuracy": jnp.asarray(jnp.nan, jnp.float32),
    }
    if not (phase.batches.unlabelled and phase.method.gives_labels):
        return Evaluation(measured)
    if (labels := phase.method.labels_given_once(state.extra)) is not None:
        measured["pseudo_label_accuracy"] = accuracy(labels, jnp.where(labels < 0, -1, data.labels))
        return Evaluation(measured, labels)
    measured["pseudo_label_accuracy"] = measured["unlabelled_accuracy"]
    known = jnp.arange(len(watched)) < data.unlabelled  # the others were added
    return Evaluation(measured, jnp.where(known, predicted[len(validation) :], -1))


def state_shapes(config: Config, images: np.ndarray, classes: int) -> list[TrainState]:
    """The state of every phase, for one seed and images of this shape, as ``jax.ShapeDtypeStruct``."""
    return [
        TrainState(params, jax.eval_shape(phase.optimizer.transform(1).init, params), extra)
        for phase, (params, extra) in zip(config.phases, shapes(config, images, classes), strict=True)
    ]
