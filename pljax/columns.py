"""Products with images, without the columns that are 0 in every image of a mini-batch.

On MNIST four fifths of the pixels are 0, and so is a quarter of the columns of 288 images.
"""

import jax
import jax.numpy as jnp
import numpy as np

from pljax.types import Params

SAMPLED = 10_000  # images, to see which features are rarely lit
WORTHWHILE = 0.9  # share of the features: fetching rows of weights costs as much as a product saves


def lit_columns(images: jax.Array, at_most: int) -> tuple[jax.Array, jax.Array]:
    """The features that some image of a mini-batch has: all but those that are 0 in every one.

    Args:
      images: uint8 ``[..., B, D]``.
      at_most: ``K``, how many features there is room for.

    Returns:
      Their indices, int32 ``[..., K]``, padded with ``D``, and whether there was room for all, bool ``[...]``.

    >>> lit_columns(jnp.array([[[0, 1, 0, 7], [0, 0, 0, 9]], [[0, 0, 0, 0], [0, 0, 5, 0]]]), at_most=2)[0].tolist()
    [[1, 3], [2, 4]]
    """
    lit = images.any(axis=-2)
    place = jnp.where(lit, jnp.arange(lit.shape[-1]), lit.shape[-1])
    return jnp.sort(place, axis=-1)[..., :at_most].astype(jnp.int32), lit.sum(axis=-1) <= at_most


def usually_lit(images: np.ndarray, rows: int) -> int | None:
    """Room for the lit columns of nearly every mini-batch of ``rows`` images; ``None`` where most features are lit."""
    some = images[:: -(-len(images) // SAMPLED)]
    share = (1.0 - (some != 0).mean(axis=0)) ** rows  # of mini-batches in which a feature is 0
    columns = (1 - share).sum() + 4 * np.sqrt((share * (1 - share)).sum())
    columns = -(-int(columns) // 16) * 16
    return columns if columns < WORTHWHILE * images.shape[1] else None


def linear(layer: Params, inputs: jax.Array, columns: jax.Array | None = None) -> jax.Array:
    """A layer before its activation, ``[B, D] -> [B, H]``.

    ``columns`` (int32 ``[K]``) are indices of all columns of ``inputs`` that are not 0, in any order, each once, and
    of ``D`` or above otherwise: the others need not be multiplied.
    """
    kernel = layer["kernel"]
    if columns is not None:
        inputs, kernel = _only(inputs, columns), kernel.at[columns].get(mode="clip")
    return inputs @ kernel + layer["bias"][None]


def linear_gradient(inputs: jax.Array, gradient: jax.Array, columns: jax.Array | None = None) -> Params:
    """The gradient of a layer's parameters, from that of its result, ``[B, H]``; ``columns`` as in :func:`linear`."""
    bias = gradient.sum(axis=0)
    if columns is None:
        return {"kernel": inputs.T @ gradient, "bias": bias}
    size = len(columns)
    rows = _only(inputs, columns).T @ gradient
    place = jnp.full(inputs.shape[1], size).at[columns].set(jnp.arange(size), mode="drop")
    kernel = jnp.where((place < size)[:, None], rows.at[place].get(mode="clip"), 0)
    return {"kernel": kernel, "bias": bias}


def _only(inputs: jax.Array, columns: jax.Array) -> jax.Array:
    return inputs.at[:, columns].get(mode="fill", fill_value=0)
