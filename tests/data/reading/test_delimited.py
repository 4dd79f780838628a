"""Text tables as programs and people write them: the right numbers, labels and names come out, or a sentence."""

import gzip

import numpy as np
from refusal import refusal

from pljax.data import custom
from pljax.data.custom import read
from pljax.types import ReadOptions

ROWS = [[5.1, 3.5], [-4.25, 3000.0], [0.001, 1e-7]]
LABELS = ["setosa", "", "virginica"]


def written(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def require(path, names=("a", "b"), rows=ROWS, labels=LABELS, options=None):
    found = read(path, options or ReadOptions())
    assert found.columns == tuple(names)
    np.testing.assert_array_equal(found.features, rows)
    assert found.labels.texts == list(labels)
    return found


def test_spaces_around_names_and_values_are_no_part_of_them(tmp_path):
    for content in (
        "a, b, label\n5.1, 3.5, setosa\n-4.25, 3000, \n0.001, 1e-7, virginica\n",
        " a ,b\t, label \n 5.1 ,3.5, setosa \n-4.25,3000,\n0.001,1e-7,virginica \n",
        "\ufeffa,b,lab\u200bel\n5.1,3.5,setosa\n-4.25,3000,\n0.001,1e-7,virginica\n",
        "\n\na,b,label\n5.1,3.5,setosa\n\n-4.25,3000,\n0.001,1e-7,virginica\n\n",
        'a,b,label\r\n5.1,3.5,"setosa"\r\n"-4.25",3000,\r\n0.001,1e-7,virginica\r\n',
        "a,b,label\r5.1,3.5,setosa\r-4.25,3000,\r0.001,1e-7,virginica\r",
        "a,b,label,\n5.1,3.5,setosa,\n-4.25,3000,,\n0.001,1e-7,virginica,\n",
    ):
        assert require(written(tmp_path / "rows.csv", content)).notes.get("file") is None


COMMAS = "a;b;label\n5,1;3,5;setosa\n-4,25;3000;\n0,001;1e-7;virginica\n"


def test_separators_and_decimal_commas_are_found_and_said(tmp_path):
    points = COMMAS.replace(",", ".")
    for content, said in (
        (COMMAS, "separated by semicolons, numbers with a decimal comma"),
        (points, "separated by semicolons"),
        (points.replace(";", "\t"), "separated by tabs"),
        (COMMAS.replace(";", "\t"), "separated by tabs, numbers with a decimal comma"),
        (points.replace(";", "|"), "separated by bars"),
        ("sep=;\n" + points, "separated by semicolons"),
        ("sep=^\n" + points.replace(";", "^"), "separated by '^'"),
        ("a  b   label\n5.1 3.5  setosa\n-4.25  3000 -1\n0.001 1e-7 virginica\n", "separated by spaces"),
    ):
        for name in ("rows.csv", "rows.tsv", "rows.txt"):
            assert require(written(tmp_path / name, content)).notes["file"] == said


def test_of_signs_that_divide_evenly_the_one_that_gives_named_columns_separates(tmp_path):
    commas = written(tmp_path / "rows.csv", "label;n,\nx;0,5\ny;1,5\n")
    require(commas, ("n,",), [[0.5], [1.5]], "xy")
    bars = written(tmp_path / "bars.csv", "a,|label\n5,1|x\n6,2|y\n")
    require(bars, ("a,",), [[5.1], [6.2]], "xy", ReadOptions("label"))


def test_a_comma_that_may_separate_thousands_is_warned_of(tmp_path):
    path = written(tmp_path / "rows.csv", "a;label\n1,234;x\n5,678;y\n")
    found = require(path, ("a",), [[1.234], [5.678]], "xy")
    assert "1,234 is read as a number with a decimal comma" in found.warnings[0]
    assert require(written(path, "a;label\n1,2345;x\n5,678;y\n"), ("a",), [[1.2345], [5.678]], "xy").warnings == ()


POINTS = "a,b,label\n5.1,3.5,setosa\n-4.25,3000,\n0.001,1e-7,virginica\n"


def test_encodings_are_found_and_said(tmp_path):
    accents = POINTS.replace("a,b", "gr\u00f6\u00dfe,b").replace("setosa", "caf\u00e9")
    for encoding, said in (
        ("utf-8", None),
        ("utf-8-sig", None),
        ("cp1252", "in cp1252, because it is not UTF-8"),
        ("utf-16", "in UTF-16"),
        ("utf-16-le", "in UTF-16"),
        ("utf-16-be", "in UTF-16"),
        ("utf-32", "in UTF-32"),
    ):
        path = written(tmp_path / "rows.csv", accents.encode(encoding))
        labels = ["caf\u00e9", "", "virginica"]
        assert require(path, ("gr\u00f6\u00dfe", "b"), labels=labels).notes.get("file") == said, encoding
    assert "save it as UTF-8" in refusal(read, written(tmp_path / "rows.csv", b"a,label\n1,\x81\x8d\n"), ReadOptions())


def test_a_compressed_table_is_that_table(tmp_path):
    for name in ("rows.csv.gz", "rows.tsv.gz", "ROWS.CSV.GZ"):
        require(written(tmp_path / name, gzip.compress(POINTS.encode())))
    assert custom.load(str(tmp_path / "rows.csv.gz"), None, ReadOptions(), list).name == "rows"
    for content in (POINTS.encode(), gzip.compress(POINTS.encode())[:-9], gzip.compress(b"")[:4]):
        path = written(tmp_path / "rows.csv.gz", content)
        assert path.name in refusal(read, path, ReadOptions())


def test_lines_of_comment_above_the_table_are_passed_over(tmp_path):
    for content, said in (
        ("# made by hand\n# in 2020\n" + POINTS, "after 2 lines of comment"),
        ("#" + POINTS, "its header after #"),
        ("# made by hand\n# " + POINTS, "its header after #, after 1 line of comment"),
        ("\n#\n" + POINTS, "after 1 line of comment"),
    ):
        assert require(written(tmp_path / "rows.csv", content)).notes["file"] == said
    sharp = written(tmp_path / "rows.csv", "label,a\nC#,1\n#1,2\n")  # a hash in a row is no comment
    require(sharp, ("a",), [[1], [2]], ["C#", "#1"])


def test_a_title_above_the_header_and_empty_lines_below_the_rows_are_no_part_of_the_table(tmp_path):
    for title in ("My table,,\n,,\n", "My table\n\n", ",My table,\n"):
        found = require(written(tmp_path / "rows.csv", title + POINTS + ",,\n,,\n"))
        lines = 2 if ",,\n,,\n" in title else 1
        said = f"after {lines} line{'s' * (lines > 1)} of title, empty lines at the end left out (2)"
        assert found.notes["file"] == said
    with_gap = POINTS.replace("-4.25,3000,\n", ",,\n")  # an empty line between others is a row with missing numbers
    assert "missing number" in refusal(read, written(tmp_path / "rows.csv", with_gap), ReadOptions())


def test_quotes_around_all_names_are_no_part_of_them(tmp_path):
    for header in ("'a','b','label'", "`a`,`b`,`label`", '"a","b","label"'):
        require(written(tmp_path / "rows.csv", POINTS.replace("a,b,label", header)))
    require(written(tmp_path / "rows.csv", POINTS.replace("a,b", "'a',b'")), ("'a'", "b'"))


def test_other_kinds_of_files_are_known_by_their_first_bytes(tmp_path):
    require(written(tmp_path / "rows.csv", gzip.compress(POINTS.encode())))
    for content, kind in (
        (b"PK\x03\x04...", "zip archive"),
        (b"PAR1...", "parquet"),
        (b'{"a": [1, 2]}', "JSON"),
        (b'[{"a": 1}]', "JSON"),
        (b"<!DOCTYPE html>", "HTML"),
        (b"  <html>", "HTML"),
    ):
        assert kind in refusal(read, written(tmp_path / "rows.csv", content), ReadOptions())


def test_lines_of_another_length_are_named(tmp_path):
    for content, reason in (
        (POINTS + "1,2,x,4\n", "4 cells in line 5, but 3 columns: correct the line"),
        ("# comment\n" + POINTS + "1,2,x,4\n", "4 cells in line 6, but 3 columns"),
        ("150,4,setosa\n5.1,3.5,1,2,0\n4,3,2,1,1\n", "3 cells in its first line and 5 in most others"),
        ("a,b,label\n1,5.1,3.5,x\n2,4,3,y\n", "3 cells in its first line and 4 in most others"),
    ):
        assert reason in refusal(read, written(tmp_path / "rows.csv", content), ReadOptions()), content


def test_decimal_commas_between_spaces_are_no_separators(tmp_path):
    path = written(tmp_path / "rows.txt", "a b label\n" + "1,5 2,5 x\n2,5 3,5 y\n" * 15)
    require(path, rows=[[1.5, 2.5], [2.5, 3.5]] * 15, labels=["x", "y"] * 15)


def test_the_sign_of_decimals_is_that_of_the_columns_that_are_read(tmp_path):
    path = written(tmp_path / "rows.csv", "a;version;b;label\n5,1;1.2;3,5;setosa\n-4,25;1.3;3000;\n")
    require(path, rows=ROWS[:2], labels=LABELS[:2], options=ReadOptions(columns=("a", "b")))


def test_an_empty_line_of_a_single_column_is_a_missing_number(tmp_path):
    assert "missing number" in refusal(custom.read, written(tmp_path / "new.csv", "x\n-2\n\n3\n"), ReadOptions())


def test_names_with_line_breaks_hide_no_row(tmp_path):
    """Spreadsheets write a name that is wrapped in its cell so."""
    path = written(
        tmp_path / "rows.csv", 'Title\n"weight\n(kg)","length\n(cm)",label\n1,2,setosa\n3,4,\n5,6,virginica\n'
    )
    require(path, ("weight (kg)", "length (cm)"), [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    long = written(tmp_path / "long.csv", path.read_text() + "7,8,x,9\n")
    assert "4 cells in line 8, but 3 columns" in refusal(read, long, ReadOptions())


def test_a_table_without_a_header_is_read_with_numbers_for_names(tmp_path):
    path = written(tmp_path / "iris.data", "5.1,3.5,setosa\n-4.25,3000,\n0.001,1e-7,virginica\n")
    require(path, ("0", "1"), options=ReadOptions("2", header=False))
    require(path, ("1",), [[3.5], [3000.0], [1e-7]], options=ReadOptions("2", ("1",), header=False))
    for options in (ReadOptions(), ReadOptions("label")):
        sentence = refusal(custom.load, str(path), None, options, list)
        assert "--no_header" in sentence
        assert "--label with the number of the labels' column" in sentence
    assert "looks like a row (5.1, 3.5, setosa)" in read(path, ReadOptions("setosa")).warnings[0]


def test_names_that_are_numbers_are_no_row(tmp_path):
    for names in ("0,1,label", "1,2,label", "2019,2020,label", "1990,a,label"):
        content = POINTS.replace("a,b,label", names)
        assert read(written(tmp_path / "rows.csv", content), ReadOptions()).warnings == (), names
    for first in ("5.1,3.5,setosa", "7,8,setosa"):  # digits that are rows: 7 and setosa occur again
        content = f"{first}\n7,3,setosa\n6,8,setosa\n"
        assert len(read(written(tmp_path / "rows.csv", content), ReadOptions("setosa")).warnings) == 1, first


def test_missing_numbers_are_refused_and_missing_labels_are_none(tmp_path):
    for spelling in ("", "NA", "nan", "NULL", "None", "n/a", "#N/A"):
        path = written(tmp_path / "rows.csv", f"a,b,label\n1,2,x\n{spelling},3,y\n")
        assert "1 missing number in 1 of 2 rows, the first in row 1, in column a (1)" in refusal(
            read, path, ReadOptions()
        ), spelling
    labels = ["None", "NA", "null", "Apnea", "", "N/A"]
    content = "a,label\n" + "".join(f"{place},{label}\n" for place, label in enumerate(labels))
    require(written(tmp_path / "rows.csv", content), ("a",), np.arange(6)[:, None], labels)


def test_what_is_no_table_of_numbers_is_refused_with_an_example(tmp_path):
    for content, reason in (
        ("a,label\n1.234.567,x\n2,y\n", "a ('1.234.567')"),
        ("a;label\n1,5;x\n2.5;y\n", "a ('1,5')"),
        ("a,label\n5%,x\n2%,y\n", "a ('5%')"),
        ("a,label\n?,x\n2,y\n", "a ('?')"),
        ("a,a ,label\n1,2,x\n", "two columns of one name, a"),
        ("5.1,5.1,x\n1,2,y\n", "--no_header"),
        ("", "has no rows"),
        ("\n# nothing\n", "has no rows"),
    ):
        assert reason in refusal(read, written(tmp_path / "rows.csv", content), ReadOptions()), content


def test_other_columns_of_labels_are_said_to_be_features(tmp_path):
    content = "a,target,species\n" + "".join(f"{place},{place % 2},{'xy'[place % 2]}\n" for place in range(30))
    said = []
    custom.load(str(written(tmp_path / "rows.csv", content)), None, ReadOptions("species"), said.append)
    assert [line.partition(":")[2] for line in said] == [
        " the column target is used as a feature: if it has labels, list the features.",
        " the feature a only counts the rows: leave it out with --features.",
        " the feature target tells the class of every labelled row: if it is another form of the label, leave it out "
        "with --features.",
    ]
