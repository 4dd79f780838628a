"""The pseudo-labels of the training images: their history in training, and the table of the final ones."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pljax.types import AssignedLabels

NEVER = -1


class LabelHistory:
    """Record the pseudo-labels that training images are given, by seed.

    Attributes:
      last: int32 ``[S, N]``, the last label of each image; -1 if it was given none.
      first_change: int32 ``[S, N]``, the epoch in which the label of an image first changed; -1 if it never did.
      last_change: int32 ``[S, N]``, the epoch in which it last changed.
    """

    def __init__(self, seeds: int, images: int):
        self.last, self.first_change, self.last_change = np.full((3, seeds, images), NEVER, np.int32)

    def update(self, epoch: int, assigned: AssignedLabels) -> None:
        """Record labels that were given in an epoch. Rows and labels are ``[S, K]``; -1 is no label.

        The last label counts if an image occurs twice.
        """
        for seed, (rows, labels) in enumerate(zip(assigned.rows, assigned.labels, strict=True)):
            rows, labels = rows[labels >= 0], labels[labels >= 0]
            before = self.last[seed, rows]
            self.last[seed, rows] = labels
            changed = rows[(before != NEVER) & (before != self.last[seed, rows])]
            self.last_change[seed, changed] = epoch
            new = changed[self.first_change[seed, changed] == NEVER]
            self.first_change[seed, new] = epoch

    def state(self) -> dict[str, np.ndarray]:
        """The arrays by name, not copied. See :meth:`restore`."""
        return {name: getattr(self, name) for name in _ARRAYS}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Restore what :meth:`state` of another history returned."""
        self.last, self.first_change, self.last_change = (arrays[name].copy() for name in _ARRAYS)


_ARRAYS = ("last", "first_change", "last_change")


class GroupLabels(NamedTuple):
    """The final predictions of a group of seeds for the ``N`` training images."""

    unlabelled: np.ndarray  # bool [S, N], whether an image was unlabelled for a seed
    classes: np.ndarray  # int32 [S, N], the class predicted by each seed
    probabilities: np.ndarray  # float32 [N, C], summed over the seeds for which the image was unlabelled
    labels: LabelHistory  # the pseudo-labels in training


class Totals(NamedTuple):
    """The final predictions for the ``N`` training images, counted over the seeds for which each was unlabelled."""

    seeds: np.ndarray  # int32 [N], how many seeds
    probabilities: np.ndarray  # float32 [N, C], summed over the seeds
    votes: np.ndarray  # unsigned [N, C], how many seeds predict each class
    first_change: np.ndarray  # int32 [N], the first epoch in which the pseudo-label changed in any seed; -1: never
    last_change: np.ndarray  # int32 [N], the last one


def count(groups: Sequence[GroupLabels]) -> Totals:
    """The totals over the seeds of all groups."""
    unlabelled, classes = (
        np.concatenate([getattr(group, name) for group in groups]) for name in ("unlabelled", "classes")
    )
    probabilities = np.sum([group.probabilities for group in groups], axis=0)
    votes = np.zeros(probabilities.shape, np.min_scalar_type(len(unlabelled)))
    for of_seed, predicted in zip(unlabelled, classes, strict=True):
        rows = np.flatnonzero(of_seed)
        votes[rows, predicted[rows]] += 1
    first, last = (
        np.where(unlabelled, np.concatenate([getattr(group.labels, name) for group in groups]), NEVER)
        for name in ("first_change", "last_change")
    )
    return Totals(unlabelled.sum(axis=0, dtype=np.int32), probabilities, votes, _earliest(first), last.max(axis=0))


def add(parts: Sequence[Totals]) -> Totals:
    """The totals of runs with different seeds as those of one run. They are equal to the rounding of the sums."""
    seeds = np.stack([part.seeds for part in parts]).sum(axis=0, dtype=np.int32)
    return Totals(
        seeds,
        np.stack([part.probabilities for part in parts]).sum(axis=0),
        np.stack([part.votes for part in parts]).sum(axis=0, dtype=np.min_scalar_type(seeds.max(initial=0))),
        _earliest(np.stack([part.first_change for part in parts])),
        np.stack([part.last_change for part in parts]).max(axis=0),
    )


def _earliest(epochs: np.ndarray) -> np.ndarray:
    """The smallest epoch of each column, ``[S, N] -> [N]``; ``NEVER`` if there is none."""
    none = np.iinfo(np.int32).max
    first = np.where(epochs == NEVER, none, epochs).min(axis=0)
    return np.where(first == none, NEVER, first).astype(np.int32)


COLUMNS = ("index", "label", "confidence", "seeds_agree", "seeds", "first_change", "last_change")


def table(
    totals: Totals, names: Sequence[str], rows: Sequence[str] | Mapping[int, str] = ()
) -> Iterator[tuple[Any, ...]]:
    """Yield a row of ``COLUMNS`` for each image that was unlabelled for at least one seed. Only these seeds count.

    ``index`` is the image's index, or its name from ``rows``. ``label`` is the name of the class with the largest mean
    probability, and ``confidence`` this probability. ``seeds_agree`` of ``seeds`` seeds predict this class.
    ``first_change`` and ``last_change`` are the first and the last epoch in which the pseudo-label of the image changed
    in any seed; they are empty if it never did.
    """
    seeds, label = totals.seeds, totals.probabilities.argmax(axis=1)
    confidence = totals.probabilities.max(axis=1) / np.maximum(seeds, 1)
    for row in np.flatnonzero(seeds).tolist():
        first, last = totals.first_change[row], totals.last_change[row]
        yield (
            rows[row] if rows else row,
            names[label[row]],
            f"{confidence[row]:.4f}",
            totals.votes[row, label[row]],
            seeds[row],
            *((first, last) if last != NEVER else ("", "")),
        )
