"""Print the README's tables of Lee's scenarios and all comparisons, from the results beside this script.

``results/PROTOCOL/SCENARIO.json`` is the ``result.json`` that ``python -m pljax.main --protocol=PROTOCOL
--scenario=SCENARIO --dataset=mnist`` leaves in its folder, and ``results/lee2013/labels600/`` has those of runs with
``--labels=600``.

The tables are: Lee's scenarios by number of labels, beside his table 2; by protocol; their conditional entropy, beside
his table 1; and the seconds that runs took. Then runs are compared: Lee's scenarios under each protocol and with more
labels, and the later methods with the best of them. The script also draws the README's figures, ``lee2013/labels.png``
and ``quick/scores.png``; ``--output`` names another folder for both.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
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
MARGIN = 2.0  # points: less than what each of Lee's steps adds with 100 labels; the later methods are closer
# Table 1 of the paper: mean conditional entropy (eq. 17) of the labelled, unlabelled and test images, with 600 labels.
PARTS = ("labelled", "unlabelled", "test")
PUBLISHED_ENTROPY = {"drop_nn": (2.63e-9, 0.0349, 0.0317), "pl": (6.10e-9, 0.0067, 0.0114)}

Results = dict[str, Result]  # by scenario


def read(protocol: str, labels: int = 100) -> Results:
    """The kept results of a protocol, in the order of its scenarios."""
    folder = RESULTS / protocol / ("" if labels == 100 else f"labels{labels}")
    files = {scenario: folder / f"{scenario}.json" for scenario in SCENARIOS[protocol]}
    return {scenario: Result.load(file) for scenario, file in files.items() if file.exists()}


def cell(result: Result | None, reference: float | None) -> str:
    """Mean and half the 95 % interval of a result, and the published accuracy."""
    if result is None:
        ours = "-"
    else:
        summary = summarize(100 * result.accuracies())
        ours = f"**{summary.mean:.2f}** ± {summary.high - summary.mean:.2f}"
    return ours if reference is None else f"{ours} ({reference:.2f})"


def seeds_of(results: Results) -> int:
    return max(len(result.seeds) for result in results.values())


def by_labels() -> Iterator[str]:
    """Lee's scenarios under `lee2013` by number of labels, with all that his table 2 has."""
    kept = {labels: read("lee2013", labels) for labels in LABELS}
    header = [f"{labels:,} labels, {seeds_of(results)} seeds" for labels, results in kept.items()]
    yield f"| scenario | {' | '.join(header)} |"
    yield "| --- |" + " --- |" * len(header)
    for scenario in LEE:
        cells = [cell(results.get(scenario), lee2013.PUBLISHED[scenario, labels]) for labels, results in kept.items()]
        yield f"| `{scenario}` | {' | '.join(cells)} |"


def by_protocol() -> Iterator[str]:
    """Lee's scenarios with 100 labels by protocol, with the accuracies that its source published."""
    kept = {protocol: results for protocol in SCENARIOS if LEE[0] in (results := read(protocol))}
    header = [f"`{protocol}`, {seeds_of(results)} seeds" for protocol, results in kept.items()]
    yield f"| scenario | {' | '.join(header)} |"
    yield "| --- |" + " --- |" * len(header)
    for scenario in LEE:
        cells = []
        for results in kept.values():
            result = results[scenario]
            figure = published(result.effective_config(), result.dataset["digest"])
            cells.append(cell(result, figure.accuracy if figure else None))
        yield f"| `{scenario}` | {' | '.join(cells)} |"


def entropies() -> Iterator[str]:
    """The mean conditional entropy under `lee2013` with 600 labels, and that of the paper's table 1 in parentheses."""
    yield f"| scenario | {' | '.join(f'{part} images' for part in PARTS)} |"
    yield "| --- |" + " --- |" * len(PARTS)
    for scenario, result in read("lee2013", 600).items():
        cells = [f"{np.nanmean(result.conditional_entropy[part]):.2g}" for part in PARTS]
        if scenario in PUBLISHED_ENTROPY:
            theirs = PUBLISHED_ENTROPY[scenario]
            cells = [f"{ours} ({value:.3g})" for ours, value in zip(cells, theirs, strict=True)]
        yield f"| `{scenario}` | {' | '.join(cells)} |"


