"""The command line: what cannot be used is refused in one sentence, and a whole small run from flags to table."""

import contextlib
import io
import json
import shutil
import signal
import subprocess
import sys
import time
from typing import NamedTuple

import pytest
from absl.testing import flagsaver
from mnist_files import lay_out, needs_mnist

from pljax import compare
from pljax import main as program
from pljax.data.idx import FILES, TRAIN_LABELS, URLS
from pljax.protocols import SCENARIOS
from pljax.protocols.config import from_json
from pljax.report.figures import outputs, style
from pljax.settings import override


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


def call(*arguments):
    """The command line with these arguments, in this process."""
    out, err = io.StringIO(), io.StringIO()
    with flagsaver.flagsaver(), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = program.main(program.parse(["pljax", *map(str, arguments)]))
        except SystemExit as end:
            status = end.code
    return Outcome(status, out.getvalue(), err.getvalue())


# ----------------------------------------------------------------------------------------- what is refused

LARGEST = 15_000  # bytes: more than the metrics of a small run, less than its split
SMALL = ("--dataset=mnist_5k", "--scenario=nn", "--hidden=8", "--epochs=2", "--seeds=2")

REFUSED = {
    "unknown scenario": (["--scenario=banana"], "'banana'"),
    "no scenario": (["--scenario="], "scenario"),
    "unknown protocol": (["--protocol=banana"], "'banana'"),
    "unknown dataset": (["--dataset=banana"], "'banana'"),
    "no seeds": (["--seeds=0"], "--seeds is 0"),
    "negative first seed": (["--first_seed=-1"], "--first_seed is -1"),
    "seeds past the last": (["--first_seed=4294967295", "--seeds=2"], "4294967295"),
    "more seeds than there are": ([f"--seeds={2**32 + 1}", "--first_seed=0"], f"--seeds is {2**32 + 1}"),
    "no seeds at once": (["--seeds_at_once=0"], "--seeds_at_once is 0"),
    "negative rate": (["--learning_rate=-1"], "-1.0"),
    "rate that is no number": (["--learning_rate=nan"], "nan"),
    "alpha falls": (["--t1=200", "--t2=100"], "t1 is 200 and t2 is 100"),
    "flag that does not act": (["--scenario=nn,drop_nn", "--alpha_f=1"], "--alpha_f does not act on nn, drop_nn"),
    "test rows for data that have them": (["--test=rows.csv"], "--test is for own data"),
    "label for data that have them": (["--label=y"], "--label is for own data"),
    "features for data that have them": (["--features=a,b"], "--features is for own data"),
    "size for images that have one": (["--image_size=8"], "--image_size is for own data"),
    "own data that are not there": (["--dataset=nowhere.csv"], "nowhere.csv"),
    "a name longer than a path may be": (["--dataset=" + "9" * 5000], "999"),
    "no width": (["--hidden="], "hidden"),
    "width that is no number": (["--hidden=50,abc"], "'50,abc'"),
    "unknown flag": (["--banana"], "banana"),
    "positional argument": (["pl"], "'pl'"),
    "not a whole number": (["--seeds=abc"], "abc"),
    "not a number": (["--alpha_f=abc"], "abc"),
    "backend that is not here": (["--backend=tpu"], "tpu"),
    "unknown backend": (["--backend=banana"], "'banana'"),
}

REFUSED_WITH_THE_DATA_AT_HAND = {
    "more validation than a fifth": (["--validation=801"], "801"),
    "labels that do not divide": (["--labels=101"], "101"),
    "more labels than images": (["--labels=5000"], "5000"),
    "a file for a workdir": (["--workdir=file"], "cannot be written"),
    "a workdir below a file": (["--workdir=file/below"], "cannot be written"),
}


def assert_refused(outcome, says):
    assert outcome.status == 2
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("pljax: ")
    assert says in line


@pytest.mark.parametrize(("arguments", "says"), REFUSED.values(), ids=REFUSED.keys())
def test_bad_input_is_refused_in_one_line(tmp_path, arguments, says):
    assert_refused(call(f"--workdir={tmp_path / 'runs'}", *arguments), says)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("case", REFUSED_WITH_THE_DATA_AT_HAND)
