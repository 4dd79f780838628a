"""Compare finished runs: summaries of each result, and tests of every pair of results, paired by seed."""

import dataclasses
import itertools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pljax import protocols
from pljax.analysis.estimates import (
    Equivalence,
    Estimate,
    ReferenceDifference,
    compare_to,
    corrected,
    equivalence,
    from_figure,
    from_pairs,
)
from pljax.analysis.stats import ALPHA, Paired, Summary, compare_paired, holm, smallest_p, summarize
from pljax.protocols import SCENARIOS, Reference, references
from pljax.protocols.config import Config
from pljax.results.result import Result, name_seeds
from pljax.settings import differences, paths
from pljax.types import InputError


@dataclasses.dataclass(frozen=True)
class Published:
    """A published figure beside a run, and the run's difference from it in points."""

    reference: Reference
    test: ReferenceDifference
    equivalence: Equivalence | None  # None: no margin is given, or the figure is of another protocol
    holm_p: float  # of the test, adjusted for all figures of a run's own protocol; NaN for those of other protocols


@dataclasses.dataclass(frozen=True)
class Row:
    """One run of a comparison and its statistics. Accuracies are in per cent."""

    label: str
    result: Result
    accuracies: np.ndarray  # float64 [S]; NaN for a diverged seed
    summary: Summary
    published: list[Published]


@dataclasses.dataclass(frozen=True)
class Pair:
    """The differences ``first`` minus ``second``, in points, on the common seeds that diverged in neither run."""

    first: str
    second: str
    seeds: list[int]
    differences: np.ndarray  # float64 [n]
    test: Paired
    equivalence: Equivalence | None  # None: no margin is given
    holm_p: float  # of the permutation test, adjusted for all pairs with at least two seeds; NaN for the others
    best_p: float  # the smallest value that holm_p can have with these numbers of seeds


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Several runs and every pair of them."""

    rows: list[Row]
    pairs: list[Pair]
    margin: float | None  # of the equivalence tests, in points; None: there are none

    @property
    def results(self) -> list[Result]:
        """The results of the runs."""
        return [row.result for row in self.rows]


def as_json(comparison: Comparison) -> dict[str, Any]:
    """All numbers of a comparison as plain JSON values: the content of ``comparison.json``."""
    return {
        "margin": comparison.margin,
        "runs": [
            {
                "label": row.label,
                "protocol": row.result.protocol,
                "scenario": row.result.scenario,
                "overrides": overrides_of(row.result),
                "seeds": row.result.seeds,
                "accuracies": row.accuracies,
                "summary": row.summary._asdict(),
                "published": [
                    {
                        **figure.reference._asdict(),
                        **figure.test._asdict(),
                        "holm_p": figure.holm_p,
                        "equivalence": _fields(figure.equivalence),
                    }
                    for figure in row.published
                ],
            }
            for row in comparison.rows
        ],
        "pairs": [
            {**dataclasses.asdict(pair), "test": pair.test._asdict(), "equivalence": _fields(pair.equivalence)}
            for pair in comparison.pairs
        ],
    }


def _fields(test: Equivalence | None) -> dict[str, Any] | None:
    return None if test is None else test._asdict()


def compare(results: Sequence[Result], margin: float | None = None) -> Comparison:
    """Summarize each result, and test every pair of results: a later one minus an earlier one.

    Args:
      results: the results, at least one.
      margin: the difference in points up to which runs count as equivalent; ``None``: no equivalence is tested.

    Raises ``InputError`` if the results cannot be compared, see :func:`require_comparable`, and for a margin that is
    not above 0.
    """
    require_margin(margin)
    require_comparable(results)
    rows = _rows(results, margin)
    paired = [(first, second, *paired_differences(first, second)) for second, first in itertools.combinations(rows, 2)]
    tests = [compare_paired(points) for *_, points in paired]
    adjusted = holm(np.array([test.permutation_p if test.n > 1 else np.nan for test in tests]))
    best = holm(np.array([smallest_p(test.n) if test.n > 1 else np.nan for test in tests]))
    equivalences = _equivalences([from_pairs(test) for test in tests], margin, adjusted)
    pairs = [
        Pair(first.label, second.label, seeds, points, test, *others)
        for (first, second, seeds, points), test, *others in zip(
            paired, tests, equivalences, adjusted.tolist(), best.tolist(), strict=True
        )
    ]
    return Comparison(rows, pairs, margin)


def require_margin(margin: float | None) -> None:
    """Raise ``InputError`` for a margin that is not a number above 0."""
    if margin is not None and not 0 < margin < np.inf:
        raise InputError(f"The margin is {margin}: give a number of points above 0, such as 2.")


def _equivalences(
    estimates: Sequence[Estimate], margin: float | None, holm_p: np.ndarray
) -> Sequence[Equivalence | None]:
    """The equivalence tests of differences whose tests against 0 have these p-values."""
    if margin is None:
        return [None] * len(estimates)
    return corrected([equivalence(estimate, margin) for estimate in estimates], (holm_p <= ALPHA).tolist())


def _rows(results: Sequence[Result], margin: float | None) -> list[Row]:
    """A row for each result, with Holm's correction over the published figures of the own protocols of all."""
    accuracies = [100 * result.accuracies() for result in results]
    summaries = list(map(summarize, accuracies))
    beside = [
        (place, reference)
        for place, result in enumerate(results)
        for reference in references(result.effective_config(), result.dataset["digest"])
    ]
    figures: list[list[Published]] = [[] for _ in results]
    for (place, _), figure in zip(beside, _published(summaries, beside, margin), strict=True):
        figures[place].append(figure)
    return list(map(Row, labels(results), results, accuracies, summaries, figures))


