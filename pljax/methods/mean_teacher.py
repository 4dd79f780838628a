"""Mean teacher: Tarvainen and Valpola (2017), "Mean teachers are better role models"."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from pljax.methods.base import Aux, Batch, NormalisedMethod, Ramp, register, setting
from pljax.nn import losses
from pljax.nn.normalised_network import Normalise, Running, draw_noise, encode, update_running
from pljax.nn.outputs import class_probabilities
from pljax.types import Params, Split, TrainingData


class Extra(NamedTuple):
    """The state beside the parameters."""

    teacher: Params  # the mean of the parameters
    running: Running  # statistics of the teacher without noise


@register
class MeanTeacher(NormalisedMethod, Ramp):
    """The outputs for unlabelled images are to be those of a teacher, whose weights are a decaying mean of the weights.

    Teacher and student see the images with different noise. The teacher predicts. It averages the student's weights
    before each update; the paper, those after it. With ``teacher_decay=0``, the teacher is the student itself, as in
    the Pi-model of Laine and Aila (2017), but no gradient flows through the targets.
    """

    teacher_decay: float = setting(
        default=0.99, help="the decay of the mean of the weights; the first updates have equal shares.", high=1
    )
    layer_noise: float = setting(default=0.3, help="the standard deviation of the noise on inputs and units.")

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Extra]:
        """Return the initial parameters; the teacher has the same."""
        params, running = super().init(key, data, split, start)
        return params, Extra(params, running)

    def logits(self, params: Params, extra: Extra, images: jax.Array) -> jax.Array:
        return super().logits(extra.teacher, extra.running, images)

    def loss(
        self, params: Params, extra: Extra, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        r"""Compute the cross-entropy of labelled images, and the squared differences of outputs for unlabelled ones.

        .. math::
            L = L_{CE} + \alpha(t) \frac{1}{B'} \sum_{m=1}^{B'} \| f(x_m, \eta; \theta) - f(x_m, \eta'; \theta') \|^2

        The noise is :math:`\eta`, the teacher :math:`\theta'` that of :meth:`updated`.
        """
        count, student_key = len(batch.images), jax.random.fold_in(key, 0)
        rows, normalise = batch.all_images, self.normalise_separately(count, batch.weights)
        student_noise = draw_noise(student_key, params, len(rows), self.layer_noise)
        logits = encode(params, rows, normalise, student_noise).logits
        supervised = losses.supervised_loss(logits[:count], batch.labels, batch.weights, self.output)
        teacher = jax.lax.stop_gradient(self.updated(extra, params))
        if batch.unlabelled is None:
            after = Extra(teacher, self.update_statistics(extra.running, teacher, batch.images, normalise))
            return supervised, Aux(after, {"labelled_loss": supervised})

        images, normalise = batch.unlabelled, self.normalise_separately()
        after = Extra(teacher, self.update_statistics(extra.running, teacher, images, normalise))
        teacher_noise = draw_noise(jax.random.fold_in(key, 1), params, len(images), self.layer_noise)
        targets = class_probabilities(encode(teacher, images, normalise, teacher_noise).logits, self.output)
        outputs = class_probabilities(logits[count:], self.output)
        unsupervised = jnp.square(outputs - targets).sum(axis=-1).mean()
        metrics = {"labelled_loss": supervised, "unlabelled_loss": unsupervised}
        return supervised + weight * unsupervised, Aux(after, metrics)

    def update_statistics(self, running: Running, teacher: Params, images: jax.Array, normalise: Normalise) -> Running:
        """Return the running statistics after a mini-batch, those of the teacher's pass without noise.

        Layer normalisation needs none: only the count of updates rises.
        """
        if self.normalisation == "layer":
            return running._replace(updates=running.updates + 1)
        return update_running(running, encode(teacher, images, normalise).moments)

    def updated(self, extra: Extra, params: Params) -> Any:
        r"""Return the teacher with the parameters of this update in its mean.

        .. math::
            \theta' \leftarrow d \, \theta' + (1 - d) \, \theta, \quad d = \min(n / (n + 1), \text{teacher\_decay})

        The updates before this one are n.
        """
        updates = extra.running.updates.astype(jnp.float32)
        decay = jnp.minimum(updates / (updates + 1), self.teacher_decay)
        return jax.tree.map(lambda mean, new: decay * mean + (1 - decay) * new, extra.teacher, params)
