"""The memory that this process can still take: what the machine has, and what the limits of its container leave."""

from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import psutil

MOUNT = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def free_memory(mount: Path = MOUNT, membership: Path = MEMBERSHIP) -> int:
    """Return the free memory in bytes: the least of that of the machine and of every cgroup that limits this process.

    Args:
      mount: where the cgroups are mounted.
      membership: the file that lists the cgroups of this process.
    """
    return min([int(psutil.virtual_memory().available), *_rooms(mount, membership)])


def _rooms(mount: Path, membership: Path) -> Iterator[int]:
    """Yield what each memory limit leaves: those of the process's cgroup and of the cgroups above it."""
    for line in _read(membership).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if not controllers:  # version 2, which systems with both versions mount in a folder of its own
            for root in (mount, mount / "unified"):
                for folder in _with_parents(root, path):
                    yield from _room(folder, "memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):  # version 1
            for folder in _with_parents(mount / "memory", path):
                yield from _room(folder, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")


def _with_parents(root: Path, path: str) -> Iterator[Path]:
    """Yield the folder of a cgroup and those above it. In a container, only the last one may exist."""
    inside = PurePosixPath(path.lstrip("/"))
    if ".." not in inside.parts:  # a cgroup outside of what the container can see
        yield root / inside
        yield from (root / parent for parent in inside.parents if parent != inside)
    else:
        yield root


def _room(folder: Path, limit: str, usage: str, reclaimable: str) -> Iterator[int]:
    """Yield what the limit of one cgroup leaves; nothing if there is no limit.

    The kernel drops pages of files that were not used lately (``reclaimable``) before it refuses memory.
    """
    most, used = _read(folder / limit).strip(), _read(folder / usage).strip()
    if not (most.isdecimal() and used.isdecimal()):  # "max", or no such file
        return
    pages = [line.split() for line in _read(folder / "memory.stat").splitlines()]
    dropped = sum(int(pair[1]) for pair in pages if len(pair) == 2 and pair[0] == reclaimable and pair[1].isdecimal())
    yield max(int(most) - max(int(used) - dropped, 0), 0)


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, ValueError):
        return ""
