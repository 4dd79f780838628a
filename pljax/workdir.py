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
from pljax.result import Result, without_nan, write_json
from pljax.types import InputError, Params


def folder_name(config: Config, dataset: str, seeds: Sequence[int], dials: Mapping[str, Any]) -> str:
    """A name that a person finds and that no other run has: what was run, on what, and every dial turned.

    >>> from pljax.protocols import quick
    >>> folder_name(quick.SCENARIOS["pl"], "mnist", range(5), {"hidden": (50, 20)})
    'quick-pl-mnist-seeds0to4-hidden=50x20'
    """
    turned = (
        f"{name}={'x'.join(map(str, value)) if isinstance(value, tuple) else value}" for name, value in dials.items()
    )
    seeds_part = f"seeds{seeds[0]}to{seeds[-1]}" if len(seeds) > 1 else f"seed{seeds[0]}"
    return "-".join((config.protocol, config.scenario, dataset, seeds_part, *turned))


class RunFolder:
    """The files of one run.

    ``config.json``, the effective config; ``metrics.jsonl``, a line an epoch a seed; ``parameters.npz``,
    the final weights, a leading axis of seeds on each; ``result.json``, written last: where it is, the run
    is finished.
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
        for name in ("result.json", "parameters.npz", "metrics.jsonl"):
            (self.path / name).unlink(missing_ok=True)
        write_json(self.path / "config.json", to_json(config))

    def append_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        with (self.path / "metrics.jsonl").open("a") as file:
            file.writelines(json.dumps(without_nan(line)) + "\n" for line in lines)

    def save_parameters(self, params: Params) -> None:
        """Save a tree of arrays by path, ``hidden/kernel`` for example."""
        temporary = self.path / "parameters.npz.part"
        with temporary.open("wb") as file:
            np.savez(file, allow_pickle=False, **flax.traverse_util.flatten_dict(params, sep="/"))
        temporary.replace(self.path / "parameters.npz")

    def load_parameters(self) -> Params:
        """The tree that :meth:`save_parameters` wrote. Raises ``InputError`` where it cannot be read."""
        path = self.path / "parameters.npz"
        try:
            with path.open("rb") as stream:
                if not zipfile.is_zipfile(stream):
                    raise ValueError("it is not an npz file")
                with np.load(stream, allow_pickle=False) as file:
                    return flax.traverse_util.unflatten_dict(dict(file), sep="/")
        except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
            raise InputError(f"No parameters can be read at {path}: {error}.") from error

    def save_result(self, result: Result) -> None:
        result.save(self.path / "result.json")

    def load_result(self) -> Result:
        return Result.load(self.path)
