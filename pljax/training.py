"""A group of seeds trained together: from phase to phase, then the one look at the test images.

Everything computed is a pure function of one seed from ``phases`` and ``score``; here it is put over the seeds
and called in order.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax import phases
from pljax.config import Config, Pretrain
from pljax.journal import Journal
from pljax.keeper import Forgetful, Keeper, Progress
from pljax.score import Scores, score
from pljax.seeds import Layout, over_seeds, seed_keys
from pljax.types import Dataset, Evaluation, Labelling, Metrics, Params, Split, Trainer, TrainingData, TrainState

SCORED_ROWS = 10_000  # images scored in one go


class Outcome(NamedTuple):
    """What a group of seeds left behind, on the host; the leading axis of every array is the seeds'."""

    params: Params  # of the classifier
    autoencoder: Params  # empty where none was trained
    split: Split
    journal: Journal
    train: Scores  # of the training images: [S, N]; probabilities are summed over seeds, [N, C]
    test: Scores  # of the test images, [S, M]
    unseen: np.ndarray  # bool [S, N]: for which seeds an image was unlabelled, those that diverged left out
    seconds: dict[str, float]  # by phase


class Programs(NamedTuple):
    """A phase over seeds: how its key comes from a seed's root key, and its functions, each compiled once."""

    trainer: Trainer
    key: Callable[..., jax.Array]
    init: Callable[..., TrainState]
    advance: Callable[..., tuple[TrainState, Metrics, Labelling | None]]
    evaluate: Callable[..., Evaluation]
    hand_on: Callable[..., Params]


@functools.lru_cache(maxsize=16)
def programs(config: Config, number: int, classes: int) -> Programs:
    """The programs of a phase. Groups of seeds of one size share them, and runs of one config in one process."""
    trainer = phases.trainer_of(config, number, classes)
    return Programs(
        trainer,
        key=over_seeds(functools.partial(phases.key_of, config, number), (0,)),
        init=over_seeds(trainer.init, (0, 0, 0, None)),
        advance=over_seeds(trainer.advance, (0, None, 0, 0, None), donate=(2,)),
        evaluate=over_seeds(trainer.evaluate, (0, 0, None)),
        hand_on=over_seeds(trainer.hand_on, (0,)),
    )


@functools.lru_cache(maxsize=16)
def split_program(config: Config, classes: int) -> Callable[..., Split]:
    """The split of each seed, from the seeds' root keys and the training labels."""
    return over_seeds(functools.partial(phases.split_of, config, classes), (0, None))


@functools.lru_cache(maxsize=16)
def score_program(config: Config, classes: int) -> Callable[..., Scores]:
    """What the classifiers of the seeds say of images, from the parameters that each seed ends with."""
    return over_seeds(functools.partial(score, phases.final_model(config, classes), config.output), (0, None))


class Group(NamedTuple):
    """Some seeds of a run and what they are trained on."""

    config: Config
    dataset: Dataset
    layout: Layout
    keys: jax.Array  # root keys, one a seed
    parts: Split  # one a seed
    data: TrainingData  # shared by all


def split_seeds(config: Config, seeds: Sequence[int], dataset: Dataset, layout: Layout) -> tuple[jax.Array, Split]:
    """The root key and the split of each seed, where they are computed."""
    keys = layout.spread(seed_keys(seeds))
    return keys, split_program(config, dataset.classes)(keys, layout.share(dataset.train_labels))


def make_group(config: Config, seeds: Sequence[int], dataset: Dataset, layout: Layout) -> Group:
    """Put the data and the seeds' splits where they are trained."""
    # Elsewhere than on a CPU it is not the products that take the time.
    columns = phases.usually_lit(config, dataset.train_images) if layout.apart else None
    data = TrainingData(jnp.asarray(dataset.train_images), jnp.asarray(dataset.train_labels), columns)
    return Group(config, dataset, layout, *split_seeds(config, seeds, dataset, layout), layout.share(data))


