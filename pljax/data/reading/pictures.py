"""Rows from a folder of pictures that has a subfolder for each class."""

import hashlib
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pljax.data.reading import labels
from pljax.data.reading.folders import Found, find_pictures
from pljax.data.reading.labels import Labels
from pljax.data.reading.pixels import FLOAT, WHITE, WIDE, Header, blend, formats, read_header, read_values
from pljax.data.reading.rows import Rows, memory_limit
from pljax.data.text import printable, shorten
from pljax.types import InputError, ReadOptions


class _Facts(NamedTuple):
    """What was met in the pictures, in the order of their files."""

    kinds: list[str]
    largest: list[float]
    transparent: int  # how many have transparent pixels
    turned: int  # how many EXIF turns

    def largest_of(self, kind: str) -> float:
        """Return the largest number in pictures of a kind."""
        return max(
            (largest for largest, other in zip(self.largest, self.kinds, strict=True) if other == kind), default=0
        )


def read_pictures(folder: Path, options: ReadOptions) -> Rows:
    """Read all pictures below a folder, resized to squares of one side length.

    The label of a picture is the name of the subfolder that holds it, directly or not; a picture in none has no label.
    Features are pixels from 0 to 255, ``side * side * channels`` of them. These are the rules:

    - Files: those with the ending of a format that Pillow reads (see :mod:`pljax.data.reading.pixels`); of several
      frames or pages, the first.
    - Side: that of the options, else the longer side of most pictures; of equally frequent ones, the middle one.
    - Colour: that of the options, else colour if any file is in colour: one of RGB, CMYK and the like, whatever its
      pixels, or one with a palette that uses a colour; or if transparent pictures lie on a background in colour.
    - Range, by the kind of file: 8 bits as they are, 1 bit as 0 and 255. Grey of 12 and 16 bits is divided by 4095 or
      65535, times 255, with fractions. Of 16 bits in colour, Pillow keeps 8. Floating-point numbers are scaled by the
      largest in the folder: up to 1, times 255; up to 255, as they are; up to 65535, as 16 bits. ``options.white``
      says otherwise: for other rows it is that of the training rows.
    - Transparency: pixels are blended with ``options.background``, with fractions.
    - Orientation: as EXIF says. Other shapes are squashed to a square, by a bicubic filter in float32.

    Raises:
      OSError: the folder cannot be read.
      InputError: it has no pictures, a subfolder without any, or a picture that cannot be read.
    """
    given = options.image or (None, None)
    found = find_pictures(folder, tuple(formats()), layout=given[1] is None)
    colour = options.background or "white"
    background = _background(colour)
    headers = [read_header(file) for file in found.files]
    side, channels = _size(headers, given, background)
    count = len(headers)
    if count * side * side * channels * np.dtype(np.float32).itemsize > memory_limit():
        advice = "--image_size=28" if given[1] is None else "fewer of them at a time"
        raise InputError(f"{folder} has {count} pictures, too many at {side} pixels a side: give {advice}.")
    pixels = np.empty((count, side, side, channels), np.float32)
    facts = _fill(pixels, found.files, background)
    white = options.white or _white_of_floats(facts.largest_of(FLOAT))
    _scale_floats(folder, pixels, facts, white)
    np.clip(pixels, 0, 255, out=pixels)  # a bicubic filter overshoots
    features = pixels.reshape(count, -1)
    of_rows = labels.read(found.classes, options.unlabelled, folder)
    names = tuple(file.relative_to(folder).as_posix() for file in found.files)
    notes = {"pictures": "; ".join(_describe(headers, facts, (side, channels), colour, white, found))}
    if found.passed_over:
        notes["passed over"] = found.passed_over
    said = (*found.warnings, *_warnings(headers, facts, names), *_warn_of_duplicates(features, of_rows, names))
    of_floats = white if FLOAT in facts.kinds else None
    return Rows(features, of_rows, image=(side, channels), white=of_floats, names=names, notes=notes, warnings=said)


def _background(name: str) -> tuple[int, ...]:
    """Return a colour as numbers from 0 to 255. Raises ``InputError``."""
    from PIL import ImageColor

    try:
        red, green, blue, *alpha = ImageColor.getrgb(name.strip())
    except ValueError:
        alpha = [0]
    if alpha not in ([], [255]):
        raise InputError(f"--background is {printable(name)!r}: give a colour, such as white, black or #ff8000.")
    return red, green, blue


def _size(
    headers: Sequence[Header], given: tuple[int | None, int | None], background: Sequence[int]
) -> tuple[int, int]:
    """Return the side length and the channels of all pictures. Raises ``InputError``."""
    side, channels = given
    if side is None:
        side = statistics.median_low(statistics.multimode(max(header.size) for header in headers))
    if channels is None:
        on_colour = len(set(background)) > 1
        channels = 3 if any(header.colour or (header.alpha and on_colour) for header in headers) else 1
    if side < 1 or channels not in (1, 3):
        raise InputError(f"Pictures cannot have side length {side} and {channels} channels: give --image_size=28.")
    return side, channels


