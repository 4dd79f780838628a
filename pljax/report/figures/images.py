"""Images among the numbers: filters of the first layer, reconstructions, and pseudo-labels that are wrong."""

import math
import textwrap
from typing import NamedTuple

import matplotlib.axes
import numpy as np

from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData, Run
from pljax.report.figures.style import Drawing, counted
from pljax.report.sentences import number, several
from pljax.results import trained
from pljax.types import Dataset, InputError

FILTERS = 8  # a side
MOST_COLUMNS = 10
MISTAKES = (4, 10)


def side_of(pixels: int) -> int:
    """The side of square images of so many pixels. Raises ``InputError`` if they are not square."""
    side = math.isqrt(pixels)
    if side * side != pixels:
        raise InputError(f"The images have {pixels} pixels: they are not square.")
    return side


def require_pixels(dataset: Dataset) -> None:
    """Raise ``InputError`` for features that are no pixels, or are not as they were: they cannot be shown."""
    if dataset.train_images.dtype != np.uint8:
        raise InputError(f"The inputs made of {dataset.name} are no pixels.")


def mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Square tiles, ``[n, D]``, beside and below each other, a pixel of NaN between them.

    >>> mosaic(np.arange(3.0)[:, None], columns=2)
    array([[ 0., nan,  1.],
           [nan, nan, nan],
           [ 2., nan, nan]])
    """
    side, rows = side_of(tiles.shape[1]), -(-len(tiles) // columns)
    canvas = np.full((rows, side + 1, columns, side + 1), np.nan)
    for place, tile in enumerate(tiles):
        canvas[place // columns, :side, place % columns, :side] = tile.reshape(side, side)
    return canvas.reshape(rows * (side + 1), columns * (side + 1))[:-1, :-1]


def _show(axes: matplotlib.axes.Axes, picture: np.ndarray, least: float, most: float) -> None:
    axes.imshow(picture, cmap="gray", vmin=least, vmax=most)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def filters(data: FigureData) -> Drawing:
    """The weights from the pixels to the first hidden units, a panel a run."""
    runs, seed = data.numbered(), data.seeds[0]
    for _, run in runs:
        inputs = run.folder.load_inputs()
        if inputs is not None and not inputs[0].image:
            raise InputError(f"The inputs of {run.label} are no pixels.")
    kernels = [data.networks(run, seed).classifier["hidden"]["kernel"] for _, run in runs]
    pictures = [mosaic(_scaled(kernel[:, : FILTERS**2].T), FILTERS) for kernel in kernels]
    rows, columns = style.grid_of(len(runs))
    figure = style.new_figure(min(style.WIDTH / columns, 3.0) * rows + 0.3 * rows)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, (_, run), picture in zip(panels, runs, pictures, strict=False):
        _show(axes, picture, -1, 1)
        axes.set_title("\n".join(textwrap.wrap(run.label, 88 // columns)))
    for axes in panels[len(runs) :]:
        axes.set_axis_off()
    shown = min(FILTERS**2, *(kernel.shape[1] for kernel in kernels))
    return Drawing(
        figure,
        f"The weights from the pixels to the first {shown} hidden units of seed {seed}, a square a unit. White is "
        "positive, black negative, middle grey is 0; each square has a scale of its own, from minus to plus its "
        "largest weight.",
        f"First-layer filters as grey squares, a panel a run: {several(run.label for _, run in runs)}.",
    )


def _scaled(weights: np.ndarray) -> np.ndarray:
    """Filters ``[n, D]``, each divided by its largest absolute weight."""
    largest = np.abs(weights).max(axis=1, keepdims=True)
    return weights / np.where(largest > 0, largest, 1)


def autoencoder(data: FigureData) -> Drawing:
    """Images, the same with noise, and what the auto-encoder of the first run that has one makes of them."""
    seed = data.seeds[0]
    run, networks = _with_autoencoder(data, seed)
    dataset = data.dataset_of(run)
    require_pixels(dataset)
    side_of(dataset.train_images.shape[1])
    rows, kind = one_a_class(networks, dataset)
    pictures = trained.reconstruct(networks, dataset, rows)
    figure = style.new_figure(0.3 + 3 * (style.WIDTH - 0.9) / max(len(rows), 6))
    panels = figure.subplots(3, 1)
    for axes, tiles, name in zip(panels, pictures, ("original", "with noise", "restored"), strict=True):
        _show(axes, mosaic(tiles, len(rows)), 0, 1)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    before, after = (np.mean((tiles - pictures.originals) ** 2) ** 0.5 for tiles in pictures[1:])
    met = "was trained on none of" if kind == "validation" else "may have been trained on"
    return Drawing(
        figure,
        f"The auto-encoder of {run.label}, seed {seed}, which the classifier's first layer comes from: {kind} images, "
        "one a class, the same with the noise of its training, and what it restores. "
        f"It {met} these images.",
        f"Three rows of {len(rows)} images: originals, with noise, restored. The root mean square distance of a "
        f"pixel from the original, in [0, 1], is {number(before)} with noise and {number(after)} restored.",
    )


def _with_autoencoder(data: FigureData, seed: int) -> tuple[Run, trained.Networks]:
    for _, run in data.numbered():
        if any(phase.method.pretrains == trained.AUTOENCODER for phase in run.result.effective_config().phases):
            networks = data.networks(run, seed)
            if trained.AUTOENCODER in networks.pretrained:
                return run, networks
    raise InputError("No run has kept an auto-encoder.")


def one_a_class(networks: trained.Networks, dataset: Dataset) -> tuple[np.ndarray, str]:
    """The first validation image of each class, or the first unlabelled one, and which of the two."""
    parts = trained.split(networks, dataset)
    kind = "validation" if len(parts.validation) else "unlabelled"
    candidates = np.asarray(getattr(parts, kind))
    _, first = np.unique(dataset.train_labels[candidates], return_index=True)
    return candidates[first[:MOST_COLUMNS]], kind


class Mistakes(NamedTuple):
    """Unlabelled images that a network classifies wrongly, the most confident first."""

    rows: np.ndarray  # int [n], indices of training images
    given: np.ndarray  # int [n]
    confidence: np.ndarray  # float32 [n]
    among: int  # unlabelled images


def find_mistakes(networks: trained.Networks, dataset: Dataset) -> Mistakes:
    """All unlabelled images whose pseudo-label is wrong."""
    rows = np.asarray(trained.split(networks, dataset).unlabelled)
    answers = trained.probabilities(networks, dataset.train_images[rows])
    given, confidence = answers.argmax(axis=1), answers.max(axis=1)
    wrong = np.nonzero(given != dataset.train_labels[rows])[0]
    order = wrong[np.argsort(-confidence[wrong], kind="stable")]
    return Mistakes(rows[order], given[order], confidence[order], len(rows))


def mistakes(data: FigureData) -> Drawing:
    """The wrong pseudo-labels that the last run with pseudo-labels is surest of."""
    _, run = data.with_pseudo_labels()[-1]
    seed, dataset = data.seeds[0], data.dataset_of(run)
    require_pixels(dataset)
    side = side_of(dataset.train_images.shape[1])
    found = find_mistakes(data.networks(run, seed), dataset)
    if not len(found.rows):
        raise InputError(f"No pseudo-label of {run.label}, seed {seed}, is wrong.")
    rows, columns = MISTAKES
    shown = min(rows * columns, len(found.rows))
    rows = -(-shown // columns)
    figure = style.new_figure(rows * (style.WIDTH / columns + 0.2))
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for axes, row, given in zip(panels, found.rows, found.given, strict=False):
        _show(axes, dataset.train_images[row].reshape(side, side), 0, 255)
        axes.set_title(f"{given} → {dataset.train_labels[row]}", pad=2)
    for axes in panels[shown:]:
        axes.set_axis_off()
    share = f"{len(found.rows):,} of {found.among:,} ({number(100 * len(found.rows) / found.among, 1)} %)"
    least = math.floor(1000 * float(found.confidence[shown - 1])) / 1000
    return Drawing(
        figure,
        f"The {counted(shown, 'unlabelled image')} whose wrong pseudo-label the final network of {run.label}, seed "
        f"{seed}, is surest of, in reading order: pseudo-label → true class. Its output for that label is at least "
        f"{number(least, 3)}. In all, {share} of the pseudo-labels are wrong.",
        f"{counted(shown, 'unlabelled image')} with a wrong pseudo-label, titled with it and with the true class. In "
        f"all {share} are wrong.",
    )
