"""The download of original files: asked for with little patience, made once, kept only whole and checked."""

import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import filelock

from pljax.data.idx import BUILDERS, FILES, RECORDS, URLS, read_original
from pljax.types import InputError

PROBE_SECONDS = 3.0
# A download is given up after GRACE_SECONDS plus the time its bytes need at SLOWEST_BYTES_PER_SECOND: TFDS
# itself sets no limit on a silent server, and spends over three minutes on one that refuses.
GRACE_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 100_000

SCRIPT = Path(__file__).with_name("tfds.py")


class NotAtHandError(Exception):
    """Files are missing and cannot be downloaded; the message is a clause that says which and why."""


def fetch(name: str, files: list[str], target: Path, say: Callable[[str], None]) -> None:
    """Put ``files`` of ``name`` into ``target``, each whole and checked, or leave none of them there.

    Of two processes that start at once, one downloads and the other waits for its files.

    Raises:
      NotAtHandError: the host does not answer, or the download fails.
      InputError: ``target`` cannot be written.
    """
    reason = probe(URLS[name] + files[0])
    if reason is None:
        try:
            target.mkdir(parents=True, exist_ok=True)
            with filelock.FileLock(target / ".lock", timeout=2 * patience(name, files)):
                files = [file for file in files if not (target / file).exists()]
                if files:
                    reason = _download_into(target, name, files, say)
        except OSError as error:
            raise InputError(f"Cannot keep files in {target}: {error.strerror or error}.") from error
    if reason is not None:
        which = "the four files" if len(files) == len(FILES) else ", ".join(files)
        raise NotAtHandError(f"{target.parent} lacks {which} of {name}, and the download fails ({reason})")


def patience(name: str, files: list[str]) -> float:
    """The seconds after which the download of ``files`` is given up."""
    size = sum(RECORDS[name][file].size for file in files)
    return GRACE_SECONDS + size / SLOWEST_BYTES_PER_SECOND


def _download_into(target: Path, name: str, files: list[str], say: Callable[[str], None]) -> str | None:
    """Download ``files`` beside their places and move each one there once the sums of all are right.

    The caller holds the lock of ``target``, so what an interrupted download left behind can be swept.

    Returns:
      why it failed, or ``None`` if it did not.
    """
    for leftover in target.glob(".partial-*"):
        shutil.rmtree(leftover)
    say(f"Downloading {len(files)} of the {len(FILES)} files of {name} from {URLS[name]} to {target}.")
    with tempfile.TemporaryDirectory(prefix=".partial-", dir=target, ignore_cleanup_errors=True) as scratch:
        reason = _run_script(name, files, scratch)
        if reason is not None:
            return reason.rstrip(".")
        try:
            for file in files:
                read_original(Path(scratch) / file, name, file)
        except InputError as problem:
            return str(problem).rstrip(".")
        for file in files:
            os.replace(Path(scratch) / file, target / file)
    return None


def _run_script(name: str, files: list[str], folder: str) -> str | None:
    """Let ``SCRIPT`` download ``files`` into ``folder``; why it failed or was ended, or ``None`` if neither."""
    seconds = patience(name, files)
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(SCRIPT), BUILDERS[name], URLS[name], folder, *files],
            # Modules come from where this process has them.
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return f"it was not done after {seconds:.0f} s"
    if done.returncode == 0:
        return None
    lines = done.stderr.strip().splitlines()
    return lines[-1] if lines else f"the download ended with code {done.returncode}"


def probe(url: str, seconds: float | None = None) -> str | None:
    """Ask for ``url`` as a download would; why it cannot be had within ``seconds``, or ``None`` if it can.

    ``seconds`` is ``PROBE_SECONDS`` unless given.
    """
    # Not urllib: TFDS downloads with requests, which has its own certificates and reads other variables.
    import requests

    seconds = PROBE_SECONDS if seconds is None else seconds
    host = url.split("/")[2]
    outcome: list[str | None] = [f"{host} does not answer within {seconds:g} s"]

    def ask() -> None:
        try:
            # Streamed, so that only the head of the answer is waited for.
            with requests.get(url, stream=True, timeout=seconds) as response:
                status = response.status_code
        except (requests.RequestException, ValueError) as error:
            outcome[0] = f"{host} cannot be reached: {type(error).__name__}"
        else:
            outcome[0] = None if status == 200 else f"{host} answers {status}"

    # In a thread, because the look-up of a host's name heeds no time limit; a daemon, to be left behind.
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0]
