"""Which images the updates of an epoch are made of."""

import abc
from typing import ClassVar, Literal, NamedTuple

import jax
import jax.numpy as jnp

from pljax.settings import Settings, register, setting
from pljax.types import Split, TrainingData

# What the key of a phase is folded with. 0 is the method's: see pljax.methods.base.
ORDER, UNLABELLED, UPDATE = 1, 2, 3

ROUND_UPDATES = 30  # a round is the largest equal part of an epoch with at most so many updates


class Rows(NamedTuple):
    """The training images of some updates, as indices."""

    images: jax.Array  # int32 [updates, B]
    labels: jax.Array  # int32 [updates, B], of these images; -1 where they are not to be known
    weights: jax.Array  # float32 [updates, B]: 0 for the rows that a short last mini-batch lacks
    unlabelled: jax.Array | None = None  # int32 [updates, B']


class Batches(Settings, abc.ABC):
    """How the mini-batches of a phase are made. An epoch has ``rounds`` rounds of ``updates`` updates each."""

    labelled: ClassVar[bool] = True  # whether labels come with the images
    unlabelled: ClassVar[bool] = False  # whether there are unlabelled images beside them

    batch_size: int = setting(help="images an update, labelled ones for the classifier.", low=1)

    def rounds(self, labelled: int) -> int:
        """Rounds an epoch, where so many images are labelled."""
        return 1

    @abc.abstractmethod
    def updates(self, labelled: int) -> int:
        """Updates a round."""

    def rows_at_once(self) -> int:
        """The most rows that go through the network at once."""
        return self.batch_size

    def pool(self, split: Split, data: TrainingData) -> jax.Array:
        """The images that unlabelled ones are drawn from, as indices, int32 ``[P]``."""
        return split.unlabelled

    @abc.abstractmethod
    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> Rows:
        """The rows of round ``t``, from the key of the phase."""

    def update_keys(self, key: jax.Array, t: jax.Array, updates: int) -> jax.Array:
        """A key for each update of round ``t``, ``[updates]``."""
        of_round = jax.random.fold_in(jax.random.fold_in(key, UPDATE), t)
        return jax.vmap(jax.random.fold_in, (None, 0))(of_round, jnp.arange(updates))


