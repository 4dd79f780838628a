"""Checkpoints: named arrays and plain JSON values in a folder, verified by a digest when they are read.

Orbax writes them. It restores a checkpoint with a flipped byte without an error, hence the digest.
"""

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp

from pljax.types import InputError

KEPT = 2

Arrays = dict[str, np.ndarray]
Facts = dict[str, Any]


class Checkpoints:
    """The last ``KEPT`` checkpoints in a folder. They are written in the background; :meth:`close` waits for that."""

    def __init__(self, path: Path):
        self._path = path.absolute()
        self._manager: ocp.CheckpointManager | None = None

    def save(self, number: int, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Save ``arrays`` and ``facts`` (plain JSON values) as the checkpoint ``number``.

        ``number`` must be larger than those before. Raises ``InputError`` if the disk cannot be written; the earlier
        checkpoints are then kept.
        """
        metadata: dict[str, Any] = {
            "facts": dict(facts),
            "arrays": {name: [list(array.shape), array.dtype.str] for name, array in arrays.items()},
        }
        metadata["digest"] = digest(metadata, arrays)
        stored = {name: array for name, array in arrays.items() if array.size}  # Orbax refuses empty arrays
        try:
            # The keywords are the names of the items on the disk.
            items = ocp.args.Composite(arrays=ocp.args.StandardSave(stored), told=ocp.args.JsonSave(metadata))
            self._open().save(number, args=items)
        except Exception as error:  # Orbax has no exceptions of its own: even a full disk raises a ValueError
            raise _cannot_write(self._path, error) from error

    def restore(self, say: Callable[[str], None]) -> tuple[Arrays, Facts] | None:
        """The newest checkpoint that can be read, or ``None``. Corrupt ones are reported with ``say`` and removed."""
        for number in sorted(self._numbers(), reverse=True):
            try:
                return self._read(number)
            except Exception as error:  # a corrupt file can raise anything
                say(f"The checkpoint {self._path / str(number)} is corrupt ({_in_short(error)}) and is removed.")
                shutil.rmtree(self._path / str(number), ignore_errors=True)
                self._manager = None
        return None

    def close(self) -> None:
        """Wait until everything is on the disk. Raises ``InputError`` if the disk cannot be written."""
        if self._manager is None:
            return
        try:
            self._manager.wait_until_finished()
            self._manager.close()
        except Exception as error:
            raise _cannot_write(self._path, error) from error
        finally:
            self._manager = None

    def remove(self) -> None:
        """Remove all checkpoints."""
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            self._path.mkdir(parents=True, exist_ok=True)
            options = ocp.CheckpointManagerOptions(
                max_to_keep=KEPT,
                create=False,
                multiprocessing_options=_this_process_only(),
                # Orbax announces a folder that is created in the background to all processes, under a number that each
                # process counts for itself: a process would take another one's announcement for its own.
                async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
            )
            self._manager = ocp.CheckpointManager(self._path, options=options)
        return self._manager

    def _numbers(self) -> list[int]:
        """The numbers of the complete checkpoints. Orbax gives an unfinished one a temporary name."""
        return [int(path.name) for path in self._path.glob("*") if path.name.isdecimal()]

    def _read(self, number: int) -> tuple[Arrays, Facts]:
        metadata = self._open().restore(number, args=ocp.args.Composite(told=ocp.args.JsonRestore())).told
        shapes = {
            name: jax.ShapeDtypeStruct(tuple(shape), np.dtype(dtype))
            for name, (shape, dtype) in metadata["arrays"].items()
        }
        stored = {name: shape for name, shape in shapes.items() if shape.size}
        read = self._open().restore(number, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(stored))).arrays
        arrays = {
            name: np.asarray(read[name]) if name in read else np.zeros(shape.shape, shape.dtype)
            for name, shape in shapes.items()
        }
        if metadata.pop("digest") != digest(metadata, arrays):
            raise ValueError("its digest does not match")
        return arrays, metadata["facts"]


def _this_process_only() -> ocp.options.MultiprocessingOptions:
    """Options with which each process saves its own arrays. By default the processes of Orbax wait for each other."""
    process = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=process, active_processes={process}, barrier_sync_key_prefix=str(process)
    )


def digest(facts: Any, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256, in hexadecimal, over ``facts`` (plain JSON values) and the names and bytes of ``arrays``."""
    sha = hashlib.sha256(json.dumps(facts, sort_keys=True).encode())
    for name in sorted(arrays):
        sha.update(f"\n{name}\n".encode())
        sha.update(np.ascontiguousarray(arrays[name]).tobytes())
    return sha.hexdigest()


def _cannot_write(path: Path, error: Exception) -> InputError:
    return InputError(
        f"No checkpoint can be written to {path} ({_in_short(error)}): make room or give another --workdir; the same "
        "command goes on from the last one."
    )


def _in_short(error: Exception) -> str:
    """The type and the first line of an error: Orbax puts a page of text around the reason."""
    full = os.strerror(errno.ENOSPC)
    if full in str(error):
        return full
    return f"{type(error).__name__}: {str(error)[:100]}".splitlines()[0]
