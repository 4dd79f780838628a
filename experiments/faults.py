"""Does a run that is killed, stopped or damaged end with the same bytes as one that is left alone?

This trains `pl_dae` (both phases, two seeds, a shortened `quick`) once in peace. Then, again and again, it starts the
same command in a new folder, does it harm at a random moment, types the command again until it ends, and compares
config, split, metrics, weights and result, times aside:

* ``SIGKILL``: the process is gone at once;
* ``SIGTERM``: it may finish its round and save;
* ``flipped byte``: it is killed, and a random byte in the newest checkpoint is changed.

``python experiments/faults.py`` takes about twenty minutes on two cores and writes ``experiments/results/faults.json``.
``--tiny`` trains a smaller network on the images that need no download, and does harm as soon as there is something to
harm.
"""

import argparse
import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "results"
SETTINGS = (
    "--hidden=100",
    "--pretrain_epochs=1",
    "--epochs=40",
    "--t1=10",
    "--t2=30",
    "--seeds=2",
    "--checkpoint_every=0.3s",
)
TINY = (
    "--hidden=8",
    "--pretrain_epochs=1",
    "--pretrain_batch_size=8",
    "--epochs=30",
    "--t1=10",
    "--t2=20",
    "--unlabelled_batch_size=8",
    "--seeds=1",
    "--checkpoint_every=0.1s",
    "--dataset=mnist_5k",
)
COMPARED = ("parameters.npz", "autoencoder.npz", "metrics.jsonl", "config.json", "split.npz")