@register
class LabelledBatches(Batches):
    """An epoch is a pass over the labelled images: ``ceil(labels / batch_size)`` updates.

    The ``last_batch`` has what is left (``short``), or is ``filled`` up with the first images of the pass.
    """

    last_batch: Literal["filled", "short"] = setting(
        default="filled", help="of an epoch: filled up, or short.", flag=False
    )

    def updates(self, labelled: int) -> int:
        return -(-labelled // self.batch_size)

    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> Rows:
        order = jax.random.fold_in(jax.random.fold_in(key, ORDER), t)
        size = len(split.labelled)
        positions, weights = one_pass(order, size, data.labelled, self.batch_size, self.last_batch == "filled")
        images = split.labelled[positions]
        return Rows(images, data.labels[images], weights)


@register
class MixedBatches(LabelledBatches):
    """The same, and ``unlabelled_batch_size`` unlabelled images an update.

    ``draw_from`` says which: any of the unlabelled set, uniformly with replacement (an update needs no memory of the
    ones before, and an epoch of the paper sees but a sixtieth of the set); or those that a ``shuffle_buffer`` of
    ``buffer_size`` lets through when it is fed all training images in file order and restarted every epoch.
    """

    unlabelled: ClassVar[bool] = True

    unlabelled_batch_size: int = setting(default=256, help="unlabelled images an update.", low=1)
    draw_from: Literal["unlabelled", "shuffle_buffer"] = setting(
        default="unlabelled", help="where they come from.", flag=False
    )
    buffer_size: int = setting(default=1024, help="images in the shuffle buffer.", low=1, flag=False)

    def rows_at_once(self) -> int:
        return self.batch_size + self.unlabelled_batch_size

    def pool(self, split: Split, data: TrainingData) -> jax.Array:
        if self.draw_from == "unlabelled":
            return split.unlabelled
        draws = self.updates(len(split.labelled)) * self.unlabelled_batch_size
        return jnp.arange(min(self.buffer_size + draws, data.images.shape[0]), dtype=jnp.int32)

    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> Rows:
        rows, pool = super().draw(key, t, split, data), self.pool(split, data)
        shape = len(rows.images), self.unlabelled_batch_size
        draws = jax.random.fold_in(jax.random.fold_in(key, UNLABELLED), t)
        if self.draw_from == "unlabelled":
            positions = jax.random.randint(draws, (shape[0] * shape[1],), 0, data.unlabelled)
        else:
            positions = shuffle_buffer(draws, shape[0] * shape[1], min(self.buffer_size, len(pool))) % len(pool)
        return rows._replace(unlabelled=pool[positions.reshape(shape)])


@register
class DrawnBatches(Batches):
    """An epoch is ``updates_per_epoch`` updates, so that the same budget means the same work on smaller data.

    Their images are drawn uniformly, with replacement, from the labelled and unlabelled ones, and no label comes with
    them; validation images are left out.
    """

    labelled: ClassVar[bool] = False

    updates_per_epoch: int = setting(help="updates an epoch.", low=1, flag=False)

    def rounds(self, labelled: int) -> int:
        fewest = -(-self.updates_per_epoch // ROUND_UPDATES)
        return next(
            rounds for rounds in range(fewest, self.updates_per_epoch + 1) if not self.updates_per_epoch % rounds
        )

    def updates(self, labelled: int) -> int:
        return self.updates_per_epoch // self.rounds(labelled)

    def draw(self, key: jax.Array, t: jax.Array, split: Split, data: TrainingData) -> Rows:
        draws = jax.random.fold_in(jax.random.fold_in(key, ORDER), t)
        shape = self.updates(len(split.labelled)), self.batch_size
        positions = jax.random.randint(draws, shape, 0, data.labelled + data.unlabelled)
        padding = len(split.labelled) - data.labelled
        candidates = jnp.concatenate([split.labelled, split.unlabelled])
        images = candidates[positions + jnp.where(positions < data.labelled, 0, padding)]
        return Rows(images, jnp.full(shape, -1, jnp.int32), jnp.ones(shape))

    def update_keys(self, key: jax.Array, t: jax.Array, updates: int) -> jax.Array:
        """By the number of the update in the whole phase: it does not depend on how an epoch is cut into rounds."""
        numbers = t * updates + jnp.arange(updates)
        return jax.vmap(jax.random.fold_in, (None, 0))(jax.random.fold_in(key, UPDATE), numbers)


def one_pass(
    key: jax.Array, size: int, count: int | jax.Array, batch_size: int, filled: bool
) -> tuple[jax.Array, jax.Array]:
    """One shuffled pass over the first ``count`` of ``size`` places, cut into mini-batches.

    A last mini-batch that the pass does not fill is filled up from the start of the pass. Those rows have
    weight 1 if it is to be ``filled``; otherwise, and where they would be in the mini-batch twice, they have weight 0.

    Args:
      key: draws the order.
      size: static. ``count`` is the same, unless places were added for programs to fit several sizes.
      count: int32 [].
      batch_size: ``B``; it is ``size`` where that is smaller.
      filled: see above.

    Returns:
      Places, int32 ``[updates, B]``, and weights, float32 ``[updates, B]``.
    """
    batch_size = min(batch_size, size)
    updates = -(-size // batch_size)
    order = jax.random.permutation(key, size).astype(jnp.int32)
    order = order[jnp.argsort(order >= count, stable=True)]  # as it is, where no places were added
    places = jnp.arange(updates * batch_size)
    weights = jnp.where((places < count) | (filled & (count >= batch_size)), 1.0, 0.0)
    return order[places % count].reshape(updates, batch_size), weights.reshape(updates, batch_size)


def shuffle_buffer(key: jax.Array, draws: int, size: int) -> jax.Array:
    """The positions that a shuffling buffer lets through: ``tf.data``'s ``shuffle(size)`` on a fresh stream.

    The buffer starts with positions 0 to ``size - 1``; each draw takes a random place of it and refills
    that place with the stream's next position. Only the first ``size + draws - 1`` positions can appear.

    Returns:
      int32 ``[draws]``.
    """
    places = jax.random.randint(key, (draws,), 0, size)

    def draw(buffer: jax.Array, now: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        place, following = now
        return buffer.at[place].set(following), buffer[place]

    return jax.lax.scan(draw, jnp.arange(size, dtype=jnp.int32), (places, size + jnp.arange(draws, dtype=jnp.int32)))[1]
