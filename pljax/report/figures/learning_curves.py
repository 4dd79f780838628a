"""The figures by epoch: learning curves, alpha(t) and pseudo-labels."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.axes
import matplotlib.figure
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from pljax.analysis.stats import summarize
from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData, Run, accuracy_by_seed, uses_pseudo_labels
from pljax.report.figures.style import Drawing
from pljax.report.sentences import format_number, join_names
from pljax.results.result import MONITORED_IMAGES
from pljax.types import InputError

BAND_FROM = 3  # seeds; the interval of two extends over 12.7 standard errors to either side, too wide to draw


class Curve(NamedTuple):
    """One metric of a run by epoch of its classifier, for the seeds that did not diverge."""

    epochs: np.ndarray  # int [T], the epochs in which it was measured, from 1
    values: np.ndarray  # float64 [S, T]
    mean: np.ndarray  # float64 [T]
    low: np.ndarray  # float64 [T], of the 95 % t-interval
    high: np.ndarray


class Panel(NamedTuple):
    """A panel of the figure of pseudo-labels."""

    metric: str
    height: int
    label: str  # of the vertical axis
    name: str
    meaning: str
    from_zero: bool = False  # the vertical axis starts at 0


PANELS = (
    Panel(
        "pseudo_label_accuracy",
        3,
        "pseudo-labels\nthat are right (%)",
        "Pseudo-labels that are right",
        "the share of the pseudo-labels that agree with the hidden labels, which training does not use",
    ),
    Panel(
        "pseudo_label_coverage",
        2,
        "images with a\npseudo-label (%)",
        "Coverage",
        "the coverage, the share of the unlabelled images that get a pseudo-label",
    ),
    Panel(
        "pseudo_labels_changed",
        2,
        "changed since last\nmeasurement (%)",
        "Changed",
        "the share of the pseudo-labels that differ from the previous measurement, of the images that had one then",
        from_zero=True,
    ),
)


def read_curve(data: FigureData, run: Run, metric: str, scale: float = 1.0) -> Curve:
    """Read a metric of a run, multiplied by ``scale``. Raises ``InputError`` if the run never measured it."""
    starts = _phase_starts(run)
    measured: dict[int, dict[int, float]] = {seed: {} for seed in accuracy_by_seed(run)}
    for line in data.metrics(run):
        seed, phase, epoch, value = (line.get(name) for name in ("seed", "phase", "epoch", metric))
        if not isinstance(epoch, int) or not isinstance(value, int | float):
            continue
        if seed in measured and phase in starts:
            measured[seed][starts[phase] + epoch + 1] = scale * value
    epochs = sorted(set().union(*measured.values()))
    if not epochs:
        raise InputError(f"The metrics of {run.label} do not have {metric}.")
    values = np.array([[of_seed.get(epoch, np.nan) for epoch in epochs] for of_seed in measured.values()])
    summaries = [summarize(column) for column in values.T]
    mean, low, high = (np.array([getattr(of, name) for of in summaries]) for name in ("mean", "low", "high"))
    return Curve(np.array(epochs), values, mean, low, high)


def _phase_starts(run: Run) -> dict[int, int]:
    """For each phase that trains the classifier, the number of epochs of the classifier before it."""
    starts, epochs = {}, 0
    for index, phase in enumerate(run.result.effective_config().phases):
        if not phase.method.pretrains:
            starts[index] = epochs
            epochs += phase.epochs
    return starts


def learning_curves(data: FigureData) -> Drawing:
    """Draw accuracy by epoch and, below it, alpha(t) of the runs with pseudo-labels."""
    runs = data.valid_runs()
    validated = all(run.result.effective_config().validation for _, run in runs)
    metric = "validation_accuracy" if validated else "unlabelled_accuracy"
    images = "validation" if validated else "unlabelled"
    curves = [read_curve(data, run, metric, 100) for _, run in runs]
    pseudo = [(index, run) for index, run in runs if uses_pseudo_labels(run)]
    figure = style.new_figure(5.0 if pseudo else 3.8)
    top, *below = _panels(figure, [3, 1] if pseudo else [1])
    for (index, _), curve in zip(runs, curves, strict=True):
        _draw_curve(top, index, curve)
    top.set_ylim(*_settled_limits(curves))
    top.set_ylabel(f"accuracy on {images} images (%)")
    if below:
        for index, run in pseudo:
            alpha = read_curve(data, run, "alpha")
            line = style.series_style(index)
            below[0].plot(alpha.epochs, alpha.mean, color=line.colour, linestyle=line.dashes)
        below[0].set_ylabel(r"$\alpha(t)$")
        below[0].set_ylim(bottom=0)
    _add_legend(figure, runs)
    final = [f"{run.label} {format_number(curve.mean[-1], 1)}" for (_, run), curve in zip(runs, curves, strict=True)]
    weights = " Below, the weight α(t) of the pseudo-labels." if pseudo else ""
    which = "" if validated else " Not every run has validation images, so unlabelled images are used."
    return Drawing(
        figure,
        f"Accuracy on {images} images, mean over seeds; the band is the 95 % t-interval of each epoch"
        f"{_thin_lines_note(curves)}. The vertical axis fits the measurements after the first tenth of the epochs; "
        f"earlier ones may be outside it.{which} Epochs are counted through all phases that train "
        f"the classifier.{weights} These curves were not used to select anything.",
        f"Learning curves of {join_names(run.label for _, run in runs)}. Mean accuracy on {images} images after the "
        f"last epoch, per cent: {join_names(final)}.",
    )


def loss_terms(data: FigureData) -> Drawing:
    """Draw the terms of the losses by epoch, a panel for each term."""
    runs = data.valid_runs()
    terms = {run.label: _loss_terms(data, run) for _, run in runs}
    names = list(dict.fromkeys(name for of_run in terms.values() for name in of_run))
    if not names:
        raise InputError("The metrics of the runs have no terms of a loss.")
    figure = style.new_figure(1.6 + 1.5 * len(names))
    for axes, name in zip(_panels(figure, [1] * len(names)), names, strict=True):
        curves = {index: read_curve(data, run, name) for index, run in runs if name in terms[run.label]}
        for index, curve in curves.items():
            _draw_curve(axes, index, curve)
        if all((curve.values > 0).all() for curve in curves.values()):
            axes.set_yscale("log")
        axes.set_ylabel(name.removesuffix("_loss").replace("_", "\n"))
    _add_legend(figure, runs)
    return Drawing(
        figure,
        "The terms of each loss without alpha(t), means over the mini-batches of an epoch and over seeds, on "
        "logarithmic axes where all values are above 0. A term has its name in metrics.jsonl; one that is a sum has "
        "the weights of its parts in it.",
        f"{len(names)} panels by epoch: {join_names(names)}.",
    )


def _loss_terms(data: FigureData, run: Run) -> list[str]:
    """The names of the terms of the loss of a run's classifier, in the order of its metrics."""
    starts = _phase_starts(run)
    lines = (line for line in data.metrics(run) if line.get("phase") in starts)
    names = dict.fromkeys(name for line in lines for name, value in line.items() if value is not None)
    return [name for name in names if name.endswith(("_loss", "entropy"))]


