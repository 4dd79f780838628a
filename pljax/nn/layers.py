"""Dropout, as the paper has it and inverted."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp


def keep_mask(key: jax.Array, keep: float | jax.Array, shape: Sequence[int]) -> jax.Array:
    """A mask that is true with probability ``keep``, independently per element.

    Random bits are a large part of a step on a CPU, so no more are drawn than the probability needs:
    one a unit for a half, sixteen for any other (which meets ``keep`` to 2^-17). Row ``r`` of the mask
    depends on the key, ``r`` and the row's length alone, not on how many rows there are.

    Args:
      key: typed PRNG key.
      keep: the probability; a half that is a Python number takes one bit, a traced one sixteen.
      shape: ``[rows, units]``.

    Returns:
      bool ``shape``.

    >>> mask = keep_mask(jax.random.key(0), 0.5, (4, 10_000))
    >>> mask.shape, bool(abs(mask.mean() - 0.5) < 0.01)
    ((4, 10000), True)
    """
    rows, units = shape
    width = 1 if not isinstance(keep, jax.Array) and keep == 0.5 else 16
    lanes = 32 // width
    words = jax.random.bits(key, (rows, -(-units // lanes)), jnp.uint32)
    shifts = jnp.arange(0, 32, width, dtype=jnp.uint32)
    numbers = (words[:, :, None] >> shifts[None, None]) & jnp.uint32((1 << width) - 1)
    threshold = jnp.round(jnp.asarray(keep * (1 << width), jnp.float32)).astype(jnp.uint32)
    return (numbers < threshold).reshape(rows, -1)[:, :units]


class Dropout(nn.Module):
    """Dropout, inverted (kept units are scaled up while training) or the paper's own.

    Eq. 9 multiplies by a 0/1 mask alone while training, and evaluation multiplies every unit by the
    probability to be kept. With the paper's learning rate of 1.5 this is no matter of taste: inverted
    dropout multiplies the gradient of the first layer by up to 1 / keep^2, and pseudo-labels collapse.

    A ``rate`` that is the Python number 0 drops nothing and draws nothing.
    """

    rate: float | jax.Array
    inverted: bool

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        keep = 1 - self.rate
        if not isinstance(self.rate, jax.Array) and self.rate == 0:
            return x
        if not train:
            return x if self.inverted else x * keep
        mask = keep_mask(self.make_rng("dropout"), keep, x.shape)
        return jnp.where(mask, x / keep if self.inverted else x, 0)
