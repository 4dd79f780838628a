"""The numbers of a comparison as plain sentences."""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

from pljax.analysis.comparison import Comparison, Pair, Row, overrides_of
from pljax.analysis.stats import ALPHA, EXACT_UP_TO, FLIPS, ReferenceDifference, seeds_to_reach, smallest_p
from pljax.protocols import Reference
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


def join_names(names: Iterable[str]) -> str:
    """Join names, at least one, as a list in a sentence.

    >>> join_names(["nn"]), join_names(["nn", "pl", "pl_dae"])
    ('nn', 'nn, pl and pl_dae')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def conclusions(comparison: Comparison) -> list[str]:
    """One sentence for each of the :func:`reported_pairs`."""
    return [conclude(pair, counted_pairs(comparison)) for pair in reported_pairs(comparison)]


def reported_pairs(comparison: Comparison) -> list[Pair]:
    """The pairs of which the report has a sentence.

    Within a protocol they are each run and the one before it, and the last run and the first; between two protocols,
    the runs of the same scenario. All pairs if there is none of these.
    """
    protocols: dict[str, list[str]] = {}
    for row in comparison.rows:
        protocols.setdefault(row.result.protocol, []).append(row.label)
    within = [step for names in protocols.values() for step in [*pairwise(names), (names[0], names[-1])]]
    across = [
        (one.label, other.label)
        for one, other in combinations(comparison.rows, 2)
        if one.result.scenario == other.result.scenario and one.result.protocol != other.result.protocol
    ]
    by_name = {(pair.second, pair.first): pair for pair in comparison.pairs}
    chosen = dict.fromkeys(names for names in [*within, *across] if names in by_name)
    return [by_name[names] for names in chosen] or comparison.pairs


def conclude(pair: Pair, comparisons: int) -> str:
    """The sentence of one pair among ``comparisons`` pairs; with a verdict only if so many seeds allow one."""
    test = pair.test
    if test.n == 0:
        return f"{pair.first} and {pair.second} have no seed in common that diverged in neither."
    distance, is_lower = format_number(abs(test.mean)), test.mean < 0
    place = "level with" if distance == "0.00" else f"{distance} points {'below' if is_lower else 'above'}"
    if test.n == 1:
        return f"{pair.first} is {place} {pair.second} in the one seed that both have: one seed has no interval."
    sentence = (
        f"{pair.first} is {place} {pair.second} (95 % CI {format_interval(test.low, test.high)}), "
        f"{'lower' if is_lower else 'higher'} in {test.losses if is_lower else test.wins} of {test.n} seeds"
    )
    if pair.best_p > ALPHA:
        return f"{sentence}."
    corrected = f", {format_p_value(pair.holm_p)} after Holm's correction" if comparisons > 1 else ""
    sentence += f"; permutation p = {format_p_value(test.permutation_p)}{corrected}"
    if pair.holm_p <= ALPHA:
        return f"{sentence}: significant at the 5 % level."
    sentence += ": not significant at the 5 % level"
    if test.seeds_needed is None or test.seeds_needed <= test.n:
        return f"{sentence}."
    return (
        f"{sentence}; if the true difference were exactly this one, a paired t-test would need {test.seeds_needed:,} "
        "seeds to find it with 80 % power."
    )


def counted_pairs(comparison: Comparison) -> int:
    """The number of pairs in Holm's correction: those with at least two common seeds."""
    return sum(pair.test.n > 1 for pair in comparison.pairs)


def limits(comparison: Comparison) -> list[str]:
    """The smallest p-value that the tests can reach: one sentence for each number of seeds."""
    best = {pair.test.n: pair.best_p for pair in comparison.pairs if pair.test.n > 1}
    return [_limit(n, best[n], counted_pairs(comparison)) for n in sorted(best)]


def _limit(n: int, best: float, comparisons: int) -> str:
    kind = "exact permutation test" if n <= EXACT_UP_TO else f"permutation test ({FLIPS:,} random flips)"
    after = f", {format_p_value(best)} after Holm's correction for {comparisons} pairs" if comparisons > 1 else ""
    sentence = f"The smallest p that {n} seeds can reach in the {kind} is {format_p_value(smallest_p(n))}{after}"
    if best <= ALPHA:
        return f"{sentence}."
    single, family = seeds_to_reach(), seeds_to_reach(comparisons=comparisons)
    more = f" for a single pair, {family} for {comparisons} pairs" if comparisons > 1 else ""
    among = f"no pair with {n} seeds can reach 0.05 among {comparisons} pairs"
    reason = "no exact test can reach 0.05" if smallest_p(n) > ALPHA else among
    return f"{sentence}: {reason}, so there is no verdict here. {single} seeds could{more}."


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
                f"{row.label}: with pseudo-labels the accuracy on {measured_on(row.result)} fell in {seeds} (*); try a "
                "lower --alpha_f or a later --t1."
            )
    kinds = sorted({f"{row.result.device.get('kind')} ({row.result.device.get('platform')})" for row in rows})
    if len(kinds) > 1:
        texts.append(
            f"The runs were made on different devices, {join_names(kinds)}: rounding is part of the differences."
        )
    return texts


