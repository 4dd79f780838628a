"""What a finished run says: one scenario under one protocol, all its seeds. JSON on disk, no pickle."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from pljax.config import Config, from_json
from pljax.files import write_json
from pljax.types import InputError


@dataclasses.dataclass(frozen=True)
class Result:
    """The content of ``result.json``. ``S`` seeds, ``C`` classes; ``None`` stands for a diverged seed's figure."""

    scenario: str
    protocol: str
    dataset: dict[str, Any]  # name, digest, train, test
    seeds: list[int]  # [S]
    test_accuracy: list[float | None]  # [S], a fraction
    test_error: list[float | None]  # [S], a fraction
    diverged: dict[str, str]  # by seed: the phase and epoch where it stopped being finite
    class_counts: dict[str, list[int]]  # labelled (a seed) and test: images of each class, [C]
    confusion: list[list[list[int]] | None]  # [S, C, C]: test images of a class (row) given a class (column)
    conditional_entropy: dict[str, list[float | None]]  # labelled, unlabelled, test: [S], nats, eq. 17
    pseudo_label_accuracy: list[float | None]  # [S]: of the labels the final network gives the unlabelled images
    unlabelled_training: dict[str, Any] | None  # accuracy before and after pseudo-labels act; None without them
    parameters: int  # of the classifier, a seed
    config: dict[str, Any]  # the effective one; see pljax.config.to_json
    warnings: list[str]
    versions: dict[str, str]
    device: dict[str, Any]
    seconds: dict[str, float]  # by phase, all seeds together

    def __post_init__(self) -> None:
        """Raise ``InputError`` for fields that are not what the comments above say."""
        for name in ("scenario", "protocol"):
            _require(isinstance(getattr(self, name), str), name, "a name")
        keys = {"name": str, "digest": str, "train": int, "test": int}
        of_data = isinstance(self.dataset, dict) and all(type(self.dataset.get(key)) is keys[key] for key in keys)
        _require(of_data, "dataset", f"the keys {', '.join(keys)}")
        of_seeds = isinstance(self.seeds, list) and all(type(seed) is int for seed in self.seeds)
        _require(of_seeds and bool(self.seeds), "seeds", "a list of whole numbers")
        entropies = self.conditional_entropy if isinstance(self.conditional_entropy, dict) else {"": None}
        change = self.unlabelled_training
        _require(
            change is None or (isinstance(change, dict) and "measured_on" in change), "unlabelled_training", "a dict"
        )
        columns: dict[str, Any] = {"test_accuracy": self.test_accuracy, "test_error": self.test_error, **entropies}
        columns |= {} if change is None else {"before": change.get("before"), "after": change.get("after")}
        for name, column in columns.items():
            right = isinstance(column, list) and all(isinstance(item, float | int | None) for item in column)
            _require(right and len(column) == len(self.seeds), name, "a number or null for each seed")
        _require(isinstance(self.diverged, dict), "diverged", "a dict by seed")

    def save(self, path: Path) -> None:
        """Write the result as JSON: whole or not at all."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> "Result":
        """Read a result from ``result.json`` or from the folder that holds it. Raises ``InputError``."""
        path = Path(path)
        path = path / "result.json" if path.is_dir() else path
        try:
            values = json.loads(path.read_text())
        except OSError as error:
            raise InputError(f"No result can be read at {path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"{path} is no result of pljax: it is not JSON, {error}.") from error
        fields = {field.name for field in dataclasses.fields(cls)}
        if not isinstance(values, dict) or set(values) != fields:
            odd = sorted(fields ^ set(values)) if isinstance(values, dict) else ["everything"]
            raise InputError(f"{path} is no result of pljax: {', '.join(odd)} missing or unknown.")
        try:
            result = cls(**values)
            result.effective_config()
        except (InputError, RecursionError) as error:
            raise InputError(f"{path} is no result of pljax: {error}") from error
        return result

    def effective_config(self) -> Config:
        """The config that was run."""
        config = from_json(self.config)
        if not isinstance(config, Config):
            raise InputError("its config is not one of pljax.")
        return config

    def accuracies(self) -> np.ndarray:
        """Test accuracies, float64 ``[S]``, NaN for a seed that diverged."""
        return np.array([np.nan if accuracy is None else accuracy for accuracy in self.test_accuracy], np.float64)


def _require(right: bool, name: str, expected: str) -> None:
    if not right:
        raise InputError(f"{name} is not {expected}.")
