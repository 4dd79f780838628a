"""Inference with the networks of several seeds: the logits of any number of rows, a block of rows at a time."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from pljax.methods.base import Method
from pljax.nn.networks import to_inputs
from pljax.results.forks import require_threads
from pljax.types import Params

BLOCK_ROWS = 4096  # bounds the memory of the hidden layers
KEPT_PROGRAMS = 8  # the oldest program goes when another is compiled, and its memory with it


def logits_by_seed(method: Method, params: Params, extra: Any, inputs: jax.Array) -> jax.Array:
    """The logits of every seed's network without dropout: ``[n, D] -> [S, n, C]``, float32. Pure.

    ``params`` and ``extra`` have a leading axis of seeds; ``inputs`` are as in training, see
    :func:`pljax.nn.networks.to_inputs`. The seeds are computed one after another, so that memory does not grow with
    their number.
    """

    def of_seed(own: tuple[Params, Any]) -> jax.Array:
        params, extra = own
        return method.logits(params, extra, to_inputs(inputs))

    return jax.lax.map(of_seed, (params, extra))


def logits(method: Method, params: Params, extra: Any, inputs: np.ndarray) -> np.ndarray:
    """:func:`logits_by_seed` for rows on the host: ``[n, D] -> [S, n, C]``, float32.

    Blocks are padded to a power of two rows, so that few programs are compiled; methods that differ in numbers alone
    share them. Raises ``RuntimeError`` in a process that was forked after JAX had started.
    """
    require_threads()
    program = _program(jax.tree.structure((method, params, extra)), inputs.shape[1], inputs.dtype)
    blocks = []
    with jax.enable_x64(False):
        params, extra = jax.device_put((params, extra))
        for first in range(0, max(len(inputs), 1), BLOCK_ROWS):
            block = inputs[first : first + BLOCK_ROWS]
            padded = np.zeros((1 << max(len(block) - 1, 0).bit_length(), inputs.shape[1]), inputs.dtype)
            padded[: len(block)] = block
            blocks.append(np.asarray(program(method, params, extra, padded))[:, : len(block)])
    return np.concatenate(blocks, axis=1)


@functools.lru_cache(maxsize=KEPT_PROGRAMS)
def _program(structure: Any, features: int, dtype: np.dtype) -> Callable[..., jax.Array]:
    """The compiled :func:`logits_by_seed`; the arguments are keys of the cache."""
    return jax.jit(lambda *arguments: logits_by_seed(*arguments))
