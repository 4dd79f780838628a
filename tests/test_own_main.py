"""The main command on own data: from a table to pseudo-labels and back, and refusals in one sentence."""

import pandas as pd
import pytest
from commands import assert_refused, call
from tiny_runs import CLASSES, NAMES, rows, write_table

from pljax import export, predict
from pljax.main import main
from pljax.results.result import Result

SMALL = ("--scenario=pl", "--seeds=2", "--hidden=8", "--epochs=3", "--t1=0", "--t2=2", "--threshold=0")


@pytest.fixture(scope="module")
def untested(tmp_path_factory):
    """A run on a table without test rows."""
    place = tmp_path_factory.mktemp("untested")
    write_table(place / "rows.csv")
    return place, call(main, *SMALL, f"--dataset={place / 'rows.csv'}", f"--workdir={place / 'runs'}")


def only_folder(workdir):
    (folder,) = workdir.iterdir()
    return folder


def test_a_table_without_test_rows_ends_with_pseudo_labels(untested):
    place, (status, out, err) = untested
    assert status == 0
    assert "Traceback" not in err
    folder = only_folder(place / "runs")
    assert folder.name.startswith("adaptive-pl-rows-seeds0to1-")
    labels = pd.read_csv(folder / "pseudo_labels.csv")
    assert labels["index"].tolist() == list(range(12, 60))
    assert set(labels["label"]) <= set(CLASSES)
    assert set(labels["seeds"]) == {2}
    assert "Test accuracy, %" not in out


def test_predict_and_export_take_its_run(untested, tmp_path):
    place, _ = untested
    folder = only_folder(place / "runs")
    pd.DataFrame(rows(9, seed=2)[0], columns=NAMES).to_parquet(tmp_path / "new.parquet")
    arguments = [f"--run={folder}", f"--input={tmp_path / 'new.parquet'}", f"--output={tmp_path / 'out.csv'}"]
    assert call(predict.main, *arguments).status == 0
    assert call(export.main, f"--run={folder}", "--format=safetensors", f"--output={tmp_path / 'model.st'}").status == 0
    assert len(pd.read_csv(tmp_path / "out.csv")) == 9


def test_a_table_with_test_rows_ends_with_their_accuracy(tmp_path):
    write_table(tmp_path / "rows.csv")
    features, labels = rows(30, seed=9)
    pd.DataFrame(features, columns=NAMES).assign(label=labels).to_parquet(tmp_path / "test.parquet")
    status, out, _ = call(
        main,
        *SMALL,
        f"--dataset={tmp_path / 'rows.csv'}",
        f"--test={tmp_path / 'test.parquet'}",
        f"--workdir={tmp_path / 'runs'}",
    )
    assert status == 0
    assert out.startswith("Test accuracy, %, on the 30 test rows of rows")
    assert (only_folder(tmp_path / "runs") / "pseudo_labels.csv").exists()


def test_labels_is_for_tables_in_which_every_row_is_labelled(tmp_path):
    some, every = write_table(tmp_path / "some.csv"), write_table(tmp_path / "every.csv", known=60)
    for arguments, expected in (
        ([f"--dataset={some}", "--labels=6"], "--labels does not act: 12 of the 60 rows"),
        ([f"--dataset={some}", "--validation=12"], "--validation is 12"),
        ([f"--dataset={every}"], "give --labels=N"),
        ([f"--dataset={every}", "--labels=10"], "evenly by 3 classes"),
    ):
        assert_refused(call(main, *SMALL, *arguments), expected)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--dataset=nowhere.csv"], "Cannot read nowhere.csv"),
        (["--dataset=rows.csv", "--label=kind"], "no column 'kind'"),
        (["--dataset=rows.csv", "--features=wide,broad"], "lacks the columns broad"),
        (["--dataset=rows.csv", "--test=nowhere.csv"], "Cannot read nowhere.csv"),
    ],
)
def test_own_data_that_cannot_be_used_are_refused(tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "rows.csv")
    assert_refused(call(main, *SMALL, *arguments), expected)
    assert not (tmp_path / "runs").exists()


def test_what_was_read_is_said_before_training_and_kept_in_the_result(tmp_path, monkeypatch):
    """The home folder is expanded, too: no folder is called ``~``."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    features, labels = rows(60)
    labels = [*labels[:12], "cow ", *["", "-1", "NA", None] * 11, "", "", "unlabelled"]
    table = pd.DataFrame(features, columns=NAMES).assign(name="row", same=7.0, kind=labels)
    table.to_csv(tmp_path / "rows.txt", sep=";", index=False)
    flags = ("--label=kind", f"--features={','.join(NAMES)},same", "--unlabelled=NA", "--validation=3")
    status, _, err = call(main, *SMALL, "--dataset=~/rows.txt", *flags, "--workdir=~/runs")
    assert status == 0
    assert not (tmp_path / "~").exists()
    said = [line for line in err.splitlines() if line.startswith("warning: ")]
    assert "2 labels that look like cow are read as this one" in said[0]
    assert "-1 is taken for unlabelled in 11 rows" in said[1]
    assert said[2] == "warning: the same in all rows, so of no use: feature same."
    lines = dict(line.split("  ", maxsplit=1) for line in err.splitlines() if "  " in line and "epoch" not in line)
    read = {heading: text.strip() for heading, text in lines.items()}
    assert read["file"] == "separated by semicolons"
    assert read["labels"] == "column kind"
    assert read["columns left out"] == "1: name"
    assert read["features"] == f"5 without missing values: {', '.join(NAMES)}, same"
    assert read["constant features"] == "1: same"
    assert read["unlabelled"] == "47 rows (24 empty, 11 as -1, 11 as NA, 1 as unlabelled)"
    result = Result.load(only_folder(tmp_path / "runs"))
    assert result.dataset["classes"] == list(CLASSES)
    notes = result.dataset["notes"]
    assert {heading: text for heading, text in read.items() if heading in notes} == notes
    assert result.warnings == [line.removeprefix("warning: ") for line in said]
    counts = result.class_counts
    assert (sum(counts["labelled"]), sum(counts["validation"]), sum(counts["test"])) == (10, 3, 0)
    listed = ", ".join(
        f"{name} {one} + {other}"
        for name, one, other in zip(CLASSES, counts["labelled"], counts["validation"], strict=True)
    )
    assert read["classes"] == f"{listed} (labelled + validation)"


def test_a_data_set_that_is_neither_public_nor_a_file_is_refused_as_not_there(tmp_path):
    for arguments in (["--dataset=nowhere"], ["--dataset=nowhere", "--test=also"], ["--dataset=nowhere", "--label=y"]):
        line = assert_refused(
            call(main, *arguments), "There is no dataset 'nowhere', and no file or folder of this name"
        )
        assert "mnist_5k" in line


def test_flags_for_pictures_are_refused_with_a_table(tmp_path):
    path = write_table(tmp_path / "rows.csv")
    for flag in ("background=black", "image_size=28"):
        assert_refused(call(main, f"--dataset={path}", f"--{flag}"), f"--{flag.partition('=')[0]} is for pictures")


def test_the_flags_for_own_data_are_refused_with_a_public_data_set():
    for flag in ("label=y", "features=a", "unlabelled=NA", "no_header", "background=white", "test=a.csv"):
        assert_refused(call(main, "--dataset=mnist_5k", f"--{flag}"), f"--{flag.partition('=')[0]} is for own data")