def pseudo_labels(data: FigureData) -> Drawing:
    """Draw how many pseudo-labels are right, how many images have one, and how many changed, by epoch."""
    runs = data.pseudo_label_runs()
    panels = [(panel, curves) for panel in PANELS if (curves := _measured(data, runs, panel.metric))]
    if not panels:
        raise InputError("The metrics of the runs have nothing about pseudo-labels.")
    figure = style.new_figure(1.5 + 1.6 * len(panels))
    for axes, (panel, curves) in zip(_panels(figure, [panel.height for panel, _ in panels]), panels, strict=True):
        for index, curve in curves.items():
            _draw_curve(axes, index, curve)
        low, high = _settled_limits(list(curves.values()))
        axes.set_ylim(*(0, max(high, 1)) if panel.from_zero else (low, high))
        axes.set_ylabel(panel.label)
    _add_legend(figure, runs)
    labels = {index: run.label for index, run in runs}
    courses = [
        f"{panel.name}: {join_names(f'{labels[index]} {_course(curve)}' for index, curve in curves.items())}"
        for panel, curves in panels
    ]
    shown = [curve for _, curves in panels for curve in curves.values()]
    return Drawing(
        figure,
        f"From top to bottom: {'; '.join(panel.meaning for panel, _ in panels)}. Means over seeds; the band is the "
        f"95 % t-interval of each epoch{_thin_lines_note(shown)}. If pseudo-labels are assigned at every update, they "
        f"are measured on the same unlabelled images throughout, at most {MONITORED_IMAGES:,}; if they are assigned "
        "once, they cannot change. The vertical axes fit the measurements after the first tenth of the epochs.",
        f"{len(panels)} panels by epoch, per cent, first and last measurement. {'. '.join(courses)}.",
    )


