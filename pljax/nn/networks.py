"""The two networks. Both name their first layer ``hidden``."""

from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from pljax.nn.layers import Dropout
from pljax.nn.sparse import Dense
from pljax.settings import Settings, register, setting
from pljax.types import Params

INITIAL_WEIGHTS: dict[str, jax.nn.initializers.Initializer] = {
    "normal": nn.initializers.normal(stddev=0.01),
    "glorot": nn.initializers.glorot_uniform(),
}
BLOCK_ROWS = 1000  # rows in one go: bounds the memory of a pass over a whole data set


@register
class Network(Settings):
    """What the phases of a run have in common: the layers, and how they start, drop units and answer."""

    hidden: tuple[int, ...] = setting(help="width of the hidden layer, or widths with commas.", low=1)
    initial_weights: Literal["normal", "glorot"] = setting(
        help="N(0, 0.01^2), or Glorot's uniform; biases start at 0.", flag=False
    )
    inverted_dropout: bool = setting(
        help="scale kept units while training (Keras), not all units afterwards (the paper).", flag=False
    )
    output: Literal["sigmoid", "softmax"] = setting(help="what makes probabilities of the logits.", flag=False)
    room: int | None = setting(
        default=None, help="room for lit columns in the first product: see pljax.nn.sparse.", flag=False, kept=False
    )


class Classifier(nn.Module):
    """ReLU layers and a linear output: the logits, ``[B, D] -> [B, C]``."""

    network: Network
    classes: int
    visible_dropout: float | jax.Array = 0.0
    hidden_dropout: float | jax.Array = 0.0
    input_noise: float | jax.Array = 0.0  # standard deviation; the Python number 0 draws nothing

    def setup(self) -> None:
        initial, inverted = INITIAL_WEIGHTS[self.network.initial_weights], self.network.inverted_dropout
        self.visible = Dropout(self.visible_dropout, inverted)
        self.drop = Dropout(self.hidden_dropout, inverted)
        first, *further = self.network.hidden
        self.hidden = Dense(first, initial, self.network.room)
        self.further = [f"hidden_{number}" for number in range(1, len(further) + 1)]
        for name, width in zip(self.further, further, strict=True):
            setattr(self, name, nn.Dense(width, kernel_init=initial))
        self.output = nn.Dense(self.classes, kernel_init=initial)

    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        x = self.visible(images, train)
        if train and (isinstance(self.input_noise, jax.Array) or self.input_noise):
            x = x + self.input_noise * jax.random.normal(self.make_rng("dropout"), x.shape)
        x = self.drop(nn.relu(self.hidden(x)), train)
        for name in self.further:
            x = self.drop(nn.relu(getattr(self, name)(x)), train)
        return self.output(x)


class Autoencoder(nn.Module):
    """Pixels from corrupted pixels, before the sigmoid: ``[B, D] -> [B, D]``.

    With no ``bottleneck``: eq. 6 and 7 with tied weights, ``relu(x W + b) W^T + a``. With one: the outer
    layer, the bottleneck's layers, the outer width again, and a linear output, nothing tied. Dropout acts
    on the layers of the outer width.
    """

    network: Network
    bottleneck: tuple[int, ...] = ()
    dropout: float | jax.Array = 0.0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        initial, inverted = INITIAL_WEIGHTS[self.network.initial_weights], self.network.inverted_dropout
        pixels, outer = images.shape[-1], self.network.hidden[0]
        encoder = Dense(outer, initial, self.network.room, name="hidden")
        x = Dropout(self.dropout, inverted)(nn.relu(encoder(images)), train)
        if not self.bottleneck:
            bias = self.param("reconstruction_bias", nn.initializers.zeros, (pixels,))
            return x @ encoder.variables["params"]["kernel"].T + bias[None]
        for index, width in enumerate(self.bottleneck):
            x = nn.relu(nn.Dense(width, kernel_init=initial, name=f"bottleneck_{index}")(x))
        x = nn.relu(nn.Dense(outer, kernel_init=initial, name="decoder")(x))
        x = Dropout(self.dropout, inverted)(x, train)
        return nn.Dense(pixels, kernel_init=initial, name="reconstruction")(x)


def forward(model: nn.Module, params: Params, images: jax.Array, dropout_key: jax.Array | None = None) -> jax.Array:
    """What a network makes of float32 images ``[B, D]``: as in training if a key is given, else without dropout."""
    if dropout_key is None:
        return jnp.asarray(model.apply({"params": params}, images))
    return jnp.asarray(model.apply({"params": params}, images, train=True, rngs={"dropout": dropout_key}))


def to_inputs(images: jax.Array) -> jax.Array:
    """What a network is given: uint8 pixels as float32 in [0, 1]; float32 features, scaled already, as they are."""
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images


def in_blocks(function: Callable[[jax.Array], jax.Array], images: jax.Array) -> jax.Array:
    """``function`` of many images (see :func:`to_inputs`), ``[n, D] -> [n, C]``, ``BLOCK_ROWS`` at a time."""
    whole = len(images) // BLOCK_ROWS * BLOCK_ROWS
    rest = function(to_inputs(images[whole:]))
    if not whole:
        return rest
    blocks = images[:whole].reshape(-1, BLOCK_ROWS, images.shape[1])
    done = jax.lax.map(lambda block: function(to_inputs(block)), blocks)
    return jnp.concatenate([done.reshape(whole, -1), rest])


def parameter_count(params: Params) -> int:
    """How many numbers a tree of arrays (or of their shapes) holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def transfer(donor: Params, params: Params) -> Params:
    """``params`` with the layers of ``donor`` in place of its own of the same name; the rest is untouched.

    This is how the first layer of a trained auto-encoder becomes that of the classifier, and how a phase
    starts from the phase before it. Raises ``ValueError`` for a layer that ``params`` does not have, or
    has in another shape: a transfer that misses is silent otherwise.
    """
    for layer, weights in donor.items():
        if layer not in params:
            raise ValueError(f"There is no layer {layer!r} to transfer to: the network has {sorted(params)}.")
        here, there = jax.tree.map(jnp.shape, params[layer]), jax.tree.map(jnp.shape, weights)
        if here != there:
            raise ValueError(f"Layer {layer!r} has shapes {here}, but the one to transfer has {there}.")
    return {**params, **donor}


def all_finite(params: Params) -> jax.Array:
    """Whether every parameter is a number, bool []."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
