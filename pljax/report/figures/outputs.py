"""The figures of the outputs for test images: t-SNE in two dimensions, and a reliability diagram."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import matplotlib.axes
import numpy as np
from matplotlib import patheffects
from matplotlib.lines import Line2D

from pljax.analysis.calibration import (
    BINS,
    at_temperature,
    by_confidence,
    expected_calibration_error,
    fit_temperature,
)
from pljax.analysis.stats import summarize
from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData, Run
from pljax.report.figures.style import Drawing
from pljax.report.sentences import format_number, join_names, shorten_name
from pljax.types import InputError

EMBEDDED = 1000  # test images
PERPLEXITY = 30.0
ASPECT = 0.75  # of a panel
FEWEST = 20  # images in a bin of the reliability diagram; with fewer its accuracy is not drawn
MOST_SEEDS = 10  # in the reliability diagram; more make no visible difference
# The scheme "muted" of Tol (2021), with a dark grey instead of its light grey.
CLASS_COLOURS = (
    "#332288", "#cc6677", "#117733", "#ddcc77", "#88ccee", "#aa4499", "#44aa99", "#882255", "#999933", "#666666",
)  # fmt: skip


def embedding(data: FigureData) -> Drawing:
    """Draw t-SNE of the outputs for the first test images, a panel per run."""
    runs, seed = data.valid_runs(), data.seeds[0]
    outputs = [data.test_outputs(run, seed)[:EMBEDDED] for _, run in runs]
    labels = [data.dataset_of(run).test_labels[:EMBEDDED] for _, run in runs]
    rows, columns = style.grid_of(len(runs), 2 if len(runs) <= 4 else 3)
    figure = style.new_figure(rows * (min(style.WIDTH / columns, 4.6) * ASPECT + 0.25))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    points = tsne({run.label: of_run for (_, run), of_run in zip(runs, outputs, strict=True)})
    for axes, (_, run), truth in zip(panels, runs, labels, strict=False):
        names = [shorten_name(name) for name in data.dataset_of(run).names]
        _draw_points(axes, points[run.label], truth, names)
        axes.set_title("\n".join(textwrap.wrap(run.label, 88 // columns)))
    for axes in panels[len(runs) :]:
        axes.set_axis_off()
    correct = [100 * (of_run.argmax(axis=1) == truth).mean() for of_run, truth in zip(outputs, labels, strict=True)]
    shares = join_names(f"{run.label} {format_number(share, 1)}" for (_, run), share in zip(runs, correct, strict=True))
    return Drawing(
        figure,
        f"The outputs of the networks of seed {seed} for the first {len(labels[0]):,} test images, mapped to two "
        "dimensions by t-SNE. Each point is an image, coloured by its true class; the class is written at the point "
        "nearest to their median. Only neighbourhoods have a meaning, axes and distances between groups have none.",
        f"t-SNE of network outputs, a panel per run: {join_names(run.label for _, run in runs)}. Of the images shown "
        f"the networks classify correctly, per cent: {shares}.",
    )


def tsne(outputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Map the outputs of each run, ``[n, C]``, to two dimensions, ``[n, 2]``.

    Raises ``InputError`` if the outputs of a run are the same for all images.
    """
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    def embed(label: str) -> np.ndarray:
        if not np.ptp(outputs[label], axis=0).any():
            raise InputError(f"The outputs of the network of {label} are the same for all test images.")
        perplexity = min(PERPLEXITY, (len(outputs[label]) - 1) / 3)
        return TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(outputs[label])

    # One thread per run: several threads within a run wait for each other, for minutes on a shared processor.
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(outputs, pool.map(embed, outputs), strict=True))


def _draw_points(axes: matplotlib.axes.Axes, points: np.ndarray, truth: np.ndarray, names: Sequence[str]) -> None:
    for label in np.unique(truth):
        of_class = points[truth == label]
        colour = CLASS_COLOURS[label % len(CLASS_COLOURS)]
        axes.plot(*of_class.T, "o", color=colour, markersize=2.6, markeredgewidth=0, alpha=0.7)
    for label in np.unique(truth):
        of_class = points[truth == label]
        x, y = of_class[np.linalg.norm(of_class - np.median(of_class, axis=0), axis=1).argmin()]
        halo = [patheffects.withStroke(linewidth=2.5, foreground="white")]
        written = axes.text(x, y, names[label], ha="center", va="center", fontsize=11, fontweight="bold")
        written.set(path_effects=halo, parse_math=False)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(style.FAINT)
    axes.set_box_aspect(ASPECT)


