"""What figures are drawn from: the runs, and what is read or computed of them, each thing once."""

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
    """A finished run, under the name that it has beside others."""

    label: str
    result: Result
    folder: RunFolder


class FigureData:
    """The runs of a report. Every question raises ``InputError``, one sentence, where the answer cannot be had."""

    def __init__(self, runs: Sequence[Run], dataset: Dataset | None, why_no_dataset: str | None = None):
        self.runs = list(runs)
        self._dataset, self._why_no_dataset = dataset, why_no_dataset
        self._metrics: dict[str, list[dict[str, Any]]] = {}
        self._outputs: dict[tuple[str, int], np.ndarray] = {}
        self._networks: tuple[str, dict[int, trained.Networks]] = ("", {})  # of one run: those of all fill the memory

    @functools.cached_property
    def seeds(self) -> list[int]:
        """The seeds that all runs share and that diverged in none; a run whose every seed diverged has no say."""
        first, *others = [list(accuracy_by_seed(run)) for _, run in self.numbered()]
        shared = [seed for seed in first if all(seed in other for other in others)]
        if not shared:
            raise InputError("There is no seed that all runs share and that diverged in none.")
        return shared

    def numbered(self) -> list[tuple[int, Run]]:
        """The runs with a seed that did not diverge, each with its place among all runs, which gives its look."""
        sound = [(place, run) for place, run in enumerate(self.runs) if accuracy_by_seed(run)]
        if not sound:
            raise InputError("Every seed of every run diverged.")
        return sound

    def with_pseudo_labels(self) -> list[tuple[int, Run]]:
        """Those of them that use pseudo-labels."""
        using = [(place, run) for place, run in self.numbered() if uses_pseudo_labels(run)]
        if not using:
            raise InputError("No run uses pseudo-labels.")
        return using

    def dataset_of(self, run: Run) -> Dataset:
        """The images that a run was made on."""
        if self._dataset is None:
            raise InputError(self._why_no_dataset or "The data set is not at hand.")
        if self._dataset.digest != run.result.dataset["digest"]:
            raise InputError(f"The data set at hand is not the one that {run.label} was run on.")
        return self._dataset

    def metrics(self, run: Run) -> list[dict[str, Any]]:
        """The lines of metrics of a run."""
        path = str(run.folder.path)
        if path not in self._metrics:
            self._metrics[path] = run.folder.load_metrics()
        return self._metrics[path]

    def networks(self, run: Run, seed: int) -> trained.Networks:
        """What a seed of a run ended with."""
        path = str(run.folder.path)
        if self._networks[0] != path:
            self._networks = path, trained.load(run.folder, run.result)
        return self._networks[1][seed]

    def test_outputs(self, run: Run, seed: int) -> np.ndarray:
        """The outputs of a seed's network for the test images, float32 ``[M, C]``."""
        place = str(run.folder.path), seed
        if place not in self._outputs:
            images = self.dataset_of(run).test_images
            self._outputs[place] = trained.probabilities(self.networks(run, seed), images)
        return self._outputs[place]


def accuracy_by_seed(run: Run) -> dict[int, float]:
    """Test accuracy in per cent of the seeds that did not diverge."""
    pairs = zip(run.result.seeds, run.result.test_accuracy, strict=True)
    return {seed: 100 * accuracy for seed, accuracy in pairs if accuracy is not None}


def uses_pseudo_labels(run: Run) -> bool:
    """Whether a phase of the run trains on pseudo-labels."""
    phases = run.result.effective_config().phases
    return any(phase.batches.unlabelled and phase.method.gives_labels for phase in phases)
