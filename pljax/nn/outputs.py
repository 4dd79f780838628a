"""The outputs of a classifier as class probabilities, and their entropy."""

import jax
import jax.numpy as jnp

from pljax.nn.losses import Output


def log_probabilities(logits: jax.Array, output: Output) -> jax.Array:
    """Compute the logarithms of the outputs, ``[..., C]``. Sigmoid outputs do not sum to 1."""
    return jax.nn.log_sigmoid(logits) if output == "sigmoid" else jax.nn.log_softmax(logits)


def class_probabilities(logits: jax.Array, output: Output) -> jax.Array:
    """Compute class probabilities that sum to 1, ``[..., C]``: sigmoid outputs are divided by their sum.

    >>> class_probabilities(jnp.zeros((1, 4)), "sigmoid").tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    return jax.nn.softmax(log_probabilities(logits, output))


def conditional_entropy(logits: jax.Array, output: Output) -> jax.Array:
    r"""Compute the entropy of the outputs for each image, in nats. Its mean over images is eq. 17 of Lee (2013).

    .. math::
        H(y | x_m) = -\sum_i P(y_i = 1 | x_m) \log P(y_i = 1 | x_m)

    Args:
      logits: float32 ``[n, C]``.
      output: the output units.

    Returns:
      float32 ``[n]``.

    >>> round(float(conditional_entropy(jnp.zeros((1, 10)), "softmax")[0]), 4)
    2.3026
    """
    log_p = log_probabilities(logits, output)
    return -(jnp.exp(log_p) * log_p).sum(axis=-1)


def marginal_entropy(logits: jax.Array, output: Output) -> jax.Array:
    r"""Compute the entropy of the mean class probabilities of images, in nats: largest if all classes are as frequent.

    .. math::
        H(y) = -\sum_i \bar p_i \log \bar p_i, \qquad \bar p_i = \frac{1}{n} \sum_m P(y = i | x_m)

    Args:
      logits: float32 ``[n, C]``.
      output: the output units.

    Returns:
      float32 ``[]``.

    >>> apart = jnp.array([[9.0, -9.0], [-9.0, 9.0]])
    >>> round(float(marginal_entropy(apart, "softmax")), 4), round(float(marginal_entropy(apart[:1], "softmax")), 4)
    (0.6931, 0.0)
    """
    mean = class_probabilities(logits, output).mean(axis=0)
    return jax.scipy.special.entr(jnp.maximum(mean, jnp.finfo(mean.dtype).tiny)).sum()  # at 0 its slope is infinite
