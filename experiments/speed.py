"""How fast is an update, beside the products it cannot do without and beside other libraries? How does it grow?

``python experiments/speed.py`` (a quarter of an hour on two cores) measures, and writes
``experiments/results/speed.json`` and ``speed.png``:

* ``updates``: an update of `lee2013`'s classifier and of its auto-encoder, in one run with the matrix products that
  the equations ask for (NumPy's sgemm: the floor) and with the peers of ``peers.py``, all in turn in processes of
  their own. ``pip install '.[bench]'`` brings the peers; one that is missing is left out.
* ``start``: from the command to the end of the first epoch, with nothing compiled before and the second time.
* ``checkpoints``: what saving takes, at the default interval of a minute.
* ``growth``: time and memory against seeds, hidden units and images.

A number is the median of its repeats. Times depend on the machine and its hour; ratios are what counts.
"""

import argparse
import importlib.metadata
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import peers

RESULTS = Path(__file__).parent / "results"
SECONDS = 1.5  # that a contestant is measured at a time
LABELLED, UNLABELLED, DAE_BATCH, PIXELS, HIDDEN = 32, 256, 256, 784, 5000
CLASSIFIER = (
    (UNLABELLED, PIXELS, HIDDEN),  # for the pseudo-labels
    (LABELLED + UNLABELLED, PIXELS, HIDDEN),
    (PIXELS, LABELLED + UNLABELLED, HIDDEN),  # the gradient
)
AUTOENCODER = (
    (DAE_BATCH, PIXELS, HIDDEN),
    (DAE_BATCH, HIDDEN, PIXELS),
    (PIXELS, DAE_BATCH, HIDDEN),  # the gradient of the tied weights as an encoder,
    (HIDDEN, DAE_BATCH, PIXELS),  # as a decoder,
    (DAE_BATCH, PIXELS, HIDDEN),  # and of the hidden units
)
GROWTH = {
    "seeds": [1, 2, 4, 8, 16, 32, 64],
    "hidden": [500, 1000, 2000, 5000, 10_000, 20_000],
    "images": [4000, 16_000, 60_000, 250_000, 1_000_000],
}
USUAL = {"seeds": 1, "hidden": 1000, "images": 60_000}


# ---- what is measured: each gives a function that does some updates, and how many


def products(shapes: tuple[tuple[int, int, int], ...]) -> tuple[Callable[[], None], int]:
    """The matrix products of an update by NumPy's sgemm."""
    generator = np.random.default_rng(0)

    def array(*shape: int) -> np.ndarray:
        return generator.standard_normal(shape, np.float32)

    made = [(array(m, k), array(k, n), np.empty((m, n), np.float32)) for m, k, n in shapes]

    def work() -> None:
        for one, other, out in made:
            np.matmul(one, other, out=out)

    return work, 1


def pljax(scenario: str, phase: int, seeds: int, hidden: int, dataset: Any) -> tuple[Callable[[], None], int]:
    """Rounds of a phase from the middle of its course; as the command line runs it."""
    import jax

    from pljax import SCENARIOS, backend, training
    from pljax.config import override
    from pljax.seeds import layout_for

    backend.keep_memory()
    config, _ = override(SCENARIOS["lee2013"][scenario], {"hidden": (hidden,)})
    layout = layout_for(seeds)
    group = training.make_group(config, range(seeds), dataset, layout)
    programs = training.programs(config, phase, dataset.classes)
    keys = programs.key(group.keys)
    state = layout.settle(programs.init(keys, {}, group.parts, group.data))
    t = programs.trainer.epochs * programs.trainer.rounds // 2

    def work() -> None:
        nonlocal state, t
        state, metrics = programs.advance(keys, np.int32(t), state, group.parts, group.data)
        jax.block_until_ready(metrics)
        t += 1

    return work, seeds * programs.trainer.updates


def images(count: int, data_dir: str | None) -> Any:
    """MNIST; or as many images as asked for, drawn from it."""
    from pljax import Dataset, load

    mnist = load("mnist" if data_dir else "auto", data_dir)
    if count == len(mnist.train_labels):
        return mnist
    rows = np.random.default_rng(0).integers(0, len(mnist.train_labels), count)
    train = mnist.train_images[rows], mnist.train_labels[rows]
    return Dataset(f"{count} images of MNIST", mnist.classes, *train, mnist.test_images, mnist.test_labels)


def contestant(name: str, data_dir: str | None) -> tuple[Callable[[], None], int]:
    """What a name stands for: ``classifier/pljax/5``, ``autoencoder/floor``, ``hidden/2000`` and so on."""
    kind, who, *rest = name.split("/")
    if kind in USUAL:
        sizes = {**USUAL, kind: int(who)}
        return pljax("pl", 0, sizes["seeds"], sizes["hidden"], images(sizes["images"], data_dir))
    classifier = kind == "classifier"
    if who == "floor":
        return products(CLASSIFIER if classifier else AUTOENCODER)
    mnist = images(60_000, data_dir)
    if who == "pljax":
        return pljax("pl" if classifier else "pl_dae", 0, int(rest[0]), HIDDEN, mnist)
    if classifier:
        return peers.CLASSIFIERS[who](mnist.train_images, mnist.train_labels, hidden=HIDDEN), 1
    return peers.AUTOENCODERS[who](mnist.train_images, hidden=HIDDEN, batch=DAE_BATCH), 1


