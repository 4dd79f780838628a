"""An estimate of the memory that a run needs, made before anything is computed."""

from typing import NamedTuple

import jax
import numpy as np

from pljax.data.free_memory import free_memory
from pljax.nn.networks import BLOCK_ROWS
from pljax.protocols.config import Config
from pljax.training.phases import state_shapes
from pljax.training.seeds import layout_for
from pljax.types import Dataset, InputError, Params, TrainState

MIB, GIB = 2**20, 2**30
PROGRAM = 600 * MIB  # Python, JAX and compiled programs
ACTIVATIONS = 4  # arrays of a layer's size that an update holds at once: before and after the ReLU, mask, gradient


class MemoryEstimate(NamedTuple):
    """Peak memory in bytes: ``fixed + at_once * per_training_seed + seeds * per_seed``."""

    fixed: int
    per_training_seed: int  # for each seed that is being trained
    per_seed: int  # for each seed of the run: its outputs are kept until the result is written

    def total(self, seeds: int, at_once: int) -> int:
        """Peak memory in bytes of a run with ``seeds`` seeds, ``at_once`` of which are trained together."""
        return self.fixed + at_once * self.per_training_seed + seeds * self.per_seed

    def most_at_once(self, seeds: int, available: int) -> int:
        """The largest number of seeds at once that fits into ``available`` bytes; 0 if one seed does not fit."""
        room = available - self.fixed - seeds * self.per_seed
        return max(min(room // max(self.per_training_seed, 1), seeds), 0)


def estimate(config: Config, dataset: Dataset, at_once: int) -> MemoryEstimate:
    """Estimate the memory of a run from the shapes of its states. Nothing is computed."""
    images, features = dataset.train_images.shape
    tests = len(dataset.test_labels)
    width = features * dataset.train_images.dtype.itemsize
    data = 2 * width * (images + tests) + 8 * (images + tests)  # on the host and on the device
    states = state_shapes(config, dataset.train_images, dataset.classes)
    params = [state.params for state in states]
    state, classifier = max(map(_bytes, states)), _bytes(params[-1])
    update = max(
        _update_bytes(phase.batches.rows_at_once(), of_phase)
        for phase, of_phase in zip(config.phases, params, strict=True)
    )
    score = 4 * BLOCK_ROWS * _units(params[-1])
    split = 4 * images
    predictions = 8 * (images + tests)  # a class and an entropy for each image
    together = 1 if layout_for(at_once).sequential else at_once
    return MemoryEstimate(
        fixed=PROGRAM + data + together * max(update, score),
        per_training_seed=3 * state + 2 * split,  # before and after an update, and the copy that is being saved
        per_seed=2 * classifier + max(map(_bytes, params[:-1]), default=0) + split + predictions,
    )


def require_memory(estimated: MemoryEstimate, seeds: int, at_once: int) -> str | None:
    """Return a warning if even one seed at a time does not fit, and ``None`` if the run fits.

    Raises ``InputError``, with a ``--seeds_at_once`` that fits, if only fewer seeds at once do.
    """
    room, total = available(), estimated.total(seeds, at_once)
    if total <= room:
        return None
    needed, free = format_bytes(total), format_bytes(room)
    shortage = f"{seeds} seeds, {at_once} at once, need about {needed} of memory, and {free} are free"
    fit = estimated.most_at_once(seeds, room)
    if fit and fit < at_once:
        raise InputError(f"{shortage}: give --seeds_at_once={fit}.")
    return f"{shortage}: even one at a time does not fit, give fewer --seeds or a smaller --hidden."


def available() -> int:
    """Free memory in bytes on the first local device; on a CPU, what the machine and a container leave."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    return free_memory()


def format_bytes(size: int) -> str:
    """Format a number of bytes in MiB or GiB.

    >>> format_bytes(3 * 2**30 // 2), format_bytes(300 * 2**20)
    ('1.5 GiB', '300 MiB')
    """
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


def _update_bytes(rows: int, params: Params) -> int:
    """Bytes of one update: gradients and steps as large as the parameters, and the activations of all rows."""
    return 2 * _bytes(params) + 4 * ACTIVATIONS * rows * _units(params)


def _units(params: Params) -> int:
    """Numbers per row over all layers: the inputs and the outputs of each kernel."""
    kernels = [leaf.shape for leaf in jax.tree.leaves(params) if len(leaf.shape) == 2]
    return sum(outputs for _, outputs in kernels) + max(inputs for inputs, _ in kernels)


def _bytes(tree: Params | TrainState) -> int:
    return sum(leaf.size * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))
