"""A run that is interrupted and resumed ends with the same bytes as one that is not, wherever it was interrupted."""

import dataclasses
import io
import json
import shutil

import jax
import numpy as np
import pandas as pd
import pytest
from tiny_runs import DROPOUT, MOMENTUM, autoencoder, config, network, pseudo_label, small, supervised

from pljax.data import custom
from pljax.protocols import SCENARIOS, adaptive
from pljax.results.folder import RunFolder
from pljax.settings import everywhere
from pljax.training import checkpoints
from pljax.training.checkpointer import SaveInterval
from pljax.training.progress import Interrupted, Reporter
from pljax.training.run import run
from pljax.types import InputError, ReadOptions

LAYERS = network(16)
CONFIG = config(
    "pl_dae",
    autoencoder(LAYERS),
    pseudo_label(LAYERS, 6, 1, 4, MOMENTUM.replace(learning_rate=3.0), **DROPOUT),
)
SIMPLE = config("pl_dae", autoencoder(LAYERS), supervised(LAYERS, 3))  # quickly compiled
SEEDS = [0, 1, 2]
ROUNDS = 2 + 6
NEVER, ALWAYS = SaveInterval(seconds=1e9), SaveInterval(epochs=1)


class InterruptedAfter(Reporter):
    """Receives a signal in the given round, counted through all phases and groups."""

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
    expected = {"parameters.npz", "autoencoder.npz", "metrics.jsonl", "split.npz", "pseudo_labels.csv"}
    assert expected < {file.name for file in path.iterdir()}
    return bytes_of(path)


@pytest.mark.parametrize("rounds", [1, 2, 5, ROUNDS])  # in a phase, at its end, in the next one, after the last
def test_a_run_that_ends_after_a_signal_is_resumed_to_the_same_bytes(blobs, whole, tmp_path, rounds):
    folder = RunFolder(tmp_path)
    with pytest.raises(Interrupted) as ended:
        run(CONFIG, SEEDS, blobs, folder, InterruptedAfter(rounds), checkpoint_every=NEVER)
    assert ended.value.status == 143
    assert not folder.finished
    run(CONFIG, SEEDS, blobs, folder, quiet(), checkpoint_every=NEVER)
    assert bytes_of(tmp_path) == whole
    assert not (tmp_path / "checkpoints").exists()


class Killed(BaseException):
    """Stands for a process that ends at once: nothing is caught or saved."""


class KilledIn(Reporter):
    """Ends the run in the given round."""

    def __init__(self, rounds):
        super().__init__(io.StringIO())
        self._rounds_left = rounds

    def round(self, done, metrics):
        self._rounds_left -= 1
        if self._rounds_left == 0:
            raise Killed


@pytest.mark.parametrize(
    ("every", "rounds"),
    [(NEVER, 4), (ALWAYS, 1), (ALWAYS, ROUNDS), (SaveInterval(epochs=2), 4), (SaveInterval(epochs=2), 7)],
)
def test_a_run_that_is_killed_between_checkpoints_is_resumed_to_the_same_bytes(blobs, whole, tmp_path, every, rounds):
    with pytest.raises(Killed):
        run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), KilledIn(rounds), checkpoint_every=every)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"half a li')
    run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet(), checkpoint_every=every)
    assert bytes_of(tmp_path) == whole


@pytest.fixture(scope="module")
def killed_run(blobs, tmp_path_factory):
    """A folder with a run that was killed in its sixth round."""
    path = tmp_path_factory.mktemp("killed")
    with pytest.raises(Killed):
        run(CONFIG, SEEDS, blobs, RunFolder(path), KilledIn(6), checkpoint_every=ALWAYS)
    return path


@pytest.fixture
def killed(killed_run, tmp_path):
    """A copy of its own of that folder: a run can be resumed elsewhere than it was begun."""
    return RunFolder(shutil.copytree(killed_run, tmp_path / "copy"))


def newest(path):
    """The files of the newest checkpoint, by size."""
    numbers = [place for place in (path / "checkpoints" / "group0").iterdir() if place.name.isdecimal()]
    place = max(numbers, key=lambda place: int(place.name))
    files = sorted(file for file in place.rglob("*") if file.is_file() and file.stat().st_size)
    return sorted(files, key=lambda file: file.stat().st_size)


