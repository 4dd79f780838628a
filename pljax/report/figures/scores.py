"""The figures of the test accuracies: all seeds of each run, and each seed through all runs."""

import textwrap
from collections.abc import Sequence
from itertools import cycle, pairwise
from typing import Any

import matplotlib.axes
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke

from pljax.analysis.stats import summarize
from pljax.protocols import Reference, references
from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData, Run, accuracy_by_seed
from pljax.report.figures.style import Drawing, count_of
from pljax.report.sentences import format_interval, format_number, join_names
from pljax.types import InputError

REFERENCE_MARKERS = ("s", "v", "D", "P")
MOST_SEED_LABELS = 10
OPEN: dict[str, Any] = {"color": style.GREY, "markerfacecolor": "white", "markeredgewidth": 1.2}
MEAN: dict[str, Any] = {"color": style.INK, "linewidth": 2.4, "marker": "o", "markersize": 6, "zorder": 3}
RISE: dict[str, Any] = {"color": style.GREY, "linewidth": 0.9, "marker": "o", "markersize": 3}
FALL: dict[str, Any] = {**RISE, "color": style.WARNING, "linewidth": 1.5, "dashes": (3, 1)}


def scores(data: FigureData) -> Drawing:
    """Draw each seed as a dot, the mean with its interval, and the published figures, a row per run."""
    runs = data.runs
    if not any(accuracy_by_seed(run) for run in runs):
        raise InputError("Every seed of every run diverged.")
    figure = style.new_figure(0.95 + 0.52 * len(runs))
    axes = figure.subplots()
    published = [references(run.result.effective_config(), run.result.dataset["digest"]) for run in runs]
    markers = dict(zip(_sources(published), cycle(REFERENCE_MARKERS)))
    shown: list[float] = []
    for index, (run, figures) in enumerate(zip(runs, published, strict=True)):
        shown += _draw_row(axes, index, run)
        shown += _draw_published(axes, index, figures, markers)
    axes.set_xlim(*style.limits(shown, 0, 100))
    axes.set_ylim(len(runs) - 0.45, -0.55)
    axes.set_yticks(range(len(runs)), [_wrapped(run.label, 26) for run in runs])
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    axes.grid(axis="x")
    axes.set_xlabel("test accuracy (%)")
    style.legend(figure, _score_handles(markers))
    means = "; ".join(_mean_in_words(run) for run in runs)
    references_alt = [_published_in_words(run, of_run) for run, of_run in zip(runs, published, strict=True) if of_run]
    alt = f"Strip plot of test accuracy in per cent, a row per run. Mean and 95 % interval: {means}."
    return Drawing(figure, _scores_caption(runs, published), " ".join([alt, *references_alt]))


def _draw_row(axes: matplotlib.axes.Axes, index: int, run: Run) -> list[float]:
    """Draw the seeds of a run and their mean. Return the values that the axis must show."""
    values, colour = np.array(list(accuracy_by_seed(run).values())), style.series_style(index).colour
    jitter = 0.26 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5)  # multiples of the golden ratio are well spread
    axes.plot(values, index + jitter, "o", color=colour, markeredgecolor="white", markeredgewidth=0.5, alpha=0.75)
    summary = summarize(values)
    if summary.n > 1:
        axes.plot([summary.low, summary.high], [index + 0.3] * 2, color=style.INK, linewidth=1.2)
    if summary.n:
        axes.plot(summary.mean, index + 0.3, "|", color=style.INK, markersize=9, markeredgewidth=2)
    half = f" ± {format_number(summary.mean - summary.low, 1)}" if summary.n > 1 else ""
    text = f"{format_number(summary.mean, 1)}{half}" if summary.n else "diverged"
    axes.annotate(text, (1.01, index), xycoords=("axes fraction", "data"), va="center", fontsize=8.5)
    return [*values, summary.low, summary.mean, summary.high]


def _draw_published(
    axes: matplotlib.axes.Axes, index: int, figures: Sequence[Reference], markers: dict[str, str]
) -> list[float]:
    """Draw the figures published for a run above its seeds. Return the values that the axis must show."""
    shown = []
    for figure in figures:
        half = figure.half_interval or 0.0
        axes.plot([figure.accuracy - half, figure.accuracy + half], [index - 0.3] * 2, color=style.GREY, linewidth=1)
        axes.plot(figure.accuracy, index - 0.3, markers[figure.source], **OPEN)
        shown += [figure.accuracy - half, figure.accuracy + half]
    return shown


def _score_handles(markers: dict[str, str]) -> list[Line2D]:
    return [
        Line2D([], [], marker="o", linestyle="", color=style.GREY, label="a seed"),
        Line2D([], [], marker="|", markersize=9, markeredgewidth=2, color=style.INK, label="mean, 95 % interval"),
        *(Line2D([], [], marker=marker, linestyle="", label=source, **OPEN) for source, marker in markers.items()),
    ]


def _sources(published: Sequence[Sequence[Reference]]) -> list[str]:
    return list(dict.fromkeys(figure.source for figures in published for figure in figures))


