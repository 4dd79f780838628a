"""How much rounding is worth: the same seeds, trained again with sums that are rounded in another way.

On another number of cores, matrix products add their terms in another order. ``--last_bit=1`` does the like without
other cores: it multiplies the initial weights by 1 + 2**-23, which changes their last bit. Each is an *arm*; split,
random numbers and formulas are the same in all arms.

For each seed and arm, ``experiments/results/rounding.jsonl`` has a line with the test accuracy, the confusion matrix of
the test images, and by epoch the validation accuracy and the share of each class among the pseudo-labels that training
gave.

``python experiments/rounding.py --cores=0`` trains on the first core what the file lacks, one seed after another: it
goes on where it was interrupted. Several processes can add to the file at once. ``--tables`` only prints, and draws
``rounding.png`` and ``merged.png``.
"""

import argparse
import dataclasses
import itertools
import json
import os
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import matplotlib
import numpy as np
import scipy.stats
from matplotlib.axes import Axes

from pljax import SCENARIOS, Config, Dataset, RunFolder, load, run
from pljax.analysis.stats import compare_paired
from pljax.methods import Aux, Batch, register
from pljax.methods.pseudo_label import Extra, PseudoLabel
from pljax.protocols import lee2013, quick
from pljax.report.figures import style
from pljax.settings import override, setting
from pljax.types import Params, Split, TrainingData

RESULTS = Path(__file__).parent / "results"
PROTOCOLS: dict[str, Callable[..., dict[str, Config]]] = {"lee2013": lee2013.scenarios, "quick": quick.scenarios}
TINY = {"hidden": (16,), "validation": 500}
CLASSES = 10
LOST = 0.05  # a class has less than this share of the pseudo-labels: half of what is its due
KEPT_EVERY = 10  # epochs
FIRST_ARM = "2 cores"
DRAWN_ARMS = (FIRST_ARM, "1 core")

COLUMNS = (
    "case",
    "arms",
    "seeds",
    "mean difference",
    "SD within a seed",
    "SD between seeds",
    "median, largest difference",
)

Case = dict[str, dict[int, dict[str, Any]]]  # what is kept of a seed, by arm and seed


@register
class RecordedPseudoLabel(PseudoLabel):
    """Pseudo-Label that records how many pseudo-labels each class gets; its initial weights can differ a little."""

    last_bit: int = setting(default=0, help="by how much the initial weights differ in their last bit.", flag=False)

    def init(self, key: jax.Array, data: TrainingData, split: Split, start: Params) -> tuple[Params, Extra]:
        params, extra = super().init(key, data, split, start)
        return jax.tree.map(lambda leaf: leaf * jnp.float32(1 + self.last_bit * 2.0**-23), params), extra

    def loss(
        self, params: Params, extra: Extra, batch: Batch, weight: jax.Array, key: jax.Array
    ) -> tuple[jax.Array, Aux]:
        loss, aux = super().loss(params, extra, batch, weight, key)
        if aux.pseudo_labels is None:
            return loss, aux
        shares = jax.nn.one_hot(aux.pseudo_labels, CLASSES).mean(axis=0)
        return loss, aux._replace(metrics={**aux.metrics, **{f"share_{c}": shares[c] for c in range(CLASSES)}})


def recorded(config: Config, last_bit: int) -> Config:
    """The config with :class:`RecordedPseudoLabel` for its classifier."""
    *before, phase = config.phases
    settings = {field.name: getattr(phase.method, field.name) for field in dataclasses.fields(phase.method)}
    method = RecordedPseudoLabel(**settings, last_bit=last_bit)
    return dataclasses.replace(config, phases=(*before, dataclasses.replace(phase, method=method)))