def reliability(data: FigureData) -> Drawing:
    """Draw accuracy by confidence and, below it, the distribution of the confidence; also at a fitted temperature."""
    runs, seeds = data.valid_runs(), data.seeds[:MOST_SEEDS]
    figure = style.new_figure(5.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    top.plot([0, 100], [0, 100], color=style.GREY, linewidth=0.9)
    handles, errors = [], []
    for index, run in runs:
        outputs = np.stack([data.test_outputs(run, seed) for seed in seeds])
        correct = outputs.argmax(axis=-1) == data.dataset_of(run).test_labels
        text = f"{run.label}: ECE {_error_text(outputs, correct)}"
        if run.result.effective_config().validation:
            tempered = _at_temperature(data, run, seeds, outputs)
            text += f", at a temperature {_error_text(tempered, correct)}"
            of_all = by_confidence(tempered.max(axis=-1).ravel(), correct.ravel())
            filled = of_all.counts >= FEWEST
            colour = style.series_style(index).colour
            top.plot(100 * of_all.confidence[filled], 100 * of_all.accuracy[filled], color=colour, linewidth=0.8)
        errors.append(text)
        handles += _draw_bins(top, bottom, index, outputs.max(axis=-1).ravel(), correct.ravel(), text)
    top.set(ylim=(0, 100), ylabel="accuracy (%)")
    top.grid()
    bottom.set(xlim=(0, 100), xlabel="confidence: the largest output (%)", ylabel="images (%)")
    bottom.set_yscale("log")
    bottom.set_ylim(0.1, 100)
    bottom.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    bottom.grid(axis="y")
    style.legend(figure, handles)
    tempered_line = (
        "The thin line without marks is that of the outputs at a temperature T, softmax(log(outputs) / T), fitted to "
        "the validation images of the seed; the results do not use it. "
        if any(run.result.effective_config().validation for _, run in runs)
        else ""
    )
    pooled = f"{len(seeds)} seeds pooled" if len(seeds) > 1 else f"seed {seeds[0]}"
    return Drawing(
        figure,
        f"Test images by confidence, in {BINS} bins of equal width: above, the share that is classified correctly; "
        f"below, the share of the images; {pooled}. On the grey line accuracy equals confidence; below it the network "
        f"is overconfident. Confidence is the largest output; sigmoid outputs need not sum to 1. {tempered_line}Bins "
        f"with fewer than {FEWEST} images are left out above. "
        "ECE is the expected calibration error in points: the distance from the grey line, averaged over the images"
        + (", mean over seeds with its 95 % interval." if len(seeds) > 1 else "."),
        f"Reliability diagram. Expected calibration error in points: {'; '.join(errors)}.",
    )


def _error_text(outputs: np.ndarray, correct: np.ndarray) -> str:
    """The expected calibration error of outputs ``[S, M, C]``, with its interval over seeds."""
    by_seed = [
        100 * expected_calibration_error(of_seed.max(axis=-1), right)
        for of_seed, right in zip(outputs, correct, strict=True)
    ]
    error = summarize(np.array(by_seed))
    interval = f" ({format_number(error.low, 1)} to {format_number(error.high, 1)})" if error.n > 1 else ""
    return format_number(error.mean, 1) + interval


def _at_temperature(data: FigureData, run: Run, seeds: Sequence[int], outputs: np.ndarray) -> np.ndarray:
    """The outputs, ``[S, M, C]``, at the temperature of each seed's validation images."""
    fitted = [fit_temperature(*data.validation_outputs(run, seed)) for seed in seeds]
    return np.stack([at_temperature(of_seed, t) for of_seed, t in zip(outputs, fitted, strict=True)])


def _draw_bins(
    top: matplotlib.axes.Axes,
    bottom: matplotlib.axes.Axes,
    index: int,
    confidence: np.ndarray,
    correct: np.ndarray,
    label: str,
) -> list[Line2D]:
    series, bins = style.series_style(index), by_confidence(confidence, correct)
    filled = bins.counts >= FEWEST
    line = {"color": series.colour, "linestyle": series.dashes}
    lines = top.plot(
        100 * bins.confidence[filled], 100 * bins.accuracy[filled], marker=series.marker, label=label, **line
    )
    bottom.stairs(
        100 * bins.counts / bins.counts.sum(), np.linspace(0, 100, BINS + 1), linewidth=1.4, baseline=None, **line
    )
    return lines
