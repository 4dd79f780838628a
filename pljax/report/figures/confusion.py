"""Which class is taken for which."""

import itertools

import matplotlib.axes
import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData
from pljax.report.figures.style import Drawing, counted
from pljax.report.sentences import interval, number, several

MOST_NUMBERS = 20  # classes; with more a confusion matrix has no numbers
ERRORS = LinearSegmentedColormap.from_list("errors", ["#ffffff", "#fdd49e", "#ef6548", "#7f0000"])


def confusion(data: FigureData) -> Drawing:
    """The confusion matrix of the last run, summed over its seeds, in per cent of the images of each class."""
    _, run = data.numbered()[-1]
    matrices = [np.asarray(matrix) for matrix in run.result.confusion if matrix is not None]
    counts = np.sum(matrices, axis=0)
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    classes = len(share)
    errors = np.where(np.eye(classes, dtype=bool), 0, share)
    figure = style.new_figure(5.0)
    figure.set_layout_engine("compressed")
    axes = figure.subplots()
    picture = axes.imshow(errors, cmap=ERRORS, vmin=0, vmax=max(errors.max(), 0.1))
    if classes <= MOST_NUMBERS:
        axes.tick_params(length=0)
        _write_cells(axes, share, errors.max())
        axes.set_xticks(range(classes))
        axes.set_yticks(range(classes))
    axes.spines[:].set_visible(False)
    axes.set_xlabel("class given by the network")
    axes.set_ylabel("true class")
    bar = figure.colorbar(picture, ax=axes, shrink=0.6, aspect=28, label="errors, % of the images of the class")
    bar.outline.set_visible(False)
    worst = np.argsort(-errors, axis=None, kind="stable")[:3]
    named = [f"{truth} as {given} ({number(share[truth, given], 1)} %)" for truth, given in _places(worst, classes)]
    return Drawing(
        figure,
        f"{run.label}, {counted(len(matrices), 'seed')} together: of the test images of a class (row), how many per "
        "cent the network gives each class (column). Colour is for errors alone, the diagonal is what is right; "
        "a cell below 0.05 % is left blank.",
        f"Confusion matrix of {run.label}. Right are {interval(*_ends(share.diagonal()), 1)} per cent of a class. "
        f"The commonest errors: {several(named)}.",
    )


def _ends(values: np.ndarray) -> tuple[float, float]:
    return float(values.min()), float(values.max())


def _places(cells: np.ndarray, classes: int) -> list[tuple[int, int]]:
    return [divmod(int(cell), classes) for cell in cells]


def _write_cells(axes: matplotlib.axes.Axes, share: np.ndarray, most: float) -> None:
    """The number of each cell, in white where the cell is dark."""
    classes = len(share)
    size = min(9.0, 90 / classes)
    for truth, given in itertools.product(range(classes), repeat=2):
        value, right = share[truth, given], truth == given
        if value >= 0.05:
            dark = not right and value > 0.7 * most
            weight = "bold" if right else "normal"
            colour = "white" if dark else style.INK
            axes.text(
                given, truth, f"{value:.1f}", ha="center", va="center", color=colour, fontsize=size, fontweight=weight
            )
