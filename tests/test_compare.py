"""The compare command: finished runs in, tables and a report out, and one sentence for what cannot be compared."""

import dataclasses
import json
import shutil

import pytest
from commands import assert_refused, call, cheap_figures
from tiny_runs import config, finished, network, pseudo_label, supervised

from pljax.analysis.comparison import compare
from pljax.compare import main
from pljax.data import datasets
from pljax.results.result import Result
from pljax.settings import to_json
from pljax.types import Dataset

NN = config("nn", supervised(network(8), 4))
PL = config("pl", pseudo_label(network(8), 4, 1, 3))


@pytest.fixture(scope="module", autouse=True)
def fast():
    with cheap_figures():
        yield


@pytest.fixture(scope="module")
def runs(blobs, tmp_path_factory):
    """A folder of finished runs: ``nn``, ``later`` with other seeds, and the result alone of ``pl``."""
    place = tmp_path_factory.mktemp("runs")
    for name, seeds in (("nn", [0, 1, 2]), ("later", [6, 7, 8])):
        finished(place / name, blobs, NN, seeds)
    shares = [0.5, 0.6, 0.7]
    pl = dataclasses.replace(
        Result.load(place / "nn"),
        scenario="pl",
        config=to_json(PL),
        test_accuracy=shares,
        test_error=[1 - share for share in shares],
    )
    (place / "pl").mkdir()
    pl.save(place / "pl" / "result.json")
    return place


@pytest.fixture(scope="module")
def wide(blobs, tmp_path_factory):
    """Two parts of a run of another network, whose joined run would have the name of that of ``nn`` and ``later``."""
    place, wider = tmp_path_factory.mktemp("wide"), config("nn", supervised(network(9), 4))
    parts = (place / "early", [0, 1, 2]), (place / "later", [6, 7, 8])
    return [finished(path, blobs, wider, seeds).path for path, seeds in parts]


@pytest.fixture(scope="module")
def report(runs, tmp_path_factory):
    """The report of two scenarios, and the outcome of the command."""
    output = tmp_path_factory.mktemp("report") / "report"
    return output, call(main, runs / "nn", runs / "pl", "--output", output)


def test_two_runs_are_compared_and_a_report_is_written(report):
    output, (status, out, _) = report
    assert status == 0
    assert "pl - nn" in out
    assert out.endswith(f"report: {output / 'report.html'}\n")
    assert {path.name for path in output.iterdir()} == {"report.html", "report.md", "comparison.json", "figures"}


def test_the_numbers_are_those_of_the_results(runs, report):
    compared = json.loads((report[0] / "comparison.json").read_text())
    results = [Result.load(runs / name) for name in ("nn", "pl")]
    for result, of_run in zip(results, compared["runs"], strict=True):
        assert of_run["accuracies"] == pytest.approx(100 * result.accuracies())
    (pair,) = compared["pairs"]
    assert pair["differences"] == pytest.approx(100 * (results[1].accuracies() - results[0].accuracies()))


def test_figures_that_need_the_data_set_are_left_out_without_it(report):
    text = (report[0] / "report.md").read_text()  # no data set has the name of the runs' data
    assert "Left out, " in text
    assert "![" in text


def test_runs_of_one_config_with_different_seeds_are_joined(runs, tmp_path):
    assert call(main, runs / "later", runs / "pl", runs / "nn", "--output", tmp_path).status == 0
    joined, other = json.loads((tmp_path / "comparison.json").read_text())["runs"]
    assert (joined["scenario"], joined["seeds"]) == ("nn", [0, 1, 2, 6, 7, 8])
    accuracies = [100 * share for name in ("nn", "later") for share in Result.load(runs / name).test_accuracy]
    assert joined["accuracies"] == pytest.approx(accuracies)
    assert (other["scenario"], other["seeds"]) == ("pl", [0, 1, 2])
    assert Result.load(tmp_path / "test-nn-blobs-seeds0to8").seeds == joined["seeds"]


def test_a_comparison_among_the_folders_is_left_out(runs, report, tmp_path):
    output, _ = report
    status, _, err = call(main, runs / "nn", runs / "pl", output, "--output", tmp_path)
    assert status == 0
    assert f"{output} is a comparison and is left out." in err
    assert_refused(call(main, output), f"{output} is a comparison: give the folders of its runs.")


def test_parts_that_could_be_joined_in_two_ways_are_refused(runs, tmp_path):
    for name in ("nn", "later"):
        shutil.copytree(runs / name, tmp_path / "again" / name)
    parts = (runs / "nn", runs / "later", tmp_path / "again" / "nn", tmp_path / "again" / "later")
    outcome = call(main, *parts, "--output", tmp_path / "report")
    assert_refused(outcome, "have seeds of one run in common, so it is not clear which parts to join")
    assert not (tmp_path / "report").exists()


