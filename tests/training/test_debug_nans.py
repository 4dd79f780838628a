"""JAX's ``debug_nans`` stops a run at a NaN that is a fault, and at none that says that nothing was measured."""

import dataclasses
import io
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import ADAM, autoencoder, config, network, pseudo_label, supervised

from pljax.estimator import PseudoLabelClassifier
from pljax.results.folder import RunFolder
from pljax.training.progress import Reporter
from pljax.training.run import run
from pljax.training.seed_group import as_bits, from_bits

LAYERS = network(8)
SCENARIOS = {
    "nn": (supervised(LAYERS, 2, ADAM),),
    "pl": (pseudo_label(LAYERS, 4, 1, 3, ADAM),),
    "pl_dae": (autoencoder(LAYERS, 1), pseudo_label(LAYERS, 4, 1, 3, assign="once", threshold=0.5)),
}


@pytest.fixture
def debug_nans():
    with jax.debug_nans(True):
        yield


@pytest.mark.parametrize("seeds", [[0], pytest.param([0, 1], marks=pytest.mark.slow)])  # sequential, and at once
@pytest.mark.parametrize(
    "scenario", [pytest.param(name, marks=[pytest.mark.slow] * (name != "pl_dae")) for name in SCENARIOS]
)
def test_a_run_gives_the_same_lines_with_debug_nans(blobs, tmp_path, scenario, seeds):
    lines = []
    for debug in (False, True):
        with jax.debug_nans(debug):
            folder = RunFolder(tmp_path / str(debug))
            # There is no validation image, Adam has no momentum, and alpha(t) is 0 at first: three kinds of NaN.
            run(config(scenario, *SCENARIOS[scenario], validation=0), seeds, blobs, folder, Reporter(io.StringIO()))
        lines.append(folder.load_metrics())
    assert lines[0] == lines[1]
    last = lines[0][-1]
    assert last["validation_accuracy"] is None
    assert last["unlabelled_accuracy"] is not None
    assert math.isfinite(last["labelled_loss"])


@pytest.mark.filterwarnings("ignore::UserWarning")  # so few rows and epochs are warned about
@pytest.mark.parametrize(
    ("scenario", "validation"),
    [
        *(("pl", 0.3), ("pl_dae", 0)),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in [("nn", 0), ("drop_nn", 0.3), ("pl", 0)]),
    ],
)
def test_a_fit_works_with_debug_nans(debug_nans, scenario, validation):
    X = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    truth = (X[:, 0] > 0).astype(int)
    few = np.where(np.arange(60) < 20, truth, -1)
    for y in (truth, few) if scenario == "pl" else (few,):  # with and without unlabelled rows
        model = PseudoLabelClassifier(scenario, hidden=4, epochs=4, validation_fraction=validation, random_state=0)
        assert model.fit(X, y).predict(X).shape == (60,)
        assert np.isnan(model.seed_scores_).all() == (not validation)


def test_a_nan_in_training_is_found(debug_nans, blobs, tmp_path):
    images = blobs.train_images.astype(np.float32)
    images[:, 3] = np.nan
    spoilt = dataclasses.replace(blobs, train_images=images, test_images=blobs.test_images.astype(np.float32))
    with pytest.raises(FloatingPointError, match="nan"):
        run(config("nn", *SCENARIOS["nn"]), [0], spoilt, RunFolder(tmp_path), Reporter(io.StringIO()))


def test_metrics_come_back_from_their_bits():
    values = np.array([0.1, np.nan, np.inf, -0.0, 1e-45], np.float32)
    metrics = {"loss": jnp.asarray(values), "finite": jnp.asarray([True, False])}
    bits = jax.device_get(jax.jit(as_bits)(metrics))
    assert bits["loss"].dtype == np.uint32
    back = from_bits(bits)
    assert back["loss"].dtype == np.float32
    assert back["loss"].tobytes() == values.tobytes()
    assert back["finite"].tolist() == [True, False]
