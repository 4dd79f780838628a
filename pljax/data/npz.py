"""Safe reading of the ``.npz`` files that :func:`numpy.savez` writes."""

import math
import zipfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import IO, NamedTuple, TypeVar

import numpy as np
import numpy.lib.format as npy

_ZIP_MAGIC = b"PK\x03\x04"
NUMBERS, TEXTS = "biuf", "US"  # kinds of dtypes

T = TypeVar("T")


class Header(NamedTuple):
    """The header of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype
    fortran_order: bool


def array_headers(path: Path) -> dict[str, Header]:
    """Read the headers of the arrays in an untrusted ``.npz`` file, by name. Nothing else is unpacked.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not a file that :func:`numpy.savez` writes.
    """

    def read(archive: zipfile.ZipFile) -> dict[str, Header]:
        headers = {}
        for member in archive.infolist():
            with archive.open(member) as stream:
                headers[_name(member)] = _read_header(stream)
        return headers

    return _with_archive(path, read)


def read_arrays(
    path: Path, most: int | None = None, *, only: Collection[str] | None = None, kinds: str = NUMBERS
) -> dict[str, np.ndarray]:
    """Read the arrays of an untrusted ``.npz`` file, by name. The arrays are read-only.

    Nothing is unpickled. The size of each array must be that in its header.

    Args:
      path: the file.
      most: the most bytes that they may unpack to; ``None``: its own size, for files that are not compressed.
      only: the names of the arrays to read; ``None``: all.
      kinds: the kinds of dtypes to allow, for example those of ``NUMBERS`` and ``TEXTS``.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not a file that :func:`numpy.savez` writes for such arrays.
    """
    most = path.stat().st_size if most is None else most

    def read(archive: zipfile.ZipFile) -> dict[str, np.ndarray]:
        members = [member for member in archive.infolist() if only is None or _name(member) in only]
        if sum(member.file_size for member in members) > most:
            raise ValueError(f"it unpacks to more than {most:,} bytes")
        return {_name(member): _read(archive, member, kinds) for member in members}

    return _with_archive(path, read)


def _with_archive(path: Path, read: Callable[[zipfile.ZipFile], T]) -> T:
    """Return what ``read`` makes of the archive. Raises ``ValueError`` for one that is corrupt or not of arrays."""
    with path.open("rb") as stream:
        try:
            if stream.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:  # zipfile would accept other bytes before the archive
                raise ValueError("it does not begin as one")
            with zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
                if len({member.filename for member in members}) < len(members):
                    raise ValueError("it has two arrays of one name")
                if not {member.compress_type for member in members} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise ValueError("it is packed in another way")
                return read(archive)
        except Exception as error:  # zipfile raises many types of exception for a corrupt archive
            raise ValueError(f"it is no file of arrays, {error}") from error


def _name(member: zipfile.ZipInfo) -> str:
    return member.filename.removesuffix(".npy")


def _read_header(stream: IO[bytes]) -> Header:
    read = npy.read_array_header_1_0 if npy.read_magic(stream) == (1, 0) else npy.read_array_header_2_0
    shape, fortran_order, dtype = read(stream)
    return Header(shape, dtype, fortran_order)


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kinds: str) -> np.ndarray:
    """One array. No more is unpacked than the sizes of the archive allow."""
    with archive.open(member) as stream:
        shape, dtype, fortran_order = _read_header(stream)
        if dtype.kind not in kinds:
            raise ValueError("what is in it is no array of numbers" + (" or texts" if "U" in kinds else ""))
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - stream.tell():
            raise ValueError("an array in it is longer or shorter than its header says")
        return np.ndarray(shape, dtype, stream.read(size), order="F" if fortran_order else "C")
