"""Test accuracy of the eight methods on MNIST with 100 labels after about 20 seconds, a minute and five of training.

The methods train as the protocol `quick` has them, with their epochs, T1, T2 and the schedules of learning rate and
momentum stretched or shortened so that training takes about so long on two idle cores. Seed 3 has the same 100 labels,
validation images and test images for every method and time. The seconds that training took are in the results.

``python experiments/methods.py --data_dir=FOLDER`` trains what ``experiments/results/methods.json`` lacks, one seed
after another and the shortest times first, and adds to it: it goes on where it was interrupted. ``--only=ladder,vat``
and ``--times=60`` choose. It prints the tables and draws ``methods.png`` in the end; ``--tables`` does only that. All
of it takes three hours on two cores. Where `quick` itself takes about as long, the figures are those of
``results/quick``, which ``python -m pljax.main --scenario=methods`` leaves. With ``--tiny``, runs of a few updates show
that it works.
"""

import argparse
import itertools
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from pljax import SCENARIOS, Config, Dataset, Result, RunFolder, load, run
from pljax.analysis.stats import compare_paired, summarize
from pljax.protocols import quick
from pljax.report.figures import style
from pljax.settings import override, to_json

RESULTS = Path(__file__).parent / "results"
METHODS = tuple(SCENARIOS["quick"])
REFERENCE = "pl_dae"  # the best of Lee (2013)
TIMES = (20, 60, 300)  # seconds of training a seed
SEEDS = {("pl_dae", 300): 10}  # of a method and a time; else
FEWEST_SEEDS = 5
BESIDE = 1.045  # the ratio of the places of two methods in the picture
# The seconds that a seed takes under `quick` on two idle cores.
OF_QUICK = {
    "nn": 2.4,
    "drop_nn": 2.5,
    "pl": 9.7,
    "pl_dae": 20,
    "mean_teacher": 270,
    "vat": 270,
    "ladder": 310,
    "ladder_pl": 270,
}
# What `quick` itself takes about as long for: these figures are in results/quick.
AS_QUICK = {("pl_dae", 20), *((method, 300) for method in ("mean_teacher", "vat", "ladder", "ladder_pl"))}


def config_for(method: str, seconds: int, *, tiny: bool = False) -> Config:
    """The config of a method that trains for about so many seconds on two cores, or an epoch of a tiny network."""
    if tiny:
        return override(quick.scenarios(length=0.02)[method], {"hidden": (8,), "validation": 100})[0]
    return quick.scenarios(length=seconds / OF_QUICK[method])[method]


def key(method: str, seconds: int) -> str:
    return f"{method}, {seconds} s"


