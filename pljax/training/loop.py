"""A group of seeds trained together: from phase to phase, then the one look at the test images.

Everything computed is a pure function of one seed from ``phases``, ``split`` and ``score``; here it is put over the
seeds and called in order.
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
from pljax.training.seed_group import SeedGroup, name_of, rounded_up, score_program
from pljax.types import Params, Split, TrainState

SCORED_ROWS = 10_000  # images scored in one go


class Outcome(NamedTuple):
    """What a group of seeds left behind, on the host; the leading axis of every array is the seeds'."""

    params: Params  # of the classifier
    extra: Any  # what its method carries beside them
    pretrained: dict[str, Params]  # of networks that pre-training ended with, by the name of their file
    split: Split
    log: MetricsLog
    train: Scores  # of the training images: [S, N]; probabilities are summed over seeds, [N, C]
    test: Scores  # of the test images, [S, M]
    unseen: np.ndarray  # bool [S, N]: for which seeds an image was unlabelled, those that diverged left out
    seconds: dict[str, float]  # by phase


def train(group: SeedGroup, log: MetricsLog, checkpointer: Checkpointer | NoCheckpointer) -> Outcome:
    """All phases for some seeds, from their last checkpoint on; then the one look at the test images."""
    dataset, layout = group.dataset, group.layout
    progress = checkpointer.resume(
        lambda number: phases.state_shapes(group.config, dataset.train_images, dataset.classes)[number]
    )
    state = train_phase(group, progress, log, checkpointer)
    while progress.phase + 1 < len(group.config.phases):
        transfer(group, progress, state)
        state = train_phase(group, progress, log, checkpointer)
    checkpointer.save(progress)
    started = time.monotonic()
    parts = group.parts_on_host()
    unseen = np.zeros((layout.seeds, len(dataset.train_labels)), np.bool_)
    np.put_along_axis(unseen, np.asarray(parts.unlabelled), True, axis=1)
    unseen &= ~log.has_diverged()[:, None]
    train_scores = score_rows(group, state, dataset.train_images, unseen)
    test_scores = score_rows(group, state, dataset.test_images)
    seconds = {**progress.seconds, "score": time.monotonic() - started}
    params, extra = layout.gather((state.params, state.extra))
    return Outcome(params, extra, progress.pretrained, parts, log, train_scores, test_scores, unseen, seconds)


def train_phase(
    group: SeedGroup, progress: Progress, log: MetricsLog, checkpointer: Checkpointer | NoCheckpointer
) -> TrainState:
    """Every round that is left of a phase, for all seeds at once; the state after it."""
    number, layout, programs = progress.phase, group.layout, group.programs(progress.phase)
    name, phase, key = name_of(group.config, number), group.phase(number), group.key(number)
    spent, started = progress.seconds.get(name, 0.0), time.monotonic()
    schedule = schedule_of(phase, group.places)
    log.begin(number, name, schedule, progress.t)
    state = progress.state
    if state is None:
        state = layout.reshard(programs.init(phase, key, progress.params, group.parts, group.data))
    for t in range(progress.t, schedule.epochs * schedule.rounds):
        state, metrics, assigned = programs.train_round(phase, key, np.int32(t), state, group.parts, group.data)
        looked = programs.evaluate(phase, state, group.parts, group.data) if log.needs_evaluation(t) else None
        log.record(t, *map(layout.gather, (metrics, assigned, looked)))
        progress.t, progress.state = t + 1, state
        progress.seconds[name] = spent + time.monotonic() - started
        checkpointer.save_if_due(progress, schedule.rounds)
    return state


def transfer(group: SeedGroup, progress: Progress, state: TrainState) -> None:
    """Bring ``progress`` to the start of the next phase, with the layers that it starts from."""
    method = group.config.phases[progress.phase].method
    if method.pretrains:
        progress.pretrained[method.pretrains] = group.layout.gather(state.params)
    progress.params = group.layout.reshard(method.transfers(state.params))
    progress.phase, progress.t, progress.state = progress.phase + 1, 0, None


def schedule_of(phase: Phase, labelled: int) -> PhaseSchedule:
    """How long a phase is, and how its weight of the unlabelled images goes."""
    weights = None
    if phase.batches.unlabelled:
        epochs = np.arange(phase.epochs + 1)
        weights = np.broadcast_to(np.asarray(phase.method.weight(epochs), np.float32), epochs.shape)
    return PhaseSchedule(phase.epochs, phase.batches.rounds(labelled), phase.batches.updates(labelled), weights)


def score_rows(group: SeedGroup, state: TrainState, images: np.ndarray, counts: np.ndarray | None = None) -> Scores:
    """What the classifiers of a group say of ``images`` on the host, a block at a time: float32 and int32 ``[S, n]``.

    Probabilities are summed over the seeds for which ``counts``, bool ``[S, n]``, has the row, ``[n, C]``: those of
    all seeds may be more than the memory holds.
    """
    seeds, classes = group.layout.seeds, group.dataset.classes
    if not len(images):
        nothing = np.zeros((seeds, 0), np.float32)
        return Scores(nothing.astype(np.int32), nothing, np.zeros((0, classes), np.float32))
    method, blocks = group.phase(-1).method, []
    scored = score_program(jax.tree.structure(method), (*group.sizes, images.shape[1:], images.dtype))
    for first in range(0, len(images), SCORED_ROWS):
        rows = slice(first, first + SCORED_ROWS)
        block = images[rows]
        padded = np.pad(block, ((0, rounded_up(len(block)) - len(block)), (0, 0)))  # few lengths, so few programs
        scores = group.layout.gather(scored(method, state.params, state.extra, group.layout.replicate(padded)))
        scores = Scores(*(values[:, : len(block)] for values in scores))
        some = scores.probabilities if counts is None else np.where(counts[:, rows, None], scores.probabilities, 0)
        blocks.append(Scores(scores.classes, scores.entropy, some.sum(axis=0)))
    given, entropy, probabilities = zip(*blocks, strict=True)
    return Scores(np.concatenate(given, axis=1), np.concatenate(entropy, axis=1), np.concatenate(probabilities))
