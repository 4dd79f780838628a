"""The estimated time is that of a round times the rounds, and its programs are those of the run."""

import itertools

import jax
import pytest
from tiny_runs import autoencoder, config, network, pseudo_label, supervised

from pljax.results.folder import RunFolder
from pljax.training import duration
from pljax.training.duration import estimate_seconds
from pljax.training.run import run
from pljax.training.seed_group import split_seeds
from pljax.training.seeds import layout_for

NETWORK = network(6)


@pytest.fixture
def ticks(monkeypatch):
    """A clock that is a second further at each look: every measurement sees one round in so many seconds."""
    counter = itertools.count()
    monkeypatch.setattr(duration.time, "monotonic", lambda: float(next(counter)))


@pytest.mark.usefixtures("ticks")
def test_the_estimate_is_proportional_to_epochs_and_to_rounds(blobs):
    one = estimate_seconds(config("nn", supervised(NETWORK, 1)), [0], blobs)
    assert estimate_seconds(config("nn", supervised(NETWORK, 7)), [0], blobs) == 7 * one
    mixed = pseudo_label(NETWORK, 7, t1=2, t2=4)  # a round an epoch, like that of labelled rows alone
    assert estimate_seconds(config("pl", mixed), [0], blobs) == 7 * one
    both = config("pl_dae", autoencoder(NETWORK, epochs=3), mixed)
    assert estimate_seconds(both, [0], blobs) == (3 + 7) * one


def test_epochs_without_unlabelled_images_are_measured_apart(blobs):
    def schedule(t1, t2):
        phase = pseudo_label(NETWORK, 7, t1=t1, t2=t2)
        return [list(epochs) for epochs in duration._alike(duration.phase_schedule(phase, 8))]

    assert schedule(2, 4) == [[0, 1, 2], [3, 4, 5, 6]]
    assert schedule(7, 9) == [[0, 1, 2, 3, 4, 5, 6]]


@pytest.mark.parametrize(("seeds", "devices"), [pytest.param(2, 2, marks=pytest.mark.slow), (3, 1)])  # at once, in turn
def test_the_programs_are_those_of_the_run(blobs, tmp_path, jax_compiles, monkeypatch, seeds, devices):
    some = jax.local_devices()[:devices]
    monkeypatch.setattr(jax, "local_devices", lambda: some)
    of_run = config("pl_dae", autoencoder(NETWORK), pseudo_label(NETWORK, 3, t1=0, t2=2))
    run(of_run, range(seeds), blobs, RunFolder(tmp_path))
    if devices == 1:
        split_seeds(of_run, [0], blobs, layout_for(1))  # the key of a seed alone is made by a small program of its own
    before = jax_compiles()
    assert estimate_seconds(of_run, range(seeds), blobs) > 0
    assert jax_compiles() == before
