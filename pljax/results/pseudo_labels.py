"""Which pseudo-labels the training images were given, and when these changed, seed by seed."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pljax.types import AssignedLabels

NEVER = -1


class LabelHistory:
    """Listens to the labels that are given in training. Arrays are int32 ``[S, N]``, on the host.

    ``last`` is the label that an image was given last, ``first_change`` and ``last_change`` the epochs in which it
    was given another than the time before; -1 where there is none.
    """

    def __init__(self, seeds: int, images: int):
        self.last, self.first_change, self.last_change = np.full((3, seeds, images), NEVER, np.int32)

    def see(self, epoch: int, assigned: AssignedLabels) -> None:
        """Labels were given in an epoch; rows and labels are ``[S, K]``. Of an image met twice, the last one counts."""
        for seed, (rows, labels) in enumerate(zip(assigned.rows, assigned.labels, strict=True)):
            rows, labels = rows[labels >= 0], labels[labels >= 0]
            before = self.last[seed, rows]
            self.last[seed, rows] = labels
            changed = rows[(before != NEVER) & (before != self.last[seed, rows])]
            self.last_change[seed, changed] = epoch
            new = changed[self.first_change[seed, changed] == NEVER]
            self.first_change[seed, new] = epoch

    def state(self) -> dict[str, np.ndarray]:
        return {name: getattr(self, name) for name in _ARRAYS}

    def restore(self, arrays: Mapping[str, np.ndarray]) -> None:
        self.last, self.first_change, self.last_change = (arrays[name].copy() for name in _ARRAYS)


_ARRAYS = ("last", "first_change", "last_change")


class GroupLabels(NamedTuple):
    """What a group of seeds says of the ``N`` training images in the end."""

    unseen: np.ndarray  # bool [S, N]: for which seeds an image was unlabelled
    classes: np.ndarray  # int32 [S, N], the class that each seed gives it
    probabilities: np.ndarray  # float32 [N, C], summed over those seeds
    labels: LabelHistory  # what it was given in training


COLUMNS = ("index", "label", "confidence", "seeds_agree", "seeds", "first_change", "last_change")


def table(groups: Sequence[GroupLabels], names: Sequence[str], rows: Sequence[str] = ()) -> Iterator[tuple[Any, ...]]:
    """A row for each image that was unlabelled for some seed; only these seeds have a say. See ``COLUMNS``.

    ``index`` is the image's place, or its name from ``rows``. ``label`` is the class with the largest mean probability,
    which is the ``confidence``; of ``seeds``, ``seeds_agree`` give this class. ``first_change`` and ``last_change`` are
    the first and the last epoch in which training gave the image another label than before, in any seed; empty where
    that never happened.
    """
    unseen = np.concatenate([group.unseen for group in groups])
    seeds = unseen.sum(axis=0)
    totals = np.sum([group.probabilities for group in groups], axis=0)
    label = totals.argmax(axis=1)
    confidence = totals.max(axis=1) / np.maximum(seeds, 1)
    agree = (unseen & (np.concatenate([group.classes for group in groups]) == label)).sum(axis=0)
    first, last = (
        np.where(unseen, np.concatenate([getattr(group.labels, name) for group in groups]), NEVER)
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
