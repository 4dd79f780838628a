"""What a finished run says: one scenario under one protocol, all its seeds. JSON on disk, no pickle."""

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np

from pljax.config import Config, from_json
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
    diverged: dict[str, str]  # by seed: where it stopped being finite, and what to try
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

    def save(self, path: Path) -> None:
        """Write the result as JSON: whole or not at all."""
        write_json(path, dataclasses.asdict(self))

    @classmethod
    def load(cls, path: str | Path) -> "Result":
        """Read a result from ``result.json`` or from the folder that holds it. Raises ``InputError``."""
        path = Path(path)
        path = path / "result.json" if path.is_dir() else path
        try:
            result = cls(**json.loads(path.read_text()))
            result.effective_config()
        except OSError as error:
            raise InputError(f"No result can be read at {path}: {error.strerror}.") from error
        except (ValueError, TypeError, AttributeError) as error:
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


def without_nan(value: Any) -> Any:
    """``value`` with arrays as lists and numbers that are not finite as ``None``, which JSON can hold.

    >>> without_nan({"a": np.array([1.0, np.nan])})
    {'a': [1.0, None]}
    """
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return without_nan(value.tolist())
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` under a temporary name, then rename: a reader meets the old file or the new one."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_text(json.dumps(without_nan(value), indent=1, allow_nan=False) + "\n")
    temporary.replace(path)
