"""The text that a command prints before and after a run: a summary of the run, and tables of results."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pljax.analysis.comparison import Comparison, compare
from pljax.data.text import number
from pljax.protocols.config import Config
from pljax.report import sentences, verdicts
from pljax.report.data_summary import data_lines
from pljax.report.more_seeds import MoreSeeds
from pljax.results.result import Result, name_seeds
from pljax.types import Dataset

WIDTH = 79
PAIRS_TITLE = "Pairs, seed by seed: differences of test accuracy in points"
EQUIVALENCE_TITLE = "Equivalence: two one-sided t-tests at 5 %, points"


def introduction(config: Config, dataset: Dataset, seeds: Sequence[int], facts: Mapping[str, Any]) -> str:
    """The summary of a run that is printed before training.

    ``facts`` has the platform, kind, count and cores of the device, parameters, memory and folder of the run, and for
    custom data ``class_counts``: see :func:`pljax.report.data_summary.data_lines`.
    """
    unlabelled = len(dataset.train_labels) - config.labels - config.validation
    rows = "rows" if dataset.inputs and not dataset.inputs.image else "images"
    values = {
        "scenario": config.scenario,
        "protocol": config.protocol,
        "data": f"{dataset.name}, {len(dataset.test_labels):,} test {rows}",
        "training": f"{config.labels:,} labelled, {config.validation:,} validation, {unlabelled:,} unlabelled {rows}",
        **(data_lines(dataset.notes, dataset.names, facts["class_counts"]) if dataset.inputs else {}),
        "seeds": f"{len(seeds)} ({name_seeds(seeds)})",
        "device": f"{facts['count']} x {facts['kind']} ({facts['platform']}), {facts['cores']} cores",
        "parameters": f"{facts['parameters']:,} a seed",
        "memory": f"about {facts['memory']} at the peak",
        "folder": str(facts["folder"]),
    }
    width = max(map(len, values))
    return "\n".join(["", *(f"{name:<{width}}  {value}" for name, value in values.items())])


def durations_text(seconds: Mapping[str, float]) -> str:
    """The estimated training times of scenarios and their sum, which are printed before the first one is trained.

    >>> durations_text({"nn": 12.3, "ladder": 1090.0, "vat": 3000.0})
    'training takes about 1 h 8 min (nn 12 s, ladder 18 min, vat 50 min)'
    """

    def about(seconds: float) -> str:
        if seconds < 90:
            return f"{seconds:.0f} s"
        minutes = round(seconds / 60)
        return f"{minutes} min" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"

    each = ", ".join(f"{scenario} {about(of_scenario)}" for scenario, of_scenario in seconds.items())
    return f"training takes about {about(sum(seconds.values()))} ({each})"


def untested_text(result: Result, folder: Path) -> str:
    """The summary of a finished run without test images."""
    seeds = number(len(result.seeds), "seed")
    text = f"{result.scenario}: trained {seeds} without test rows, so no test accuracy is known."
    change = result.unlabelled_training
    if change and change["measured_on"] == "validation":
        after = [share for share in change["after"] if share is not None]
        rows = result.effective_config().validation
        text += f" The mean accuracy on {rows} validation rows is {sum(after) / len(after):.1%}." if after else ""
    labels = folder / "pseudo_labels.csv"
    where = f" The labels given to the unlabelled rows are in {labels}." if labels.exists() else ""
    return "\n".join(["", *textwrap.wrap(text + where, WIDTH, break_long_words=False, break_on_hyphens=False)])


def accuracy_table(results: Sequence[Result]) -> str:
    """The table of test accuracies, one row per run, with published figures where they compare, and remarks.

    Raises ``InputError`` if the results cannot be compared: see
    :func:`pljax.analysis.comparison.require_comparable`.
    """
    return _accuracy_table(compare(results))


def comparison_text(comparison: Comparison, more: MoreSeeds | None = None) -> str:
    """The accuracy table, the pairs of several runs, what the tests show, and the equivalence tests of a margin.

    ``more`` has the commands that run seeds without which a pair has no verdict.
    """
    parts = [_accuracy_table(comparison)]
    if comparison.pairs:
        parts += ["", *textwrap.wrap(PAIRS_TITLE, WIDTH), "", *_align(_pair_rows(comparison))]
        parts += _paragraphs([*verdicts.conclusions(comparison), *verdicts.limits(comparison)])
    if more:
        parts += _paragraphs([more.sentence])
        parts += ["", *(textwrap.indent(command, "  ") for command in more.commands)] if more.commands else []
    parts += _paragraphs(verdicts.reproductions(comparison))
    header, rows = equivalence_rows(comparison)
    if rows:
        parts += ["", EQUIVALENCE_TITLE, "", *_align([header, *rows])]
    return "\n".join(parts)


def _accuracy_table(comparison: Comparison) -> str:
    published = [
        next((figure.reference for figure in row.published if figure.reference.own_protocol), None)
        for row in comparison.rows
    ]
    any_published = any(published)
    rows = [["scenario", "mean", "SD", "95 % interval", *(["published"] if any_published else []), "per seed"]]
    for row, figure in zip(comparison.rows, published, strict=True):
        published_cell = [f"{figure.accuracy:.2f} ({figure.source})" if figure else "-"] if any_published else []
        summary = row.summary
        statistics = [
            sentences.format_number(summary.mean),
            sentences.format_number(summary.sd),
            sentences.format_interval(summary.low, summary.high),
        ]
        rows.append([row.label, *statistics, *published_cell, " ".join(score_cells(row.result))])
    title = textwrap.wrap(sentences.describe(comparison), WIDTH)
    return "\n".join([*title, "", *_align(rows), *_paragraphs(sentences.remarks(comparison.rows))])


def _pair_rows(comparison: Comparison) -> list[list[str]]:
    rows = [["pair", "seeds", "mean", "95 % interval", "p", "p (Holm)", "higher in"]]
    for pair in comparison.pairs:
        test = pair.test
        rows.append(
            [
                f"{pair.first} - {pair.second}",
                str(test.n),
                sentences.format_number(test.mean),
                sentences.format_interval(test.low, test.high),
                sentences.format_p_value(test.permutation_p),
                sentences.format_p_value(pair.holm_p),
                f"{test.wins} of {test.n}",
            ]
        )
    return rows


def equivalence_rows(comparison: Comparison) -> tuple[list[str], list[list[str]]]:
    """The header and the rows of the table of equivalence tests: the pairs, and the figures of own protocols."""
    named = [(f"{pair.first} - {pair.second}", pair.equivalence) for pair in comparison.pairs]
    for label, figure in verdicts.own_figures(comparison):
        accuracy = sentences.format_number(figure.reference.accuracy)
        named.append((f"{label} - {accuracy} ({figure.reference.source})", figure.equivalence))
    rows = [
        [
            name,
            sentences.format_interval(test.low, test.high),
            sentences.format_p_value(test.p),
            sentences.format_p_value(test.holm_p),
            test.result,
        ]
        for name, test in named
        if test
    ]
    return ["difference", "90 % interval", "p", "p (Holm)", verdicts.within(comparison.margin)], rows


def score_cells(result: Result) -> list[str]:
    """One cell per seed: its test accuracy in per cent, with a star if unlabelled images lowered its accuracy."""
    drops = sentences.accuracy_drops(result)
    return [
        "diverged" if accuracy is None else f"{100 * accuracy:.2f}" + ("*" if seed in drops else "")
        for seed, accuracy in zip(result.seeds, result.test_accuracy, strict=True)
    ]


def _align(rows: list[list[str]]) -> list[str]:
    """Lines of aligned columns: the first one to the left, the others to the right; the last column is wrapped."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    longest_word = max(len(word) for row in rows for word in (row[-1].split() or [""]))
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if column == 0 else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        head = "  ".join(cells) + "   "
        width = max(WIDTH, len(head) + longest_word)
        lines += textwrap.wrap(row[-1], width, initial_indent=head, subsequent_indent=" " * len(head))
    return lines


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in ("", *textwrap.wrap(text, WIDTH))]
