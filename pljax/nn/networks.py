"""The classifier and the auto-encoder. Both call their first layer ``hidden``, so that it can be transferred."""

from collections.abc import Callable
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from pljax.nn.layers import Dropout
from pljax.nn.sparse import Dense
from pljax.settings import Settings, acts, register, setting
from pljax.types import Params

INITIAL_WEIGHTS: dict[str, jax.nn.initializers.Initializer] = {
    "normal": nn.initializers.normal(stddev=0.01),
    "glorot": nn.initializers.glorot_uniform(),
    "fan_in": nn.initializers.variance_scaling(1.0, "fan_in", "normal"),
}
BLOCK_ROWS = 1000  # rows of one pass through a network: bounds the memory of the hidden layers


@register
class Network(Settings):
    """The architecture that all phases of a run share."""

    hidden: tuple[int, ...] = setting(help="width of the hidden layer, or widths with commas.", low=1)
    initial_weights: Literal["normal", "glorot", "fan_in"] = setting(
        help="N(0, 0.01^2), Glorot's uniform, or N(0, 1 / inputs); biases start at 0.", flag=False
    )
    inverted_dropout: bool = setting(
        help="scale kept units in training (Keras), instead of all units in evaluation (the paper).", flag=False
    )
    output: Literal["sigmoid", "softmax"] = setting(help="the output units.", flag=False)
    max_nonzero_columns: int | None = setting(
        default=None,
        help="the most nonzero columns that the first layer multiplies: see pljax.nn.sparse.product.",
        flag=False,
        saved=False,
    )


class Classifier(nn.Module):
    """A multilayer perceptron with ReLU layers and dropout. It returns the logits, float32 ``[B, D] -> [B, C]``."""

    network: Network
    classes: int
    visible_dropout: float | jax.Array = 0.0
    hidden_dropout: float | jax.Array = 0.0
    input_noise: float | jax.Array = 0.0  # standard deviation of Gaussian noise; the Python number 0 draws nothing

    def setup(self) -> None:
        initial, inverted = INITIAL_WEIGHTS[self.network.initial_weights], self.network.inverted_dropout
        self.visible = Dropout(self.visible_dropout, inverted)
        self.drop = Dropout(self.hidden_dropout, inverted)
        first, *further = self.network.hidden
        self.hidden = Dense(first, initial, self.network.max_nonzero_columns)
        self.further = [f"hidden_{number}" for number in range(1, len(further) + 1)]
        for name, width in zip(self.further, further, strict=True):
            setattr(self, name, nn.Dense(width, kernel_init=initial))
        self.output = nn.Dense(self.classes, kernel_init=initial)

    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        x = self.visible(images, train)
        if train and acts(self.input_noise):
            x = x + self.input_noise * jax.random.normal(self.make_rng("dropout"), x.shape)
        x = self.drop(nn.relu(self.hidden(x)), train)
        for name in self.further:
            x = self.drop(nn.relu(getattr(self, name)(x)), train)
        return self.output(x)


class Autoencoder(nn.Module):
    """An auto-encoder. It returns the logits of the reconstructed pixels, float32 ``[B, D] -> [B, D]``.

    Without a ``bottleneck`` it has one hidden layer and tied weights, eq. 6 and 7: ``relu(x W + b) W^T + a``. With one,
    it has a layer of the outer width, those of the bottleneck, another of the outer width, and a linear output; its
    weights are not tied. Dropout acts on the layers of the outer width.
    """

    network: Network  # ``hidden[0]`` is the outer width
    bottleneck: tuple[int, ...] = ()  # widths
    dropout: float | jax.Array = 0.0

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        initial, inverted = INITIAL_WEIGHTS[self.network.initial_weights], self.network.inverted_dropout
        pixels, outer = images.shape[-1], self.network.hidden[0]
        encoder = Dense(outer, initial, self.network.max_nonzero_columns, name="hidden")
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
    """Apply a network to float32 images ``[B, D]``: in training mode if a key is given, else without dropout."""
    if dropout_key is None:
        return jnp.asarray(model.apply({"params": params}, images))
    return jnp.asarray(model.apply({"params": params}, images, train=True, rngs={"dropout": dropout_key}))


def to_inputs(images: jax.Array) -> jax.Array:
    """Convert uint8 pixels to float32 in [0, 1]; float32 features stay as they are. ``[..., D] -> [..., D]``."""
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images


def in_blocks(function: Callable[[jax.Array], jax.Array], images: jax.Array) -> jax.Array:
    """Apply a function to images in blocks of ``BLOCK_ROWS``, to save memory.

    Args:
      function: of float32 inputs, ``[rows, D] -> [rows, C]``.
      images: uint8 or float32 ``[n, D]``: see :func:`to_inputs`.

    Returns:
      float32 ``[n, C]``.
    """
    whole = len(images) // BLOCK_ROWS * BLOCK_ROWS
    rest = function(to_inputs(images[whole:]))
    if not whole:
        return rest
    blocks = images[:whole].reshape(-1, BLOCK_ROWS, images.shape[1])
    results = jax.lax.map(lambda block: function(to_inputs(block)), blocks)
    return jnp.concatenate([results.reshape(whole, -1), rest])


def parameter_count(params: Params) -> int:
    """Return the number of parameters in a tree of arrays or of ``jax.ShapeDtypeStruct``."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def transfer(donor: Params, params: Params) -> Params:
    """Return ``params`` with the layers of ``donor`` in place of its own layers of the same names.

    A phase starts from the parameters of the phase before it in this way, and a classifier from the first layer of an
    auto-encoder.

    Raises ``ValueError`` for a layer of ``donor`` that ``params`` has not, or has with other shapes.
    """
    for layer, weights in donor.items():
        if layer not in params:
            raise ValueError(f"There is no layer {layer!r} to transfer to: the network has {sorted(params)}.")
        expected, given = jax.tree.map(jnp.shape, params[layer]), jax.tree.map(jnp.shape, weights)
        if expected != given:
            raise ValueError(f"Layer {layer!r} has shapes {expected}, but the one to transfer has {given}.")
    return {**params, **donor}


def all_finite(params: Params) -> jax.Array:
    """Return whether all parameters are finite, bool ``[]``."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