def _published(
    summaries: Sequence[Summary], beside: Sequence[tuple[int, Reference]], margin: float | None
) -> list[Published]:
    """The published figures beside the results of these places. Those of other protocols are not judged."""
    estimates = [from_figure(summaries[at], of.accuracy, of.half_interval, of.one_run) for at, of in beside]
    tests = list(map(compare_to, estimates))
    own = np.array([of.own_protocol for _, of in beside], np.bool_)
    adjusted = holm(np.where(own, [test.p for test in tests], np.nan))
    judged = _equivalences([estimates[place] for place in np.flatnonzero(own)], margin, adjusted[own])
    equivalences: list[Equivalence | None] = [None] * len(beside)
    for place, test in zip(np.flatnonzero(own), judged, strict=True):
        equivalences[place] = test
    return [
        Published(of, *others) for (_, of), *others in zip(beside, tests, equivalences, adjusted.tolist(), strict=True)
    ]


def require_comparable(results: Sequence[Result]) -> None:
    """Raise ``InputError`` unless all results have the same data and split rules, and every two a common seed."""
    if not results:
        raise InputError("There is no result to compare.")
    for result in results:
        if not result.tested:
            raise InputError(f"{_name(result)} was run without test images: there is no test accuracy to compare.")
    for kind, key, text in _MUST_AGREE:
        different = {key(result): text(result) for result in results}
        if len(different) > 1:
            raise InputError(f"Results of different {kind} cannot be compared: {' and '.join(different.values())}.")
    for one, other in itertools.combinations(results, 2):
        if not set(one.seeds) & set(other.seeds):
            named = [f"{_name(result)} ({name_seeds(result.seeds)})" for result in (one, other)]
            raise InputError(f"{' and '.join(named)} have no seed in common and cannot be compared.")


# What results must have in common: its name, its value in a result, and the words for this value.
_MUST_AGREE: list[tuple[str, Callable[[Result], Any], Callable[[Result], str]]] = [
    (
        "data",
        lambda result: result.dataset["digest"],
        lambda result: f"{result.dataset['name']} (SHA-256 {result.dataset['digest']})",
    ),
    (
        "numbers of labels",
        lambda result: result.effective_config().labels,
        lambda result: f"{_name(result)} has {result.effective_config().labels}",
    ),
    (
        "split rules",
        lambda result: result.effective_config().choose_labels,
        lambda result: f"{_name(result)} labels {result.effective_config().choose_labels} images of each class",
    ),
]


def _name(result: Result) -> str:
    return f"{result.protocol} {result.scenario}"


