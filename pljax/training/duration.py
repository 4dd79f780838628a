"""An estimate of the time that a run takes, from a few rounds of each of its phases."""

import time
from collections.abc import Sequence

import jax
import numpy as np

from pljax.protocols.config import Config
from pljax.training.loop import phase_schedule
from pljax.training.metrics import PhaseSchedule
from pljax.training.seed_group import Programs, SeedGroup, make_group
from pljax.training.seeds import layout_for
from pljax.types import Dataset, TrainState

LEAST = 0.5  # seconds of rounds that are measured


def estimate_seconds(config: Config, seeds: Sequence[int], dataset: Dataset) -> float:
    """Estimate the seconds of training for all seeds, without compiling, evaluating and scoring.

    The programs are those of the run, which will not compile them again. Where seeds are computed one after another,
    one of them is measured. Epochs in which alpha(t) is 0 are measured apart, because they compute less.
    """
    layout, seconds = layout_for(len(seeds)), 0.0
    measured = seeds[:1] if layout.sequential else seeds
    group = make_group(config, measured, dataset, layout_for(len(measured)))
    start = layout.shard({})
    for number, phase in enumerate(config.phases):
        programs = group._replace(layout=layout).programs(number)
        state = layout.reshard(programs.init(group.phase(number), group.key(number), start, group.splits, group.data))
        schedule = phase_schedule(phase, group.labelled_size)
        for epochs in _alike(schedule):
            state, of_a_round = _measure(group, programs, number, epochs[0] * schedule.rounds, state)
            seconds += of_a_round * schedule.rounds * len(epochs)
        start = layout.reshard(phase.method.transfers(state.params))
    return seconds * len(seeds) / len(measured)


def _alike(schedule: PhaseSchedule) -> list[np.ndarray]:
    """The epochs of a phase, those in which the unlabelled images have no weight apart."""
    epochs = np.arange(schedule.epochs)
    if schedule.weights is None:
        return [epochs]
    unused = schedule.weights[:-1] == 0
    return [part for part in (epochs[unused], epochs[~unused]) if len(part)]


def _measure(group: SeedGroup, programs: Programs, number: int, t: int, state: TrainState) -> tuple[TrainState, float]:
    """Train round ``t`` several times, and return the state and the seconds that it took once compiled."""
    phase, key = group.phase(number), group.key(number)

    def train_round(state: TrainState) -> TrainState:
        after, *_ = programs.train_round(phase, key, np.int32(t), state, group.splits, group.data)
        return jax.block_until_ready(after)

    state = train_round(state)  # compiles
    rounds, started = 0, time.monotonic()
    while not rounds or time.monotonic() - started < LEAST:
        state, rounds = train_round(state), rounds + 1
    return state, (time.monotonic() - started) / rounds
