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


COLUMNS = ("index", "label", "confidence", "seeds_agree", "seeds", "first_change", "last_change")


def table(groups: Sequence[GroupLabels], names: Sequence[str], rows: Sequence[str] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield a row of ``COLUMNS`` for each image that was unlabelled for at least one seed. Only these seeds count.

    ``index`` is the image's index, or its name from ``rows``. ``label`` is the name of the class with the largest mean
    probability, and ``confidence`` this probability. ``seeds_agree`` of ``seeds`` seeds predict this class.
    ``first_change`` and ``last_change`` are the first and the last epoch in which the pseudo-label of the image changed
    in any seed; they are empty if it never did.
    """
    unlabelled = np.concatenate([group.unlabelled for group in groups])
    seeds = unlabelled.sum(axis=0)
    totals = np.sum([group.probabilities for group in groups], axis=0)
    label = totals.argmax(axis=1)
    confidence = totals.max(axis=1) / np.maximum(seeds, 1)
    agree = (unlabelled & (np.concatenate([group.classes for group in groups]) == label)).sum(axis=0)
    first, last = (
        np.where(unlabelled, np.concatenate([getattr(group.labels, name) for group in groups]), NEVER)
        for name in ("first_change", "last_change")
    )
    first = np.where(first == NEVER, np.iinfo(np.int32).max, first).min(axis=0)
    last = last.max(axis=0)
    for row in np.flatnonzero(seeds).tolist():
        changes = (first[row], last[row]) if last[row] != NEVER else ("", "")
        yield (
            rows[row] if rows else row,
            names[label[row]],
            f"{confidence[row]:.4f}",
            agree[row],
            seeds[row],
            *changes,
        )
