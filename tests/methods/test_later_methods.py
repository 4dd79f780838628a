"""Ladder, virtual adversarial training and mean teacher as whole runs: they resume, compare, predict and export."""

import functools
import io

import jax
import numpy as np
import pytest
from interrupting import StopsAfter
from tiny_runs import small

from pljax import PseudoLabelClassifier, Reporter, Result, RunFolder, run
from pljax import compare as compare_command
from pljax import export as export_command
from pljax import predict as predict_command
from pljax.protocols import SCENARIOS
from pljax.training.checkpointer import SaveInterval
from pljax.training.progress import Interrupted

NAMES = ("mean_teacher", "vat", "ladder", "ladder_pl")
SEEDS = (0, 3)
every_scenario = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name != "ladder_pl")) for name in NAMES]
)


@pytest.fixture(scope="module")
def finished(blobs, tmp_path_factory):
    """The folder of a finished run of a scenario, which no test changes."""

    @functools.cache
    def folder_of(name):
        folder = RunFolder(tmp_path_factory.mktemp("later") / name)
        run(small(SCENARIOS["quick"][name]), SEEDS, blobs, folder, Reporter(io.StringIO()))
        return folder.path

    return folder_of


@every_scenario
def test_a_run_resumes_to_the_same_bytes(name, finished, blobs, tmp_path):
    """Running statistics and teachers are part of the state."""
    folder, config = RunFolder(tmp_path / "run"), small(SCENARIOS["quick"][name])
    with pytest.raises(Interrupted):
        run(config, SEEDS, blobs, folder, StopsAfter(2), checkpoint_every=SaveInterval(epochs=1))
    run(config, SEEDS, blobs, folder, Reporter(io.StringIO()), checkpoint_every=SaveInterval(epochs=1))
    for file in ("metrics.jsonl", "parameters.npz", "extra.npz", "pseudo_labels.csv", "split.npz"):
        assert (folder.path / file).read_bytes() == (finished(name) / file).read_bytes(), file


@every_scenario
def test_a_run_predicts_and_exports(name, finished, blobs, tmp_path):
    rows = tmp_path / "rows.npz"
    np.savez(rows, x=blobs.test_images)
    output, program = tmp_path / "predictions.npz", tmp_path / "model.stablehlo"
    folder = finished(name)
    assert predict_command.main([f"--run={folder}", f"--input={rows}", f"--output={output}"]) == 0
    assert export_command.main([f"--run={folder}", "--format=stablehlo", f"--output={program}"]) == 0
    probabilities = np.load(output)["probabilities"]
    exported = jax.export.deserialize(bytearray(program.read_bytes())).call(blobs.test_images.astype(np.float32))
    np.testing.assert_allclose(exported, probabilities, atol=1e-5)


@pytest.mark.slow
def test_the_runs_compare(finished, tmp_path):
    folders = [finished(name) for name in ("mean_teacher", "ladder_pl")]
    assert [len(Result.load(folder).test_accuracy) for folder in folders] == [len(SEEDS)] * 2
    assert compare_command.main([*map(str, folders), f"--output={tmp_path / 'report'}"]) == 0


@every_scenario
def test_the_classifier_learns_a_table(name, blobs):
    y = np.where(np.arange(240) < 40, blobs.train_labels, -1)
    classifier = PseudoLabelClassifier(name, epochs=30, hidden=(30, 20), random_state=0).fit(blobs.train_images, y)
    assert classifier.score(blobs.test_images, blobs.test_labels) > 0.8
    alone = classifier.predict_proba(blobs.test_images[3:4].astype(np.float32))
    np.testing.assert_allclose(alone[0], classifier.predict_proba(blobs.test_images)[3], rtol=1e-3, atol=1e-5)


@every_scenario
def test_the_classifier_needs_no_unlabelled_rows(name, blobs):
    classifier = PseudoLabelClassifier(name, epochs=10, hidden=(30, 20), random_state=0)
    with pytest.warns(UserWarning, match="y has no unlabelled rows"):
        classifier.fit(blobs.train_images, blobs.train_labels)
    assert classifier.score(blobs.test_images, blobs.test_labels) > 0.8
