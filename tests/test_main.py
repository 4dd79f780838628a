"""The main command: what cannot be used is refused in one sentence, and a small run from flags to table."""

import json
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import NamedTuple

import pytest
from commands import Outcome, assert_refused, call, cheap_figures
from mnist_files import lay_out, needs_mnist

from pljax import compare
from pljax import main as main_module
from pljax.data.idx import FILES, URLS
from pljax.main import main
from pljax.protocols import SCENARIOS
from pljax.protocols.config import from_json
from pljax.settings import override
from pljax.types import InputError

COMMAND = [sys.executable, "-m", "pljax.main"]
SMALL = ("--dataset=mnist_5k", "--scenario=nn", "--hidden=8", "--epochs=2", "--seeds=2")
FILE_LIMIT = 15_000  # bytes: more than the metrics of a small run, less than its split

# ----------------------------------------------------------------------------------------- what is refused

REFUSED = {
    "unknown scenario": (["--scenario=banana"], "'banana'"),
    "unknown protocol": (["--protocol=banana"], "'banana'"),
    "unknown dataset": (["--dataset=banana"], "'banana'"),
    "no seeds": (["--seeds=0"], "--seeds is 0"),
    "seeds past the last": (["--first_seed=4294967295", "--seeds=2"], "--first_seed is 4294967295"),
    "no seeds at once": (["--seeds_at_once=0"], "--seeds_at_once is 0"),
    "no interval": (["--checkpoint_every=often"], "'often'"),
    "setting out of its range": (["--learning_rate=nan"], "nan"),
    "alpha falls": (["--t1=200", "--t2=100"], "t1 is 200 and t2 is 100"),
    "setting that does not act": (["--scenario=nn,drop_nn", "--alpha_f=1"], "--alpha_f does not act on nn, drop_nn"),
    "flag of own data": (["--test=rows.csv"], "--test is for own data"),
    "name longer than a path": (["--dataset=" + "9" * 5000], "999"),
    "width that is not a number": (["--hidden=50,abc"], "'50,abc'"),
    "not a whole number": (["--seeds=abc"], "abc"),
    "unknown flag": (["--scenaro=nn"], "'scenaro'"),
    "not a flag": (["pl"], "'pl'"),
    "backend that is not here": (["--backend=tpu"], "tpu"),
    "unknown backend": (["--backend=banana"], "'banana'"),
}


