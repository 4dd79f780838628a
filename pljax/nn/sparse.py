"""A product with images, without the columns that are 0 in every image of a mini-batch.

On MNIST four fifths of the pixels are 0, and so is a quarter of the columns of 288 images.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

SAMPLED = 10_000  # images, to see which features are rarely lit
WORTHWHILE = 0.9  # share of the features: fetching rows of weights costs as much as a product saves
FEWEST_ROWS = 100  # for the same reason


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def product(x: jax.Array, kernel: jax.Array, room: int) -> jax.Array:
    """``x @ kernel``, float32 ``[B, D] @ [D, H] -> [B, H]``, without the columns of ``x`` that are 0 in every row.

    The columns that are not 0 are found in ``x`` itself. If there are more than ``room`` (static), all are multiplied.
    Under ``vmap`` both ways are computed and one is thrown away: there the plain product is faster.

    >>> x, kernel = jnp.array([[0.0, 2.0, 0.0], [0.0, 3.0, 0.0]]), jnp.ones((3, 1))
    >>> product(x, kernel, 1).tolist()
    [[2.0], [3.0]]
    """
    return _forward(x, kernel, room)[0]


def _forward(x: jax.Array, kernel: jax.Array, room: int) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    lit = (x != 0).any(axis=0)
    columns = jnp.sort(jnp.where(lit, jnp.arange(x.shape[1]), x.shape[1]))[:room]  # D: none
    fit = lit.sum() <= room
    result = jax.lax.cond(fit, lambda: _only(x, columns) @ kernel.at[columns].get(mode="clip"), lambda: x @ kernel)
    return result, (x, kernel, columns, fit)


def _backward(room: int, saved: tuple[jax.Array, ...], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel, columns, fit = saved

    def _nonzero_columns_product() -> jax.Array:
        rows = _only(x, columns).T @ gradient
        place = jnp.full(x.shape[1], room).at[columns].set(jnp.arange(room), mode="drop")
        return jnp.where((place < room)[:, None], rows.at[place].get(mode="clip"), 0)

    return gradient @ kernel.T, jax.lax.cond(fit, _nonzero_columns_product, lambda: x.T @ gradient)


product.defvjp(_forward, _backward)


def _only(x: jax.Array, columns: jax.Array) -> jax.Array:
    return x.at[:, columns].get(mode="fill", fill_value=0)


class Dense(nn.Module):
    """``flax.linen.Dense`` by :func:`product`, with ``room`` for so many columns; ``None``: the plain product.

    Of fewer than ``FEWEST_ROWS`` rows it is the plain product in any case.
    """

    features: int
    kernel_init: jax.nn.initializers.Initializer
    room: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        if self.room is None or x.shape[0] < FEWEST_ROWS:
            return x @ kernel + bias[None]
        return product(x, kernel, min(self.room, x.shape[-1])) + bias[None]


def room_for(images: np.ndarray, rows: int) -> int | None:
    """Room for the lit columns of nearly every mini-batch of ``rows`` images; ``None`` where most features are lit."""
    some = images[:: -(-len(images) // SAMPLED)]
    dark = (1.0 - (some != 0).mean(axis=0)) ** rows  # share of the mini-batches in which a feature is 0
    columns = (1 - dark).sum() + 4 * np.sqrt((dark * (1 - dark)).sum())
    columns = max(-(-int(columns) // 16) * 16, 16)
    return columns if columns < WORTHWHILE * images.shape[1] else None
