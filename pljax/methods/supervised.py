"""Supervised training with the labelled images alone, the baseline of the other methods."""

from typing import Any

import jax
import jax.numpy as jnp

from pljax.methods.base import Aux, Batch, NetworkMethod, register
from pljax.nn.losses import supervised_loss
from pljax.types import Params


@register
class Supervised(NetworkMethod):
    """A network trained with the labelled images: ``nn`` without dropout, ``drop_nn`` with it."""

    def loss(
        self, params: Params, extra: Any, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        """Compute the mean loss of the labelled images, eq. 4 and 5 of Lee (2013)."""
        logits = self.forward(params, batch.images, key)
        loss = supervised_loss(logits, batch.labels, batch.weights, self.output)
        # NaN, so that the metrics of Lee's four scenarios have the same columns
        return loss, Aux(extra, {"labelled_loss": loss, "unlabelled_loss": jnp.asarray(jnp.nan)})

    def weight(self, epoch: Any) -> Any:
        return 0.0
