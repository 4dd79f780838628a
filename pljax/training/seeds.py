"""The axis of seeds: random keys of seeds, their layout on devices, and functions of one seed mapped over all of them.

Data, networks, methods and the functions of a phase are written for one seed.
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
    """The root key of each seed, ``[S]``. It depends on the seed alone, not on the number of seeds."""
    return jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))


class PerSeed(NamedTuple):
    """A leaf of a tree that holds one array per seed instead of one array with a leading axis of seeds."""

    arrays: tuple[Any, ...]


def _is_per_seed(node: Any) -> bool:
    return isinstance(node, PerSeed)


class Layout(NamedTuple):
    """Where a group of seeds is computed, and how.

    On a single CPU device the seeds are sequential: they are computed one after another, and every leaf of their trees
    is a :class:`PerSeed`. One seed keeps all cores busy, and its arithmetic does not depend on the number of seeds. (It
    would in a stacked program, and training amplifies rounding: under `quick`, a last bit becomes half a point of
    accuracy.)

    On other devices the seeds are computed in one program, and every leaf has a leading axis of ``slots``, distributed
    evenly over the devices. If the number of devices does not divide the number of seeds, the first seeds are computed
    again in the remaining slots, and :meth:`gather` drops these copies. Seeds exchange nothing, so several devices need
    no code beyond the placement of the inputs.
    """

    seeds: int
    devices: tuple[jax.Device, ...]
    sequential: bool

    @property
    def slots(self) -> int:
        """The number of seeds, rounded up to a multiple of the number of devices."""
        return -(-self.seeds // len(self.devices)) * len(self.devices)

    def shard(self, tree: Any) -> Any:
        """Put arrays with a leading axis of seeds, ``[S, ...]``, on the devices that compute these seeds."""
        if self.sequential:
            return jax.tree.map(lambda leaf: PerSeed(tuple(self._put(leaf[seed]) for seed in range(self.seeds))), tree)
        slots = np.arange(self.slots) % self.seeds
        return self.reshard(tree if self.slots == self.seeds else jax.tree.map(lambda leaf: leaf[slots], tree))

    def replicate(self, tree: Any) -> Any:
        """Put arrays that all seeds share on every device."""
        return self._put(tree)

    def reshard(self, tree: Any) -> Any:
        """Put arrays that the seeds computed where their inputs are: JAX may have placed constants elsewhere."""
        return tree if self.sequential else self._put(tree, PartitionSpec("seed"))

    def gather(self, tree: Any) -> Any:
        """Copy the arrays of all seeds to the host, with a leading axis of seeds, ``[S, ...]``."""
        on_host = jax.device_get(tree)
        if self.sequential:
            return jax.tree.map(lambda leaf: np.stack(leaf.arrays), on_host, is_leaf=_is_per_seed)
        return jax.tree.map(lambda leaf: leaf[: self.seeds], on_host)

    def _put(self, tree: Any, spec: PartitionSpec = _WHOLE) -> Any:
        if len(self.devices) == 1:  # on a mesh of one device, equal placements can have two names: a new compilation
            return jax.device_put(tree, self.devices[0])
        return jax.device_put(tree, NamedSharding(_mesh(self.devices), spec))


def layout_for(seeds: int) -> Layout:
    """The layout of so many seeds on the local devices that gives the busiest device the fewest seeds."""
    devices = jax.local_devices()
    share = -(-seeds // len(devices))
    used = tuple(devices[: -(-seeds // share)])
    return Layout(seeds, used, sequential=len(used) == 1 and used[0].platform == "cpu")


@functools.cache
def _mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    """The mesh of some devices, cached because compiled programs compare meshes by identity."""
    return jax.make_mesh((len(devices),), ("seed",), axis_types=(AxisType.Auto,), devices=devices)


def over_seeds(
    function: Callable[..., Any], in_axes: Sequence[int | None], donate: Sequence[int] = ()
) -> Callable[..., Any]:
    """Map a function of one seed over all seeds of a :class:`Layout`.

    Seeds that are computed together run in one program, ``jit(vmap(function))``. Sequential seeds share the program
    ``jit(function)``, which is called once per seed.

    Args:
      function: a pure function of one seed.
      in_axes: for each argument, 0 if every seed has its own and ``None`` if all seeds share it.
      donate: the positions of the arguments whose memory the results may reuse.
    """

    @functools.wraps(function)
    def of_one(*arguments: Any) -> Any:  # a new function each time: JAX frees its programs together with it
        return function(*arguments)

    together = jax.jit(jax.vmap(of_one, in_axes=tuple(in_axes)), donate_argnums=tuple(donate))
    single = jax.jit(of_one, donate_argnums=tuple(donate))

    def all_seeds(*arguments: Any) -> Any:
        mapped = [argument for argument, axis in zip(arguments, in_axes, strict=True) if axis == 0]
        first = jax.tree.leaves(mapped, is_leaf=_is_per_seed)[0]
        if not _is_per_seed(first):
            return together(*arguments)
        results = []
        for seed in range(len(first.arrays)):
            of_this_seed = (
                _of_seed(argument, seed) if axis == 0 else argument
                for argument, axis in zip(arguments, in_axes, strict=True)
            )
            # Wait for each seed: two at once would compete for the cores.
            results.append(jax.block_until_ready(single(*of_this_seed)))
        return jax.tree.map(lambda *leaves: PerSeed(leaves), *results)

    return all_seeds


def _of_seed(tree: Any, seed: int) -> Any:
    """The tree of one seed, taken from a tree whose leaves are :class:`PerSeed`."""
    return jax.tree.map(lambda leaf: leaf.arrays[seed], tree, is_leaf=_is_per_seed)
