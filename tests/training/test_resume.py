"""A run that is cut off ends with the same bytes as one that is not, wherever it was cut."""

import dataclasses
import io
import json
import shutil

import jax
import numpy as np
import pytest
from tiny_runs import ADAM, DROPOUT, MOMENTUM, autoencoder, config, network, pseudo_label, small

from pljax.protocols import SCENARIOS, adaptive
from pljax.results.folder import RunFolder
from pljax.settings import everywhere
from pljax.training import checkpoints
from pljax.training.checkpointer import SaveInterval
from pljax.training.progress import Interrupted, Reporter
from pljax.training.run import run
from pljax.types import InputError

LAYERS = network(16)
ANEW = pseudo_label(LAYERS, 5, 1, 4, MOMENTUM.replace(learning_rate=3.0), **DROPOUT)
ONCE = pseudo_label(LAYERS, 3, 1, 2, ADAM, assign="once")
CONFIG = config("pl_dae", autoencoder(LAYERS), ANEW, ONCE)
SEEDS = [0, 1, 2]
ROUNDS = 2 + 5 + 3
NEVER, ALWAYS = SaveInterval(seconds=1e9), SaveInterval(epochs=1)


class Impatient(Reporter):
    """Hears a signal in the given round, counted through all phases and groups."""

    def __init__(self, rounds, signal_number=15):
        super().__init__(io.StringIO())
        self._rounds_left, self._signal = rounds, signal_number

    def round(self, done, metrics):
        super().round(done, metrics)
        self._rounds_left -= 1
        if self._rounds_left == 0:
            self.signal_received = self._signal


def quiet():
    return Reporter(io.StringIO())


def bytes_of(path):
    """What a run leaves, times aside."""
    result = json.loads((path / "result.json").read_text())
    files = (file for file in path.iterdir() if file.is_file() and file.name != "result.json")
    return {**{file.name: file.read_bytes() for file in files}, "result": {**result, "seconds": None}}


@pytest.fixture(scope="module")
def whole(blobs, tmp_path_factory):
    path = tmp_path_factory.mktemp("whole")
    run(CONFIG, SEEDS, blobs, RunFolder(path), quiet(), checkpoint_every=NEVER)
    expected = {"parameters.npz", "extra.npz", "autoencoder.npz", "metrics.jsonl", "split.npz", "pseudo_labels.csv"}
    assert expected < {file.name for file in path.iterdir()}
    return bytes_of(path)


@pytest.mark.parametrize("rounds", range(1, ROUNDS + 1))
def test_a_run_that_ends_after_a_signal_goes_on_to_the_same_bytes(blobs, whole, tmp_path, rounds):
    folder = RunFolder(tmp_path)
    with pytest.raises(Interrupted) as ended:
        run(CONFIG, SEEDS, blobs, folder, Impatient(rounds), checkpoint_every=NEVER)
    assert ended.value.status == 143
    assert not folder.finished
    run(CONFIG, SEEDS, blobs, folder, quiet(), checkpoint_every=NEVER)
    assert bytes_of(tmp_path) == whole
    assert not (tmp_path / "checkpoints").exists()


@pytest.mark.parametrize("rounds", [1, 7, 12, 15, 20, 25])
def test_groups_of_seeds_go_on_one_after_the_other(blobs, whole, tmp_path, rounds):
    folder = RunFolder(tmp_path)
    with pytest.raises(Interrupted):
        run(CONFIG, SEEDS, blobs, folder, Impatient(rounds), checkpoint_every=NEVER, seeds_at_once=1)
    run(CONFIG, SEEDS, blobs, folder, quiet(), checkpoint_every=NEVER, seeds_at_once=1)
    again, sequential = tmp_path / "again", tmp_path
    run(CONFIG, SEEDS, blobs, RunFolder(again), quiet(), checkpoint_every=NEVER, seeds_at_once=1)
    assert bytes_of(sequential) == bytes_of(again)


def test_on_one_device_where_seeds_are_apart_it_is_the_same(blobs, tmp_path, monkeypatch):
    one_device = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: one_device)
    in_peace, cut_off, alone = (tmp_path / name for name in ("in_peace", "cut_off", "alone"))
    run(CONFIG, SEEDS, blobs, RunFolder(in_peace), quiet(), checkpoint_every=NEVER)
    for _ in range(ROUNDS):
        with pytest.raises(Interrupted):
            run(CONFIG, SEEDS, blobs, RunFolder(cut_off), Impatient(1), checkpoint_every=NEVER)
    run(CONFIG, SEEDS, blobs, RunFolder(cut_off), quiet(), checkpoint_every=NEVER)
    assert bytes_of(cut_off) == bytes_of(in_peace)
    # There a seed is the same to the bit, however many stand beside it.
    run(CONFIG, SEEDS[1:2], blobs, RunFolder(alone), quiet(), checkpoint_every=NEVER)
    of_all, of_one = (RunFolder(path).load_parameters() for path in (in_peace, alone))
    jax.tree.map(lambda leaf, its: np.testing.assert_array_equal(leaf[1:2], its), of_all, of_one)


