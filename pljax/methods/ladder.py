"""Ladder network: Rasmus et al. (2015), "Semi-Supervised Learning with Ladder Networks", and Lee's term on it.

Layer 0 are the inputs, layer L the outputs. The letters are the paper's: z is a normalised activation, u the signal
from the layer above, and z-hat the reconstruction of z.
"""

import itertools
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from pljax.methods.base import ALPHA_F_HELP, Aux, Batch, NormalisedMethod, Ramp, register, setting
from pljax.nn import losses
from pljax.nn.networks import INITIAL_WEIGHTS, transfer
from pljax.nn.normalised_network import (
    Encoded,
    Running,
    by_moments,
    draw_noise,
    encode,
    moments,
    update_running,
    widths,
)
from pljax.settings import acts
from pljax.types import Params, Split, TrainingData

# The key of the decoder's weights is ``fold_in(key of the phase, DECODER)``. pljax.data.batches takes 1 to 3.
DECODER = 4
DENOISING_PARAMETERS = 10  # of the denoising function of a unit, a_1 to a_10


@register
class Ladder(NormalisedMethod, Ramp):
    """A classifier that reconstructs every layer of a clean pass from a noisy one; with ``alpha_f``, pseudo-labels too.

    The loss is the sum of the cross-entropy of the noisy outputs of labelled images, the squared errors of the
    reconstructions for unlabelled images, and alpha(t) times the cross-entropy of the noisy outputs of unlabelled
    images against the classes that the clean pass gives them.

    The gradient flows through the clean pass, as in the authors' program; where it does not, the network confuses more
    classes. With layers normalised over units, the clean pass is a constant: nothing else would keep its activations
    from becoming equal for all images.
    """

    weight_covers_all: ClassVar[bool] = False

    alpha_f: float = setting(
        default=0.0,
        help=ALPHA_F_HELP,
        static=(0.0,),
    )
    layer_noise: float = setting(default=0.3, help="the standard deviation of the noise on inputs and units.")
    denoise_inputs: float = setting(default=1000.0, help="the weight of the reconstruction of the inputs.")
    denoise_first: float = setting(default=10.0, help="the weight of the reconstruction of the first hidden layer.")
    denoise_others: float = setting(default=0.1, help="the weight of the reconstruction of each further layer.")
    threshold: float = setting(
        default=0.0,
        help="an image whose largest output is below it gets no pseudo-label.",
        high=1,
        static=(0.0,),
    )

    @property
    def gives_labels(self) -> Any:
        """Whether pseudo-labels are in the loss."""
        return acts(self.alpha_f)

    def warnings(self, epochs: int) -> list[str]:
        return super().warnings(epochs) if self.gives_labels else []

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Running]:
        """Return the parameters of encoder and decoder, and running statistics with mean 0 and variance 1."""
        params, running = super().init(key, data, split, {})
        initial, key = INITIAL_WEIGHTS[self.network.initial_weights], jax.random.fold_in(key, DECODER)
        sizes = widths(params)
        for layer, (below, width) in enumerate(itertools.pairwise(sizes)):
            params[f"decoder_{layer}"] = {"kernel": initial(jax.random.fold_in(key, layer), (width, below))}
        for layer, width in enumerate(sizes):
            numbers = jnp.zeros((DENOISING_PARAMETERS, width)).at[jnp.array([1, 6])].set(1.0)
            params[f"denoising_{layer}"] = {"numbers": numbers}
        return transfer(start, params), running

    def loss(
        self, params: Params, extra: Running, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        r"""Compute the cost of section 3 of the paper, and :math:`\alpha(t)` times Lee's term for the noisy outputs.

        .. math::
            L = L_{CE}(\tilde y) + \sum_{l=0}^{L} \lambda_l \, \overline{(\hat z^{(l)} - z^{(l)})^2}
              + \alpha(t) \, L_{CE}(\tilde y, \operatorname{argmax} y)

        The bar is the mean over unlabelled images and units, and y the clean output.
        """
        count = len(batch.images)
        rows = batch.all_images
        noise = draw_noise(key, params, len(rows), self.layer_noise)
        if self.normalisation == "layer":  # the outputs are not normalised: noise could hide them
            noise[-1] = jnp.zeros_like(noise[-1])
        noisy = encode(params, rows, self.normalise_separately(count, batch.weights), noise)
        supervised = losses.supervised_loss(noisy.logits[:count], batch.labels, batch.weights, self.output)
        if batch.unlabelled is None:
            clean = encode(params, batch.images, self.normalise_separately(count, batch.weights))
            return supervised, Aux(update_running(extra, clean.moments), {"labelled_loss": supervised})

        reference = params if self.normalisation == "batch" else jax.lax.stop_gradient(params)
        clean = encode(reference, batch.unlabelled, self.normalise_separately())
        z = [of_layer[count:] for of_layer in noisy.z]
        denoising = self.denoising_loss(clean, self.decode(params, z, jax.nn.softmax(noisy.logits[count:])))
        total, labels = supervised + denoising, None
        metrics = {"labelled_loss": supervised, "denoising_loss": denoising}
        if self.gives_labels:
            labels = self.label(clean.logits)
            unsupervised = losses.pseudo_label_loss(noisy.logits[count:], labels, self.output)
            total, metrics["unlabelled_loss"] = total + weight * unsupervised, unsupervised
        return total, Aux(update_running(extra, clean.moments), metrics, labels)

    def pseudo_labels(
        self, params: Params, extra: Running, images: jax.Array, rows: Any, logits: jax.Array | None = None
    ) -> jax.Array:
        """Return the classes that the clean pass of unlabelled images gives, int32 ``[B']``; -1 below the threshold.

        As in training, layers normalised over rows are so by the statistics of these images, not by running ones.
        """
        if logits is None or self.normalisation == "batch":
            logits = encode(params, images, self.normalise_separately()).logits
        return self.label(logits)

    def label(self, logits: jax.Array) -> jax.Array:
        """Assign pseudo-labels by the logits of the clean pass, int32 ``[B']``; -1 below the threshold."""
        return losses.pseudo_label(logits, self.output, self.threshold)

    def decode(self, params: Params, z: list[jax.Array], outputs: jax.Array) -> list[jax.Array]:
        """Reconstruct layers L to 0 from their noisy activations, and return them from layer 0 on, ``[B', H_l]`` each.

        The signal from above is normalised over the unlabelled rows also where the encoder normalises over units: it
        has no part in a prediction.

        Args:
          params: the parameters.
          z: the noisy activations, float32 ``[B', H_l]`` each.
          outputs: the class probabilities of the noisy pass, float32 ``[B', C]``.
        """
        signal, reconstructed = outputs, []
        for layer in reversed(range(len(z))):
            u = by_moments(signal, moments(signal))
            reconstructed.append(denoise(params[f"denoising_{layer}"]["numbers"], z[layer], u))
            if layer:
                signal = reconstructed[-1] @ params[f"decoder_{layer - 1}"]["kernel"]
        return reconstructed[::-1]

    def denoising_loss(self, clean: Encoded, reconstructed: list[jax.Array]) -> jax.Array:
        """Compute the weighted sum over the layers of the mean squared errors of their reconstructions, float32 ``[]``.

        Where the encoder normalises over rows, reconstructions are first normalised by the moments of the clean pass.
        """
        if self.normalisation == "batch":
            layers = zip(reconstructed[1:], clean.moments, strict=True)
            reconstructed = [reconstructed[0], *(by_moments(z, known) for z, known in layers)]
        weights = [self.denoise_inputs, self.denoise_first, *[self.denoise_others] * (len(clean.z) - 2)]
        errors = [jnp.square(z - target).mean() for z, target in zip(reconstructed, clean.z, strict=True)]
        return jnp.asarray(sum(of_layer * error for of_layer, error in zip(weights, errors, strict=True)))


def denoise(numbers: jax.Array, z: jax.Array, u: jax.Array) -> jax.Array:
    r"""Reconstruct a layer from its noisy activations and the signal from above, eq. 2 of the paper.

    .. math::
        \hat z = (z - \mu(u)) \, v(u) + \mu(u), \quad
        \mu(u) = a_1 \sigma(a_2 u + a_3) + a_4 u + a_5, \quad
        v(u) = a_6 \sigma(a_7 u + a_8) + a_9 u + a_{10}

    Args:
      numbers: float32 ``[10, H]``.
      z: float32 ``[B, H]``.
      u: float32 ``[B, H]``.

    Returns:
      float32 ``[B, H]``.
    """

    def curve(a: jax.Array) -> jax.Array:
        height, slope, shift, linear, constant = a[:, None]
        return height * jax.nn.sigmoid(slope * u + shift) + linear * u + constant

    mean = curve(numbers[:5])
    return (z - mean) * curve(numbers[5:]) + mean