@pytest.mark.parametrize(("arguments", "expected"), REFUSED.values(), ids=REFUSED.keys())
def test_wrong_input_is_refused_in_one_sentence(tmp_path, arguments, expected):
    assert_refused(call(main, f"--workdir={tmp_path / 'runs'}", *arguments), expected)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        ("--validation=801", "801"),  # more than a fifth of the images
        ("--workdir=file", "cannot be written"),
        ("--workdir=file/below", "cannot be written"),
    ],
)
def test_what_the_data_or_the_disk_cannot_give_is_refused(tmp_path, monkeypatch, argument, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    assert_refused(call(main, *SMALL, argument), expected)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@needs_mnist
def test_data_that_cannot_be_downloaded_are_refused(tmp_path, monkeypatch):
    monkeypatch.setitem(URLS, "mnist", "http://127.0.0.1:9/")  # no server answers here
    monkeypatch.setenv("NO_PROXY", "*")
    lay_out(tmp_path, FILES[:2])
    outcome = call(main, "--dataset=mnist", f"--data_dir={tmp_path}")
    assert_refused(outcome, FILES[2])
    assert "--dataset=mnist_5k" in outcome.err


# ----------------------------------------------------------------------------------------- a whole small run


class Finished(NamedTuple):
    workdir: object
    outcome: Outcome


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run that no test changes."""
    workdir = tmp_path_factory.mktemp("runs")
    return Finished(workdir, call(main, *SMALL, f"--workdir={workdir}"))


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the run that a test may change."""
    shutil.copytree(finished.workdir, tmp_path / "runs")
    return tmp_path / "runs"


def only_folder(workdir):
    (folder,) = workdir.iterdir()
    return folder


def result_of(workdir):
    return json.loads((only_folder(workdir) / "result.json").read_text())


def test_a_run_ends_with_a_table_on_standard_output(finished):
    status, out, err = finished.outcome
    assert status == 0
    assert out.startswith("Test accuracy, %, on the 1,000 test images of mnist_5k")
    assert any(line.startswith("nn ") for line in out.splitlines())
    assert "finetune, seeds 0 to 1  epoch 2/2" in err


def test_a_run_leaves_config_metrics_parameters_and_result(finished):
    folder = only_folder(finished.workdir)
    assert folder.name == "quick-nn-mnist_5k-seeds0to1-hidden=8-epochs=2"
    left = {"config.json", "metrics.jsonl", "parameters.npz", "result.json", "run.json", "split.npz"}
    left |= {"pseudo_labels.csv", "pseudo_labels.npz"}
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == left
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["seed"]) for line in lines] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_result_holds_the_config_that_the_flags_ask_for(finished):
    result = result_of(finished.workdir)
    assert result["seeds"] == [0, 1]
    expected, _ = override(SCENARIOS["quick"]["nn"], {"hidden": (8,), "epochs": 2})
    # No more than a fifth of the 4,000 training images are for validation.
    assert from_json(result["config"]) == expected.replace(validation=800)
    assert result["parameters"] == 784 * 8 + 8 + 8 * 10 + 10


def test_a_finished_run_is_shown_and_not_trained_again(finished, copy):
    before = {path: path.stat().st_mtime_ns for path in only_folder(copy).iterdir()}
    outcome = call(main, *SMALL, f"--workdir={copy}")
    assert outcome.status == 0
    assert outcome.out == finished.outcome.out
    assert "is finished" in outcome.err
    assert "epoch" not in outcome.err.replace("epochs=2", "")
    assert {path: path.stat().st_mtime_ns for path in only_folder(copy).iterdir()} == before


def test_a_run_again_gives_the_same_result_but_for_its_seconds(finished, copy):
    before = (only_folder(copy) / "result.json").stat().st_mtime_ns
    outcome = call(main, *SMALL, f"--workdir={copy}", "--overwrite")
    assert outcome.out == finished.outcome.out
    assert (only_folder(copy) / "result.json").stat().st_mtime_ns > before
    first, second = result_of(finished.workdir), result_of(copy)
    assert first.pop("seconds").keys() == second.pop("seconds").keys()
    assert first == second
    for name in ("metrics.jsonl", "config.json"):
        assert (only_folder(copy) / name).read_text() == (only_folder(finished.workdir) / name).read_text()


def test_a_run_that_is_not_possible_overwrites_nothing(copy, monkeypatch):
    def refuse(*_):
        raise InputError("2 seeds need more memory than is free.")

    before = (only_folder(copy) / "result.json").read_bytes()
    monkeypatch.setattr(main_module.memory, "require_memory", refuse)
    assert_refused(call(main, *SMALL, f"--workdir={copy}", "--overwrite"), "more memory than is free")
    assert (only_folder(copy) / "result.json").read_bytes() == before


def test_the_finished_run_of_other_data_is_neither_shown_nor_overwritten(copy):
    result = result_of(copy)
    result["dataset"]["digest"] = "0" * 64
    path = only_folder(copy) / "result.json"
    path.write_text(json.dumps(result))
    assert_refused(call(main, *SMALL, f"--workdir={copy}"), "holds another run (")
    assert json.loads(path.read_text()) == result


def test_a_corrupt_result_is_refused(copy):
    (only_folder(copy) / "result.json").write_text("{")
    assert_refused(call(main, *SMALL, f"--workdir={copy}"), "is no result of pljax")


