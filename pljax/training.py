"""A group of seeds trained together: from phase to phase, then the one look at the test images.

Everything computed is a pure function of one seed from ``phases`` and ``score``; here it is put over the seeds
and called in order.
"""

import functools
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax import phases
from pljax.config import Config, Pretrain
from pljax.journal import Journal
from pljax.keeper import Keeper, Progress
from pljax.score import score
from pljax.seeds import devices_for, over_seeds, seed_keys, share, spread
from pljax.types import Dataset, Evaluation, Metrics, Params, Split, Trainer, TrainingData, TrainState


class Outcome(NamedTuple):
    """What a group of seeds left behind, on the host; the leading axis of every array is the seeds'."""

    params: Params  # of the classifier
    autoencoder: Params  # empty where none was trained
    split: Split
    journal: Journal
    train: tuple[np.ndarray, np.ndarray]  # predicted int32 [S, N], conditional entropy float32 [S, N]
    test: tuple[np.ndarray, np.ndarray]  # the same, [S, M]
    seconds: dict[str, float]  # by phase


class Programs(NamedTuple):
    """A phase over seeds: how its key comes from a seed's root key, and its functions, each compiled once."""

    trainer: Trainer
    key: Callable[..., jax.Array]
    init: Callable[..., TrainState]
    advance: Callable[..., tuple[TrainState, Metrics]]
    evaluate: Callable[..., Evaluation]


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
    )


@functools.lru_cache(maxsize=16)
def split_program(config: Config, classes: int) -> Callable[..., Split]:
    """The split of each seed, from the seeds' root keys and the training labels."""
    return over_seeds(functools.partial(phases.split_of, config, classes), (0, None))


@functools.lru_cache(maxsize=16)
def score_program(config: Config, classes: int) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Classes and conditional entropies of images, from the parameters that each seed ends with."""
    return over_seeds(functools.partial(score, phases.final_model(config, classes), config.output), (0, None))


class Group(NamedTuple):
    """Some seeds of a run and what they are trained on; the leading axis of keys and parts is the seeds'."""

    config: Config
    classes: int
    devices: tuple[jax.Device, ...]
    keys: jax.Array  # root keys [S]
    parts: Split
    data: TrainingData  # shared by all


def split_seeds(config: Config, seeds: Sequence[int], dataset: Dataset) -> tuple[jax.Array, Split]:
    """The root key and the split of each seed."""
    devices = devices_for(len(seeds))
    keys = spread(devices, seed_keys(seeds))
    return keys, split_program(config, dataset.classes)(keys, share(devices, jnp.asarray(dataset.train_labels)))


def make_group(config: Config, seeds: Sequence[int], dataset: Dataset) -> Group:
    """Put the data and the seeds' splits where they are trained."""
    devices = devices_for(len(seeds))
    data = share(devices, TrainingData(jnp.asarray(dataset.train_images), jnp.asarray(dataset.train_labels)))
    keys, parts = split_seeds(config, seeds, dataset)
    return Group(config, dataset.classes, devices, keys, parts, data)


def train(config: Config, seeds: Sequence[int], dataset: Dataset, journal: Journal, keeper: Keeper) -> Outcome:
    """All phases for some seeds, from their last checkpoint on; then the one look at the test images."""
    group = make_group(config, seeds, dataset)
    progress = keeper.resume(functools.partial(state_shapes, group))
    while progress.phase < len(config.phases):
        train_phase(group, progress, journal, keeper)
        if progress.phase == len(config.phases):
            keeper.save(progress)
    started = time.monotonic()
    params = spread(group.devices, progress.params)
    scored = score_program(config, group.classes)
    train_scores = jax.device_get(scored(params, group.data.images))
    test_scores = jax.device_get(scored(params, share(group.devices, jnp.asarray(dataset.test_images))))
    seconds = {**progress.seconds, "score": time.monotonic() - started}
    params, autoencoder, parts = jax.device_get((params, progress.autoencoder, group.parts))
    return Outcome(params, autoencoder, parts, journal, train_scores, test_scores, seconds)


def train_phase(group: Group, progress: Progress, journal: Journal, keeper: Keeper) -> None:
    """Every round that is left of a phase, for all seeds at once; ``progress`` comes to the start of the next."""
    name = phases.name_of(group.config, progress.phase)
    phase = programs(group.config, progress.phase, group.classes)
    spent, started = progress.seconds.get(name, 0.0), time.monotonic()
    journal.begin(progress.phase, name, phase.trainer, progress.t)
    keys, state = phase.key(group.keys), progress.state
    if state is None:
        state = phase.init(keys, spread(group.devices, progress.params), group.parts, group.data)
    # What starts constant starts on every device: laid out like the rest, the programs are compiled once.
    state = spread(group.devices, state)
    for t in range(progress.t, phase.trainer.epochs * phase.trainer.rounds):
        state, metrics = phase.advance(keys, jnp.int32(t), state, group.parts, group.data)
        evaluation = phase.evaluate(state, group.parts, group.data) if journal.wants_evaluation(t) else None
        journal.record(t, *jax.device_get((metrics, evaluation)))
        progress.t, progress.state = t + 1, state
        progress.seconds[name] = spent + time.monotonic() - started
        keeper.rest(progress, phase.trainer.rounds)
    if isinstance(group.config.phases[progress.phase], Pretrain):
        progress.autoencoder = jax.device_get(state.params)
    progress.phase, progress.t, progress.state = progress.phase + 1, 0, None
    progress.params = phase.trainer.hand_on(state)


def state_shapes(group: Group, number: int) -> TrainState:
    """The state of a phase, as ``jax.ShapeDtypeStruct``."""
    handed_on: Params = {}
    for place in range(number + 1):
        phase = programs(group.config, place, group.classes)
        keys = jax.eval_shape(phase.key, group.keys)
        state = jax.eval_shape(phase.init, keys, handed_on, group.parts, group.data)
        handed_on = phase.trainer.hand_on(state)
    return state
