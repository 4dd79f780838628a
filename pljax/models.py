"""The two networks, and the dropout that both use. Both name their first layer ``hidden``."""

from collections.abc import Sequence
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from pljax.types import Params

Initializer = jax.nn.initializers.Initializer

INITIAL_WEIGHTS: dict[str, Initializer] = {
    "normal": nn.initializers.normal(stddev=0.01),
    "glorot": nn.initializers.glorot_uniform(),
}
PREDICT_ROWS = 1000  # rows in one go: bounds the memory of a pass over a whole data set


def keep_mask(key: jax.Array, keep: float, shape: Sequence[int]) -> jax.Array:
    """A mask that is true with probability ``keep``, independently per element.

    Random bits are a large part of a step on a CPU, so no more are drawn than the probability needs:
    one a unit for a half, sixteen for any other (which meets ``keep`` to 2^-17). Row ``r`` of the mask
    depends on the key, ``r`` and the row's length alone, not on how many rows there are.

    Args:
      key: typed PRNG key.
      keep: the probability, a Python number.
      shape: ``[rows, units]``.

    Returns:
      bool ``shape``.

    >>> mask = keep_mask(jax.random.key(0), 0.5, (4, 10_000))
    >>> mask.shape, bool(abs(mask.mean() - 0.5) < 0.01)
    ((4, 10000), True)
    """
    rows, units = shape
    width = 1 if keep == 0.5 else 16
    lanes = 32 // width
    words = jax.random.bits(key, (rows, -(-units // lanes)), jnp.uint32)
    shifts = jnp.arange(0, 32, width, dtype=jnp.uint32)
    numbers = (words[:, :, None] >> shifts[None, None]) & jnp.uint32((1 << width) - 1)
    threshold = jnp.uint32(round(keep * (1 << width)))
    return (numbers < threshold).reshape(rows, -1)[:, :units]


class Dropout(nn.Module):
    """Dropout, inverted (kept units are scaled up while training) or the paper's own.

    Eq. 9 multiplies by a 0/1 mask alone while training, and evaluation multiplies every unit by the
    probability to be kept. With the paper's learning rate of 1.5 this is no matter of taste: inverted
    dropout multiplies the gradient of the first layer by up to 1 / keep^2, and pseudo-labels collapse.
    """

    rate: float
    inverted: bool

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        keep = 1 - self.rate
        if self.rate == 0:
            return x
        if not train:
            return x if self.inverted else x * keep
        mask = keep_mask(self.make_rng("dropout"), keep, x.shape)
        return jnp.where(mask, x / keep if self.inverted else x, 0)


class Classifier(nn.Module):
    """ReLU layers and a linear output: the logits, ``[B, D] -> [B, C]``.

    In two parts, before and after the product of the first layer, which holds nearly all the arithmetic:
    :func:`pljax.finetune.train_step` does that product itself, once for all it needs.
    """

    widths: tuple[int, ...]
    classes: int
    visible_dropout: float
    hidden_dropout: float
    inverted_dropout: bool
    initial_weights: Literal["normal", "glorot"]
    input_noise: float = 0.0

    def setup(self) -> None:
        initial = INITIAL_WEIGHTS[self.initial_weights]
        self.visible = Dropout(self.visible_dropout, self.inverted_dropout)
        self.drop = Dropout(self.hidden_dropout, self.inverted_dropout)
        self.hidden = nn.Dense(self.widths[0], kernel_init=initial)
        self.further = [f"hidden_{index}" for index in range(1, len(self.widths))]
        for name, width in zip(self.further, self.widths[1:], strict=True):
            setattr(self, name, nn.Dense(width, kernel_init=initial))
        self.output = nn.Dense(self.classes, kernel_init=initial)

    def __call__(self, images: jax.Array, train: bool = False) -> jax.Array:
        return self.upper(self.hidden(self.inputs(images, train)), train)

    def inputs(self, images: jax.Array, train: bool = False) -> jax.Array:
        """What the first layer is given: images ``[B, D]`` after dropout and, in training, noise. Has no parameters."""
        x = self.visible(images, train)
        if not (train and self.input_noise):
            return x
        return x + self.input_noise * jax.random.normal(self.make_rng("dropout"), x.shape)

    def upper(self, z: jax.Array, train: bool = False) -> jax.Array:
        """The logits, from what the first layer gives before its ReLU, ``[B, H] -> [B, C]``."""
        x = self.drop(nn.relu(z), train)
        for name in self.further:
            x = self.drop(nn.relu(getattr(self, name)(x)), train)
        return self.output(x)


class DenoisingAutoencoder(nn.Module):
    """Pixels from corrupted pixels, as logits: ``[B, D] -> [B, D]``.

    With no ``bottleneck``: eq. 6 and 7 with tied weights, ``relu(x W + b) W^T + a``. With one: the outer
    layer, the bottleneck's layers, the outer width again, and a linear output, nothing tied. Dropout acts
    on the layers of the outer width.
    """

    hidden: int
    bottleneck: tuple[int, ...]
    hidden_dropout: float
    inverted_dropout: bool
    initial_weights: Literal["normal", "glorot"]

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False, z: jax.Array | None = None) -> jax.Array:
        """``z``, what the first layer makes of the images before its ReLU, spares computing it here."""
        initial = INITIAL_WEIGHTS[self.initial_weights]
        pixels = images.shape[-1]
        encoder = nn.Dense(self.hidden, kernel_init=initial, name="hidden")
        z = encoder(images) if z is None else z
        x = Dropout(self.hidden_dropout, self.inverted_dropout)(nn.relu(z), train)
        if not self.bottleneck:
            bias = self.param("reconstruction_bias", nn.initializers.zeros, (pixels,))
            return x @ encoder.variables["params"]["kernel"].T + bias[None]
        for index, width in enumerate(self.bottleneck):
            x = nn.relu(nn.Dense(width, kernel_init=initial, name=f"bottleneck_{index}")(x))
        x = nn.relu(nn.Dense(self.hidden, kernel_init=initial, name="decoder")(x))
        x = Dropout(self.hidden_dropout, self.inverted_dropout)(x, train)
        return nn.Dense(pixels, kernel_init=initial, name="reconstruction")(x)


def to_inputs(images: jax.Array) -> jax.Array:
    """What a network is given: uint8 pixels as float32 in [0, 1]; float32 features, scaled already, as they are."""
    return images.astype(jnp.float32) / 255 if images.dtype == jnp.uint8 else images


def forward(
    model: nn.Module, params: Params, images: jax.Array, dropout_key: jax.Array | None = None, part: str = "__call__"
) -> jax.Array:
    """The logits of float32 images ``[..., D]``, as in training if a ``dropout_key`` is given, else without dropout.

    ``part`` names a part of the model, ``inputs`` or ``upper`` of a :class:`Classifier`, in place of the whole.
    """
    if dropout_key is None:
        return jnp.asarray(model.apply({"params": params}, images, method=part))
    return jnp.asarray(model.apply({"params": params}, images, train=True, rngs={"dropout": dropout_key}, method=part))


def predict(model: nn.Module, params: Params, images: jax.Array) -> jax.Array:
    """The logits of many images (see :func:`to_inputs`), dropout off: ``[n, D]`` to float32 ``[n, C]``, in blocks."""
    return jax.lax.map(lambda image: forward(model, params, to_inputs(image)), images, batch_size=PREDICT_ROWS)


def parameter_count(params: Params) -> int:
    """How many numbers a tree of arrays (or of their shapes) holds."""
    return sum(leaf.size for leaf in jax.tree.leaves(params))


def transplant(donor: Params, params: Params) -> Params:
    """``params`` with the layers of ``donor`` in place of its own of the same name; the rest is untouched.

    This is how the first layer of a trained auto-encoder becomes that of the classifier, and how a phase
    starts from the phase before it. Raises ``ValueError`` for a layer that ``params`` does not have, or
    has in another shape: a transplant that misses is silent otherwise.
    """
    for layer, weights in donor.items():
        if layer not in params:
            raise ValueError(f"There is no layer {layer!r} to transplant into: the network has {sorted(params)}.")
        here, there = jax.tree.map(jnp.shape, params[layer]), jax.tree.map(jnp.shape, weights)
        if here != there:
            raise ValueError(f"Layer {layer!r} has shapes {here}, but the transplant has {there}.")
    return {**params, **donor}


def all_finite(params: Params) -> jax.Array:
    """Whether every parameter is a number, bool []."""
    return jnp.stack([jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(params)]).all()
