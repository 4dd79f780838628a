"""Values and texts on their way to disk and back: plain JSON, arrays, files that are whole or not there at all."""

import json
import math
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, then rename: a reader meets the old file or the new one, never a part."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)


def without_nan(value: Any) -> Any:
    """``value`` with arrays as lists and numbers that are not finite as ``None``, which JSON can hold.

    A float32 becomes the shortest decimal number that stands for it.

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
    """Write ``value`` whole, innermost lists on one line."""
    text = json.dumps(without_nan(value), indent=1, allow_nan=False)
    on_one_line = _INNERMOST_LIST.sub(lambda found: "[" + re.sub(r"\n *", " ", found[1].strip()) + "]", text)
    write_whole(path, on_one_line + "\n")


_ZIP = b"PK\x03\x04"
# The header of an array of numbers as np.savez writes it.
_NPY = re.compile(
    rb"\x93NUMPY\x01\x00..\{'descr': '([<>|](?:[iuf]\d|b1))', "
    rb"'fortran_order': (True|False), 'shape': \(([\d, ]*)\), \} *\n",
    re.DOTALL,
)
_NPY_OF_TEXTS = re.compile(_NPY.pattern.replace(rb"b1", rb"b1|U[1-9]\d{0,3}"), re.DOTALL)


def read_arrays(path: Path, most: int | None = None, *, texts: bool = False) -> dict[str, np.ndarray]:
    """The arrays of an ``.npz`` file, by name; they cannot be written to.

    Nothing is believed and nothing is unpickled: the file is to unpack to no more than ``most`` bytes, its own
    size if not given, and each array to have the bytes that its header says. Arrays are of numbers, or of ``texts``
    too.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is not what :func:`numpy.savez` makes of arrays of numbers.
    """
    with path.open("rb") as stream:
        try:
            if stream.read(len(_ZIP)) != _ZIP:  # zipfile would look for the archive behind it
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
                form = _NPY_OF_TEXTS if texts else _NPY
                return {
                    member.filename.removesuffix(".npy"): _array(_unpack(archive, member), form) for member in members
                }
        except Exception as error:  # a rotten archive can fail in any way
            raise ValueError(f"it is no file of arrays, {error}") from error


def _unpack(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> bytes:
    with archive.open(member) as stream:
        return stream.read(member.file_size + 1)  # a bare read() unpacks all there is before it looks at the size


def _array(content: bytes, form: re.Pattern[bytes]) -> np.ndarray:
    header = form.match(content)
    if header is None:
        raise ValueError("what is in it is no array of numbers" + ("" if form is _NPY else " or texts"))
    dtype, shape = np.dtype(header[1].decode()), [int(size) for size in header[3].split(b",") if size.strip()]
    if math.prod(shape) * dtype.itemsize != len(content) - header.end():
        raise ValueError("an array in it is longer or shorter than its header says")
    return np.ndarray(shape, dtype, content, header.end(), order="F" if header[2] == b"True" else "C")
