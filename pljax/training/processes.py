"""One run on several processes: each trains a share of the seeds in its own folder, and the first joins the results.

The processes exchange nothing while they train. They must see the same working folder.
"""

import time
from collections.abc import Iterable, Sequence

import jax
import numpy as np

from pljax.results.folder import RunFolder
from pljax.types import InputError

AUTO = "auto"
POLL_SECONDS = 0.5


def connect(coordinator: str | None, processes: int | None, process: int | None) -> None:
    """Connect this process to the others. Call it before anything is computed. Without a coordinator, do nothing.

    Args:
      coordinator: ``host:port`` of the first process, or ``auto``: address and numbers are then taken from Slurm, Open
        MPI, Kubernetes or a TPU pod.
      processes: the number of processes.
      process: the number of this process, from 0.

    Raises:
      InputError: the arguments do not fit together, or the other processes are not found.
    """
    if coordinator is None:
        if processes is not None or process is not None:
            raise InputError("--num_processes and --process_id need a --coordinator: give host:port of the first.")
        return
    if coordinator != AUTO:
        if ":" not in coordinator:
            raise InputError(f"--coordinator is {coordinator!r}: give host:port of the first process, or {AUTO}.")
        if processes is None or process is None or not 0 <= process < processes:
            raise InputError("--coordinator needs --num_processes, and a --process_id from 0 to one less: give both.")
    jax.config.update("jax_cpu_collectives_implementation", None)  # the processes exchange no arrays
    try:
        jax.distributed.initialize(None if coordinator == AUTO else coordinator, processes, process)
    except (RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"The processes of the run do not find each other ({reason}).") from error


def is_coordinator() -> bool:
    """Whether this process is the one that joins the shares and prints the result."""
    return jax.process_index() == 0


def shares(seeds: Sequence[int], processes: int) -> list[list[int]]:
    """Divide the seeds among the processes as evenly as possible.

    Raises ``InputError`` if there are fewer seeds than processes.

    >>> shares(range(3, 8), 2)
    [[3, 4, 5], [6, 7]]
    """
    if processes > len(seeds):
        raise InputError(f"{processes} processes are too many for {len(seeds)} seeds: give at most a process a seed.")
    return [part.tolist() for part in np.array_split(np.asarray(seeds), processes)]


def wait_for(folders: Iterable[RunFolder]) -> None:
    """Block until the runs in all folders are finished."""
    for folder in folders:
        while not folder.finished:
            time.sleep(POLL_SECONDS)