def train(group: Group, journal: Journal, keeper: Keeper | Forgetful) -> Outcome:
    """All phases for some seeds, from their last checkpoint on; then the one look at the test images."""
    config, dataset, layout = group.config, group.dataset, group.layout
    progress = keeper.resume(functools.partial(state_shapes, config, dataset))
    while progress.phase < len(config.phases):
        train_phase(group, progress, journal, keeper)
        if progress.phase == len(config.phases):
            keeper.save(progress)
    started = time.monotonic()
    params, parts = layout.gather(progress.params), layout.gather(group.parts)
    unseen = np.zeros((layout.seeds, len(dataset.train_labels)), np.bool_)
    np.put_along_axis(unseen, parts.unlabelled, True, axis=1)
    unseen &= ~journal.has_diverged()[:, None]
    train_scores = score_rows(group, progress.params, dataset.train_images, unseen)
    test_scores = score_rows(group, progress.params, dataset.test_images)
    seconds = {**progress.seconds, "score": time.monotonic() - started}
    return Outcome(params, progress.autoencoder, parts, journal, train_scores, test_scores, unseen, seconds)


def score_rows(group: Group, params: Any, images: np.ndarray, counts: np.ndarray | None = None) -> Scores:
    """What the classifiers of a group say of ``images`` on the host, a block at a time: float32 and int32 ``[S, n]``.

    Probabilities are summed over the seeds for which ``counts``, bool ``[S, n]``, has the row, ``[n, C]``: those of
    all seeds may be more than the memory holds.
    """
    seeds, classes = group.layout.seeds, group.dataset.classes
    if not len(images):
        nothing = np.zeros((seeds, 0), np.float32)
        return Scores(nothing.astype(np.int32), nothing, np.zeros((0, classes), np.float32))
    scored, blocks = score_program(group.config, classes), []
    for first in range(0, len(images), SCORED_ROWS):
        rows = slice(first, first + SCORED_ROWS)
        block = group.layout.gather(scored(params, group.layout.share(images[rows])))
        some = block.probabilities if counts is None else np.where(counts[:, rows, None], block.probabilities, 0)
        blocks.append(Scores(block.classes, block.entropy, some.sum(axis=0)))
    given, entropy, probabilities = zip(*blocks, strict=True)
    return Scores(np.concatenate(given, axis=1), np.concatenate(entropy, axis=1), np.concatenate(probabilities))


def train_phase(group: Group, progress: Progress, journal: Journal, keeper: Keeper | Forgetful) -> None:
    """Every round that is left of a phase, for all seeds at once; ``progress`` comes to the start of the next."""
    name, layout = phases.name_of(group.config, progress.phase), group.layout
    phase = programs(group.config, progress.phase, group.dataset.classes)
    spent, started = progress.seconds.get(name, 0.0), time.monotonic()
    journal.begin(progress.phase, name, phase.trainer, progress.t)
    keys, state = phase.key(group.keys), progress.state
    if state is None:
        state = layout.settle(phase.init(keys, progress.params, group.parts, group.data))
    for t in range(progress.t, phase.trainer.epochs * phase.trainer.rounds):
        state, metrics, labelling = phase.advance(keys, np.int32(t), state, group.parts, group.data)
        looked = phase.evaluate(state, group.parts, group.data) if journal.wants_evaluation(t) else None
        journal.record(t, *map(layout.gather, (metrics, labelling, looked)))
        progress.t, progress.state = t + 1, state
        progress.seconds[name] = spent + time.monotonic() - started
        keeper.rest(progress, phase.trainer.rounds)
    if isinstance(group.config.phases[progress.phase], Pretrain):
        progress.autoencoder = layout.gather(state.params)
    progress.params = layout.settle(phase.hand_on(state))
    progress.phase, progress.t, progress.state = progress.phase + 1, 0, None


def state_shapes(config: Config, dataset: Dataset, number: int) -> TrainState:
    """The state of a phase for one seed, as ``jax.ShapeDtypeStruct``."""
    return phases.state_shapes(config, dataset.train_images.shape, dataset.classes)[number]
