"""A dense layer that leaves out the columns (pixels) that are 0 in every image of a mini-batch.

On MNIST, four fifths of the pixels are 0, and a quarter of the columns are 0 in all of 288 images.
"""

import functools

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

SAMPLE_SIZE = 10_000  # images that are enough to estimate how often each feature is 0
# The plain product is faster for more than this share of nonzero columns, or for fewer rows than FEWEST_ROWS: to gather
# rows of the kernel then takes longer than the shorter product saves.
MAX_NONZERO_SHARE = 0.9
FEWEST_ROWS = 100


@functools.partial(jax.custom_vjp, nondiff_argnums=(2,))
def product(x: jax.Array, kernel: jax.Array, most: int) -> jax.Array:
    """Compute ``x @ kernel`` from the nonzero columns of ``x`` alone, those that are not 0 in every row.

    If ``x`` has more than ``most`` nonzero columns, all columns are multiplied. Under ``vmap`` both products are
    computed, because ``lax.cond`` becomes a ``select``: the plain product is faster there.

    Args:
      x: float32 ``[B, D]``.
      kernel: float32 ``[D, H]``.
      most: static; the number of columns in the shorter product, at most ``D``.

    Returns:
      float32 ``[B, H]``.

    >>> x, kernel = jnp.array([[0.0, 2.0, 0.0], [0.0, 3.0, 0.0]]), jnp.ones((3, 1))
    >>> product(x, kernel, 1).tolist()
    [[2.0], [3.0]]
    """
    return _forward(x, kernel, most)[0]


def _forward(x: jax.Array, kernel: jax.Array, most: int) -> tuple[jax.Array, tuple[jax.Array, ...]]:
    nonzero = (x != 0).any(axis=0)
    columns = jnp.sort(jnp.where(nonzero, jnp.arange(x.shape[1]), x.shape[1]))[:most]  # D stands for no column
    fits = nonzero.sum() <= most
    result = jax.lax.cond(fits, lambda: _gather(x, columns) @ kernel.at[columns].get(mode="clip"), lambda: x @ kernel)
    return result, (x, kernel, columns, fits)


def _backward(most: int, saved: tuple[jax.Array, ...], gradient: jax.Array) -> tuple[jax.Array, jax.Array]:
    x, kernel, columns, fits = saved

    def kernel_gradient() -> jax.Array:
        rows = _gather(x, columns).T @ gradient
        place = jnp.full(x.shape[1], most).at[columns].set(jnp.arange(most), mode="drop")
        return jnp.where((place < most)[:, None], rows.at[place].get(mode="clip"), 0)

    return gradient @ kernel.T, jax.lax.cond(fits, kernel_gradient, lambda: x.T @ gradient)


product.defvjp(_forward, _backward)


def _gather(x: jax.Array, columns: jax.Array) -> jax.Array:
    """Return these columns of ``x``, and columns of 0 for indices that are out of range."""
    return x.at[:, columns].get(mode="fill", fill_value=0)


class Dense(nn.Module):
    """``flax.linen.Dense`` with :func:`product`.

    It uses the plain product where ``max_nonzero_columns`` is ``None`` and for fewer than ``FEWEST_ROWS`` rows.
    """

    features: int
    kernel_init: jax.nn.initializers.Initializer
    max_nonzero_columns: int | None = None

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        kernel = self.param("kernel", self.kernel_init, (x.shape[-1], self.features))
        bias = self.param("bias", nn.initializers.zeros, (self.features,))
        if self.max_nonzero_columns is None or x.shape[0] < FEWEST_ROWS:
            return x @ kernel + bias[None]
        return product(x, kernel, min(self.max_nonzero_columns, x.shape[-1])) + bias[None]


def max_nonzero_columns(images: np.ndarray, rows: int) -> int | None:
    """Return the ``most`` columns for :func:`product` that nearly all mini-batches fit into.

    It is the mean number of nonzero columns plus four standard deviations, as a multiple of 16, where features are
    independent.

    Args:
      images: uint8 or float32 ``[N, D]``.
      rows: the size of a mini-batch.

    Returns:
      ``None`` if the plain product is faster.
    """
    sample = images[:: -(-len(images) // SAMPLE_SIZE)]
    zero = (1.0 - (sample != 0).mean(axis=0)) ** rows  # the probability that a column is 0, [D]
    columns = (1 - zero).sum() + 4 * np.sqrt((zero * (1 - zero)).sum())
    columns = max(-(-int(columns) // 16) * 16, 16)
    return columns if columns < MAX_NONZERO_SHARE * images.shape[1] else None
