"""Rows from a folder of pictures that has a subfolder for each class."""

import warnings
from pathlib import Path
from typing import Any

import numpy as np

from pljax.data.rows import ReadOptions, Rows, label_text, memory_limit, printable, shorten
from pljax.types import InputError

PICTURE_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
GRAY_MODES = ("1", "L", "LA")  # Pillow's modes for pictures without colours, of at most 8 bits


def read_pictures(folder: Path, options: ReadOptions) -> Rows:
    """Read all pictures below a folder, resized to squares of one side length.

    The label of a picture is the name of the subfolder that holds it, directly or not. Features are pixels from 0 to
    255, ``side * side * channels`` of them; without options, the first picture says how many.

    Raises:
      OSError: the folder cannot be read.
      InputError: it has no pictures, an empty subfolder, or a picture that cannot be read.
    """
    files = sorted(file for file in folder.rglob("*") if file.suffix.lower() in PICTURE_SUFFIXES and file.is_file())
    if not files:
        raise InputError(
            f"{folder} has no pictures ({', '.join(PICTURE_SUFFIXES)}): give a folder with a folder for each class."
        )
    classes = [file.relative_to(folder).parts[0] if file.parent != folder else "" for file in files]
    if empty := [path.name for path in sorted(folder.iterdir()) if path.is_dir() and path.name not in classes]:
        raise InputError(f"{folder} has no pictures of {shorten(empty)}: fill or remove the folder.")
    side, channels = _size(files[0], options)
    if len(files) * side * side * channels * np.dtype(np.float32).itemsize > memory_limit():
        raise InputError(f"{folder} has {len(files)} pictures, too many at {side} pixels a side: give --image_size=28.")
    pixels = np.empty((len(files), side * side * channels), np.float32)
    for row, file in enumerate(files):
        picture = _open(file).convert("L" if channels == 1 else "RGB").resize((side, side))
        pixels[row] = np.asarray(picture, np.float32).ravel()
    names = tuple(file.relative_to(folder).as_posix() for file in files)
    return Rows(pixels, [label_text(name) for name in classes], image=(side, channels), names=names)


def _size(first: Path, options: ReadOptions) -> tuple[int, int]:
    """Return the side length and the channels of all pictures: those of the options, else of the first picture."""
    side, channels = options.image or (None, None)
    picture = _open(first)
    side = max(picture.size) if side is None else side
    channels = channels or (1 if picture.mode in GRAY_MODES else 3)
    if side < 1 or channels not in (1, 3):
        raise InputError(f"Pictures cannot have side length {side} and {channels} channels: give --image_size=28.")
    return side, channels


def _open(file: Path) -> Any:
    """Return a picture in gray or colours of 8 bits. Raises ``InputError`` if the file is no picture or too large."""
    from PIL import Image

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            with Image.open(file) as picture:
                picture.load()
            if picture.mode.startswith("I"):  # 16 bits: Pillow's conversion would clip them at 255
                return Image.fromarray((np.asarray(picture) / 257).clip(0, 255).astype(np.uint8))
            return picture if picture.mode in (*GRAY_MODES, "RGB") else picture.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # Pillow raises many types of exception for a corrupt file
        raise InputError(f"{file} cannot be read as a picture: {printable(error)}.") from error
