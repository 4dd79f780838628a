"""The export command: files that give without pljax what the run's networks give, with the metadata to use them."""

import json
import os
import shutil
import subprocess
import sys

import jax.export
import numpy as np
import pytest
from commands import ON_PIXELS, ON_TABLE, SEEDS, assert_refused, call, untrained
from safetensors import safe_open
from safetensors.numpy import load_file, save
from tiny_runs import CLASSES, NAMES, rows, write_table

from pljax import export
from pljax.data import custom
from pljax.export import main
from pljax.protocols.config import from_json
from pljax.results import ensemble
from pljax.results.folder import RunFolder
from pljax.types import ReadOptions

KINDS = ("own", "pixels")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A finished run on a table."""
    place = tmp_path_factory.mktemp("own")
    dataset = custom.load(str(write_table(place / "rows.csv")), None, ReadOptions())
    return untrained(place / "run", dataset, ON_TABLE, SEEDS)


@pytest.fixture(scope="module")
def pixels(blobs, tmp_path_factory):
    """A finished run on pixels, with other outputs and another kind of dropout."""
    return untrained(tmp_path_factory.mktemp("pixels"), blobs, ON_PIXELS, [1, 2])


@pytest.fixture(scope="module")
def expected(own, pixels, blobs):
    """Features as they are in a file, and the mean probabilities of a run for them, by kind of run."""
    features = {"own": rows(7, seed=5)[0], "pixels": blobs.test_images[:7].astype(np.float32)}
    return {
        kind: (features[kind], ensemble.probabilities(ensemble.load(RunFolder(run)), features[kind]).mean(axis=0))
        for kind, run in (("own", own), ("pixels", pixels))
    }


WITH_JAX_ALONE = """
import sys
import jax, jax.export
import numpy as np
for kind in ("own", "pixels"):
    program = jax.export.deserialize(bytearray(open(kind + ".stablehlo", "rb").read()))
    rows = np.load(kind + ".npy")
    np.savez(kind + ".npz", some=program.call(rows), one=program.call(rows[:1]))
