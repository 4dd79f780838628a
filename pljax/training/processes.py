"""One run on several processes: each trains a share of the seeds in its own folder, and the first joins the results.

The processes exchange nothing while they train, so each has a JAX of its own, as if it were alone. They must see the
same working folder. A connection between the first process and each other one, on which nothing is sent after the
start, tells when a process ends: the system closes it, however the process ends. (``jax.distributed`` would abort all
processes when one dies.)
"""

import contextlib
import dataclasses
import json
import os
import socket
import struct
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np

from pljax.results.folder import RunFolder
from pljax.types import InputError

AUTO = "auto"
POLL_SECONDS = 0.2
START_SECONDS = 300  # within which all processes must start
SAY_SECONDS = 10  # after which the first process says for which others it waits
REPLY_SECONDS = 5  # for the first line of a connection, which may come from another program
GRACE_SECONDS = 5  # in which the files of a process that has ended become visible on a network's file system
MOST_BYTES = 2**16  # of a line


class ProcessEnded(Exception):
    """Another process of the run has ended without its part of the work. The message is one sentence."""


@dataclasses.dataclass(frozen=True)
class Processes:
    """The processes of a run, as one of them sees them."""

    index: int  # of this process
    count: int
    connections: dict[int, socket.socket]  # by process: of the first process to all others, of those to the first

    def has_ended(self, index: int) -> bool:
        """Whether a process that this one is connected to has ended."""
        return _is_closed(self.connections[index])

    def wait_for(self, folders: Sequence[Sequence[RunFolder]]) -> None:
        """Block until the runs of all processes, ``folders[index]``, are finished.

        Raises ``ProcessEnded`` if a process has ended and a run of it is not finished.
        """
        waiting, ended_at = dict(enumerate(folders)), dict[int, float]()
        while True:
            waiting = {index: runs for index, runs in waiting.items() if not all(map(_is_finished, runs))}
            if not waiting:
                return
            for index, runs in waiting.items():
                now = time.monotonic()
                if self.has_ended(index) and now - ended_at.setdefault(index, now) > GRACE_SECONDS:
                    missing = next(run.path for run in runs if not _is_finished(run))
                    raise ProcessEnded(
                        f"Process {index} of {self.count} has ended without the result in {missing}: see what it "
                        "printed, then run the same command in every process again; what is finished is kept."
                    )
            time.sleep(POLL_SECONDS)

    def require_first(self) -> None:
        """Raise ``ProcessEnded`` if the first process, which joins the results, has ended."""
        if self.has_ended(0):
            raise ProcessEnded(
                "The first process of the run has ended and cannot join the results: those of this process are kept; "
                "run the same command in every process again."
            )


@contextlib.contextmanager
def connect(
    coordinator: str | None,
    processes: int | None,
    process: int | None,
    flags: Mapping[str, Any],
    say: Callable[[str], None],
) -> Iterator[Processes]:
    """Connect this process to the others, as a context manager. Without a coordinator, there is one process.

    Call it before anything is computed. It returns when all processes have started.

    Args:
      coordinator: ``host:port`` of the first process, or ``auto``: address and numbers are then taken from Slurm, Open
        MPI, Kubernetes or a TPU pod.
      processes: the number of processes.
      process: the number of this process, from 0.
      flags: plain JSON values that must be the same in all processes, by name.
      say: shows a message.

    Raises:
      InputError: the arguments do not fit together, or the other processes are not found or have other flags.
      ProcessEnded: another process ended before all had started.
    """
    if coordinator is None:
        if processes is not None or process is not None:
            raise InputError("--num_processes and --process_id need a --coordinator: give host:port of the first.")
        yield Processes(0, 1, {})
        return
    if coordinator != AUTO:
        port = coordinator.rpartition(":")[2]
        if ":" not in coordinator or not port.isdecimal() or not 0 < int(port) < 2**16:
            raise InputError(f"--coordinator is {coordinator!r}: give host:port of the first process, or {AUTO}.")
        if processes is None or process is None or not 0 <= process < processes:
            raise InputError("--coordinator needs --num_processes, and a --process_id from 0 to one less: give both.")
        address, count, index = coordinator, processes, process
    else:
        address, count, index = _find(processes, process)
    with contextlib.ExitStack() as opened:
        facts = {"process": index, "processes": count, "flags": json.loads(json.dumps(dict(flags)))}
        meet = _gather if index == 0 else _join
        yield Processes(index, count, meet(address, facts, opened, say))


