"""Pseudo-Label: Lee (2013), sections 2.3 and 2.4. Equation numbers are the paper's."""

from typing import Any, ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from pljax.methods.base import Aux, Batch, NetworkMethod, Ramp, register, setting
from pljax.nn import losses
from pljax.nn.networks import in_blocks
from pljax.settings import acts
from pljax.types import Params, Split, TrainingData


class Extra(NamedTuple):
    """The state beside the parameters; ``None`` for what the settings do not need."""

    shares: jax.Array | None  # float32 [2, C], the least and the greatest share of each class, for alignment
    labels: jax.Array | None  # int32 [N], pseudo-labels assigned once; -1: none


@register
class PseudoLabel(NetworkMethod, Ramp):
    """A network that assigns pseudo-labels to the unlabelled images and is trained with them.

    In the paper, every update assigns new pseudo-labels (``assign="every_update"``) to all its unlabelled images
    (``threshold=0``), without distribution alignment (``alignment=0``; see :func:`pljax.nn.losses.align`).
    """

    gives_labels: ClassVar[Any] = True

    assign: Literal["every_update", "once"] = setting(
        default="every_update",
        help="when pseudo-labels are assigned; once: by the network that the phase starts from.",
        flag=False,
    )
    threshold: float = setting(
        default=0.0,
        help="an image whose largest output is below it gets no pseudo-label.",
        high=1,
        static=(0.0,),
    )
    alignment: float = setting(
        default=0.0,
        help="from 0 to 1, how far pseudo-labels are aligned with the shares of the classes.",
        high=1,
        closed="both",
        static=(0.0,),
    )
    class_prior: Literal["labelled", "estimated"] = setting(
        default="labelled",
        help="the class shares of alignment: those of the labelled images, or intervals estimated from all images.",
    )

    def loss(
        self, params: Params, extra: Extra, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        r"""Compute eq. 15 with the pseudo-labels :math:`y'` of eq. 14.

        .. math::
            L = \frac{1}{B} \sum_{m=1}^{B} \sum_{i=1}^{C} l(y_i^m, f_i^m)
              + \alpha(t) \frac{1}{B'} \sum_{m=1}^{B'} \sum_{i=1}^{C} l(y_i'^m, f_i'^m)
        """
        if batch.unlabelled is None:
            logits = self.forward(params, batch.images, key)
            supervised = losses.supervised_loss(logits, batch.labels, batch.weights, self.output)
            return supervised, Aux(extra, {"labelled_loss": supervised})

        pseudo_labels = self.pseudo_labels(params, extra, batch.unlabelled, batch.unlabelled_rows)
        logits = self.forward(params, batch.all_images, key)
        labelled, unlabelled = jnp.split(logits, [len(batch.images)])
        supervised = losses.supervised_loss(labelled, batch.labels, batch.weights, self.output)
        unsupervised = losses.pseudo_label_loss(unlabelled, pseudo_labels, self.output)
        metrics = {"labelled_loss": supervised, "unlabelled_loss": unsupervised}
        return supervised + weight * unsupervised, Aux(extra, metrics, pseudo_labels)

    def pseudo_labels(
        self, params: Params, extra: Extra, images: jax.Array, rows: Any, logits: jax.Array | None = None
    ) -> jax.Array:
        """Return pseudo-labels of unlabelled images, int32 ``[B']``: those assigned once, or of the network as it is.

        Dropout is off, and no gradient flows through them. Alignment uses the mean output for these images. ``rows``
        are their indices, int32 ``[B']``; ``logits`` their logits, if the caller has them.
        """
        if extra.labels is not None:
            return extra.labels[rows]
        if logits is None:
            logits = self.forward(jax.lax.stop_gradient(params), images)
        return self.label(logits, extra.shares)

    def label(self, logits: jax.Array, shares: jax.Array | None) -> jax.Array:
        """Assign pseudo-labels by eq. 14, after alignment, float32 ``[n, C] -> int32 [n]``; -1 below the threshold."""
        if shares is not None:
            logits = losses.align(logits, shares, self.alignment, self.output)
        return losses.pseudo_label(logits, self.output, self.threshold)

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Extra]:
        """Return the parameters of :class:`NetworkMethod`, and what alignment and ``assign="once"`` need."""
        params, _ = super().init(key, data, split, start)
        shares = labels = None
        if acts(self.alignment):
            shares = labelled_shares(data, split) if split.shares is None else split.shares
        if self.assign == "once":
            logits = in_blocks(lambda images: self.forward(params, images), data.images[split.unlabelled])
            none = jnp.full(data.labels.shape, -1, jnp.int32)
            labels = none.at[split.unlabelled].set(self.label(logits, shares))
        return params, Extra(shares, labels)

    def labels_given_once(self, extra: Extra) -> jax.Array | None:
        return extra.labels


def labelled_shares(data: TrainingData, split: Split) -> jax.Array:
    """Compute the share of each class among the labelled images, twice: float32 ``[2, C]``."""
    known = jnp.arange(len(split.labelled)) < data.labelled
    counts = jnp.zeros(data.classes).at[data.labels[split.labelled]].add(known.astype(jnp.float32))
    return jnp.tile(counts / counts.sum(), (2, 1))