print(sorted({"pljax", "flax", "optax"} & {name.partition(".")[0] for name in sys.modules}), *program.platforms)
"""


def test_a_process_with_jax_alone_gives_the_same_probabilities(own, pixels, expected, tmp_path):
    for kind, run in (("own", own), ("pixels", pixels)):
        path = tmp_path / f"{kind}.stablehlo"
        status, out, err = call(main, "--run", run, "--format=stablehlo", "--output", path)
        assert (status, err) == (0, "")
        assert out == f"{path}: {path.stat().st_size:,} bytes, checked\n"
        np.save(tmp_path / f"{kind}.npy", expected[kind][0])
    command, environment = [sys.executable, "-c", WITH_JAX_ALONE], os.environ | {"JAX_PLATFORMS": "cpu"}
    ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert ended.stdout == "[] cpu cuda tpu\n", ended.stderr
    for kind in KINDS:
        _, probabilities = expected[kind]
        with np.load(tmp_path / f"{kind}.npz") as given:
            np.testing.assert_allclose(given["some"], probabilities, rtol=0, atol=1e-6)
            np.testing.assert_allclose(given["one"], probabilities[:1], rtol=0, atol=1e-6)


def test_metadata_are_beside_the_program(own):
    assert call(main, "--run", own, "--format=stablehlo").status == 0
    assert (own / "model.stablehlo").exists()
    about = json.loads((own / "model.stablehlo.json").read_text())
    assert about["classes"] == list(CLASSES)
    assert about["columns"] == list(NAMES)
    assert about["seeds"] == SEEDS
    assert from_json(about["config"]) == ensemble.load(RunFolder(own)).config


def by_hand(path, features):
    """Compute the mean probabilities from the tensors and the metadata alone."""
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
    method = about["config"]["phases"][-1]["method"]
    network = method["network"]
    # If dropout was not inverted in training, inference multiplies by the share of the units that were kept.
    visible, hidden = (
        1.0 if network["inverted_dropout"] else 1 - method[f"{units}_dropout"] for units in ("visible", "hidden")
    )
    inputs = (features.astype(np.float64) - about["inputs"]["shift"]) / about["inputs"]["scale"] * visible
    probabilities = []
    for seed in range(len(about["seeds"])):
        x = inputs
        for layer in ("hidden", *(f"hidden_{number}" for number in range(1, len(network["hidden"])))):
            x = np.maximum(x @ tensors[f"{layer}/kernel"][seed] + tensors[f"{layer}/bias"][seed], 0) * hidden
        logits = x @ tensors["output/kernel"][seed] + tensors["output/bias"][seed]
        outputs = np.exp(logits) if network["output"] == "softmax" else 1 / (1 + np.exp(-logits))
        probabilities.append(outputs / outputs.sum(axis=1, keepdims=True))
    return np.mean(probabilities, axis=0)


@pytest.mark.parametrize("kind", KINDS)
def test_the_network_can_be_computed_by_hand_from_the_tensors(request, tmp_path, expected, kind):
    path = tmp_path / "model.safetensors"
    status, _, err = call(main, "--run", request.getfixturevalue(kind), "--format=safetensors", "--output", path)
    assert (status, err) == (0, "")
    features, probabilities = expected[kind]
    np.testing.assert_allclose(by_hand(path, features), probabilities, rtol=0, atol=1e-5)


def test_the_tensors_are_the_weights_of_the_run(own):
    assert call(main, "--run", own, "--format=safetensors").status == 0
    tensors = load_file(own / "model.safetensors")
    with np.load(own / "parameters.npz") as weights:
        assert set(tensors) == set(weights)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, weights[name])
            assert len(tensor) == len(SEEDS)


def test_the_content_of_a_file_of_another_run_fails_the_check(own):
    model = ensemble.load(RunFolder(own))
    other = model._replace(seeds=model.seeds[:1], params=jax.tree.map(lambda leaf: leaf[:1] + 1, model.params))
    for form, content in (("stablehlo", export.stablehlo(other)), ("safetensors", export.safetensors(other))):
        with pytest.raises(RuntimeError, match="does not"):
            export.check(model, content, form)


@pytest.mark.parametrize(("form", "output"), [("stablehlo", "nowhere/model"), ("safetensors", ".")])
def test_an_output_that_cannot_be_written_is_refused(own, tmp_path, form, output):
    assert_refused(call(main, "--run", own, f"--format={form}", "--output", tmp_path / output), "--output")


def test_a_file_of_the_run_is_not_written_over_by_the_program_nor_its_metadata(own):
    before = (own / "result.json").read_bytes()
    for form, output in (("stablehlo", "result"), ("safetensors", "parameters.npz")):
        refused = call(main, "--run", own, f"--format={form}", "--output", own / output)
        assert_refused(refused, "is a file of the run itself")
    assert call(main, "--run", own, "--format=safetensors", "--output", own / "result").status == 0  # has no metadata
    assert (own / "result.json").read_bytes() == before


def test_what_fails_the_check_replaces_no_file(own, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "safetensors", lambda model: save({"hidden/kernel": np.zeros(1, np.float32)}))
    (tmp_path / "model").write_text("earlier")
    with pytest.raises(RuntimeError, match="does not hold the weights"):
        main(["--run", str(own), "--format=safetensors", "--output", str(tmp_path / "model")])
    assert [path.read_text() for path in tmp_path.iterdir()] == ["earlier"]


def test_a_run_that_starts_again_leaves_no_exported_file_of_its_former_networks(own, tmp_path):
    shutil.copytree(own, tmp_path / "run")
    for form in ("stablehlo", "safetensors"):
        assert call(main, "--run", tmp_path / "run", f"--format={form}").status == 0
    assert list((tmp_path / "run").glob("model.*"))
    RunFolder(tmp_path / "run").reset()
    assert list((tmp_path / "run").glob("model.*")) == []


def test_a_folder_without_a_run_is_refused(tmp_path):
    assert_refused(call(main, "--run", tmp_path, "--format=stablehlo"), "holds no run")
    assert list(tmp_path.iterdir()) == []
