"""The axis of seeds: where it comes from, how it is put on a function, where it lies.

Nothing else in the package knows that there is more than one seed.
"""

import functools
import os
from collections.abc import Callable, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from pljax.types import InputError

MOST_SEED = 2**32 - 1
BACKENDS = ("cpu", "gpu", "tpu")


def choose_backend(name: str | None) -> None:
    """Compute on ``name``; without a name, on what JAX finds. To be called before anything is computed.

    Raises ``InputError`` for a backend that is not there, with those that are.
    """
    if name is None:
        return
    if name not in BACKENDS:
        raise InputError(f"There is no backend {name!r}: choose one of {', '.join(BACKENDS)}.")
    if name == "cpu":
        jax.config.update("jax_platforms", "cpu")  # an accelerator is not even started
    elif not _is_here(name):
        found = [backend for backend in BACKENDS if _is_here(backend)]
        raise InputError(
            f"There is no {name} here, JAX finds {' and '.join(found)}: choose one of these with --backend."
        )


def _is_here(backend: str) -> bool:
    try:
        return bool(jax.devices(backend))
    except RuntimeError:
        return False


def device() -> dict[str, Any]:
    """Where it is computed: results are the same to the bit only on the same kind of device and number of cores."""
    devices = jax.local_devices()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"platform": devices[0].platform, "kind": devices[0].device_kind, "count": len(devices), "cores": cores}


def seed_keys(seeds: Sequence[int]) -> jax.Array:
    """The root key of each seed, ``[S]``: a function of the seed alone, not of how many there are."""
    return jax.vmap(jax.random.key)(np.asarray(seeds, np.uint32))


def over_seeds(
    function: Callable[..., Any], in_axes: Sequence[int | None], donate: Sequence[int] = ()
) -> Callable[..., Any]:
    """``function`` of one seed as one compiled program over a leading axis of seeds.

    The program is ``jit(vmap(function))``. On a single CPU it is ``jit(lax.map(function))`` instead, which goes
    through the same axis a seed at a time: one seed keeps the cores busy, and the arithmetic of a seed does not
    depend on how many stand beside it. Training makes hundredths of a per cent out of a last bit.

    ``in_axes`` is 0 for an argument with an axis of seeds and ``None`` for one that all seeds share;
    ``donate`` lists the arguments whose memory the results may take over.
    """

    def all_seeds(*arguments: Any) -> Any:
        stacked = [argument for argument, axis in zip(arguments, in_axes, strict=True) if axis == 0]
        if not one_at_a_time(jax.tree.leaves(stacked)[0].shape[0]):
            return jax.vmap(function, in_axes=tuple(in_axes))(*arguments)

        def one_seed(of_seed: list[Any]) -> Any:
            rest = iter(of_seed)
            return function(
                *(next(rest) if axis == 0 else whole for whole, axis in zip(arguments, in_axes, strict=True))
            )

        return jax.lax.map(one_seed, stacked)

    return jax.jit(all_seeds, donate_argnums=tuple(donate))


def one_at_a_time(seeds: int) -> bool:
    """Whether so many seeds are computed one after another: where a single CPU device has them all."""
    return jax.default_backend() == "cpu" and len(devices_for(seeds)) == 1


def devices_for(seeds: int) -> tuple[jax.Device, ...]:
    """The local devices that ``seeds`` seeds are spread over: the largest number of them that divides the seeds.

    Seeds never talk to each other, so placing the inputs (:func:`spread`, :func:`share`) is all the code
    that several devices need.
    """
    devices = jax.local_devices()
    return tuple(devices[: max(count for count in range(1, len(devices) + 1) if seeds % count == 0)])


def spread(devices: tuple[jax.Device, ...], tree: Any) -> Any:
    """Every array of ``tree`` with its leading axis of seeds laid over the devices, an equal share each."""
    return _place(devices, tree, PartitionSpec("seed"))


def share(devices: tuple[jax.Device, ...], tree: Any) -> Any:
    """Every array of ``tree`` whole on each device."""
    return _place(devices, tree, PartitionSpec())


def _place(devices: tuple[jax.Device, ...], tree: Any, spec: PartitionSpec) -> Any:
    if len(devices) == 1:  # on a mesh of one device, equal placements can differ by name, and compile anew
        return jax.device_put(tree, devices[0])
    return jax.device_put(tree, NamedSharding(_mesh(devices), spec))


@functools.cache
def _mesh(devices: tuple[jax.Device, ...]) -> Mesh:
    """The one mesh of some devices: programs know it by identity."""
    return jax.make_mesh((len(devices),), ("seed",), axis_types=(AxisType.Auto,), devices=devices)