def start(workdir: Path, options: list[str]) -> subprocess.Popen[str]:
    """The command, in a process of its own; programs compiled once are kept, so that training is what is hit."""
    compiled = str(workdir.parent / "compiled")
    cache = {"JAX_COMPILATION_CACHE_DIR": compiled, "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    command = [sys.executable, "-m", "pljax.main", "--scenario=pl_dae", *options, f"--workdir={workdir}"]
    return subprocess.Popen(
        command, env={**os.environ, **cache}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def folder_of(workdir: Path) -> Path:
    """The run's folder, if it is there yet."""
    return next(workdir.glob("quick-pl_dae-*"), workdir / "nothing")


def digest(folder: Path) -> str:
    """SHA-256 of config, split, metrics, weights and result, times aside."""
    sha = hashlib.sha256(json.dumps({**json.loads((folder / "result.json").read_text()), "seconds": None}).encode())
    for name in COMPARED:
        sha.update((folder / name).read_bytes())
    return sha.hexdigest()


def place(folder: Path) -> str:
    """Where the run is, by its last whole line of metrics."""
    path = folder / "metrics.jsonl"
    lines = [line for line in path.read_text().splitlines() if line.endswith("}")] if path.exists() else []
    if not lines:
        return "before the first epoch ended"
    last = json.loads(lines[-1])
    return f"{last['name']}, epoch {last['epoch']}"


def flip_a_byte(folder: Path, generator: random.Random) -> str | None:
    """Change a byte of the newest checkpoint; the file that it is in, or ``None`` without a checkpoint."""
    saved = [path for path in folder.glob("checkpoints/group0/*") if path.name.isdecimal()]
    if not saved:
        return None
    newest = max(saved, key=lambda path: int(path.name))
    file = generator.choice(sorted(path for path in newest.rglob("*") if path.is_file() and path.stat().st_size))
    content = bytearray(file.read_bytes())
    content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    file.write_bytes(content)
    return str(file.relative_to(newest))


def wait_for(workdir: Path, pattern: str, process: subprocess.Popen[str]) -> None:
    """Wait until the run has such a file, or has ended."""
    while process.poll() is None and not any(folder_of(workdir).glob(pattern)):
        time.sleep(0.005)


def trial(fault: str, moment: float, workdir: Path, options: list[str], generator: random.Random) -> dict[str, Any]:
    """One run with one fault, ``moment`` seconds after it began (or, to be damaged, was saved for the first time)."""
    number = signal.SIGTERM if fault == "SIGTERM" else signal.SIGKILL
    process = start(workdir, options)
    wait_for(workdir, "checkpoints/group0/[0-9]/told" if fault == "flipped byte" else "run.json", process)
    time.sleep(moment)
    process.send_signal(number)
    process.communicate()
    record: dict[str, Any] = {"fault": fault, "after": round(moment, 2), "where": place(folder_of(workdir))}
    statuses, printed = [process.returncode], ""
    if fault == "flipped byte" and statuses[0] != 0:
        record["file"] = flip_a_byte(folder_of(workdir), generator)
    while statuses[-1] != 0 and len(statuses) < 5:
        process = start(workdir, options)
        _, printed = process.communicate()
        statuses.append(process.returncode)
    return {**record, "statuses": statuses, "noticed": "is corrupt" in printed, "traceback": "Traceback" in printed}


def hit(fault: str, seconds: float, scratch: Path, options: list[str], generator: random.Random) -> dict[str, Any]:
    """A trial whose fault fell before the run had ended; one that came too late does not count."""
    while True:
        moment = generator.uniform(0, seconds if fault != "flipped byte" else seconds / 2)
        workdir = Path(tempfile.mkdtemp(dir=scratch))
        record = trial(fault, moment, workdir, options, generator)
        if record["statuses"][0] != 0:
            return {**record, "digest": digest(folder_of(workdir)) if record["statuses"][-1] == 0 else None}


def main() -> None:
    parser = argparse.ArgumentParser(description="Harm runs and see whether they end as if nothing had been.")
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--terms", type=int, default=20)
    parser.add_argument("--flips", type=int, default=20)
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data_dir", help="where the files of MNIST lie; default: the user's cache folder")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results; default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="a smaller run, on mnist_5k; needs --output")
    arguments = parser.parse_args()
    if arguments.tiny and arguments.output.resolve() == RESULTS.resolve():
        parser.error("figures of --tiny are not kept among the results: give an --output")
    overrides = TINY if arguments.tiny else (*SETTINGS, f"--dataset={arguments.dataset}")
    options = [*overrides, *([f"--data_dir={arguments.data_dir}"] if arguments.data_dir else [])]
    generator = random.Random(0)
    faults = ["SIGKILL"] * arguments.kills + ["SIGTERM"] * arguments.terms + ["flipped byte"] * arguments.flips
    with tempfile.TemporaryDirectory() as scratch:
        if not arguments.tiny:
            peace(Path(scratch) / "first", options)  # compiles
        seconds = peace(Path(scratch) / "reference", options)
        expected = digest(folder_of(Path(scratch) / "reference"))
        trials = []
        for fault in faults:
            record = hit(fault, 0 if arguments.tiny else seconds, Path(scratch), options, generator)
            record["equal"] = record.pop("digest") == expected
            trials.append(record)
            print(json.dumps(record), flush=True)
    summary = {
        fault: f"{sum(record['equal'] for record in trials if record['fault'] == fault)} of {faults.count(fault)} equal"
        for fault in dict.fromkeys(faults)
    }
    kept = {"command": ["--scenario=pl_dae", *overrides], "seconds_in_peace": round(seconds, 1), "summary": summary}
    arguments.output.mkdir(parents=True, exist_ok=True)
    (arguments.output / "faults.json").write_text(json.dumps({**kept, "trials": trials}, indent=1) + "\n")
    print(summary)


def peace(workdir: Path, options: list[str]) -> float:
    """How many seconds a run that is left alone takes from its beginning on."""
    process = start(workdir, options)
    wait_for(workdir, "run.json", process)
    began = time.monotonic()
    _, printed = process.communicate()
    if process.returncode:
        sys.exit(f"The run failed by itself: {printed}")
    return time.monotonic() - began


if __name__ == "__main__":
    main()
