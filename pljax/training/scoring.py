"""Score a trained classifier: its predictions, their conditional entropy, and the confusion matrix."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax.methods.base import Method
from pljax.nn.networks import in_blocks
from pljax.nn.outputs import class_probabilities, conditional_entropy
from pljax.types import Params


class Scores(NamedTuple):
    """The outputs of a classifier for ``n`` images."""

    classes: Any  # int32 [n], the predicted class
    entropy: Any  # float32 [n], conditional entropy in nats
    probabilities: Any  # float32 [n, C]


def score(method: Method, params: Params, extra: Any, images: jax.Array) -> Scores:
    """Classify ``images``, ``[n, D]``, without dropout."""
    logits = in_blocks(lambda block: method.logits(params, extra, block), images)
    classes = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    return Scores(classes, conditional_entropy(logits, method.output), class_probabilities(logits, method.output))


def confusion(truth: np.ndarray, predicted: np.ndarray, classes: int) -> np.ndarray:
    """Count the images of each true class (rows) by predicted class (columns): int ``[C, C]``.

    >>> confusion(np.array([0, 1, 1]), np.array([0, 1, 0]), 2).tolist()
    [[1, 0], [1, 1]]
    """
    return np.bincount(truth * classes + predicted, minlength=classes * classes).reshape(classes, classes)