def labels(results: Sequence[Result]) -> list[str]:
    """A unique name for each result: the scenario, and as many more facts as are needed."""
    several = len({result.protocol for result in results}) > 1
    names = [_name(result) if several else result.scenario for result in results]
    common = common_overrides(results)
    names = [
        name + _settings(result, common, [other for other, same in zip(results, names, strict=True) if same == name])
        for result, name in zip(results, names, strict=True)
    ]
    seeds: dict[str, set[tuple[int, ...]]] = {name: set() for name in names}
    for result, name in zip(results, names, strict=True):
        seeds[name].add(tuple(result.seeds))
    names = [
        f"{name}, {name_seeds(result.seeds)}" if len(seeds[name]) > 1 else name
        for result, name in zip(results, names, strict=True)
    ]
    return [
        f"{name} ({names[: index + 1].count(name)})" if names.count(name) > 1 else name
        for index, name in enumerate(names)
    ]


def _settings(result: Result, common: dict[str, str], namesakes: Sequence[Result]) -> str:
    """A result's overrides beside the common ones, and what differs from its namesakes, as ``, name=value``."""
    fields = {name: value for name, value in overrides_of(result).items() if name not in common}
    for other in namesakes:
        fields |= _own_fields(result.effective_config(), other.effective_config())
    return "".join(f", {name}={value}" for name, value in _in_order(fields))


def common_overrides(results: Sequence[Result]) -> dict[str, str]:
    """The overrides with one value in all results whose configs have this setting. The labels name the others."""
    configs, overrides = [result.effective_config() for result in results], list(map(overrides_of, results))

    def is_common(name: str, value: str) -> bool:
        return all(
            own[name] == value if name in own else not _has_setting(config, name)
            for config, own in zip(configs, overrides, strict=True)
        )

    every = {name: value for own in overrides for name, value in own.items()}
    return dict(_in_order({name: value for name, value in every.items() if is_common(name, value)}))


def _has_setting(config: Config, name: str) -> bool:
    """Whether a config has a setting, with the value of its protocol, whose flag has this name."""
    parts = [path.split(".") for path in paths(config)]
    fields = {".".join(path[:length]) for path in parts for length in range(1, len(path) + 1)}
    return any(_flag_name(config, field) == name for field in fields)


def overrides_of(result: Result) -> dict[str, str]:
    """The fields of a result's config that differ from its protocol, by the name of the flag."""
    config = result.effective_config()
    original = SCENARIOS.get(config.protocol, {}).get(config.scenario)
    return {} if original is None else dict(_in_order(_own_fields(config, original)))


def _own_fields(own: Config, other: Config) -> dict[str, str]:
    """The fields of one config that differ from those of another."""
    return {_flag_name(own, path): _as_text(value) for path, (value, _) in differences(own, other).items()}


def _in_order(fields: dict[str, str]) -> list[tuple[str, str]]:
    """Fields in the order of the overrides, others last."""
    order = list(protocols.overrides())
    return sorted(fields.items(), key=lambda field: order.index(field[0]) if field[0] in order else len(order))


def _flag_name(config: Config, path: str) -> str:
    """The name of the flag for a field of the config."""
    first, *rest = path.split(".")
    prefix = config.phases[int(rest[0])].prefix(rest[1]) if first == "phases" and len(rest) > 1 else ""
    return prefix + path.rpartition(".")[2]


def _as_text(value: Any) -> str:
    """A value of the config as text: the kind of a dataclass, a list of widths as ``1000x500``."""
    if isinstance(value, dict):
        return str(value.get("method", value)["kind"])
    return "x".join(map(_as_text, value)) if isinstance(value, list) else str(value)


def paired_differences(first: Row, second: Row) -> tuple[list[int], np.ndarray]:
    """The common seeds that diverged in neither run, in the order of the first, and the differences in points."""
    others = dict(zip(second.result.seeds, second.accuracies, strict=True))
    both = {
        seed: accuracy - others[seed]
        for seed, accuracy in zip(first.result.seeds, first.accuracies, strict=True)
        if np.isfinite(accuracy) and np.isfinite(others.get(seed, np.nan))
    }
    return list(both), np.array(list(both.values()), np.float64)
