"""The report of a comparison: ``report.html``, with its figures in the file, and ``report.md`` beside ``figures/``."""

import base64
import dataclasses
import re
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jinja2

from pljax.analysis.comparison import Comparison, Published, Row
from pljax.data.serialization import write_whole
from pljax.methods import Method
from pljax.report import sentences, verdicts
from pljax.report.data_summary import data_lines
from pljax.report.figures import Figure
from pljax.report.more_seeds import MoreSeeds
from pljax.report.sentences import format_interval, format_number, format_p_value
from pljax.report.tables import EQUIVALENCE_TITLE, equivalence_rows, score_cells


class Table(NamedTuple):
    """A table of the report: cells as text, and notes that explain them."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]


def write(comparison: Comparison, figures: Sequence[Figure], folder: Path, more: MoreSeeds | None = None) -> Path:
    """Write ``report.html``, ``report.md`` and ``figures/*.png`` to ``folder``. Return the path of ``report.html``.

    ``more`` has the commands that run seeds without which a pair has no verdict.
    """
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for figure in figures:
        path = folder / "figures" / f"{figure.name}.png"
        path.unlink(missing_ok=True)
        if figure.png is not None:
            write_whole(path, figure.png)
    for name in ("report.html", "report.md"):
        write_whole(folder / name, render(name, comparison, figures, more))
    return folder / "report.html"


def render(name: str, comparison: Comparison, figures: Sequence[Figure], more: MoreSeeds | None = None) -> str:
    """The text of ``report.html`` or ``report.md``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pljax.report"),
        autoescape=name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
        finalize=_escape_unless_code if name.endswith(".md") else None,  # every value, so that none can be forgotten
    )
    environment.filters["minus"] = with_minus_signs
    environment.filters["code"] = _Code
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template(f"{name}.jinja").render(
        title=sentences.join_names(row.label for row in comparison.rows),
        subtitle=sentences.describe(comparison),
        conclusions=verdicts.conclusions(comparison),
        limits=verdicts.limits(comparison),
        more=more,
        against=verdicts.reproductions(comparison),
        tables=tables(comparison),
        shown=[figure for figure in figures if figure.png is not None],
        missing=[figure for figure in figures if figure.png is None],
        provenance=[provenance(row) for row in comparison.rows],
    )


# What Markdown would take for a mark: in a line, and at the beginning of a paragraph.
_MARKS = re.compile(
    r"""
    [\\`*\[\]|~$@&]  # code, emphasis, links, cells, strikethrough, formulas, addresses, entities
    | (?<![^\W_])_ | _(?![^\W_])  # emphasis; an underscore inside of a word is none
    | <(?=[A-Za-z/!?])  # tags
    | :(?=//|[\w+-]+:) | (?<=www)\.  # addresses and emoji
    """,
    re.VERBOSE,
)
_FIRST_MARKS = re.compile(r"^(?:[#>=+]|-(?=[ -]\S)|\d+(?=[.)](?:\s|$)))")


def escape_markdown(value: Any) -> str:
    r"""Escape a text so that Markdown shows it as it is, on one line.

    >>> print(escape_markdown("pl_dae *<b>* | _x_"))
    pl_dae \*\<b>\* \| \_x\_
    """
    text = _MARKS.sub(r"\\\g<0>", " ".join(str(value).split()))
    return _FIRST_MARKS.sub(_escape_first, text)


class _Code(str):
    """A text that Markdown shows as it is: its lines are indented as a block of code."""

    def __new__(cls, text: str) -> "_Code":
        return super().__new__(cls, textwrap.indent(text, " " * 4, lambda _: True))


def _escape_unless_code(value: Any) -> str:
    return value if isinstance(value, _Code) else escape_markdown(value)


def _escape_first(found: re.Match[str]) -> str:
    mark = found[0]
    return mark + "\\" if mark.isdecimal() else "\\" + mark  # of a number, the point behind it is the mark


def with_minus_signs(text: str) -> str:
    """Replace the hyphens in front of negative numbers and between names by minus signs.

    >>> with_minus_signs("pl - nn: -0.25 (-0.8 to 0.3), drop-nn 2026-01-02")
    'pl − nn: −0.25 (−0.8 to 0.3), drop-nn 2026-01-02'
    """
    return re.sub(r"(?<![\w.-])-(?=\d)|(?<= )-(?= )", "−", text)


def tables(comparison: Comparison) -> list[Table]:
    """The tables of the report that have rows."""
    candidates = [
        summary_table(comparison),
        pairs_table(comparison),
        published_table(comparison),
        equivalence_table(comparison),
        scores_table(comparison),
    ]
    return [table for table in candidates if table.rows]


def summary_table(comparison: Comparison) -> Table:
    """The summary statistics of the test accuracies, a row per run."""
    header = ["run", "seeds", "mean", "SD", "95 % t-interval", "median", "interquartile mean", "lowest", "highest"]
    rows = []
    for row in comparison.rows:
        summary = row.summary
        rows.append(
            [
                row.label,
                str(summary.n),
                format_number(summary.mean),
                format_number(summary.sd),
                format_interval(summary.low, summary.high),
                *map(format_number, (summary.median, summary.interquartile_mean, summary.least, summary.most)),
            ]
        )
    return Table("Test accuracy, %", header, rows, sentences.remarks(comparison.rows))


def pairs_table(comparison: Comparison) -> Table:
    """The paired differences and their tests, a row per pair."""
    header = ["pair", "seeds", "difference", "95 % CI", "p", "p, Holm", "p, t-test", "d_z", "P(higher), 95 % CI"]
    header += ["wins, ties, losses", "seeds for 80 % power"]
    rows = []
    for pair in comparison.pairs:
        test = pair.test
        rows.append(
            [
                f"{pair.first} - {pair.second}",
                str(test.n),
                format_number(test.mean),
                format_interval(test.low, test.high),
                *map(format_p_value, (test.permutation_p, pair.holm_p, test.t_p)),
                format_number(test.effect),
                f"{format_number(test.improvement)} ({format_interval(test.improvement_low, test.improvement_high)})",
                f"{test.wins}, {test.ties}, {test.losses}",
                "-" if test.seeds_needed is None else f"{test.seeds_needed:,}",
            ]
        )
    notes = [
        "The 95 % CI is that of the mean difference, for each pair alone. p is two-sided, from sign flips of the "
        "differences; Holm's correction is for all pairs of the table. d_z is the mean difference over its standard "
        "deviation. P(higher) is the probability that a seed scores higher with the first than with the second if the "
        "two differ, with the exact interval of the sign test. The last column is for planning: the number of seeds "
        "with which a single paired t-test at 0.05 would have 80 % power if the true effect were the observed one, and "
        "at least the number with which the exact test can reach 0.05. An effect that was observed with few seeds "
        "tends to be too large.",
    ]
    return Table("Pairs, seed by seed, points", header, rows, notes)


def published_table(comparison: Comparison) -> Table:
    """The differences from published figures, a row per run and figure."""
    header = ["run", "published", "source", "protocol", "difference", "95 % CI", "p", "p, Holm", "inside"]
    rows = [
        [row.label, *_published_cells(row.result.protocol, figure)]
        for row in comparison.rows
        for figure in row.published
    ]
    note = (
        "Unpaired: the run's mean minus the published figure. The interval covers the uncertainty of the mean and, "
        "where the source gives it, that of the figure: its own 95 % interval (the wider side, if the sides differ), "
        "or the spread of one seed if the figure is of a single run. Holm's correction is for all figures of the "
        "source's own protocol. Inside: the interval contains 0, so the two cannot be told apart, which does not show "
        "that they are the same. Figures of another protocol, or that the source quotes from elsewhere, are given for "
        "orientation."
    )
    return Table("Differences from published figures, points", header, rows, [note])


def _published_cells(protocol: str, figure: Published) -> list[str]:
    reference, test = figure.reference, figure.test
    own = "" if reference.half_interval is None else f" ± {format_number(reference.half_interval, 1)}"
    return [
        f"{format_number(reference.accuracy)}{own}" + (" (one run)" if reference.one_run else ""),
        reference.source,
        "the source's" if reference.own_protocol else f"another than {protocol}",
        format_number(test.difference),
        format_interval(test.low, test.high),
        *map(format_p_value, (test.p, figure.holm_p)),
        "-" if test.inside is None else "yes" if test.inside else "no",
    ]


def equivalence_table(comparison: Comparison) -> Table:
    """The equivalence tests, a row per pair and per published figure of a run's own protocol, if a margin is given."""
    note = (
        "Equivalent: the two one-sided t-tests reject at 5 % that the true difference is as large as the margin on "
        "either side, after Holm's correction over the pairs, or over the figures; p is the larger one of theirs. "
        "Differs: the difference is significant, and its 95 % interval lies beyond the margin. The tests take the "
        "differences to be normal, which few seeds cannot show; the permutation test does not."
    )
    return Table(EQUIVALENCE_TITLE, *equivalence_rows(comparison), [note])


def scores_table(comparison: Comparison) -> Table:
    """The test accuracy of every seed, a row per seed."""
    columns = [dict(zip(row.result.seeds, score_cells(row.result), strict=True)) for row in comparison.rows]
    seeds = sorted(set().union(*columns))
    rows = [[str(seed), *(column.get(seed, "-") for column in columns)] for seed in seeds]
    return Table("Every score, %", ["seed", *(row.label for row in comparison.rows)], rows, [])


def _describe_method(method: Method) -> str:
    """The name of a method and its hyper-parameters.

    >>> from pljax.protocols import SCENARIOS
    >>> _describe_method(SCENARIOS["quick"]["nn"].method)
    'Supervised: visible_dropout 0, hidden_dropout 0, input_noise 0'
    """
    values = {field.name: getattr(method, field.name) for field in dataclasses.fields(method)}
    plain = {name: f"{value:g}" if isinstance(value, float) else value for name, value in values.items()}
    shown = (f"{name} {value}" for name, value in plain.items() if isinstance(value, int | str))
    return f"{type(method).__name__}: {', '.join(shown)}"


def provenance(row: Row) -> dict[str, str]:
    """Facts about a run, by name: what it computed, with which versions, and where."""
    result = row.result
    device, data = result.device, result.dataset
    is_own = {"notes", "classes"} <= set(data)
    sizes = f"{data['train']:,} training and {data['test']:,} test images"
    where = f"{device.get('count')} x {device.get('kind')} ({device.get('platform')}), {device.get('cores')} cores"
    return {
        "run": row.label,
        "protocol": f"{result.protocol}{sentences.changed_settings(result)}",
        "seeds": " ".join(map(str, result.seeds)),
        "data": f"{data['name']}, {sizes}, SHA-256 {data['digest']}",
        **(data_lines(data["notes"], data["classes"], result.class_counts) if is_own else {}),
        "method": _describe_method(result.effective_config().method),
        "parameters": f"{result.parameters:,} a seed",
        "device": where,
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
        "seconds": ", ".join(f"{name} {seconds:,.0f}" for name, seconds in result.seconds.items()),
        "warnings": " ".join(result.warnings) or "none",
    }
