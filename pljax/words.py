"""The numbers of a comparison in plain sentences."""

from collections.abc import Iterable, Sequence
from itertools import combinations, pairwise

from pljax.comparison import Comparison, Pair, Row
from pljax.progress import name_seeds
from pljax.protocols import Reference
from pljax.result import Result
from pljax.stats import ALPHA, BCA_FROM, EXACT_UP_TO, FLIPS, Against, seeds_to_reach, smallest_p


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
    return [conclude(pair, len(comparison.pairs)) for pair in telling_pairs(comparison)]


def telling_pairs(comparison: Comparison) -> list[Pair]:
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
    if comparisons * smallest_p(test.n) > ALPHA:
        return f"{sentence}."
    corrected = f", {p_value(pair.holm_p)} after Holm's correction" if comparisons > 1 else ""
    sentence += f"; permutation p = {p_value(test.permutation_p)}{corrected}"
    if pair.holm_p <= ALPHA:
        return f"{sentence}: significant at the 5 % level."
    if test.seeds_needed is None:
        return f"{sentence}: not significant at the 5 % level."
    return (
        f"{sentence}: not significant at the 5 % level; a true difference of this size would need "
        f"{test.seeds_needed:,} seeds to be found with 80 % power."
    )


def limits(comparison: Comparison) -> list[str]:
    """What so many seeds can reach at all."""
    comparisons = len(comparison.pairs)
    counts = sorted({pair.test.n for pair in comparison.pairs if pair.test.n > 1})
    return [_limit(n, comparisons) for n in counts]


def _limit(n: int, comparisons: int) -> str:
    smallest, corrected = smallest_p(n), min(comparisons * smallest_p(n), 1.0)
    kind = "exact permutation test" if n <= EXACT_UP_TO else f"permutation test ({FLIPS:,} random flips)"
    after = f", {p_value(corrected)} after Holm's correction for {comparisons} pairs" if comparisons > 1 else ""
    sentence = f"The smallest p that {n} seeds can reach in the {kind} is {p_value(smallest)}{after}"
    if corrected <= ALPHA:
        return f"{sentence}."
    single, family = seeds_to_reach(), seeds_to_reach(comparisons=comparisons)
    more = f" for a single pair, {family} for {comparisons} pairs" if comparisons > 1 else ""
    whole = "no exact test can reach 0.05" if smallest > ALPHA else "no pair can reach 0.05 among so many"
    return f"{sentence}: {whole}, so there is no verdict here. {single} seeds could{more}."


def remarks(results: Sequence[Result]) -> list[str]:
    """What a reader of the scores must know: what varies, which seeds are missing, which went wrong."""
    said = [what_varies(results)]
    for result in results:
        for seed, where in result.diverged.items():
            said.append(
                f"{result.scenario}: seed {seed} diverged ({where}) and is in no mean; try a lower --learning_rate."
            )
        fell = fallen(result)
        if fell:
            assert result.unlabelled_training is not None
            said.append(
                f"* {result.scenario}: pseudo-labels left {'seed' if len(fell) == 1 else 'seeds'} "
                f"{', '.join(map(str, fell))} less accurate on {result.unlabelled_training['measured_on']} images "
                "than they found it; try a lower --alpha_f or a later --t1."
            )
    kinds = sorted({f"{result.device.get('kind')} ({result.device.get('platform')})" for result in results})
    if len(kinds) > 1:
        said.append(f"The runs were made on different devices, {several(kinds)}: rounding is part of the differences.")
    return said


def what_varies(results: Sequence[Result]) -> str:
    """What the interval over seeds is about, and what it is not about."""
    if any(result.effective_config().choose_labels == "first" for result in results):
        return (
            "The interval is Student's t over seeds: the initial weights and the order of the mini-batches vary, "
            "the labelled subset and the test images do not."
        )
    return (
        "The interval is Student's t over seeds: the labelled subset, the initial weights and the order of the "
        "mini-batches vary, the test images do not."
    )


def fallen(result: Result) -> list[int]:
    """The seeds that pseudo-labels left less accurate than they found them."""
    change = result.unlabelled_training
    if change is None:
        return []
    pairs = zip(result.seeds, change["before"], change["after"], strict=True)
    return [seed for seed, before, after in pairs if before is not None and after is not None and after < before]


def reproductions(comparison: Comparison) -> list[str]:
    """The runs that follow a source's own protocol, against what it published."""
    return [
        _reproduction(row, reference, test)
        for row in comparison.rows
        for reference, test in row.published
        if reference.own_protocol and row.summary.n
    ]


def _reproduction(row: Row, reference: Reference, test: Against) -> str:
    side = "above" if test.difference > 0 else "below"
    sentence = (
        f"{row.label} is {number(abs(test.difference))} points {side} the {number(reference.accuracy)} % of "
        f"{reference.source}"
    )
    if test.inside is None:
        return f"{sentence}: one seed has no interval."
    where = "inside" if test.inside else "outside"
    return (
        f"{sentence} (unpaired, 95 % CI {interval(test.low, test.high)}): the published figure lies {where} the run's "
        "interval."
    )


def describe(comparison: Comparison) -> str:
    """What was compared, in one line."""
    results = comparison.results
    first = results[0]
    protocols = list(dict.fromkeys(result.protocol for result in results))
    seeds = {name_seeds(result.seeds) for result in results}
    return (
        f"Test accuracy, %, on the {first.dataset['test']:,} test images of {first.dataset['name']}; "
        f"protocol{'s' if len(protocols) > 1 else ''} {several(protocols)}, {first.effective_config().labels} labels, "
        f"{seeds.pop() if len(seeds) == 1 else 'each run with its own seeds'}"
    )


def shows_bca(comparison: Comparison) -> bool:
    """Whether any run has the seeds that a bootstrap interval takes."""
    return any(row.summary.n >= BCA_FROM for row in comparison.rows)