def test_a_run_goes_on_where_its_seeds_are_laid_out_otherwise(blobs, whole, tmp_path, monkeypatch):
    with pytest.raises(Interrupted):
        run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), Impatient(4), checkpoint_every=NEVER)
    one_device = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: one_device)
    said = io.StringIO()
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), Reporter(said), checkpoint_every=NEVER)
    assert "another device" in said.getvalue()
    expected = json.loads(json.dumps(whole["result"]["test_accuracy"]))
    assert json.loads((tmp_path / "result.json").read_text())["test_accuracy"] == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize("protocol", ["quick", "arab2022", "adaptive"])
@pytest.mark.parametrize("scenario", ["nn", "drop_nn", "pl", "pl_dae"])
def test_a_run_of_any_scenario_can_be_cut_off_after_every_round(blobs, tmp_path, protocol, scenario):
    short = small(SCENARIOS.get(protocol, adaptive.scenarios(adaptive.USUAL))[scenario])
    in_peace, cut_off = tmp_path / "in_peace", tmp_path / "cut_off"
    run(short, SEEDS, blobs, RunFolder(in_peace), quiet(), checkpoint_every=NEVER)
    for _ in range(sum(phase.epochs for phase in short.phases)):
        with pytest.raises(Interrupted):
            run(short, SEEDS, blobs, RunFolder(cut_off), Impatient(1), checkpoint_every=NEVER)
    run(short, SEEDS, blobs, RunFolder(cut_off), quiet(), checkpoint_every=NEVER)
    assert bytes_of(cut_off) == bytes_of(in_peace)


class Killed(BaseException):
    """Stands for a process that is gone: nothing is caught, nothing is tidied."""


class Mortal(Reporter):
    """Dies in the given round."""

    def __init__(self, rounds):
        super().__init__(io.StringIO())
        self._rounds_left = rounds

    def round(self, done, metrics):
        self._rounds_left -= 1
        if self._rounds_left == 0:
            raise Killed


@pytest.mark.parametrize("every", [NEVER, SaveInterval(epochs=2), ALWAYS])
@pytest.mark.parametrize("rounds", [1, 4, 7, ROUNDS])
def test_a_run_that_is_killed_between_checkpoints_goes_on_to_the_same_bytes(blobs, whole, tmp_path, every, rounds):
    with pytest.raises(Killed):
        run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), Mortal(rounds), checkpoint_every=every)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"half a li')
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet(), checkpoint_every=every)
    assert bytes_of(tmp_path) == whole


def cut_off(path, dataset, rounds=6, every=ALWAYS, **options):
    """A folder with a run that was killed."""
    with pytest.raises(Killed):
        run(CONFIG, SEEDS, dataset, RunFolder(path), Mortal(rounds), checkpoint_every=every, **options)
    return RunFolder(path)


def newest(path):
    """The files of the newest checkpoint."""
    numbers = [place for place in (path / "checkpoints" / "group0").iterdir() if place.name.isdecimal()]
    place = max(numbers, key=lambda place: int(place.name))
    return sorted(file for file in place.rglob("*") if file.is_file() and file.stat().st_size)


def test_two_checkpoints_are_kept(blobs, tmp_path):
    cut_off(tmp_path, blobs)
    assert len([place for place in (tmp_path / "checkpoints" / "group0").iterdir() if place.name.isdecimal()]) == 2


# Reads that Orbax began before the first one failed end in threads of its own.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("place", range(8))
def test_a_rotten_checkpoint_is_told_and_the_one_before_is_used(blobs, whole, tmp_path, place):
    cut_off(tmp_path, blobs)
    files = newest(tmp_path)
    file = files[place * len(files) // 8]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)
    said = io.StringIO()
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), Reporter(said), checkpoint_every=NEVER)
    assert bytes_of(tmp_path) == whole


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_checkpoint_whose_numbers_changed_is_told(blobs, tmp_path):
    cut_off(tmp_path, blobs)
    largest = max(newest(tmp_path), key=lambda file: file.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[len(content) // 2] ^= 0x10
    largest.write_bytes(content)
    said = io.StringIO()
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), Reporter(said), checkpoint_every=NEVER)
    assert "is not sound" in said.getvalue()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_a_sound_checkpoint_a_run_begins_anew(blobs, whole, tmp_path):
    cut_off(tmp_path, blobs)
    for place in (tmp_path / "checkpoints" / "group0").iterdir():
        for file in place.rglob("*"):
            if file.is_file():
                file.write_bytes(b"")
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet(), checkpoint_every=NEVER)
    assert bytes_of(tmp_path) == whole


