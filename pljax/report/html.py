"""A comparison as a page: one document, written as HTML with everything in it and as Markdown beside its figures."""

import base64
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jinja2

from pljax.analysis.comparison import Comparison, Row
from pljax.analysis.stats import ReferenceDifference
from pljax.data.serialization import write_whole
from pljax.protocols import Reference
from pljax.report import sentences
from pljax.report.figures import Figure
from pljax.report.sentences import interval, number, p_value
from pljax.report.tables import scores


class Table(NamedTuple):
    """Cells as they are read, and what must be known to read them."""

    title: str
    header: list[str]
    rows: list[list[str]]
    notes: list[str]


def write(comparison: Comparison, figures: Sequence[Figure], folder: Path) -> Path:
    """Write ``report.html``, ``report.md`` and ``figures/*.png`` to ``folder``; the path of the first is returned."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for figure in figures:
        path = folder / "figures" / f"{figure.name}.png"
        path.unlink(missing_ok=True)
        if figure.png is not None:
            write_whole(path, figure.png)
    for name in ("report.html", "report.md"):
        write_whole(folder / name, render(name, comparison, figures))
    return folder / "report.html"


def render(name: str, comparison: Comparison, figures: Sequence[Figure]) -> str:
    """The text of ``report.html`` or ``report.md``."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pljax.report"),
        autoescape=name.endswith(".html"),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["minus"] = with_minus_signs
    environment.filters["base64"] = lambda data: base64.b64encode(data).decode()
    return environment.get_template(f"{name}.jinja").render(
        title=sentences.several(row.label for row in comparison.rows),
        subtitle=sentences.describe(comparison),
        conclusions=sentences.conclusions(comparison),
        limits=sentences.limits(comparison),
        against=sentences.reproductions(comparison),
        tables=tables(comparison),
        shown=[figure for figure in figures if figure.png is not None],
        missing=[figure for figure in figures if figure.png is None],
        provenance=[provenance(row) for row in comparison.rows],
    )


def with_minus_signs(text: str) -> str:
    """Text with minus signs, not hyphens, in front of negative numbers and between names.

    >>> with_minus_signs("pl - nn: -0.25 (-0.8 to 0.3), drop-nn 2026-01-02")
    'pl − nn: −0.25 (−0.8 to 0.3), drop-nn 2026-01-02'
    """
    return re.sub(r"(?<![\w.-])-(?=\d)|(?<= )-(?= )", "−", text)


def tables(comparison: Comparison) -> list[Table]:
    """Every table of the page that has something in it."""
    made = [
        summary_table(comparison),
        pairs_table(comparison),
        published_table(comparison),
        scores_table(comparison),
    ]
    return [table for table in made if table.rows]


def summary_table(comparison: Comparison) -> Table:
    """A row a run: where its scores lie."""
    bca = sentences.shows_bca(comparison)
    header = ["run", "seeds", "mean", "SD", "95 % t-interval", *(["95 % BCa interval"] if bca else [])]
    header += ["median", "interquartile mean", "lowest", "highest"]
    rows = []
    for row in comparison.rows:
        summary = row.summary
        rows.append(
            [
                row.label,
                str(summary.n),
                number(summary.mean),
                number(summary.sd),
                interval(summary.low, summary.high),
                *([interval(*row.bca)] if bca else []),
                *map(number, (summary.median, summary.interquartile_mean, summary.least, summary.most)),
            ]
        )
    return Table("Test accuracy, %", header, rows, sentences.remarks(comparison.rows))


def pairs_table(comparison: Comparison) -> Table:
    """A row a pair: the differences seed by seed, and the tests of them."""
    header = ["pair", "seeds", "difference", "95 % CI", "p", "p, Holm", "p, t-test", "d_z", "P(higher), 95 % CI"]
    header += ["wins, ties, losses", "seeds for 80 % power"]
    rows = []
    for pair in comparison.pairs:
        test = pair.test
        rows.append(
            [
                f"{pair.first} - {pair.second}",
                str(test.n),
                number(test.mean),
                interval(test.low, test.high),
                *map(p_value, (test.permutation_p, pair.holm_p, test.t_p)),
                number(test.effect),
                f"{number(test.improvement)} ({interval(test.improvement_low, test.improvement_high)})",
                f"{test.wins}, {test.ties}, {test.losses}",
                "-" if test.seeds_needed is None else f"{test.seeds_needed:,}",
            ]
        )
    notes = [
        "p is two-sided, from sign flips of the differences; Holm's correction is for all pairs of the table. d_z is "
        "the mean difference over its standard deviation. P(higher) is the probability that a seed scores higher with "
        "the first than with the second, ties counted half, with Wilson's interval. The last column is for planning: "
        "with so many seeds a single paired t-test at 0.05 would find the effect four times in five if it were exactly "
        "the observed one, which few seeds overestimate; never fewer than the exact test needs to reach 0.05 at all.",
    ]
    return Table("Pairs, seed by seed, points", header, rows, notes)


def published_table(comparison: Comparison) -> Table:
    """A row a run and published figure: one sample against one number."""
    header = ["run", "published", "source", "protocol", "difference", "95 % CI", "inside"]
    rows = [
        [row.label, *_published_cells(row.result.protocol, reference, test)]
        for row in comparison.rows
        for reference, test in row.published
    ]
    note = (
        "Unpaired: the run's mean minus the published figure. The interval holds the uncertainty of the mean and, "
        "where the source tells it, that of the figure: its own 95 % interval (the wider end, where a range is given), "
        "or the spread of one seed where the figure is of a single run. Inside: the published figure lies in it. Under "
        "another protocol, or a network that the source only quotes, figures are for orientation, not for reproduction."
    )
    return Table("ReferenceDifference published figures, points", header, rows, [note])


def _published_cells(protocol: str, reference: Reference, test: ReferenceDifference) -> list[str]:
    own = "" if reference.half_interval is None else f" ± {number(reference.half_interval, 1)}"
    return [
        f"{number(reference.accuracy)}{own}" + (" (one run)" if reference.one_run else ""),
        reference.source,
        "the source's" if reference.own_protocol else f"another than {protocol}",
        number(test.difference),
        interval(test.low, test.high),
        "-" if test.inside is None else "yes" if test.inside else "no",
    ]


def scores_table(comparison: Comparison) -> Table:
    """A row a seed: every raw score."""
    columns = [dict(zip(row.result.seeds, scores(row.result), strict=True)) for row in comparison.rows]
    seeds = sorted(set().union(*columns))
    rows = [[str(seed), *(column.get(seed, "-") for column in columns)] for seed in seeds]
    return Table("Every score, %", ["seed", *(row.label for row in comparison.rows)], rows, [])


def provenance(row: Row) -> dict[str, str]:
    """Where a run comes from, by name."""
    result = row.result
    device, data = result.device, result.dataset
    sizes = f"{data['train']:,} training and {data['test']:,} test images"
    where = f"{device.get('count')} x {device.get('kind')} ({device.get('platform')}), {device.get('cores')} cores"
    return {
        "run": row.label,
        "protocol": f"{result.protocol}{sentences.changed_settings(result)}",
        "seeds": " ".join(map(str, result.seeds)),
        "data": f"{data['name']}, {sizes}, SHA-256 {data['digest']}",
        "parameters": f"{result.parameters:,} a seed",
        "device": where,
        "versions": ", ".join(f"{name} {version}" for name, version in result.versions.items()),
        "seconds": ", ".join(f"{name} {seconds:,.0f}" for name, seconds in result.seconds.items()),
        "warnings": " ".join(result.warnings) or "none",
    }
