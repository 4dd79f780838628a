"""A group of seeds that are trained together: their data, keys and splits, and the compiled programs they share."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax.data import split
from pljax.nn import sparse
from pljax.protocols.config import Config, Phase
from pljax.settings import everywhere
from pljax.training import phases
from pljax.training.scoring import Scores, score
from pljax.training.seeds import Layout, over_seeds, seed_keys
from pljax.types import AssignedLabels, Dataset, Evaluation, Metrics, Split, TrainingData, TrainState

# What the root key of a seed is folded with for a phase, beside its place among the phases of its role, so that
# scenarios share the start that they have in common. 0 is the split's.
PURPOSE = {"pretrain": 1, "finetune": 2}
KEPT_PROGRAMS = 8  # of each kind: an old one makes room, and its memory is given back


class Programs(NamedTuple):
    """The functions of a phase over seeds. The phase is an argument: its numbers may change from call to call."""

    init: Callable[..., TrainState]
    train_round: Callable[..., tuple[TrainState, Metrics, AssignedLabels | None]]
    evaluate: Callable[..., Evaluation]


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def programs(structure: Any, sizes: tuple[Any, ...]) -> Programs:
    """The programs for phases of one structure on arrays of some sizes, compiled once for all runs of a process.

    ``sizes`` is not used, but keys the cache: what is compiled for other sizes has programs of its own, so that its
    memory is given back.
    """
    return Programs(
        init=over_seeds(phases.init_state, (None, 0, 0, 0, None)),
        train_round=over_seeds(phases.train_round, (None, 0, None, 0, 0, None), donate=(3,)),
        evaluate=over_seeds(phases.evaluate, (None, 0, 0, None)),
    )


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def split_program(
    classes: int, labels: int, validation: int, choose: split.Choose, rows: int, layout: Layout
) -> Callable[..., Split]:
    """The split of each seed, from the seeds' root keys and the training labels."""
    sizes = split.Sizes(classes=classes, labels=labels, validation=validation, choose=choose)
    return over_seeds(functools.partial(split.of_seed, **sizes), (0, None))


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def score_program(structure: Any, sizes: tuple[Any, ...]) -> Callable[..., Scores]:
    """What the classifiers of the seeds say of images, from what each seed ends with."""
    return over_seeds(score, (None, 0, 0, None))


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def key_program(purpose: int, place: int) -> Callable[..., jax.Array]:
    """The key of a phase, from the seeds' root keys."""
    return over_seeds(lambda root: jax.random.fold_in(jax.random.fold_in(root, purpose), place), (0,))


class SeedGroup(NamedTuple):
    """Some seeds of a run and what they are trained on."""

    config: Config
    dataset: Dataset
    layout: Layout
    keys: jax.Array  # root keys, one a seed
    parts: Split  # one a seed
    data: TrainingData  # shared by all
    places: int  # the length of Split.labelled

    @property
    def sizes(self) -> tuple[Any, ...]:
        """What decides over the shapes of all arrays, beside the structure of the phases."""
        return (self.layout, self.data.images.shape, self.places, self.config.validation, self.data.classes)

    def parts_on_host(self) -> Split:
        """The split of every seed, ``[S, L]``, ``[S, V]`` and ``[S, U]``."""
        parts, labels, validation = self.layout.gather(self.parts), self.config.labels, self.config.validation
        unlabelled = len(self.dataset.train_labels) - labels - validation
        return Split(parts.labelled[:, :labels], parts.validation, parts.unlabelled[:, :unlabelled])

    def phase(self, number: int) -> Phase:
        """A phase, with room for the columns that are not dark in its mini-batches."""
        phase = self.config.phases[number]
        if not self.layout.sequential:  # elsewhere than on a CPU it is not the products that take the time
            return phase
        return everywhere(phase, "room", sparse.room_for(self.dataset.train_images, phase.batches.rows_at_once()))

    def programs(self, number: int) -> Programs:
        return programs(jax.tree.structure(self.phase(number)), (*self.sizes, self.dataset.train_images.dtype))

    def key(self, number: int) -> jax.Array:
        """The key of a phase for each seed."""
        purpose = PURPOSE[self.config.phases[number].role]
        return key_program(purpose, place_of(self.config, number))(self.keys)


def name_of(config: Config, number: int) -> str:
    """A phase's name among those of the config: ``pretrain``, ``finetune``, or ``finetune 2`` for a second one.

    >>> from pljax.protocols import arab2022
    >>> [name_of(arab2022.SCENARIOS["pl_dae"], number) for number in range(3)]
    ['pretrain', 'finetune', 'finetune 2']
    """
    place = place_of(config, number)
    return config.phases[number].role + (f" {place + 1}" if place else "")


def place_of(config: Config, number: int) -> int:
    """How many phases of the same role come before a phase."""
    return sum(phase.role == config.phases[number].role for phase in config.phases[:number])


def split_seeds(config: Config, seeds: Sequence[int], dataset: Dataset, layout: Layout) -> tuple[jax.Array, Split]:
    """The root key and the split of each seed, where they are computed."""
    keys, labels = layout.shard(seed_keys(seeds)), dataset.train_labels
    program = split_program(
        dataset.classes, config.labels, config.validation, config.choose_labels, len(labels), layout
    )
    return keys, program(keys, layout.replicate(labels))


def make_group(
    config: Config, seeds: Sequence[int], dataset: Dataset, layout: Layout, *, rounded: bool = False
) -> SeedGroup:
    """Put the data and the seeds' splits where they are trained.

    ``rounded`` rounds the sizes of the arrays up, so that data of about the same size share their programs. What is
    drawn stays the same, of up to 1,600 labelled images, so training does: no row is drawn that is none.
    """
    images, labels, places = dataset.train_images, dataset.train_labels, config.labels
    keys, parts = split_seeds(config, seeds, dataset, layout)
    if rounded:
        batch_size = config.phases[-1].batches.batch_size
        if places > batch_size:
            places = -(-places // batch_size) * batch_size  # as many updates as without
        rows = rounded_up(len(images) + batch_size)
        parts = layout.shard(_lengthened(layout.gather(parts), places, rows))
        images = np.pad(images, ((0, rows - len(images)), (0, 0)))
        labels = np.pad(labels, (0, rows - len(labels)), constant_values=-1)
    data = TrainingData(
        jnp.asarray(images),
        jnp.asarray(labels),
        labelled=jnp.asarray(config.labels, jnp.int32),
        unlabelled=jnp.asarray(len(dataset.train_labels) - config.labels - config.validation, jnp.int32),
        classes=dataset.classes,
    )
    return SeedGroup(config, dataset, layout, keys, parts, layout.replicate(data), places)


def rounded_up(count: int) -> int:
    """The next number with five binary digits before its zeros: at most a sixteenth more.

    >>> [rounded_up(count) for count in (7, 33, 1000, 60_000)]
    [7, 34, 1024, 61440]
    """
    step = 1 << max(count.bit_length() - 5, 0)
    return -(-count // step) * step


def _lengthened(parts: Split, places: int, rows: int) -> Split:
    """Splits on the host, ``[S, L]`` and ``[S, U]``, with room for more: filled up with the last row, which is none."""

    def fill(indices: np.ndarray, size: int) -> Any:
        return np.pad(indices, ((0, 0), (0, size - indices.shape[1])), constant_values=rows - 1)

    unlabelled = rows - places - parts.validation.shape[1]
    return Split(
        fill(np.asarray(parts.labelled), places), parts.validation, fill(np.asarray(parts.unlabelled), unlabelled)
    )
