"""Denoising auto-encoder: the pre-training of Lee (2013), section 2.2."""

from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from pljax.methods.base import WEIGHTS, Aux, Batch, Method, register, setting
from pljax.nn.layers import keep_mask
from pljax.nn.losses import reconstruction_loss
from pljax.nn.networks import Autoencoder, Network, forward, transfer
from pljax.types import InputError, Params, Split, TrainingData

# The key of the noise is ``fold_in(key of the phase, NOISE)``. pljax.data.batches uses the same number for the draws of
# unlabelled images, but pre-training has none.
NOISE = 2


class Extra(NamedTuple):
    """The state of the noise."""

    noise: jax.Array  # uint32 [2], the data of a typed PRNG key
    updates: jax.Array  # int32 [], the number of updates made


@register
class DenoisingAutoencoder(Method):
    """Pre-training of the first layer by the reconstruction of corrupted images (Vincent et al. 2008), without labels.

    ``masking`` noise sets inputs to 0 and is drawn anew at every update. ``gaussian`` noise is drawn once for each
    image, and the noisy image is clipped to [0, 1]. See :class:`~pljax.nn.networks.Autoencoder` for the network.
    """

    pretrains: ClassVar[str | None] = "autoencoder"

    network: Network
    noise: Literal["masking", "gaussian"] = setting(help="the kind of noise: masking, or gaussian.", flag=False)
    noise_level: float = setting(help="the share of inputs masked, or the noise's standard deviation.", static=(0.5,))
    encoder_dropout: float = setting(
        default=0.0, help="the share of hidden units dropped.", high=1, static=(0.0, 0.5), flag=False
    )
    bottleneck: tuple[int, ...] = setting(default=(), help="widths between the outer layers.", flag=False)
    reduction: Literal["sum", "mean"] = setting(
        default="sum", help="sum or mean of the error over the pixels.", flag=False
    )
    error: Literal["cross_entropy", "squared"] = setting(
        default="cross_entropy",
        help="the error of a pixel: cross_entropy for pixels in [0, 1], squared for any numbers.",
        flag=False,
    )

    def check(self) -> None:
        if self.noise == "masking" and self.noise_level >= 1:
            raise InputError(f"noise_level is {self.noise_level!r}: give a number of at least 0 and below 1.")

    @property
    def model(self) -> Autoencoder:
        """The network. It uses plain products for Gaussian noise, because no column of the noisy images is 0."""
        network = self.network if self.noise == "masking" else self.network.replace(max_nonzero_columns=None)
        return Autoencoder(network, self.bottleneck, self.encoder_dropout)

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Extra]:
        """Return initial weights, replaced by the layers of ``start``, and the key of the noise."""
        example = jnp.zeros((1, data.images.shape[1]))
        initial = self.model.init(jax.random.fold_in(key, WEIGHTS), example)["params"]
        noise = jax.random.key_data(jax.random.fold_in(key, NOISE))
        return transfer(start, initial), Extra(noise, jnp.zeros([], jnp.int32))

    def loss(
        self, params: Params, extra: Extra, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """Compute the reconstruction error, eq. 6 to 8, of ``batch.images`` from the noisy images."""
        noise = jax.random.wrap_key_data(extra.noise)
        corrupted = self.corrupt(noise, batch.images, batch.rows, extra.updates)
        outputs = forward(self.model, params, corrupted, key)
        loss = reconstruction_loss(outputs, batch.images, self.reduction, self.error)
        return loss, Aux(extra._replace(updates=extra.updates + 1), {"reconstruction_loss": loss})

    def corrupt(self, noise: jax.Array, images: jax.Array, rows: jax.Array, update: Any) -> jax.Array:
        """Add noise to images.

        Args:
          noise: typed PRNG key of the noise.
          images: float32 ``[B, D]``.
          rows: int32 ``[B]``, the indices of the images, which Gaussian noise depends on.
          update: the number of the update, which masking noise depends on.

        Returns:
          float32 ``[B, D]``.
        """
        if self.noise == "masking":
            return mask_pixels(jax.random.fold_in(noise, update), images, self.noise_level)
        return add_fixed_noise(noise, images, rows, self.noise_level)

    def reconstruct(self, params: Params, corrupted: jax.Array) -> jax.Array:
        """Reconstruct images from noisy ones without dropout, float32 ``[B, D] -> [B, D]``."""
        outputs = forward(self.model, params, corrupted)
        return jax.nn.sigmoid(outputs) if self.error == "cross_entropy" else outputs

    def transfers(self, params: Params) -> Params:
        """Return the first layer."""
        return {"hidden": params["hidden"]}


def mask_pixels(key: jax.Array, images: jax.Array, level: float | jax.Array) -> jax.Array:
    """Set each pixel to 0 with probability ``level``, float32 ``[B, D] -> [B, D]``."""
    return jnp.where(keep_mask(key, 1 - level, images.shape), images, 0)


def add_fixed_noise(key: jax.Array, images: jax.Array, rows: jax.Array, level: float | jax.Array) -> jax.Array:
    """Add Gaussian noise of standard deviation ``level`` and clip to [0, 1], float32 ``[B, D] -> [B, D]``.

    The noise of an image depends only on the key and on its index in ``rows``. An image gets the same noise each time,
    and no noise has to be stored.
    """
    noise = jax.vmap(lambda row: jax.random.normal(jax.random.fold_in(key, row), images.shape[1:]))(rows)
    return jnp.clip(images + level * noise, 0, 1)
