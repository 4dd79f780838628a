"""A method that is registered outside the package runs, resumes, compares, predicts and exports like those inside."""

import io
import json
from pathlib import Path

import entropy_minimisation
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from interrupting import StopsAfter

from pljax import Adam, Config, LabelledBatches, MixedBatches, Phase, Reporter, Result, RunFolder, run
from pljax import compare as compare_command
from pljax import export as export_command
from pljax import predict as predict_command
from pljax.methods import METHODS, Aux, Method, register
from pljax.nn.losses import supervised_loss
from pljax.protocols.config import from_json
from pljax.settings import override, overrides, to_json
from pljax.training.checkpointer import SaveInterval
from pljax.training.progress import Interrupted
from pljax.types import InputError

CONFIG = entropy_minimisation.config(hidden=(8,), epochs=6, labels=16, validation=20)
SEEDS = (0, 3)


@pytest.fixture(scope="module")
def whole(blobs, tmp_path_factory):
    folder = RunFolder(tmp_path_factory.mktemp("own") / "run")
    run(CONFIG, SEEDS, blobs, folder, Reporter(io.StringIO()))
    return folder


def test_its_code_is_short():
    lines = Path(entropy_minimisation.__file__).read_text().split("@register")[1].splitlines()
    assert len(lines) < 40


def test_its_config_goes_through_json():
    assert from_json(json.loads(json.dumps(to_json(CONFIG)))) == CONFIG
    assert METHODS["EntropyMinimisation"] is entropy_minimisation.EntropyMinimisation


def test_its_setting_is_an_override():
    assert "entropy_weight" in {flag.name for flag in overrides(CONFIG)}
    changed, acted = override(CONFIG, {"entropy_weight": 0.5})
    assert acted == {"entropy_weight"}
    assert changed.method.entropy_weight == 0.5


def test_it_records_its_own_terms(whole):
    lines = whole.load_metrics()
    assert [line["entropy"] is None for line in lines if line["seed"] == 0] == [True, True, False, False, False, False]


def test_it_resumes_to_the_same_bytes(whole, blobs, tmp_path):
    folder = RunFolder(tmp_path / "run")
    with pytest.raises(Interrupted):
        run(CONFIG, SEEDS, blobs, folder, StopsAfter(4), checkpoint_every=SaveInterval(epochs=1))
    run(CONFIG, SEEDS, blobs, folder, Reporter(io.StringIO()), checkpoint_every=SaveInterval(epochs=1))
    for file in ("metrics.jsonl", "parameters.npz", "pseudo_labels.csv", "split.npz"):
        assert (folder.path / file).read_bytes() == (whole.path / file).read_bytes(), file


@register
class Linear(Method):
    """A method whose parameters have no layer ``hidden``. It names its metrics by its class attributes."""

    metric = "loss"

    def init(self, key, data, split, start):
        return {"map": jnp.zeros((data.images.shape[1], data.classes))}, None

    def loss(self, params, extra, batch, weight, key):
        loss = supervised_loss(batch.images @ params["map"], batch.labels, batch.weights, "softmax")
        count = {} if batch.unlabelled is None else {"unlabelled": len(batch.unlabelled)}
        return loss, Aux(extra, {self.metric: loss, **count})

    def logits(self, params, extra, images):
        return images @ params["map"]


@register
class Weighted(Linear):
    """Its weight is below 0 from the second epoch on."""

    def weight(self, epoch):
        return jnp.where(epoch < 1, 0.0, -1.0)


@register
class Misnamed(Linear):
    metric = "alpha"


LABELLED = LabelledBatches(batch_size=8)
MIXED = MixedBatches(batch_size=8, unlabelled_batch_size=16)


def linear(method=Linear, batches=LABELLED):
    phase = Phase(method=method(), epochs=3, batches=batches, optimizer=Adam(learning_rate=0.01))
    return Config(protocol="mine", scenario="linear", phases=(phase,), labels=16, validation=20)


def run_quietly(config, dataset, folder):
    return run(config, SEEDS, dataset, folder, Reporter(io.StringIO()))


def test_unlabelled_images_without_a_weight_are_refused():
    with pytest.raises(InputError, match=r"Linear gives the unlabelled images of MixedBatches no weight.*LabelledBatc"):
        linear(Linear, MIXED)


def test_metrics_are_numbers_of_any_type_and_missing_where_the_weight_is_0(blobs, tmp_path):
    folder = RunFolder(tmp_path / "run")
    run_quietly(linear(Weighted, MIXED), blobs, folder)
    assert [line["unlabelled"] for line in folder.load_metrics() if line["seed"] == 0] == [None, 16, 16]


def test_a_metric_with_a_name_that_is_taken_is_refused(blobs, tmp_path):
    with pytest.raises(InputError, match="Misnamed has a metric alpha"):
        run_quietly(linear(Misnamed), blobs, RunFolder(tmp_path / "run"))


@pytest.mark.parametrize("config", [CONFIG, linear()], ids=["a network", "other parameters"])
def test_it_predicts_exports_and_compares(config, blobs, tmp_path):
    whole = RunFolder(tmp_path / "run")
    run_quietly(config, blobs, whole)
    rows = tmp_path / "rows.npz"
    np.savez(rows, x=blobs.test_images)
    output, program = tmp_path / "predictions.npz", tmp_path / "model.stablehlo"
    assert predict_command.main([f"--run={whole.path}", f"--input={rows}", f"--output={output}"]) == 0
    assert export_command.main([f"--run={whole.path}", "--format=stablehlo", f"--output={program}"]) == 0
    probabilities = np.load(output)["probabilities"]
    exported = jax.export.deserialize(bytearray(program.read_bytes())).call(blobs.test_images.astype(np.float32))
    np.testing.assert_allclose(exported, probabilities, atol=1e-5)
    accuracies = Result.load(whole.path).test_accuracy
    assert len(accuracies) == len(SEEDS)
    assert compare_command.main([str(whole.path), f"--output={tmp_path / 'report'}"]) == 0
