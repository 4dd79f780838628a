"""Mini-batches for methods whose budget is a number of updates, whatever the number of labels."""

from typing import ClassVar

import jax
import jax.numpy as jnp

from pljax.data.batches import ORDER, UNLABELLED, BatchIndices, DrawnBatches, one_pass, weighted
from pljax.settings import register, setting
from pljax.types import Split, TrainingData


@register
class CycledBatches(DrawnBatches):
    """Mini-batches of labelled and unlabelled images, ``updates_per_epoch`` of them an epoch.

    Labelled images come in shuffled passes, one after another, as in ``MixedBatches``: as many as a round has room for,
    or one that lasts several rounds. Unlabelled images are drawn uniformly with replacement. Long epochs save time
    where networks are large: every round copies the state once.
    """

    labelled: ClassVar[bool] = True
    unlabelled: ClassVar[bool] = True

    unlabelled_batch_size: int = setting(default=256, help="unlabelled images per update.", low=1)

    def rows_at_once(self) -> int:
        return self.batch_size + self.unlabelled_batch_size

    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> BatchIndices:
        updates, size = self.updates(len(split.labelled)), len(split.labelled)
        of_pass = -(-size // self.batch_size)
        rounds = -(-of_pass // updates)  # that one pass, or several, last
        order_key = jax.random.fold_in(jax.random.fold_in(key, ORDER), t // rounds)
        passes = -(-rounds * updates // of_pass)
        keys = jax.vmap(jax.random.fold_in, (None, 0))(order_key, jnp.arange(passes))
        positions, weights = jax.vmap(lambda key: one_pass(key, size, data.labelled, self.batch_size, True))(keys)
        first = t % rounds * updates
        positions, weights = (
            jax.lax.dynamic_slice_in_dim(of.reshape(-1, of.shape[-1]), first, updates) for of in (positions, weights)
        )
        images = split.labelled[positions]
        draw_key = jax.random.fold_in(jax.random.fold_in(key, UNLABELLED), t)
        drawn = jax.random.randint(draw_key, (updates, self.unlabelled_batch_size), 0, data.unlabelled)
        return BatchIndices(images, data.labels[images], weighted(weights, images, data), split.unlabelled[drawn])
