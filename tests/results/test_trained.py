"""The networks of a finished run, loaded again: they predict what they predicted, and wrong files are refused."""

import dataclasses
import io

import numpy as np
import pytest
from tiny_runs import DROPOUT, autoencoder, config, network, pseudo_label, supervised

from pljax.results import trained
from pljax.results.folder import RunFolder
from pljax.settings import everywhere
from pljax.training.progress import Reporter
from pljax.training.run import run
from pljax.types import InputError

LAYERS = network(32)
CONFIG = config("pl_dae", autoencoder(LAYERS), supervised(LAYERS, 4, **DROPOUT))
ONCE = config("pl", everywhere(pseudo_label(LAYERS, 4, 1, 3, assign="once"), "output", "softmax"))
SEEDS = [4, 0, 9]


def finished(path, dataset, of_run=CONFIG):
    folder = RunFolder(path)
    return folder, run(of_run, SEEDS, dataset, folder, Reporter(io.StringIO()))


@pytest.fixture(scope="module")
def whole(blobs, tmp_path_factory):
    return finished(tmp_path_factory.mktemp("whole"), blobs)


@pytest.fixture(scope="module")
def once(blobs, tmp_path_factory):
    """A run with softmax outputs and labels given once, without an auto-encoder."""
    return finished(tmp_path_factory.mktemp("once"), blobs, ONCE)


def test_the_networks_have_the_test_accuracy_of_the_run(whole, blobs):
    folder, result = whole
    networks = trained.load(folder, result)
    for seed, expected in zip(SEEDS, result.test_accuracy, strict=True):
        outputs = trained.probabilities(networks[seed], blobs.test_images)
        assert outputs.shape == (len(blobs.test_images), blobs.classes)
        assert (outputs >= 0).all()
        assert (outputs <= 1).all()
        assert (outputs.argmax(axis=1) == blobs.test_labels).mean() == pytest.approx(expected)


def test_softmax_outputs_sum_to_one(once, blobs):
    outputs = trained.probabilities(trained.load(*once)[0], blobs.test_images)
    np.testing.assert_allclose(outputs.sum(axis=1), 1, rtol=1e-5)


def test_the_split_is_the_one_that_the_seed_trained_with(whole, blobs):
    folder, result = whole
    for networks, expected in zip(trained.load(folder, result).values(), result.pseudo_label_accuracy, strict=True):
        parts = trained.split(networks.config, networks.seed, blobs)
        everything = np.concatenate([parts.labelled, parts.validation, parts.unlabelled])
        assert sorted(everything) == list(range(len(blobs.train_labels)))
        given = trained.probabilities(networks, blobs.train_images[parts.unlabelled]).argmax(axis=1)
        assert (given == blobs.train_labels[parts.unlabelled]).mean() == pytest.approx(expected)


def test_a_reconstruction_is_equation_6_and_7_on_a_corrupted_image(whole, blobs):
    folder, result = whole
    networks = trained.load(folder, result)[9]
    rows = np.array([3, 200, 7])
    originals, corrupted, reconstructed = trained.reconstruct(networks, blobs, rows)
    np.testing.assert_allclose(originals, blobs.train_images[rows] / 255, rtol=1e-6)
    kept = corrupted == originals
    assert (kept | (corrupted == 0)).all()
    assert 0.2 < kept.mean() < 0.8
    autoencoder = networks.pretrained["autoencoder"]
    hidden, bias = autoencoder["hidden"], autoencoder["reconstruction_bias"]
    units = np.maximum(corrupted @ hidden["kernel"] + hidden["bias"], 0) * 0.5  # dropout, eq. 9
    np.testing.assert_allclose(reconstructed, 1 / (1 + np.exp(-(units @ hidden["kernel"].T + bias))), rtol=1e-4)


def test_labels_given_once_are_those_that_the_run_gave(once, blobs):
    folder, result = once
    accuracies = [line["pseudo_label_accuracy"] for line in folder.load_metrics() if line["epoch"] == 3]
    for networks, accuracy in zip(trained.load(folder, result).values(), accuracies, strict=True):
        given, unlabelled = networks.extra.labels, trained.split(networks.config, networks.seed, blobs).unlabelled
        np.testing.assert_array_equal(np.flatnonzero(given >= 0), np.sort(unlabelled))
        assert (given == blobs.train_labels)[unlabelled].mean() == pytest.approx(accuracy)


def test_a_run_without_an_auto_encoder_has_none(once, blobs):
    networks = trained.load(*once)[0]
    assert networks.pretrained == {}
    with pytest.raises(InputError, match="No auto-encoder"):
        trained.reconstruct(networks, blobs, np.array([0]))


def test_parameters_of_another_network_or_of_other_seeds_are_refused(whole, tmp_path):
    folder, result = whole
    other = RunFolder(tmp_path)
    with pytest.raises(InputError, match="No parameters can be read"):
        trained.load(other, result)
    for parameters in (
        {"output": {"bias": np.zeros((3, 4), np.float32)}},
        {"hidden": np.zeros((3, 12, 32), np.float32)},
        {"hidden": {"kernel": np.zeros((3, 12, 32), np.float32)}},
        {"hidden": {"kernel": np.array(0.0), "bias": np.array(0.0)}},
    ):
        other.save_parameters(parameters)
        with pytest.raises(InputError, match=r"not those of the run's config\.$"):
            trained.load(other, result)
    fewer = dataclasses.replace(
        result,
        **{
            name: getattr(result, name)[:2]
            for name in ("seeds", "test_accuracy", "test_error", "pseudo_label_accuracy", "confusion")
        },
        conditional_entropy={},
        unlabelled_training=None,
    )
    with pytest.raises(InputError, match="not those of the run's config"):
        trained.load(folder, fewer)


def test_the_auto_encoder_is_kept_beside_the_classifier(whole):
    folder, _ = whole
    kept = folder.load_parameters("autoencoder.npz")
    assert kept["hidden"]["kernel"].shape == (len(SEEDS), 12, 32)
    assert kept["reconstruction_bias"].shape == (len(SEEDS), 12)