def test_what_the_data_or_the_disk_cannot_give_is_refused_before_anything_else_is_said(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("mine")
    arguments, says = REFUSED_WITH_THE_DATA_AT_HAND[case]
    assert_refused(call(*SMALL, *arguments), says)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("flag", ["--banana", "--seeds=abc", "--alpha_f=abc", "--overwrite=7", "--scenaro=nn"])
def test_a_wrong_flag_is_told_where_flags_are_listed(flag):
    (line,) = call(flag).err.splitlines()
    assert line.endswith("; --help lists the flags.")


@needs_mnist
def test_a_data_file_cut_in_half_is_refused_in_one_line(tmp_path):
    lay_out(tmp_path)
    whole = (tmp_path / TRAIN_LABELS).read_bytes()
    (tmp_path / TRAIN_LABELS).unlink()
    (tmp_path / TRAIN_LABELS).write_bytes(whole[: len(whole) // 2])
    assert_refused(call("--dataset=mnist", f"--data_dir={tmp_path}"), f"{tmp_path / TRAIN_LABELS} is not the")


@needs_mnist
def test_data_that_are_not_all_there_and_cannot_be_had_are_refused_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(URLS, "mnist", "http://127.0.0.1:9/")  # where nobody answers
    monkeypatch.setenv("NO_PROXY", "*")
    lay_out(tmp_path, FILES[:2])
    outcome = call("--dataset=mnist", f"--data_dir={tmp_path}")
    assert_refused(outcome, FILES[2])
    assert "--dataset=mnist_5k" in outcome.err


# ----------------------------------------------------------------------------------------- a whole small run


class Finished(NamedTuple):
    workdir: object
    outcome: Outcome


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished run that tests look at and leave as it is."""
    workdir = tmp_path_factory.mktemp("runs")
    return Finished(workdir, call(*SMALL, f"--workdir={workdir}"))


@pytest.fixture
def copy(finished, tmp_path):
    """The same run in a place where it may be changed."""
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
    assert "left" not in out
    assert "finetune, seeds 0 to 1  epoch 2/2" in err


def test_a_run_leaves_config_metrics_parameters_and_result(finished):
    folder = only_folder(finished.workdir)
    assert folder.name == "quick-nn-mnist_5k-seeds0to1-hidden=8-epochs=2"
    left = {"config.json", "metrics.jsonl", "parameters.npz", "result.json", "run.json", "split.npz"}
    left.add("pseudo_labels.csv")
    assert {path.name for path in folder.iterdir() if not path.name.startswith(".")} == left
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [(line["epoch"], line["seed"]) for line in lines] == [(0, 0), (0, 1), (1, 0), (1, 1)]


def test_the_result_holds_the_config_that_the_flags_ask_for(finished):
    result = result_of(finished.workdir)
    assert result["seeds"] == [0, 1]
    asked, _ = override(SCENARIOS["quick"]["nn"], {"hidden": (8,), "epochs": 2})
    # No more than a fifth of the 4,000 training images are for validation.
    assert from_json(result["config"]) == asked.replace(validation=800)
    assert result["parameters"] == 784 * 8 + 8 + 8 * 10 + 10


def test_a_finished_run_is_shown_and_not_trained_again(finished, copy):
    before = {path: path.stat().st_mtime_ns for path in only_folder(copy).iterdir()}
    outcome = call(*SMALL, f"--workdir={copy}")
    assert outcome.status == 0
    assert outcome.out == finished.outcome.out
    assert "is finished" in outcome.err
    assert "epoch" not in outcome.err.replace("epochs=2", "")
    assert {path: path.stat().st_mtime_ns for path in only_folder(copy).iterdir()} == before


def test_a_run_again_gives_the_same_result_but_for_its_seconds(finished, copy):
    before = (only_folder(copy) / "result.json").stat().st_mtime_ns
    outcome = call(*SMALL, f"--workdir={copy}", "--overwrite")
    assert outcome.out == finished.outcome.out
    assert (only_folder(copy) / "result.json").stat().st_mtime_ns > before
    first, second = result_of(finished.workdir), result_of(copy)
    assert first.pop("seconds").keys() == second.pop("seconds").keys()
    assert first == second
    for name in ("metrics.jsonl", "config.json"):
        assert (only_folder(copy) / name).read_text() == (only_folder(finished.workdir) / name).read_text()


def test_the_adaptive_protocol_takes_data_of_which_every_label_is_known(tmp_path):
    status, out, err = call(*SMALL, "--protocol=adaptive", "--seeds=1", f"--workdir={tmp_path}")
    assert status == 0, err
    assert result_of(tmp_path)["config"]["labels"] == 100
    assert out.startswith("Test accuracy")


def change_config(result):
    result["config"]["labels"] = 200


def change_data(result):
    result["dataset"]["digest"] = "0" * 64


def change_seeds(result):
    result["seeds"] = [0, 2]


@pytest.mark.parametrize("change", [change_config, change_data, change_seeds])
def test_a_finished_run_of_another_config_other_data_or_other_seeds_is_neither_shown_nor_overwritten(copy, change):
    result = result_of(copy)
    change(result)
    path = only_folder(copy) / "result.json"
    path.write_text(json.dumps(result))
    assert_refused(call(*SMALL, f"--workdir={copy}"), "holds another run (")
    assert json.loads(path.read_text()) == result


def test_a_broken_result_is_refused_in_one_line(copy):
    (only_folder(copy) / "result.json").write_text("{")
    assert_refused(call(*SMALL, f"--workdir={copy}"), "is no result of pljax")


# -------------------------------------------------------------------------------------------- several runs


@pytest.fixture(scope="module")
def plain_figures():
    """Figures of few pixels, without points that are moved in the plane: in much less time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 40)
        patch.setattr(outputs, "tsne", lambda answers: {label: of[:, :2] for label, of in answers.items()})
        yield


@pytest.fixture(scope="module")
def both(tmp_path_factory, plain_figures):
    """Two scenarios in one command."""
    workdir = tmp_path_factory.mktemp("both") / "runs"
    return Finished(workdir, call(*SMALL, "--scenario=nn,drop_nn", f"--workdir={workdir}"))


def test_several_scenarios_end_with_their_comparison_and_the_path_of_a_report(both):
    assert both.outcome.status == 0
    assert "drop_nn - nn" in both.outcome.out
    *_, last = both.outcome.out.splitlines()
    report = both.workdir / "quick-nn+drop_nn-mnist_5k-seeds0to1-hidden=8-epochs=2" / "report.html"
    assert last == f"report: {report}"
    assert report.exists()


@pytest.mark.usefixtures("plain_figures")
def test_the_comparison_of_the_folders_has_the_same_numbers_and_the_same_words(both, tmp_path):
    (automatic,) = both.workdir.glob("*+*")
    runs = [next(both.workdir.glob(f"quick-{name}-*")) for name in ("nn", "drop_nn")]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert compare.main([*map(str, runs), f"--output={tmp_path}"]) == 0
    assert out.getvalue().partition("\nreport:")[0] == both.outcome.out.partition("\nreport:")[0]
    for name in ("comparison.json", "report.md"):
        assert (tmp_path / name).read_text() == (automatic / name).read_text()


def test_a_disk_that_is_full_is_one_sentence_and_the_run_goes_on_when_there_is_room(tmp_path, finished):
    # A limit on the size of a file does to metrics.jsonl what a full disk does.
    size = only_folder(finished.workdir).joinpath("metrics.jsonl").stat().st_size
    command = [sys.executable, "-m", "pljax.main", *SMALL, f"--workdir={tmp_path}", "--checkpoint_every=1epoch"]
    limit = f"import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, ({LARGEST}, {LARGEST}));"
    code = f"{limit} sys.argv = {command[2:]!r}; import runpy; runpy.run_module('pljax.main', run_name='__main__')"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert size < LARGEST
    assert ended.returncode in (1, 2), ended.stderr
    assert ended.stderr.splitlines()[-1].startswith("pljax: ")
    assert "File too large" in ended.stderr.splitlines()[-1]
    assert "Traceback" not in ended.stderr
    outcome = call(*SMALL, f"--workdir={tmp_path}")
    assert outcome.status == 0
    for name in ("parameters.npz", "metrics.jsonl"):
        assert (only_folder(tmp_path) / name).read_bytes() == (only_folder(finished.workdir) / name).read_bytes()


# --------------------------------------------------------------------------------------------- as a process

COMMAND = [sys.executable, "-m", "pljax.main"]


def test_as_a_process_a_wrong_flag_is_one_line_and_status_2(tmp_path):
    ended = subprocess.run([*COMMAND, "--banana"], cwd=tmp_path, capture_output=True, text=True)
    assert_refused(Outcome(ended.returncode, ended.stdout, ended.stderr), "banana")


def test_as_a_process_help_is_no_error(tmp_path):
    ended = subprocess.run([*COMMAND, "--help"], cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "--scenario" in ended.stdout


@pytest.mark.parametrize("again_after", [None, 0.005, 0.2])  # while it saves; when it has saved
def test_as_a_process_an_interrupted_run_says_so_and_is_not_finished(tmp_path, again_after):
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
    assert process.returncode in {130, -signal.SIGINT}  # the latter: it was gone but for its farewell
    assert "pljax: interrupted by SIGINT; the same command goes on from here." in err.splitlines()
    # Python may drop a second signal, with a traceback that says so, where it falls into a garbage collection.
    assert again_after is not None or "Traceback" not in err
    assert not (metrics.parent / "result.json").exists()