def shares(seeds: Sequence[int], processes: int) -> list[list[int]]:
    """Divide the seeds among the processes as evenly as possible.

    Raises ``InputError`` if there are fewer seeds than processes.

    >>> shares(range(3, 8), 2)
    [[3, 4, 5], [6, 7]]
    """
    if processes > len(seeds):
        raise InputError(f"{processes} processes are too many for {len(seeds)} seeds: give at most a process a seed.")
    return [part.tolist() for part in np.array_split(np.asarray(seeds), processes)]


def _find(processes: int | None, process: int | None) -> tuple[str, int, int]:
    """The address of the first process, the number of processes and that of this one, as the cluster has them.

    In a cluster that starts a process for each device, this process gets its own.
    """
    from jax._src import clusters  # nothing public finds the processes without connecting them

    address = os.environ.get("JAX_COORDINATOR_ADDRESS")
    given = os.environ.get("JAX_LOCAL_DEVICE_IDS")
    devices: Sequence[int] | None = list(map(int, given.split(","))) if given else None
    try:
        found = clusters.ClusterEnv.auto_detect_unset_distributed_params(
            address, processes, process, devices, None, START_SECONDS
        )
    except (RuntimeError, ValueError, KeyError, OSError) as error:
        raise _not_found(str(error) or type(error).__name__) from error
    address, count, index, devices = found
    if address is None or count is None or index is None or not 0 <= index < count:
        raise _not_found("this is no cluster that JAX knows: give host:port, --num_processes and --process_id")
    if devices:
        for kind in ("cuda", "rocm"):
            jax.config.update(f"jax_{kind}_visible_devices", ",".join(map(str, devices)))
    return address, count, index


def _gather(
    address: str, facts: Mapping[str, Any], opened: contextlib.ExitStack, say: Callable[[str], None]
) -> dict[int, socket.socket]:
    """Wait for the connections of all other processes, then let all of them start."""
    port, count = int(address.rpartition(":")[2]), facts["processes"]
    both = socket.has_dualstack_ipv6()
    family = socket.AF_INET6 if both else socket.AF_INET
    try:
        server = socket.create_server(("", port), family=family, dualstack_ipv6=both, backlog=count)
    except OSError as error:
        raise _not_found(f"port {port} of --coordinator cannot be opened, {error}") from error
    connections: dict[int, socket.socket] = {}
    started, said = time.monotonic(), False
    with server:
        server.settimeout(POLL_SECONDS)
        while missing := sorted(set(range(1, count)) - connections.keys()):
            if ended := [index for index, connection in connections.items() if _is_closed(connection)]:
                raise ProcessEnded(f"Process {ended[0]} of {count} ended before all had started: see what it printed.")
            waited = time.monotonic() - started
            if waited > START_SECONDS:
                raise _not_found(f"process {missing[0]} of {count} did not start within {START_SECONDS} s")
            if waited > SAY_SECONDS and not said:
                say(f"Waiting for {len(missing)} of {count} processes, the first of them process {missing[0]}.")
                said = True
            with contextlib.suppress(TimeoutError):
                connection = opened.enter_context(server.accept()[0])
                _admit(connection, facts, connections)
    for connection in connections.values():
        _send(connection, {"refused": None})
    return connections