def _measured(data: FigureData, runs: Sequence[tuple[int, Run]], metric: str) -> dict[int, Curve]:
    """The curves, in per cent, of the runs that have a metric: those of earlier versions may lack it."""
    return {
        index: read_curve(data, run, metric, 100)
        for index, run in runs
        if any(isinstance(line.get(metric), int | float) for line in data.metrics(run))
    }


def _course(curve: Curve) -> str:
    return f"from {format_number(curve.mean[0], 1)} to {format_number(curve.mean[-1], 1)}"


def _panels(figure: matplotlib.figure.Figure, heights: Sequence[int]) -> list[matplotlib.axes.Axes]:
    """Make panels above each other that share the axis of epochs."""
    grid: Any = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    panels = list(grid[:, 0])
    for axes in panels:
        axes.grid(axis="y")
        axes.margins(x=0.015)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7 if axes is panels[0] else 5, steps=[1, 2, 5, 10]))
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panels[-1].set_xlabel("epochs of the classifier")
    return panels


def _draw_curve(axes: matplotlib.axes.Axes, index: int, curve: Curve) -> None:
    """Draw the mean of a run with its interval, or with its seeds if they are fewer than ``BAND_FROM``.

    The markers of different runs are at different epochs, so that they do not overlap.
    """
    line, every = style.series_style(index), max(len(curve.epochs) // 6, 1)
    axes.plot(
        curve.epochs,
        curve.mean,
        color=line.colour,
        linestyle=line.dashes,
        marker=line.marker,
        markevery=((2 * index + 1) % every if every > 1 else 0, every),
    )
    if len(curve.values) >= BAND_FROM:
        axes.fill_between(curve.epochs, curve.low, curve.high, color=line.colour, alpha=0.13, linewidth=0)
    else:
        axes.plot(curve.epochs, curve.values.T, color=line.colour, linewidth=0.6, alpha=0.7)


def _thin_lines_note(curves: Sequence[Curve]) -> str:
    few = any(len(curve.values) < BAND_FROM for curve in curves)
    return f" (thin lines are single seeds, drawn instead if there are fewer than {BAND_FROM})" if few else ""


def _settled_limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Axis limits that show all seeds and bands after the first tenth of the measurements."""
    shown: list[float] = []
    for curve in curves:
        first = curve.values.shape[1] // 10
        bands = [curve.low, curve.high] if len(curve.values) >= BAND_FROM else []
        for line in (*curve.values, *bands):
            shown += np.clip(line[first:], 0, 100).tolist()
    return style.limits(shown, 0, 100)


def _add_legend(figure: matplotlib.figure.Figure, runs: Sequence[tuple[int, Run]]) -> None:
    handles = []
    for index, run in runs:
        line = style.series_style(index)
        handles.append(Line2D([], [], color=line.colour, linestyle=line.dashes, marker=line.marker, label=run.label))
    style.legend(figure, handles)
