"""One picture as numbers: what its file says, its values from 0 to 255, and the colour behind transparent pixels."""

import contextlib
import functools
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pljax.data.text import printable
from pljax.types import InputError

if TYPE_CHECKING:
    from PIL import Image

# Formats of Pillow that are no pictures, need other programs, or have scales that it ignores (FITS).
NOT_READ = ("BUFR", "EPS", "FITS", "GRIB", "HDF5", "IPTC", "MPEG", "PDF", "WMF")
GREY_MODES = ("1", "L", "LA", "La")  # of Pillow, of at most 8 bits
ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")
FLOAT, WIDE = "floating-point numbers", "16 bits a channel"  # kinds of pictures
WHITE = {12: 4095, 16: 65535, 32: 65535}  # by the bits of a grey picture
ORIENTATION, PHOTOMETRIC, SAMPLE_FORMAT = 274, 262, 339  # tags of EXIF and TIFF


class Header(NamedTuple):
    """What a file says of its picture."""

    size: tuple[int, int]
    colour: bool
    alpha: bool  # pixels can be transparent
    frames: bool  # more than one


class Values(NamedTuple):
    """A picture as it is read."""

    bands: list[np.ndarray]  # one or three, [height, width], from 0 to 255; of a FLOAT picture, as they are
    alpha: np.ndarray | None  # [height, width], from 0 to 255; None: nothing is transparent
    kind: str  # FLOAT, WIDE, the bits of grey with more than 8, or "" for most files
    largest: float  # number in the file, of FLOAT and grey with more than 8 bits
    turned: bool = False  # as EXIF says


@functools.cache
def formats() -> dict[str, str]:
    """Return the endings of pictures, in lower case, and Pillow's name of the format of each."""
    from PIL import Image

    Image.init()
    can_open = {*Image.OPEN, "MPO"} - {*NOT_READ}  # MPO: pictures of phones, opened as JPEG
    return {ending.lower(): form for ending, form in Image.registered_extensions().items() if form in can_open}


@functools.cache
def _can_open() -> tuple[str, ...]:
    """Return Pillow's names of the formats of pictures: a file with a wrong ending may have any of them."""
    from PIL import Image

    return tuple(sorted({*formats().values()} & {*Image.OPEN}))


