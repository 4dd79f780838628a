"""Dropout layers: inverted dropout, and that of the paper."""

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp


def keep_mask(key: jax.Array, keep: float | jax.Array, shape: Sequence[int]) -> jax.Array:
    """Draw a mask whose elements are independent and true with probability ``keep``.

    Random bits take a large part of an update on a CPU. Therefore only one bit per element is drawn where ``keep`` is
    the Python number 0.5, and 16 bits otherwise, which round the probability by at most 2^-17. Row ``r`` of the mask
    depends on the key, ``r`` and the length of a row, and not on the number of rows.

    Args:
      key: typed PRNG key.
      keep: the probability, in [0, 1].
      shape: ``(rows, units)``.

    Returns:
      bool ``[rows, units]``.

    >>> mask = keep_mask(jax.random.key(0), 0.5, (4, 10_000))
    >>> mask.shape, bool(abs(mask.mean() - 0.5) < 0.01)
    ((4, 10000), True)
    """
    rows, units = shape
    bits = 1 if not isinstance(keep, jax.Array) and keep == 0.5 else 16
    units_per_word = 32 // bits
    words = jax.random.bits(key, (rows, -(-units // units_per_word)), jnp.uint32)
    shifts = jnp.arange(0, 32, bits, dtype=jnp.uint32)
    numbers = (words[:, :, None] >> shifts[None, None]) & jnp.uint32((1 << bits) - 1)
    threshold = jnp.round(jnp.asarray(keep * (1 << bits), jnp.float32)).astype(jnp.uint32)
    return (numbers < threshold).reshape(rows, -1)[:, :units]


class Dropout(nn.Module):
    """Dropout with the random stream ``dropout``.

    Inverted dropout, as in Flax and Keras, divides the kept units by ``keep = 1 - rate`` in training. Dropout that is
    not inverted, eq. 9 of Lee (2013), multiplies by the mask alone in training, and all units by ``keep`` otherwise.
    The two differ at the paper's learning rate of 1.5: inverted dropout multiplies the gradient of the first layer by
    up to ``1 / keep^2``.

    If ``rate`` is the Python number 0, the layer is the identity and draws nothing.
    """

    rate: float | jax.Array  # the probability that a unit is dropped
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
