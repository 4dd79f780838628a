"""Which labels mean that the class is not known, and names as they are shown and compared."""

import numpy as np
import pandas as pd
import pytest
from refusal import refusal

from pljax.data.reading import labels
from pljax.data.reading.labels import clean, read, unlabelled_spelling


def texts(values, spellings=()):
    return read(values, spellings, "rows.csv").texts


def test_rows_without_a_label_are_read_once_for_all(monkeypatch):
    """Each row of an array can have a NaN of its own."""
    calls, name_of = [], labels.name_of
    monkeypatch.setattr(labels, "name_of", lambda value: calls.append(value) or name_of(value))
    assert texts(np.where(np.arange(1000) < 10, 1.0, np.nan)) == ["1"] * 10 + [""] * 990
    assert len(calls) < 10


def test_only_these_labels_mean_that_the_class_is_not_known():
    missing = [None, np.nan, float("nan"), np.float32("nan"), pd.NA, pd.NaT, "", "  ", "\u200b", b"", "nan", "NaN"]
    for value in (*missing, -1, -1.0, "-1", "-1.0", np.int8(-1), b"-1", "unlabelled", " Unlabeled ", "UNLABELLED"):
        assert texts([value]) == [""], repr(value)
    for name in ("None", "none", "NA", "N/A", "n/a", "null", "NULL", "<NA>", "Nan", "NAN", "?", "-", "unknown", "-2"):
        assert texts([name]) == [name], name
    for value, name in ((0, "0"), (False, "False"), (1.0, "1"), (1.5, "1.5"), ("007", "007"), ("1.00", "1")):
        assert texts([value]) == [name], repr(value)


def test_more_labels_can_mean_it_as_they_are_written():
    assert texts(["NA", "na", "cat", "", "?"], ["NA", "?"]) == ["", "na", "cat", "", ""]
    assert texts([7, "7.0", "x"], ["7"]) == ["", "", "x"]
    assert read(["NA", -1, "", None, "cat"], ["NA"], "").unlabelled == {"NA": 1, "-1": 1, "empty": 2}


def test_the_words_of_files_are_classes_in_arrays():
    assert unlabelled_spelling("unlabelled", words=()) is None
    assert unlabelled_spelling(" -1 ", words=()) == "-1"


def test_names_are_trimmed_composed_and_without_invisible_characters():
    for written, shown in (
        ("  two \t words\n", "two words"),
        ("cafe\u0301", "caf\u00e9"),
        ("\ufeffcat", "cat"),
        ("c\u200bat\u200b", "cat"),
        ("\u200dcat\u200c", "cat"),
        ("a\u00a0b", "a b"),
        ("A\u030a", "\u00c5"),
        ("bell\x07", "bell"),
    ):
        assert clean(written) == shown, ascii(written)
        assert clean(shown) == shown
    joined = "\u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645"  # a Persian word that needs its joiner
    assert clean(joined) == joined


def warned(values, spellings=()):
    return read(values, spellings, "rows.csv").warnings


def test_labels_that_are_read_as_one_or_look_alike_are_warned_of():
    for values in (["caf\u00e9", "cafe\u0301"], ["cat", "c\u200bat"], ["cat", "cat "], ["a b", "a  b"]):
        (sentence,) = warned([*values, "dog"])
        assert "are read as this one" in sentence
    for values in (["cat", "Cat"], ["\uff21", "A"], ["a\u200cb", "ab"], ["stra\u00dfe", "STRASSE"]):
        (sentence,) = warned([*values, "dog"])
        assert "look alike but are different classes" in sentence
    for values in (["cat", "dog"], [" cat", " dog"], ["1", "1.0", "2"], ["1", "10", "I"]):
        assert warned(values) == ()


def test_classes_that_may_mean_that_the_label_is_not_known_are_warned_of():
    for name in ("NA", "None", "null", "?", "unknown"):
        (sentence,) = warned([name, name, "cat"])
        assert sentence.startswith(f"the label {name} of 2 rows is a class")
        assert sentence.endswith(f"--unlabelled={name}.")
        assert warned([name, "cat"], [name]) == ()
    assert "no row has this label" in warned(["a", "b"], ["NA"])[0]


def test_minus_one_is_said_to_be_taken_for_unlabelled_where_it_may_be_a_class():
    for values in ([-1, 0, 1], [-1.0, 1.0], ["-1", "1"], ["-1", "", "a"]):
        assert any("-1 is taken for unlabelled in 1 row:" in sentence for sentence in warned(values)), values
    assert warned([-1, 1, 2, 3]) == warned([-1, "a", "b"]) == warned(["", 0, 1]) == ()


def test_labels_that_are_no_text_are_refused():
    for value in (b"\xff", "\ud800", [1, 2], {"a": 1}):
        assert "labels that are no text" in refusal(read, [value], (), "rows.csv")


def test_the_column_of_labels_is_found_in_any_case():
    assert labels.find_label_name(["Class", "Label"], None) == "Label"
    assert labels.find_label_name(["a", "Class"], None) == "Class"
    assert labels.find_label_name(["y", "label"], None, features=["label"]) == "y"
    assert labels.find_label_name(["y", "species"], "species") == "species"
    assert labels.find_label_name(["y"], "Y") is None


@pytest.mark.parametrize("kind", ["Int64", "string", "category", "boolean", "object"])
def test_missing_values_of_every_pandas_type_are_unlabelled(kind):
    values = pd.array([True, None, False] if kind == "boolean" else ["1", None, "0"]).astype(kind)
    assert texts(pd.Series(values))[1] == ""