def _fill(pixels: np.ndarray, files: Sequence[Path], background: Sequence[int]) -> _Facts:
    """Read the pictures into ``pixels``, ``[n, side, side, channels]``. Raises ``InputError``."""
    kinds, largest, transparent, turned = list[str](), list[float](), 0, 0
    for place, file in enumerate(files):
        values = read_values(file, pixels.shape[-1])
        blend(values, background, pixels[place])
        kinds.append(values.kind)
        largest.append(values.largest)
        transparent += values.alpha is not None
        turned += values.turned
    return _Facts(kinds, largest, transparent, turned)


def _scale_floats(folder: Path, pixels: np.ndarray, facts: _Facts, white: int) -> None:
    """Scale the pictures of floating-point numbers by their white. Raises ``InputError`` for larger numbers."""
    if facts.largest_of(FLOAT) > white:
        raise InputError(
            f"{folder} has pictures of floating-point numbers up to {facts.largest_of(FLOAT):g}, but in those of "
            f"training {white} is white: scale them alike."
        )
    for place, kind in enumerate(facts.kinds):
        if kind == FLOAT and white != 255:
            pixels[place] *= 255
            pixels[place] /= white


def _white_of_floats(largest: float) -> int:
    """Return the number that stands for white in floating-point pictures with this largest number."""
    return next(white for white in (1, 255, 65535) if largest <= white)


def _describe(
    headers: Sequence[Header], facts: _Facts, image: tuple[int, int], background: str, white: int, found: Found
) -> Iterator[str]:
    """Yield what the pictures are and how they were read, in parts of a sentence."""
    side, channels = image
    yield f"{len(headers)} of {side} x {side} pixels, {'grey' if channels == 1 else 'colour'}"
    colour = sum(header.colour for header in headers)
    if colour < len(headers) and channels == 3:
        yield f"{len(headers) - colour} of them are grey"
    if colour and channels == 1:
        yield f"{colour} in colour were made grey"
    if other := sum(header.size != (side, side) for header in headers):
        squashed = sum(header.size[0] != header.size[1] for header in headers)
        yield f"{other} of another size were resized" + (f", {squashed} of them squashed to a square" * bool(squashed))
    for kind, count in sorted(Counter(facts.kinds).items()):
        largest = facts.largest_of(kind)
        if kind == WIDE:
            yield f"{count} of {kind}, of which 8 are kept"
        elif kind:
            becomes_255 = white if kind == FLOAT else WHITE[int(kind.split()[0])]
            scaled = "as they are" if becomes_255 == 255 else f"{becomes_255} becomes 255"
            yield f"{count} of {kind} up to {largest:.6g}, {scaled}"
    if facts.transparent:
        yield f"{facts.transparent} transparent, on {printable(background)}"
    if facts.turned:
        yield f"{facts.turned} turned as EXIF says"
    if loose := found.classes.count(""):
        yield f"{loose} in no class folder, so unlabelled"


def _warnings(headers: Sequence[Header], facts: _Facts, names: Sequence[str]) -> Iterator[str]:
    """Yield a sentence for what pictures may hold that is not read as their author meant it."""
    if framed := [name for name, header in zip(names, headers, strict=True) if header.frames]:
        yield f"pictures with several frames or pages, only the first is read: {len(framed)} ({shorten(framed)})."
    for bits in (16, 32):
        if 0 < (largest := facts.largest_of(f"{bits} bits")) <= WHITE[12]:
            yield (
                f"the {bits}-bit pictures have no value above {largest:.0f}, and white is {WHITE[bits]}: they are read "
                "as dark ones. If white is less, scale them."
            )


def _warn_of_duplicates(pixels: np.ndarray, of_rows: Labels, names: Sequence[str]) -> Iterator[str]:
    """Yield a sentence if all rows of ``pixels`` are the same, else if some are that have different labels."""
    rows_of: defaultdict[bytes, list[int]] = defaultdict(list)
    for row, values in enumerate(pixels):
        rows_of[hashlib.blake2b(values.tobytes(), digest_size=16).digest()].append(row)
    if len(rows_of) == 1 < len(pixels):
        yield f"all {len(pixels)} pictures are the same: there is nothing to learn from them."
        return
    pairs = []
    for rows in rows_of.values():
        first = {of_rows.texts[row]: names[row] for row in reversed(rows) if of_rows.texts[row]}
        pairs += [" and ".join(sorted(first.values())[:2])] if len(first) > 1 else []
    if pairs:
        yield f"the same picture is in the folders of several classes: {shorten(pairs)}."
