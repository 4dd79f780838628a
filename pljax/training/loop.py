"""A group of seeds trained together: from phase to phase, then the one look at the test images.

Everything computed is a pure function of one seed from ``phases``, ``split`` and ``score``; here it is put over the
seeds and called in order.
"""

import functools
import time
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
from pljax.training.checkpointer import Forgetful, Keeper, Progress
from pljax.training.metrics import Course, Journal
from pljax.training.scoring import Scores, score
from pljax.training.seeds import Layout, over_seeds, seed_keys
from pljax.types import Dataset, Evaluation, Labelling, Metrics, Params, Split, TrainingData, TrainState

SCORED_ROWS = 10_000  # images scored in one go


class Outcome(NamedTuple):
    """What a group of seeds left behind, on the host; the leading axis of every array is the seeds'."""

    params: Params  # of the classifier
    extra: Any  # what its method carries beside them
    pretrained: dict[str, Params]  # of networks that pre-training ended with, by the name of their file
    split: Split
    journal: Journal
    train: Scores  # of the training images: [S, N]; probabilities are summed over seeds, [N, C]
    test: Scores  # of the test images, [S, M]
    unseen: np.ndarray  # bool [S, N]: for which seeds an image was unlabelled, those that diverged left out
    seconds: dict[str, float]  # by phase


# What the root key of a seed is folded with for a phase, beside its place among the phases of its role, so that
# scenarios share the start that they have in common. 0 is the split's.
PURPOSE = {"pretrain": 1, "finetune": 2}
KEPT_PROGRAMS = 8  # of each kind: an old one makes room, and its memory is given back


class Programs(NamedTuple):
    """The functions of a phase over seeds. The phase is an argument: its numbers may change from call to call."""

    init: Callable[..., TrainState]
    train_round: Callable[..., tuple[TrainState, Metrics, Labelling | None]]
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


class Group(NamedTuple):
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
        if not self.layout.apart:  # elsewhere than on a CPU it is not the products that take the time
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
    keys, labels = layout.spread(seed_keys(seeds)), dataset.train_labels
    program = split_program(
        dataset.classes, config.labels, config.validation, config.choose_labels, len(labels), layout
    )
    return keys, program(keys, layout.share(labels))


def make_group(
    config: Config, seeds: Sequence[int], dataset: Dataset, layout: Layout, *, rounded: bool = False
) -> Group:
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
        parts = layout.spread(_lengthened(layout.gather(parts), places, rows))
        images = np.pad(images, ((0, rows - len(images)), (0, 0)))
        labels = np.pad(labels, (0, rows - len(labels)), constant_values=-1)
    data = TrainingData(
        jnp.asarray(images),
        jnp.asarray(labels),
        labelled=jnp.asarray(config.labels, jnp.int32),
        unlabelled=jnp.asarray(len(dataset.train_labels) - config.labels - config.validation, jnp.int32),
        classes=dataset.classes,
    )
    return Group(config, dataset, layout, keys, parts, layout.share(data), places)


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


def train(group: Group, journal: Journal, keeper: Keeper | Forgetful) -> Outcome:
    """All phases for some seeds, from their last checkpoint on; then the one look at the test images."""
    dataset, layout = group.dataset, group.layout
    progress = keeper.resume(
        lambda number: phases.state_shapes(group.config, dataset.train_images, dataset.classes)[number]
    )
    state = train_phase(group, progress, journal, keeper)
    while progress.phase + 1 < len(group.config.phases):
        hand_on(group, progress, state)
        state = train_phase(group, progress, journal, keeper)
    keeper.save(progress)
    started = time.monotonic()
    parts = group.parts_on_host()
    unseen = np.zeros((layout.seeds, len(dataset.train_labels)), np.bool_)
    np.put_along_axis(unseen, np.asarray(parts.unlabelled), True, axis=1)
    unseen &= ~journal.has_diverged()[:, None]
    train_scores = score_rows(group, state, dataset.train_images, unseen)
    test_scores = score_rows(group, state, dataset.test_images)
    seconds = {**progress.seconds, "score": time.monotonic() - started}
    params, extra = layout.gather((state.params, state.extra))
    return Outcome(params, extra, progress.pretrained, parts, journal, train_scores, test_scores, unseen, seconds)


def train_phase(group: Group, progress: Progress, journal: Journal, keeper: Keeper | Forgetful) -> TrainState:
    """Every round that is left of a phase, for all seeds at once; the state after it."""
    number, layout, programs = progress.phase, group.layout, group.programs(progress.phase)
    name, phase, key = name_of(group.config, number), group.phase(number), group.key(number)
    spent, started = progress.seconds.get(name, 0.0), time.monotonic()
    course = course_of(phase, group.places)
    journal.begin(number, name, course, progress.t)
    state = progress.state
    if state is None:
        state = layout.settle(programs.init(phase, key, progress.params, group.parts, group.data))
    for t in range(progress.t, course.epochs * course.rounds):
        state, metrics, labelling = programs.train_round(phase, key, np.int32(t), state, group.parts, group.data)
        looked = programs.evaluate(phase, state, group.parts, group.data) if journal.wants_evaluation(t) else None
        journal.record(t, *map(layout.gather, (metrics, labelling, looked)))
        progress.t, progress.state = t + 1, state
        progress.seconds[name] = spent + time.monotonic() - started
        keeper.rest(progress, course.rounds)
    return state


def hand_on(group: Group, progress: Progress, state: TrainState) -> None:
    """Bring ``progress`` to the start of the next phase, with the layers that it starts from."""
    method = group.config.phases[progress.phase].method
    if method.pretrains:
        progress.pretrained[method.pretrains] = group.layout.gather(state.params)
    progress.params = group.layout.settle(method.transfers(state.params))
    progress.phase, progress.t, progress.state = progress.phase + 1, 0, None


def course_of(phase: Phase, labelled: int) -> Course:
    """How long a phase is, and how its weight of the unlabelled images goes."""
    weights = None
    if phase.batches.unlabelled:
        epochs = np.arange(phase.epochs + 1)
        weights = np.broadcast_to(np.asarray(phase.method.weight(epochs), np.float32), epochs.shape)
    return Course(phase.epochs, phase.batches.rounds(labelled), phase.batches.updates(labelled), weights)


def score_rows(group: Group, state: TrainState, images: np.ndarray, counts: np.ndarray | None = None) -> Scores:
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
        scores = group.layout.gather(scored(method, state.params, state.extra, group.layout.share(padded)))
        scores = Scores(*(values[:, : len(block)] for values in scores))
        some = scores.probabilities if counts is None else np.where(counts[:, rows, None], scores.probabilities, 0)
        blocks.append(Scores(scores.classes, scores.entropy, some.sum(axis=0)))
    given, entropy, probabilities = zip(*blocks, strict=True)
    return Scores(np.concatenate(given, axis=1), np.concatenate(entropy, axis=1), np.concatenate(probabilities))
