"""The figures of images: filters of the first layer, reconstructions, and images with wrong pseudo-labels."""

import math
import textwrap
from typing import NamedTuple

import matplotlib.axes
import numpy as np

from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData, Run
from pljax.report.figures.style import Drawing, count_of
from pljax.report.sentences import format_number, join_names, shorten_name
from pljax.results import trained
from pljax.types import Dataset, InputError

FILTERS = 8  # in a row and in a column
MOST_COLUMNS = 10
MISTAKES = (4, 10)  # rows and columns


def side_of(pixels: int) -> int:
    """The side length of square images of ``pixels`` pixels. Raises ``InputError`` if they are not square."""
    side = math.isqrt(pixels)
    if side * side != pixels:
        raise InputError(f"The images have {pixels} pixels: they are not square.")
    return side


def require_pixels(dataset: Dataset) -> None:
    """Raise ``InputError`` if the features are not pixels from 0 to 255, which alone can be shown."""
    if dataset.train_images.dtype != np.uint8:
        raise InputError(f"The inputs made of {dataset.name} are no pixels.")


def mosaic(tiles: np.ndarray, columns: int) -> np.ndarray:
    """Arrange square tiles, ``[n, D]``, in a grid, with one pixel of NaN between them.

    >>> mosaic(np.arange(3.0)[:, None], columns=2)
    array([[ 0., nan,  1.],
           [nan, nan, nan],
           [ 2., nan, nan]])
    """
    side, rows = side_of(tiles.shape[1]), -(-len(tiles) // columns)
    canvas = np.full((rows, side + 1, columns, side + 1), np.nan)
    for index, tile in enumerate(tiles):
        canvas[index // columns, :side, index % columns, :side] = tile.reshape(side, side)
    return canvas.reshape(rows * (side + 1), columns * (side + 1))[:-1, :-1]


def _show(axes: matplotlib.axes.Axes, picture: np.ndarray, least: float, most: float) -> None:
    axes.imshow(picture, cmap="gray", vmin=least, vmax=most)
    axes.set(xticks=[], yticks=[])
    axes.spines[:].set_visible(False)


def filters(data: FigureData) -> Drawing:
    """Draw the weights from the pixels to the first hidden units, a panel per run."""
    runs, seed = data.valid_runs(), data.seeds[0]
    kernels = []
    for _, run in runs:
        inputs = run.folder.load_inputs()
        if inputs is not None and not inputs[0].image:
            raise InputError(f"The inputs of {run.label} are no pixels.")
        classifier = data.networks(run, seed).classifier
        if "hidden" not in classifier:
            raise InputError(f"{run.label} has no layer of the name hidden.")
        kernels.append(classifier["hidden"]["kernel"])
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
        f"The weights from the pixels to the first {shown} hidden units of seed {seed}, one square per unit. White is "
        "positive, black negative, middle grey is 0. Each square is scaled by its largest absolute weight.",
        f"First-layer filters as grey squares, a panel per run: {join_names(run.label for _, run in runs)}.",
    )


def _scaled(weights: np.ndarray) -> np.ndarray:
    """Divide each filter of ``[n, D]`` by its largest absolute weight."""
    largest = np.abs(weights).max(axis=1, keepdims=True)
    return weights / np.where(largest > 0, largest, 1)


def autoencoder(data: FigureData) -> Drawing:
    """Draw images, the same with noise, and their reconstructions by the first auto-encoder of the runs."""
    seed = data.seeds[0]
    run, networks = _with_autoencoder(data, seed)
    dataset = data.dataset_of(run)
    require_pixels(dataset)
    side_of(dataset.train_images.shape[1])
    rows, kind = one_per_class(networks, dataset)
    pictures = trained.reconstruct(networks, dataset, rows)
    figure = style.new_figure(0.3 + 3 * (style.WIDTH - 0.9) / max(len(rows), 6))
    panels = figure.subplots(3, 1)
    for axes, tiles, name in zip(panels, pictures, ("original", "with noise", "reconstructed"), strict=True):
        _show(axes, mosaic(tiles, len(rows)), 0, 1)
        axes.set_ylabel(name, rotation=0, ha="right", va="center")
    before, after = (np.mean((tiles - pictures.originals) ** 2) ** 0.5 for tiles in pictures[1:])
    used = "was not trained on" if kind == "validation" else "may have been trained on"
    return Drawing(
        figure,
        f"The auto-encoder of {run.label}, seed {seed}, from which the classifier takes its first layer: {kind} "
        "images, one per class, the same images with the noise of its training, and their reconstructions. The "
        f"auto-encoder {used} these images.",
        f"Three rows of {len(rows)} images: originals, with noise, reconstructed. The root mean square distance of a "
        f"pixel from the original, in [0, 1], is {format_number(before)} with noise and {format_number(after)} in the "
        "reconstruction.",
    )


def _with_autoencoder(data: FigureData, seed: int) -> tuple[Run, trained.TrainedNetworks]:
    for _, run in data.valid_runs():
        if any(phase.method.pretrains == trained.AUTOENCODER for phase in run.result.effective_config().phases):
            networks = data.networks(run, seed)
            if trained.AUTOENCODER in networks.pretrained:
                return run, networks
    raise InputError("No run has an auto-encoder.")


def one_per_class(networks: trained.TrainedNetworks, dataset: Dataset) -> tuple[np.ndarray, str]:
    """The index of the first image of each class, and the kind of the images: ``validation`` or ``unlabelled``."""
    parts = trained.split(networks.config, networks.seed, dataset)
    kind = "validation" if len(parts.validation) else "unlabelled"
    candidates = np.asarray(getattr(parts, kind))
    _, first = np.unique(dataset.train_labels[candidates], return_index=True)
    return candidates[first[:MOST_COLUMNS]], kind


class Mistakes(NamedTuple):
    """Unlabelled images that a network classifies wrongly, in the order of falling confidence."""

    rows: np.ndarray  # int [n], indices of training images
    predicted: np.ndarray  # int [n]
    confidence: np.ndarray  # float32 [n]
    unlabelled: int  # the number of all unlabelled images


def find_mistakes(networks: trained.TrainedNetworks, dataset: Dataset) -> Mistakes:
    """Find the unlabelled images that the network of a seed classifies wrongly."""
    rows = np.asarray(trained.split(networks.config, networks.seed, dataset).unlabelled)
    outputs = trained.probabilities(networks, dataset.train_images[rows])
    predicted, confidence = outputs.argmax(axis=1), outputs.max(axis=1)
    wrong = np.nonzero(predicted != dataset.train_labels[rows])[0]
    order = wrong[np.argsort(-confidence[wrong], kind="stable")]
    return Mistakes(rows[order], predicted[order], confidence[order], len(rows))


def mistakes(data: FigureData) -> Drawing:
    """Draw the images with the most confident wrong pseudo-labels, of the last run with pseudo-labels."""
    _, run = data.pseudo_label_runs()[-1]
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
    for axes, row, predicted in zip(panels, found.rows, found.predicted, strict=False):
        _show(axes, dataset.train_images[row].reshape(side, side), 0, 255)
        given, true = (shorten_name(dataset.names[label]) for label in (predicted, dataset.train_labels[row]))
        axes.set_title(f"{given} → {true}", pad=2, parse_math=False)
    for axes in panels[shown:]:
        axes.set_axis_off()
    per_cent = format_number(100 * len(found.rows) / found.unlabelled, 1)
    share = f"{len(found.rows):,} of {found.unlabelled:,} ({per_cent} %)"
    least = math.floor(1000 * float(found.confidence[shown - 1])) / 1000
    return Drawing(
        figure,
        f"The {count_of(shown, 'unlabelled image')} with the most confident wrong pseudo-labels of the final network "
        f"of {run.label}, seed {seed}, in the order of falling confidence: pseudo-label → true class. The output of "
        f"the network for the pseudo-label is at least {format_number(least, 3)}. In all, {share} of the pseudo-labels "
        "are wrong.",
        f"{count_of(shown, 'unlabelled image')} with a wrong pseudo-label; titles give the pseudo-label and the true "
        f"class. In all {share} are wrong.",
    )
