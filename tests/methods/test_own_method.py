"""A method that is registered outside the package runs, resumes, compares, predicts and exports like those inside."""

import io
import json
from pathlib import Path

import entropy_minimisation
import jax
import numpy as np
import pytest
from interrupting import StopsAfter

from pljax import Reporter, Result, RunFolder, run
from pljax import compare as compare_command
from pljax import export as export_command
from pljax import predict as predict_command
from pljax.methods import METHODS
from pljax.protocols.config import from_json
from pljax.settings import override, overrides, to_json
from pljax.training.checkpointer import SaveInterval
from pljax.training.progress import Interrupted

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


def test_it_predicts_exports_and_compares(whole, blobs, tmp_path):
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