def _mean_in_words(run: Run) -> str:
    summary = summarize(np.array(list(accuracy_by_seed(run).values())))
    between = f" ({format_interval(summary.low, summary.high, 1)})" if summary.n > 1 else ""
    return f"{run.label} {format_number(summary.mean, 1)}{between}" if summary.n else f"{run.label} diverged"


def _published_in_words(run: Run, figures: Sequence[Reference]) -> str:
    named = join_names(f"{format_number(figure.accuracy)} ({figure.source})" for figure in figures)
    return f"Published for {run.label}: {named}."


def _scores_caption(runs: Sequence[Run], published: Sequence[Sequence[Reference]]) -> str:
    sentences = [
        "Each dot is a seed; its vertical position has no meaning. Below the dots, and at the right, the mean with its "
        "95 % t-interval over seeds."
    ]
    diverged = [run.label for run in runs if run.result.diverged]
    if diverged:
        sentences.append(f"The seeds of {join_names(diverged)} that diverged have no dot and are left out of the mean.")
    figures = [figure for of_run in published for figure in of_run]
    if figures:
        whiskers = ", with the source's own 95 % interval where it gives one" if _any_interval(figures) else ""
        sentences.append(f"Open marks above the dots are published figures{whiskers}.")
    if any(not figure.own_protocol for figure in figures):
        own = any(figure.own_protocol for figure in figures)
        sentences.append(
            f"{'Some' if own else 'All'} were published for the source's own protocol, which is not that of the row."
        )
    return " ".join(sentences)


def _any_interval(figures: Sequence[Reference]) -> bool:
    return any(figure.half_interval is not None for figure in figures)


def paired(data: FigureData) -> Drawing:
    """Draw the accuracies of each seed through all runs as a line."""
    runs = [run for _, run in data.valid_runs()]
    if len(runs) < 2:
        raise InputError("There are not two runs to compare.")
    seeds = data.seeds
    accuracies = np.array([[accuracy_by_seed(run)[seed] for run in runs] for seed in seeds])  # [S, R]
    rotated = len(runs) * min(max(len(run.label) for run in runs), 14) > 70  # long labels, or many
    figure = style.new_figure(3.7 + (0.8 if rotated else 0))
    axes = figure.subplots()
    axes.plot(accuracies.mean(axis=0), **MEAN, path_effects=[withStroke(linewidth=4.4, foreground="white")])
    falls = accuracies[:, 1:] < accuracies[:, :-1]
    for row, step in np.ndindex(falls.shape):
        axes.plot([step, step + 1], accuracies[row, step : step + 2], **(FALL if falls[row, step] else RISE))
    low, high = style.limits(accuracies.ravel().tolist(), 0, 100)
    axes.set_ylim(low, high)
    wrapped = [_wrapped(run.label, 24 if rotated else max(10, 84 // len(runs))) for run in runs]
    rotation: dict[str, Any] = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if rotated else {}
    axes.set_xticks(range(len(runs)), wrapped, **rotation)
    axes.set_xlim(-0.15, len(runs) - 0.85)
    if len(seeds) <= MOST_SEED_LABELS:
        _name_lines(axes, seeds, accuracies[:, -1], 0.055 * (high - low))
    axes.grid(axis="y")
    axes.set_ylabel("test accuracy (%)")
    style.legend(figure, _paired_handles(bool(falls.any())))
    steps = zip(pairwise(run.label for run in runs), falls.sum(axis=0), strict=True)
    drops = [f"from {one} to {other} in {count}" for (one, other), count in steps]
    return Drawing(
        figure,
        f"Thin lines are single seeds, the thick line is the mean: {count_of(len(seeds), 'seed')} that all runs share, "
        "each with the same labelled images in all runs. Dashed: the accuracy is lower than in the run to the left.",
        f"Line plot of test accuracy through {join_names(run.label for run in runs)}, a line per seed. Means: "
        f"{join_names(format_number(mean, 1) for mean in accuracies.mean(axis=0))} per cent. "
        f"Of {count_of(len(seeds), 'seed')} accuracy falls {join_names(drops)}.",
    )


def _paired_handles(any_falls: bool) -> list[Line2D]:
    handles = [Line2D([], [], **MEAN, label="mean"), Line2D([], [], **RISE, label="a seed")]
    return [*handles, Line2D([], [], **FALL, label="a seed that falls")] if any_falls else handles


def _name_lines(axes: matplotlib.axes.Axes, seeds: Sequence[int], ends: np.ndarray, gap: float) -> None:
    """Write the name of each seed at the right end of its line."""
    leader = {"arrowstyle": "-", "color": style.GREY, "linewidth": 0.5, "shrinkA": 1, "shrinkB": 3}
    for seed, end, label_y in zip(seeds, ends, style.spread(ends.tolist(), gap), strict=True):
        axes.annotate(
            f"seed {seed}",
            xy=(axes.get_xlim()[1] - 0.15, end),
            xytext=(1.03, label_y),
            textcoords=("axes fraction", "data"),
            va="center",
            fontsize=8,
            arrowprops=leader,
        )


def _wrapped(label: str, width: int) -> str:
    return "\n".join(textwrap.wrap(label, width))
