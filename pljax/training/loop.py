"""The training loop of a group of seeds: all phases in order, then one scoring of the training and test images.

The computations are pure functions of one seed, from ``phases``, ``split`` and ``scoring``, mapped over the seeds.
"""

import time
from typing import Any, NamedTuple

import jax
import numpy as np

from pljax.protocols.config import Phase
from pljax.training import phases
from pljax.training.checkpointer import Checkpointer, NoCheckpointer, Progress
from pljax.training.metrics import MetricsLog, PhaseSchedule
from pljax.training.scoring import Scores
from pljax.training.seed_group import SeedGroup, from_bits, phase_name, rounded_up, score_program
from pljax.types import Evaluation, Params, Split, TrainState

SCORED_ROWS = 10_000  # images that are scored in one call


class Outcome(NamedTuple):
    """What the training of a group of seeds returns: arrays on the host, with a leading axis of seeds."""

    params: Params  # of the classifier
    extra: Any  # the extra state of its method
    pretrained: dict[str, Params]  # the networks of pre-training, by the name of their file
    split: Split  # [S, L], [S, V] and [S, U]
    log: MetricsLog
    train: Scores  # of the training images: [S, N]; probabilities are summed over seeds, [N, C]
    test: Scores  # of the test images: [S, M]; probabilities are summed over seeds, [M, C]
    unlabelled: np.ndarray  # bool [S, N], whether an image is unlabelled for a seed; False for a seed that diverged
    seconds: dict[str, float]  # by phase


def train(group: SeedGroup, log: MetricsLog, checkpointer: Checkpointer | NoCheckpointer) -> Outcome:
    """Train a group of seeds through all phases, from its last checkpoint on, and score it once."""
    dataset, layout = group.dataset, group.layout
    progress = checkpointer.resume(
        lambda number: phases.state_shapes(group.config, dataset.train_images, dataset.classes)[number]
    )
    state = train_phase(group, progress, log, checkpointer)
    while progress.phase + 1 < len(group.config.phases):
        start_next_phase(group, progress, state)
        state = train_phase(group, progress, log, checkpointer)
    checkpointer.save(progress, trained=True)
    started = time.monotonic()
    split = group.splits_on_host()
    unlabelled = np.zeros((layout.seeds, len(dataset.train_labels)), np.bool_)
    np.put_along_axis(unlabelled, np.asarray(split.unlabelled), True, axis=1)
    unlabelled &= ~log.has_diverged()[:, None]
    train_scores = score_images(group, state, dataset.train_images, unlabelled)
    test_scores = score_images(group, state, dataset.test_images)
    seconds = {**progress.seconds, "score": time.monotonic() - started}
    params, extra = layout.gather((state.params, state.extra))
    return Outcome(params, extra, progress.pretrained, split, log, train_scores, test_scores, unlabelled, seconds)


def train_phase(
    group: SeedGroup, progress: Progress, log: MetricsLog, checkpointer: Checkpointer | NoCheckpointer
) -> TrainState:
    """Train the remaining rounds of a phase, for all seeds of the group. Return the final state."""
    number, layout, programs = progress.phase, group.layout, group.programs(progress.phase)
    name, phase, key = phase_name(group.config, number), group.phase(number), group.key(number)
    spent, started = progress.seconds.get(name, 0.0), time.monotonic()
    schedule = phase_schedule(phase, group.labelled_size)
    log.start_phase(number, name, schedule, progress.t)
    state = progress.state
    if state is None:
        state = layout.reshard(programs.init(phase, key, progress.params, group.splits, group.data))
    for t in range(progress.t, schedule.epochs * schedule.rounds):
        state, metrics, assigned = programs.train_round(phase, key, np.int32(t), state, group.splits, group.data)
        evaluation = None
        if log.needs_evaluation(t):
            measured = layout.gather(programs.evaluate(phase, state, group.splits, group.data))
            evaluation = Evaluation(from_bits(measured.metrics), measured.pseudo_labels)
        log.record(t, from_bits(layout.gather(metrics)), layout.gather(assigned), evaluation)
        progress.t, progress.state = t + 1, state
        progress.seconds[name] = spent + time.monotonic() - started
        checkpointer.save_if_due(progress, schedule.rounds)
    return state


def start_next_phase(group: SeedGroup, progress: Progress, state: TrainState) -> None:
    """Advance ``progress`` to the start of the next phase, with the layers that this phase hands on."""
    method = group.config.phases[progress.phase].method
    if method.pretrains:
        progress.pretrained[method.pretrains] = group.layout.gather(state.params)
    progress.params = group.layout.reshard(method.transfers(state.params))
    progress.phase, progress.t, progress.state = progress.phase + 1, 0, None


def phase_schedule(phase: Phase, labelled: int) -> PhaseSchedule:
    """The length of a phase, and its weight of the unlabelled images by epoch, for ``labelled`` labelled images."""
    weights = None
    if phase.batches.unlabelled:
        epochs = np.arange(phase.epochs + 1)
        weights = np.broadcast_to(np.asarray(phase.method.weight(epochs), np.float32), epochs.shape)
    rounds, updates = phase.batches.rounds(labelled), phase.batches.updates(labelled)
    return PhaseSchedule(phase.epochs, rounds, updates, weights, phase.method.weight_covers_all)


def score_images(group: SeedGroup, state: TrainState, images: np.ndarray, counts: np.ndarray | None = None) -> Scores:
    """Classify ``images`` on the host, ``[n, D]``, with the classifier of every seed, a block at a time.

    Classes and entropies are ``[S, n]``. The probabilities, float32 ``[n, C]``, are summed over the seeds for which
    ``counts``, bool ``[S, n]``, is true, or over all seeds: those of each seed might not fit into memory.
    """
    seeds, classes = group.layout.seeds, group.dataset.classes
    if not len(images):
        empty = np.zeros((seeds, 0), np.float32)
        return Scores(empty.astype(np.int32), empty, np.zeros((0, classes), np.float32))
    method, blocks = group.phase(-1).method, []
    program = score_program(jax.tree.structure(method), (*group.sizes, images.shape[1:], images.dtype))
    for first in range(0, len(images), SCORED_ROWS):
        rows = slice(first, first + SCORED_ROWS)
        block = images[rows]
        padded = np.pad(block, ((0, rounded_up(len(block)) - len(block)), (0, 0)))  # fewer sizes, fewer compilations
        scores = group.layout.gather(program(method, state.params, state.extra, group.layout.replicate(padded)))
        scores = Scores(*(values[:, : len(block)] for values in scores))
        counted = scores.probabilities if counts is None else np.where(counts[:, rows, None], scores.probabilities, 0)
        blocks.append(Scores(scores.classes, scores.entropy, counted.sum(axis=0)))
    predicted, entropy, probabilities = zip(*blocks, strict=True)
    return Scores(np.concatenate(predicted, axis=1), np.concatenate(entropy, axis=1), np.concatenate(probabilities))