def train(config: Config, seed: int, dataset: Dataset) -> dict[str, Any]:
    """The accuracies of one seed, ``None`` if it diverged, and the seconds of its training."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        result = run(config, [seed], dataset, folder)
        last = json.loads((folder.path / "metrics.jsonl").read_text().splitlines()[-1])
    return {
        "test_accuracy": result.test_accuracy[0],
        "validation_accuracy": last["validation_accuracy"],
        "seconds": round(training_seconds(result), 1),
    }


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text()) if path.exists() else {}


def missing(
    results: dict[str, Any], methods: Sequence[str], times: Sequence[int], most: int
) -> Iterator[tuple[str, int, int]]:
    """The method, time and seed of each run that the results lack, the shortest first."""
    for seconds, seed, method in itertools.product(times, range(most), methods):
        wanted = 0 if (method, seconds) in AS_QUICK else SEEDS.get((method, seconds), FEWEST_SEEDS)
        if seed < wanted and str(seed) not in seeds_of(results, method, seconds):
            yield method, seconds, seed


def add(path: Path, method: str, seconds: int, config: Config, seed: int, figures: dict[str, Any]) -> None:
    """Add the figures of a seed to the results, which another process may have added to."""
    results = read(path)
    case = results.setdefault(key(method, seconds), {"config": to_json(config), "seeds": {}})
    case["seeds"][str(seed)] = figures
    path.write_text(json.dumps(results, indent=1) + "\n")


def require_same_configs(results: dict[str, Any], tiny: bool) -> None:
    """End the program if results are of another config than that of today."""
    for method, seconds in itertools.product(METHODS, TIMES):
        case = results.get(key(method, seconds))
        if case is not None and case["config"] != to_json(config_for(method, seconds, tiny=tiny)):
            raise SystemExit(f"{key(method, seconds)}: these results are of another config. Remove them from the file.")


def accuracies(results: dict[str, Any], method: str, seconds: int) -> dict[int, float]:
    """The test accuracies of a method by seed, in per cent, without the seeds that diverged."""
    if (method, seconds) in AS_QUICK:
        result = of_quick(method)
        found = dict(zip(result.seeds, 100 * result.accuracies(), strict=True)) if result else {}
        return {seed: value for seed, value in found.items() if np.isfinite(value)}
    of_seeds = seeds_of(results, method, seconds)
    return {int(seed): 100 * of["test_accuracy"] for seed, of in of_seeds.items() if of["test_accuracy"] is not None}


def measured_seconds(results: dict[str, Any], method: str, seconds: int) -> list[float]:
    """The seconds that training took, one number a seed; of runs in ``results/quick`` their mean alone."""
    if (method, seconds) in AS_QUICK:
        result = of_quick(method)
        return [training_seconds(result) / len(result.seeds)] if result else []
    return [of["seconds"] for of in seeds_of(results, method, seconds).values()]


def seeds_of(results: dict[str, Any], method: str, seconds: int) -> dict[str, dict[str, Any]]:
    """The figures of the seeds of a case, by seed."""
    return results.get(key(method, seconds), {"seeds": {}})["seeds"]


def of_quick(method: str) -> Result | None:
    """The kept result of a method under `quick`."""
    kept = RESULTS / "quick" / f"{method}.json"
    return Result.load(kept) if kept.exists() else None


def training_seconds(result: Result) -> float:
    return sum(seconds for phase, seconds in result.seconds.items() if phase != "score")


def accuracy_cell(results: dict[str, Any], method: str, seconds: int) -> str:
    """The mean accuracy with half its 95 % interval, and the number of seeds."""
    found = list(accuracies(results, method, seconds).values())
    if len(found) < 2:
        return "-"
    summary = summarize(np.array(found))
    return f"**{summary.mean:.2f}** ± {summary.high - summary.mean:.2f} ({len(found)})"


def difference_cell(results: dict[str, Any], method: str, seconds: int) -> str:
    """The mean difference to ``pl_dae`` with its 95 % interval, and the number of seeds that both have."""
    ours, lee = accuracies(results, method, seconds), accuracies(results, REFERENCE, seconds)
    common = sorted(ours.keys() & lee.keys())
    if method == REFERENCE or len(common) < 2:
        return "-"
    test = compare_paired(np.array([ours[seed] - lee[seed] for seed in common]))
    return f"{test.mean:+.2f} ({test.low:+.2f} to {test.high:+.2f}), {len(common)}"


def seconds_cell(results: dict[str, Any], method: str, seconds: int) -> str:
    """The median of the seconds that training took."""
    found = measured_seconds(results, method, seconds)
    return f"{np.median(found):.0f}" if found else "-"


def table(results: dict[str, Any], cell: Callable[[dict[str, Any], str, int], str]) -> list[str]:
    """The lines of a table with a row a method and a column a time."""
    header = [f"| method | {' | '.join(map(name_time, TIMES))} |", "| --- |" + " --- |" * len(TIMES)]
    rows = {method: " | ".join(cell(results, method, seconds) for seconds in TIMES) for method in METHODS}
    return [*header, *(f"| `{method}` | {cells} |" for method, cells in rows.items())]


def name_time(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw mean accuracies with their 95 % intervals up to 100 against the time, side by side, and every seed."""
    with matplotlib.rc_context(style.RC):
        figure = style.new_figure(4.2)
        axes = figure.subplots()
        for index, method in enumerate(METHODS):
            drawn = [seconds for seconds in TIMES if len(accuracies(results, method, seconds)) > 1]
            if not drawn:
                continue
            of_seeds = [np.array(list(accuracies(results, method, seconds).values())) for seconds in drawn]
            summaries = [summarize(values) for values in of_seeds]
            means, halves = np.array([(of.mean, of.high - of.mean) for of in summaries]).T
            reach = halves, np.minimum(halves, 100 - means)  # no accuracy is above 100 %
            colour, marker, dashes = style.series_style(index)
            x = np.array(drawn) * BESIDE ** (index - (len(METHODS) - 1) / 2)
            look: dict[str, Any] = {"color": colour, "marker": marker, "linestyle": dashes, "capsize": 2.5}
            axes.errorbar(x, means, reach, elinewidth=0.8, linewidth=1.0, label=method, **look)
            for place, values in zip(x, of_seeds, strict=True):
                axes.plot(np.full(len(values), place), values, ".", color=colour, markersize=3, alpha=0.5)
        axes.set(xscale="log", xlabel="time of training a seed on two cores, about", ylabel="test accuracy, %")
        axes.set_ylim(top=100)
        axes.set_xticks(TIMES, map(name_time, TIMES))
        axes.minorticks_off()
        axes.grid(axis="y")
        style.legend(figure, axes.get_legend_handles_labels()[0])
        path.write_bytes(style.to_png(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the methods of the protocol quick by training time.")
    parser.add_argument("--data_dir", help="where the files of MNIST lie; default: the user's cache folder")
    parser.add_argument("--only", default=",".join(METHODS), help="the methods, with commas; default: %(default)s")
    parser.add_argument("--times", default=",".join(map(str, TIMES)), help="seconds a seed; default: %(default)s")
    parser.add_argument("--tables", action="store_true", help="only print and draw the results")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results; default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="only see that it runs; needs --output")
    arguments = parser.parse_args()
    if arguments.tiny and arguments.output.resolve() == RESULTS.resolve():
        parser.error("figures of --tiny are not kept among the results: give an --output")
    methods, times = arguments.only.split(","), arguments.times.split(",")
    if unknown := {*methods} - {*METHODS} | {*times} - {*map(str, TIMES)}:
        parser.error(f"there is no {', '.join(sorted(unknown))}: choose among {', '.join(map(str, METHODS + TIMES))}")
    path = arguments.output / "methods.json"
    require_same_configs(read(path), arguments.tiny)
    if not arguments.tables:
        arguments.output.mkdir(parents=True, exist_ok=True)
        dataset = load("mnist_5k" if arguments.tiny else "mnist", arguments.data_dir)
        most = 2 if arguments.tiny else max(SEEDS.values())
        for method, seconds, seed in list(missing(read(path), methods, [int(time) for time in times], most)):
            config = config_for(method, seconds, tiny=arguments.tiny)
            figures = train(config, seed, dataset)
            add(path, method, seconds, config, seed, figures)
            print(f"{key(method, seconds)}, seed {seed}: {figures}", flush=True)
    results = read(path)
    for cell in (accuracy_cell, difference_cell, seconds_cell):
        print("\n".join([*table(results, cell), ""]))
    draw(results, arguments.output / "methods.png")


if __name__ == "__main__":
    main()