# ---- how it is measured


def serve(name: str, data_dir: str | None) -> None:
    """In a process of its own: get ready, then measure whenever asked; milliseconds an update, and MiB at the peak."""
    work, updates = contestant(name, data_dir)
    for _ in range(2):
        work()
    for _ in iter(lambda: print("ready", flush=True) or sys.stdin.readline(), ""):
        times, until = [], time.perf_counter() + SECONDS
        while time.perf_counter() < until:
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps([1000 * float(np.median(times)) / updates, peak]), flush=True)


def ask(worker: subprocess.Popen[str], text: str = "") -> str | None:
    """The next line of a worker's that is not its library's chatter; ``None`` where it ended."""
    if text:
        assert worker.stdin
        worker.stdin.write(text)
        worker.stdin.flush()
    assert worker.stdout
    return next((line for line in worker.stdout if line.startswith(("ready", "["))), None)


def in_turn(names: list[str], repeats: int, data_dir: str | None) -> Iterator[tuple[str, dict[str, float]]]:
    """Milliseconds an update of each contestant: all take turns, and wait asleep for the others."""
    options = [f"--data_dir={data_dir}"] if data_dir else []
    command = [sys.executable, __file__, *options]
    workers = {}
    for name in names:
        worker = subprocess.Popen(
            [*command, f"--worker={name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if name.split("/")[1] in peers.CLASSIFIERS else None,
            text=True,
        )
        if ask(worker) is None:
            print(f"{name} cannot be measured here: is it installed? pip install '.[bench]'", file=sys.stderr)
            continue
        workers[name] = worker
    told: dict[str, list[list[float]]] = {name: [] for name in workers}
    for _ in range(repeats):
        for name, worker in workers.items():
            told[name].append(json.loads(ask(worker, "go\n") or ""))
            ask(worker)
    for name, worker in workers.items():
        worker.communicate()
        times, peaks = zip(*told[name], strict=True)
        figures = {"ms": float(np.median(times)), "fastest_ms": min(times), "slowest_ms": max(times), "MiB": max(peaks)}
        yield name, {key: round(value, 3) for key, value in figures.items()}


# ---- the parts


def updates(data_dir: str | None) -> dict[str, Any]:
    """Updates of both networks: milliseconds, and how often the floor that is."""
    measured: dict[str, Any] = {}
    for kind in ("classifier", "autoencoder"):
        seeds = ("pljax/1", "pljax/5", "pljax/30") if kind == "classifier" else ("pljax/1", "pljax/5")
        names = [f"{kind}/{who}" for who in ("floor", *seeds, *peers.CLASSIFIERS)]
        figures = dict(in_turn(names, 7, data_dir))
        floor = figures[f"{kind}/floor"]["ms"]
        five = figures[f"{kind}/pljax/5"]["ms"]
        for name, of_name in figures.items():
            of_name |= {"of_floor": round(of_name["ms"] / floor, 3), "of_pljax_5": round(of_name["ms"] / five, 3)}
            print(f"{name:30} {of_name['ms']:8.2f} ms  {of_name['of_floor']:.2f} of the floor", flush=True)
        measured |= figures
    return measured


def start(data_dir: str | None) -> dict[str, float]:
    """Seconds from the command to the end of the first epoch of `quick`, for the first time and the second."""
    seconds = {}
    with tempfile.TemporaryDirectory() as place:
        for which in ("first", "second"):
            workdir = Path(place) / which
            options = ["--dataset=mnist", f"--data_dir={data_dir}"] if data_dir else []
            command = [sys.executable, "-m", "pljax.main", "--scenario=pl", *options, f"--workdir={workdir}"]
            started = time.perf_counter()
            process = subprocess.Popen(
                command,
                env={**os.environ, "XDG_CACHE_HOME": place},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            while process.poll() is None and not any(workdir.glob("*/metrics.jsonl")):
                time.sleep(0.01)
            seconds[which] = round(time.perf_counter() - started, 2)
            process.kill()
            process.wait()
            print(f"first epoch of the {which} start ended after {seconds[which]:.2f} s", flush=True)
    return seconds


def checkpoints(data_dir: str | None) -> dict[str, float]:
    """What saving `quick`'s `pl_dae` (5 seeds) takes: until training goes on, and until it is on the disk."""
    from pljax import SCENARIOS, Reporter, RunFolder, keeper, training
    from pljax.journal import Journal
    from pljax.seeds import layout_for

    config, seeds, layout = SCENARIOS["quick"]["pl_dae"], range(5), layout_for(5)
    group = training.make_group(config, seeds, images(60_000, data_dir), layout)
    programs = training.programs(config, 0, group.dataset.classes)
    state = programs.init(programs.key(group.keys), {}, group.parts, group.data)
    held, whole = [], []
    with tempfile.TemporaryDirectory() as place, Reporter(open(os.devnull, "w")) as reporter:
        folder = RunFolder(Path(place) / "run")
        folder.make()
        for number in range(8):
            never = keeper.Every(seconds=1e9)
            path, journal = folder.checkpoints(number), Journal(list(seeds), folder, reporter)
            with keeper.Keeper(path, never, layout, folder, journal, reporter) as saver:
                progress = saver.resume(lambda _: state)
                progress.t, progress.state = 1, state
                started = time.perf_counter()
                saver.save(progress)
                held.append(time.perf_counter() - started)
            whole.append(time.perf_counter() - started)
    seconds = {"training_waits_s": float(np.median(held)), "on_disk_after_s": float(np.median(whole))}
    shares = {"percent_of_a_minute": 100 * seconds["training_waits_s"] / 60}
    shares["percent_of_a_minute_at_most"] = 100 * seconds["on_disk_after_s"] / 60
    told = {name: round(value, 3) for name, value in {**seconds, **shares}.items()}
    print(f"checkpoints: {told}", flush=True)
    return told


def growth(data_dir: str | None) -> dict[str, Any]:
    """An update of a classifier with 1,000 hidden units, and the process's memory, against one size at a time."""
    measured = {}
    for kind, sizes in GROWTH.items():
        for size in sizes:
            for name, figures in in_turn([f"{kind}/{size}"], 3, data_dir):
                measured[name] = figures
                print(f"{name:30} {figures['ms']:8.2f} ms a seed's update  {figures['MiB']:8.0f} MiB", flush=True)
    return measured


PARTS: dict[str, Callable[[str | None], Any]] = {
    "updates": updates,
    "start": start,
    "checkpoints": checkpoints,
    "growth": growth,
}


# ---- what is told


def machine() -> dict[str, Any]:
    """What was measured with."""
    versions = {}
    for package in ("jax", "jaxlib", "numpy", "pljax", "torch", "tensorflow", "keras"):
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {"cores": peers.cores(), "processor": platform.machine(), "python": platform.python_version(), **versions}


def draw(updates: dict[str, Any], growth: dict[str, Any], path: Path) -> None:
    """A bar a contestant, in floors; below them curves of growth, time above memory."""
    import matplotlib.pyplot as plt
    from matplotlib.ticker import FuncFormatter, NullFormatter

    kinds, plain = (
        list(GROWTH),
        FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 or not value else f"{value:.1f}"),
    )
    rows = [["classifier"] * 3 + ["autoencoder"] * 3]
    rows += [[f"{kind} {what}" for kind in kinds for _ in range(2)] for what in ("ms", "MiB")]
    figure, panels = plt.subplot_mosaic(rows, figsize=(12, 11), layout="constrained")
    for network in ("classifier", "autoencoder"):
        bars = {name.split("/", 1)[1]: figures for name, figures in updates.items() if name.startswith(network)}
        labels = [name.replace("pljax/", "pljax, seeds: ").replace("_", " ") for name in bars]
        colours = ["#0072B2" if name.startswith("pljax") else "#999999" for name in bars]
        drawn = panels[network].barh(labels, [figures["of_floor"] for figures in bars.values()], color=colours)
        panels[network].bar_label(drawn, fmt="%.2f", padding=3)
        panels[network].axvline(1, color="black", linewidth=1)
        panels[network].invert_yaxis()
        panels[network].set(title=f"An update of the {network}, a seed", xlabel="time / time of its products by sgemm")
        panels[network].margins(x=0.12)
    for kind in kinds:
        points = {int(name.split("/")[1]): figures for name, figures in growth.items() if name.startswith(kind)}
        for what, title in (("ms", "an update of all seeds, ms"), ("MiB", "memory at the peak, MiB")):
            scale = [size if (kind, what) == ("seeds", "ms") else 1 for size in points]
            values = [times * figures[what] for times, figures in zip(scale, points.values(), strict=True)]
            axes = panels[f"{kind} {what}"]
            axes.plot(list(points), values, "o-", color="#0072B2" if what == "ms" else "#D55E00")
            axes.set(xscale="log", xlabel=kind.replace("hidden", "hidden units"), ylabel=title)
            axes.grid(alpha=0.3)
            if what == "ms":
                axes.set(yscale="log", ylim=(1, 1000))
            else:
                axes.set_ylim(0, None)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_formatter(plain)
                axis.set_minor_formatter(NullFormatter())
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures pljax's speed; see the file's first lines.")
    parser.add_argument("--data_dir", help="where MNIST's four files lie; without them MNIST is looked for")
    parser.add_argument("--parts", default=",".join(PARTS), help="which, with commas; default: %(default)s")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        return serve(options.worker, options.data_dir)
    path = RESULTS / "speed.json"
    measured = json.loads(path.read_text()) if path.exists() else {}
    for name in options.parts.split(","):
        measured[name] = {"machine": machine(), "figures": PARTS[name](options.data_dir)}
        path.write_text(json.dumps(measured, indent=1) + "\n")
    if {"updates", "growth"} <= set(measured):
        draw(measured["updates"]["figures"], measured["growth"]["figures"], RESULTS / "speed.png")


if __name__ == "__main__":
    main()