# -------------------------------------------------------------------------------------------- several runs


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    """Two scenarios in one command."""
    workdir = tmp_path_factory.mktemp("both") / "runs"
    with cheap_figures():
        return Finished(workdir, call(main, *SMALL, "--scenario=nn,drop_nn", f"--workdir={workdir}"))


def test_several_scenarios_end_with_their_comparison_and_the_path_of_a_report(both):
    assert both.outcome.status == 0
    assert "drop_nn - nn" in both.outcome.out
    *_, last = both.outcome.out.splitlines()
    report = both.workdir / "quick-nn+drop_nn-mnist_5k-seeds0to1-hidden=8-epochs=2" / "report.html"
    assert last == f"report: {report}"
    assert report.exists()


def test_the_compare_command_gives_the_same_numbers_and_text(both, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (automatic,) = both.workdir.glob("*+*")
    runs = [next(both.workdir.glob(f"quick-{name}-*")) for name in ("nn", "drop_nn")]
    with cheap_figures():
        status, out, _ = call(compare.main, *runs)
    assert status == 0
    assert out.partition("\nreport:")[0] == both.outcome.out.partition("\nreport:")[0]
    for name in ("comparison.json", "report.md"):
        assert (tmp_path / "comparison" / name).read_text() == (automatic / name).read_text()


# ------------------------------------------------------------------------------------------------ processes


def test_a_full_disk_is_one_sentence_and_the_run_resumes_when_there_is_room(tmp_path, finished):
    # A limit on the size of a file has the same effect on metrics.jsonl as a full disk.
    arguments = [*SMALL, f"--workdir={tmp_path}", "--checkpoint_every=1epoch"]
    limit = f"import resource; resource.setrlimit(resource.RLIMIT_FSIZE, ({FILE_LIMIT}, {FILE_LIMIT}))"
    code = f"{limit}; import sys; sys.argv[1:] = {arguments!r}; from pljax.main import cli; cli()"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.returncode in (1, 2), ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("pljax: ")
    assert "File too large" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    assert call(main, *SMALL, f"--workdir={tmp_path}").status == 0
    for name in ("parameters.npz", "metrics.jsonl"):
        assert (only_folder(tmp_path) / name).read_bytes() == (only_folder(finished.workdir) / name).read_bytes()


def test_what_resumes_a_run_does_not_begin_it_again(monkeypatch):
    for overwrite, sentence in (
        (False, "run the same command again to resume"),
        (True, "run the same command again without --overwrite to resume"),
    ):
        monkeypatch.setattr(main_module, "FLAGS", SimpleNamespace(overwrite=overwrite))
        assert main_module.how_to_resume() == sentence


@pytest.mark.parametrize(
    "again_after", [None, pytest.param(0.005, marks=pytest.mark.slow), pytest.param(0.2, marks=pytest.mark.slow)]
)  # a second signal while the run is saved, and after that
def test_an_interrupted_run_says_so_and_is_not_finished(tmp_path, again_after):
    arguments = ["--dataset=mnist_5k", "--scenario=nn", "--hidden=8", "--epochs=1000000", "--seeds=1"]
    metrics = tmp_path / "runs" / "quick-nn-mnist_5k-seed0-hidden=8-epochs=1000000" / "metrics.jsonl"
    with subprocess.Popen([*COMMAND, *arguments], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        try:
            deadline = time.monotonic() + 120
            while not metrics.exists() and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.05)
            process.send_signal(signal.SIGINT)
            if again_after is not None:
                time.sleep(again_after)
                process.send_signal(signal.SIGINT)
            _, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode in {130, -signal.SIGINT}  # the latter if Python was already shutting down
    assert "pljax: interrupted by SIGINT; run the same command again to resume." in err.splitlines()
    # Python may drop a second signal that falls into a garbage collection, and prints a traceback then.
    assert again_after is not None or "Traceback" not in err
    assert not (metrics.parent / "result.json").exists()
