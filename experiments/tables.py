"""Print the README's table of Lee's scenarios and their comparisons, from the results beside this script.

Lee's four scenarios are compared under each protocol, and under `quick` the later methods with the best of them. It
also draws the README's figure, ``results/quick/scores.png``; ``--output`` names another folder for it.

``python experiments/tables.py`` reads ``experiments/results/PROTOCOL/SCENARIO.json``: the ``result.json`` files that
``python -m pljax.main --protocol=PROTOCOL --scenario=all --dataset=mnist`` leaves in its folders.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import matplotlib

from pljax import SCENARIOS, Result, RunFolder
from pljax.analysis.comparison import Comparison, compare
from pljax.analysis.stats import summarize
from pljax.protocols import published
from pljax.report.figures import style
from pljax.report.figures.figure_data import FigureData, Run
from pljax.report.figures.scores import scores
from pljax.report.more_seeds import more_seeds
from pljax.report.tables import comparison_text

RESULTS = Path(__file__).parent / "results"
LEE = tuple(SCENARIOS["lee2013"])
MARGIN = 2.0  # points: less than what each of Lee's steps adds; the later methods are closer to each other


def read(protocol: str) -> dict[str, Result]:
    """The kept results of a protocol by scenario, in the order of the scenarios."""
    files = {scenario: RESULTS / protocol / f"{scenario}.json" for scenario in SCENARIOS[protocol]}
    return {scenario: Result.load(file) for scenario, file in files.items() if file.exists()}


def cell(result: Result | None) -> str:
    """Mean and half the 95 % interval of a result, and the published figure where there is one that compares."""
    if result is None:
        return "-"
    summary = summarize(100 * result.accuracies())
    figure = published(result.effective_config(), result.dataset["digest"])
    ours = f"**{summary.mean:.2f}** ± {summary.high - summary.mean:.2f}"
    return ours + (f" ({figure.accuracy:.2f})" if figure else "")


def comparisons(kept: dict[str, dict[str, Result]]) -> Iterator[tuple[str, Comparison]]:
    """The comparisons by title. Holm's correction is over the pairs of one of them."""
    for protocol, results in kept.items():
        yield protocol, compare([results[scenario] for scenario in LEE if scenario in results], MARGIN)
        if later := [results[scenario] for scenario in results if scenario not in LEE]:
            yield f"{protocol}, later methods beside {LEE[-1]}", compare([results[LEE[-1]], *later])


def draw(results: dict[str, Result], path: Path) -> None:
    """Draw the accuracy of every seed."""
    runs = [Run(scenario, result, RunFolder(path.parent)) for scenario, result in results.items()]
    with matplotlib.rc_context(style.RC):
        path.write_bytes(style.to_png(scores(FigureData(runs, None)).figure))


def main() -> None:
    parser = argparse.ArgumentParser(description="Print the comparisons of the kept results.")
    parser.add_argument("--output", type=Path, default=RESULTS / "quick", help="the folder of the figure")
    output = parser.parse_args().output
    kept = {protocol: results for protocol in SCENARIOS if (results := read(protocol))}
    header = [f"`{protocol}`, {len(next(iter(results.values())).seeds)} seeds" for protocol, results in kept.items()]
    print(f"| scenario | {' | '.join(header)} |\n| --- |{' --- |' * len(header)}")
    for scenario in LEE:
        print(f"| `{scenario}` | {' | '.join(cell(results.get(scenario)) for results in kept.values())} |")
    for title, compared in comparisons(kept):
        print(f"\n{title}\n{'=' * len(title)}\n{comparison_text(compared, more_seeds(compared))}")
    draw({scenario: kept["quick"][scenario] for scenario in LEE}, output / "scores.png")


if __name__ == "__main__":
    main()
