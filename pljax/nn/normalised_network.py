"""A multilayer perceptron that normalises every layer, over the rows of a mini-batch or the units of a row.

It is a function of its parameters, and the caller passes the function that normalises. So a method can normalise
labelled and unlabelled rows apart, add noise to the layers, and choose the pass whose statistics a prediction uses.

Layers are counted from 0, the inputs, to L, the outputs. The layers of parameters have the names of
:class:`pljax.nn.networks.Classifier`.
"""

import itertools
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from pljax.nn.losses import MIN_WEIGHT
from pljax.nn.networks import INITIAL_WEIGHTS, Network
from pljax.types import Params

EPSILON = 1e-5  # added to a variance
NEWEST = 0.01  # the share of the newest mini-batch in running statistics


class Moments(NamedTuple):
    """The mean and the variance of each unit of a layer over rows."""

    mean: jax.Array  # float32 [H]
    variance: jax.Array  # float32 [H]


class Running(NamedTuple):
    """Running statistics of layers 1 to L."""

    updates: jax.Array  # int32 [], the mini-batches in them
    layers: tuple[Moments, ...]


class Encoded(NamedTuple):
    """The result of a pass."""

    z: list[jax.Array]  # float32 [B, H_l], the inputs and the normalised activations of layers 1 to L, with their noise
    moments: tuple[Moments, ...]  # of layers 1 to L before they are normalised
    logits: jax.Array  # float32 [B, C]


# Of the index of a layer, from 1, and its activations [B, H_l]: the normalised activations, and their statistics.
Normalise = Callable[[int, jax.Array], tuple[jax.Array, Moments]]


def moments(x: jax.Array, weights: jax.Array | None = None) -> Moments:
    """Compute the mean and the variance over rows, ``[B, H] -> [H]``.

    Args:
      x: float32 ``[B, H]``.
      weights: float32 ``[B]``, how many rows each counts as; ``None``: one.

    >>> moments(jnp.array([[1.0], [3.0], [9.0]]), jnp.array([1.0, 1.0, 0.0])).variance.tolist()
    [1.0]
    """
    if weights is None:
        mean = x.mean(axis=0)
        return Moments(mean, jnp.square(x - mean[None]).mean(axis=0))
    shares = (weights / jnp.maximum(weights.sum(), MIN_WEIGHT))[:, None]
    mean = (shares * x).sum(axis=0)
    return Moments(mean, (shares * jnp.square(x - mean[None])).sum(axis=0))


def by_moments(x: jax.Array, of_units: Moments) -> jax.Array:
    """Normalise every unit (batch normalisation): ``(x - mean) / sqrt(variance + EPSILON)``, ``[B, H] -> [B, H]``."""
    return (x - of_units.mean[None]) * jax.lax.rsqrt(of_units.variance + EPSILON)[None]


def by_row(x: jax.Array) -> jax.Array:
    """Normalise every row over its units (layer normalisation), ``[B, H] -> [B, H]``.

    >>> by_row(jnp.array([[1.0, 3.0]])).round(2).tolist()
    [[-1.0, 1.0]]
    """
    centred = x - x.mean(axis=1, keepdims=True)
    return centred * jax.lax.rsqrt(jnp.square(centred).mean(axis=1, keepdims=True) + EPSILON)


def initial_statistics(params: Params) -> Running:
    """Return running statistics of no mini-batch: mean 0 and variance 1."""
    layers = tuple(Moments(jnp.zeros(width), jnp.ones(width)) for width in widths(params)[1:])
    return Running(jnp.zeros([], jnp.int32), layers)


def update_running(running: Running, layers: tuple[Moments, ...]) -> Running:
    """Add the statistics of a mini-batch: the result is the mean of the first ones, and later a decaying mean."""
    share = jnp.maximum(1 / (running.updates + 1).astype(jnp.float32), NEWEST)
    after = jax.tree.map(lambda old, new: old + share * (jax.lax.stop_gradient(new) - old), running.layers, layers)
    return Running(running.updates + 1, after)


def names(params: Params) -> list[str]:
    """Return the names of layers 1 to L.

    >>> names({"output": {}, "hidden_1": {}, "hidden": {}, "decoder": {}})
    ['hidden', 'hidden_1', 'output']
    """
    further = [f"hidden_{number}" for number in range(1, len(params)) if f"hidden_{number}" in params]
    return ["hidden", *further, "output"]


def widths(params: Params) -> list[int]:
    """Return the widths of layers 0 to L."""
    return [params["hidden"]["kernel"].shape[0], *(params[name]["kernel"].shape[1] for name in names(params))]


def initial_parameters(key: jax.Array, network: Network, features: int, classes: int) -> Params:
    """Return initial parameters: a kernel and a bias for each layer, and the scale of the outputs."""
    sizes = (features, *network.hidden, classes)
    layers = ["hidden", *(f"hidden_{number}" for number in range(1, len(network.hidden))), "output"]
    keys, initial = jax.random.split(key, len(layers)), INITIAL_WEIGHTS[network.initial_weights]
    params: Params = {
        name: {"kernel": initial(of_layer, shape), "bias": jnp.zeros(shape[1])}
        for name, of_layer, shape in zip(layers, keys, itertools.pairwise(sizes), strict=True)
    }
    params["output"]["scale"] = jnp.ones(classes)
    return params


def encode(params: Params, inputs: jax.Array, normalise: Normalise, noise: list[jax.Array] | None = None) -> Encoded:
    """Compute a pass: ``relu(normalise(h W) + noise + bias)`` for hidden layers, ``scale * (. + bias)`` for outputs.

    Args:
      params: the parameters, of :func:`initial_parameters`.
      inputs: float32 ``[B, D]``.
      normalise: see ``Normalise``.
      noise: what is added to the inputs and to the normalised activations of layers 1 to L.
    """
    h = inputs if noise is None else inputs + noise[0]
    z, statistics = [h], []
    for layer, name in enumerate(names(params), start=1):
        activations, of_layer = normalise(layer, h @ params[name]["kernel"])
        if noise is not None:
            activations = activations + noise[layer]
        z.append(activations)
        statistics.append(of_layer)
        h = jax.nn.relu(activations + params[name]["bias"][None])
    logits = (z[-1] + params["output"]["bias"][None]) * params["output"]["scale"][None]
    return Encoded(z, tuple(statistics), logits)


def draw_noise(key: jax.Array, params: Params, rows: int, deviation: float | jax.Array) -> list[jax.Array]:
    """Draw Gaussian noise for layers 0 to L in one call, float32 ``[rows, H_l]`` each."""
    of_layers = widths(params)
    ends = [sum(of_layers[:layer]) for layer in range(1, len(of_layers))]
    return jnp.split(deviation * jax.random.normal(key, (rows, sum(of_layers))), ends, axis=1)
