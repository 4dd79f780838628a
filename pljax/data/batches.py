"""Mini-batches: the indices of the images that each update of an epoch is computed from."""

import abc
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from pljax.settings import Settings, register, setting
from pljax.types import Split, TrainingData

# The purposes that ``jax.random.fold_in`` derives keys for from the key of a phase. The method takes 0: see
# pljax.methods.base.
ORDER, UNLABELLED, UPDATE = 1, 2, 3

# The most updates of a round, which is one call of a compiled program: the shorter it is, the sooner a run can stop or
# save, but the more calls it takes.
ROUND_UPDATES = 30


class BatchIndices(NamedTuple):
    """The indices of the training images of several updates."""

    images: jax.Array  # int32 [updates, B]
    labels: jax.Array  # int32 [updates, B], of these images; -1 where the method must not see them
    # float32 [updates, B], the weights of the images; 0 for the rows that pad a short last mini-batch
    weights: jax.Array
    unlabelled: jax.Array | None = None  # int32 [updates, B']


class Batches(Settings, abc.ABC):
    """The rule for the mini-batches of a phase. An epoch has ``rounds`` rounds of ``updates`` updates each."""

    labelled: ClassVar[bool] = True  # whether the images have labels
    unlabelled: ClassVar[bool] = False  # whether a mini-batch also has unlabelled images

    batch_size: int = setting(help="images per update, labelled ones for the classifier.", low=1)

    def rounds(self, labelled: int) -> int:
        """Return the rounds per epoch for a number of labelled images."""
        return 1

    @abc.abstractmethod
    def updates(self, labelled: int) -> int:
        """Return the updates per round for a number of labelled images."""

    def rows_at_once(self) -> int:
        """Return the rows of one pass through the network: ``batch_size``, and the unlabelled images of an update."""
        return self.batch_size

    def unlabelled_candidates(self, split: Split, data: TrainingData) -> jax.Array:
        """Return the indices that unlabelled images are drawn from, int32 ``[P]``."""
        return split.unlabelled

    @abc.abstractmethod
    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> BatchIndices:
        """Draw the mini-batches of round ``t``, int32 []; ``key`` is that of the phase."""

    def update_keys(self, key: jax.Array, t: jax.Array, updates: int) -> jax.Array:
        """Return a key for each update of round ``t``, ``[updates]``."""
        of_round = jax.random.fold_in(jax.random.fold_in(key, UPDATE), t)
        return jax.vmap(jax.random.fold_in, (None, 0))(of_round, jnp.arange(updates))


