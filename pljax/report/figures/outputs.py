"""What the networks answer to test images: their outputs in the plane, and whether confidence can be trusted."""

import os
import textwrap
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

import matplotlib.axes
import numpy as np
from matplotlib import patheffects
from matplotlib.lines import Line2D

from pljax.analysis.stats import summarize
from pljax.report.figures import style
from pljax.report.figures.calibration import BINS, by_confidence, expected_calibration_error
from pljax.report.figures.figure_data import FigureData, Run
from pljax.report.figures.style import Drawing
from pljax.report.sentences import number, several
from pljax.types import InputError

EMBEDDED = 1000  # test images
PERPLEXITY = 30.0
ASPECT = 0.75  # of a panel
FEWEST = 20  # images in a bin whose accuracy is drawn
MOST_SEEDS = 10  # whose outputs are pooled: more change nothing that can be seen
# Tol (2021), "muted", with a dark grey for its light one.
CLASS_COLOURS = (
    "#332288", "#cc6677", "#117733", "#ddcc77", "#88ccee", "#aa4499", "#44aa99", "#882255", "#999933", "#666666",
)  # fmt: skip


def embedding(data: FigureData) -> Drawing:
    """t-SNE of the outputs for the first test images, a panel a run."""
    runs, seed = data.numbered(), data.seeds[0]
    answers = [data.test_outputs(run, seed)[:EMBEDDED] for _, run in runs]
    labels = [data.dataset_of(run).test_labels[:EMBEDDED] for _, run in runs]
    rows, columns = style.grid_of(len(runs), 2 if len(runs) <= 4 else 3)
    figure = style.new_figure(rows * (min(style.WIDTH / columns, 4.6) * ASPECT + 0.25))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    planes = tsne({run.label: answer for (_, run), answer in zip(runs, answers, strict=True)})
    for axes, (_, run), truth in zip(panels, runs, labels, strict=False):
        _draw_plane(axes, planes[run.label], truth)
        axes.set_title("\n".join(textwrap.wrap(run.label, 88 // columns)))
    for axes in panels[len(runs) :]:
        axes.set_axis_off()
    right = [100 * (answer.argmax(axis=1) == truth).mean() for answer, truth in zip(answers, labels, strict=True)]
    told = several(f"{run.label} {number(share, 1)}" for (_, run), share in zip(runs, right, strict=True))
    return Drawing(
        figure,
        f"The outputs of the networks of seed {seed} for the first {len(labels[0]):,} test images, laid into the plane "
        "by t-SNE. A point is an image, its colour the true class, which is written at the point nearest to "
        "their median. Only neighbourhood means something: not axes, not distances between groups.",
        f"t-SNE of network outputs, a panel a run: {several(run.label for _, run in runs)}. Of the images shown the "
        f"networks classify rightly, per cent: {told}.",
    )


def tsne(answers: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Outputs ``[n, C]`` of each run laid into the plane, ``[n, 2]``. Raises ``InputError`` if all of one are alike."""
    from sklearn.manifold import TSNE
    from threadpoolctl import threadpool_limits

    def lay(label: str) -> np.ndarray:
        if not np.ptp(answers[label], axis=0).any():
            raise InputError(f"The network of {label} answers all test images alike.")
        perplexity = min(PERPLEXITY, (len(answers[label]) - 1) / 3)
        return TSNE(init="pca", perplexity=perplexity, random_state=0).fit_transform(answers[label])

    # Runs side by side, a thread each: threads within one wait for each other, minutes where processors are shared.
    with threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(answers, pool.map(lay, answers), strict=True))


def _draw_plane(axes: matplotlib.axes.Axes, places: np.ndarray, truth: np.ndarray) -> None:
    for number_of_class in np.unique(truth):
        of_class = places[truth == number_of_class]
        colour = CLASS_COLOURS[number_of_class % len(CLASS_COLOURS)]
        axes.plot(*of_class.T, "o", color=colour, markersize=2.6, markeredgewidth=0, alpha=0.7)
    for number_of_class in np.unique(truth):
        of_class = places[truth == number_of_class]
        x, y = of_class[np.linalg.norm(of_class - np.median(of_class, axis=0), axis=1).argmin()]
        halo = [patheffects.withStroke(linewidth=2.5, foreground="white")]
        axes.text(
            x, y, str(number_of_class), ha="center", va="center", fontsize=11, fontweight="bold", path_effects=halo
        )
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(True)
    axes.spines[:].set_color(style.FAINT)
    axes.set_box_aspect(ASPECT)


def reliability(data: FigureData) -> Drawing:
    """Accuracy against confidence, and below it how often which confidence is given."""
    runs, seeds = data.numbered(), data.seeds[:MOST_SEEDS]
    figure = style.new_figure(5.2)
    top, bottom = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    top.plot([0, 100], [0, 100], color=style.GREY, linewidth=0.9)
    handles, errors = [], []
    for place, run in runs:
        confidence, correct = _confidence(data, run, seeds)
        of_seeds = [100 * expected_calibration_error(*each) for each in zip(confidence, correct, strict=True)]
        error = summarize(np.array(of_seeds))
        told = number(error.mean, 1) + (f" ± {number(error.sd, 1)}" if error.n > 1 else "")
        errors.append(f"{run.label} {told}")
        handles += _draw_bins(top, bottom, place, confidence.ravel(), correct.ravel(), f"{run.label}: ECE {told}")
    top.set(ylim=(0, 100), ylabel="accuracy (%)")
    top.grid()
    bottom.set(xlim=(0, 100), xlabel="confidence: the largest output (%)", ylabel="images (%)")
    bottom.set_yscale("log")
    bottom.set_ylim(0.1, 100)
    bottom.set_yticks([0.1, 1, 10, 100], ["0.1", "1", "10", "100"])
    bottom.grid(axis="y")
    style.legend(figure, handles)
    pooled = f"{len(seeds)} seeds pooled" if len(seeds) > 1 else f"seed {seeds[0]}"
    return Drawing(
        figure,
        f"Test images by confidence, in {BINS} bins of equal width: how many are classified rightly, and below how "
        f"many there are; {pooled}. On the grey line confidence is what it says; below it the network is too sure. "
        "Confidence is the largest output: of sigmoid outputs each stands for itself, and they need not sum to 1. "
        f"A bin with fewer than {FEWEST} images has no mark. "
        "ECE is the expected calibration error in points: the distance from the line, averaged over the images"
        + (", mean ± SD over seeds." if len(seeds) > 1 else "."),
        f"Reliability diagram. Expected calibration error in points: {several(errors)}.",
    )


def _confidence(data: FigureData, run: Run, seeds: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Confidence float32 and whether the class is right, bool, of each seed and test image: ``[S, M]`` each."""
    answers = np.stack([data.test_outputs(run, seed) for seed in seeds])
    return answers.max(axis=-1), answers.argmax(axis=-1) == data.dataset_of(run).test_labels


def _draw_bins(
    top: matplotlib.axes.Axes,
    bottom: matplotlib.axes.Axes,
    place: int,
    confidence: np.ndarray,
    correct: np.ndarray,
    label: str,
) -> list[Line2D]:
    look, bins = style.look(place), by_confidence(confidence, correct)
    filled = bins.counts >= FEWEST
    drawn = {"color": look.colour, "linestyle": look.dashes}
    lines = top.plot(
        100 * bins.confidence[filled], 100 * bins.accuracy[filled], marker=look.marker, label=label, **drawn
    )
    bottom.stairs(
        100 * bins.counts / bins.counts.sum(), np.linspace(0, 100, BINS + 1), linewidth=1.4, baseline=None, **drawn
    )
    return lines
