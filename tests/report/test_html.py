"""The report of a comparison: complete, without references to other sites, and with all text escaped."""

import base64
import dataclasses
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from made_results import make_result
from markdown_it import MarkdownIt

from pljax.analysis.comparison import compare
from pljax.protocols import SCENARIOS
from pljax.protocols.select import LEE_SCENARIOS as REPORTED
from pljax.report import html
from pljax.report.figures import Figure

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
FIGURES = [
    Figure("scores", "Scores", "A caption.", "Dots & lines", PNG, None),
    Figure("curves", "Curves", "Another.", "Lines", PNG, None),
    Figure("digits", "Digits", "", "", None, "No images are at hand."),
]


class Reader(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, text):
        super().__init__()
        self.images, self.tags, self.addresses, self.texts, self.open = [], [], [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.addresses += [
            attributes[name] for name in ("src", "href", "action", "data", "srcset") if name in attributes
        ]
        if tag == "img":
            self.images.append(attributes)
        if tag not in ("img", "meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] != "style":
            self.texts.append(data)

    @property
    def text(self):
        return " ".join(" ".join(self.texts).split())


def four(n=10, protocol="lee2013"):
    generator = np.random.default_rng(0)
    return compare(
        [
            make_result(config, (np.round(7000 + 500 * number + 200 * generator.standard_normal(n)) / 1e4).tolist())
            for number, config in enumerate([SCENARIOS[protocol][name] for name in REPORTED])
        ]
    )


@pytest.fixture(scope="module")
def compared():
    return four()


@pytest.fixture(scope="module")
def read(compared):
    return Reader(html.render("report.html", compared, FIGURES))


def test_the_page_is_complete_and_refers_to_no_other_site(read, compared):
    assert read.open == []
    assert not set(read.tags) & {"script", "link", "iframe", "object", "form"}
    assert read.addresses
    assert all(address.startswith("data:image/png;base64,") for address in read.addresses)
    assert not re.search(r"@import|url\(|https?://", html.render("report.html", compared, FIGURES))


def test_every_figure_has_its_caption_and_alternative_text_or_the_reason_why_it_is_missing(read):
    assert [image["alt"] for image in read.images] == ["Dots & lines", "Lines"]
    assert all(base64.b64decode(image["src"].partition(",")[2]) == PNG for image in read.images)
    assert "A caption." in read.text
    assert "No images are at hand." in read.text


def test_every_accuracy_and_every_pair_is_in_the_report(compared):
    for name in ("report.html", "report.md"):
        text = html.render(name, compared, FIGURES)
        for row in compared.rows:
            assert all(f"{accuracy:.2f}" in text for accuracy in row.accuracies)
            assert f"{row.summary.interquartile_mean:.2f}" in text
        for pair in compared.pairs:
            assert f"{pair.test.low:.2f} to {pair.test.high:.2f}".replace("-", "−") in text
            assert f"{pair.first} − {pair.second}" in text


def test_published_figures_have_the_protocol_of_their_source():
    own = html.published_table(four(protocol="lee2013"))
    assert [row[1:4] for row in own.rows[-2:]] == [
        ["89.51 ± 1.5", "Lee 2013", "the source's"],
        ["76.95 (one run)", "Arab et al. 2022", "another than lee2013"],
    ]
    assert {row[3] for row in html.published_table(four(protocol="quick")).rows} == {"another than quick"}


def test_equivalence_tests_have_a_table_if_a_margin_is_given(compared):
    assert not html.equivalence_table(compared).rows
    table = html.equivalence_table(compare(compared.results, margin=3))
    assert [row[0] for row in table.rows[:6]] == [f"{pair.first} - {pair.second}" for pair in compared.pairs]
    assert len(table.rows) == 6 + 3
    assert all(len(row) == len(table.header) for row in table.rows)


def test_without_pairs_there_is_no_table_of_pairs():
    alone = compare([make_result(SCENARIOS["quick"]["pl"], [0.8, 0.9])])
    assert "Pairs" not in html.render("report.md", alone, FIGURES)


def test_a_seed_that_a_run_does_not_have_is_a_dash_and_a_diverged_one_is_named():
    longer = make_result(SCENARIOS["quick"]["nn"], [0.7, 0.8, 0.9])
    diverged = make_result(SCENARIOS["quick"]["pl"], [0.7, None], diverged={"1": "finetune, epoch 3"})
    table = html.scores_table(compare([longer, diverged]))
    assert table.rows == [["0", "70.00", "70.00"], ["1", "80.00", "diverged"], ["2", "90.00", "-"]]


def test_all_text_is_escaped(compared):
    hostile = Figure("x", "<script>alert(1)</script>", '"><img src=x>', '" onerror="alert(1)', PNG, None)
    read = Reader(html.render("report.html", compared, [hostile]))
    assert "script" not in read.tags
    assert [image["alt"] for image in read.images] == ['" onerror="alert(1)']


def tokens_of(text):
    """What a reader of the Markdown file gets: the flat tokens of a parser with tables."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    for token in parser.parse(text):
        yield token
        yield from token.children or ()


def shown_by(text):
    """The text of each block of a Markdown file, each cell of a table by itself."""
    parser = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    blocks = [token.children for token in parser.parse(text) if token.type == "inline"]
    return ["".join(child.content for child in children) for children in blocks]


HOSTILE = (
    "<script>alert(1)</script>",
    "a|b",
    "`code` ``",
    "*bold* **b**",
    "_x_ __y__ a_b _z",
    "[x](http://y.z) ![i](j)",
    "# heading",
    "- item",
    "--- rule",
    "+ item",
    "1. item",
    "12) item",
    "> quote",
    "=== line",
    "~~gone~~",
    "&lt;b&gt; &amp;",
    "back\\slash \\* \\| \\",
    "<http://y.z> www.y.z https://y.z a@b.cd",
    "$x_1$ :smile:",
    "<!-- comment --> <?php ?> </p>",
    "\\",
    "|",
    "\\\\",
)


@pytest.mark.parametrize("name", HOSTILE)
def test_markdown_shows_every_name_as_it_is(name):
    for text in (name, f"pl {name}", f"{name} pl"):
        escaped = html.escape_markdown(text)
        assert shown_by(escaped) == [text]
        assert {token.type for token in tokens_of(escaped)} <= {
            *("paragraph_open", "inline", "text", "text_special", "paragraph_close"),
        }
        table = f"| {escaped} | next |\n| --- | --- |\n| {escaped} | {escaped} |\n"
        assert shown_by(table) == [text, "next", text, text]


def test_markdown_shows_a_name_with_line_breaks_on_one_line():
    assert html.escape_markdown("a\n\n# b\r\nc\td") == "a # b c d"


def test_numbers_and_usual_names_stay_readable_in_markdown():
    for text in ("84.60", "−0.25 to 0.30", "pl_dae", "<0.0001", "d_z", "-", "95 % CI", "P(higher), 95 % CI", "Holm's"):
        assert html.escape_markdown(text) == text


def test_a_report_of_hostile_names_has_the_tables_of_one_of_plain_names(compared):
    def report(*names):
        label = dict(zip((row.label for row in compared.rows), names, strict=True))
        rows = [dataclasses.replace(row, label=label[row.label]) for row in compared.rows]
        pairs = [
            dataclasses.replace(pair, first=label[pair.first], second=label[pair.second]) for pair in compared.pairs
        ]
        text = html.render("report.md", dataclasses.replace(compared, rows=rows, pairs=pairs), FIGURES)
        return shown_by(text), [token.type for token in tokens_of(text)]

    plain = ("first", "second", "third", "fourth")
    expected_texts, expected_tokens = report(*plain)
    blocks = ("_open", "_close")
    for begin in range(0, len(HOSTILE) - 3, 4):
        names = HOSTILE[begin : begin + 4]
        texts, tokens = report(*names)
        assert [token for token in tokens if token.endswith(blocks)] == [
            token for token in expected_tokens if token.endswith(blocks)
        ]
        assert set(tokens) - {"text_special"} <= set(expected_tokens)
        cells = dict(zip(plain, names, strict=True))
        assert [texts[place] for place, text in enumerate(expected_texts) if text in cells] == [
            cells[text] for text in expected_texts if text in cells
        ]


def test_every_row_of_a_markdown_table_has_as_many_cells_as_its_header(compared):
    text = html.render("report.md", compared, FIGURES)
    tables = re.findall(r"(?:^\|.*\|\n)+", text, flags=re.MULTILINE)
    assert len(tables) == 4
    for table in tables:
        assert len({line.count("|") for line in table.splitlines()}) == 1
        assert len(table.splitlines()) > 2


def test_markdown_refers_to_the_files_of_its_figures(tmp_path, compared):
    html.write(compared, FIGURES, tmp_path)
    shown = re.findall(r"!\[.*?\]\((.*?)\)", (tmp_path / "report.md").read_text())
    assert shown == ["figures/scores.png", "figures/curves.png"]
    assert all((tmp_path / path).read_bytes() == PNG for path in shown)
    assert not (tmp_path / "figures/digits.png").exists()


def test_a_figure_of_an_earlier_report_is_removed(tmp_path, compared):
    html.write(compared, FIGURES, tmp_path)
    html.write(compared, [FIGURES[0]._replace(png=None, missing="Gone."), *FIGURES[1:]], tmp_path)
    assert not (tmp_path / "figures/scores.png").exists()


def test_the_same_comparison_makes_the_same_page(compared):
    assert html.render("report.html", compared, FIGURES) == html.render("report.html", four(), FIGURES)
