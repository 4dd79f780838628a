"""The denoising auto-encoder whose first layer a classifier starts from: Lee (2013), section 2.2."""

from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from pljax.methods.base import WEIGHTS, Aux, Batch, Method, register, setting
from pljax.nn.layers import keep_mask
from pljax.nn.losses import reconstruction_loss
from pljax.nn.networks import Autoencoder, Network, forward, transfer
from pljax.types import InputError, Params, Split, TrainingData

NOISE = 2  # what the phase's key is folded with; elsewhere it is for unlabelled images, which there are none of here


class Extra(NamedTuple):
    """Where the noise comes from."""

    noise: jax.Array  # uint32 [2], a key
    updates: jax.Array  # int32 [], made so far


@register
class DenoisingAutoencoder(Method):
    """A network that restores corrupted images (Vincent et al. 2008); hands its first layer on. It looks at no label.

    ``masking`` noise sets inputs to 0 and is drawn anew at every update; ``gaussian`` noise is drawn once for every
    image, and the result clipped to [0, 1]. Without a ``bottleneck`` there is one hidden layer, and the weights are
    tied.
    """

    pretrains: ClassVar[str | None] = "autoencoder"

    network: Network
    noise: Literal["masking", "gaussian"] = setting(help="masking, or gaussian.", flag=False)
    noise_level: float = setting(help="the share of inputs masked, or the noise's standard deviation.", special=(0.5,))
    encoder_dropout: float = setting(
        default=0.0, help="the share of hidden units dropped.", high=1, special=(0.0, 0.5), flag=False
    )
    bottleneck: tuple[int, ...] = setting(default=(), help="widths between the outer layers.", flag=False)
    reduction: Literal["sum", "mean"] = setting(default="sum", help="of the error, over the pixels.", flag=False)
    error: Literal["cross_entropy", "squared"] = setting(
        default="cross_entropy", help="of a pixel in [0, 1], or of any number.", flag=False
    )

    def check(self) -> None:
        if self.noise == "masking" and self.noise_level >= 1:
            raise InputError(f"noise_level is {self.noise_level!r}: give a number of at least 0 and below 1.")

    @property
    def model(self) -> Autoencoder:
        """The network. Clipped Gaussian noise leaves no column dark."""
        network = self.network if self.noise == "masking" else self.network.replace(room=None)
        return Autoencoder(network, self.bottleneck, self.encoder_dropout)

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Extra]:
        blank = jnp.zeros((1, data.images.shape[1]))
        fresh = self.model.init(jax.random.fold_in(key, WEIGHTS), blank)["params"]
        noise = jax.random.key_data(jax.random.fold_in(key, NOISE))
        return transfer(start, fresh), Extra(noise, jnp.zeros([], jnp.int32))

    def loss(
        self, params: Params, extra: Extra, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """Eq. 6 to 8: the error of the reconstruction of ``batch.images`` from the same with noise."""
        noise = jax.random.wrap_key_data(extra.noise)
        corrupted = self.corrupt(noise, batch.images, batch.rows, extra.updates)
        outputs = forward(self.model, params, corrupted, key)
        loss = reconstruction_loss(outputs, batch.images, self.reduction, self.error)
        return loss, Aux(extra._replace(updates=extra.updates + 1), {"reconstruction_loss": loss})

    def corrupt(self, noise: jax.Array, images: jax.Array, rows: jax.Array, update: Any) -> jax.Array:
        """Images with noise: float32 ``[B, D]``; ``rows`` are their indices, int32 ``[B]``."""
        if self.noise == "masking":
            return mask_pixels(jax.random.fold_in(noise, update), images, self.noise_level)
        return blur_once(noise, images, rows, self.noise_level)

    def reconstruct(self, params: Params, corrupted: jax.Array) -> jax.Array:
        """Pixels from corrupted ones, dropout off: float32 ``[B, D]``."""
        outputs = forward(self.model, params, corrupted)
        return jax.nn.sigmoid(outputs) if self.error == "cross_entropy" else outputs

    def transfers(self, params: Params) -> Params:
        return {"hidden": params["hidden"]}


def mask_pixels(key: jax.Array, images: jax.Array, level: float | jax.Array) -> jax.Array:
    """Masking noise: each pixel is set to 0 with probability ``level``."""
    return jnp.where(keep_mask(key, 1 - level, images.shape), images, 0)


def blur_once(key: jax.Array, images: jax.Array, rows: jax.Array, level: float | jax.Array) -> jax.Array:
    """Gaussian noise of standard deviation ``level``, clipped to [0, 1].

    It depends on the key and on each image's index in ``rows``, so that an image is given the same noise
    every time: that is the noise drawn once for the whole set, without the memory to hold it.
    """
    noise = jax.vmap(lambda row: jax.random.normal(jax.random.fold_in(key, row), images.shape[1:]))(rows)
    return jnp.clip(images + level * noise, 0, 1)
