"""The metrics log of a run: metrics of every epoch, seeds that diverged, and changes of the pseudo-labels."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pljax.results.pseudo_labels import LabelHistory
from pljax.results.result import name_seeds
from pljax.training.progress import Reporter
from pljax.types import AssignedLabels, Evaluation

EVALUATIONS = 50  # per phase, about; one more is made at the last round in which alpha(t) is 0


class PhaseSchedule(NamedTuple):
    """The length of a phase and its weights of the unlabelled images."""

    epochs: int
    rounds: int  # per epoch
    updates: int  # per round
    weights: np.ndarray | None  # float32 [epochs + 1], alpha(t) by epoch; None where no unlabelled images are used
    weight_covers_all: bool = True  # whether no unlabelled images are used where alpha(t) is 0


class MetricsLog:
    """Record the metrics of one group of seeds: write lines of ``metrics.jsonl`` and update the reporter.

    Args:
      seeds: the seeds of the group, ``S`` of them.
      images: the number of training images, ``N``.
      write: takes the lines of an epoch, one dict per seed.
      reporter: shows progress and warnings.

    Attributes:
      labels: the pseudo-labels that the training images were given, by seed.
      diverged: for each seed that diverged, the phase and epoch in which its loss or weights stopped being finite.
      before: float ``[S]``, the accuracy at the last evaluation before unlabelled images were used. It is measured on
        the validation images, or on unlabelled images with their hidden labels where there are no validation images.
        NaN where there is no such evaluation.
      after: float ``[S]``, the same accuracy at the last evaluation.
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
        # Of the last evaluation: its metrics by name, [S] each, and its pseudo-labels, [S, K].
        self._evaluated: dict[str, np.ndarray] = {}
        self._pseudo_labels: np.ndarray | None = None

    def start_phase(self, number: int, name: str, schedule: PhaseSchedule, done: int = 0) -> None:
        """Start the phase ``number``, or continue it after ``done`` rounds."""
        self._number, self._name, self._schedule = number, name, schedule
        if not done:
            self._evaluated, self._pseudo_labels = {}, None
            if schedule.weights is not None:  # the epochs of changes are counted from the start of a phase
                self.labels = LabelHistory(*self.labels.last.shape)
        self._reporter.phase(f"{name}, {name_seeds(self._seeds)}", schedule.epochs, schedule.rounds, done)

    def state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Everything that later lines depend on, as arrays and plain JSON values. See :meth:`restore`."""
        arrays = {"before": self.before, "after": self.after}
        arrays |= {f"evaluated/{name}": values for name, values in self._evaluated.items()}
        arrays |= {f"labels/{name}": values for name, values in self.labels.state().items()}
        if self._pseudo_labels is not None:
            arrays["pseudo_labels"] = self._pseudo_labels
        return arrays, {"diverged": {str(seed): where for seed, where in self.diverged.items()}}

    def restore(self, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Restore what :meth:`state` of another log returned."""
        self.before, self.after = arrays["before"], arrays["after"]
        self._evaluated = with_prefix(arrays, "evaluated/")
        self.labels.restore(with_prefix(arrays, "labels/"))
        self._pseudo_labels = arrays.get("pseudo_labels")
        self.diverged = {int(seed): where for seed, where in facts["diverged"].items()}

    def needs_evaluation(self, t: int) -> bool:
        """Whether the network is evaluated after round ``t``."""
        rounds = self._schedule.epochs * self._schedule.rounds
        about_to_rise = self._weight(t) == 0 != self._weight(t + 1)
        return t % max(rounds // EVALUATIONS, 1) == 0 or t == rounds - 1 or about_to_rise

    def record(
        self,
        t: int,
        metrics: Mapping[str, np.ndarray],
        assigned: AssignedLabels | None = None,
        evaluation: Evaluation | None = None,
    ) -> None:
        """Record round ``t``. Every metric is an array ``[S]``; ``finite`` (bool) is among them."""
        if assigned is not None:
            self.labels.update(t // self._schedule.rounds, assigned)
        losses = {name: values for name, values in metrics.items() if name != "finite"}
        self._record_divergence(t, metrics["finite"])
        evaluated = self._add_evaluation(t, evaluation) if evaluation is not None else _all_nan(self._evaluated)
        epoch, part = divmod(t + 1, self._schedule.rounds)
        if part == 0:
            self._write(epoch - 1, (t + 1) * self._schedule.updates, {**losses, **evaluated})
        self._reporter.round(t + 1, self._means({**losses, **self._evaluated}))

    def _write(self, epoch: int, updates: int, metrics: Mapping[str, np.ndarray]) -> None:
        """Write one line per seed. All metrics of a diverged seed are NaN, whatever its weights gave."""
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
        for seed, is_finite in zip(self._seeds, finite, strict=True):
            if not is_finite and seed not in self.diverged:
                self.diverged[seed] = f"{self._name}, epoch {t // self._schedule.rounds}"
                self._reporter.say(
                    f"warning: seed {seed} diverged ({self.diverged[seed]}): its loss or weights are no longer finite. "
                    "It is left out of every mean, and the other seeds go on; try a lower --learning_rate."
                )

    def _add_evaluation(self, t: int, evaluation: Evaluation) -> dict[str, np.ndarray]:
        """The metrics of an evaluation, and the share of pseudo-labels that changed since the previous evaluation.

        It is a share of the images that have a pseudo-label in both; NaN if there are none.
        """
        metrics = {name: np.asarray(values) for name, values in evaluation.metrics.items()}
        if not metrics:
            return {}
        labels: Any = evaluation.pseudo_labels
        metrics["pseudo_labels_changed"] = np.full(len(self._seeds), np.nan)
        if labels is not None and self._pseudo_labels is not None:
            in_both = (labels >= 0) & (self._pseudo_labels >= 0)
            changed, count = (in_both & (labels != self._pseudo_labels)).sum(axis=1), in_both.sum(axis=1)
            metrics["pseudo_labels_changed"] = np.where(count, changed / np.maximum(count, 1), np.nan)
        self._pseudo_labels, self._evaluated = labels, metrics
        if self._schedule.weights is not None:
            validation = metrics["validation_accuracy"]
            self.after = np.where(np.isnan(validation), metrics["unlabelled_accuracy"], validation)
            if self._weight(t) == 0 and self._schedule.weight_covers_all:
                self.before = self.after
        return metrics

    def _weight(self, t: int) -> float:
        """The weight of the unlabelled images in round ``t``."""
        weights = self._schedule.weights
        return 0.0 if weights is None else float(weights[t // self._schedule.rounds])

    def coverage(self) -> np.ndarray:
        """The share of unlabelled images with a pseudo-label at the last evaluation, ``[S]``; NaN if none are given."""
        return self._evaluated.get("pseudo_label_coverage", np.full(len(self._seeds), np.nan))

    def has_diverged(self) -> np.ndarray:
        """Whether each seed has diverged, bool ``[S]``."""
        return np.array([seed in self.diverged for seed in self._seeds])

    def _means(self, metrics: Mapping[str, np.ndarray]) -> dict[str, float]:
        """Means over the seeds that have not diverged; NaN if all have."""
        kept = ~self.has_diverged()
        return {name: float(values[kept].mean()) if kept.any() else float("nan") for name, values in metrics.items()}


def with_prefix(arrays: Mapping[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
    """The arrays whose name begins with ``prefix``, by the rest of the name.

    >>> with_prefix({"labels/last": 1, "before": 2}, "labels/")
    {'last': 1}
    """
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}


def _all_nan(metrics: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {name: np.full_like(values, np.nan) for name, values in metrics.items()}
