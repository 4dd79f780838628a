"""Losses and pseudo-labels. All losses but ``classification_loss`` are means over a mini-batch.

Equation numbers are those of Lee (2013). ``B`` is the size of a mini-batch, ``C`` the number of classes, ``D`` that of
pixels.
"""

from typing import Literal

import jax
import jax.numpy as jnp
import optax

from pljax.settings import acts

Output = Literal["sigmoid", "softmax"]
MIN_WEIGHT = 1e-30  # of a mini-batch: one without weight has the loss 0
MIN_SHARE = 1e-6  # added to the shares of classes: the logarithm of 0 is not finite


def classification_loss(logits: jax.Array, labels: jax.Array, output: Output) -> jax.Array:
    r"""Compute the cross-entropy of each example.

    * ``sigmoid``: the binary cross-entropy summed over the output units, eq. 5,
      :math:`-\sum_i y_i \log f_i + (1 - y_i) \log(1 - f_i)` with :math:`f = \mathrm{sigmoid}(logits)`.
    * ``softmax``: the cross-entropy of the softmax of the logits.

    Args:
      logits: float32 ``[B, C]``.
      labels: int32 ``[B]``.
      output: the output units, see above.

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
    """Compute the labelled term of eq. 15: the weighted mean of the cross-entropy.

    Args:
      logits: float32 ``[B, C]``.
      labels: int32 ``[B]``.
      weights: float32 ``[B]``, from 0: 0 for the rows that pad a short mini-batch.
      output: as for :func:`classification_loss`.

    Returns:
      float32 ``[]``.
    """
    return (weights * classification_loss(logits, labels, output)).sum() / jnp.maximum(weights.sum(), MIN_WEIGHT)


def align(logits: jax.Array, shares: jax.Array, strength: float | jax.Array, output: Output = "softmax") -> jax.Array:
    r"""Align the mean prediction of a mini-batch with the class distribution (Berthelot et al. 2020, "ReMixMatch").

    It lowers the logits :math:`z_i` of a class that the network predicts more often than the class has members.
    :math:`m_i` is the mean of the outputs over the mini-batch, :math:`s_i` the number next to it between the least and
    the greatest share that the class may have, and :math:`a` the strength.

    * ``softmax``: :math:`z_i + a (\log s_i - \log m_i)`, so that probabilities are multiplied by
      :math:`(s_i / m_i)^a` and divided by their sum.
    * ``sigmoid``: :math:`z_i + a (\log \frac{s_i}{1 - s_i} - \log \frac{m_i}{1 - m_i})`. Each unit is a classifier of
      two classes, "is i" and "is not i", and is aligned by the rule above.

    Args:
      logits: float32 ``[B, C]``.
      shares: float32 ``[2, C]``, the least and the greatest share of each class; equal where the share is known.
      strength: 0 to 1; 0 changes nothing, 1 aligns fully.
      output: the output units.

    Returns:
      float32 ``[B, C]``.

    >>> logits = jnp.array([[2.0, 0.0], [2.0, 0.0]])  # probabilities 0.88 and 0.12
    >>> jax.nn.softmax(align(logits, jnp.array([[0.5, 0.5], [0.5, 0.5]]), 1.0)).round(2)[0].tolist()
    [0.5, 0.5]
    >>> float(jax.nn.softmax(align(logits, jnp.array([[0.5, 0.25], [0.75, 0.5]]), 1.0)).round(2)[0, 0])
    0.75
    >>> jax.nn.sigmoid(align(logits, jnp.array([[0.25, 0.75], [0.25, 0.75]]), 1.0, "sigmoid")).round(2)[0].tolist()
    [0.25, 0.75]
    """
    outputs = jax.nn.softmax(logits) if output == "softmax" else jax.nn.sigmoid(logits)
    mean = outputs.mean(axis=0, keepdims=True)
    target = jnp.clip(mean, shares[:1], shares[1:])
    if output == "softmax":
        return logits + strength * (jnp.log(target + MIN_SHARE) - jnp.log(mean + MIN_SHARE))
    return logits + strength * (_log_odds(target) - _log_odds(mean))


def _log_odds(shares: jax.Array) -> jax.Array:
    return jnp.log(shares + MIN_SHARE) - jnp.log(1 - shares + MIN_SHARE)


def pseudo_label(logits: jax.Array, output: Output = "softmax", threshold: float | jax.Array = 0.0) -> jax.Array:
    """Assign pseudo-labels: the class of the largest output, eq. 14. No gradient flows through them.

    Args:
      logits: float32 ``[..., C]``.
      output: the output units that ``threshold`` refers to.
      threshold: a row whose largest output is below it gets -1, no pseudo-label.

    Returns:
      int32 ``[...]``.

    >>> pseudo_label(jnp.array([[0.1, 2.0, -1.0]])).tolist()
    [1]
    >>> pseudo_label(jnp.array([[0.1, 2.0, -1.0], [0.1, 0.2, 0.0]]), "softmax", threshold=0.5).tolist()
    [1, -1]
    """
    labels = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    if acts(threshold):
        outputs = jax.nn.softmax(logits) if output == "softmax" else jax.nn.sigmoid(logits)
        labels = jnp.where(outputs.max(axis=-1) >= threshold, labels, -1)
    return jax.lax.stop_gradient(labels)


def pseudo_label_loss(logits: jax.Array, pseudo_labels: jax.Array, output: Output) -> jax.Array:
    """Compute the unlabelled term of eq. 15 without its weight alpha(t): the mean loss against the pseudo-labels.

    Args:
      logits: float32 ``[B, C]``.
      pseudo_labels: int32 ``[B]``; a row with -1 has loss 0 and counts in the mean.
      output: as for :func:`classification_loss`.

    Returns:
      float32 ``[]``.
    """
    return jnp.where(pseudo_labels >= 0, classification_loss(logits, pseudo_labels, output), 0).mean()


def reconstruction_loss(
    outputs: jax.Array,
    images: jax.Array,
    reduction: Literal["sum", "mean"],
    error: Literal["cross_entropy", "squared"] = "cross_entropy",
) -> jax.Array:
    """Compute the mean reconstruction error of images.

    Args:
      outputs: float32 ``[B, D]``, the reconstruction; for the cross-entropy, its logits.
      images: float32 ``[B, D]``; for the cross-entropy, in [0, 1].
      reduction: the sum or the mean over the pixels of an image.
      error: the error of a pixel: the cross-entropy, eq. 8, or half the squared difference.

    Returns:
      float32 ``[]``.
    """
    error_of = optax.l2_loss if error == "squared" else optax.sigmoid_binary_cross_entropy
    errors = error_of(outputs, images)
    return (errors.sum(axis=-1) if reduction == "sum" else errors.mean(axis=-1)).mean()
