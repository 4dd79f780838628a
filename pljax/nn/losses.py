"""The three losses, each a mean over a mini-batch: supervised, pseudo-label, reconstruction.

Equation numbers are those of Lee (2013).
"""

from typing import Literal

import jax
import jax.numpy as jnp
import optax

Output = Literal["sigmoid", "softmax"]
LEAST_SHARE = 1e-6  # of a class, where logarithms are taken


def classification_loss(logits: jax.Array, labels: jax.Array, output: Output) -> jax.Array:
    r"""The loss of each example.

    ``sigmoid``: binary cross-entropy summed over the output units, eq. 5,
    :math:`-\sum_i y_i \log f_i + (1 - y_i) \log(1 - f_i)` with :math:`f = \mathrm{sigmoid}(logits)`;
    ``softmax``: cross-entropy of the softmax over the logits.

    Args:
      logits: float32 ``[B, C]``.
      labels: int32 ``[B]``.
      output: which of the two.

    Returns:
      float32 ``[B]``.

    >>> logits = jnp.zeros((1, 10))
    >>> [round(float(classification_loss(logits, jnp.array([3]), output)[0]), 4) for output in ("sigmoid", "softmax")]
    [6.9315, 2.3026]
    """
    if output == "softmax":
        return optax.softmax_cross_entropy_with_integer_labels(logits, labels)
    targets = jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype)
    return optax.sigmoid_binary_cross_entropy(logits, targets).sum(axis=-1)


def supervised_loss(logits: jax.Array, labels: jax.Array, weights: jax.Array, output: Output) -> jax.Array:
    """The mean over the rows whose weight is 1: the rows that a short last mini-batch lacks have weight 0.

    Args:
      logits: float32 ``[B, C]``.
      labels: int32 ``[B]``.
      weights: float32 ``[B]``, 0 or 1, not all 0.
      output: as for :func:`classification_loss`.
    """
    return (weights * classification_loss(logits, labels, output)).sum() / weights.sum()


def align(logits: jax.Array, shares: jax.Array, strength: float | jax.Array) -> jax.Array:
    """Logits moved so that their softmax, in the mean over a mini-batch, comes nearer to the classes' shares.

    ``logits + strength * (log(shares) - log(mean softmax))``: a network that has come to see one class everywhere
    is held to how often the class was labelled (distribution alignment, Berthelot et al. 2020).

    Args:
      logits: float32 ``[B, C]``.
      shares: float32 ``[C]``, of the classes among the labelled rows.
      strength: 0 changes nothing, 1 asks for the shares.

    >>> logits = jnp.array([[2.0, 0.0], [2.0, 0.0]])
    >>> jax.nn.softmax(align(logits, jnp.array([0.5, 0.5]), 1.0)).round(2).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    mean = jax.nn.softmax(logits).mean(axis=0, keepdims=True)
    return logits + strength * (jnp.log(shares[None] + LEAST_SHARE) - jnp.log(mean + LEAST_SHARE))


def pseudo_label(logits: jax.Array, output: Output = "softmax", threshold: float | jax.Array = 0.0) -> jax.Array:
    """The class of the largest output, eq. 14, as a constant: no gradient flows through it.

    Where the largest output is below ``threshold`` there is none: -1, as for any label that is not known.

    >>> pseudo_label(jnp.array([[0.1, 2.0, -1.0]])).tolist()
    [1]
    >>> pseudo_label(jnp.array([[0.1, 2.0, -1.0], [0.1, 0.2, 0.0]]), "softmax", threshold=0.5).tolist()
    [1, -1]
    """
    labels = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    if isinstance(threshold, jax.Array) or threshold > 0:
        outputs = jax.nn.softmax(logits) if output == "softmax" else jax.nn.sigmoid(logits)
        labels = jnp.where(outputs.max(axis=-1) >= threshold, labels, -1)
    return jax.lax.stop_gradient(labels)


def pseudo_label_loss(logits: jax.Array, pseudo_labels: jax.Array, output: Output) -> jax.Array:
    """The unlabelled term of eq. 15 before its weight alpha(t): the mean loss against the pseudo-labels.

    A row whose pseudo-label is -1 has none; it counts as a loss of 0.
    """
    return jnp.where(pseudo_labels >= 0, classification_loss(logits, pseudo_labels, output), 0).mean()


def reconstruction_loss(
    outputs: jax.Array,
    images: jax.Array,
    reduction: Literal["sum", "mean"],
    error: Literal["cross_entropy", "squared"] = "cross_entropy",
) -> jax.Array:
    """The error of a reconstruction, summed or averaged over the pixels.

    Args:
      outputs: float32 ``[B, D]``: before the sigmoid, or the reconstruction itself where the error is squared.
      images: float32 ``[B, D]``, in [0, 1] for the cross-entropy.
      reduction: over the pixels.
      error: of a pixel: the cross-entropy, eq. 8, or half the square of the difference.
    """
    of_pixels = optax.l2_loss if error == "squared" else optax.sigmoid_binary_cross_entropy
    by_pixel = of_pixels(outputs, images)
    return (by_pixel.sum(axis=-1) if reduction == "sum" else by_pixel.mean(axis=-1)).mean()
