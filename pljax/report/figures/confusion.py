"""The figure of the confusion matrix."""

import itertools
from typing import Any

import matplotlib.axes
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData
from pljax.report.figures.style import Drawing, count_of
from pljax.report.sentences import format_interval, format_number, join_names, shorten_name

MOST_CLASSES = 20  # with numbers in the cells
ERRORS = LinearSegmentedColormap.from_list("errors", ["#ffffff", "#fdd49e", "#ef6548", "#7f0000"])


def confusion(data: FigureData) -> Drawing:
    """Draw the confusion matrix of the last run, summed over its seeds, in per cent of the images of each class."""
    _, run = data.valid_runs()[-1]
    matrices = [np.asarray(matrix) for matrix in run.result.confusion if matrix is not None]
    counts = np.sum(matrices, axis=0)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = len(share)
    names = run.result.dataset.get("classes") or list(map(str, range(classes)))
    errors = np.where(np.eye(classes, dtype=bool), 0, share)
    figure = style.new_figure(5.0)
    figure.set_layout_engine("compressed")
    axes = figure.subplots()
    picture = axes.imshow(errors, cmap=ERRORS, vmin=0, vmax=max(errors.max(), 0.1))
    if classes <= MOST_CLASSES:
        axes.tick_params(length=0)
        _write_cells(axes, share, errors.max())
        short = [shorten_name(name) for name in names]
        axes.set_xticks(range(classes), short, rotation=90 if max(map(len, short)) > 2 else 0, parse_math=False)
        axes.set_yticks(range(classes), short, parse_math=False)
    axes.spines[:].set_visible(False)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    bar = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=28, label="errors, % of the images of the class")
    bar.outline.set_visible(False)
    worst = [divmod(int(cell), classes) for cell in np.argsort(-errors, axis=None, kind="stable")[:3]]
    named = [
        f"{names[truth]} as {names[predicted]} ({format_number(errors[truth, predicted], 1)} %)"
        for truth, predicted in worst
        if errors[truth, predicted]
    ]
    mistakes = f"The most frequent errors: {join_names(named)}." if named else "There are no errors."
    correct = share.diagonal()[counts.sum(axis=1) > 0]  # of the classes that have test images
    return Drawing(
        figure,
        f"{run.label}, sum of {count_of(len(matrices), 'seed')}: the share of the test images of a class (row) that "
        "are classified as each class (column), in per cent. Only errors are coloured; the diagonal is the share that "
        "is correct. Cells below 0.05 % are blank.",
        f"Confusion matrix of {run.label}. Of the images of a class, "
        f"{format_interval(float(correct.min()), float(correct.max()), 1)} per cent are classified correctly. "
        f"{mistakes}",
    )


def _write_cells(axes: matplotlib.axes.Axes, share: np.ndarray, most: float) -> None:
    """Write the number of each cell, in white on a dark cell."""
    classes = len(share)
    size = min(9.0, 90 / classes)
    for truth, predicted in itertools.product(range(classes), repeat=2):
        value, correct = share[truth, predicted], truth == predicted
        if value >= 0.05:
            dark = not correct and value > 0.7 * most
            font: dict[str, Any] = {"fontsize": size, "fontweight": "bold" if correct else "normal"}
            colour = "white" if dark else style.INK
            axes.text(predicted, truth, f"{value:.1f}", ha="center", va="center", color=colour, **font)
