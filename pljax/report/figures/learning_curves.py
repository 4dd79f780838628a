"""What happens through the epochs: learning curves, alpha(t) and the pseudo-labels."""

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
from pljax.report.sentences import number, several
from pljax.types import InputError

BAND_FROM = 3  # seeds; the interval of two, 12.7 standard errors to either side, fills any axis


class Curve(NamedTuple):
    """One metric of a run through the epochs of its classifier, over the seeds that did not diverge."""

    epochs: np.ndarray  # int [T], those where it was measured
    values: np.ndarray  # float64 [S, T]
    mean: np.ndarray  # float64 [T]
    low: np.ndarray  # float64 [T], of the 95 % t-interval
    high: np.ndarray


def read_curve(data: FigureData, run: Run, metric: str, scale: float = 1.0) -> Curve:
    """Read a metric of a run. Raises ``InputError`` where the run never measured it."""
    begins = _begins(run)
    measured: dict[int, dict[int, float]] = {seed: {} for seed in accuracy_by_seed(run)}
    for line in data.metrics(run):
        seed, phase, epoch, value = (line.get(name) for name in ("seed", "phase", "epoch", metric))
        if not isinstance(epoch, int) or not isinstance(value, int | float):
            continue
        if seed in measured and phase in begins:
            measured[seed][begins[phase] + epoch + 1] = scale * value
    epochs = sorted(set().union(*measured.values()))
    if not epochs:
        raise InputError(f"The metrics of {run.label} do not have {metric}.")
    values = np.array([[of_seed.get(epoch, np.nan) for epoch in epochs] for of_seed in measured.values()])
    summaries = [summarize(column) for column in values.T]
    mean, low, high = (np.array([getattr(each, name) for each in summaries]) for name in ("mean", "low", "high"))
    return Curve(np.array(epochs), values, mean, low, high)


def _begins(run: Run) -> dict[int, int]:
    """After how many epochs of the classifier each phase that trains it begins."""
    begins, epochs = {}, 0
    for number_of_phase, phase in enumerate(run.result.effective_config().phases):
        if not phase.method.pretrains:
            begins[number_of_phase] = epochs
            epochs += phase.epochs
    return begins


def learning_curves(data: FigureData) -> Drawing:
    """Accuracy by epoch, and below it alpha(t) of the runs that have one."""
    runs = data.numbered()
    validated = all(run.result.effective_config().validation for _, run in runs)
    metric = "validation_accuracy" if validated else "unlabelled_accuracy"
    images = "validation" if validated else "unlabelled"
    curves = [read_curve(data, run, metric, 100) for _, run in runs]
    pseudo = [(place, run) for place, run in runs if uses_pseudo_labels(run)]
    figure = style.new_figure(5.0 if pseudo else 3.8)
    top, *below = _panels(figure, [3, 1] if pseudo else [1])
    for (place, _), curve in zip(runs, curves, strict=True):
        _draw_curve(top, place, curve)
    top.set_ylim(*_settled_limits(curves))
    top.set_ylabel(f"accuracy on {images} images (%)")
    if below:
        for place, run in pseudo:
            alpha = read_curve(data, run, "alpha")
            look = style.look(place)
            below[0].plot(alpha.epochs, alpha.mean, color=look.colour, linestyle=look.dashes)
        below[0].set_ylabel(r"$\alpha(t)$")
        below[0].set_ylim(bottom=0)
    _finish(figure, runs)
    ends = several(f"{run.label} {number(curve.mean[-1], 1)}" for (_, run), curve in zip(runs, curves, strict=True))
    weights = " Below, the weight α(t) of the pseudo-labels." if pseudo else ""
    which = "" if validated else " Not every run has a validation set, so these are unlabelled images."
    return Drawing(
        figure,
        f"Accuracy on {images} images, mean over seeds; the band is the 95 % t-interval at each epoch by itself"
        f"{_instead(curves)}. The axis is made for what follows the first tenth of the epochs: these may lie below "
        f"it.{which} An epoch is a pass over the labelled images; epochs are counted on through the phases that train "
        f"the classifier.{weights} Nothing was chosen by these curves.",
        f"Learning curves of {several(run.label for _, run in runs)}. Mean accuracy on {images} images after the "
        f"last epoch, per cent: {ends}.",
    )


