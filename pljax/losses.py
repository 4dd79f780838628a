"""The three losses, each a mean over a mini-batch: supervised, pseudo-label, reconstruction.

Equation numbers are those of Lee (2013).
"""

from typing import Literal

import jax
import jax.numpy as jnp
import optax

Output = Literal["sigmoid", "softmax"]


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


def pseudo_label(logits: jax.Array) -> jax.Array:
    """The class of the largest output, eq. 14, as a constant: no gradient flows through it.

    >>> pseudo_label(jnp.array([[0.1, 2.0, -1.0]])).tolist()
    [1]
    """
    return jax.lax.stop_gradient(jnp.argmax(logits, axis=-1).astype(jnp.int32))


def pseudo_label_loss(logits: jax.Array, pseudo_labels: jax.Array, output: Output) -> jax.Array:
    """The unlabelled term of eq. 15 before its weight alpha(t): the mean loss against the pseudo-labels."""
    return classification_loss(logits, pseudo_labels, output).mean()


def reconstruction_loss(logits: jax.Array, images: jax.Array, reduction: Literal["sum", "mean"]) -> jax.Array:
    """Cross-entropy between pixels and their reconstruction, eq. 8, summed or averaged over the pixels.

    Args:
      logits: float32 ``[B, D]``, before the sigmoid.
      images: float32 ``[B, D]`` in [0, 1].
      reduction: over the pixels.
    """
    entropy = optax.sigmoid_binary_cross_entropy(logits, images)
    return (entropy.sum(axis=-1) if reduction == "sum" else entropy.mean(axis=-1)).mean()
