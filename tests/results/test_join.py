"""Runs with different seeds, joined, are the run that had all the seeds."""

import dataclasses
import io
import json

import jax
import numpy as np
import pytest
from tiny_runs import DROPOUT, autoencoder, config, network, pseudo_label, supervised

from pljax.results.folder import EXTRA, METRICS, PARAMETERS, RunFolder
from pljax.results.join import find_parts, join
from pljax.training.progress import Reporter
from pljax.training.run import run
from pljax.types import InputError

LAYERS = network(8)
PL_DAE = config("pl_dae", autoencoder(LAYERS, 1), pseudo_label(LAYERS, 4, 1, 3, assign="once", **DROPOUT))
NN = config("nn", supervised(LAYERS, 2))


@pytest.fixture(scope="module")
def runs(blobs, tmp_path_factory):
    """A run with seeds 0 to 2, its parts, and others, one seed after another: there a seed is the same to the bit."""
    place = tmp_path_factory.mktemp("runs")
    chosen = {"whole": (PL_DAE, [0, 1, 2]), "late": (PL_DAE, [2]), "early": (PL_DAE, [0, 1]), "nn": (NN, [5])}
    for name, (chosen_config, seeds) in chosen.items():
        run(chosen_config, seeds, blobs, RunFolder(place / name), Reporter(io.StringIO()), seeds_at_once=1)
    return {name: RunFolder(place / name) for name in chosen}


def test_the_parts_make_the_whole(runs, tmp_path):
    whole, joined = runs["whole"], RunFolder(tmp_path / "joined")
    result = join([runs["early"], runs["late"]], joined)
    expected = whole.load_result()
    spent = {
        phase: sum(runs[part].load_result().seconds[phase] for part in ("early", "late")) for phase in expected.seconds
    }
    assert result == dataclasses.replace(expected, seconds=result.seconds)
    assert result.seconds == pytest.approx(spent)
    assert joined.load_result() == result
    for file in (PARAMETERS, EXTRA, "autoencoder.npz"):
        jax.tree.map(np.testing.assert_array_equal, joined.load_arrays(file), whole.load_arrays(file))
    lines = whole.load_metrics()
    assert joined.load_metrics() == sorted(lines, key=lambda line: (line["phase"], line["epoch"], line["seed"]))
    assert (joined.path / METRICS).stat().st_size == (whole.path / METRICS).stat().st_size
    assert json.loads((joined.path / "config.json").read_text()) == result.config


def test_parts_of_a_run_are_found_and_put_in_order(runs):
    results = {name: folder.load_result() for name, folder in runs.items()}
    assert find_parts([results[name] for name in ("late", "nn", "early")]) == [[2, 0], [1]]
    assert find_parts([results[name] for name in ("whole", "early")]) == [[0], [1]]  # they have seeds in common
    assert find_parts([]) == []


def test_runs_that_are_no_parts_of_one_are_refused(runs, blobs, tmp_path):
    other = RunFolder(tmp_path / "other")
    changed = dataclasses.replace(blobs, test_labels=np.roll(blobs.test_labels, 1))
    run(PL_DAE, [9], changed, other, Reporter(io.StringIO()))
    for folders, message in (
        ([runs["early"], runs["nn"]], "differ in scenario, phases"),
        ([runs["whole"], runs["late"]], "both have seed 2"),
        ([runs["early"], other], "differ in the data set"),
    ):
        with pytest.raises(InputError, match=message):
            join(folders, RunFolder(tmp_path / "joined"))
        assert not (tmp_path / "joined" / "result.json").exists()
