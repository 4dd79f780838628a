"""A group of seeds that are trained together: their data, keys and splits, and the compiled programs they share."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax.data import split
from pljax.data.shares import estimate
from pljax.nn import sparse
from pljax.nn.networks import to_inputs
from pljax.protocols.config import Config, Phase
from pljax.results.forks import require_threads
from pljax.settings import everywhere
from pljax.training import phases
from pljax.training.scoring import Scores, score
from pljax.training.seeds import Layout, over_seeds, seed_keys
from pljax.types import AssignedLabels, Dataset, Evaluation, Metrics, Split, TrainingData, TrainState

# The key of a phase is the root key of the seed, folded with the number of the phase's role and then with the phase's
# index among the phases of that role. The first fine-tuning phase thus has the same key with and without pre-training.
# The number 0 belongs to the split.
PURPOSE = {"pretrain": 1, "finetune": 2}
MOST_ROWS = 10_000  # unlabelled ones from which the shares of classes are estimated
KEPT_PROGRAMS = 8  # of each kind; the oldest program goes when another is compiled, and its memory with it


class Programs(NamedTuple):
    """The functions of a phase over seeds. The phase is an argument, so its numbers may change between calls.

    The metrics of ``train_round`` and ``evaluate`` leave the device as bits: see :func:`as_bits`.
    """

    init: Callable[..., TrainState]
    train_round: Callable[..., tuple[TrainState, Metrics, AssignedLabels | None]]
    evaluate: Callable[..., Evaluation]


def as_bits(metrics: Metrics) -> Metrics:
    """The bits of float32 metrics as uint32; others stay as they are. :func:`from_bits` is the inverse, on the host.

    NaN is the value of a metric that there is nothing to measure on. JAX's ``debug_nans`` would take it for a fault in
    the output of a program, and stop the run. It still checks the state, where a NaN is one.
    """
    return {
        name: jax.lax.bitcast_convert_type(value, jnp.uint32) if value.dtype == jnp.float32 else value
        for name, value in metrics.items()
    }


def from_bits(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The metrics whose bits :func:`as_bits` took."""
    return {name: value.view(np.float32) if value.dtype == np.uint32 else value for name, value in metrics.items()}


def _train_round(*arguments: Any) -> tuple[TrainState, Metrics, AssignedLabels | None]:
    state, metrics, assigned = phases.train_round(*arguments)
    return state, as_bits(metrics), assigned


def _evaluate(*arguments: Any) -> Evaluation:
    evaluation = phases.evaluate(*arguments)
    return Evaluation(as_bits(evaluation.metrics), evaluation.pseudo_labels)


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def programs(structure: Any, sizes: tuple[Any, ...]) -> Programs:
    """The programs for phases of one tree structure and arrays of certain sizes, shared by all runs of a process.

    ``sizes`` only keys the cache: each combination of sizes has its own programs, so that their memory can be freed.
    """
    return Programs(
        init=over_seeds(phases.init_state, (None, 0, 0, 0, None)),
        train_round=over_seeds(_train_round, (None, 0, None, 0, 0, None), donate=(3,)),
        evaluate=over_seeds(_evaluate, (None, 0, 0, None)),
    )


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def split_program(
    classes: int, labels: int, validation: int, choose: split.Choose, rows: int, layout: Layout
) -> Callable[..., Split]:
    """The program that makes the split of each seed from the root keys and the training labels."""
    sizes = split.Sizes(classes=classes, labels=labels, validation=validation, choose=choose)
    return over_seeds(functools.partial(split.of_seed, **sizes), (0, None))


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def score_program(structure: Any, sizes: tuple[Any, ...]) -> Callable[..., Scores]:
    """The program that classifies images with the classifier of each seed."""
    return over_seeds(score, (None, 0, 0, None))


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def key_program(purpose: int, index: int) -> Callable[..., jax.Array]:
    """The program that makes the key of a phase from the root key of each seed."""
    return over_seeds(lambda root: jax.random.fold_in(jax.random.fold_in(root, purpose), index), (0,))


