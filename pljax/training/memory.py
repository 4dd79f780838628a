"""How much memory a run takes, before it takes it."""

from typing import NamedTuple

import jax
import numpy as np
import psutil

from pljax.nn.networks import BLOCK_ROWS
from pljax.protocols.config import Config
from pljax.training.phases import state_shapes
from pljax.training.seeds import layout_for
from pljax.types import Dataset, InputError, Params, TrainState

MIB, GIB = 2**20, 2**30
PROGRAM = 600 * MIB  # Python, JAX and compiled programs
ACTIVATIONS = 4  # arrays of a layer's size that an update holds at once: before and after the ReLU, mask, gradient


class MemoryEstimate(NamedTuple):
    """Bytes at the peak: ``fixed + at_once * each + seeds * kept``."""

    fixed: int
    each: int  # a seed under training
    kept: int  # what a seed leaves until the result is written

    def total(self, seeds: int, at_once: int) -> int:
        return self.fixed + at_once * self.each + seeds * self.kept

    def most_at_once(self, seeds: int, available: int) -> int:
        """The most seeds at once that fit; 0 where one does not."""
        return max(min((available - self.fixed - seeds * self.kept) // max(self.each, 1), seeds), 0)


def estimate(config: Config, dataset: Dataset, at_once: int) -> MemoryEstimate:
    """What a run will take, from the shapes of its states; nothing is computed."""
    images, features = dataset.train_images.shape
    tests = len(dataset.test_labels)
    width = features * dataset.train_images.dtype.itemsize
    data = 2 * width * (images + tests) + 8 * (images + tests)  # on the host and on the device
    states = state_shapes(config, dataset.train_images, dataset.classes)
    params = [state.params for state in states]
    state, classifier = max(map(_bytes, states)), _bytes(params[-1])
    work = max(_update(phase.batches.rows_at_once(), of) for phase, of in zip(config.phases, params, strict=True))
    score = 4 * BLOCK_ROWS * _widths(params[-1])
    split = 4 * images
    estimateds = 8 * (images + tests)
    together = 1 if layout_for(at_once).sequential else at_once
    return MemoryEstimate(
        fixed=PROGRAM + data + together * max(work, score),
        each=3 * state + 2 * split,  # before and after an update, and on its way to a checkpoint
        kept=2 * classifier + max(map(_bytes, params[:-1]), default=0) + split + estimateds,
    )


def require_memory(estimated: MemoryEstimate, seeds: int, at_once: int) -> str | None:
    """A warning where even one seed at a time does not fit, or ``None``.

    Raises ``InputError``, with a ``--seeds_at_once`` that fits, where so many at once do not.
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
    """The bytes that are free where JAX computes."""
    stats = jax.local_devices()[0].memory_stats() or {}
    if "bytes_limit" in stats:
        return int(stats["bytes_limit"]) - int(stats.get("bytes_in_use", 0))
    return int(psutil.virtual_memory().available)


def format_bytes(size: int) -> str:
    """A size as a person reads it.

    >>> format_bytes(3 * 2**30 // 2), format_bytes(300 * 2**20)
    ('1.5 GiB', '300 MiB')
    """
    return f"{size / GIB:.1f} GiB" if size >= GIB else f"{size / MIB:.0f} MiB"


def _update(rows: int, params: Params) -> int:
    """Bytes that one update takes: gradients and steps as large as the parameters, and the rows in every layer."""
    return 2 * _bytes(params) + 4 * ACTIVATIONS * rows * _widths(params)


def _widths(params: Params) -> int:
    """The numbers that a row is in all layers: the inputs, and what each kernel makes."""
    kernels = [leaf.shape for leaf in jax.tree.leaves(params) if len(leaf.shape) == 2]
    return sum(outputs for _, outputs in kernels) + max(inputs for inputs, _ in kernels)


def _bytes(tree: Params | TrainState) -> int:
    return sum(leaf.size * np.dtype(leaf.dtype).itemsize for leaf in jax.tree.leaves(tree))
