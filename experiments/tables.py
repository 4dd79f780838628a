"""Print the tables of Lee's scenarios and all comparisons of the READMEs, from the results beside this script.

``results/PROTOCOL/SCENARIO.json`` is the ``result.json`` that ``python -m pljax.main --protocol=PROTOCOL
--scenario=SCENARIO --dataset=mnist`` leaves in its folder. ``results/lee2013/labels600/`` and ``labels1000/`` have
those of runs with more labels.

The tables are: Lee's scenarios by number of labels, beside table 2 of the paper; by protocol; their conditional
entropy, beside table 1; and the minutes that each run took. Then runs are compared: Lee's scenarios under each protocol
and with more labels, and the later methods with the best of them. The script also draws ``lee2013/labels.png`` and
``quick/scores.png``; ``--output`` names another folder for both.
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import NullLocator, StrMethodFormatter

from pljax import SCENARIOS, Result, RunFolder
from pljax.analysis.comparison import Comparison, compare
from pljax.analysis.stats import summarize
from pljax.protocols import lee2013, published
from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData, Run
from pljax.report.figures.scores import scores
from pljax.report.more_seeds import more_seeds
from pljax.report.tables import comparison_text

RESULTS = Path(__file__).parent / "results"
LEE = tuple(SCENARIOS["lee2013"])
LABELS = (100, 600, 1000)
MARGIN = 2.0  # points: less than what each of Lee's steps adds with 100 labels
PARTS = ("labelled", "unlabelled", "test")
# Table 1 of the paper: mean conditional entropy (eq. 17) of the images of each part, with 600 labels.
PUBLISHED_ENTROPY = {"drop_nn": (2.63e-9, 0.0349, 0.0317), "pl": (6.10e-9, 0.0067, 0.0114)}

Results = dict[str, Result]  # by scenario


def read(folder: str, scenarios: Sequence[str] = LEE) -> Results:
    """The kept results of a folder, in the order of ``scenarios``."""
    files = {scenario: RESULTS / folder / f"{scenario}.json" for scenario in scenarios}
    return {scenario: Result.load(file) for scenario, file in files.items() if file.exists()}


def read_by_labels() -> dict[int, Results]:
    """The kept results of `lee2013` by number of labels."""
    return {labels: read("lee2013" if labels == LABELS[0] else f"lee2013/labels{labels}") for labels in LABELS}


def table(columns: Sequence[str], cells: dict[str, list[str]]) -> str:
    """A Markdown table with a row for each scenario."""
    head = [f"| scenario | {' | '.join(columns)} |", "| --- |" + " --- |" * len(columns)]
    return "\n".join([*head, *(f"| `{scenario}` | {' | '.join(row)} |" for scenario, row in cells.items())])


def number_of_seeds(results: Results) -> str:
    """How many seeds each of the results has, in words."""
    numbers = {len(result.seeds) for result in results.values()}
    fewest, most = min(numbers), max(numbers)
    return f"{most} seeds" if fewest == most else f"{fewest} to {most} seeds"


def accuracy(result: Result | None, reference: float | None) -> str:
    """Mean and half the 95 % interval of a result, and the published accuracy."""
    if result is None:
        ours = "-"
    else:
        summary = summarize(100 * result.accuracies())
        ours = f"**{summary.mean:.2f}** ± {summary.high - summary.mean:.2f}"
    return ours if reference is None else f"{ours} ({reference:.2f})"


def by_labels() -> str:
    """Accuracy under `lee2013` by number of labels, and that of the paper in parentheses."""
    kept = read_by_labels()
    columns = [f"{labels:,} labels, {number_of_seeds(results)}" for labels, results in kept.items()]
    cells = {
        scenario: [
            accuracy(results.get(scenario), lee2013.PUBLISHED[scenario, labels]) for labels, results in kept.items()
        ]
        for scenario in LEE
    }
    return table(columns, cells)


def by_protocol() -> str:
    """Accuracy with 100 labels by protocol, and that which the protocol's source published for it in parentheses."""

    def cell(result: Result) -> str:
        figure = published(result.effective_config(), result.dataset["digest"])
        return accuracy(result, figure.accuracy if figure else None)

    kept = {protocol: results for protocol in SCENARIOS if (results := read(protocol))}
    columns = [f"`{protocol}`, {number_of_seeds(results)}" for protocol, results in kept.items()]
    return table(columns, {scenario: [cell(results[scenario]) for results in kept.values()] for scenario in LEE})


def entropy() -> str:
    """Mean conditional entropy under `lee2013` with 600 labels, and that of the paper in parentheses."""
    cells = {}
    for scenario, result in read_by_labels()[600].items():
        ours = [f"{np.nanmean(result.conditional_entropy[part]):#.2g}" for part in PARTS]
        theirs = [f" ({value:#.3g})" for value in PUBLISHED_ENTROPY.get(scenario, ())] or [""] * len(PARTS)
        cells[scenario] = [of_us + of_them for of_us, of_them in zip(ours, theirs, strict=True)]
    return table([f"{part} images" for part in PARTS], cells)


