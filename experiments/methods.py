"""Test accuracy of the eight methods on MNIST with 100 labels, when training takes 20 seconds, a minute or five.

The methods train as the protocol `quick` has them, with all their time constants (epochs, T1, T2, those of the learning
rate) multiplied so that training takes about so long on two cores. Seed 3 has the same 100 labels, validation images
and test images for every method and time.

``python experiments/methods.py --data_dir=FOLDER`` trains what ``experiments/results/methods.json`` lacks, one seed
after another and the shortest times first, and adds to it: it goes on where it was interrupted. ``--only=ladder,vat``
and ``--times=60`` choose. It prints the tables and draws ``methods.png`` in the end; ``--tables`` does only that. All
of it takes three hours on two cores. Where `quick` itself takes as long, the figures are those in ``results/quick``,
which ``python -m pljax.main --scenario=methods`` leaves. With ``--tiny``, runs of a few updates show that it works.
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
from pljax.settings import override

RESULTS = Path(__file__).parent / "results"
METHODS = tuple(SCENARIOS["quick"])
REFERENCE = "pl_dae"  # the best of Lee (2013)
TIMES = (20, 60, 300)  # seconds of training a seed
SEEDS = 5
MOST_SEEDS = {(method, 300): 10 for method in ("pl_dae", "vat", "ladder", "ladder_pl")}
# Seconds that a seed takes under `quick` on two idle cores, rounded up to five minutes for the later methods.
OF_QUICK = {
    "nn": 2.4,
    "drop_nn": 2.5,
    "pl": 9.7,
    "pl_dae": 20,
    "mean_teacher": 300,
    "vat": 300,
    "ladder": 300,
    "ladder_pl": 300,
}


def config_for(method: str, seconds: int, *, tiny: bool = False) -> Config:
    """The config of a method that trains for about so many seconds on two cores, or an epoch of a tiny network."""
    if tiny:
        return override(quick.scenarios(length=0.02)[method], {"hidden": (8,), "validation": 100})[0]
    return quick.scenarios(length=seconds / OF_QUICK[method])[method]


def key(method: str, seconds: int) -> str:
    return f"{method}, {seconds} s"


def train(config: Config, seed: int, dataset: Dataset) -> dict[str, float]:
    """The accuracies of one seed, and the seconds of its training."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        result = run(config, [seed], dataset, folder)
        last = json.loads((folder.path / "metrics.jsonl").read_text().splitlines()[-1])
    spent = sum(seconds for phase, seconds in result.seconds.items() if phase != "score")
    (test_accuracy,) = result.accuracies()
    return {
        "test_accuracy": round(float(test_accuracy), 4),
        "validation_accuracy": round(last["validation_accuracy"], 4),
        "seconds": round(spent, 1),
    }


def missing(
    results: dict[str, Any], methods: Sequence[str], times: Sequence[int], seeds: Sequence[int]
) -> Iterator[tuple[str, int, int]]:
    """The method, time and seed of each run that the results lack, the shortest first."""
    for seconds, seed, method in itertools.product(times, seeds, methods):
        wanted = 0 if seconds == OF_QUICK[method] else MOST_SEEDS.get((method, seconds), SEEDS)
        if seed < wanted and str(seed) not in results.get(key(method, seconds), {}):
            yield method, seconds, seed


def points(results: dict[str, Any], method: str, seconds: int) -> dict[int, float]:
    """The test accuracies of a method by seed, in per cent."""
    kept = RESULTS / "quick" / f"{method}.json"
    if seconds == OF_QUICK[method]:
        result = Result.load(kept) if kept.exists() else None
        return dict(zip(result.seeds, 100 * result.accuracies(), strict=True)) if result else {}
    return {
        int(seed): 100 * figures["test_accuracy"] for seed, figures in results.get(key(method, seconds), {}).items()
    }


def accuracy_cell(results: dict[str, Any], method: str, seconds: int) -> str:
    """The mean accuracy with half its 95 % interval, and the number of seeds."""
    found = list(points(results, method, seconds).values())
    if len(found) < 2:
        return "-"
    summary = summarize(np.array(found))
    return f"**{summary.mean:.2f}** ± {summary.high - summary.mean:.2f} ({len(found)})"


