"""The folder of a run: its name, and reading and writing the files in it."""

import contextlib
import csv
import hashlib
import io
import itertools
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import filelock
import flax.traverse_util
import numpy as np

from pljax.data.npz import NUMBERS, TEXTS, read_arrays
from pljax.data.serialization import PART, atomic, without_nan, write_json, write_whole
from pljax.methods import METHODS
from pljax.protocols.config import Config, from_json
from pljax.results.pseudo_labels import COLUMNS, Totals, table
from pljax.results.result import Result
from pljax.settings import to_json
from pljax.types import DEFAULT_OPTIONS, InputError, Inputs, Params, ReadOptions, Scaling, Split

PARAMETERS = "parameters.npz"
EXTRA = "extra.npz"
METRICS = "metrics.jsonl"
SPLIT = "split.npz"
PSEUDO_LABELS = "pseudo_labels.csv"
LABEL_TOTALS = "pseudo_labels.npz"
INPUTS = "inputs.json"
CHECKPOINTS = "checkpoints"
EXPORTS = ("model.stablehlo", "model.stablehlo.json", "model.safetensors")  # what pljax-export writes without --output
MOST_NAME = 200  # characters of a folder's name
FORMAT = 2  # the version of checkpoints and of the files of an unfinished run; version 1 did not record its number


def folder_name(configs: Sequence[Config], dataset: str, seeds: Sequence[int], overrides: Mapping[str, Any]) -> str:
    """The name of a run's folder: protocol, scenario, data set, seeds and overrides.

    Different runs differ in it, but for those on files of one name. Overrides that would make it too long for a file
    system are replaced by a digest of them. Several configs, of one protocol, give the name of the folder of their
    comparison.

    >>> from pljax.protocols import quick
    >>> pl, pl_dae = quick.SCENARIOS["pl"], quick.SCENARIOS["pl_dae"]
    >>> folder_name([pl], "mnist", range(5), {"hidden": (50, 20)})
    'quick-pl-mnist-seeds0to4-hidden=50x20'
    >>> folder_name([pl, pl_dae], "mnist", [7], {})
    'quick-pl+pl_dae-mnist-seed7'
    """
    changes = (
        f"-{name}={'x'.join(map(str, value)) if isinstance(value, tuple) else value}"
        for name, value in overrides.items()
    )
    seeds_part = f"seeds{seeds[0]}to{seeds[-1]}" if len(seeds) > 1 else f"seed{seeds[0]}"
    scenarios = "+".join(config.scenario for config in configs)
    name, all_changes = "-".join((configs[0].protocol, scenarios, dataset, seeds_part)), "".join(changes)
    if len(name) + len(all_changes) > MOST_NAME:
        all_changes = f"-{hashlib.sha256(all_changes.encode()).hexdigest()[:16]}"
    return name + all_changes