def train(config: Config, seed: int, dataset: Dataset) -> dict[str, Any]:
    """What the results keep of one seed."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        result = run(config, [seed], dataset, folder)
        lines = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    curve = [line for line in lines if line["phase"] == len(config.phases) - 1]
    validation = {line["epoch"]: line["validation_accuracy"] for line in curve}
    shares = {
        line["epoch"]: [round(line[f"share_{c}"], 3) for c in range(CLASSES)]
        for line in curve[::KEPT_EVERY]
        if line.get("share_0") is not None
    }
    return {
        "test_accuracy": result.test_accuracy[0],
        "confusion": result.confusion[0],
        "validation_accuracy": {epoch: round(value, 4) for epoch, value in validation.items() if value is not None},
        "shares": shares,
        "seconds": round(result.seconds["finetune"], 1),
    }


# ---------------------------------------------------------------------------------------------- what is printed


class Spread(NamedTuple):
    """Standard deviations of test accuracies, in points, and how far a seed is from itself."""

    within: float  # of the rounding: within a seed, between its two arms
    low: float  # of the 95 % interval of that
    high: float
    between: float  # between seeds, without what rounding adds
    median: float  # of the differences of a seed's two arms, without sign
    most: float


def spread(accuracies: np.ndarray) -> Spread:
    """Divide the variance of accuracies in two arms, float ``[seeds, 2]``, into that within and that between seeds.

    This is the one-way analysis of variance with random effects: the mean square within seeds is the variance of
    rounding, and that between seeds has twice the variance of the seeds as well. Where the difference is negative, the
    variance of the seeds is 0. The interval takes the differences to be normal, which they are not where classes merge.
    """
    apart = np.abs(accuracies[:, 0] - accuracies[:, 1])
    within, n = (apart**2).mean() / 2, len(apart)
    between = accuracies.mean(axis=1).var(ddof=1) - within / 2
    low, high = (np.sqrt(within * n / scipy.stats.chi2.ppf(share, n)) for share in (0.975, 0.025))
    figures = (np.sqrt(within), low, high, np.sqrt(max(between, 0)), np.median(apart), apart.max())
    return Spread(*map(float, figures))


def in_both(case: Case, arms: Sequence[str]) -> tuple[list[int], np.ndarray]:
    """The seeds that all arms have and none diverged in, and their test accuracies in per cent, ``[seeds, arms]``."""
    seeds = sorted(set.intersection(*(set(case[arm]) for arm in arms)))
    values = {seed: [case[arm][seed]["test_accuracy"] for arm in arms] for seed in seeds}
    kept = [seed for seed in seeds if None not in values[seed]]
    return kept, 100 * np.array([values[seed] for seed in kept])


def equal_until(of_seed: Mapping[str, Any], of_other: Mapping[str, Any]) -> int:
    """The last epoch up to which two arms of a seed have the same validation accuracies; 0 if there is none."""
    first, second = of_seed["validation_accuracy"], of_other["validation_accuracy"]
    equal = itertools.takewhile(lambda epoch: first[epoch] == second[epoch], first)
    return max(map(int, equal), default=0)


class Lost(NamedTuple):
    """A class that has almost no pseudo-labels in the end."""

    label: int
    epoch: int  # since which that is so
    share: float  # of the pseudo-labels at this epoch
    last_share: float  # at the last one that is kept


def lost_classes(of_seed: Mapping[str, Any]) -> list[Lost]:
    """The classes that have almost no pseudo-labels in the end."""
    epochs, shares = [int(epoch) for epoch in of_seed["shares"]], np.array(list(of_seed["shares"].values()))
    found = []
    for lost in np.flatnonzero(shares[-1] < LOST) if len(shares) else ():
        (held,) = np.nonzero(shares[:, lost] >= LOST)
        since = held[-1] + 1 if len(held) else 0
        found.append(Lost(int(lost), epochs[since], shares[since, lost], shares[-1, lost]))
    return found


def describe_lost(of_seed: Mapping[str, Any]) -> str:
    """Which class is lost, what its test images are taken for, since when, and its share of the pseudo-labels."""
    counts, described = np.array(of_seed["confusion"]), []
    for label, epoch, share, last_share in lost_classes(of_seed):
        others = np.where(np.arange(CLASSES) == label, 0, counts[label])
        recall = counts[label, label] / counts[label].sum()
        shares = f"{share:.1%} of the pseudo-labels at epoch {epoch}, {last_share:.1%} in the end"
        described.append(f"{label} for {others.argmax()} (recall {recall:.0%}; {shares})")
    return ", ".join(described) or "none"


def tables(results: Mapping[str, Case]) -> Iterator[str]:
    """A row for each case and arm beside the first arm; then, for each case, a row a seed."""
    yield f"| {' | '.join(COLUMNS)} | equal up to epoch |"
    yield "| --- |" + " --- |" * len(COLUMNS)
    for name, case in results.items():
        for arm in [arm for arm in case if arm != FIRST_ARM and FIRST_ARM in case]:
            seeds, values = in_both(case, (FIRST_ARM, arm))
            if len(seeds) > 1:
                until = min(equal_until(case[FIRST_ARM][seed], case[arm][seed]) for seed in seeds)
                yield f"| {name} | {FIRST_ARM} and {arm} | {difference_cells(values)} | {until} |"
    for name, case in results.items():
        yield ""
        yield f"| {name}, seed | {' | '.join(case)} | {' | '.join(f'classes lost: {arm}' for arm in case)} |"
        yield "| --- |" + " --- |" * 2 * len(case)
        for seed in sorted(set().union(*case.values())):
            of_arms = [case[arm].get(seed) for arm in case]
            accuracies = ["-" if of is None else format_accuracy(of["test_accuracy"]) for of in of_arms]
            lost = ["-" if of is None else describe_lost(of) for of in of_arms]
            yield f"| {seed} | {' | '.join(accuracies)} | {' | '.join(lost)} |"


def difference_cells(values: np.ndarray) -> str:
    """The cells of a row that follow from the accuracies of two arms, ``[seeds, 2]``: all of ``COLUMNS`` but two."""
    of_case, test = spread(values), compare_paired(values[:, 1] - values[:, 0])
    difference = f"{test.mean:+.2f} ({test.low:+.2f} to {test.high:+.2f})"
    within = f"{of_case.within:.2f} ({of_case.low:.2f} to {of_case.high:.2f})"
    median_and_largest = f"{of_case.median:.2f}, {of_case.most:.2f}"
    return " | ".join([str(len(values)), difference, within, f"{of_case.between:.2f}", median_and_largest])


def format_accuracy(accuracy: float | None) -> str:
    return "diverged" if accuracy is None else f"{100 * accuracy:.2f}"


# ------------------------------------------------------------------------------------------------ what is drawn


def draw_curves(case: Case, weight: Callable[[Any], Any], path: Path) -> None:
    """Draw the accuracy of each seed in two arms, and by epoch how far the validation accuracies of these are apart."""
    seeds, values = in_both(case, DRAWN_ARMS)
    first, second = (
        np.array([list(case[arm][seed]["validation_accuracy"].values()) for seed in seeds]) for arm in DRAWN_ARMS
    )
    epochs = np.array([int(epoch) for epoch in case[FIRST_ARM][seeds[0]]["validation_accuracy"]])
    apart = 100 * np.abs(first - second)
    with matplotlib.rc_context(style.RC):
        figure = style.new_figure(3.4)
        left, right = figure.subplots(1, 2)
        ends = [values.min() - 1, values.max() + 1]
        left.plot(ends, ends, color=style.FAINT, linewidth=1)
        left.plot(values[:, 0], values[:, 1], "o", color=style.COLOURS[2])
        for seed, place in zip(seeds, values, strict=True):
            left.annotate(str(seed), place, xytext=(4, 3), textcoords="offset points", fontsize=8)
        left.set(
            xlabel=f"test accuracy, {DRAWN_ARMS[0]}, %", ylabel=f"test accuracy, {DRAWN_ARMS[1]}, %", aspect="equal"
        )
        right.plot(epochs, apart.T, color=style.COLOURS[4], linewidth=0.8)
        right.plot(epochs, apart.mean(axis=0), color=style.INK)
        right.set(xlabel="epoch", ylabel="difference of validation accuracies, points", ylim=(0, None))
        ramp = right.twinx()
        ramp.plot(epochs, weight(epochs), color=style.COLOURS[1], linestyle="--")
        ramp.set(ylabel="alpha(t), dashed", ylim=(0, None))
        ramp.spines["right"].set_visible(True)
        path.write_bytes(style.to_png(figure))


def draw_merged(case: Case, path: Path) -> None:
    """Draw the seed with the lowest accuracy: the share of each class among the pseudo-labels, and what is confused."""
    seeds, values = in_both(case, DRAWN_ARMS)
    seed = seeds[int(values.mean(axis=1).argmin())]
    with matplotlib.rc_context(style.RC):
        figure = style.new_figure(5.6)
        axes = figure.subplots(2, 2, height_ratios=(2, 3), sharey="row")
        for column, arm in enumerate(DRAWN_ARMS):
            of_seed = case[arm][seed]
            draw_shares(axes[0, column], of_seed["shares"])
            draw_confusion(axes[1, column], np.array(of_seed["confusion"]))
            axes[0, column].set_title(f"seed {seed}, {arm}: {100 * of_seed['test_accuracy']:.2f} %")
        axes[0, 0].set_ylabel("share of the pseudo-labels, %")
        axes[1, 0].set_ylabel("true class")
        path.write_bytes(style.to_png(figure))


def draw_shares(axes: Axes, shares: Mapping[str, list[float]]) -> None:
    epochs, values = [int(epoch) for epoch in shares], 100 * np.array(list(shares.values()))
    for c in range(CLASSES):
        colour, _, dashes = style.series_style(c)
        axes.plot(epochs, values[:, c], color=colour, linestyle=dashes, linewidth=1)
        axes.annotate(str(c), (epochs[-1], values[-1, c]), xytext=(3, -3), textcoords="offset points", fontsize=8)
    axes.set(xlabel="epoch", ylim=(0, None))


def draw_confusion(axes: Axes, counts: np.ndarray) -> None:
    share = 100 * counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=100)
    for row, column in itertools.product(range(CLASSES), repeat=2):
        if share[row, column] >= 1:
            colour = "white" if share[row, column] > 60 else style.INK
            axes.text(column, row, f"{share[row, column]:.0f}", ha="center", va="center", fontsize=7, color=colour)
    axes.set(xticks=range(CLASSES), yticks=range(CLASSES), xlabel="predicted class")
    axes.spines[:].set_visible(False)


def read(path: Path) -> dict[str, Case]:
    """The results by case, arm and seed."""
    results: dict[str, Case] = {}
    for line in path.read_text().splitlines() if path.exists() else ():
        of_seed = json.loads(line)
        arms = results.setdefault(of_seed.pop("case"), {})
        arms.setdefault(of_seed.pop("arm"), {})[of_seed.pop("seed")] = of_seed
    return results


def use_cores(numbers: Sequence[int]) -> None:
    """Compute on these of the cores only, counted from 0. Call it before JAX starts."""
    cores = sorted(os.sched_getaffinity(0))
    if not {*numbers} <= {*range(len(cores))}:
        raise SystemExit(f"There are {len(cores)} cores: give some of 0 to {len(cores) - 1}.")
    os.sched_setaffinity(0, [cores[number] for number in numbers])


def train_missing(path: Path, name: str, arm: str, config: Config, seeds: Sequence[int], dataset: Dataset) -> None:
    """Train the seeds that an arm of a case lacks, and add a line for each to the results."""
    for seed in seeds:
        if seed not in read(path).get(name, {}).get(arm, {}):
            figures = {"case": name, "arm": arm, "seed": seed, **train(config, seed, dataset)}
            with path.open("a") as file:
                file.write(json.dumps(figures) + "\n")
            print(f"{name}, {arm}, seed {seed}: {format_accuracy(figures['test_accuracy'])}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Train the same seeds with sums that are rounded in another way.")
    parser.add_argument("--protocol", choices=PROTOCOLS, default="quick")
    parser.add_argument("--scenario", choices=("pl", "pl_dae"), default="pl")
    parser.add_argument("--cores", default="0,1", help="the cores to use, with commas; default: %(default)s")
    parser.add_argument("--last_bit", type=int, default=0, help="by how much the initial weights differ in it")
    parser.add_argument("--first_seed", type=int, default=0)
    parser.add_argument("--seeds", type=int, default=10, help="how many; default: %(default)s")
    parser.add_argument("--data_dir", help="where the files of MNIST lie; default: the user's cache folder")
    parser.add_argument("--tables", action="store_true", help="only print and draw the results")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results; default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="only see that it runs; needs --output")
    arguments = parser.parse_args()
    if arguments.tiny and arguments.output.resolve() == RESULTS.resolve():
        parser.error("figures of --tiny are not kept among the results: give an --output")
    path, name = arguments.output / "rounding.jsonl", f"{arguments.protocol} {arguments.scenario}"
    if not arguments.tables:
        cores = [int(number) for number in arguments.cores.split(",")]
        use_cores(cores)
        arm = f"{len(cores)} core{'s' * (len(cores) > 1)}" + (", last bit" if arguments.last_bit else "")
        arguments.output.mkdir(parents=True, exist_ok=True)
        dataset = load("mnist_5k" if arguments.tiny else "mnist", arguments.data_dir)
        config = PROTOCOLS[arguments.protocol](length=0.04 if arguments.tiny else 1.0)[arguments.scenario]
        config = recorded(override(config, TINY if arguments.tiny else {})[0], arguments.last_bit)
        seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
        train_missing(path, name, arm, config, seeds, dataset)
    results = read(path)
    print("\n".join(tables(results)))
    case = results.get(name, {})
    if {*DRAWN_ARMS} <= {*case} and len(in_both(case, DRAWN_ARMS)[0]) > 1:
        weight = SCENARIOS[arguments.protocol][arguments.scenario].method.weight
        draw_curves(case, weight, arguments.output / "rounding.png")
        draw_merged(case, arguments.output / "merged.png")


if __name__ == "__main__":
    main()