def seconds() -> Iterator[str]:
    """Seconds of training and scoring a seed under `lee2013`, with compiling, on two cores and on a GPU."""
    devices = {"two cores": "devices/two_cores", "H100": "lee2013"}
    kept = {name: {of: Result.load(RESULTS / folder / f"{of}.json") for of in LEE} for name, folder in devices.items()}
    header = [f"{name}, {seeds_of(results)} seeds" for name, results in kept.items()]
    yield f"| scenario | {' | '.join(header)} |"
    yield "| --- |" + " --- |" * len(header)
    for scenario in LEE:
        of_seed = [sum(of[scenario].seconds.values()) / len(of[scenario].seeds) for of in kept.values()]
        yield f"| `{scenario}` | {' | '.join(f'{value:.1f}' for value in of_seed)} |"


def comparisons() -> Iterator[tuple[str, Comparison]]:
    """The comparisons by title. Holm's correction is over the pairs of one of them."""
    for protocol in SCENARIOS:
        results = read(protocol)
        of_lee = [results[scenario] for scenario in LEE if scenario in results]
        if of_lee:
            yield protocol, compare(of_lee, MARGIN)
        if later := [results[scenario] for scenario in results if scenario not in LEE]:
            yield f"{protocol}, later methods{f' beside {LEE[-1]}' * bool(of_lee)}", compare([*of_lee[-1:], *later])
    for labels in LABELS[1:]:
        yield f"lee2013, {labels:,} labels", compare(list(read("lee2013", labels).values()))


def draw_scores(path: Path) -> None:
    """Draw the accuracy of every seed under `quick`."""
    kept = read("quick")
    runs = [Run(scenario, kept[scenario], RunFolder(path.parent)) for scenario in LEE]
    with matplotlib.rc_context(style.RC):
        path.write_bytes(style.to_png(scores(FigureData(runs, None)).figure))


def draw_labels(path: Path) -> None:
    """Draw the test error by number of labels, beside that of the paper."""
    with matplotlib.rc_context(style.RC):
        figure = style.new_figure(3.6)
        axes = figure.subplots()
        for index, scenario in enumerate(LEE):
            colour, marker, _ = style.series_style(index)
            theirs = {labels: 100 - accuracy for (of, labels), accuracy in lee2013.PUBLISHED.items() if of == scenario}
            places = [labels * 1.045**side for side, labels in ((index - 1.5, labels) for labels in theirs)]
            axes.plot(
                places, list(theirs.values()), marker, color=colour, linestyle=":", linewidth=1, markerfacecolor="white"
            )
            ours = {labels: of[scenario] for labels in LABELS if scenario in (of := read("lee2013", labels))}
            means = [summarize(100 * result.accuracies()) for result in ours.values()]
            axes.errorbar(
                [place for place, labels in zip(places, theirs, strict=True) if labels in ours],
                [100 - mean.mean for mean in means],
                yerr=[mean.high - mean.mean for mean in means],
                marker=marker,
                color=colour,
                capsize=3,
                label=scenario,
            )
        axes.set(xscale="log", yscale="log", xlabel="labelled images", ylabel="test error, %")
        axes.set_xticks(sorted({labels for _, labels in lee2013.PUBLISHED}))
        axes.set_yticks([2.5, 5, 10, 15, 20, 25])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_minor_locator(NullLocator())
            axis.set_major_formatter(StrMethodFormatter("{x:,g}"))
        axes.grid(axis="y")
        axes.legend()
        path.write_bytes(style.to_png(figure))


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the tables and comparisons of the kept results.")
    parser.add_argument("--output", type=Path, help="the folder of the figures; default: those of the results")
    output = parser.parse_args().output
    for table in (by_labels, by_protocol, entropies, seconds):
        print("\n".join(table()), end="\n\n")
    for title, compared in comparisons():
        print(f"{title}\n{'=' * len(title)}\n{comparison_text(compared, more_seeds(compared))}\n")
    draw_scores((output or RESULTS / "quick") / "scores.png")
    draw_labels((output or RESULTS / "lee2013") / "labels.png")


if __name__ == "__main__":
    main()