@register
class LabelledBatches(Batches):
    """Mini-batches of labelled images. An epoch is a shuffled pass over them: ``ceil(labels / batch_size)`` updates.

    If ``batch_size`` does not divide the number of labels, the last mini-batch is smaller (``last_batch="short"``) or
    filled up with the first images of the pass (``"filled"``).
    """

    last_batch: Literal["filled", "short"] = setting(
        default="filled", help="of an epoch: filled up, or short.", flag=False
    )

    def updates(self, labelled: int) -> int:
        return -(-labelled // self.batch_size)

    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> BatchIndices:
        order_key = jax.random.fold_in(jax.random.fold_in(key, ORDER), t)
        size = len(split.labelled)
        positions, weights = one_pass(order_key, size, data.labelled, self.batch_size, self.last_batch == "filled")
        images = split.labelled[positions]
        return BatchIndices(images, data.labels[images], weighted(weights, images, data))


@register
class MixedBatches(LabelledBatches):
    """:class:`LabelledBatches` with ``unlabelled_batch_size`` unlabelled images per update.

    ``draw_from`` selects how they are drawn:

    * ``unlabelled``: uniformly with replacement from the unlabelled set. An epoch of the paper draws about a sixtieth
      of the set, so a pass without replacement would need a state that lasts over many epochs.
    * ``shuffle_buffer``: as :func:`shuffle_buffer` with ``buffer_size`` places returns them from all training images
      in file order, started anew every epoch.
    """

    unlabelled: ClassVar[bool] = True

    unlabelled_batch_size: int = setting(default=256, help="unlabelled images per update.", low=1)
    draw_from: Literal["unlabelled", "shuffle_buffer"] = setting(
        default="unlabelled", help="how unlabelled images are drawn.", flag=False
    )
    buffer_size: int = setting(default=1024, help="images in the shuffle buffer.", low=1, flag=False)

    def rows_at_once(self) -> int:
        return self.batch_size + self.unlabelled_batch_size

    def unlabelled_candidates(self, split: Split, data: TrainingData) -> jax.Array:
        if self.draw_from == "unlabelled":
            return split.unlabelled
        draws = self.updates(len(split.labelled)) * self.unlabelled_batch_size
        return jnp.arange(min(self.buffer_size + draws, data.images.shape[0]), dtype=jnp.int32)

    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> BatchIndices:
        indices, candidates = super().draw(key, t, split, data), self.unlabelled_candidates(split, data)
        shape = len(indices.images), self.unlabelled_batch_size
        draw_key = jax.random.fold_in(jax.random.fold_in(key, UNLABELLED), t)
        if self.draw_from == "unlabelled":
            positions = jax.random.randint(draw_key, (shape[0] * shape[1],), 0, data.unlabelled)
        else:
            size = min(self.buffer_size, len(candidates))
            positions = shuffle_buffer(draw_key, shape[0] * shape[1], size) % len(candidates)
        return indices._replace(unlabelled=candidates[positions.reshape(shape)])


@register
class DrawnBatches(Batches):
    """Mini-batches without labels, drawn uniformly with replacement from the labelled and unlabelled images.

    Validation images are not among them. An epoch has ``updates_per_epoch`` updates, whatever the size of the data.
    """

    labelled: ClassVar[bool] = False

    updates_per_epoch: int = setting(help="updates per epoch.", low=1, flag=False)

    def rounds(self, labelled: int) -> int:
        fewest = -(-self.updates_per_epoch // ROUND_UPDATES)
        return next(
            rounds for rounds in range(fewest, self.updates_per_epoch + 1) if not self.updates_per_epoch % rounds
        )

    def updates(self, labelled: int) -> int:
        return self.updates_per_epoch // self.rounds(labelled)

    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> BatchIndices:
        draw_key = jax.random.fold_in(jax.random.fold_in(key, ORDER), t)
        shape = self.updates(len(split.labelled)), self.batch_size
        positions = jax.random.randint(draw_key, shape, 0, data.labelled + data.unlabelled)
        padding = len(split.labelled) - data.labelled
        candidates = jnp.concatenate([split.labelled, split.unlabelled])
        images = candidates[positions + jnp.where(positions < data.labelled, 0, padding)]
        return BatchIndices(images, jnp.full(shape, -1, jnp.int32), jnp.ones(shape))

    def update_keys(self, key: jax.Array, t: jax.Array, updates: int) -> jax.Array:
        """Return keys by the number of the update in the phase: they do not depend on the length of a round."""
        numbers = t * updates + jnp.arange(updates)
        return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, UPDATE), numbers)


def weighted(weights: jax.Array, images: jax.Array, data: TrainingData) -> jax.Array:
    """Multiply the weights of places in mini-batches by those of the images in them."""
    return weights if data.weights is None else weights * data.weights[images]


def one_pass(
    key: jax.Array, size: int, count: int | jax.Array, batch_size: int, filled: bool
) -> tuple[jax.Array, jax.Array]:
    """Draw one shuffled pass over ``count`` positions, cut into mini-batches.

    If ``B`` does not divide ``count``, the last mini-batch is padded with the first positions of the pass. Their
    weight is 1 if ``filled``, else 0. It is also 0 if ``count`` is below ``B``: a row would count twice.

    Args:
      key: typed PRNG key.
      size: static length of the array of positions; above ``count`` where that array is padded.
      count: the positions in use are 0 to ``count - 1``; int32 [].
      batch_size: ``B``; at most ``size``.
      filled: see above.

    Returns:
      Positions, int32 ``[updates, B]``, and weights, float32 ``[updates, B]``, with ``updates = ceil(size / B)``.
    """
    batch_size = min(batch_size, size)
    updates = -(-size // batch_size)
    order = jax.random.permutation(key, size).astype(jnp.int32)
    order = order[jnp.argsort(order >= count, stable=True)]  # padding last
    places = jnp.arange(updates * batch_size)
    weights = jnp.where((places < count) | (filled & (count >= batch_size)), 1.0, 0.0)
    return order[places % count].reshape(updates, batch_size), weights.reshape(updates, batch_size)


def shuffle_buffer(key: jax.Array, draws: int, size: int) -> jax.Array:
    """Draw positions of a stream through a shuffle buffer, as ``tf.data.Dataset.shuffle(size)`` does.

    The buffer starts with positions 0 to ``size - 1``. Each draw takes a random one out of it and puts the next
    position of the stream in its place, so that only the first ``size + draws - 1`` positions can appear.

    Returns:
      int32 ``[draws]``.
    """
    places = jax.random.randint(key, (draws,), 0, size)

    def draw(buffer: jax.Array, step: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        place, following = step
        return buffer.at[place].set(following), buffer[place]

    return jax.lax.scan(draw, jnp.arange(size, dtype=jnp.int32), (places, size + jnp.arange(draws, dtype=jnp.int32)))[1]