# Reads that Orbax began before the first one failed end in threads of its own.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("place", [0.0, 0.4, 0.8, 1.0])  # among the files by size; the largest one has the numbers
def test_after_a_corrupt_checkpoint_the_previous_one_is_used(blobs, whole, killed, place):
    files = newest(killed.path)
    file = files[round(place * (len(files) - 1))]
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x10
    file.write_bytes(content)
    said = io.StringIO()
    run(CONFIG, SEEDS, blobs, killed, Reporter(said), checkpoint_every=NEVER)
    assert bytes_of(killed.path) == whole
    assert place < 1 or "is corrupt" in said.getvalue()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_without_a_sound_checkpoint_a_run_begins_anew(blobs, whole, killed):
    for place in (killed.path / "checkpoints" / "group0").iterdir():
        for file in place.rglob("*"):
            if file.is_file():
                file.write_bytes(b"")
    run(CONFIG, SEEDS, blobs, killed, quiet(), checkpoint_every=NEVER)
    assert bytes_of(killed.path) == whole


def test_metrics_that_were_lost_are_computed_again(blobs, whole, killed):
    (killed.path / "metrics.jsonl").write_text("")
    run(CONFIG, SEEDS, blobs, killed, quiet(), checkpoint_every=NEVER)
    assert bytes_of(killed.path) == whole


# ------------------------------------------------------------------------------------------ what is refused


def test_another_run_is_refused_with_what_differs(blobs, killed):
    options = {"config": CONFIG, "seeds": SEEDS, "dataset": blobs, "folder": killed, "reporter": quiet()}
    narrow = everywhere(CONFIG, "hidden", (8,))
    mirrored = dataclasses.replace(blobs, train_images=blobs.train_images[:, ::-1])
    for change, message in (
        ({"config": narrow}, r"phases.0.method.network.hidden is \[16\] there and \[8\] here"),
        ({"seeds": [0, 1]}, r"seeds is \[0, 1, 2\] there and \[0, 1\] here"),
        ({"dataset": mirrored}, "the rows, features, labels or units are others"),
    ):
        with pytest.raises(InputError, match=rf"holds another run \({message}.*\): choose another --workdir"):
            run(**{**options, **change})
    with pytest.raises(InputError, match=r"is 3 there and 2 here\): continue it with --seeds_at_once=3, choose"):
        run(**options, seeds_at_once=2)


def test_a_file_with_other_units_or_names_is_no_finished_run(tmp_path):
    """Standardised, its rows are those of the run, but not those that the run would predict."""
    few, options = everywhere(SIMPLE, "labels", 4).replace(validation=0, choose_labels="given"), ReadOptions()
    table = pd.DataFrame({"hPa": [1013.0, 980.0, 1001.0, 995.0] * 5, "year": [1.0, 2.0, 3.0, 4.0] * 5})
    table["label"] = ["cat", "dog", "cat", "dog"] + [""] * 16
    changes = {
        "as it is": table,
        "units": table.assign(hPa=100 * table["hPa"]),
        "classes": table.replace({"cat": "sick"}),
        "columns": table.rename(columns={"hPa": "year", "year": "hPa"}),
    }
    for change, changed in changes.items():
        changed.to_csv(tmp_path / "rows.csv", index=False)
        dataset = custom.load(str(tmp_path / "rows.csv"), None, options, list)
        started = [few, [0], dataset, RunFolder(tmp_path / "run"), quiet()]
        if change == "as it is":
            run(*started)
        else:
            with pytest.raises(InputError, match=r"holds another run \((columns is|the rows, features)"):
                run(*started)


def test_another_run_may_be_overwritten(blobs, whole, killed):
    run(everywhere(CONFIG, "learning_rate", 0.1), SEEDS, blobs, killed, quiet(), overwrite=True)
    run(CONFIG, SEEDS, blobs, killed, quiet(), overwrite=True)
    assert bytes_of(killed.path) == whole


def test_a_finished_run_is_not_run_again(blobs, tmp_path):
    first = run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet())
    said = io.StringIO()
    again = run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), Reporter(said))
    assert again == first
    assert "is finished" in said.getvalue()
    assert "epoch" not in said.getvalue()


