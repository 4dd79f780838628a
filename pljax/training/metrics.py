"""What the epochs of a run leave behind: lines of metrics, seeds that diverged, pseudo-labels that changed."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pljax.results.pseudo_labels import LabelHistory
from pljax.results.result import name_seeds
from pljax.training.progress import Reporter
from pljax.types import AssignedLabels, Evaluation

EVALUATIONS = 50  # a phase; beside these, the network is looked at where alpha(t) is about to rise


class PhaseSchedule(NamedTuple):
    """How long a phase is, and how it goes."""

    epochs: int
    rounds: int  # an epoch
    updates: int  # a round
    weights: np.ndarray | None  # float32 [epochs + 1], alpha(t) by epoch, where unlabelled images are used


class MetricsLog:
    """Listens to the rounds of one group of seeds; writes lines of metrics; tells the reporter.

    ``labels`` are the pseudo-labels that the training images were given. ``diverged`` says by seed where its loss or
    weights stopped being finite. ``before`` and ``after`` are accuracies (validation, or hidden labels where there is
    no validation set), float ``[S]``: at the last evaluation while alpha(t) was 0 and at the last of all; NaN where no
    phase uses pseudo-labels.
    """

    def __init__(
        self,
        seeds: Sequence[int],
        images: int,
        write: Callable[[Sequence[Mapping[str, Any]]], None],
        reporter: Reporter,
    ):
        self._seeds, self._write_lines, self._reporter = list(seeds), write, reporter
        self.labels = LabelHistory(len(seeds), images)
        self.diverged: dict[int, str] = {}
        self.before = np.full(len(seeds), np.nan)
        self.after = np.full(len(seeds), np.nan)

        self._evaluated: dict[str, np.ndarray] = {}
        self._pseudo_labels: np.ndarray | None = None

    def begin(self, number: int, name: str, schedule: PhaseSchedule, done: int = 0) -> None:
        """A phase begins, or goes on after ``done`` rounds: its number, its name, and how long it is."""
        self._number, self._name, self._schedule = number, name, schedule
        if not done:
            self._evaluated, self._pseudo_labels = {}, None
            if schedule.weights is not None:  # epochs are counted anew
                self.labels = LabelHistory(*self.labels.last.shape)
        self._reporter.phase(f"{name}, {name_seeds(self._seeds)}", schedule.epochs, schedule.rounds, done)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """All that later lines depend on, as arrays and plain values: :meth:`restore` takes it back."""
        arrays = {"before": self.before, "after": self.after}
        arrays |= {f"evaluated/{name}": values for name, values in self._evaluated.items()}
        arrays |= {f"labels/{name}": values for name, values in self.labels.state().items()}
        if self._pseudo_labels is not None:
            arrays["pseudo_labels"] = self._pseudo_labels
        return arrays, {"diverged": {str(seed): where for seed, where in self.diverged.items()}}

    def restore(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Go on from what another log remembered."""
        self.before, self.after = arrays["before"], arrays["after"]
        self._evaluated = _below("evaluated/", arrays)
        self.labels.restore(_below("labels/", arrays))
        self._pseudo_labels = arrays.get("pseudo_labels")
        self.diverged = {int(seed): where for seed, where in facts["diverged"].items()}

    def needs_evaluation(self, t: int) -> bool:
        """Whether the network is to be looked at after round ``t``."""
        rounds = self._schedule.epochs * self._schedule.rounds
        about_to_rise = self._weight(t) == 0 < self._weight(t + 1)
        return t % max(rounds // EVALUATIONS, 1) == 0 or t == rounds - 1 or about_to_rise

    def record(
        self,
        t: int,
        metrics: Mapping[str, np.ndarray],
        assigned: AssignedLabels | None = None,
        evaluation: Evaluation | None = None,
    ) -> None:
        """Round ``t`` is done. Every metric is an array ``[S]``."""
        if assigned is not None:
            self.labels.see(t // self._schedule.rounds, assigned)
        losses = {name: values for name, values in metrics.items() if name != "finite"}
        self._record_divergence(t, metrics["finite"])
        looked = self._add_evaluation(t, evaluation) if evaluation is not None else _unknown(self._evaluated)
        epoch, part = divmod(t + 1, self._schedule.rounds)
        if part == 0:
            self._write(epoch - 1, (t + 1) * self._schedule.updates, {**losses, **looked})
        self._reporter.round(t + 1, self._means({**losses, **self._evaluated}))

    def _write(self, epoch: int, updates: int, metrics: Mapping[str, np.ndarray]) -> None:
        """A line a seed; a diverged seed's metrics are not numbers, whatever was computed of its weights."""
        where = {"phase": self._number, "name": self._name, "epoch": epoch, "updates": updates}
        rows = zip(self._seeds, *metrics.values(), strict=True)
        self._write_lines(
            [
                {**where, "seed": seed, **dict.fromkeys(metrics, np.nan)}
                if seed in self.diverged
                else {**where, "seed": seed, **dict(zip(metrics, values, strict=True))}
                for seed, *values in rows
            ]
        )

    def _record_divergence(self, t: int, finite: np.ndarray) -> None:
        for seed, alive in zip(self._seeds, finite, strict=True):
            if not alive and seed not in self.diverged:
                self.diverged[seed] = f"{self._name}, epoch {t // self._schedule.rounds}"
                self._reporter.say(
                    f"warning: seed {seed} diverged ({self.diverged[seed]}): its loss or weights are not finite any "
                    "more. It is left out of every mean, the other seeds go on; try a lower --learning_rate."
                )

    def _add_evaluation(self, t: int, evaluation: Evaluation) -> dict[str, np.ndarray]:
        """The evaluation's metrics, and the share of pseudo-labels that changed since the evaluation before it."""
        looked = {name: np.asarray(values) for name, values in evaluation.metrics.items()}
        if not looked:
            return {}
        labels: Any = evaluation.pseudo_labels
        looked["pseudo_labels_changed"] = np.full(len(self._seeds), np.nan)
        if labels is not None and self._pseudo_labels is not None:
            known = labels >= 0
            changed = (known & (labels != self._pseudo_labels)).sum(axis=1)
            looked["pseudo_labels_changed"] = changed / np.maximum(known.sum(axis=1), 1)
        self._pseudo_labels, self._evaluated = labels, looked
        if self._schedule.weights is not None:
            validation = looked["validation_accuracy"]
            self.after = np.where(np.isnan(validation), looked["unlabelled_accuracy"], validation)
            if self._weight(t) == 0:
                self.before = self.after
        return looked

    def _weight(self, t: int) -> float:
        """Of the unlabelled images in round ``t``."""
        weights = self._schedule.weights
        return 0.0 if weights is None else float(weights[t // self._schedule.rounds])

    def has_diverged(self) -> np.ndarray:
        """Which seeds have, bool ``[S]``."""
        return np.array([seed in self.diverged for seed in self._seeds])

    def _means(self, metrics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Means over the seeds that have not diverged."""
        alive = ~self.has_diverged()
        return {name: float(values[alive].mean()) if alive.any() else float("nan") for name, values in metrics.items()}


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _unknown(metrics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same metrics, not measured."""
    return {name: np.full_like(values, np.nan) for name, values in metrics.items()}
