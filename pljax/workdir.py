"""The folder of a run: its name, and the files in it."""

import json
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import flax.traverse_util
import numpy as np

from pljax.config import Config, to_json
from pljax.files import without_nan, write_json
from pljax.result import Result
from pljax.types import InputError, Params

AUTOENCODER = "autoencoder.npz"


def folder_name(configs: Sequence[Config], dataset: str, seeds: Sequence[int], dials: Mapping[str, Any]) -> str:
    """A name that a person finds and that no other run has: what was run, on what, and every dial turned.

    Several configs of one protocol name the folder of their comparison.

    >>> from pljax.protocols import quick
    >>> pl, pl_dae = quick.SCENARIOS["pl"], quick.SCENARIOS["pl_dae"]
    >>> folder_name([pl], "mnist", range(5), {"hidden": (50, 20)})
    'quick-pl-mnist-seeds0to4-hidden=50x20'
    >>> folder_name([pl, pl_dae], "mnist", [7], {})
    'quick-pl+pl_dae-mnist-seed7'
    """
    turned = (
        f"{name}={'x'.join(map(str, value)) if isinstance(value, tuple) else value}" for name, value in dials.items()
    )
    seeds_part = f"seeds{seeds[0]}to{seeds[-1]}" if len(seeds) > 1 else f"seed{seeds[0]}"
    scenarios = "+".join(config.scenario for config in configs)
    return "-".join((configs[0].protocol, scenarios, dataset, seeds_part, *turned))


class RunFolder:
    """The files of one run.

    ``config.json``, the effective config; ``metrics.jsonl``, a line an epoch a seed; ``parameters.npz``,
    the final weights, a leading axis of seeds on each; ``autoencoder.npz``, those of the auto-encoder, where
    one was trained; ``result.json``, written last: where it is, the run is finished.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path)

    @property
    def finished(self) -> bool:
        return (self.path / "result.json").exists()

    def make(self) -> None:
        """Make the folder. Raises ``InputError`` if that is not allowed, or nothing can be written there."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise InputError(
                f"The run's folder {self.path} cannot be written ({error.strerror}): give another place with --workdir."
            ) from error

    def start(self, config: Config) -> None:
        """Make the folder, empty it of an earlier run's files and write the config. Raises ``InputError``."""
        self.make()
        for name in ("result.json", "parameters.npz", AUTOENCODER, "metrics.jsonl"):
            (self.path / name).unlink(missing_ok=True)
        write_json(self.path / "config.json", to_json(config))

    def append_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        with (self.path / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(without_nan(line)) + "\n" for line in lines)

    def load_metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``. Raises ``InputError`` where they cannot be read."""
        path = self.path / "metrics.jsonl"
        try:
            lines = [json.loads(line) for line in path.read_text().splitlines()]
        except OSError as error:
            raise InputError(f"No metrics can be read at {path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"No metrics can be read at {path}: a line is not JSON, {error}.") from error
        if not all(isinstance(line, dict) for line in lines):
            raise InputError(f"No metrics can be read at {path}: a line is not a JSON object.")
        return lines

    def save_parameters(self, params: Params, file: str = "parameters.npz") -> None:
        """Save a tree of arrays by path, ``hidden/kernel`` for example."""
        temporary = self.path / f"{file}.part"
        with temporary.open("wb") as stream:
            np.savez(stream, allow_pickle=False, **flax.traverse_util.flatten_dict(params, sep="/"))
        temporary.replace(self.path / file)

    def load_parameters(self, file: str = "parameters.npz") -> Params:
        """The tree that :meth:`save_parameters` wrote. Raises ``InputError`` where it cannot be read."""
        path = self.path / file
        try:
            with path.open("rb") as stream:
                if not zipfile.is_zipfile(stream):
                    raise ValueError("it is not an npz file")
                with np.load(stream, allow_pickle=False) as arrays:
                    return flax.traverse_util.unflatten_dict(dict(arrays), sep="/")
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"No parameters can be read at {path}: {error}.") from error

    def save_result(self, result: Result) -> None:
        result.save(self.path / "result.json")

    def load_result(self) -> Result:
        return Result.load(self.path)
