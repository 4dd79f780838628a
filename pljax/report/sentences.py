"""The numbers of a comparison in plain sentences."""

import math
from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

from pljax.analysis.comparison import Comparison, Pair, Row, overrides_of
from pljax.analysis.stats import ALPHA, BCA_FROM, EXACT_UP_TO, FLIPS, ReferenceDifference, seeds_to_reach, smallest_p
from pljax.protocols import Reference
from pljax.protocols.config import Config
from pljax.results.result import Result, name_seeds

WATCHED = 1000  # unlabelled images that are followed where there is no validation set: pljax.training.phases.WATCHED


def number(value: float, digits: int = 2) -> str:
    """A figure, or a dash where there is none.

    >>> number(84.604), number(-0.001), number(float("nan")), number(float("inf"))
    ('84.60', '0.00', '-', 'infinite')
    """
    if value != value:
        return "-"
    if abs(value) == float("inf"):
        return "infinite" if value > 0 else "-infinite"
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if not float(text) else text


def interval(low: float, high: float, digits: int = 2) -> str:
    """An interval, or a dash where there is none."""
    return "-" if low != low else f"{number(low, digits)} to {number(high, digits)}"


def p_value(p: float) -> str:
    """A p-value to four digits behind the point.

    >>> p_value(0.0625), p_value(0.00001), p_value(float("nan"))
    ('0.0625', '<0.0001', '-')
    """
    return "<0.0001" if p < 0.0001 else number(p, 4)


def several(names: Iterable[str]) -> str:
    """Names in a sentence.

    >>> several(["nn"]), several(["nn", "pl", "pl_dae"])
    ('nn', 'nn, pl and pl_dae')
    """
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def conclusions(comparison: Comparison) -> list[str]:
    """The pairs that tell most: what each run adds to the one before it, and the last to the first."""
    return [conclude(pair, counted_pairs(comparison)) for pair in significant_pairs(comparison)]


def significant_pairs(comparison: Comparison) -> list[Pair]:
    """The steps within each protocol, its last run against its first, and the same scenario under two protocols.

    All pairs where there is none of these.
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
    """One pair in words. A verdict is given only where the number of seeds allows one."""
    test = pair.test
    if test.n == 0:
        return f"{pair.first} and {pair.second} have no seed in common that diverged in neither."
    distance, falls = number(abs(test.mean)), test.mean < 0
    place = "level with" if distance == "0.00" else f"{distance} points {'below' if falls else 'above'}"
    if test.n == 1:
        return f"{pair.first} is {place} {pair.second} in the one seed that both have: one seed has no interval."
    sentence = (
        f"{pair.first} is {place} {pair.second} (95 % CI {interval(test.low, test.high)}), "
        f"{'lower' if falls else 'higher'} in {test.losses if falls else test.wins} of {test.n} seeds"
    )
    if pair.best_p > ALPHA:
        return f"{sentence}."
    corrected = f", {p_value(pair.holm_p)} after Holm's correction" if comparisons > 1 else ""
    sentence += f"; permutation p = {p_value(test.permutation_p)}{corrected}"
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
    """The pairs that Holm's correction is for: those with two common seeds or more."""
    return sum(pair.test.n > 1 for pair in comparison.pairs)


def limits(comparison: Comparison) -> list[str]:
    """What so many seeds can reach at all."""
    best = {pair.test.n: pair.best_p for pair in comparison.pairs if pair.test.n > 1}
    return [_limit(n, best[n], counted_pairs(comparison)) for n in sorted(best)]


def _limit(n: int, best: float, comparisons: int) -> str:
    kind = "exact permutation test" if n <= EXACT_UP_TO else f"permutation test ({FLIPS:,} random flips)"
    after = f", {p_value(best)} after Holm's correction for {comparisons} pairs" if comparisons > 1 else ""
    sentence = f"The smallest p that {n} seeds can reach in the {kind} is {p_value(smallest_p(n))}{after}"
    if best <= ALPHA:
        return f"{sentence}."
    single, family = seeds_to_reach(), seeds_to_reach(comparisons=comparisons)
    more = f" for a single pair, {family} for {comparisons} pairs" if comparisons > 1 else ""
    whole = "no exact test can reach 0.05" if smallest_p(n) > ALPHA else "no such pair can reach 0.05 among so many"
    return f"{sentence}: {whole}, so there is no verdict here. {single} seeds could{more}."