@contextlib.contextmanager
def opened(file: Path) -> "Iterator[Image.Image]":
    """Open a picture. Raises ``InputError`` if the file, or what is done with it, is no picture or too large."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file, formats=_can_open()) as picture:
                yield picture
    except (MemoryError, InputError):
        raise
    except Exception as error:  # Pillow raises many types of exception for a corrupt file
        reason = printable(error).rstrip(".") or type(error).__name__
        raise InputError(f"{file} cannot be read as a picture: {reason}. Save it again, or remove it.") from error


def read_header(file: Path) -> Header:
    """Read what a file says of its picture. Raises ``InputError``."""
    with opened(file) as picture:
        layers = picture.format in ("MPO", "PSD")  # parts of one picture, no frames
        frames = bool(getattr(picture, "is_animated", False)) and not layers
        return Header(picture.size, _has_colour(picture), _has_alpha(picture), frames)


def _has_alpha(picture: "Image.Image") -> bool:
    """Return whether pixels of a picture can be transparent."""
    of_palette = str(getattr(picture.palette, "mode", "")).endswith("A")
    return picture.mode in ALPHA_MODES or "transparency" in picture.info or of_palette


def _raw_mode(picture: "Image.Image") -> str:
    """Return how the pixels lie in the file, such as ``RGB;16B``."""
    tiles = getattr(picture, "tile", None)
    arguments = tiles[0][3] if tiles else ""
    return str(arguments[0] if isinstance(arguments, tuple) and arguments else arguments)


def _has_colour(picture: "Image.Image") -> bool:
    """Return whether a picture is in colour, by its kind; of a palette, the colours that are used count."""
    if picture.mode in ("P", "PA"):
        red, green, blue, alpha = (np.asarray(band) for band in picture.convert("RGBA").split())
        return bool(((red != green) | (green != blue))[alpha > 0].any())
    return (
        picture.mode not in (*GREY_MODES, "F") and picture.mode[0] != "I" and not _raw_mode(picture).startswith("LA;")
    )


def read_values(file: Path, channels: int) -> Values:
    """Read the values of a picture, grey if ``channels`` is 1 and nothing is transparent. Raises ``InputError``."""
    with opened(file) as picture:
        raw, orientation = _raw_mode(picture), _orientation(picture)  # Pillow may forget both when it loads
        tags = getattr(picture, "tag_v2", {})
        # Pillow turns these round only where they have 8 bits.
        inverted = raw in ("I;16", "I;16B", "I;16N") and tags.get(PHOTOMETRIC) == 0
        signed = 2 in np.atleast_1d(tags.get(SAMPLE_FORMAT, 1))
        picture.load()
        if signed and picture.mode == "L" and np.asarray(picture).max() > 127:
            raise ValueError("it has numbers below 0, but pixels of 8 bits are from 0 to 255")
        orientation = max(orientation, _orientation(picture))  # of some PNG, known only now
        upright = picture if picture.format == "TIFF" else _upright(picture, orientation)  # Pillow turns a TIFF itself
        return _values(upright, channels, raw, inverted)._replace(turned=orientation > 1)


def _orientation(picture: "Image.Image") -> int:
    """Return the orientation that EXIF names, from 1 to 8: 1 where there is none."""
    with contextlib.suppress(Exception):  # EXIF of cameras is often not valid: the picture is
        orientation = picture.getexif().get(ORIENTATION)
        if isinstance(orientation, int) and 1 <= orientation <= 8:
            return orientation
    return 1


def _upright(picture: "Image.Image", orientation: int) -> "Image.Image":
    """Return a picture as it is shown, by its orientation."""
    from PIL.Image import Transpose

    steps = {2: "FLIP_LEFT_RIGHT", 3: "ROTATE_180", 4: "FLIP_TOP_BOTTOM", 5: "TRANSPOSE"}
    steps |= {6: "ROTATE_270", 7: "TRANSVERSE", 8: "ROTATE_90"}
    step = steps.get(orientation)
    return picture.transpose(Transpose[step]) if step else picture


def _values(picture: "Image.Image", channels: int, raw: str, inverted: bool) -> Values:
    """Return the values of a loaded picture. Raises ``ValueError`` for numbers that are no pixels."""
    if picture.mode == "F":
        return _float_values(picture)
    if picture.mode.startswith("I"):
        return _whole_values(picture, raw, inverted)
    transparency = picture.info.get("transparency")
    if isinstance(transparency, int) and raw in ("L;2", "L;4"):  # Pillow scales the pixels, but not this
        picture.info["transparency"] = transparency * (85 if raw == "L;2" else 17)
    kind = WIDE if ";16" in raw else ""
    if isinstance(transparency, tuple) and kind:
        picture.info["transparency"] = tuple(value >> 8 for value in transparency)
    if _has_alpha(picture):
        picture = picture.convert("LA" if picture.mode in GREY_MODES else "RGBA")
        *bands, alpha = picture.split()
        if alpha.getextrema() != (255, 255):
            return Values([np.asarray(band) for band in bands], np.asarray(alpha), kind, 0)
    picture = picture.convert("L" if picture.mode in GREY_MODES else "RGB")
    if channels == 1:
        picture = picture.convert("L")
    return Values([np.asarray(band) for band in picture.split()], None, kind, 0)


def _float_values(picture: "Image.Image") -> Values:
    """Return the values of a picture of floating-point numbers as they are."""
    values = np.asarray(picture)
    low, high = float(values.min()), float(values.max())  # NaN if one value is
    if not (low >= 0 and high <= 65535):
        raise ValueError(
            f"it has numbers from {low:g} to {high:g}, but floating-point pixels are from 0 to 1, 255 or 65535"
        )
    return Values([values], None, FLOAT, high)


def _whole_values(picture: "Image.Image", raw: str, inverted: bool) -> Values:
    """Return the values of a grey picture of more than 8 bits."""
    values = np.asarray(picture).astype(np.int32)
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65535:
        raise ValueError(
            f"it has whole numbers from {low} to {high}, but pixels of more than 8 bits are from 0 to 65535"
        )
    bits = next((bits for bits in WHITE if f";{bits}" in raw), 16)
    alpha = None
    if isinstance(transparency := picture.info.get("transparency"), int):
        alpha = np.where(values == transparency, 0, 255) if (values == transparency).any() else None
    if inverted:
        values = WHITE[bits] - values
    return Values([values.astype(np.float32) * 255 / WHITE[bits]], alpha, f"{bits} bits", high)


def blend(values: Values, background: Sequence[int], out: np.ndarray) -> None:
    """Write a picture to ``out``, ``[side, side, channels]``, its transparent pixels blended with ``background``."""
    from PIL import Image

    side, channels = out.shape[1:]
    count = max(channels, len(values.bands))
    behind = background if count == 3 else [_luma(background)]
    planes = (_plane(values, channel, behind[channel]) for channel in range(count))
    for channel, plane in enumerate(planes if count == channels else [_luma(list(planes))]):
        if plane.shape != (side, side):
            plane = np.asarray(Image.fromarray(plane).resize((side, side), Image.Resampling.BICUBIC))
        out[..., channel] = plane


def _plane(values: Values, channel: int, behind: float) -> np.ndarray:
    """Return a channel of a picture, ``[height, width]``, blended with the number ``behind`` it."""
    plane = values.bands[channel % len(values.bands)].astype(np.float32)
    if values.alpha is None:
        return plane
    opacity = values.alpha.astype(np.float32) / 255
    return plane * opacity + np.float32(behind) * (1 - opacity)


def _luma(colours: Sequence[Any]) -> Any:
    """Return the brightness of red, green and blue by ITU-R 601-2, as Pillow does, but not rounded."""
    red, green, blue = colours
    return (299 * red + 587 * green + 114 * blue) / 1000
