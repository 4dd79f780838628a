"""The download of original files, with short timeouts: only whole files with the right SHA-256 are kept."""

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

# A host that takes longer to answer is taken for unreachable. ``auto`` then starts with another data set at once.
PROBE_SECONDS = 3.0
# The timeout of a download is GRACE_SECONDS plus the time that its bytes take at SLOWEST_BYTES_PER_SECOND. TFDS has no
# timeout for a server that sends nothing, and retries for over three minutes where a server refuses the connection.
GRACE_SECONDS = 30.0
SLOWEST_BYTES_PER_SECOND = 100_000

SCRIPT = Path(__file__).with_name("tfds.py")


class DownloadError(Exception):
    """Files are missing and cannot be downloaded. The message is a clause that says which files and why."""


def fetch(name: str, files: list[str], target: Path, say: Callable[[str], None]) -> None:
    """Download files of a data set into a folder: all of them, or none if one fails.

    If two processes call it at the same time, one downloads and the other waits for the files.

    Args:
      name: the data set, a key of ``URLS``.
      files: some of ``FILES``.
      target: the folder, created if it does not exist.
      say: is called with a line when the download begins.

    Raises:
      DownloadError: the host does not answer, or the download fails.
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
        raise DownloadError(f"{target.parent} lacks {which} of {name}, and the download fails ({reason})")


def patience(name: str, files: list[str]) -> float:
    """Return the timeout of a download of ``files``, in seconds."""
    size = sum(RECORDS[name][file].size for file in files)
    return GRACE_SECONDS + size / SLOWEST_BYTES_PER_SECOND


def _download_into(target: Path, name: str, files: list[str], say: Callable[[str], None]) -> str | None:
    """Download ``files`` into a temporary folder, check them all, and move them into ``target``.

    The caller holds the lock of ``target``, so that temporary folders of interrupted downloads can be removed.

    Returns:
      the reason of a failure; ``None`` on success.
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
    """Run ``SCRIPT`` to download ``files`` into ``folder``. Returns the reason of a failure, ``None`` on success."""
    seconds = patience(name, files)
    try:
        done = subprocess.run(
            [sys.executable, "-P", str(SCRIPT), BUILDERS[name], URLS[name], folder, *files],
            # The script imports the modules that this process would import.
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
    """Request ``url`` and read the status alone.

    Args:
      url: the address of a file.
      seconds: the timeout; ``None``: ``PROBE_SECONDS``.

    Returns:
      the reason why the file cannot be downloaded; ``None`` if it can.
    """
    # TFDS downloads with requests, whose certificates and environment variables are not those of urllib.
    import requests

    seconds = PROBE_SECONDS if seconds is None else seconds
    host = url.split("/")[2]
    outcome: list[str | None] = [f"{host} does not answer within {seconds:g} s"]

    def request() -> None:
        try:
            # With stream=True, requests waits for the headers and not for the body.
            with requests.get(url, stream=True, timeout=seconds) as response:
                status = response.status_code
        except (requests.RequestException, ValueError) as error:
            outcome[0] = f"{host} cannot be reached: {type(error).__name__}"
        else:
            outcome[0] = None if status == 200 else f"{host} answers {status}"

    # The look-up of a host name has no timeout, so it runs in a thread; as a daemon, it does not keep Python running.
    thread = threading.Thread(target=request, daemon=True)
    thread.start()
    thread.join(seconds)
    return outcome[0]
