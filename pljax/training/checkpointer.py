"""Save the progress of a group of seeds, so that an interrupted run continues and ends with the same bytes."""

import contextlib
import dataclasses
import re
import time
from collections.abc import Callable
from pathlib import Path

import flax.traverse_util

from pljax.nn.trees import by_path, with_leaves
from pljax.results.folder import RunFolder
from pljax.training.checkpoints import Checkpoints
from pljax.training.metrics import MetricsLog, with_prefix
from pljax.training.progress import Interrupted, Reporter
from pljax.training.seeds import Layout
from pljax.types import InputError, Params, TrainState


@dataclasses.dataclass(frozen=True)
class SaveInterval:
    """The time between two checkpoints: a number of seconds, or of epochs of a phase."""

    seconds: float | None = None
    epochs: int | None = None


EVERY_MINUTE = SaveInterval(seconds=60.0)
_UNITS = {"s": 1, "min": 60, "h": 3600}


def parse_interval(text: str) -> SaveInterval:
    """Parse the value of ``--checkpoint_every``. Raises ``InputError``.

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
    """How far a group of seeds is trained. ``state`` and ``params`` are on the devices that compute the seeds."""

    phase: int = 0
    t: int = 0  # finished rounds of the phase
    state: TrainState | None = None  # after round t; None at the start of a phase
    params: Params = dataclasses.field(default_factory=dict)  # layers that the previous phase handed on
    pretrained: dict[str, Params] = dataclasses.field(default_factory=dict)  # networks of pre-training, on the host
    seconds: dict[str, float] = dataclasses.field(default_factory=dict)  # by phase


class Checkpointer:
    """Save the progress of a group and its metrics log at intervals, and when a signal arrives.

    Use it as a context manager: on exit it waits until everything is on the disk.

    Args:
      path: the folder of the checkpoints.
      interval: how often to save.
      layout: where the seeds of the group are computed.
      folder: the run's folder, with ``metrics.jsonl``.
      log: the metrics log of the group.
      reporter: shows messages, and receives signals.
      metrics_size: the bytes of ``metrics.jsonl`` that earlier groups wrote.

    Attributes:
      metrics_size: the bytes of ``metrics.jsonl`` at the last checkpoint.
    """

    def __init__(
        self,
        path: Path,
        interval: SaveInterval,
        layout: Layout,
        folder: RunFolder,
        log: MetricsLog,
        reporter: Reporter,
        metrics_size: int = 0,
    ):
        self._checkpoints, self._interval, self._layout, self._folder = Checkpoints(path), interval, layout, folder
        self._log, self._reporter = log, reporter
        self._saves, self._saved_at = 0, time.monotonic()
        self.metrics_size = metrics_size

    def resume(self, shapes: Callable[[int], TrainState]) -> Progress:
        """Restore the newest sound checkpoint, with the metrics log and ``metrics.jsonl`` of that time.

        Args:
          shapes: returns the state of a phase for one seed as ``jax.ShapeDtypeStruct``.

        Returns:
          The progress at the checkpoint; without one, that of a run that has not started.
        """
        while (found := self._checkpoints.restore(self._reporter.say)) is not None:
            arrays, facts = found
            if self._folder.metrics_size() >= facts["metrics"]:
                break
            self._reporter.say(
                "metrics.jsonl is shorter than at the last checkpoint: these seeds are trained from the start."
            )
            self._checkpoints.remove()
        else:
            self._folder.truncate_metrics(self.metrics_size)
            return Progress()
        self._saves, self.metrics_size = facts["saves"], facts["metrics"]
        self._log.restore(with_prefix(arrays, "journal/"), facts["journal"])
        if not facts.get("trained"):  # lines of later groups stay: their own checkpoints count them
            self._folder.truncate_metrics(self.metrics_size)
        state = with_leaves(shapes(facts["phase"]), self._layout.seeds, with_prefix(arrays, "state/"))
        pretrained = flax.traverse_util.unflatten_dict(with_prefix(arrays, "pretrained/"), sep="/")
        return Progress(
            facts["phase"], facts["t"], self._layout.shard(state), pretrained=pretrained, seconds=facts["seconds"]
        )

    def save_if_due(self, progress: Progress, rounds: int) -> None:
        """Save between two rounds if it is time. ``rounds`` is the number of rounds in an epoch.

        After a signal, save and raise ``Interrupted``.
        """
        if self._interval.epochs is not None:
            due = progress.t % (self._interval.epochs * rounds) == 0
        else:
            due = time.monotonic() - self._saved_at >= (self._interval.seconds or 0)
        if due or self._reporter.signal_received is not None:
            self.save(progress)
        if self._reporter.signal_received is not None:
            self._checkpoints.close()
            raise Interrupted(self._reporter.signal_received)

    def save(self, progress: Progress, trained: bool = False) -> None:
        """Save now, after a round of a phase. Raises ``InputError`` if the disk cannot be written.

        ``trained`` says that this was the last round: the group writes no more metrics.
        """
        trees = {"pretrained": progress.pretrained, "state": self._layout.gather(progress.state)}
        arrays = {f"{name}/{path}": leaf for name, tree in trees.items() for path, leaf in by_path(tree).items()}
        log_arrays, log_facts = self._log.state()
        arrays |= {f"journal/{name}": array for name, array in log_arrays.items()}
        self._saves, self.metrics_size = self._saves + 1, self._folder.sync_metrics()
        facts = {
            "saves": self._saves,
            "phase": progress.phase,
            "t": progress.t,
            "seconds": progress.seconds,
            "metrics": self.metrics_size,
            "trained": trained,
            "journal": log_facts,
        }
        self._checkpoints.save(self._saves, arrays, facts)
        self._saved_at = time.monotonic()

    def __enter__(self) -> "Checkpointer":
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        with contextlib.suppress(*[InputError] if kind else []):  # the exception that ends the run comes first
            self._checkpoints.close()


class NoCheckpointer:
    """Takes the place of a :class:`Checkpointer` for training that saves nothing."""

    def __init__(self, reporter: Reporter):
        self._reporter = reporter

    def resume(self, shapes: Callable[[int], TrainState]) -> Progress:
        """The progress of a run that has not started."""
        return Progress()

    def save_if_due(self, progress: Progress, rounds: int) -> None:
        """Raise ``Interrupted`` after a signal."""
        if self._reporter.signal_received is not None:
            raise Interrupted(self._reporter.signal_received)

    def save(self, progress: Progress, trained: bool = False) -> None:
        """Do nothing."""
