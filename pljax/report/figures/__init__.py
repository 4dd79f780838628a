"""The figures of a report: PNG bytes with a caption and an alternative text."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib

from pljax.report.figures import confusion, images, learning_curves, outputs, scores, style
from pljax.report.figures.figure_data import FigureData, Run
from pljax.types import Dataset, InputError


class Figure(NamedTuple):
    """A figure of the report, or the reason why it could not be drawn."""

    name: str  # of its file, without the extension
    title: str
    caption: str
    alt: str
    png: bytes | None
    missing: str | None  # the reason, one sentence, if there is no picture


# By file name, in the order of the report: the title, and the function that draws the figure.
FIGURES: dict[str, tuple[str, Callable[[FigureData], style.Drawing]]] = {
    "scores": ("Test accuracy of every seed", scores.scores),
    "paired": ("Test accuracy of every seed, run by run", scores.paired),
    "learning_curves": ("Learning curves", learning_curves.learning_curves),
    "loss_terms": ("Terms of the losses", learning_curves.loss_terms),
    "pseudo_labels": ("Pseudo-labels by epoch", learning_curves.pseudo_labels),
    "confusion": ("Confusion matrix", confusion.confusion),
    "filters": ("Filters of the first layer", images.filters),
    "autoencoder": ("Reconstructions of the auto-encoder", images.autoencoder),
    "embedding": ("Outputs of the networks in two dimensions", outputs.embedding),
    "reliability": ("Confidence and accuracy", outputs.reliability),
    "mistakes": ("Wrong pseudo-labels", images.mistakes),
}


def draw(runs: Sequence[Run], dataset: Dataset | None, why_no_dataset: str | None = None) -> list[Figure]:
    """Draw every figure of a comparison, in the order of the report. A figure that lacks its data has the reason.

    Args:
      runs: at least one, in the order of the comparison.
      dataset: the images of the runs, or ``None``. Some figures need them.
      why_no_dataset: the reason, one sentence, why there is no data set.
    """
    data = FigureData(runs, dataset, why_no_dataset)
    return [_draw(name, title, function, data) for name, (title, function) in FIGURES.items()]


def _draw(name: str, title: str, function: Callable[[FigureData], style.Drawing], data: FigureData) -> Figure:
    with matplotlib.rc_context(style.RC):
        try:
            drawing = function(data)
        except InputError as error:
            return Figure(name, title, "", "", None, str(error))
        return Figure(name, title, drawing.caption, drawing.alt, style.to_png(drawing.figure), None)