def test_joined_runs_that_differ_in_what_their_name_leaves_out_have_a_folder_each(runs, wide, tmp_path):
    parts = (runs / "nn", runs / "later", wide[0], wide[1])
    assert call(main, *parts, "--output", tmp_path / "report").status == 0
    one, other = json.loads((tmp_path / "report" / "comparison.json").read_text())["runs"]
    for of_run, names in ((one, parts[:2]), (other, parts[2:])):
        accuracies = [100 * share for name in names for share in Result.load(name).test_accuracy]
        assert of_run["accuracies"] == pytest.approx(accuracies)


def test_a_joined_run_that_is_compared_is_not_replaced_by_one_of_its_name(runs, wide, tmp_path):
    output = tmp_path / "report"
    assert call(main, runs / "nn", runs / "later", "--output", output).status == 0
    joined = output / "test-nn-blobs-seeds0to8"
    before = Result.load(joined)
    assert call(main, joined, wide[0], wide[1], "--output", output).status == 0
    assert Result.load(joined) == before
    (pair,) = json.loads((output / "comparison.json").read_text())["pairs"]
    others = [share for part in wide for share in Result.load(part).test_accuracy]
    expected = [100 * (other - share) for share, other in zip(before.test_accuracy, others, strict=True)]
    assert pair["differences"] == pytest.approx(expected)


def test_the_result_of_a_run_is_enough_for_a_report(runs, tmp_path):
    status, out, _ = call(main, runs / "pl" / "result.json", "--output", tmp_path / "report")
    assert status == 0
    assert out.endswith("report.html\n")
    assert "Left out, Learning curves:" in (tmp_path / "report" / "report.md").read_text()


def test_the_data_set_must_be_that_of_the_runs(runs, tmp_path, blobs, monkeypatch):
    other = Dataset("blobs", 4, blobs.train_images[::-1], blobs.train_labels, blobs.test_images, blobs.test_labels)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: other)
    monkeypatch.setattr("pljax.compare.is_public", lambda _: True)
    call(main, runs / "nn", "--output", tmp_path)
    assert "The data set is not the one that nn was run on." in (tmp_path / "report.md").read_text()


def test_runs_on_other_data_are_refused(runs, tmp_path):
    result = Result.load(runs / "nn")
    dataclasses.replace(result, dataset={**result.dataset, "digest": "f" * 64}).save(tmp_path / "result.json")
    outcome = call(main, runs / "nn", tmp_path, "--output", tmp_path / "report")
    assert_refused(outcome, "Results of different data cannot be compared")
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("names", "expected"),
    [(["pl", "later"], "no seed in common"), (["nn", "pl/../nn"], "twice"), (["nn", "nowhere"], "nowhere")],
)
def test_runs_that_cannot_be_compared_are_refused(runs, tmp_path, names, expected):
    assert_refused(call(main, *(runs / name for name in names), "--output", tmp_path / "report"), expected)
    assert not (tmp_path / "report").exists()


def test_a_margin_tests_for_equivalence(runs, report, tmp_path):
    status, out, _ = call(main, runs / "nn", runs / "pl", "--margin=60", "--output", tmp_path)
    assert status == 0
    assert "within 60 points" in out
    compared = json.loads((tmp_path / "comparison.json").read_text())
    (pair,) = compared["pairs"]
    (expected,) = compare([Result.load(runs / name) for name in ("nn", "pl")], 60.0).pairs
    assert compared["margin"] == 60
    assert pair["equivalence"] == pytest.approx(expected.equivalence._asdict())
    (pair,) = json.loads((report[0] / "comparison.json").read_text())["pairs"]
    assert pair["equivalence"] is None


@pytest.mark.parametrize("margin", ["0", "-2", "nan", "inf", "two", ""])
def test_a_bad_margin_is_refused_before_anything_is_written(runs, tmp_path, margin):
    output = tmp_path / "report"
    outcome = call(main, runs / "nn", runs / "later", f"--margin={margin}", "--output", output)
    assert_refused(outcome, "margin")
    assert not output.exists()


def test_a_corrupt_result_is_refused(runs, tmp_path):
    (tmp_path / "result.json").write_text("{")
    assert_refused(call(main, runs / "nn", tmp_path), "not JSON")


def test_a_report_that_cannot_be_written_is_one_sentence(runs, tmp_path):
    (tmp_path / "file").touch()
    status, _, err = call(main, runs / "nn", "--output", tmp_path / "file" / "report")
    assert status == 2
    assert "cannot be written" in err.splitlines()[-1]
    assert "Traceback" not in err