def pseudo_labels(data: FigureData) -> Drawing:
    """How many pseudo-labels are right, and how many change, by epoch."""
    runs = data.with_pseudo_labels()
    right = [read_curve(data, run, "pseudo_label_accuracy", 100) for _, run in runs]
    changed = [read_curve(data, run, "pseudo_labels_changed", 100) for _, run in runs]
    figure = style.new_figure(4.8)
    top, bottom = _panels(figure, [3, 2])
    for (place, _), of_right, of_changed in zip(runs, right, changed, strict=True):
        _draw_curve(top, place, of_right)
        _draw_curve(bottom, place, of_changed)
    top.set_ylim(*_settled_limits(right))
    top.set_ylabel("pseudo-labels\nthat are right (%)")
    bottom.set_ylim(0, max(_settled_limits(changed)[1], 1))
    bottom.set_ylabel("changed since the last\nmeasurement (%)")
    _finish(figure, runs)
    last = [f"{run.label} {number(of_run.mean[-1], 1)}" for (_, run), of_run in zip(runs, changed, strict=True)]
    told = [
        f"{run.label} from {number(of_run.mean[0], 1)} to {number(of_run.mean[-1], 1)}"
        for (_, run), of_run in zip(runs, right, strict=True)
    ]
    return Drawing(
        figure,
        "Above: how many of the pseudo-labels agree with the labels that training never sees. Below: how many are "
        "not what they were at the measurement before. Mean over seeds, the band is "
        f"the 95 % t-interval at each epoch by itself{_instead(right)}. Labels given anew at every update are followed "
        "on the same unlabelled images throughout, at most 1,000; labels given once cannot change. The first "
        "tenth may lie outside the axes.",
        f"Two panels by epoch. Pseudo-labels that are right, per cent, first and last measurement: {several(told)}. "
        f"Changed at the last one: {several(last)}.",
    )


def _panels(figure: matplotlib.figure.Figure, heights: Sequence[int]) -> list[matplotlib.axes.Axes]:
    """Panels above each other with one axis of epochs."""
    grid: Any = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights, squeeze=False)
    panels = list(grid[:, 0])
    for axes in panels:
        axes.grid(axis="y")
        axes.margins(x=0.015)
        axes.yaxis.set_major_locator(MaxNLocator(nbins=7 if axes is panels[0] else 5, steps=[1, 2, 5, 10]))
    panels[-1].xaxis.set_major_locator(MaxNLocator(integer=True, steps=[1, 2, 5, 10]))
    panels[-1].set_xlabel("epochs of the classifier")
    return panels


def _draw_curve(axes: matplotlib.axes.Axes, place: int, drawn: Curve) -> None:
    """The mean and its band, or the seeds where they are too few for one.

    Runs take turns with their markers, so that these do not fall on each other.
    """
    look, every = style.look(place), max(len(drawn.epochs) // 6, 1)
    axes.plot(
        drawn.epochs,
        drawn.mean,
        color=look.colour,
        linestyle=look.dashes,
        marker=look.marker,
        markevery=((2 * place + 1) % every if every > 1 else 0, every),
    )
    if len(drawn.values) >= BAND_FROM:
        axes.fill_between(drawn.epochs, drawn.low, drawn.high, color=look.colour, alpha=0.13, linewidth=0)
    else:
        axes.plot(drawn.epochs, drawn.values.T, color=look.colour, linewidth=0.6, alpha=0.7)


def _instead(curves: Sequence[Curve]) -> str:
    few = any(len(curve.values) < BAND_FROM for curve in curves)
    return f" (thin lines are the seeds themselves where there are fewer than {BAND_FROM})" if few else ""


def _settled_limits(curves: Sequence[Curve]) -> tuple[float, float]:
    """Limits that show all seeds and bands once the first tenth of the measurements is over."""
    shown: list[float] = []
    for curve in curves:
        begin = curve.values.shape[1] // 10
        bands = [curve.low, curve.high] if len(curve.values) >= BAND_FROM else []
        for drawn in (*curve.values, *bands):
            shown += np.clip(drawn[begin:], 0, 100).tolist()
    return style.limits(shown, 0, 100)


def _finish(figure: matplotlib.figure.Figure, runs: Sequence[tuple[int, Run]]) -> None:
    handles = []
    for place, run in runs:
        look = style.look(place)
        handles.append(Line2D([], [], color=look.colour, linestyle=look.dashes, marker=look.marker, label=run.label))
    style.legend(figure, handles)
