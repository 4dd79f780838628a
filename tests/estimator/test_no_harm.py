"""What keeps the classifier from doing harm: the supervised baseline, class shares, temperature and weights."""

import warnings

import numpy as np
import pytest
from sklearn.datasets import make_blobs
from small_classifier import small

from pljax.analysis.calibration import at_temperature
from pljax.estimator import classifier, networks

# Classes that nothing but labels can tell apart: a network that is sure of unlabelled rows is as good as a guess.
NOISE = np.random.default_rng(0).normal(size=(400, 3))
NOISY = (NOISE[:, 0] + 0.3 * np.random.default_rng(1).normal(size=400) > 0).astype(int)
HARMFUL = {"epochs": 60, "alpha_f": 1e4, "t1": 1, "t2": 2, "threshold": 0.0, "guard": "auto"}


@pytest.mark.parametrize(("validation", "reason"), [(0.0, "of 200 labelled rows"), (0.5, "of 100 validation rows")])
def test_where_unlabelled_rows_do_harm_the_baseline_is_used(validation, reason):
    labels = np.where(np.arange(400) < 200, NOISY, -1)
    settings = {**HARMFUL, "validation_fraction": validation}
    with pytest.warns(UserWarning, match=f"Unlabelled rows seem to do harm: .*{reason}.*predict uses supervised_"):
        fitted = small(**settings).fit(NOISE, labels)
    alone, harmed = (small(**{**settings, "guard": False, **of}) for of in ({"alpha_f": 0.0}, {}))
    alone.fit(NOISE, labels)
    assert fitted.guarded_
    np.testing.assert_array_equal(fitted.predict_proba(NOISE), alone.predict_proba(NOISE))
    for name in ("transduction_", "pseudo_labels_", "confidence_"):
        np.testing.assert_array_equal(getattr(fitted, name), getattr(alone, name))
    harmed.fit(NOISE, labels)
    assert harmed.supervised_ is harmed.guard_ is None
    assert harmed.score(NOISE[200:], NOISY[200:]) < fitted.score(NOISE[200:], NOISY[200:])


def test_a_few_validation_rows_are_not_what_the_guard_compares_on(rows):
    """Of a few, all may be right, with and without the unlabelled rows."""
    X, _, few = rows
    guard = small(guard="auto", validation_fraction=0.2).fit(X, few).guard_
    assert not guard.validation
    assert guard.rows == (few != -1).sum()


@pytest.mark.parametrize("scenario", ["pl", "ladder"])
def test_where_unlabelled_rows_do_no_harm_the_guard_changes_nothing(rows, scenario):
    X, _, few = rows
    guarded, free = (small(scenario=scenario, guard=guard).fit(X, few) for guard in ("auto", False))
    assert not guarded.guarded_
    assert guarded.guard_.rows == (few != -1).sum()
    np.testing.assert_array_equal(guarded.predict_proba(X), free.predict_proba(X))


@pytest.mark.filterwarnings("ignore:Unlabelled rows seem to do harm")
@pytest.mark.parametrize("scenario", ["pl", "pl_dae", "ladder"])
def test_the_baseline_is_trained_as_if_the_unlabelled_rows_were_others(rows, scenario):
    X, _, few = rows
    others = np.where((few == -1)[:, None], X[::-1], X)
    baselines = (
        small(scenario=scenario, guard="auto", scaling="none").fit(of_rows, few).supervised_ for of_rows in (X, others)
    )
    np.testing.assert_array_equal(*(baseline.predict_proba(X) for baseline in baselines))


def test_evenly_labelled_rows_of_an_uneven_population_are_no_reason_to_see_it_as_even():
    shares = np.array([0.6, 0.2, 0.1, 0.1])
    X, y = make_blobs((1000 * shares).astype(int), n_features=5, cluster_std=3.0, random_state=1)
    few = np.full(1000, -1)
    for label in range(4):
        few[np.flatnonzero(y == label)[:10]] = label
    settings = {"epochs": 150, "hidden": 32}
    scores = {}
    for prior in (None, "labelled", shares):
        fitted = small(class_prior=prior, **settings).fit(X, few)
        scores[str(prior)] = fitted.score(X, y)
        if isinstance(prior, str):
            assert fitted.class_prior_ is None
        else:
            low, high = fitted.class_prior_
            assert (low - 0.05 < shares).all()
            assert (shares < high + 0.05).all()
    assert min(scores["None"], scores[str(shares)]) > scores["labelled"] + 0.03


def test_a_known_class_prior_is_in_the_order_of_the_classes_and_need_not_sum_to_one(rows):
    X, _, few = rows
    one, other = (small(class_prior=prior).fit(X, few) for prior in ([1, 2, 1, 4], np.array([0.125, 0.25, 0.125, 0.5])))
    np.testing.assert_allclose(one.class_prior_, other.class_prior_)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    assert small(scenario="drop_nn", class_prior=[1, 2, 1, 4]).fit(X, few).class_prior_ is None


