"""Every picture of a comparison: PNG bytes with a caption and a text for those who do not see it."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import matplotlib

from pljax.report.figures import confusion, images, learning_curves, outputs, scores, style
from pljax.report.figures.figure_data import FigureData, Run
from pljax.types import Dataset, InputError


class Figure(NamedTuple):
    """A picture for a page, or the reason that there is none."""

    name: str  # of its file, without the ending
    title: str
    caption: str
    alt: str
    png: bytes | None
    missing: str | None  # one sentence, where there is no picture


# By file name, in the order of the page: the title, and what draws it.
FIGURES: dict[str, tuple[str, Callable[[FigureData], style.Drawing]]] = {
    "scores": ("Test accuracy of every seed", scores.scores),
    "paired": ("The same seed under every run", scores.paired),
    "learning_curves": ("Learning curves", learning_curves.learning_curves),
    "pseudo_labels": ("Pseudo-labels through the epochs", learning_curves.pseudo_labels),
    "confusion": ("Which classes are confused", confusion.confusion),
    "filters": ("What the first layer looks for", images.filters),
    "autoencoder": ("What the auto-encoder restores", images.autoencoder),
    "embedding": ("The network's outputs in the plane", outputs.embedding),
    "reliability": ("Confidence and accuracy", outputs.reliability),
    "mistakes": ("Pseudo-labels that are wrong", images.mistakes),
}


def draw(runs: Sequence[Run], dataset: Dataset | None, why_no_dataset: str | None = None) -> list[Figure]:
    """Every figure of a comparison, in the order of the page; one that lacks its data says why.

    Args:
      runs: at least one, in the order in which they are to be read.
      dataset: the images that they were made on, or ``None``: some figures need them.
      why_no_dataset: a sentence for these.
    """
    data = FigureData(runs, dataset, why_no_dataset)
    return [_draw(name, title, of, data) for name, (title, of) in FIGURES.items()]


def _draw(name: str, title: str, of: Callable[[FigureData], style.Drawing], data: FigureData) -> Figure:
    with matplotlib.rc_context(style.RC):
        try:
            drawing = of(data)
        except InputError as error:
            return Figure(name, title, "", "", None, str(error))
        return Figure(name, title, drawing.caption, drawing.alt, style.to_png(drawing.figure), None)
