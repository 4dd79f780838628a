"""How fast is an update, beside the products it cannot do without and beside other libraries? How does it grow?

``python experiments/speed.py`` (a quarter of an hour on two cores) measures, and writes
``experiments/results/speed.json`` and ``speed.png``:

* ``updates``: an update of `lee2013`'s classifier and of its auto-encoder, in one run with the matrix products that
  the equations ask for (NumPy's sgemm: the floor) and with the peers of ``peers.py``, all in turn in processes of
  their own. ``pip install '.[bench]'`` brings the peers; one that is missing is left out. With 1 and with 5 seeds, an
  update of the classifier shall take at most 1.10 floors and one of the auto-encoder at most 1.15.
* ``ladder``: an update of `quick`'s ladder beside its products, of which it shall take at most 1.25, and beside the
  drawing of its noise and the optimizer's part.
* ``start``: from the command to the end of the first epoch, with nothing compiled before and the second time.
* ``checkpoints``: what saving takes, at the default interval of a minute.
* ``growth``: time and memory against seeds, hidden units and images.

A number is the median of its repeats. Times depend on the machine and its hour; ratios are what counts. ``--tiny``
measures all but the peers with small networks, to see that it runs: its figures say nothing.
"""

import argparse
import importlib.metadata
import importlib.util
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
from contestants import Plan, contestant, images

RESULTS = Path(__file__).parent / "results"
MOST_FLOORS = {"classifier": 1.10, "autoencoder": 1.15, "ladder": 1.25}  # that an update shall take, with 1 and 5 seeds


def whole(data_dir: str | None) -> Plan:
    """What the README's figures are from."""
    return Plan(
        tiny=False,
        data_dir=data_dir,
        hidden=5000,
        batch=256,
        seeds={"classifier": (1, 5, 30), "autoencoder": (1, 5)},
        peers=tuple(peers.CLASSIFIERS),
        seconds=1.5,
        repeats=7,
        growth_repeats=3,
        saves=8,
        starts=("first", "second"),
        command=("--dataset=mnist", f"--data_dir={data_dir}") if data_dir else (),
        growth={
            "seeds": [1, 2, 4, 8, 16, 32, 64],
            "hidden": [500, 1000, 2000, 5000, 10_000, 20_000],
            "images": [4000, 16_000, 60_000, 250_000, 1_000_000],
        },
        usual={"seeds": 1, "hidden": 1000, "images": 60_000},
    )


def tiny() -> Plan:
    """Every part in seconds."""
    return Plan(
        tiny=True,
        data_dir=None,
        hidden=16,
        batch=8,
        seeds={"classifier": (5,), "autoencoder": (5,)},
        peers=(),
        seconds=0.0,
        repeats=1,
        growth_repeats=1,
        saves=2,
        starts=("first",),
        command=("--scenario=nn", "--dataset=mnist_5k", "--hidden=16", "--epochs=2", "--seeds=1"),
        growth={"hidden": [16]},
        usual={"seeds": 1, "hidden": 8, "images": 2000},
    )


# ---- how it is measured


def serve(name: str, plan: Plan) -> None:
    """In a process of its own: get ready, then measure whenever asked; milliseconds an update, and MiB at the peak."""
    work, updates = contestant(name, plan)
    for _ in range(2):
        work()
    for _ in iter(lambda: print("ready", flush=True) or sys.stdin.readline(), ""):
        times: list[float] = []
        until = time.perf_counter() + plan.seconds
        while not times or time.perf_counter() < until:
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