def test_probabilities_are_those_at_the_temperature_and_classes_do_not_depend_on_it(rows):
    X, _, few = rows
    plain, hot, usual = (small(temperature=temperature).fit(X, few) for temperature in (1.0, 3.0, None))
    np.testing.assert_allclose(hot.predict_proba(X), at_temperature(plain.predict_proba(X), 3.0), atol=1e-6)
    np.testing.assert_array_equal(hot.predict(X), plain.predict(X))
    assert (hot.temperature_, usual.temperature_) == (3.0, 1.5)  # a logistic regression is right, and not sure


def test_a_temperature_is_not_fitted_to_a_few_validation_rows_which_may_all_be_right(rows, monkeypatch):
    X, y, _ = rows
    most = np.where(np.arange(200) < 190, y, -1)
    assert small(validation_fraction=0.2).fit(X, most).temperature_ == 1.5  # a guess
    for module in (classifier, networks):
        monkeypatch.setattr(module, "LEAST_VALIDATION", 38)
    assert small(validation_fraction=0.2).fit(X, most).temperature_ < 1


def test_the_temperature_is_fitted_to_the_validation_rows_of_each_network():
    settings = {"scenario": "nn", "validation_fraction": 0.5, "epochs": 400, "hidden": 64}
    noisy = np.where(np.random.default_rng(2).random(400) < 0.2, 1 - NOISY, NOISY)  # a fifth of the labels are wrong
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted, plain = (small(**settings, temperature=of).fit(NOISE, noisy) for of in (None, 1.0))
    assert fitted.temperature_ > 1.3

    def log_loss(classifier):
        """On rows that neither has seen."""
        X = np.random.default_rng(3).normal(size=(4000, 3))
        right = classifier.predict_proba(X)[np.arange(4000), (X[:, 0] > 0).astype(int)]
        return -(0.8 * np.log(right) + 0.2 * np.log(1 - right)).mean()

    assert log_loss(fitted) < log_loss(plain)


def test_a_weight_of_two_is_a_row_twice(rows):
    """Rows are one mini-batch, without dropout: the order does not matter."""
    X, _, few = rows
    known = np.flatnonzero(few >= 0)
    twice = np.append(known[:-3], known[:3])
    weights = np.repeat([2.0, 1.0, 0.0], [3, 14, 3])
    settings = {"scenario": "nn", "scaling": "none", "epochs": 30, "temperature": 1.0}
    one = small(**settings).fit(X[known], few[known], sample_weight=5 * weights)
    other = small(**settings).fit(X[twice], few[twice])
    plain = small(**settings).fit(X[known], few[known])
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)
    assert abs(one.predict_proba(X) - plain.predict_proba(X)).max() > 1e-3


def test_a_labelled_row_of_weight_0_is_no_row(rows):
    """It is in neither the scale, the shares of the classes, the temperature nor the validation rows."""
    X, y, _ = rows
    some = np.where(np.arange(200) < 120, y, -1)
    weights = np.where(np.arange(200) % 3 == 0, 0.0, 2.0)
    given, kept = weights.copy(), (weights > 0) | (some < 0)
    wrong = np.where(kept, some, (some + 1) % 4)
    settings = {"guard": "auto", "validation_fraction": 0.2}
    one = small(**settings).fit(np.where(kept[:, None], X, 1e3), wrong, sample_weight=weights)
    other = small(**settings).fit(X[kept], some[kept])
    np.testing.assert_array_equal(weights, given)
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-4)
    for name in ("class_prior_", "temperature_", "seed_scores_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), atol=1e-3)
    assert one.guard_.rows == other.guard_.rows
    with pytest.raises(ValueError, match="Every row of class 3 has sample_weight 0"):
        small().fit(X, some, sample_weight=(some != 3).astype(float))


def test_weights_of_unlabelled_rows_are_ignored_and_class_weights_are_weights_of_rows(rows):
    X, _, few = rows
    weights = np.where(few == 2, 3.0, np.where(few < 0, 7.0, 1.0))
    one, other = small().fit(X, few, sample_weight=weights), small(class_weight={2: 3.0}).fit(X, few)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))
    balanced = small(class_weight="balanced").fit(X, few)
    counts = np.bincount(few[few >= 0])
    expected = small(class_weight=dict(enumerate(1 / counts))).fit(X, few)
    np.testing.assert_allclose(balanced.predict_proba(X), expected.predict_proba(X), atol=1e-5)


def test_labelled_rows_without_any_weight_are_refused(rows):
    X, _, few = rows
    with pytest.raises(ValueError, match=r"weights of the labelled rows sum to 0"):
        small().fit(X, few, sample_weight=np.where(few < 0, 1.0, 0.0))