def test_metrics_that_were_lost_are_made_again(blobs, whole, tmp_path):
    cut_off(tmp_path, blobs)
    (tmp_path / "metrics.jsonl").write_text("")
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet(), checkpoint_every=NEVER)
    assert bytes_of(tmp_path) == whole


# ------------------------------------------------------------------------------------------ what is refused


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (
            {"config": everywhere(CONFIG, "hidden", (8,))},
            r"phases.0.method.network.hidden is \[16\] there and \[8\] here",
        ),
        ({"seeds": [0, 1]}, r"seeds is \[0, 1, 2\] there and \[0, 1\] here"),
        ({"seeds_at_once": 2}, "seeds_at_once is 3 there and 2 here"),
    ],
)
def test_another_run_is_refused_with_what_differs(blobs, tmp_path, change, says):
    cut_off(tmp_path, blobs)
    options = {"config": CONFIG, "seeds": SEEDS, "dataset": blobs, "folder": RunFolder(tmp_path), **change}
    with pytest.raises(InputError, match=rf"holds another run \({says}.*\): choose another --workdir"):
        run(**options, reporter=quiet())


def test_other_data_are_refused(blobs, tmp_path):
    cut_off(tmp_path, blobs)
    other = dataclasses.replace(blobs, train_images=blobs.train_images[:, ::-1])
    with pytest.raises(InputError, match="holds another run \\(dataset is "):
        run(CONFIG, SEEDS, other, RunFolder(tmp_path), quiet())


def test_another_run_may_be_begun_anew(blobs, whole, tmp_path):
    cut_off(tmp_path, blobs)
    other = everywhere(CONFIG, "hidden", (8,))
    run(other, SEEDS, blobs, RunFolder(tmp_path), quiet(), overwrite=True)
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet(), overwrite=True)
    assert bytes_of(tmp_path) == whole


def test_a_finished_run_is_not_run_again(blobs, tmp_path):
    first = run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet())
    said = io.StringIO()
    again = run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), Reporter(said))
    assert again == first
    assert "is finished" in said.getvalue()
    assert "epoch" not in said.getvalue()


def test_a_split_that_is_another_is_refused(blobs, tmp_path):
    folder = cut_off(tmp_path, blobs)
    with np.load(tmp_path / "split.npz") as file:
        arrays = dict(file)
    arrays["labelled"][1, 0] += 1
    np.savez(tmp_path / "split.npz", **arrays)
    with pytest.raises(InputError, match="is not the split of these seeds"):
        run(CONFIG, SEEDS, blobs, folder, quiet())


def test_a_run_of_another_device_is_gone_on_with_and_warned_of(blobs, tmp_path):
    cut_off(tmp_path, blobs)
    about = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps({**about, "device": {"platform": "abacus"}}))
    said = io.StringIO()
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), Reporter(said))
    assert "begun with another device" in said.getvalue()


def test_two_runs_at_once_in_one_folder_are_refused(blobs, tmp_path):
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(InputError, match="Another process is running in"):
        run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet())


def test_a_checkpoint_that_cannot_be_written_is_one_sentence_and_costs_nothing(blobs, whole, tmp_path, monkeypatch):
    folder = cut_off(tmp_path, blobs)
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoints.ocp.CheckpointManager, "save", lambda *_, **__: _raise(ValueError("No space left\n..."))
        )
        with pytest.raises(InputError, match=r"No checkpoint can be written .*No space left"):
            run(CONFIG, SEEDS, blobs, folder, quiet(), checkpoint_every=ALWAYS)
    run(CONFIG, SEEDS, blobs, folder, quiet(), checkpoint_every=ALWAYS)
    assert bytes_of(tmp_path) == whole


def _raise(error):
    raise error


def test_a_copy_of_a_folder_goes_on_elsewhere(blobs, whole, tmp_path):
    cut_off(tmp_path / "here", blobs)
    shutil.copytree(tmp_path / "here", tmp_path / "there")
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path / "there"), quiet())
    assert bytes_of(tmp_path / "there") == whole
