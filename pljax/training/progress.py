"""Progress of a run for the user: a progress bar on a terminal, plain lines elsewhere, and handlers of signals."""

import io
import math
import signal
import sys
import threading
import time
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

LINES_A_PHASE = 10  # on a stream that is no terminal

# The metrics that are shown: their label and their format.
_SHOWN = {
    "alpha": ("alpha", "{:.2f}"),
    "reconstruction_loss": ("loss", "{:.4g}"),
    "labelled_loss": ("loss", "{:.4f}"),
    "unlabelled_loss": ("unlabelled", "{:.4f}"),
    "validation_accuracy": ("validation", "{:.1%}"),
    "pseudo_label_coverage": ("coverage", "{:.1%}"),
}


def describe(metrics: Mapping[str, float]) -> str:
    """Format the metrics that show how training goes, on one line.

    Missing metrics and NaN are left out, and so is a coverage of 1: every unlabelled image has a pseudo-label.

    >>> describe({"labelled_loss": 0.25, "unlabelled_loss": float("nan"), "alpha": 1.5})
    'alpha 1.50  loss 0.2500'
    >>> describe({"labelled_loss": 0.25, "denoising_loss": 7.0})
    'loss 0.2500  denoising 7'
    >>> describe({"alpha": 3.0, "pseudo_label_coverage": 1.0}), describe({"pseudo_label_coverage": 0.5})
    ('alpha 3.00', 'coverage 50.0%')
    """
    others = [name for name in metrics if name.endswith("_loss") and name not in _SHOWN]
    known = {**_SHOWN, **{name: (name.removesuffix("_loss"), "{:.4g}") for name in others}}
    shown = {name: metrics[name] for name in known if name in metrics and not math.isnan(metrics[name])}
    if shown.get("pseudo_label_coverage") == 1:
        del shown["pseudo_label_coverage"]
    return "  ".join(f"{known[name][0]} {known[name][1].format(value)}" for name, value in shown.items())


class Interrupted(KeyboardInterrupt):
    """A signal ended the run. ``status`` is the exit status for this signal: 128 plus its number."""

    def __init__(self, signal_number: int):
        super().__init__(f"interrupted by {signal.Signals(signal_number).name}")
        self.status = 128 + signal_number


class Reporter:
    """Show the progress of a phase and messages on ``stream``, and catch SIGINT (Ctrl-C) and SIGTERM.

    Use it as a context manager: it starts and stops the progress bar and the signal handlers. The first signal is
    stored in ``signal_received``, and the training loop ends after the current round. A second signal raises
    ``Interrupted`` at once. (The first one does not: it can arrive inside a callback of the garbage collector, where
    Python drops the exception and the run would go on.)
    """

    signal_received: int | None = None

    def __init__(self, stream: TextIO | None = None):
        stream = stream or sys.stderr  # None where the process has no standard error: under pythonw, in some servers
        self._live = stream is not None and stream.isatty()
        self._console = Console(
            file=stream or io.StringIO(),
            quiet=stream is None,
            force_terminal=self._live,
            highlight=False,
            emoji=False,
        )

    def __enter__(self) -> "Reporter":
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=20),
            TextColumn("epoch {task.fields[epoch]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self._console,
        )
        self._metrics = Text()
        self._display = Live(Group(self._bar, self._metrics), console=self._console, refresh_per_second=8)
        if self._live:
            self._display.start()
        self.signal_received, self._handlers_before = None, {}
        if threading.current_thread() is threading.main_thread():  # Python allows signal handlers in no other thread
            self._handlers_before = {
                number: signal.signal(number, self._on_signal) for number in (signal.SIGINT, signal.SIGTERM)
            }
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._handlers_before.items():
            signal.signal(number, handler)
        self._display.stop()

    def _on_signal(self, number: int, *_: object) -> None:
        if self.signal_received is not None:
            raise Interrupted(number)
        self.signal_received = number

    def say(self, text: str) -> None:
        """Print a message."""
        self._console.print(text, markup=False, soft_wrap=not self._live)

    def phase(self, name: str, epochs: int, rounds: int, done: int = 0) -> None:
        """Start to show a phase of ``epochs`` epochs of ``rounds`` rounds each, ``done`` of which are finished."""
        self._name, self._epochs, self._rounds = name, epochs, rounds
        self._began, self._done_before = time.monotonic(), done
        self._task = self._bar.add_task(name, total=epochs * rounds, completed=done, epoch=f"{done // rounds}/{epochs}")
        self._metrics.plain = "compiling"

    def round(self, done: int, metrics: Mapping[str, float]) -> None:
        """Show that ``done`` rounds of the phase are finished; ``metrics`` are means over the seeds."""
        total, epoch = self._epochs * self._rounds, f"{done // self._rounds}/{self._epochs}"
        self._bar.update(self._task, completed=done, epoch=epoch)
        self._metrics.plain = describe(metrics)
        if not self._live and done * LINES_A_PHASE // total > (done - 1) * LINES_A_PHASE // total:
            left = (time.monotonic() - self._began) * (total - done) / (done - self._done_before)
            self.say("  ".join(filter(None, (self._name, f"epoch {epoch}", describe(metrics), f"{left:.0f} s left"))))
