"""``python -m pljax.export``: the file does without pljax what the run's networks do, and says what must be known."""

import contextlib
import io
import json
import os
import subprocess
import sys

import jax.export
import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file
from tiny_runs import CLASSES, NAMES, PIXELS, finished, finished_own, rows

from pljax import export as program
from pljax.protocols.config import from_json
from pljax.results import ensemble
from pljax.results.folder import RunFolder

SEEDS = [3, 0, 7]


def call(*arguments):
    """The command in this process: its exit status, what it printed, what it said."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = program.main([*map(str, arguments)])
        except SystemExit as end:
            status = end.code
    return status, out.getvalue(), err.getvalue()


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A run on a table."""
    return finished_own(tmp_path_factory.mktemp("own") / "run").path


@pytest.fixture(scope="module")
def pixels(blobs, tmp_path_factory):
    """A run on pixels, with other outputs and another dropout."""
    return finished(tmp_path_factory.mktemp("pixels") / "run", blobs, PIXELS, [1, 2]).path


@pytest.fixture(scope="module")
def features(blobs):
    """Rows as they are in a file, by what the run was on."""
    return {"own": rows(7, seed=5)[0], "pixels": blobs.test_images[:7].astype(np.float32)}


ALONE = """
import sys
import jax, jax.export
import numpy as np
program = jax.export.deserialize(bytearray(open(sys.argv[1], "rb").read()))
rows = np.load(sys.argv[2])
np.savez(sys.argv[3], some=program.call(rows), one=program.call(rows[:1]))
print(sorted({"pljax", "flax", "optax"} & {name.partition(".")[0] for name in sys.modules}), *program.platforms)
"""


@pytest.mark.parametrize("kind", ["own", "pixels"])
def test_a_fresh_process_with_jax_alone_gives_the_same_probabilities(request, tmp_path, features, kind):
    run, path = request.getfixturevalue(kind), tmp_path / "model.stablehlo"
    status, out, err = call("--run", run, "--format=stablehlo", "--output", path)
    assert (status, err) == (0, "")
    assert "read back and checked" in out
    np.save(tmp_path / "rows.npy", features[kind])
    command = [sys.executable, "-c", ALONE, path, tmp_path / "rows.npy", tmp_path / "out.npz"]
    ended = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"JAX_PLATFORMS": "cpu"}, capture_output=True, text=True
    )
    assert ended.stdout == "[] cpu cuda tpu\n", ended.stderr
    expected = ensemble.probabilities(ensemble.load(RunFolder(run)), features[kind]).mean(axis=0)
    with np.load(tmp_path / "out.npz") as given:
        np.testing.assert_allclose(given["some"], expected, rtol=0, atol=1e-6)
        np.testing.assert_allclose(given["one"], expected[:1], rtol=0, atol=1e-6)


def test_beside_the_program_lies_what_must_be_known(own):
    assert call("--run", own, "--format=stablehlo")[0] == 0
    assert (own / "model.stablehlo").exists()
    about = json.loads((own / "model.json").read_text())
    assert about["classes"] == list(CLASSES)
    assert about["columns"] == list(NAMES)
    assert about["seeds"] == SEEDS
    assert from_json(about["config"]) == ensemble.load(RunFolder(own)).config


# --------------------------------------------------------------------------------------------- safetensors


def by_hand(path, features):
    """Mean probabilities, from the tensors and the metadata alone."""
    tensors = load_file(path)
    with safe_open(path, "numpy") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
    method = about["config"]["phases"][-1]["method"]
    network = method["network"]
    # Dropout that is not inverted multiplies by the share of the units that are kept, in the end.
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


@pytest.mark.parametrize("kind", ["own", "pixels"])
def test_the_network_can_be_computed_by_hand_from_the_tensors(request, tmp_path, features, kind):
    run, path = request.getfixturevalue(kind), tmp_path / "model.safetensors"
    status, out, err = call("--run", run, "--format=safetensors", "--output", path)
    assert (status, err) == (0, "")
    assert "read back and checked" in out
    expected = ensemble.probabilities(ensemble.load(RunFolder(run)), features[kind]).mean(axis=0)
    np.testing.assert_allclose(by_hand(path, features[kind]), expected, rtol=0, atol=1e-5)


def test_the_tensors_are_the_weights_of_the_run(own):
    assert call("--run", own, "--format=safetensors")[0] == 0
    tensors = load_file(own / "model.safetensors")
    with np.load(own / "parameters.npz") as weights:
        assert set(tensors) == set(weights)
        for name, tensor in tensors.items():
            np.testing.assert_array_equal(tensor, weights[name])
            assert len(tensor) == len(SEEDS)


def test_the_metadata_are_json_and_hold_classes_and_scaling(own):
    call("--run", own, "--format=safetensors")
    with safe_open(own / "model.safetensors", "numpy") as file:
        about = {name: json.loads(value) for name, value in file.metadata().items()}
    scaling = ensemble.load(RunFolder(own)).inputs.scaling
    assert (about["classes"], about["columns"], about["features"]) == (list(CLASSES), list(NAMES), 4)
    for name in ("shift", "scale"):
        np.testing.assert_array_equal(np.array(about["inputs"][name], np.float32), getattr(scaling, name))


# ------------------------------------------------------------------------------------------------- refused


def test_a_file_that_does_something_else_is_found(own, tmp_path):
    of = ensemble.load(RunFolder(own))
    other = of._replace(seeds=of.seeds[:1], params=jax.tree.map(lambda leaf: leaf[:1] + 1, of.params))
    for form, write in (("stablehlo", program.stablehlo), ("safetensors", program.safetensors)):
        (tmp_path / form).write_bytes(write(other))
        program.check(other, tmp_path / form, form)
        with pytest.raises(RuntimeError, match="does not"):
            program.check(of, tmp_path / form, form)


@pytest.mark.parametrize("form", program.FORMATS)
@pytest.mark.parametrize(
    ("output", "says"), [("nowhere/model", "--output"), ("model.json", "--output"), (".", "--output")]
)
def test_an_output_that_cannot_be_is_refused(own, tmp_path, form, output, says):
    status, out, err = call("--run", own, f"--format={form}", "--output", tmp_path / output)
    assert (status, out) == (2, "")
    assert says in err
    assert err.count("\n") == 1


@pytest.mark.parametrize("form", program.FORMATS)
def test_a_run_that_is_not_finished_is_refused(tmp_path, form):
    status, out, err = call("--run", tmp_path, f"--format={form}")
    assert (status, out) == (2, "")
    assert "holds no run: give its folder" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_another_format_is_a_usage_error(own):
    status, _, err = call("--run", own, "--format=onnx")
    assert status == 2
    assert "stablehlo" in err
