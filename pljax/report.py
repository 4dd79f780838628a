"""What a person reads before and after a run: plain text made of configs and results."""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pljax.config import Config
from pljax.progress import name_seeds
from pljax.protocols import published
from pljax.result import Result
from pljax.stats import Summary, summarize
from pljax.types import Dataset, InputError

WIDTH = 79


def introduction(config: Config, dataset: Dataset, seeds: Sequence[int], facts: Mapping[str, Any]) -> str:
    """The block before training. ``facts``: platform, kind, count and cores of the device, parameters, folder."""
    unlabelled = len(dataset.train_labels) - config.labels - config.validation
    rows = {
        "scenario": config.scenario,
        "protocol": config.protocol,
        "data": f"{dataset.name}, {len(dataset.test_labels):,} test images",
        "training": f"{config.labels:,} labelled, {config.validation:,} validation, {unlabelled:,} unlabelled images",
        "seeds": f"{len(seeds)} ({name_seeds(seeds)})",
        "device": f"{facts['count']} x {facts['kind']} ({facts['platform']}), {facts['cores']} cores",
        "parameters": f"{facts['parameters']:,} a seed",
        "folder": str(facts["folder"]),
    }
    width = max(map(len, rows))
    return "\n".join(["", *(f"{name:<{width}}  {value}" for name, value in rows.items())])


def accuracy_table(results: Sequence[Result]) -> str:
    """The table at the end: a row a scenario, published figures where they compare, and what must be known beside it.

    Raises ``InputError`` for results that no table may hold together: see :func:`require_comparable`.
    """
    require_comparable(results)
    configs = [result.effective_config() for result in results]
    figures = [published(config, result.dataset["digest"]) for config, result in zip(configs, results, strict=True)]
    header = ["scenario", "mean", "SD", "95 % interval", *(["published"] if any(figures) else []), "per seed"]
    rows = [header]
    for result, figure in zip(results, figures, strict=True):
        beside = [f"{figure[1]:.2f} ({figure[0]})" if figure else "-"] if any(figures) else []
        rows.append(
            [result.scenario, *_summary_cells(summarize(100 * result.accuracies())), *beside, _per_seed(result)]
        )
    first = results[0]
    title = (
        f"Test accuracy, %, on the {first.dataset['test']:,} test images of {first.dataset['name']}; "
        f"protocol {first.protocol}, {configs[0].labels} labels, {name_seeds(first.seeds)}"
    )
    return "\n".join([*textwrap.wrap(title, WIDTH), "", *_align(rows), *_notes(results)])


def require_comparable(results: Sequence[Result]) -> None:
    """Raise ``InputError`` unless there are results, all of the same data, protocol, number of labels and seeds."""
    if not results:
        raise InputError("There is no result to make a table of.")
    kinds: dict[str, Callable[[Result], Any]] = {
        "data": lambda result: f"{result.dataset['name']} (SHA-256 {result.dataset['digest']})",
        "protocols": lambda result: result.protocol,
        "numbers of labels": lambda result: result.effective_config().labels,
        "seeds": lambda result: " ".join(map(str, result.seeds)),
    }
    for name, of in kinds.items():
        different = sorted({str(of(result)) for result in results})
        if len(different) > 1:
            raise InputError(f"Results of different {name} cannot stand in one table: {' and '.join(different)}.")


def _summary_cells(summary: Summary) -> list[str]:
    def cell(value: float) -> str:
        return "-" if value != value else f"{value:.2f}"

    interval = f"{cell(summary.low)} to {cell(summary.high)}" if summary.n > 1 else "-"
    return [cell(summary.mean), cell(summary.sd), interval]


def _per_seed(result: Result) -> str:
    fell = fallen(result)
    cells = []
    for seed, accuracy in zip(result.seeds, result.test_accuracy, strict=True):
        cells.append("diverged" if accuracy is None else f"{100 * accuracy:.2f}" + ("*" if seed in fell else ""))
    return " ".join(cells)


def fallen(result: Result) -> list[int]:
    """The seeds that pseudo-labels left less accurate than they found them."""
    change = result.unlabelled_training
    if change is None:
        return []
    pairs = zip(result.seeds, change["before"], change["after"], strict=True)
    return [seed for seed, before, after in pairs if before is not None and after is not None and after < before]


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
        lines += textwrap.wrap(row[-1], WIDTH, initial_indent=head, subsequent_indent=" " * len(head))
    return lines


def _notes(results: Sequence[Result]) -> list[str]:
    """What a reader of the table must know, a paragraph each."""
    notes = [
        "The interval is Student's t over seeds: the labelled subset, the initial weights and the order of the "
        "mini-batches vary, the test images do not."
    ]
    if any(result.effective_config().choose_labels == "first" for result in results):
        notes[0] = (
            "The interval is Student's t over seeds: the initial weights and the order of the mini-batches vary, "
            "the labelled subset and the test images do not."
        )
    for result in results:
        for seed, where in result.diverged.items():
            notes.append(
                f"{result.scenario}: seed {seed} diverged ({where}) and is in no mean; try a lower --learning_rate."
            )
        fell = fallen(result)
        if fell:
            assert result.unlabelled_training is not None
            notes.append(
                f"* {result.scenario}: pseudo-labels left {'seed' if len(fell) == 1 else 'seeds'} "
                f"{', '.join(map(str, fell))} less accurate on {result.unlabelled_training['measured_on']} images "
                "than they found it; try a lower --alpha_f or a later --t1."
            )
    return [line for note in notes for line in ("", *textwrap.wrap(note, WIDTH))]