def minutes() -> str:
    """Minutes of training and scoring all seeds of a run, with compiling, and the number of seeds in parentheses."""
    columns: dict[str, Results] = {}
    for protocol, scenarios in SCENARIOS.items():
        kept = {"": read(protocol, tuple(scenarios))}
        if protocol == "lee2013":
            kept |= {f", {labels:,} labels": results for labels, results in read_by_labels().items() if labels > 100}
        for size, results in kept.items():
            for scenario, result in results.items():
                columns.setdefault(f"`{protocol}`{size}, {device(result)}", {})[scenario] = result

    def cell(result: Result | None) -> str:
        return f"{sum(result.seconds.values()) / 60:.1f} ({len(result.seeds)})" if result else "-"

    rows = {scenario: [cell(results.get(scenario)) for results in columns.values()] for scenario in SCENARIOS["quick"]}
    return table(list(columns), rows)


def device(result: Result) -> str:
    """The device of a result in short, and the precision of its matrix products if that is less than float32."""
    if result.device["platform"] == "cpu":
        return f"{result.device['cores']} cores"
    _, model, *_ = result.device["kind"].split()  # such as NVIDIA H100 80GB HBM3
    return model + " in TF32" * (result.device["matmul_precision"] == "tensorfloat32")


def comparisons() -> Iterator[tuple[str, Comparison]]:
    """The comparisons by title. Holm's correction is over the pairs of one of them."""
    for protocol, scenarios in SCENARIOS.items():
        results = read(protocol, tuple(scenarios))
        of_lee = [result for scenario, result in results.items() if scenario in LEE]
        later = [result for scenario, result in results.items() if scenario not in LEE]
        if of_lee:
            yield protocol, compare(of_lee, MARGIN)
        if of_lee and later:
            yield f"{protocol}, later methods beside {of_lee[-1].scenario}", compare([of_lee[-1], *later])
        elif later:
            yield protocol, compare(later)
    for labels, results in read_by_labels().items():
        if labels != LABELS[0]:
            yield f"lee2013, {labels:,} labels", compare(list(results.values()))


def draw_scores(path: Path) -> None:
    """Draw the accuracy of every seed under `quick`."""
    runs = [Run(scenario, result, RunFolder(path.parent)) for scenario, result in read("quick").items()]
    with matplotlib.rc_context(style.RC):
        path.write_bytes(style.to_png(scores(FigureData(runs, None)).figure))


def draw_labels(path: Path) -> None:
    """Draw the test error under `lee2013` by number of labels, and that of the paper, with 95 % intervals."""
    kept = read_by_labels()
    with matplotlib.rc_context(style.RC):
        figure = style.new_figure(3.8)
        axes = figure.subplots()
        for index, scenario in enumerate(LEE):
            colour, marker, _ = style.series_style(index)
            drawn = {"color": colour, "marker": marker, "capsize": 3}
            apart = 1.045 ** (index - 1.5)  # so that the marks of scenarios lie side by side
            theirs = [key for key in lee2013.PUBLISHED if key[0] == scenario]
            axes.errorbar(
                [labels * apart * 1.015 for _, labels in theirs],
                [100 - lee2013.PUBLISHED[key] for key in theirs],
                yerr=[lee2013.HALF_INTERVALS.get(key, 0) for key in theirs],
                linestyle=":",
                linewidth=1,
                markerfacecolor="white",
                **drawn,
            )
            ours = {labels: results[scenario] for labels, results in kept.items() if scenario in results}
            means = [summarize(100 * result.accuracies()) for result in ours.values()]
            axes.errorbar(
                [labels * apart for labels in ours],
                [100 - mean.mean for mean in means],
                yerr=[mean.high - mean.mean for mean in means],
                label=scenario,
                **drawn,
            )
        axes.set(xscale="log", yscale="log", xlabel="labelled images", ylabel="test error, %")
        axes.set_xticks(sorted({labels for _, labels in lee2013.PUBLISHED}))
        axes.set_yticks([2.5, 5, 10, 15, 20, 25])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.grid(axis="y")
        handles, _ = axes.get_legend_handles_labels()
        paper = Line2D([], [], color=style.GREY, linestyle=":", marker="o", markerfacecolor="white", label="the paper")
        axes.legend(handles=[*handles, paper])
        path.write_bytes(style.to_png(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the tables and comparisons of the kept results.")
    parser.add_argument("--output", type=Path, help="the folder of the figures; default: those of the results")
    output = parser.parse_args().output
    for printed in (by_labels(), by_protocol(), entropy(), minutes()):
        print(printed, end="\n\n")
    for title, compared in comparisons():
        print(f"{title}\n{'=' * len(title)}\n{comparison_text(compared, more_seeds(compared))}\n")
    draw_scores((output or RESULTS / "quick") / "scores.png")
    draw_labels((output or RESULTS / "lee2013") / "labels.png")


if __name__ == "__main__":
    main()