class RunFolder:
    """The folder of one run, and its files.

    - ``config.json``: the effective config.
    - ``run.json``: the seeds, the digest of the data, the device and the versions of packages.
    - ``split.npz``: the indices of the labelled, validation and unlabelled images of each seed.
    - ``metrics.jsonl``: a line per epoch and seed.
    - ``checkpoints/``: only while the run is not finished.
    - ``parameters.npz``: the final weights, with a leading axis of seeds. ``extra.npz``: the extra state of the method,
      if it has one. ``autoencoder.npz``: the weights of the auto-encoder, if one was trained.
    - ``pseudo_labels.csv``: the final predictions for the unlabelled images. ``pseudo_labels.npz``: the sums over the
      seeds that they come from, so that runs with different seeds can be joined.
    - ``inputs.json``: how rows become inputs; only for the user's own data.
    - ``result.json``: written last. A folder that holds it is that of a finished run.
    """

    def __init__(self, path: str | Path):
        self.path = Path(path).expanduser()

    @property
    def finished(self) -> bool:
        """Whether the run is finished."""
        return (self.path / "result.json").exists()

    @property
    def started(self) -> bool:
        """Whether a run was started in the folder."""
        return (self.path / "run.json").exists()

    @property
    def joined(self) -> bool:
        """Whether the run is made of others, which differ in their seeds."""
        try:
            return "joined" in json.loads((self.path / "run.json").read_text())
        except (OSError, ValueError, RecursionError, TypeError):
            return False

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder, as a context manager. Raises ``InputError`` if another process has locked it."""
        self.make()
        try:
            with filelock.FileLock(self.path / ".lock", timeout=0):
                yield
        except filelock.Timeout:
            raise InputError(
                f"Another process is running in {self.path}: wait for it, or choose another --workdir."
            ) from None

    def make(self) -> None:
        """Make the folder. Raises ``InputError`` if it cannot be made or cannot be written to."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.path):
                pass
        except OSError as error:
            raise InputError(
                f"The run's folder {self.path} cannot be written ({error.strerror}): give another place with --workdir."
            ) from error

    def checkpoints(self, group: int) -> Path:
        """The folder of the checkpoints of a group of seeds."""
        return self.path / CHECKPOINTS / f"group{group}"

    def reset(self) -> None:
        """Lock the folder and remove the files of an earlier run.

        Raises ``InputError`` if another process has locked the folder, or it cannot be written to.
        """
        with self.locked():
            self.clear()

    def clear(self) -> None:
        """Remove the files of an earlier run from a folder that this process has locked."""
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)
        killed = (path.name for path in self.path.glob(f".*{PART}"))  # of a process that was killed while it wrote
        for name in (*self._names(), *EXPORTS, *killed):
            (self.path / name).unlink(missing_ok=True)

    def _names(self) -> tuple[str, ...]:
        """The names of the files of a run. That of the result, which makes a run a finished one, is the first."""
        pretrained = (f"{method.pretrains}.npz" for method in METHODS.values() if method.pretrains)
        of_arrays = PARAMETERS, EXTRA, *pretrained, METRICS, SPLIT, PSEUDO_LABELS, LABEL_TOTALS, INPUTS
        return ("result.json", *of_arrays, "run.json", "config.json")

    def require_foreign(self, path: Path) -> None:
        """Raise ``InputError`` if a file that a command is to write is one of the run's own."""
        if path.resolve().parent == self.path.resolve() and path.name in self._names():
            raise InputError(f"{path} is a file of the run itself: give another --output.")

    def save_config(self, config: Config, run: Mapping[str, Any]) -> None:
        """Write ``config.json``, and ``run.json`` with ``run`` (plain JSON values) and the format version."""
        write_json(self.path / "config.json", to_json(config))
        write_json(self.path / "run.json", {"format": FORMAT, **run})

    def load_config(self) -> tuple[Config, dict[str, Any]] | None:
        """What :meth:`save_config` wrote, or ``None`` if no run was started in this folder.

        Raises ``InputError`` if it cannot be read, or is of a format that this version cannot continue.
        """
        if not self.started:
            return None
        try:
            config = from_json(json.loads((self.path / "config.json").read_text()))
            run = json.loads((self.path / "run.json").read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{self.path} holds a run that cannot be read ({error}): --overwrite it.") from error
        if not isinstance(run, dict):
            raise InputError(f"{self.path} holds a run that cannot be read: --overwrite it.")
        if run.get("format") != FORMAT:
            raise InputError(
                f"{self.path} holds a run that another version of pljax started and this one cannot continue: finish "
                "it with that version, choose another --workdir, or --overwrite it."
            )
        return config, run

    def save_split(self, seeds: Sequence[int], split: Split) -> None:
        """Write ``split.npz``: the seeds ``[S]``, and the indices of each seed."""
        with atomic(self.path / SPLIT) as stream:
            np.savez_compressed(stream, allow_pickle=False, seeds=np.asarray(seeds), **split.indices)

    def load_split(self, most: int) -> dict[str, np.ndarray]:
        """The arrays that :meth:`save_split` wrote, of at most ``most`` bytes. Raises ``InputError``."""
        try:
            return read_arrays(self.path / SPLIT, most)
        except (OSError, ValueError) as error:
            raise InputError(f"No split can be read at {self.path / SPLIT}: {error}.") from error

    def require_split(self, seeds: Sequence[int], split: Split) -> None:
        """Raise ``InputError`` unless ``split.npz`` has these seeds and indices."""
        expected = {"seeds": np.asarray(seeds), **split.indices}
        most = sum(indices.nbytes + 1000 for indices in expected.values())
        try:
            found = read_arrays(self.path / SPLIT, most)
            same = all(np.array_equal(found[name], indices) for name, indices in expected.items())
        except (OSError, ValueError, KeyError):
            same = False
        if not same:
            raise InputError(
                f"{self.path / SPLIT} is not the split of these seeds, so the run cannot continue: start it again with "
                "--overwrite."
            )

    def append_metrics(self, lines: Sequence[Mapping[str, Any]]) -> None:
        """Append lines to ``metrics.jsonl``; numbers that are not finite become ``null``."""
        with (self.path / METRICS).open("a") as file:
            file.writelines(json.dumps(without_nan(line)) + "\n" for line in lines)

    def metrics_size(self) -> int:
        """The size of ``metrics.jsonl`` in bytes; 0 if there is none."""
        path = self.path / METRICS
        return path.stat().st_size if path.exists() else 0

    def sync_metrics(self) -> int:
        """Flush ``metrics.jsonl`` to the disk and return its size in bytes."""
        if not (self.path / METRICS).exists():
            return 0
        with (self.path / METRICS).open("rb") as file:
            os.fsync(file.fileno())
        return self.metrics_size()

    def truncate_metrics(self, size: int) -> None:
        """Cut ``metrics.jsonl`` to its first ``size`` bytes, if it is longer."""
        if self.metrics_size() > size:
            os.truncate(self.path / METRICS, size)

    def load_metrics(self) -> list[dict[str, Any]]:
        """The lines of ``metrics.jsonl``: dicts with a phase, an epoch, a seed, and metrics.

        Raises ``InputError`` if it cannot be read or a line is no such dict.
        """
        path = self.path / METRICS
        try:
            lines = [json.loads(line) for line in path.read_text().splitlines()]
        except OSError as error:
            raise InputError(f"No metrics can be read at {path}: {error.strerror}.") from error
        except (ValueError, RecursionError) as error:
            raise InputError(f"No metrics can be read at {path}: a line is not JSON, {error}.") from error
        if not all(map(_is_metrics_line, lines)):
            raise InputError(f"No metrics can be read at {path}: a line is not a JSON object of metrics.")
        return lines

    def save_arrays(self, arrays: Mapping[str, np.ndarray], file: str) -> None:
        """Write an ``.npz`` file of arrays by name, without pickle."""
        with atomic(self.path / file) as stream:
            np.savez(stream, allow_pickle=False, **arrays)

    def load_arrays(self, file: str, *, kinds: str = NUMBERS) -> dict[str, np.ndarray]:
        """The arrays that :meth:`save_arrays` wrote, of these kinds of dtypes.

        Raises ``InputError`` if they cannot be read.
        """
        path = self.path / file
        try:
            return read_arrays(path, kinds=kinds)
        except (OSError, ValueError) as error:
            raise InputError(f"No arrays can be read at {path}: {error}.") from error

    def save_parameters(self, params: Params, file: str = PARAMETERS) -> None:
        """Write an ``.npz`` file of a tree of arrays by path, for example ``hidden/kernel``."""
        self.save_arrays(flax.traverse_util.flatten_dict(params, sep="/"), file)

    def load_parameters(self, file: str = PARAMETERS) -> Params:
        """The tree that :meth:`save_parameters` wrote. Raises ``InputError`` if it cannot be read."""
        path = self.path / file
        try:
            return flax.traverse_util.unflatten_dict(read_arrays(path), sep="/")
        except (OSError, ValueError, IndexError, TypeError) as error:  # the last two: a path continues below an array
            raise InputError(f"No parameters can be read at {path}: {error}.") from error

    def save_pseudo_labels(
        self, totals: Totals, names: Sequence[str], rows: Sequence[str] | Mapping[int, str] = ()
    ) -> None:
        """Write ``pseudo_labels.csv``, and ``pseudo_labels.npz`` with the totals over the seeds that it is made of.

        The arguments are those of :func:`pljax.results.pseudo_labels.table`.
        """
        self.save_arrays({**totals._asdict(), "names": np.array(list(names))}, LABEL_TOTALS)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(itertools.chain([COLUMNS], table(totals, names, rows)))
        write_whole(self.path / PSEUDO_LABELS, text.getvalue())

    def load_pseudo_labels(self) -> tuple[Totals, tuple[str, ...], dict[int, str]]:
        """What :meth:`save_pseudo_labels` wrote: the totals, the names of the classes and those of the rows.

        Raises ``InputError`` if the files cannot be read or do not fit together.
        """
        path = self.path / PSEUDO_LABELS
        try:
            arrays = self.load_arrays(LABEL_TOTALS, kinds=NUMBERS + TEXTS)
            names, totals = tuple(map(str, arrays.pop("names").tolist())), Totals(**arrays)
            images, classes = len(totals.seeds), len(names)
            shapes = [(images,), (images, classes), (images, classes), (images,), (images,)]
            kinds = "".join(array.dtype.kind for array in totals)
            if [array.shape for array in totals] != shapes or kinds != "ifuii":
                raise ValueError("the arrays are of other shapes or types")
            with path.open(newline="", encoding="utf-8") as file:
                indices = [row[0] for row in csv.reader(file)][1:]
            rows = dict(zip(np.flatnonzero(totals.seeds).tolist(), indices, strict=True))
        except (OSError, ValueError, KeyError, TypeError, IndexError, csv.Error) as error:
            raise InputError(f"{path} and {LABEL_TOTALS} beside it are not of one run: {error}.") from error
        return totals, names, rows

    def save_inputs(self, inputs: Inputs, classes: Sequence[str]) -> None:
        """Write ``inputs.json``: how rows of a file become inputs, and the names of the classes."""
        options = inputs.options._asdict()
        fields = {"classes": classes, "columns": inputs.columns, "image": inputs.image, "options": options}
        write_json(self.path / INPUTS, {**fields, **inputs.scaling._asdict()})

    def load_inputs(self) -> tuple[Inputs, tuple[str, ...]] | None:
        """The inputs and class names that :meth:`save_inputs` wrote; ``None`` if the inputs are pixels.

        Raises ``InputError`` if they cannot be read.
        """
        path = self.path / INPUTS
        if not path.exists():
            return None
        try:
            read = json.loads(path.read_text())
            with np.errstate(over="ignore"):  # the callers refuse infinite numbers
                scaling = Scaling(np.array(read["shift"], np.float64), np.array(read["scale"], np.float64))
            if scaling.shift.ndim != 1 or scaling.shift.shape != scaling.scale.shape:
                raise ValueError("shift and scale are not two lists of one length")
            classes, columns = tuple(map(str, read["classes"])), tuple(map(str, read["columns"]))
            image = None if read["image"] is None else (int(read["image"][0]), int(read["image"][1]))
            return Inputs(columns, image, scaling, _read_options(read.get("options", {}))), classes
        except (OSError, ValueError, TypeError, KeyError, IndexError, OverflowError, RecursionError) as error:
            raise InputError(f"{path} does not say how rows become inputs: {error}.") from error

    def save_result(self, result: Result) -> None:
        """Write ``result.json`` and remove the checkpoints."""
        self.sync_metrics()
        result.save(self.path / "result.json")
        shutil.rmtree(self.path / CHECKPOINTS, ignore_errors=True)

    def load_result(self) -> Result:
        """The result of a finished run. Raises ``InputError`` if it cannot be read."""
        return Result.load(self.path)


def _read_options(fields: dict[str, Any]) -> ReadOptions:
    """The options that ``inputs.json`` holds. Raises ``ValueError`` or ``TypeError`` for other values."""
    found = {**DEFAULT_OPTIONS._asdict(), **fields}
    label, image = found["label"], found["image"]
    return ReadOptions(
        label=None if label is None else str(label),
        columns=tuple(map(str, found["columns"])),
        image=None if image is None else (int(image[0]), None if image[1] is None else int(image[1])),
        unlabelled=tuple(map(str, found["unlabelled"])),
        header=None if found["header"] is None else bool(found["header"]),
        background=None if found["background"] is None else str(found["background"]),
        white=None if found["white"] is None else int(found["white"]),
    )


def _is_metrics_line(line: Any) -> bool:
    """Whether this is a line of metrics: a phase, an epoch, a seed, a name, and numbers or ``None``."""
    if not isinstance(line, dict) or not all(type(line.get(name)) is int for name in ("phase", "epoch", "seed")):
        return False
    rest = [item for name, item in line.items() if name != "name" and item is not None]
    return all(isinstance(item, int | float) and abs(item) <= sys.float_info.max for item in rest)