class SeedGroup(NamedTuple):
    """Some seeds of a run, and the arrays that they are trained on."""

    config: Config
    dataset: Dataset
    layout: Layout
    keys: jax.Array  # [S], the root key of each seed
    splits: Split  # of each seed, as laid out by ``layout``
    data: TrainingData  # shared by all seeds
    labelled_size: int  # the length of Split.labelled, with padding

    @property
    def sizes(self) -> tuple[Any, ...]:
        """Everything beside the structure of the phases that determines the shapes of the arrays."""
        return (self.layout, self.data.images.shape, self.labelled_size, self.config.validation, self.data.classes)

    def splits_on_host(self) -> Split:
        """The split of every seed without padding: ``[S, L]``, ``[S, V]`` and ``[S, U]``, shares ``[S, 2, C]``."""
        splits, labels, validation = self.layout.gather(self.splits), self.config.labels, self.config.validation
        unlabelled = len(self.dataset.train_labels) - labels - validation
        parts = splits.labelled[:, :labels], splits.validation, splits.unlabelled[:, :unlabelled]
        return Split(*parts, shares=splits.shares)

    def phase(self, number: int) -> Phase:
        """A phase of the config whose first layer leaves out columns of zeros, where that is faster."""
        phase = self.config.phases[number]
        if not (self.layout.sequential and phase.method.sparse):  # products take most of the time on a CPU alone
            return phase
        columns = sparse.max_nonzero_columns(self.dataset.train_images, phase.batches.rows_at_once())
        return everywhere(phase, "max_nonzero_columns", columns)

    def programs(self, number: int) -> Programs:
        """The compiled programs of a phase."""
        return programs(jax.tree.structure(self.phase(number)), (*self.sizes, self.dataset.train_images.dtype))

    def key(self, number: int) -> jax.Array:
        """The key of a phase for each seed."""
        purpose = PURPOSE[self.config.phases[number].role]
        return key_program(purpose, index_in_role(self.config, number))(self.keys)


def phase_name(config: Config, number: int) -> str:
    """The name of a phase: ``pretrain``, ``finetune``, or ``finetune 2`` for the second one of its role.

    >>> from pljax.protocols import arab2022
    >>> [phase_name(arab2022.SCENARIOS["pl_dae"], number) for number in range(3)]
    ['pretrain', 'finetune', 'finetune 2']
    """
    index = index_in_role(config, number)
    return config.phases[number].role + (f" {index + 1}" if index else "")


def index_in_role(config: Config, number: int) -> int:
    """The number of phases of the same role before a phase."""
    return sum(phase.role == config.phases[number].role for phase in config.phases[:number])


def split_seeds(config: Config, seeds: Sequence[int], dataset: Dataset, layout: Layout) -> tuple[jax.Array, Split]:
    """The root key and the split of each seed, on the devices that compute it: the first computation of a run.

    Raises ``RuntimeError`` in a process that was forked after JAX had started.
    """
    require_threads()
    keys, labels = layout.shard(seed_keys(seeds)), dataset.train_labels
    program = split_program(
        dataset.classes, config.labels, config.validation, config.choose_labels, len(labels), layout
    )
    return keys, program(keys, layout.replicate(labels))


