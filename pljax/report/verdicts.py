"""What a comparison shows, as plain sentences: of its pairs, and of its runs beside published figures."""

from itertools import combinations, pairwise

from pljax.analysis.comparison import Comparison, Pair, Published
from pljax.analysis.estimates import Equivalence
from pljax.analysis.stats import ALPHA, EXACT_UP_TO, FLIPS, seeds_to_reach, smallest_p
from pljax.report.sentences import format_interval, format_number, format_p, format_p_value


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
    test, names = pair.test, f"{pair.first} - {pair.second}"
    if test.n == 0:
        return f"{pair.first} and {pair.second} have no seed in common that diverged in neither."
    if test.n == 1:
        points = format_number(test.mean)
        return f"{names}: {points} points in the one seed that both have, and one seed has no interval."
    lower = test.mean < 0
    sentence = (
        f"{names}: {_between(test.low, test.high)} (95 % CI; mean {format_number(test.mean)}), "
        f"{'lower' if lower else 'higher'} in {test.losses if lower else test.wins} of {test.n} seeds"
    )
    return f"{sentence}{_verdict(pair, comparisons)}.{_equivalence_sentence(pair.equivalence)}"


def _between(low: float, high: float) -> str:
    return f"between {format_number(low)} and {format_number(high)} points"


def _verdict(pair: Pair, comparisons: int) -> str:
    """The end of the sentence of a pair with at least two seeds."""
    test = pair.test
    if pair.best_p > ALPHA:
        enough = seeds_to_reach(comparisons=comparisons)
        return f"; {test.n} seeds allow no verdict of the permutation test, {enough} could"
    corrected = f", {format_p_value(pair.holm_p)} after Holm's correction" if comparisons > 1 else ""
    p_values = f"; permutation {format_p(test.permutation_p)}{corrected}"
    if pair.holm_p <= ALPHA:
        although = " by the permutation test, although the t-interval of the mean includes 0"
        return f"{p_values}: significant at the 5 % level{although if test.low < 0 < test.high else ''}"
    if test.seeds_needed is None or test.seeds_needed <= test.n:
        return f"{p_values}: not significant at the 5 % level"
    return (
        f"{p_values}: not significant at the 5 % level; if the true difference were exactly the mean, a paired t-test "
        f"would need {test.seeds_needed:,} seeds to find it with 80 % power"
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
    return (
        f"{sentence}: above 0.05, whatever the seeds show, so there is no verdict here. {single} seeds could give "
        f"one{more}, if the difference has the same sign in all of them."
    )


def reproductions(comparison: Comparison) -> list[str]:
    """Compare the runs under a source's own protocol with its published figures: one sentence each."""
    comparisons = len([figure for _, figure in own_figures(comparison) if figure.test.inside is not None])
    return [_reproduction(label, figure, comparisons) for label, figure in own_figures(comparison)]


def own_figures(comparison: Comparison) -> list[tuple[str, Published]]:
    """The published figures of a source's own protocol, with the label of the run, unless all its seeds diverged."""
    return [
        (row.label, figure)
        for row in comparison.rows
        for figure in row.published
        if figure.reference.own_protocol and row.summary.n
    ]


def _reproduction(label: str, figure: Published, comparisons: int) -> str:
    """The sentence of one of ``comparisons`` figures."""
    test = figure.test
    published = f"the published {format_number(figure.reference.accuracy)} % ({figure.reference.source})"
    if test.inside is None:
        return f"{label} - {published}: {format_number(test.difference)} points, and one seed has no interval."
    corrected = f", {format_p_value(figure.holm_p)} after Holm's correction for {comparisons} published figures"
    return (
        f"{label} and {published}: {reproduced(figure)}. The difference lies {_between(test.low, test.high)} (95 % CI, "
        f"unpaired; mean {format_number(test.difference)}); {format_p(test.p)}"
        f"{corrected if comparisons > 1 else ''}.{_equivalence_sentence(figure.equivalence)}"
    )


def reproduced(figure: Published) -> str:
    """Say whether a run reproduces a figure: ``reproduced`` if they are equivalent, ``not reproduced`` if they differ.

    Everything else is ``undecided``: too few seeds, or no margin that says what difference does not matter.
    """
    if figure.equivalence and figure.equivalence.result == "equivalent":
        return f"reproduced {within(figure.equivalence.margin)}"
    return "not reproduced" if figure.holm_p <= ALPHA else "undecided"


def _equivalence_sentence(test: Equivalence | None) -> str:
    """The sentence on an equivalence test, with a space before it; nothing where there is none."""
    if test is None or test.p != test.p:
        return ""
    after = "" if test.holm_p == test.p else f", {format_p_value(test.holm_p)} after Holm's correction"
    details = f"(90 % CI {format_interval(test.low, test.high)}; {format_p(test.p)}{after})"
    return {
        "equivalent": f" Equivalent {within(test.margin)} {details}.",
        "not shown": f" Equivalence {within(test.margin)} is not shown {details}.",
        "differs": f" Not {within(test.margin)}: the 95 % CI lies beyond.",
    }[test.result]


def within(margin: float | None) -> str:
    """The heading of the results of equivalence tests.

    >>> within(2.0), within(1.0), within(0.25)
    ('within 2 points', 'within 1 point', 'within 0.25 points')
    """
    return f"within {margin:g} point{'' if margin == 1 else 's'}" if margin else ""
