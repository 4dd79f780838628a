"""Numbers as text, and sentences on what was compared and what a reader of the scores needs to know."""

import math
from collections.abc import Iterable, Mapping, Sequence

from pljax.analysis.comparison import Comparison, Row, common_overrides, overrides_of
from pljax.methods.base import Ramp
from pljax.protocols.config import Config
from pljax.results.result import MONITORED_IMAGES, Result, name_seeds


def format_number(value: float, digits: int = 2) -> str:
    """Format a number; NaN is a dash.

    >>> [format_number(value) for value in (84.604, -0.001, float("nan"), float("inf"))]
    ['84.60', '0.00', '-', 'infinite']
    """
    if value != value:
        return "-"
    if abs(value) == float("inf"):
        return "infinite" if value > 0 else "-infinite"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def format_interval(low: float, high: float, digits: int = 2) -> str:
    """Format an interval; NaN is a dash."""
    return "-" if low != low else f"{format_number(low, digits)} to {format_number(high, digits)}"


def format_p_value(p: float) -> str:
    """Format a p-value with four decimals.

    >>> format_p_value(0.0625), format_p_value(0.00001), format_p_value(float("nan"))
    ('0.0625', '<0.0001', '-')
    """
    return "<0.0001" if p < 0.0001 else format_number(p, 4)


def format_p(p: float) -> str:
    """Format a p-value in a sentence.

    >>> format_p(0.0625), format_p(0.00001)
    ('p = 0.0625', 'p < 0.0001')
    """
    return "p < 0.0001" if p < 0.0001 else f"p = {format_number(p, 4)}"