def test_another_split_than_that_of_the_seeds_is_refused(blobs, killed):
    with np.load(killed.path / "split.npz") as file:
        arrays = dict(file)
    arrays["labelled"][1, 0] += 1
    np.savez(killed.path / "split.npz", **arrays)
    with pytest.raises(InputError, match="is not the split of these seeds"):
        run(CONFIG, SEEDS, blobs, killed, quiet())


def test_two_runs_at_once_in_one_folder_are_refused(blobs, tmp_path):
    folder = RunFolder(tmp_path)
    with folder.locked(), pytest.raises(InputError, match="Another process is running in"):
        run(CONFIG, SEEDS, blobs, RunFolder(tmp_path), quiet())


def test_where_a_checkpoint_cannot_be_written_the_run_ends_and_can_be_resumed(blobs, whole, killed, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(
            checkpoints.ocp.CheckpointManager, "save", lambda *_, **__: _raise(ValueError("No space left\n..."))
        )
        with pytest.raises(InputError, match=r"No checkpoint can be written .*No space left"):
            run(CONFIG, SEEDS, blobs, killed, quiet(), checkpoint_every=ALWAYS)
    run(CONFIG, SEEDS, blobs, killed, quiet(), checkpoint_every=ALWAYS)
    assert bytes_of(killed.path) == whole


def _raise(error):
    raise error


# ------------------------------------------------------------ other layouts and other phases: programs of their own


def test_groups_of_sequential_seeds_are_resumed_to_the_same_bytes(blobs, tmp_path, monkeypatch):
    """Two seeds, then two others, on one device."""
    one_device = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: one_device)
    seeds, grouped, rounds = [4, 0, 1, 2], {"checkpoint_every": NEVER, "seeds_at_once": 2}, 2 + 3
    uninterrupted, resumed = tmp_path / "uninterrupted", tmp_path / "resumed"
    run(SIMPLE, seeds, blobs, RunFolder(uninterrupted), quiet(), **grouped)
    for _ in range(2 * rounds):
        with pytest.raises(Interrupted):
            run(SIMPLE, seeds, blobs, RunFolder(resumed), InterruptedAfter(1), **grouped)
    run(SIMPLE, seeds, blobs, RunFolder(resumed), KilledIn(1), **grouped)  # no round is left
    assert bytes_of(resumed) == bytes_of(uninterrupted)


def test_a_run_is_resumed_on_another_number_of_devices_with_a_warning(blobs, tmp_path, monkeypatch):
    expected = run(SIMPLE, [0, 1], blobs, RunFolder(tmp_path / "whole"), quiet())
    with pytest.raises(Interrupted):
        run(SIMPLE, [0, 1], blobs, RunFolder(tmp_path / "cut"), InterruptedAfter(4), checkpoint_every=NEVER)
    one_device = jax.local_devices()[:1]
    monkeypatch.setattr(jax, "local_devices", lambda: one_device)
    said = io.StringIO()
    result = run(SIMPLE, [0, 1], blobs, RunFolder(tmp_path / "cut"), Reporter(said), checkpoint_every=NEVER)
    assert "another device" in said.getvalue()
    assert result.test_accuracy == pytest.approx(expected.test_accuracy, abs=0.1)


@pytest.mark.parametrize("protocol", [pytest.param("arab2022", marks=pytest.mark.slow), "adaptive"])
def test_a_run_can_be_interrupted_after_every_round(blobs, tmp_path, protocol):
    """Labels given once, a second fine-tuning, shares of the classes, Adam: what CONFIG does not have."""
    short = small(SCENARIOS.get(protocol, adaptive.scenarios(adaptive.DEFAULT_SIZES))["pl_dae"])
    uninterrupted, resumed = tmp_path / "uninterrupted", tmp_path / "resumed"
    run(short, SEEDS, blobs, RunFolder(uninterrupted), quiet(), checkpoint_every=NEVER)
    for _ in range(sum(phase.epochs for phase in short.phases)):
        with pytest.raises(Interrupted):
            run(short, SEEDS, blobs, RunFolder(resumed), InterruptedAfter(1), checkpoint_every=NEVER)
    run(short, SEEDS, blobs, RunFolder(resumed), quiet(), checkpoint_every=NEVER)
    assert bytes_of(resumed) == bytes_of(uninterrupted)