def _admit(connection: socket.socket, facts: Mapping[str, Any], connections: dict[int, socket.socket]) -> None:
    """Add the connection of a process. Others, of another program for example, are closed.

    Raises ``InputError`` if the process has other flags.
    """
    theirs = _receive(connection, time.monotonic() + REPLY_SECONDS)
    if theirs is None or theirs.keys() != facts.keys():
        connection.close()
        return
    if (refused := _difference(facts, theirs)) is not None:
        _send(connection, {"refused": refused})
        raise InputError(refused)
    index = theirs["process"]
    if index not in range(1, facts["processes"]) or index in connections:
        _send(connection, {"refused": f"There is a process {index} of the run already: give another --process_id."})
        connection.close()
        return
    _keep_alive(connection)
    connections[index] = connection


def _difference(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> str | None:
    """The first difference in the flags of two processes, as a sentence."""
    mine, other = ({"num_processes": of["processes"], **of["flags"]} for of in (ours, theirs))
    for name in {**mine, **other}:
        if mine.get(name) != other.get(name):
            return (
                f"--{name} is {mine.get(name)} in process {ours['process']} and {other.get(name)} in process "
                f"{theirs['process']}: give all processes of a run the same."
            )
    return None


def _join(
    address: str, facts: Mapping[str, Any], opened: contextlib.ExitStack, say: Callable[[str], None]
) -> dict[int, socket.socket]:
    """Connect to the first process, and wait until it lets this one start."""
    host, _, port = address.rpartition(":")
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            connection = opened.enter_context(
                socket.create_connection((host.strip("[]"), int(port)), timeout=REPLY_SECONDS)
            )
            if connection.getsockname() != connection.getpeername():
                break
            # On one machine, a port that nobody listens on can be connected to itself. It must be free at once.
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            connection.close()
        except OSError as error:  # it may not have started
            if time.monotonic() > deadline:
                raise _not_found(f"the first process is not at {address}, {error}") from error
            time.sleep(POLL_SECONDS)
    _keep_alive(connection)
    _send(connection, facts)
    reply = _receive(connection, deadline + START_SECONDS)  # the first process may have started last
    if reply is None:
        raise ProcessEnded(f"The first process of the run, at {address}, ended before all had started.")
    if reply.get("refused") is not None:
        raise InputError(str(reply["refused"]))
    return {0: connection}


def _not_found(reason: str) -> InputError:
    return InputError(f"The processes of the run do not find each other ({' '.join(reason.split())}).")


def _send(connection: socket.socket, message: Mapping[str, Any]) -> None:
    """Send a message as a line of JSON. A process that has ended is noticed when its message is read."""
    with contextlib.suppress(OSError):
        connection.settimeout(REPLY_SECONDS)
        connection.sendall(json.dumps(dict(message)).encode() + b"\n")


def _receive(connection: socket.socket, deadline: float) -> dict[str, Any] | None:
    """The next message of a connection; ``None`` if it is closed, or no message comes until the deadline."""
    line = b""
    try:
        while not line.endswith(b"\n") and len(line) < MOST_BYTES:
            connection.settimeout(max(deadline - time.monotonic(), 0.001))
            if not (received := connection.recv(MOST_BYTES)):
                return None
            line += received
        message = json.loads(line)
    except (OSError, ValueError, RecursionError):
        return None
    return message if isinstance(message, dict) else None


def _is_closed(connection: socket.socket) -> bool:
    """Whether the process at the other end has ended."""
    connection.setblocking(False)
    try:
        return connection.recv(1) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


def _keep_alive(connection: socket.socket) -> None:
    """Notice within a minute that the machine at the other end is gone: it does not close the connection."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 5), ("TCP_KEEPCNT", 5)):
        if hasattr(socket, option):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)


def _is_finished(folder: RunFolder) -> bool:
    with contextlib.suppress(OSError):
        os.listdir(folder.path)  # so that a network's file system looks for new files
    return folder.finished
