"""``python -m pljax.compare``: real runs in, tables and a report out, and one sentence for what cannot be compared."""

import contextlib
import dataclasses
import io
import json
import shutil

import pytest
from tiny_runs import DROPOUT, config, network, pseudo_label, supervised

from pljax import compare as program
from pljax.results.folder import RunFolder
from pljax.results.result import Result
from pljax.training.progress import Reporter
from pljax.training.run import run
from pljax.types import Dataset

NN = config("nn", supervised(network(8), 4))
PL = config("pl", pseudo_label(network(8), 4, 1, 3, **DROPOUT))


@pytest.fixture(scope="module")
def runs(blobs, tmp_path_factory):
    """Two scenarios with seeds 0 to 2, and one with other seeds: the paths of their folders."""
    place = tmp_path_factory.mktemp("runs")
    for name, of_run, seeds in (("nn", NN, [0, 1, 2]), ("pl", PL, [0, 1, 2]), ("later", PL, [7, 8])):
        run(of_run, seeds, blobs, RunFolder(place / name), Reporter(io.StringIO()))
    return place


def call(*arguments):
    """The command in this process: its exit status, what it printed, what it said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = program.main([*map(str, arguments)])
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


def test_two_runs_are_compared_and_a_report_is_written(runs, tmp_path):
    status, out, _ = call(runs / "nn", runs / "pl", "--output", tmp_path / "report")
    assert status == 0
    assert "pl - nn" in out
    assert "3 seeds can reach" in out
    assert out.endswith(f"report: {tmp_path / 'report' / 'report.html'}\n")
    made = {path.name for path in (tmp_path / "report").iterdir()}
    assert made == {"report.html", "report.md", "comparison.json", "figures"}


def test_runs_of_one_config_with_different_seeds_are_joined(runs, tmp_path):
    status, _, _ = call(runs / "later", runs / "nn", runs / "pl", "--output", tmp_path)
    assert status == 0
    joined, other = json.loads((tmp_path / "comparison.json").read_text())["runs"]
    assert (joined["scenario"], joined["seeds"]) == ("pl", [0, 1, 2, 7, 8])
    accuracies = [100 * share for name in ("pl", "later") for share in Result.load(runs / name).test_accuracy]
    assert joined["accuracies"] == pytest.approx(accuracies)
    assert (other["scenario"], other["seeds"]) == ("nn", [0, 1, 2])
    assert Result.load(tmp_path / "test-pl-blobs-seeds0to8").seeds == joined["seeds"]


def test_the_numbers_are_those_of_the_results(runs, tmp_path):
    call(runs / "nn", runs / "pl", "--output", tmp_path)
    told = json.loads((tmp_path / "comparison.json").read_text())
    results = [Result.load(runs / name) for name in ("nn", "pl")]
    for result, told_of in zip(results, told["runs"], strict=True):
        assert told_of["accuracies"] == pytest.approx(100 * result.accuracies())
    (pair,) = told["pairs"]
    assert pair["differences"] == pytest.approx(100 * (results[1].accuracies() - results[0].accuracies()))


def test_figures_that_need_images_say_that_there_are_none(runs, tmp_path):
    call(runs / "nn", runs / "pl", "--output", tmp_path)  # no such data set can be loaded
    text = (tmp_path / "report.md").read_text()
    assert "Left out, What the auto-encoder restores:" in text
    assert "![" in text


def test_a_run_alone_has_a_report_without_pairs(runs, tmp_path):
    status, out, _ = call(runs / "nn", "--output", tmp_path)
    assert status == 0
    assert "Pairs" not in out


def test_results_are_enough_for_a_report(runs, tmp_path):
    for name in ("nn", "pl"):
        (tmp_path / name).mkdir()
        shutil.copy(runs / name / "result.json", tmp_path / name)
    status, *_ = call(tmp_path / "nn", tmp_path / "pl", "--output", tmp_path / "report")
    assert status == 0
    text = (tmp_path / "report" / "report.md").read_text()
    assert "Left out, Learning curves:" in text


def other_data(result):
    return dataclasses.replace(result, dataset={**result.dataset, "digest": "f" * 64})


def other_labels(result):
    return dataclasses.replace(result, config={**result.config, "labels": 12})


def other_rule(result):
    return dataclasses.replace(result, config={**result.config, "choose_labels": "first"})


@pytest.mark.parametrize(
    ("change", "says"), [(other_data, "data"), (other_labels, "numbers of labels"), (other_rule, "split rules")]
)
def test_runs_that_do_not_belong_together_are_refused(runs, tmp_path, change, says):
    change(Result.load(runs / "pl")).save(tmp_path / "result.json")
    status, out, err = call(runs / "nn", tmp_path, "--output", tmp_path / "report")
    assert (status, out) == (2, "")
    assert err.startswith(f"pljax: Results of different {says} cannot be compared: ")
    assert err.count("\n") == 1
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("names", "says"),
    [
        (["nn", "later"], "no seed in common"),
        (["nn", "nn"], "twice"),
        (["nn", "../runs/nn"], "twice"),
        (["nn", "nowhere"], "nowhere"),
    ],
)
def test_runs_that_cannot_be_compared_are_one_sentence(runs, tmp_path, names, says):
    paths = [runs.parent / runs.name / name.replace("runs", runs.name) for name in names]
    status, out, err = call(*paths, "--output", tmp_path / "report")
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


def test_a_file_that_is_no_result_is_one_sentence(runs, tmp_path):
    (tmp_path / "result.json").write_text("{")
    status, _, err = call(runs / "nn", tmp_path)
    assert status == 2
    assert "not JSON" in err
    assert err.count("\n") == 1


def test_a_place_that_cannot_be_written_is_one_sentence(runs, tmp_path):
    (tmp_path / "file").touch()
    status, _, err = call(runs / "nn", "--output", tmp_path / "file" / "report")
    assert status == 2
    assert "cannot be written" in err.splitlines()[-1]
    assert "--output" in err.splitlines()[-1]


def test_no_run_is_a_usage_error():
    status, _, err = call()
    assert status == 2
    assert "RUN" in err


def test_the_data_are_only_read_where_they_are_the_runs_own(runs, tmp_path, blobs, monkeypatch):
    other = Dataset("blobs", 4, blobs.train_images[::-1], blobs.train_labels, blobs.test_images, blobs.test_labels)
    monkeypatch.setattr(program.data, "load", lambda *_, **__: other)
    call(runs / "nn", runs / "pl", "--output", tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert "The data set at hand is not the one that nn was run on." in text
