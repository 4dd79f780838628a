"""The main job on the real MNIST, minutes long: ``pytest -m slow``."""

import io

import numpy as np
import pytest
from mnist_files import ORIGINALS, needs_mnist

from pljax import SCENARIOS, Reporter, RunFolder, load, run

pytestmark = [pytest.mark.slow, needs_mnist]


@pytest.fixture(scope="module")
def accuracies(tmp_path_factory):
    """Test accuracies of three seeds, by scenario, under `quick`."""
    dataset, folder = load("mnist", ORIGINALS), tmp_path_factory.mktemp("runs")
    return {
        scenario: run(config, range(3), dataset, RunFolder(folder / scenario), Reporter(io.StringIO())).accuracies()
        for scenario, config in SCENARIOS["quick"].items()
        if scenario in ("nn", "drop_nn", "pl", "pl_dae")
    }


def test_pseudo_labels_add_to_dropout_and_the_autoencoder_to_both(accuracies):
    """Dropout alone adds nothing to 100 labels that a few seeds can show."""
    means = [accuracies[scenario].mean() for scenario in ("drop_nn", "pl", "pl_dae")]
    assert means == sorted(means)


@pytest.mark.parametrize(
    ("scenario", "low", "high"),
    [("nn", 0.73, 0.82), ("drop_nn", 0.75, 0.84), ("pl", 0.79, 0.91), ("pl_dae", 0.86, 0.95)],
)
def test_mean_accuracies_are_within_the_measured_ranges(accuracies, scenario, low, high):
    assert low < accuracies[scenario].mean() < high


def test_no_seed_diverges_or_stays_far_below_the_others(accuracies):
    assert np.isfinite(accuracies["pl_dae"]).all()
    assert accuracies["pl_dae"].min() > 0.8
