"""Arrays of rounded sizes: data of about the same size share programs, and a large table fits into memory."""

import io
import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.datasets import make_blobs
from sklearn.model_selection import GridSearchCV
from small_classifier import small

from pljax.protocols import adaptive
from pljax.settings import override
from pljax.training import loop, phases, seed_group
from pljax.training.checkpointer import NoCheckpointer
from pljax.training.metrics import MetricsLog
from pljax.training.progress import Reporter
from pljax.training.seeds import layout_for
from pljax.types import Dataset


def rows_of(known, count=300):
    """Rows of four classes of which some are labelled, scaled."""
    X, y = make_blobs(count, n_features=5, centers=4, random_state=2)
    X = ((X - X.mean(axis=0)) / X.std(axis=0)).astype(np.float32)
    labels = np.where(np.arange(count) < known, y, -1).astype(np.int32)
    return Dataset("rows", 4, X, labels, X[:0], labels[:0])


def groups_of(known, scenario, **values):
    """The same seeds on arrays as long as the data, and on longer ones."""
    dataset, layout = rows_of(known), layout_for(2)
    of_sizes = adaptive.scenarios(adaptive.Sizes(known - 10, 5, 4), epochs=6)
    config, _ = override(of_sizes[scenario], {"hidden": (16,), "validation": 10, "threshold": 0.3, **values})
    return [seed_group.make_group(config, [0, 1], dataset, layout, rounded=rounded) for rounded in (False, True)]


@pytest.mark.parametrize("known", [30, 109, 106])  # of which 10 are for validation: 20, 99 and 3 x 32 are left
def test_with_room_for_more_rows_the_same_ones_are_drawn(known):
    exact, rounded = groups_of(known, "pl_dae")
    assert len(rounded.data.images) > len(exact.data.images)

    def drawn(group, phase, t):
        split = jax.tree.map(lambda rows: jnp.asarray(rows[1]), group.layout.gather(group.splits))
        rows = phase.batches.draw(jax.random.key(7), np.int32(t), split, jax.device_get(group.data))
        return np.asarray(rows.images)[np.asarray(rows.weights) > 0], rows.unlabelled

    for phase in exact.config.phases:
        for t in range(3):
            jax.tree.map(np.testing.assert_array_equal, drawn(rounded, phase, t), drawn(exact, phase, t))


@pytest.mark.parametrize(("known", "scenario"), [(30, "pl"), pytest.param(109, "pl_dae", marks=pytest.mark.slow)])
def test_with_room_for_more_rows_training_is_the_same(known, scenario):
    # A mini-batch that is not full has other rows of masks than one that is filled up.
    dropout = {} if known - 10 >= 32 else {"hidden_dropout": 0.0}
    learned = []
    for group in groups_of(known, scenario, **dropout):
        lines, reporter = [], Reporter(io.StringIO())
        log = MetricsLog([0, 1], 300, lines.extend, reporter)
        with reporter:
            outcome = loop.train(group, log, NoCheckpointer(reporter))
        learned.append((lines, outcome.params, outcome.train.probabilities))
    (ours, *arrays), (theirs, *others) = learned
    assert len(ours) == len(theirs) > 0
    for line, other in zip(ours, theirs, strict=True):
        assert line.keys() == other.keys()
        numbers = [name for name in line if name != "name"]
        np.testing.assert_allclose(
            [line[name] for name in numbers], [other[name] for name in numbers], rtol=1e-5, atol=1e-5, err_msg=str(line)
        )
    jax.tree.map(lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5), arrays, others)


@pytest.mark.slow
def test_a_search_in_folds_of_about_the_same_size_traces_the_training_once(monkeypatch):
    """The 30 fits differ in numbers alone: rates, weights, how many rows there are and how many are labelled."""
    X, y = make_blobs(297, n_features=5, centers=4, random_state=2)
    place, folds = np.arange(297), np.array_split(np.arange(297), 5)
    known = np.concatenate([fold[:count] for fold, count in zip(folds, (24, 25, 26, 25, 25), strict=True)])
    few = np.where(np.isin(place, known), y, -1)
    splits = [(np.setdiff1d(place, fold), fold) for fold in folds]
    assert sorted({int((few[train] >= 0).sum()) for train, _ in splits}) == [99, 100, 101]
    traced, train_round = [], phases.train_round

    def counted(*arguments):
        traced.append(arguments)
        return train_round(*arguments)

    monkeypatch.setattr(phases, "train_round", counted)
    seed_group.programs.cache_clear()
    candidates = {"learning_rate": [1e-3, 3e-3, 1e-2], "alpha_f": [1.0, 3.0]}
    search = GridSearchCV(small(), candidates, cv=splits, refit=False).fit(X, few)
    seed_group.programs.cache_clear()
    assert len(search.cv_results_["params"]) == 6
    assert len(traced) == 1


MILLION = """
import resource, sys
import jax
import jax.numpy as jnp
import numpy as np
from pljax import PseudoLabelClassifier
from pljax.analysis.calibration import at_temperature

generator = np.random.default_rng(0)
centres = generator.normal(size=(5, 100)).astype(np.float32)
y = generator.integers(0, 5, 1_000_000)
X = centres[y] + generator.standard_normal((1_000_000, 100), np.float32)
few = np.where(np.arange(len(y)) < 500, y, -1)
classifier = PseudoLabelClassifier(random_state=0, verbose=True).fit(X, few)
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
print(f"{np.mean(classifier.pseudo_labels_ == y[500:])} {peak}")
"""


@pytest.mark.slow
def test_a_million_rows_of_a_hundred_features_fit_into_memory_and_show_how_far_they_are():
    environment = {**os.environ, "XLA_FLAGS": ""}
    ended = subprocess.run([sys.executable, "-c", MILLION], env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    accuracy, gibibytes = map(float, ended.stdout.split())
    assert accuracy > 0.95
    assert gibibytes < 5  # the rows themselves are 0.4
    assert "epoch 150/150" in ended.stderr