def remarks(rows: Sequence[Row]) -> list[str]:
    """What a reader of the scores must know: what varies, which seeds are missing, which went wrong."""
    said = [what_varies([row.result for row in rows])]
    for row in rows:
        if row.result.diverged:
            where = several(f"seed {seed} diverged ({where})" for seed, where in row.result.diverged.items())
            said.append(
                f"{row.label}: {where}. What diverged is in no mean, which flatters it: {row.summary.n} of "
                f"{len(row.result.seeds)} seeds are left; try a lower --learning_rate."
            )
        fell = diverged_sentence(row.result)
        if fell:
            told = several(f"seed {seed} by {number(100 * drop, 1)} points" for seed, drop in fell.items())
            said.append(
                f"{row.label}: pseudo-labels left {told} less accurate (*) on "
                f"{measured_on(row.result)} than they found it; try a lower --alpha_f or a later --t1."
            )
    kinds = sorted({f"{row.result.device.get('kind')} ({row.result.device.get('platform')})" for row in rows})
    if len(kinds) > 1:
        said.append(f"The runs were made on different devices, {several(kinds)}: rounding is part of the differences.")
    return said


def what_varies(results: Sequence[Result]) -> str:
    """What the interval over seeds is about, and what it is not about."""
    if any(_labels_the_same(result.effective_config()) for result in results):
        return (
            "The interval is Student's t over seeds: the initial weights and the order of the mini-batches vary, "
            "the labelled subset and the test images do not."
        )
    return (
        "The interval is Student's t over seeds: the labelled subset, the initial weights and the order of the "
        "mini-batches vary, the test images do not."
    )


def _labels_the_same(config: Config) -> bool:
    """Whether every seed has the same labelled images."""
    return config.choose_labels == "first" or (config.choose_labels == "given" and not config.validation)


def diverged_sentence(result: Result) -> dict[int, float]:
    """The seeds that pseudo-labels left less accurate than they found them, and by how much, as a fraction.

    A fall of less than two standard errors of a difference between two shares of so many images is not told.
    """
    change = result.unlabelled_training
    if change is None:
        return {}
    drops = {}
    for seed, before, after in zip(result.seeds, change["before"], change["after"], strict=True):
        if before is not None and after is not None:
            images = images_measured(result)
            likely = (before * images + 1) / (images + 2)  # never 1: an image more or less is always by chance
            noise = math.sqrt(2 * likely * (1 - likely) / images)
            if before - after > 2 * noise:
                drops[seed] = before - after
    return drops


def images_measured(result: Result) -> int:
    """On how many images accuracy is measured while pseudo-labels act."""
    config = result.effective_config()
    return config.validation or min(WATCHED, result.dataset["train"] - config.labels)


def measured_on(result: Result) -> str:
    """The images that :func:`diverged_sentence` is about, in words."""
    kind = result.unlabelled_training["measured_on"] if result.unlabelled_training else "validation"
    return f"{images_measured(result):,} {kind} images"


def reproductions(comparison: Comparison) -> list[str]:
    """The runs that follow a source's own protocol, against what it published."""
    return [
        _reproduction(row, reference, test)
        for row in comparison.rows
        for reference, test in row.published
        if reference.own_protocol and row.summary.n
    ]


def _reproduction(row: Row, reference: Reference, test: ReferenceDifference) -> str:
    distance = number(abs(test.difference))
    side = "level with" if distance == "0.00" else f"{distance} points {'above' if test.difference > 0 else 'below'}"
    sentence = f"{row.label} is {side} the {number(reference.accuracy)} % of {reference.source}"
    if test.inside is None:
        return f"{sentence}: one seed has no interval."
    agrees = "agrees" if test.inside else "does not agree"
    return f"{sentence} (unpaired, 95 % CI {interval(test.low, test.high)}): the published figure {agrees} with it."


def describe(comparison: Comparison) -> str:
    """What was compared, in one line."""
    results = comparison.results
    first = results[0]
    protocols = list(dict.fromkeys(result.protocol for result in results))
    seeds = {name_seeds(result.seeds) for result in results}
    return (
        f"Test accuracy, %, on the {first.dataset['test']:,} test images of {first.dataset['name']}; "
        f"protocol{'s' if len(protocols) > 1 else ''} {several(protocols)}{_dials(comparison)}, "
        f"{first.effective_config().labels} labels, "
        f"{seeds.pop() if len(seeds) == 1 else 'each run with its own seeds'}"
    )


def changed_settings(result: Result) -> str:
    """The overrides of a run that were turned, to follow its protocol's name."""
    told = [f"{name}={value}" for name, value in overrides_of(result).items()]
    return f" with {several(told)}" if told else ""


def _dials(comparison: Comparison) -> str:
    """The overrides that every run they act on has at one value; the labels of the runs name the others."""
    turned = [overrides_of(result) for result in comparison.results]
    values = {name: {of[name] for of in turned if name in of} for name in dict.fromkeys(n for of in turned for n in of)}
    told = [f"{name}={value}" for name, (value, *others) in values.items() if not others]
    return f" with {several(told)}" if told else ""


def shows_bca(comparison: Comparison) -> bool:
    """Whether any run has the seeds that a bootstrap interval takes."""
    return any(row.summary.n >= BCA_FROM for row in comparison.rows)