def difference_cell(results: dict[str, Any], method: str, seconds: int) -> str:
    """The mean difference to ``pl_dae`` on the seeds that both have, with its 95 % interval."""
    ours, lee = points(results, method, seconds), points(results, REFERENCE, seconds)
    common = sorted(ours.keys() & lee.keys())
    if method == REFERENCE or len(common) < 2:
        return "-"
    test = compare_paired(np.array([ours[seed] - lee[seed] for seed in common]))
    return f"{test.mean:+.2f} ({test.low:+.2f} to {test.high:+.2f})"


def table(results: dict[str, Any], cell: Callable[[dict[str, Any], str, int], str]) -> list[str]:
    """The lines of a table with a row a method and a column a time."""
    header = [f"| method | {' | '.join(map(name_time, TIMES))} |", "| --- |" + " --- |" * len(TIMES)]
    rows = {method: " | ".join(cell(results, method, seconds) for seconds in TIMES) for method in METHODS}
    return [*header, *(f"| `{method}` | {cells} |" for method, cells in rows.items())]


def name_time(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"


def draw(results: dict[str, Any], path: Path) -> None:
    """Draw mean accuracies with their 95 % intervals against the seconds of a seed."""
    with matplotlib.rc_context(style.RC):
        figure = style.new_figure(3.6)
        axes = figure.subplots()
        for index, method in enumerate(METHODS):
            drawn = [seconds for seconds in TIMES if len(points(results, method, seconds)) > 1]
            if not drawn:
                continue
            summaries = [summarize(np.array(list(points(results, method, seconds).values()))) for seconds in drawn]
            colour, marker, dashes = style.series_style(index)
            means = np.array([summary.mean for summary in summaries])
            half = np.array([summary.high - summary.mean for summary in summaries])
            axes.errorbar(
                drawn,
                means,
                half,
                color=colour,
                marker=marker,
                linestyle=dashes,
                capsize=2.5,
                elinewidth=0.8,
                label=method,
            )
        axes.set(xscale="log", xlabel="seconds of training a seed, on two cores", ylabel="test accuracy, %")
        axes.set_xticks(TIMES, map(name_time, TIMES))
        axes.minorticks_off()
        axes.grid(axis="y")
        style.legend(figure, axes.get_legend_handles_labels()[0])
        path.write_bytes(style.to_png(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare the methods of the protocol quick by training time.")
    parser.add_argument("--data_dir", help="where the files of MNIST lie; default: the user's cache folder")
    parser.add_argument("--only", help="the methods, with commas; default: all")
    parser.add_argument("--times", help="the seconds a seed, with commas; default: all")
    parser.add_argument("--tables", action="store_true", help="only print and draw the results")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results; default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="only see that it runs; needs --output")
    arguments = parser.parse_args()
    if arguments.tiny and arguments.output.resolve() == RESULTS.resolve():
        parser.error("figures of --tiny are not kept among the results: give an --output")
    path = arguments.output / "methods.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    methods = arguments.only.split(",") if arguments.only else METHODS
    times = [int(seconds) for seconds in arguments.times.split(",")] if arguments.times else TIMES
    if not arguments.tables:
        arguments.output.mkdir(parents=True, exist_ok=True)
        dataset = load("mnist_5k" if arguments.tiny else "mnist", arguments.data_dir)
        seeds = range(2 if arguments.tiny else max(MOST_SEEDS.values()))
        for method, seconds, seed in list(missing(results, methods, times, seeds)):
            config = config_for(method, seconds, tiny=arguments.tiny)
            figures = results.setdefault(key(method, seconds), {})[str(seed)] = train(config, seed, dataset)
            print(f"{key(method, seconds)}, seed {seed}: {figures}", flush=True)
            path.write_text(json.dumps(results, indent=1) + "\n")
    print("\n".join([*table(results, accuracy_cell), "", *table(results, difference_cell)]))
    draw(results, arguments.output / "methods.png")


if __name__ == "__main__":
    main()
