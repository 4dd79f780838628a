"""The command line on people's own data: from a table to pseudo-labels and back, and one sentence for what is none."""

import contextlib
import io

import numpy as np
import pandas as pd
import pytest
from absl.testing import flagsaver
from PIL import Image
from tiny_runs import CLASSES, NAMES, rows, write_table

from pljax import export, predict
from pljax import main as program

SMALL = ("--scenario=pl", "--seeds=2", "--hidden=8", "--epochs=3", "--t1=0", "--t2=2", "--threshold=0")


def call(*arguments):
    """The command line with these arguments, in this process: its exit status, what it printed, what it said."""
    out, err = io.StringIO(), io.StringIO()
    with flagsaver.flagsaver(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = program.main(program.parse(["pljax", *map(str, arguments)]))
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


def refused(*arguments):
    status, out, err = call(*SMALL, *arguments)
    assert (status, out) == (2, "")
    assert err.startswith("pljax: ")
    assert err.count("\n") == 1
    return err


@pytest.fixture(scope="module")
def untested(tmp_path_factory):
    """What came of a table without test rows."""
    place = tmp_path_factory.mktemp("untested")
    write_table(place / "rows.csv")
    return place, call(*SMALL, f"--dataset={place / 'rows.csv'}", f"--workdir={place / 'runs'}")


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


def test_what_the_run_learned_goes_on_to_predict_and_export(untested, tmp_path):
    place, _ = untested
    folder = only_folder(place / "runs")
    pd.DataFrame(rows(9, seed=2)[0], columns=NAMES).to_parquet(tmp_path / "new.parquet")
    with contextlib.redirect_stdout(io.StringIO()):
        arguments = [f"--run={folder}", f"--input={tmp_path / 'new.parquet'}", f"--output={tmp_path / 'out.csv'}"]
        assert predict.main(arguments) == 0
        assert export.main([f"--run={folder}", "--format=safetensors", f"--output={tmp_path / 'model.st'}"]) == 0
    assert len(pd.read_csv(tmp_path / "out.csv")) == 9


def test_a_table_with_test_rows_ends_with_their_accuracy(tmp_path):
    write_table(tmp_path / "rows.csv")
    features, labels = rows(30, seed=9)
    pd.DataFrame(features, columns=NAMES).assign(label=labels).to_parquet(tmp_path / "test.parquet")
    status, out, _ = call(
        *SMALL,
        f"--dataset={tmp_path / 'rows.csv'}",
        f"--test={tmp_path / 'test.parquet'}",
        f"--workdir={tmp_path / 'runs'}",
    )
    assert status == 0
    assert out.startswith("Test accuracy, %, on the 30 test images of rows")
    assert (only_folder(tmp_path / "runs") / "pseudo_labels.csv").exists()


def test_labels_are_not_counted_where_the_file_says_which_rows_have_one(tmp_path):
    path = write_table(tmp_path / "rows.csv")
    assert "--labels does not act: 12 of the 60 rows" in refused(f"--dataset={path}", "--labels=6")
    assert "--validation is 12" in refused(f"--dataset={path}", "--validation=12")


def test_where_every_row_is_labelled_it_must_be_said_how_many_are_to_be(tmp_path):
    path = write_table(tmp_path / "rows.csv", known=60)
    assert "give --labels=N" in refused(f"--dataset={path}")
    assert "evenly by 3 classes" in refused(f"--dataset={path}", "--labels=10")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dataset=nowhere.csv"], "Cannot read nowhere.csv"),
        (["--dataset=./nowhere"], "nowhere is no folder"),
        (["--dataset=rows.csv", "--label=kind"], "no column 'kind'"),
        (["--dataset=rows.csv", "--features=wide,broad"], "lacks the columns broad"),
        (["--dataset=rows.csv", "--test=nowhere.csv"], "Cannot read nowhere.csv"),
        (["--dataset=pictures", "--image_size=-1"], "--image_size"),
        (["--dataset=mnist_5k", "--test=rows.csv"], "--test is for own data"),
    ],
)
def test_own_data_that_cannot_be_used_are_refused_in_one_line(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "rows.csv")
    (tmp_path / "pictures").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "pictures" / "a.png")
    assert says in refused(*arguments)
    assert not (tmp_path / "runs").exists()