def in_turn(names: list[str], repeats: int, plan: Plan) -> Iterator[tuple[str, dict[str, float]]]:
    """Milliseconds an update of each contestant: all take turns, and wait asleep for the others."""
    command = [sys.executable, __file__, *plan.flags]
    workers = {}
    for name in names:
        a_peer = name.split("/")[1] in peers.CLASSIFIERS
        worker = subprocess.Popen(
            [*command, f"--worker={name}"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE if a_peer else None,
            text=True,
        )
        if ask(worker) is not None:
            workers[name] = worker
        elif a_peer:
            print(f"{name} cannot be measured here", file=sys.stderr)
        else:
            sys.exit(f"{name} failed")
    times_of: dict[str, list[list[float]]] = {name: [] for name in workers}
    for _ in range(repeats):
        for name, worker in workers.items():
            times_of[name].append(json.loads(ask(worker, "go\n") or ""))
            ask(worker)
    for name, worker in workers.items():
        worker.communicate()
        times, peaks = zip(*times_of[name], strict=True)
        figures = {"ms": float(np.median(times)), "fastest_ms": min(times), "slowest_ms": max(times), "MiB": max(peaks)}
        yield name, {key: round(value, 3) for key, value in figures.items()}


# ---- the parts


def installed(names: tuple[str, ...]) -> list[str]:
    """The peers whose library is here."""
    found = [who for who in names if importlib.util.find_spec(who.partition("_")[0])]
    if missing := [who for who in names if who not in found]:
        print(f"without {', '.join(missing)}: pip install '.[bench]' brings them", file=sys.stderr)
    return found


def updates(plan: Plan) -> dict[str, Any]:
    """Updates of both networks: milliseconds, and how often the floor that is."""
    measured: dict[str, Any] = {}
    others = installed(plan.peers)
    for kind, seeds in plan.seeds.items():
        figures = beside_products(kind, [*(f"pljax/{count}" for count in seeds), *others], plan)
        five = figures[f"{kind}/pljax/5"]["ms"]
        measured |= {
            name: {**of_name, "of_pljax_5": round(of_name["ms"] / five, 3)} for name, of_name in figures.items()
        }
    return measured


def ladder_updates(plan: Plan) -> dict[str, Any]:
    """An update of the ladder, the drawing of its noise and the optimizer's part, beside its products."""
    return beside_products("ladder", ["pljax/1", "noise", "optimizer"], plan)


def beside_products(kind: str, contestants: list[str], plan: Plan) -> dict[str, dict[str, float]]:
    """Milliseconds of each contestant, and how often the products of an update that is."""
    figures = dict(in_turn([f"{kind}/{who}" for who in ("floor", *contestants)], plan.repeats, plan))
    of_products = figures[f"{kind}/floor"]["ms"]
    for name, of_name in figures.items():
        of_name["of_floor"] = round(of_name["ms"] / of_products, 3)
        most = f" (at most {MOST_FLOORS[kind]:.2f})" if name.endswith(("pljax/1", "pljax/5")) else ""
        print(f"{name:30} {of_name['ms']:8.2f} ms  {of_name['of_floor']:.2f} of the floor{most}", flush=True)
    return figures


def start(plan: Plan) -> dict[str, float]:
    """Seconds from the command to the end of the first epoch of `quick`, for the first time and the second."""
    seconds = {}
    with tempfile.TemporaryDirectory() as place:
        for which in plan.starts:
            workdir = Path(place) / which
            command = [sys.executable, "-m", "pljax.main", "--scenario=pl", *plan.command, f"--workdir={workdir}"]
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
            if process.poll():
                sys.exit(f"{' '.join(command)} failed")
            process.kill()
            process.wait()
            print(f"first epoch of the {which} start ended after {seconds[which]:.2f} s", flush=True)
    return seconds


def checkpoints(plan: Plan) -> dict[str, float]:
    """What saving `quick`'s `pl_dae` (5 seeds) takes: until training goes on, and until it is on the disk."""
    from pljax import SCENARIOS, Reporter, RunFolder
    from pljax.settings import override
    from pljax.training import checkpointer, loop, seed_group
    from pljax.training.metrics import MetricsLog
    from pljax.training.seeds import layout_for

    config, seeds, layout = SCENARIOS["quick"]["pl_dae"], range(5), layout_for(5)
    if plan.tiny:
        config, _ = override(config, {"hidden": (plan.hidden,)})
    dataset = images(plan.usual["images"], plan)
    group = seed_group.make_group(config, seeds, dataset, layout)
    phase = group.phase(0)
    state = layout.reshard(group.programs(0).init(phase, group.key(0), {}, group.splits, group.data))
    held, until_on_disk = [], []
    with tempfile.TemporaryDirectory() as place, Reporter(open(os.devnull, "w")) as reporter:
        folder = RunFolder(Path(place) / "run")
        folder.make()
        for number in range(plan.saves):
            never = checkpointer.SaveInterval(seconds=1e9)
            path = folder.checkpoints(number)
            log = MetricsLog(seeds, len(dataset.train_labels), folder.append_metrics, reporter)
            log.start_phase(0, "pretrain", loop.phase_schedule(phase, group.labelled_size))
            with checkpointer.Checkpointer(path, never, layout, folder, log, reporter) as saver:
                progress = saver.resume(lambda _: state)
                progress.t, progress.state = 1, state
                started = time.perf_counter()
                saver.save(progress)
                held.append(time.perf_counter() - started)
            until_on_disk.append(time.perf_counter() - started)
    seconds = {"training_waits_s": float(np.median(held)), "on_disk_after_s": float(np.median(until_on_disk))}
    shares = {"percent_of_a_minute": 100 * seconds["training_waits_s"] / 60}
    shares["percent_of_a_minute_at_most"] = 100 * seconds["on_disk_after_s"] / 60
    rounded = {name: round(value, 3) for name, value in {**seconds, **shares}.items()}
    print(f"checkpoints: {rounded}", flush=True)
    return rounded


def growth(plan: Plan) -> dict[str, Any]:
    """An update of a classifier with 1,000 hidden units, and the process's memory, against one size at a time."""
    measured = {}
    for kind, sizes in plan.growth.items():
        for size in sizes:
            for name, figures in in_turn([f"{kind}/{size}"], plan.growth_repeats, plan):
                measured[name] = figures
                print(f"{name:30} {figures['ms']:8.2f} ms a seed's update  {figures['MiB']:8.0f} MiB", flush=True)
    return measured


PARTS: dict[str, Callable[[Plan], Any]] = {
    "updates": updates,
    "ladder": ladder_updates,
    "start": start,
    "checkpoints": checkpoints,
    "growth": growth,
}


# ---- what is printed


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

    kinds = list(dict.fromkeys(name.split("/")[0] for name in growth))
    plain = FuncFormatter(lambda value, _: f"{value:,.0f}" if value >= 1 or not value else f"{value:.1f}")
    rows = [["classifier"] * len(kinds) + ["autoencoder"] * len(kinds)]
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
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results; default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="only see that every part runs; needs --output")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    plan = tiny() if options.tiny else whole(options.data_dir)
    if options.worker:
        return serve(options.worker, plan)
    if options.tiny and options.output.resolve() == RESULTS.resolve():
        parser.error("figures of --tiny are not kept among the results: give an --output")
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / "speed.json"
    measured = json.loads(path.read_text()) if path.exists() else {}
    for name in options.parts.split(","):
        measured[name] = {"machine": machine(), "figures": PARTS[name](plan)}
        path.write_text(json.dumps(measured, indent=1) + "\n")
    if {"updates", "growth"} <= set(measured):
        draw(measured["updates"]["figures"], measured["growth"]["figures"], options.output / "speed.png")


if __name__ == "__main__":
    main()
