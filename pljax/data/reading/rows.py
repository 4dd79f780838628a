"""The rows of a file or folder of custom data."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from pljax.data.free_memory import free_memory
from pljax.data.reading.labels import Labels

NO_NOTES: Mapping[str, str] = MappingProxyType({})


class Rows(NamedTuple):
    """The features and labels of a file or folder, ``n`` rows of ``D`` features."""

    features: np.ndarray  # numbers of any type [n, D]
    labels: Labels | None  # of n rows; None: the file has no labels
    columns: tuple[str, ...] = ()  # [D], the names of the columns of a table
    image: tuple[int, int] | None = None  # side length in pixels, and channels, of pictures
    white: int | None = None  # the number for white in pictures of floating-point numbers; None: there are none
    names: tuple[str, ...] = ()  # [n], the paths of pictures, relative to their folder
    notes: Mapping[str, str] = NO_NOTES  # what was read and how, by heading
    warnings: tuple[str, ...] = ()  # what may not be as its author meant it


def memory_limit() -> int:
    """Return the bytes that the content of a file may take: half of the free memory, because it is copied once."""
    return free_memory() // 2
