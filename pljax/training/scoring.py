"""What a trained classifier is worth: predictions, their conditional entropy, and counts made of them."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax.methods.base import Method
from pljax.nn.losses import Output
from pljax.nn.networks import in_blocks
from pljax.types import Params


def log_probabilities(logits: jax.Array, output: Output) -> jax.Array:
    """The logarithm of the outputs, ``[..., C]``. Sigmoid outputs stand each for itself: they need not sum to 1."""
    return jax.nn.log_sigmoid(logits) if output == "sigmoid" else jax.nn.log_softmax(logits)


def class_probabilities(logits: jax.Array, output: Output) -> jax.Array:
    """The outputs as probabilities of the classes, ``[..., C]``: sigmoid outputs are divided by their sum.

    >>> class_probabilities(jnp.zeros((1, 4)), "sigmoid").tolist()
    [[0.25, 0.25, 0.25, 0.25]]
    """
    return jax.nn.softmax(log_probabilities(logits, output))


def conditional_entropy(logits: jax.Array, output: Output) -> jax.Array:
    r"""The entropy of the outputs given each image; its mean over images is eq. 17 of Lee (2013), in nats:

    .. math::
        H(y | x_m) = -\sum_i P(y_i = 1 | x_m) \log P(y_i = 1 | x_m)

    Args:
      logits: float32 ``[n, C]``.
      output: what makes probabilities of them.

    Returns:
      float32 ``[n]``.

    >>> round(float(conditional_entropy(jnp.zeros((1, 10)), "softmax")[0]), 4)
    2.3026
    """
    log_p = log_probabilities(logits, output)
    return -(jnp.exp(log_p) * log_p).sum(axis=-1)


class Scores(NamedTuple):
    """What a classifier says of ``n`` images."""

    classes: Any  # int32 [n]
    entropy: Any  # float32 [n], conditional, in nats
    probabilities: Any  # float32 [n, C]


def score(method: Method, params: Params, extra: Any, images: jax.Array) -> Scores:
    """What the classifier, dropout off, says of ``images``, ``[n, D]``."""
    logits = in_blocks(lambda block: method.logits(params, extra, block), images)
    classes = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return Scores(classes, conditional_entropy(logits, method.output), class_probabilities(logits, method.output))


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """How many images of each class (rows) were given each class (columns): int ``[C, C]``.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)
