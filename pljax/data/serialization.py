"""Atomic writing of files, and values as JSON."""

import contextlib
import json
import os
import re
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

PART = ".part"  # the ending of temporary names


@contextlib.contextmanager
def atomic(path: Path) -> Iterator[BinaryIO]:
    """Write a file atomically, as a context manager that gives the stream to write to.

    The content gets a temporary name of its own in the same folder, is flushed to the disk and then renamed. No reader
    sees a part of it, and a crash or a power cut leaves the earlier file or the whole new one. If the block or the disk
    raises an exception, the temporary file is removed and the earlier one stays.
    """
    temporary = path.with_name(f".{secrets.token_hex(8)}{PART}")
    try:
        with temporary.open("xb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            error.filename, error.filename2 = str(path), None  # the user does not know the temporary name
        raise
    _sync_folder(path.parent)


def _sync_folder(path: Path) -> None:
    """Flush the names in a folder to the disk, where the system can: Windows and some file systems cannot."""
    with contextlib.suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write the content of a file atomically: see :func:`atomic`."""
    with atomic(path) as stream:
        stream.write(content.encode() if isinstance(content, str) else content)


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
