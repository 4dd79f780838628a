"""The common style of the figures: sizes, colours that are safe for colour-blind readers, and PNG output."""

import io
import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import matplotlib.figure
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

WIDTH = 7.2  # inches; the report shows a figure 860 pixels wide
DPI = 180
INK, GREY, FAINT = "#222222", "#767676", "#d9d9d9"
WARNING = "#d55e00"
# Colours of Okabe and Ito (2008), in an order of alternating lightness. The number of dashes has no common factor with
# theirs, so that the first 35 runs have different combinations.
COLOURS = ("#000000", "#e69f00", "#0072b2", "#d55e00", "#56b4e9", "#009e73", "#cc79a7")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (6, 1.5, 1.5, 1.5)), (0, (3, 1, 1, 1, 1, 1)))
RC: dict[Any, Any] = {
    "font.size": 9,
    "font.family": ["DejaVu Sans"],
    "axes.labelsize": 9,
    "axes.titlesize": 9,
    "xtick.labelsize": 8.5,
    "ytick.labelsize": 8.5,
    "legend.fontsize": 8.5,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.color": FAINT,
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
}


class Drawing(NamedTuple):
    """A matplotlib figure with its caption and alternative text."""

    figure: matplotlib.figure.Figure
    caption: str
    alt: str


class SeriesStyle(NamedTuple):
    """The colour, marker and dashes of one run, the same in every figure."""

    colour: str
    marker: str
    dashes: Any


def series_style(index: int) -> SeriesStyle:
    """The style of the run with this index.

    >>> series_style(0)[:2], series_style(7)[:2], series_style(0).dashes == series_style(7).dashes
    (('#000000', 'o'), ('#000000', 's'), False)
    """
    marker = MARKERS[(index + index // len(COLOURS)) % len(MARKERS)]  # another one where the colours begin again
    return SeriesStyle(COLOURS[index % len(COLOURS)], marker, DASHES[index % len(DASHES)])


def new_figure(height: float) -> matplotlib.figure.Figure:
    """Make an empty figure of the common width; ``height`` is in inches."""
    layout = ConstrainedLayoutEngine(w_pad=0.04, h_pad=0.04, wspace=0.03, hspace=0.03)
    return matplotlib.figure.Figure(figsize=(WIDTH, height), dpi=DPI, layout=layout)


def to_png(figure: matplotlib.figure.Figure) -> bytes:
    """Render a figure as PNG, in one channel if it has no colours. The same figure gives the same bytes."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())[..., :3]
    grey = (pixels == pixels[..., :1]).all()
    stream = io.BytesIO()
    Image.fromarray(pixels[..., 0] if grey else pixels).save(stream, "png", optimize=True, dpi=(DPI, DPI))
    return stream.getvalue()


def legend(figure: matplotlib.figure.Figure, handles: Sequence[Any]) -> None:
    """Add a legend above the axes, in as many columns as fit. The figure grows with the rows of the legend."""
    for most in range(len(handles), 0, -1):
        rows, columns = grid_of(len(handles), most)
        drawn = figure.legend(handles=handles, loc="outside upper left", ncols=columns)
        if drawn.get_window_extent().width < 0.98 * figure.bbox.width or columns == 1:
            break
        drawn.remove()
    figure.set_figheight(figure.get_figheight() + 0.18 * (rows - 1))


def count_of(count: int, noun: str) -> str:
    """A number with a noun, in the plural if need be.

    >>> count_of(1, "seed"), count_of(5, "seed")
    ('1 seed', '5 seeds')
    """
    return f"{count} {noun}" + ("" if count == 1 else "s")


def grid_of(count: int, columns: int = 4) -> tuple[int, int]:
    """The rows and columns of a grid of ``count`` panels, at most ``columns`` in a row, with rows of similar length.

    >>> [grid_of(count) for count in (1, 4, 5, 6, 12)]
    [(1, 1), (1, 4), (2, 3), (2, 3), (3, 4)]
    """
    rows = math.ceil(count / columns)
    return rows, math.ceil(count / rows)


def limits(values: Sequence[float], least: float, most: float, margin: float = 0.06) -> tuple[float, float]:
    """Axis limits that show the finite ``values`` with a margin, within the possible values, ``least`` to ``most``.

    >>> limits([20.0, float("nan"), 70.0], 0, 100, margin=0.1)
    (15.0, 75.0)
    >>> limits([-5.0, 99.0], 0, 100)
    (0, 100)
    """
    finite = [value for value in values if np.isfinite(value)]
    low, high = min(finite, default=least), max(finite, default=most)
    room = margin * max(high - low, 0.01 * (most - least))
    return max(low - room, least), min(high + room, most)


def spread(places: Sequence[float], gap: float) -> list[float]:
    """Positions of labels that are at least ``gap`` apart and as near as possible to ``places``, in their order.

    >>> spread([3.0, 0.0, 0.5], 1.0)
    [3.0, -0.25, 0.75]
    """
    order = np.argsort(places, kind="stable")
    groups: list[list[float]] = []  # places whose labels touch each other, in order
    for place in np.asarray(places, np.float64)[order]:
        groups.append([float(place)])
        while len(groups) > 1 and _lowest(groups[-1], gap) < _lowest(groups[-2], gap) + len(groups[-2]) * gap:
            last = groups.pop()
            groups[-1] += last
    moved = np.empty(len(places))
    moved[order] = list(
        itertools.chain.from_iterable([_lowest(group, gap) + gap * n for n in range(len(group))] for group in groups)
    )
    return moved.tolist()


def _lowest(group: Sequence[float], gap: float) -> float:
    """The first position of labels that are ``gap`` apart and centred on the mean of their places."""
    return float(np.mean(group)) - gap * (len(group) - 1) / 2
