"""Virtual adversarial training: Miyato et al. (2018), "Virtual Adversarial Training: A Regularization Method"."""

import jax
import jax.numpy as jnp

from pljax.methods.base import (
    ALPHA_F_HELP,
    T1_HELP,
    T2_HELP,
    Aux,
    Batch,
    NormalisedMethod,
    Ramp,
    register,
    setting,
)
from pljax.nn import losses
from pljax.nn.normalised_network import Running, encode, update_running
from pljax.nn.outputs import conditional_entropy, log_probabilities, marginal_entropy
from pljax.settings import acts
from pljax.types import Params

MIN_NORM = 1e-35  # keeps a row of zeros 0 instead of NaN


@register
class VirtualAdversarial(NormalisedMethod, Ramp):
    """The outputs for unlabelled images are to stay the same under an adversarial perturbation of the images.

    The perturbation of an image has the length ``epsilon`` and the direction in which the Kullback-Leibler divergence
    grows fastest, which power iteration finds. With ``entropy_weight``, the outputs are to be confident too, and with
    ``marginal_entropy_weight`` each class is to be as frequent as any other (Hu et al. 2017): where the outputs are to
    be confident alone, classes merge. By default alpha(t) is ``alpha_f`` from the first epoch on, as in the paper.
    """

    alpha_f: float = setting(default=1.0, help=ALPHA_F_HELP)
    t1: int = setting(default=-1, help=T1_HELP, low=-1, traced=True)
    t2: int = setting(default=0, help=T2_HELP, low=0, traced=True)
    epsilon: float = setting(default=2.0, help="the length of the adversarial perturbation of an image.")
    xi: float = setting(default=0.1, help="the length of the perturbation in the power iteration.", closed="neither")
    power_iterations: int = setting(default=1, help="the power iterations.", low=1)
    entropy_weight: float = setting(
        default=0.0, help="the weight of the entropy in the unlabelled loss.", static=(0.0,)
    )
    marginal_entropy_weight: float = setting(
        default=0.0, help="the weight of the entropy of the mean output, which is to be large.", static=(0.0,)
    )

    def loss(
        self, params: Params, extra: Running, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        r"""Compute eq. 8 of the paper, with the divergence of unlabelled images alone, and entropies.

        .. math::
            L = L_{CE} + \alpha(t) \left[ \frac{1}{B'} \sum_{m=1}^{B'} KL(p(x_m) \| p(x_m + r_m))
              + \beta H(y | x) - \gamma H(y) \right]

        The perturbation r is that of :meth:`adversarial_perturbation`. The entropies are that of eq. 17 of Lee (2013)
        and that of the mean output; their weights are ``entropy_weight`` and ``marginal_entropy_weight``.
        """
        count = len(batch.images)
        encoded = encode(params, batch.all_images, self.normalise_separately(count, batch.weights))
        supervised = losses.supervised_loss(encoded.logits[:count], batch.labels, batch.weights, self.output)
        statistics = update_running(extra, encoded.moments)
        if batch.unlabelled is None:
            return supervised, Aux(statistics, {"labelled_loss": supervised})

        logits = encoded.logits[count:]
        perturbed = batch.unlabelled + self.adversarial_perturbation(params, batch.unlabelled, logits, key)
        unsupervised = self.divergence(params, jax.lax.stop_gradient(logits), perturbed)
        metrics = {"labelled_loss": supervised, "adversarial_loss": unsupervised}
        if acts(self.entropy_weight):
            metrics["entropy"] = conditional_entropy(logits, self.output).mean()
            unsupervised = unsupervised + self.entropy_weight * metrics["entropy"]
        if acts(self.marginal_entropy_weight):
            metrics["marginal_entropy"] = marginal_entropy(logits, self.output)
            unsupervised = unsupervised - self.marginal_entropy_weight * metrics["marginal_entropy"]
        metrics["unlabelled_loss"] = unsupervised
        return supervised + weight * unsupervised, Aux(statistics, metrics)

    def adversarial_perturbation(
        self, params: Params, images: jax.Array, logits: jax.Array, key: jax.Array
    ) -> jax.Array:
        """Return the perturbation of each image, a constant for the gradient: float32 ``[B', D]``.

        Args:
          params: the parameters.
          images: the unlabelled images, float32 ``[B', D]``.
          logits: their logits, float32 ``[B', C]``.
          key: of the random direction that the power iteration starts from.
        """
        params, logits = jax.lax.stop_gradient((params, logits))
        slope = jax.grad(lambda perturbation: self.divergence(params, logits, images + perturbation))
        direction = unit_rows(jax.random.normal(key, images.shape))
        for _ in range(self.power_iterations):
            direction = unit_rows(slope(self.xi * direction))
        return jax.lax.stop_gradient(self.epsilon * direction)

    def divergence(self, params: Params, logits: jax.Array, images: jax.Array) -> jax.Array:
        """Compute the mean of KL(p || q), float32 ``[]``: p are the class probabilities of ``logits``, q of ``images``.

        Args:
          params: the parameters.
          logits: float32 ``[B', C]``.
          images: float32 ``[B', D]``.
        """
        of_images = encode(params, images, self.normalise_separately()).logits
        log_p, log_q = (jax.nn.log_softmax(log_probabilities(of, self.output)) for of in (logits, of_images))
        return (jnp.exp(log_p) * (log_p - log_q)).sum(axis=-1).mean()


def unit_rows(x: jax.Array) -> jax.Array:
    """Divide every row by its length, ``[B, D] -> [B, D]``.

    >>> (10 * unit_rows(jnp.array([[3.0, 4.0]]))).round().astype(int).tolist()
    [[6, 8]]
    """
    largest = jnp.abs(x).max(axis=1, keepdims=True)
    x = x / jnp.maximum(largest, MIN_NORM)  # the squares of a small gradient would be 0
    return x / jnp.maximum(jnp.linalg.norm(x, axis=1, keepdims=True), MIN_NORM)
