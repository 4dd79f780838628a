"""Files of JSON and of arrays: atomic writes, and safe reading of ``.npz`` files."""

import json
import math
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.lib.format as npy


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file atomically, under a temporary name that is then renamed: no reader sees a part of it."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)


def without_nan(value: Any) -> Any:
    """Convert ``value`` to JSON values: arrays become lists, and numbers that are not finite ``None``.

    A float32 becomes the shortest decimal number that rounds to it.

    >>> without_nan({"a": np.array([0.1, np.nan], np.float32)})
    {'a': [0.1, None]}
    """
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        short = value.astype(str).astype(np.float64) if value.dtype == np.float32 else value
        return without_nan(short.tolist())
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


_INNERMOST_LIST = re.compile(r"\[\n([^\[\]{}]+)\n *\]")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as a JSON file, atomically, with innermost lists on one line."""
    text = json.dumps(without_nan(value), indent=1, allow_nan=False)
    on_one_line = _INNERMOST_LIST.sub(lambda found: "[" + re.sub(r"\n *", " ", found[1].strip()) + "]", text)
    write_whole(path, on_one_line + "\n")


_ZIP_MAGIC = b"PK\x03\x04"
_NUMBERS, _TEXTS = "biuf", "U"  # kinds of dtypes


def read_arrays(path: Path, most: int | None = None, *, texts: bool = False) -> dict[str, np.ndarray]:
    """Read the arrays of an untrusted ``.npz`` file, by name. The arrays are read-only.

    Nothing is unpickled. The size of each array must be that in its header.

    Args:
      path: the file.
      most: the most bytes that it may unpack to; ``None``: its own size, for files that are not compressed.
      texts: allow arrays of strings, beside those of numbers.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not a file that :func:`numpy.savez` writes for such arrays.
    """
    with path.open("rb") as stream:
        try:
            if stream.read(len(_ZIP_MAGIC)) != _ZIP_MAGIC:  # zipfile would accept other bytes before the archive
                raise ValueError("it does not begin as one")
            with zipfile.ZipFile(stream) as archive:
                members = archive.infolist()
                most = path.stat().st_size if most is None else most
                if sum(member.file_size for member in members) > most:
                    raise ValueError(f"it unpacks to more than {most:,} bytes")
                if len({member.filename for member in members}) < len(members):
                    raise ValueError("it has two arrays of one name")
                if not {member.compress_type for member in members} <= {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                    raise ValueError("it is packed in another way")
                kinds = _NUMBERS + _TEXTS if texts else _NUMBERS
                return {member.filename.removesuffix(".npy"): _read(archive, member, kinds) for member in members}
        except Exception as error:  # zipfile raises many types of exception for a corrupt archive
            raise ValueError(f"it is no file of arrays, {error}") from error


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, kinds: str) -> np.ndarray:
    """One array. No more is unpacked than the sizes of the archive allow."""
    with archive.open(member) as stream:
        if npy.read_magic(stream) == (1, 0):
            shape, fortran_order, dtype = npy.read_array_header_1_0(stream)
        else:
            shape, fortran_order, dtype = npy.read_array_header_2_0(stream)
        if dtype.kind not in kinds:
            raise ValueError("what is in it is no array of numbers" + (" or texts" if _TEXTS in kinds else ""))
        size = math.prod(shape) * dtype.itemsize
        if size != member.file_size - stream.tell():
            raise ValueError("an array in it is longer or shorter than its header says")
        return np.ndarray(shape, dtype, stream.read(size), order="F" if fortran_order else "C")
