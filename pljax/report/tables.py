"""What a person reads before and after a run: plain text made of configs and results."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pljax.analysis.comparison import Comparison, compare
from pljax.protocols.config import Config
from pljax.report import sentences
from pljax.results.result import Result, name_seeds
from pljax.types import Dataset

WIDTH = 79


def introduction(config: Config, dataset: Dataset, seeds: Sequence[int], facts: Mapping[str, Any]) -> str:
    """The block before training.

    ``facts``: platform, kind, count and cores of the device, parameters, memory and folder.
    """
    unlabelled = len(dataset.train_labels) - config.labels - config.validation
    rows = "rows" if dataset.inputs and not dataset.inputs.image else "images"
    facts_by_name = {
        "scenario": config.scenario,
        "protocol": config.protocol,
        "data": f"{dataset.name}, {len(dataset.test_labels):,} test {rows}",
        "training": f"{config.labels:,} labelled, {config.validation:,} validation, {unlabelled:,} unlabelled {rows}",
        "seeds": f"{len(seeds)} ({name_seeds(seeds)})",
        "device": f"{facts['count']} x {facts['kind']} ({facts['platform']}), {facts['cores']} cores",
        "parameters": f"{facts['parameters']:,} a seed",
        "memory": f"about {facts['memory']} at the peak",
        "folder": str(facts["folder"]),
    }
    width = max(map(len, facts_by_name))
    return "\n".join(["", *(f"{name:<{width}}  {value}" for name, value in facts_by_name.items())])


def untested(result: Result, folder: Path) -> str:
    """What is said at the end of a run that had no test images."""
    text = f"{result.scenario}: trained {len(result.seeds)} seeds without test rows, so no test accuracy is known."
    change = result.unlabelled_training
    if change and change["measured_on"] == "validation":
        after = [share for share in change["after"] if share is not None]
        held_back = result.effective_config().validation
        text += f" On {held_back} validation rows it is {sum(after) / len(after):.1%} in the mean." if after else ""
    labels = folder / "pseudo_labels.csv"
    where = f" The labels given to the unlabelled rows are in {labels}." if labels.exists() else ""
    return "\n".join(["", *textwrap.wrap(text + where, WIDTH, break_long_words=False, break_on_hyphens=False)])


def accuracy_table(results: Sequence[Result]) -> str:
    """The table at the end: a row a run, published figures where they compare, and what must be known beside it.

    Raises ``InputError`` for results that no table may hold together: see ``comparison.require_comparable``.
    """
    return _accuracy_table(compare(results))


def in_full(comparison: Comparison) -> str:
    """The accuracy table and, where there are several runs, the table of pairs and what they mean."""
    parts = [_accuracy_table(comparison)]
    if comparison.pairs:
        parts += ["", *textwrap.wrap(PAIRS_TITLE, WIDTH), "", *_align(_pair_rows(comparison))]
        parts += _paragraphs([*sentences.limits(comparison), *sentences.conclusions(comparison)])
    parts += _paragraphs(sentences.reproductions(comparison))
    return "\n".join(parts)


PAIRS_TITLE = "Pairs, seed by seed: differences of test accuracy in points"


def _accuracy_table(comparison: Comparison) -> str:
    own = [
        next((reference for reference, _ in row.published if reference.own_protocol), None) for row in comparison.rows
    ]
    rows = [["scenario", "mean", "SD", "95 % interval", *(["published"] if any(own) else []), "per seed"]]
    for row, figure in zip(comparison.rows, own, strict=True):
        beside = [f"{figure.accuracy:.2f} ({figure.source})" if figure else "-"] if any(own) else []
        summary = row.summary
        shown = [
            sentences.number(summary.mean),
            sentences.number(summary.sd),
            sentences.interval(summary.low, summary.high),
        ]
        rows.append([row.label, *shown, *beside, " ".join(scores(row.result))])
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
                sentences.number(test.mean),
                sentences.interval(test.low, test.high),
                sentences.p_value(test.permutation_p),
                sentences.p_value(pair.holm_p),
                f"{test.wins} of {test.n}",
            ]
        )
    return rows


def scores(result: Result) -> list[str]:
    """A cell a seed: its accuracy in per cent, with a star where pseudo-labels did harm."""
    fell = sentences.diverged_sentence(result)
    return [
        "diverged" if accuracy is None else f"{100 * accuracy:.2f}" + ("*" if seed in fell else "")
        for seed, accuracy in zip(result.seeds, result.test_accuracy, strict=True)
    ]


def _align(rows: list[list[str]]) -> list[str]:
    """Columns side by side, numbers to the right; the last column is folded to the width of the page."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if place == 0 else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=False))
        ]
        head = "  ".join(cells) + "   "
        width = max(WIDTH, len(head) + 9)
        lines += textwrap.wrap(row[-1], width, initial_indent=head, subsequent_indent=" " * len(head))
    return lines


def _paragraphs(texts: Sequence[str]) -> list[str]:
    return [line for text in texts for line in ("", *textwrap.wrap(text, WIDTH))]