def join_names(names: Iterable[str]) -> str:
    """Join names, at least one, as a list in a sentence.

    >>> join_names(["nn"]), join_names(["nn", "pl", "pl_dae"])
    ('nn', 'nn, pl and pl_dae')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def shorten_name(name: str, most: int = 12) -> str:
    """The first characters of a name that has more than ``most``.

    >>> shorten_name("setosa"), shorten_name("versicolor and others")
    ('setosa', 'versicolor …')
    """
    return name if len(name) <= most else f"{name[: most - 1]}…"


def remarks(rows: Sequence[Row]) -> list[str]:
    """Sentences that a reader of the scores needs: what the intervals cover, and which seeds went wrong."""
    texts = [what_varies([row.result for row in rows])]
    for row in rows:
        if row.result.diverged:
            seeds = join_names(f"seed {seed} diverged ({where})" for seed, where in row.result.diverged.items())
            texts.append(
                f"{row.label}: {seeds}. The statistics leave diverged seeds out, which flatters this run: "
                f"{row.summary.n} of {len(row.result.seeds)} seeds count; try a lower --learning_rate."
            )
        if drops := accuracy_drops(row.result):
            seeds = join_names(f"seed {seed} by {format_number(100 * drop, 1)} points" for seed, drop in drops.items())
            texts.append(
                f"{row.label}: {_what_lowered(row.result)} the accuracy on {measured_on(row.result)} fell in {seeds} "
                f"(*){_what_to_try(row.result)}."
            )
        if (covered := coverage(row.result)) < 1:
            texts.append(
                f"{row.label}: at the end, {format_number(100 * covered, 1)} % of the unlabelled {_things(row.result)} "
                f"had a pseudo-label (mean over seeds){_why_no_label(row.result)}."
            )
    kinds = sorted({f"{row.result.device.get('kind')} ({row.result.device.get('platform')})" for row in rows})
    if len(kinds) > 1:
        texts.append(
            f"The runs were made on different devices, {join_names(kinds)}: rounding is part of the differences."
        )
    return texts


def _why_no_label(result: Result) -> str:
    threshold = getattr(result.effective_config().method, "threshold", 0)
    return "; the outputs for the others were below --threshold" if threshold else ""


def _what_lowered(result: Result) -> str:
    labels = any(phase.gives_labels for phase in result.effective_config().phases)
    return "with pseudo-labels" if labels else f"with the unlabelled {_things(result)}"


def _what_to_try(result: Result) -> str:
    methods = [phase.method for phase in result.effective_config().phases]
    ramps = any(isinstance(method, Ramp) and method.alpha_f > 0 for method in methods)
    return "; try a lower --alpha_f or a later --t1" if ramps else ""


def what_varies(results: Sequence[Result]) -> str:
    """The sentence on what differs between the seeds, and so what the intervals cover."""
    if all(len(result.seeds) < 2 for result in results):
        return "One seed has no interval: give more --seeds."
    tested = _things(results[0])
    if any(_has_fixed_labels(result.effective_config()) for result in results):
        return (
            "The interval is Student's t over seeds: the initial weights and the order of the mini-batches vary, "
            f"the labelled subset and the test {tested} do not."
        )
    return (
        "The interval is Student's t over seeds: the labelled subset, the initial weights and the order of the "
        f"mini-batches vary, the test {tested} do not."
    )


def _has_fixed_labels(config: Config) -> bool:
    """Whether every seed has the same labelled images."""
    return config.choose_labels == "first" or (config.choose_labels == "given" and not config.validation)


def accuracy_drops(result: Result) -> dict[int, float]:
    """The seeds whose accuracy fell while unlabelled images were used, and by how much, as a fraction.

    A seed counts only if its accuracy fell by more than two standard errors of the difference between two shares of
    the monitored images.
    """
    change = result.unlabelled_training
    if change is None:
        return {}
    drops = {}
    for seed, before, after in zip(result.seeds, change["before"], change["after"], strict=True):
        if before is not None and after is not None:
            images = monitored_images(result)
            share = (before * images + 1) / (images + 2)  # smoothed, so that the standard error is not 0 at 100 %
            standard_error = math.sqrt(2 * share * (1 - share) / images)
            if before - after > 2 * standard_error:
                drops[seed] = before - after
    return drops


def coverage(result: Result) -> float:
    """The share of the unlabelled images that had a pseudo-label at the end, mean over seeds; NaN if not recorded."""
    shares = [share for share in result.pseudo_label_coverage or [] if share is not None]
    return sum(shares) / len(shares) if shares else math.nan


def monitored_images(result: Result) -> int:
    """The number of images on which accuracy is measured while pseudo-labels are in use."""
    config = result.effective_config()
    return config.validation or min(MONITORED_IMAGES, result.dataset["train"] - config.labels)


def measured_on(result: Result) -> str:
    """The images of :func:`accuracy_drops` in words."""
    kind = result.unlabelled_training["measured_on"] if result.unlabelled_training else "validation"
    return f"{monitored_images(result):,} {kind} {_things(result)}"


def describe(comparison: Comparison) -> str:
    """The line that says what was compared, on which data."""
    results = comparison.results
    first = results[0]
    protocols = list(dict.fromkeys(result.protocol for result in results))
    seeds = {name_seeds(result.seeds) for result in results}
    overrides = {name: value for name, value in common_overrides(results).items() if name != "labels"}
    return (
        f"Test accuracy, %, on the {first.dataset['test']:,} test {_things(first)} of {first.dataset['name']}; "
        f"protocol{'s' if len(protocols) > 1 else ''} {join_names(protocols)}{_as_text(overrides)}, "
        f"{first.effective_config().labels:,} labels, "
        f"{seeds.pop() if len(seeds) == 1 else 'each run with its own seeds'}"
    )


def _things(result: Result) -> str:
    """What the data set has: images, or the rows of a table."""
    notes = result.dataset.get("notes")
    return "images" if notes is None or "pictures" in notes else "rows"


def changed_settings(result: Result) -> str:
    """The overrides of a run, as `` with name=value``, to follow the name of its protocol."""
    return _as_text(overrides_of(result))


def _as_text(overrides: Mapping[str, str]) -> str:
    return f" with {join_names(f'{name}={value}' for name, value in overrides.items())}" if overrides else ""
