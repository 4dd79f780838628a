"""The data of the figures: the runs of a report, with their metrics and the outputs of their networks."""

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from pljax.results import trained
from pljax.results.folder import RunFolder
from pljax.results.result import Result
from pljax.types import Dataset, InputError


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished run of a report."""

    label: str  # its unique name in the report
    result: Result
    folder: RunFolder


class FigureData:
    """The runs of a report and their data. Methods raise ``InputError``, one sentence, if their data are missing."""

    def __init__(self, runs: Sequence[Run], dataset: Dataset | None, why_no_dataset: str | None = None):
        self.runs = list(runs)
        self._dataset, self._why_no_dataset = dataset, why_no_dataset
        self._metrics: dict[str, list[dict[str, Any]]] = {}
        # Of the last run, by seed: those of all runs might not fit into memory.
        self._last_run: Run | None = None
        self._networks: dict[int, trained.TrainedNetworks] = {}
        self._outputs: dict[int, np.ndarray] = {}

    @functools.cached_property
    def seeds(self) -> list[int]:
        """The seeds that all :meth:`valid_runs` share and that diverged in none of them."""
        first, *others = [list(accuracy_by_seed(run)) for _, run in self.valid_runs()]
        shared = [seed for seed in first if all(seed in other for other in others)]
        if not shared:
            raise InputError("There is no seed that all runs share and that diverged in none.")
        return shared

    def valid_runs(self) -> list[tuple[int, Run]]:
        """The runs with a seed that did not diverge, with their indices among all runs."""
        valid = [(index, run) for index, run in enumerate(self.runs) if accuracy_by_seed(run)]
        if not valid:
            raise InputError("Every seed of every run diverged.")
        return valid

    def pseudo_label_runs(self) -> list[tuple[int, Run]]:
        """The :meth:`valid_runs` that use pseudo-labels."""
        using = [(index, run) for index, run in self.valid_runs() if uses_pseudo_labels(run)]
        if not using:
            raise InputError("No run uses pseudo-labels.")
        return using

    def dataset_of(self, run: Run) -> Dataset:
        """The data set of a run."""
        if self._dataset is None:
            raise InputError(self._why_no_dataset or "The data set is not available.")
        if self._dataset.digest != run.result.dataset["digest"]:
            raise InputError(f"The data set is not the one that {run.label} was run on.")
        return self._dataset

    def metrics(self, run: Run) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl`` of a run."""
        path = str(run.folder.path)
        if path not in self._metrics:
            self._metrics[path] = run.folder.load_metrics()
        return self._metrics[path]

    def networks(self, run: Run, seed: int) -> trained.TrainedNetworks:
        """The trained networks of one seed of a run."""
        if run is not self._last_run:
            self._networks, self._outputs, self._last_run = trained.load(run.folder, run.result), {}, run
        return self._networks[seed]

    def test_outputs(self, run: Run, seed: int) -> np.ndarray:
        """The class outputs of one seed's network for the test images, float32 ``[M, C]``."""
        images, networks = self.dataset_of(run).test_images, self.networks(run, seed)
        if seed not in self._outputs:
            self._outputs[seed] = trained.probabilities(networks, images)
        return self._outputs[seed]

    def validation_outputs(self, run: Run, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """The class outputs of one seed's network for its validation images, float32 ``[V, C]``, and their labels."""
        dataset = self.dataset_of(run)
        rows = trained.split(run.result.effective_config(), seed, dataset).validation
        return trained.probabilities(self.networks(run, seed), dataset.train_images[rows]), dataset.train_labels[rows]


def accuracy_by_seed(run: Run) -> dict[int, float]:
    """The test accuracy, in per cent, of the seeds that did not diverge."""
    pairs = zip(run.result.seeds, run.result.test_accuracy, strict=True)
    return {seed: 100 * accuracy for seed, accuracy in pairs if accuracy is not None}


def uses_pseudo_labels(run: Run) -> bool:
    """Whether any phase of the run trains on pseudo-labels."""
    return any(phase.gives_labels for phase in run.result.effective_config().phases)
