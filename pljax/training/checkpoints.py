"""Checkpoints: flat trees of arrays with facts, whole or not at all, and never believed without their digest."""

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
    """The last ``KEPT`` checkpoints in a folder. Saving goes on in the background; :meth:`close` waits for it."""

    def __init__(self, path: Path):
        self._path = path.absolute()
        self._manager: ocp.CheckpointManager | None = None

    def save(self, number: int, arrays: Mapping[str, np.ndarray], facts: Mapping[str, Any]) -> None:
        """Save ``arrays`` and ``facts`` (plain JSON values) as the checkpoint ``number``, larger than those before.

        Raises ``InputError`` where the disk does not take it; the checkpoints before stay as they are.
        """
        told: dict[str, Any] = {
            "facts": dict(facts),
            "arrays": {name: [list(array.shape), array.dtype.str] for name, array in arrays.items()},
        }
        told["digest"] = digest(told, arrays)
        stored = {name: array for name, array in arrays.items() if array.size}  # Orbax takes no empty arrays
        try:
            self._open().save(
                number, args=ocp.args.Composite(arrays=ocp.args.StandardSave(stored), told=ocp.args.JsonSave(told))
            )
        except Exception as error:  # Orbax has no exception of its own: a full disk comes as a ValueError, too
            raise _cannot_write(self._path, error) from error

    def restore(self, say: Callable[[str], None]) -> tuple[Arrays, Facts] | None:
        """The newest checkpoint that is sound, or ``None``; each one that is not is told and removed."""
        for number in sorted(self._numbers(), reverse=True):
            try:
                return self._read(number)
            except Exception as error:  # a rotten file can fail in any way
                say(f"The checkpoint {self._path / str(number)} is not sound ({_in_short(error)}): it is removed.")
                shutil.rmtree(self._path / str(number), ignore_errors=True)
                self._manager = None
        return None

    def close(self) -> None:
        """Wait for what is being saved. Raises ``InputError`` where the disk did not take it."""
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
        """Remove all of them."""
        self.close()
        shutil.rmtree(self._path, ignore_errors=True)

    def _open(self) -> ocp.CheckpointManager:
        if self._manager is None:
            self._path.mkdir(parents=True, exist_ok=True)
            options = ocp.CheckpointManagerOptions(
                max_to_keep=KEPT,
                create=False,
                multiprocessing_options=_alone(),
                # Orbax announces a folder that is created in the background to all processes under a number that each
                # process counts for itself: another process's announcement would be taken for one's own.
                async_options=ocp.AsyncOptions(create_directories_asynchronously=False),
            )
            self._manager = ocp.CheckpointManager(self._path, options=options)
        return self._manager

    def _numbers(self) -> list[int]:
        """The checkpoints that were finished; what was begun has another name."""
        return [int(path.name) for path in self._path.glob("*") if path.name.isdecimal()]

    def _read(self, number: int) -> tuple[Arrays, Facts]:
        told = self._open().restore(number, args=ocp.args.Composite(told=ocp.args.JsonRestore())).told
        shapes = {
            name: jax.ShapeDtypeStruct(tuple(shape), np.dtype(dtype)) for name, (shape, dtype) in told["arrays"].items()
        }
        stored = {name: shape for name, shape in shapes.items() if shape.size}
        read = self._open().restore(number, args=ocp.args.Composite(arrays=ocp.args.StandardRestore(stored))).arrays
        arrays = {
            name: np.asarray(read[name]) if name in read else np.zeros(shape.shape, shape.dtype)
            for name, shape in shapes.items()
        }
        if told.pop("digest") != digest(told, arrays):
            raise ValueError("its digest is another")
        return arrays, told["facts"]


def _alone() -> ocp.options.MultiprocessingOptions:
    """Every process saves what it has: otherwise Orbax would let them wait for each other."""
    process = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=process, active_processes={process}, barrier_sync_key_prefix=str(process)
    )


def digest(facts: Any, arrays: Mapping[str, np.ndarray]) -> str:
    """SHA-256 over facts (plain JSON values) and the bytes of arrays, by name, in hexadecimal."""
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
    """What an error says, without the page that Orbax puts around it."""
    full = os.strerror(errno.ENOSPC)
    if full in str(error):
        return full
    return f"{type(error).__name__}: {str(error)[:100]}".splitlines()[0]
