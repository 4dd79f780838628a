"""The axis of seeds: where it comes from, where it lies, how it is put on a function.

Nothing else in the package knows that there is more than one seed.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

MOST_SEED = 2**32 - 1
_WHOLE = PartitionSpec()


def seed_keys(seeds: Sequence[int]) -> jax.Array:
    """The root key of each seed, ``[S]``: a function of the seed alone, not of how many there are."""
    return jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))


class PerSeed(NamedTuple):
    """In the place of an array with an axis of seeds: an array a seed."""

    of_seeds: tuple[Any, ...]


def _is_per_seed(node: Any) -> bool:
    return isinstance(node, PerSeed)


class Layout(NamedTuple):
    """Where a group of seeds is computed, and how.

    On a single CPU the seeds are computed sequential, one after another, and every leaf of what they have is an
    :class:`PerSeed`. One seed keeps the cores busy, and its arithmetic does not depend on how many stand beside it:
    training makes hundredths of a per cent out of a last bit.

    Elsewhere they are computed at once, and every leaf has a leading axis of ``slots``, laid evenly over the
    devices. Where the devices do not divide the seeds, the first seeds fill the slots that are left, and
    :meth:`gather` drops them. Seeds never talk to each other, so placing the inputs is all the code that several
    devices need.
    """

    seeds: int
    devices: tuple[jax.Device, ...]
    sequential: bool

    @property
    def slots(self) -> int:
        return -(-self.seeds // len(self.devices)) * len(self.devices)

    def shard(self, tree: Any) -> Any:
        """Arrays with a leading axis of seeds, put where the seeds are computed."""
        if self.sequential:
            return jax.tree.map(lambda leaf: PerSeed(tuple(self._put(leaf[seed]) for seed in range(self.seeds))), tree)
        slots = np.arange(self.slots) % self.seeds
        return self.reshard(tree if self.slots == self.seeds else jax.tree.map(lambda leaf: leaf[slots], tree))

    def replicate(self, tree: Any) -> Any:
        """Arrays that all seeds share, whole on each device."""
        return self._put(tree)

    def reshard(self, tree: Any) -> Any:
        """What the seeds computed, laid out like what they started from: what is constant may lie elsewhere."""
        return tree if self.sequential else self._put(tree, PartitionSpec("seed"))

    def gather(self, tree: Any) -> Any:
        """What the seeds have, on the host, with a leading axis of seeds."""
        there = jax.device_get(tree)
        if self.sequential:
            return jax.tree.map(lambda leaf: np.stack(leaf.of_seeds), there, is_leaf=_is_per_seed)
        return jax.tree.map(lambda leaf: leaf[: self.seeds], there)

    def _put(self, tree: Any, spec: PartitionSpec = _WHOLE) -> Any:
        if len(self.devices) == 1:  # on a mesh of one device, equal placements can differ by name, and compile anew
            return jax.device_put(tree, self.devices[0])
        return jax.device_put(tree, NamedSharding(_mesh(self.devices), spec))


def layout_for(seeds: int) -> Layout:
    """The layout on the devices of this process: no device has more seeds than it must, none is left without."""
    devices = jax.local_devices()
    share = -(-seeds // len(devices))
    used = tuple(devices[: -(-seeds // share)])
    return Layout(seeds, used, sequential=len(used) == 1 and used[0].platform == "cpu")


@functools.cache
def _mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    """The one mesh of some devices: programs know it by identity."""
    return jax.make_mesh((len(devices),), ("seed",), axis_types=(AxisType.Auto,), devices=devices)


def over_seeds(
    function: Callable[..., Any], in_axes: Sequence[int | None], donate: Sequence[int] = ()
) -> Callable[..., Any]:
    """``function`` of one seed as a function of what all seeds of a :class:`Layout` have.

    Seeds that are computed at once are one program, ``jit(vmap(function))``; sequential, they share a program,
    ``jit(function)``.

    ``in_axes`` is 0 for an argument that each seed has its own of and ``None`` for one that all seeds share;
    ``donate`` lists the arguments whose memory the results may take over.
    """

    @functools.wraps(function)
    def of_one(*arguments: Any) -> Any:  # JAX keeps what it compiled as long as this function lives, and no longer
        return function(*arguments)

    at_once = jax.jit(jax.vmap(of_one, in_axes=tuple(in_axes)), donate_argnums=tuple(donate))
    alone = jax.jit(of_one, donate_argnums=tuple(donate))

    def all_seeds(*arguments: Any) -> Any:
        own = [argument for argument, axis in zip(arguments, in_axes, strict=True) if axis == 0]
        first = jax.tree.leaves(own, is_leaf=_is_per_seed)[0]
        if not _is_per_seed(first):
            return at_once(*arguments)
        results = []
        for seed in range(len(first.of_seeds)):
            given = (
                _of_seed(argument, seed) if axis == 0 else argument
                for argument, axis in zip(arguments, in_axes, strict=True)
            )
            # Waiting for each: two seeds at once would only take turns on the cores.
            results.append(jax.block_until_ready(alone(*given)))
        return jax.tree.map(lambda *leaves: PerSeed(leaves), *results)

    return all_seeds


def _of_seed(tree: Any, seed: int) -> Any:
    """What one seed has of a tree whose leaves are :class:`PerSeed`."""
    return jax.tree.map(lambda leaf: leaf.of_seeds[seed], tree, is_leaf=_is_per_seed)
