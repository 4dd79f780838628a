"""How far a group of seeds is, kept so that a run that was cut off ends with the same bytes as one that was not."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import flax.traverse_util
import numpy as np

from pljax.nn.trees import by_path, with_leaves
from pljax.results.folder import RunFolder
from pljax.training.checkpoints import Arrays, Checkpoints
from pljax.training.metrics import MetricsLog
from pljax.training.progress import Interrupted, Reporter
from pljax.training.seeds import Layout
from pljax.types import InputError, Params, TrainState


@dataclasses.dataclass(frozen=True)
class SaveInterval:
    """How often a run is saved: after so many seconds, or after so many epochs of a phase."""

    seconds: float | None = None
    epochs: int | None = None


EVERY_MINUTE = SaveInterval(seconds=60.0)
_UNITS = {"s": 1, "min": 60, "h": 3600}


def parse_interval(text: str) -> SaveInterval:
    """An interval as the command line has it. Raises ``InputError``.

    >>> parse_interval("5min")
    SaveInterval(seconds=300.0, epochs=None)
    >>> parse_interval("20epochs")
    SaveInterval(seconds=None, epochs=20)
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?(s|min|h)|(\d{1,9}) ?epochs?", text.strip())
    if found and found[1] and float(found[1]):
        return SaveInterval(seconds=float(found[1]) * _UNITS[found[2]])
    if found and found[3] and int(found[3]):
        return SaveInterval(epochs=int(found[3]))
    raise InputError(f"--checkpoint_every is {text!r}: give a time or a number of epochs, 30s, 5min or 20epochs.")


@dataclasses.dataclass
class Progress:
    """How far a group is. Where a phase begins there is no state, but parameters; both lie where they are computed."""

    phase: int = 0
    t: int = 0  # rounds of the phase that are done
    state: TrainState | None = None  # after them
    params: Params = dataclasses.field(default_factory=dict)  # what the phase before handed on
    pretrained: dict[str, Params] = dataclasses.field(default_factory=dict)  # what pre-training ended with, on the host
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)  # by phase


class Checkpointer:
    """Saves the progress of a group and its log now and then, and when a signal asks for an end.

    A context manager: nothing is being saved any more when it is left.
    """

    def __init__(
        self,
        path: Path,
        every: SaveInterval,
        layout: Layout,
        folder: RunFolder,
        log: MetricsLog,
        reporter: Reporter,
        metrics: int = 0,
    ):
        self._checkpoints, self._every, self._layout, self._folder = Checkpoints(path), every, layout, folder
        self._journal, self._reporter = log, reporter
        self._saves, self._saved_at = 0, time.monotonic()
        self.metrics = metrics  # bytes of metrics.jsonl that are as they should be

    def resume(self, shapes: Callable[[int], TrainState]) -> Progress:
        """The last sound checkpoint; the log and the metrics are set back to it.

        ``shapes`` gives the state of a phase, for one seed, as ``jax.ShapeDtypeStruct``. Without a checkpoint it is
        the start.
        """
        while (found := self._checkpoints.restore(self._reporter.say)) is not None:
            arrays, facts = found
            if self._folder.metrics_size() >= facts["metrics"]:
                break
            self._reporter.say("metrics.jsonl is shorter than it was: this part of the run begins anew.")
            self._checkpoints.remove()
        else:
            self._folder.truncate_metrics(self.metrics)
            return Progress()
        self._saves, self.metrics = facts["saves"], facts["metrics"]
        self._journal.restore(_below("journal/", arrays), facts["journal"])
        state = None
        if facts["t"]:
            self._folder.truncate_metrics(self.metrics)
            state = self._layout.shard(
                with_leaves(shapes(facts["phase"]), self._layout.seeds, _below("state/", arrays))
            )
        params, pretrained = (
            flax.traverse_util.unflatten_dict(_below(name, arrays), sep="/") for name in ("params/", "pretrained/")
        )
        params = self._layout.shard(params)
        return Progress(facts["phase"], facts["t"], state, params, pretrained, facts["seconds"])

    def save_if_due(self, progress: Progress, rounds: int) -> None:
        """Between two rounds, ``rounds`` of which are an epoch: save if it is time.

        Raises ``Interrupted``, all saved, if a signal asks for an end.
        """
        if self._every.epochs is not None:
            due = progress.t % (self._every.epochs * rounds) == 0
        else:
            due = time.monotonic() - self._saved_at >= (self._every.seconds or 0)
        if due or self._reporter.signal_received is not None:
            self.save(progress)
        if self._reporter.signal_received is not None:
            self._checkpoints.close()
            raise Interrupted(self._reporter.signal_received)

    def save(self, progress: Progress) -> None:
        """Save now. Raises ``InputError`` where the disk does not take it."""
        now = {"params": progress.params} if progress.state is None else {"state": progress.state}
        trees = {"pretrained": progress.pretrained, **{name: self._layout.gather(tree) for name, tree in now.items()}}
        remembered, told = self._journal.state()
        arrays = {f"{name}/{path}": leaf for name, tree in trees.items() for path, leaf in by_path(tree).items()}
        self._saves, self.metrics = self._saves + 1, self._folder.sync_metrics()
        facts = {
            "saves": self._saves,
            "phase": progress.phase,
            "t": progress.t,
            "seconds": progress.seconds,
            "metrics": self.metrics,
            "journal": told,
        }
        log = {f"journal/{name}": array for name, array in remembered.items()}
        self._checkpoints.save(self._saves, {**arrays, **log}, facts)
        self._saved_at = time.monotonic()

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        """Wait until what was saved is on the disk; what ends the run comes first."""
        with contextlib.suppress(*[InputError] if kind else []):
            self._checkpoints.close()


class NoCheckpointer:
    """In the place of a :class:`Checkpointer` where nothing is saved: training that lives in memory alone."""

    def __init__(self, reporter: Reporter):
        self._reporter = reporter

    def resume(self, shapes: Callable[[int], TrainState]) -> Progress:
        """The start."""
        return Progress()

    def save_if_due(self, progress: Progress, rounds: int) -> None:
        """Raise ``Interrupted`` if a signal asks for an end."""
        if self._reporter.signal_received is not None:
            raise Interrupted(self._reporter.signal_received)

    def save(self, progress: Progress) -> None:
        """Nothing."""


def _below(prefix: str, arrays: Mapping[str, np.ndarray]) -> Arrays:
    return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