def make_group(
    config: Config,
    seeds: Sequence[int],
    dataset: Dataset,
    layout: Layout,
    *,
    rounded: bool = False,
    shares: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> SeedGroup:
    """Put the data and the splits of the seeds on their devices.

    ``shares``, float ``[2, C]``, are the least and the greatest share of each class in the population, if they are
    known; else they are as the methods want them. ``weights``, float ``[N]``, say how many images each labelled one
    counts as.

    With ``rounded`` the arrays are padded to rounded sizes, so that data of about the same size share compiled
    programs. Padding rows are never drawn. With up to 1,600 labelled images the draws are those without padding, and
    so is training.
    """
    images, labels, labelled_size = dataset.train_images, dataset.train_labels, config.labels
    keys, splits = split_seeds(config, seeds, dataset, layout)
    of_seeds = shares_of_seeds(config, layout.gather(splits), dataset, shares)
    if rounded:
        batch_size = config.phases[-1].batches.batch_size
        if labelled_size > batch_size:
            labelled_size = -(-labelled_size // batch_size) * batch_size  # the number of updates stays the same
        rows = rounded_up(len(images) + batch_size)
        splits = layout.shard(_pad_splits(layout.gather(splits), labelled_size, rows))
        weights = None if weights is None else np.pad(weights, (0, rows - len(weights)))
        images = np.pad(images, ((0, rows - len(images)), (0, 0)))
        labels = np.pad(labels, (0, rows - len(labels)), constant_values=-1)
    data = TrainingData(
        jnp.asarray(images),
        jnp.asarray(labels),
        labelled=jnp.asarray(config.labels, jnp.int32),
        unlabelled=jnp.asarray(len(dataset.train_labels) - config.labels - config.validation, jnp.int32),
        classes=dataset.classes,
        weights=None if weights is None else jnp.asarray(weights, jnp.float32),
    )
    if of_seeds is not None:
        of_seeds = layout.shard(of_seeds.astype(np.float32))
        splits = Split(splits.labelled, splits.validation, splits.unlabelled, of_seeds)
    return SeedGroup(config, dataset, layout, keys, splits, layout.replicate(data), labelled_size)


def shares_of_seeds(config: Config, splits: Split, dataset: Dataset, known: np.ndarray | None) -> np.ndarray | None:
    """The least and the greatest share of each class for each seed, ``[S, 2, C]``: known, or as the methods want.

    ``None`` where no method uses them.
    """
    aligned: list[Any] = [phase.method for phase in config.phases if getattr(phase.method, "alignment", 1)]
    priors = {method.class_prior for method in aligned if hasattr(method, "class_prior")}
    if known is not None and priors:
        return np.tile(known, (len(splits.labelled), 1, 1))
    return estimate_shares(splits, dataset) if "estimated" in priors else None


def estimate_shares(splits: Split, dataset: Dataset) -> np.ndarray:
    """The least and the greatest share of each class, estimated for each seed: float64 ``[S, 2, C]``."""

    def inputs(rows: np.ndarray) -> np.ndarray:
        return np.asarray(to_inputs(jnp.asarray(dataset.train_images[rows])))

    def of_seed(labelled: np.ndarray, unlabelled: np.ndarray) -> np.ndarray:
        if len(unlabelled) > MOST_ROWS:
            unlabelled = unlabelled[np.linspace(0, len(unlabelled) - 1, MOST_ROWS).astype(int)]
        labels = dataset.train_labels[labelled]
        return estimate(inputs(labelled), labels, inputs(unlabelled), dataset.classes).interval()

    labelled, unlabelled = (np.sort(np.asarray(of), axis=1) for of in (splits.labelled, splits.unlabelled))
    if (labelled == labelled[:1]).all() and (unlabelled == unlabelled[:1]).all():  # all labels are given, for each seed
        return np.stack([of_seed(labelled[0], unlabelled[0])] * len(labelled))
    return np.stack(list(map(of_seed, labelled, unlabelled)))


def rounded_up(count: int) -> int:
    """Round up to a number with five significant binary digits: at most a sixteenth more.

    >>> [rounded_up(count) for count in (7, 33, 1000, 60_000)]
    [7, 34, 1024, 61440]
    """
    step = 1 << max(count.bit_length() - 5, 0)
    return -(-count // step) * step


def _pad_splits(splits: Split, labelled_size: int, rows: int) -> Split:
    """Pad the indices of splits on the host, ``[S, L]`` and ``[S, U]``, with the index of the last padding row."""

    def pad(indices: np.ndarray, size: int) -> Any:
        return np.pad(indices, ((0, 0), (0, size - indices.shape[1])), constant_values=rows - 1)

    unlabelled_size = rows - labelled_size - splits.validation.shape[1]
    return Split(
        pad(np.asarray(splits.labelled), labelled_size),
        splits.validation,
        pad(np.asarray(splits.unlabelled), unlabelled_size),
    )