def what_varies(results: Sequence[Result]) -> str:
    """The sentence on what differs between the seeds, and so what the intervals cover."""
    if any(_has_fixed_labels(result.effective_config()) for result in results):
        return (
            "The interval is Student's t over seeds: the initial weights and the order of the mini-batches vary, "
            "the labelled subset and the test images do not."
        )
    return (
        "The interval is Student's t over seeds: the labelled subset, the initial weights and the order of the "
        "mini-batches vary, the test images do not."
    )


def _has_fixed_labels(config: Config) -> bool:
    """Whether every seed has the same labelled images."""
    return config.choose_labels == "first" or (config.choose_labels == "given" and not config.validation)


def accuracy_drops(result: Result) -> dict[int, float]:
    """The seeds whose accuracy fell in the training on pseudo-labels, and by how much, as a fraction.

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


def monitored_images(result: Result) -> int:
    """The number of images on which accuracy is measured while pseudo-labels are in use."""
    config = result.effective_config()
    return config.validation or min(MONITORED_IMAGES, result.dataset["train"] - config.labels)


def measured_on(result: Result) -> str:
    """The images of :func:`accuracy_drops` in words."""
    kind = result.unlabelled_training["measured_on"] if result.unlabelled_training else "validation"
    return f"{monitored_images(result):,} {kind} images"


def reproductions(comparison: Comparison) -> list[str]:
    """Compare the runs under a source's own protocol with its published figures: one sentence each."""
    return [
        _reproduction(row, reference, test)
        for row in comparison.rows
        for reference, test in row.published
        if reference.own_protocol and row.summary.n
    ]


def _reproduction(row: Row, reference: Reference, test: ReferenceDifference) -> str:
    distance = format_number(abs(test.difference))
    side = "level with" if distance == "0.00" else f"{distance} points {'above' if test.difference > 0 else 'below'}"
    sentence = f"{row.label} is {side} the {format_number(reference.accuracy)} % of {reference.source}"
    if test.inside is None:
        return f"{sentence}: one seed has no interval."
    agrees = "agrees" if test.inside else "does not agree"
    confidence = f"95 % CI {format_interval(test.low, test.high)}"
    return f"{sentence} (unpaired, {confidence}): the published figure {agrees} with it."


def describe(comparison: Comparison) -> str:
    """The line that says what was compared, on which data."""
    results = comparison.results
    first = results[0]
    protocols = list(dict.fromkeys(result.protocol for result in results))
    seeds = {name_seeds(result.seeds) for result in results}
    return (
        f"Test accuracy, %, on the {first.dataset['test']:,} test {_things(first)} of {first.dataset['name']}; "
        f"protocol{'s' if len(protocols) > 1 else ''} {join_names(protocols)}{_common_overrides(comparison)}, "
        f"{first.effective_config().labels} labels, "
        f"{seeds.pop() if len(seeds) == 1 else 'each run with its own seeds'}"
    )


def _things(result: Result) -> str:
    """What the data set has: images, or the rows of a table."""
    notes = result.dataset.get("notes")
    return "images" if notes is None or "pictures" in notes else "rows"


def changed_settings(result: Result) -> str:
    """The overrides of a run, as `` with name=value``, to follow the name of its protocol."""
    changes = [f"{name}={value}" for name, value in overrides_of(result).items()]
    return f" with {join_names(changes)}" if changes else ""


def _common_overrides(comparison: Comparison) -> str:
    """The overrides that have one value in all runs that have them; the labels of the runs name the others."""
    overrides = [overrides_of(result) for result in comparison.results]
    values: dict[str, set[str]] = {}
    for of_run in overrides:
        for name, value in of_run.items():
            values.setdefault(name, set()).add(value)
    changes = [f"{name}={value}" for name, (value, *others) in values.items() if not others]
    return f" with {join_names(changes)}" if changes else ""
