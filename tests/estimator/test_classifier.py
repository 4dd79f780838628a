"""The classifier for arrays: a classifier of scikit-learn, and one that learns from unlabelled rows."""

import copy
import inspect
import pickle
import re
import warnings

import jax
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, StackingClassifier, VotingClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import check_estimator
from small_classifier import small

from pljax import PseudoLabelClassifier
from pljax.protocols import adaptive
from pljax.settings import overrides

MINUS_ONE = "it fits the classes -1 and 1, and -1 is no class here: it says that a row is unlabelled"
OTHER_BATCHES = "a row twice is in other mini-batches than a row of weight two"


@pytest.mark.filterwarnings("ignore:SCIPY_ARRAY_API", "ignore:y has no unlabelled rows")
def test_it_passes_the_checks_of_scikit_learn_for_classifiers():
    classifier = PseudoLabelClassifier("nn", epochs=40, hidden=16, random_state=0)  # its programs compile quickly
    expected = {
        "check_classifiers_classes": MINUS_ONE,
        "check_sample_weight_equivalence_on_dense_data": OTHER_BATCHES,
    }
    checks = check_estimator(classifier, expected_failed_checks=expected, on_fail=None, on_skip=None)
    assert len(checks) > 40
    assert {check["check_name"]: check["exception"] for check in checks if check["status"] == "failed"} == {}


@pytest.fixture(scope="module")
def learned(rows):
    """A classifier that was trained long enough to be right."""
    X, _, few = rows
    return small(epochs=60).fit(X, few)


def test_it_learns_with_pseudo_labels_and_from_an_autoencoder(rows, learned):
    X, y, few = rows
    assert learned.score(X, y) > 0.95
    assert small(scenario="pl_dae", epochs=60).fit(X, few).score(X, y) > 0.95


def test_what_is_fitted_depends_on_the_random_state_and_not_on_the_type_of_the_arrays(rows):
    X, _, few = rows
    one = small().fit(X, few)
    other = small().fit(np.asarray(X, np.float32), list(few))
    np.testing.assert_allclose(one.predict_proba(X), other.predict_proba(X), atol=1e-5)
    assert not np.array_equal(one.predict_proba(X), small(random_state=1).fit(X, few).predict_proba(X))


def test_classes_may_be_texts_with_minus_one_for_none(rows):
    X, _, few = rows
    names = np.array([-1 if label < 0 else f"class {label}" for label in few], object)
    named, numbered = small().fit(X, names), small().fit(X, few)
    assert named.classes_.tolist() == ["class 0", "class 1", "class 2", "class 3"]
    np.testing.assert_array_equal(named.predict(X), np.array([f"class {label}" for label in numbered.predict(X)]))
    # An array of texts has turned the number into one.
    np.testing.assert_array_equal(small().fit(X, names.astype(str)).predict(X), named.predict(X))
    with_empty = np.array(["" if label < 0 else f"class {label}" for label in few])  # an empty text is no class
    assert small().fit(X, with_empty).classes_.tolist() == named.classes_.tolist()


def test_missing_labels_of_any_kind_are_unlabelled(rows):
    X, _, few = rows
    expected = small(epochs=2).fit(X, few).predict_proba(X)
    for missing in (None, np.nan, pd.NA, pd.NaT, "", "-1", -1, "nan"):
        y = [missing if label < 0 else f"class {label}" for label in few]
        fitted = small(epochs=2).fit(X, y)
        assert (fitted.classes_.tolist(), fitted.n_unlabelled_) == ([f"class {label}" for label in range(4)], 180)
        np.testing.assert_array_equal(fitted.predict_proba(X), expected, err_msg=repr(missing))
    known = pd.Series(few).where(few >= 0)
    masked = np.ma.masked_array(np.where(few < 0, 2, few), mask=few < 0)
    texts = np.array(few.astype(str), np.dtypes.StringDType())
    kinds = known, known.to_numpy(), known.astype("Int64"), known.astype("category"), known.astype("string")
    for y in (*kinds, masked, texts):
        fitted = small(epochs=2).fit(X, y)
        assert (len(fitted.classes_), fitted.n_unlabelled_) == (4, 180)
        np.testing.assert_array_equal(fitted.predict_proba(X), expected)


def test_classes_keep_the_type_of_the_labels(rows):
    X, _, few = rows
    for labels, classes in (
        ([bool(label % 2) if label >= 0 else -1 for label in few], [False, True]),
        ([bool(label % 2) if label >= 0 else None for label in few], [False, True]),
        (np.where(few < 0, np.nan, few / 1.0), [0.0, 1.0, 2.0, 3.0]),
        ([None if label < 0 else label - 7 for label in few], [-7, -6, -5, -4]),
    ):
        fitted = small(epochs=2).fit(X, labels)
        assert fitted.classes_.tolist() == classes
        assert set(fitted.predict(X)) <= set(classes)
        assert 0 <= fitted.score(X, labels) <= 1


def test_labels_that_are_no_classes_are_refused_with_the_rule(rows):
    X, y, _ = rows
    for labels, message in (
        (np.where(y > 1, 1, -1), r"labelled rows of 1 class \(1\).*-1 and missing values mark unlabelled rows"),
        (np.full(200, None), "y has no labelled rows.*-1 and missing values mark"),
        (y + 0.5, "continuous.*-1 and missing values mark unlabelled rows"),
        (["cat", 3] * 100, "mixes texts and numbers, 'cat' and 3.*-1 and missing values mark"),
        (np.where(y > 0, np.inf, 0.0), "infinite"),
    ):
        with pytest.raises(ValueError, match=message):
            small().fit(X, labels)


def test_classes_that_look_alike_are_warned_of(rows):
    X, y, _ = rows
    for one, other in (("caf\u00e9", "cafe\u0301"), ("cat", "Cat"), ("a", "a\u200b"), ("a", " a")):
        labels = np.array([one, other, "dog", ""], object)[y]
        (sentence,) = sentences_of(small(epochs=2).fit, X, labels)
        assert "look alike but are different" in sentence


def test_large_features_are_centred_before_they_are_rounded():
    """Times in seconds since 1970, and large numbers that differ little: float32 would round the classes away."""
    generator = np.random.default_rng(0)
    y = np.arange(300) % 2
    few = np.where(np.arange(300) < 40, y, -1)
    for shift, step in ((1.7e9, 60), (1e15, 100), (-3e10, 1e3)):
        X = shift + step * y[:, None] + step / 6 * generator.normal(size=(300, 1))
        fitted = small(epochs=60).fit(X, few)
        assert fitted.score(X, y) > 0.98
        assert fitted.scaling_.shift.dtype == np.float64


def test_a_tenth_of_a_thousand_labelled_rows_is_for_validation():
    generator = np.random.default_rng(0)
    X = generator.normal(size=(1200, 3))
    y = np.where(np.arange(1200) < 1000, np.arange(1200) % 10, -1)
    assert small(epochs=2).fit(X, y).networks_.config.validation == 100


def test_settings_with_which_pseudo_labels_are_never_used_are_warned_of(rows):
    X, _, few = rows
    with pytest.warns(UserWarning, match="never rises above 0"):
        small(epochs=10, t1=50, t2=60).fit(X, few)
    with pytest.warns(UserWarning, match="never reaches alpha_f"):
        small(epochs=10, t1=5, t2=60).fit(X, few)


def test_verbose_says_what_was_read(rows, capsys):
    X, _, few = rows
    table = pd.DataFrame(X, columns=list("abcde")).assign(e=1.0)
    small(epochs=2, verbose=True).fit(table, np.where(few < 0, np.nan, few))
    lines = dict(re.split(r"\s{2,}", line, maxsplit=1) for line in capsys.readouterr().err.splitlines() if "  " in line)
    assert lines["features"] == "5 without missing values: a, b, c, d, e"
    assert lines["constant features"] == "1: e"
    assert lines["unlabelled"] == "180 rows (180 empty)"
    assert re.fullmatch(r"0.0 \d, 1.0 \d, 2.0 \d, 3.0 \d \(labelled\)", lines["classes"])


def test_the_history_has_the_share_of_unlabelled_rows_with_a_pseudo_label(rows):
    """Rows that pad the arrays are none of them: with a threshold that every output reaches it is 1."""
    X, _, few = rows
    for threshold, expected in ((1e-30, 1.0), (0.9999, 0.0)):
        fitted = small(threshold=threshold).fit(X, few)
        assert {float(line["pseudo_label_coverage"]) for line in fitted.history_} == {expected}
    without = small(scenario="drop_nn").fit(X, few)
    assert np.isnan([line["pseudo_label_coverage"] for line in without.history_]).all()


def test_attributes_of_the_training_rows_are_the_given_and_the_predicted_classes(rows):
    X, _, few = rows
    fitted, unknown = small().fit(X, few), few == -1
    np.testing.assert_array_equal(fitted.transduction_[~unknown], few[~unknown])
    np.testing.assert_array_equal(fitted.transduction_[unknown], fitted.predict(X[unknown]))
    np.testing.assert_array_equal(fitted.pseudo_labels_, fitted.predict(X[unknown]))
    np.testing.assert_allclose(fitted.confidence_, fitted.predict_proba(X[unknown]).max(axis=1), atol=1e-6)
    assert fitted.n_iter_ == 12
    assert [line["epoch"] for line in fitted.history_] == list(range(12))
    assert np.isnan(fitted.seed_scores_).all()  # without a validation part


@pytest.fixture(scope="module")
def three_networks(rows):
    X, _, few = rows
    return small(n_seeds=3, validation_fraction=0.2, scenario="drop_nn").fit(X, few)


def test_the_probabilities_are_the_means_of_those_of_the_networks(rows, three_networks):
    (X, _, few), fitted = rows, three_networks
    assert fitted.networks_.parameters["output"]["bias"].shape == (3, 4)
    assert fitted.seed_scores_.shape == (3,)
    assert np.isfinite(fitted.seed_scores_).all()
    probabilities = []
    for seed in range(3):
        alone = copy.copy(fitted)
        of_seed = jax.tree.map(lambda leaf: leaf[seed : seed + 1], fitted.networks_.parameters)  # noqa: B023
        alone.networks_ = fitted.networks_._replace(parameters=of_seed)
        probabilities.append(alone.predict_proba(X))
    np.testing.assert_allclose(fitted.predict_proba(X), np.mean(probabilities, axis=0), atol=1e-6)
    assert not np.allclose(probabilities[0], probabilities[1], atol=1e-3)
    np.testing.assert_allclose(fitted.confidence_, fitted.predict_proba(X[few == -1]).max(axis=1), atol=1e-6)


def test_alpha_zero_is_the_same_as_no_pseudo_labels(rows):
    X, _, few = rows
    one, other = small(alpha_f=0.0).fit(X, few), small(scenario="drop_nn").fit(X, few)
    np.testing.assert_array_equal(one.predict_proba(X), other.predict_proba(X))


def test_alpha_follows_the_epochs(rows):
    X, _, few = rows
    alphas = [line["alpha"] for line in small(epochs=20).fit(X, few).history_]
    assert alphas[2] == 0 < alphas[3]
    assert alphas[11] < alphas[12] == alphas[-1] == 3


def test_rows_whose_class_is_not_known_are_in_no_score(rows, learned):
    X, y, few = rows
    assert learned.score(X, few) == learned.score(X[few >= 0], y[few >= 0])
    weights = np.arange(200.0)
    assert learned.score(X, few, weights) == learned.score(X[few >= 0], y[few >= 0], weights[few >= 0])
    with pytest.raises(ValueError, match="no known class"):
        learned.score(X, np.full(200, -1))
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        learned.score(X, y[:10])


def test_all_rows_may_be_labelled(rows):
    X, y, _ = rows
    with pytest.warns(UserWarning, match="y has no unlabelled rows"):
        fitted = small(epochs=60).fit(X, y)
    assert fitted.score(X, y) > 0.95
    assert fitted.pseudo_labels_.size == 0
    np.testing.assert_array_equal(fitted.transduction_, y)


def test_pickle_and_clone_keep_predictions(rows, three_networks):
    (X, _, few), fitted = rows, three_networks
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(X), fitted.predict_proba(X))
    np.testing.assert_array_equal(clone(fitted).fit(X, few).predict_proba(X), fitted.predict_proba(X))
    with pytest.raises(NotFittedError):
        clone(fitted).predict(X)


def test_pipelines_searches_and_cross_validation_pass_on_which_rows_are_unlabelled(rows):
    X, y, few = rows
    search = GridSearchCV(
        make_pipeline(StandardScaler(), small(epochs=30)), {"pseudolabelclassifier__hidden": [16, (16,)]}, cv=2
    ).fit(X, few)
    one, same = search.cv_results_["mean_test_score"]
    assert one == same > 0.6
    assert search.best_estimator_[-1].n_unlabelled_ == 180
    assert search.best_estimator_[-1].classes_.tolist() == [0, 1, 2, 3]
    scores = cross_val_score(small(epochs=30), X, few, cv=2)
    assert (scores > 0.5).all()
    predicted = cross_val_predict(small(epochs=30), X, few, cv=2)
    assert set(predicted) == {0, 1, 2, 3}
    assert (predicted == y).mean() > 0.6
    several = MultiOutputClassifier(small(epochs=30)).fit(X, np.column_stack([few, few]))
    assert [fitted.n_unlabelled_ for fitted in several.estimators_] == [180, 180]


@pytest.mark.parametrize(
    "wrap",
    [
        lambda one: VotingClassifier([("one", one)], voting="soft"),
        pytest.param(lambda one: BaggingClassifier(one, n_estimators=1), marks=pytest.mark.slow),
        pytest.param(lambda one: StackingClassifier([("one", one)], cv=2), marks=pytest.mark.slow),
        pytest.param(OneVsRestClassifier, marks=pytest.mark.slow),
    ],
    ids=["voting", "bagging", "stacking", "one versus rest"],
)
def test_a_wrapper_that_numbers_the_classes_anew_is_warned_of(wrap, rows):
    X, _, y = rows
    assert any("rows: was it -1?" in sentence for sentence in sentences_of(wrap(small(epochs=2)).fit, X, y))


@pytest.mark.slow
def test_cross_validated_probabilities_number_the_classes_anew_which_is_warned_of(rows):
    X, _, y = rows
    sentences = sentences_of(cross_val_predict, small(epochs=2), X, y, cv=2, method="predict_proba")
    assert any("rows: was it -1?" in sentence for sentence in sentences)


def test_a_fitted_classifier_is_calibrated_on_labelled_rows(rows, learned):
    X, y, few = rows
    known = few >= 0
    calibrated = CalibratedClassifierCV(FrozenEstimator(learned), cv=2).fit(X[known], y[known])
    assert calibrated.classes_.tolist() == [0, 1, 2, 3]
    assert calibrated.score(X, y) > 0.9


def sentences_of(function, *arguments, **keywords):
    """The warnings of a call."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        function(*arguments, **keywords)
    return [str(warning.message) for warning in caught]


def test_a_second_fit_of_the_same_shapes_compiles_nothing(rows, jax_compiles):
    X, _, few = rows
    small(guard="auto").fit(X, few).predict(X)
    before = jax_compiles()
    small(random_state=7, guard="auto").fit(X + 1, np.roll(few, 1)).predict(X + 1)
    assert jax_compiles() == before


def test_a_wrong_parameter_is_refused_with_its_name(rows):
    X, _, few = rows
    for parameters, message in (
        ({"scenario": "svm"}, "scenario is 'svm': choose one of nn, drop_nn, pl, pl_dae"),
        ({"hidden": 0}, "give a whole number from 1"),
        ({"epochs": -1}, "epochs is -1"),
        ({"alpha_f": -1.0}, "alpha_f is -1.0"),
        ({"t1": 5, "t2": 5}, "give t1 < t2"),
        ({"threshold": 1.5}, "threshold is 1.5"),
        ({"n_seeds": 0}, "n_seeds is 0"),
        ({"n_seeds": True}, "n_seeds is True"),
        (
            {"class_prior": "even"},
            "class_prior is 'even'",
        ),
        ({"class_prior": [0.5, 0.5]}, r"class_prior is \[0.5, 0.5\]"),
        ({"class_prior": [1, -1, 1, 1]}, "class_prior is"),
        ({"class_weight": "even"}, "class_weight"),
        ({"class_weight": {0: -1.0}}, "class_weight is .*: give no weight below 0"),
        ({"temperature": 0.0}, "temperature is 0.0: give a number above 0"),
        ({"temperature": "1"}, "temperature is '1': give a number above 0"),
        ({"guard": "no"}, "guard is 'no': choose one of auto, False"),
        ({"scaling": "log"}, "scaling is 'log': choose one of auto, none"),
        ({"validation_fraction": 1.0}, "validation_fraction is 1.0"),
        ({"learning_rate": 1e30}, "Training diverged: give a lower learning_rate"),
    ):
        with pytest.raises(ValueError, match=message):
            small(**parameters).fit(X, few)


def test_a_fit_that_fails_leaves_no_classifier(rows):
    X, _, few = rows
    fitted = small(epochs=2).fit(X, few)
    with pytest.raises(ValueError, match="Training diverged"):
        fitted.set_params(learning_rate=1e30).fit(X, np.where(few < 0, few, few + 10))
    with pytest.raises(NotFittedError):
        fitted.predict(X)


def test_unscaled_features_warn_of_nothing(rows):
    X, _, few = rows
    small(scaling="none").fit(X * np.geomspace(1e-3, 1e5, X.shape[1]), few)


def test_rows_without_two_classes_are_refused(rows):
    X = rows[0]
    with pytest.raises(ValueError, match="y has no labelled rows"):
        small().fit(X, np.full(200, -1))
    with pytest.raises(ValueError, match="labelled rows of 1 class"):
        small().fit(X, np.where(np.arange(200) < 5, 3, -1))


def test_the_parameters_are_the_settings_of_the_protocol_and_a_few_of_its_own():
    own = {"scenario", "n_seeds", "scaling", "validation_fraction", "random_state", "verbose"}
    own |= {"guard", "class_prior", "class_weight", "temperature"}
    declared = {flag.name for page in adaptive.scenarios(adaptive.DEFAULT_SIZES).values() for flag in overrides(page)}
    from_the_data = {"labels", "validation"}
    parameters = PseudoLabelClassifier().get_params()
    assert set(parameters) == own | declared - from_the_data - {"pretrain_epochs"} | {"pretrain"}
    assert {"hidden", "learning_rate", "alpha_f", "t1", "pretrain_learning_rate"} < set(parameters)
    assert list(parameters) == sorted(inspect.signature(PseudoLabelClassifier).parameters)


def test_an_unknown_parameter_is_a_type_error():
    for unknown in ("learning_rat", "labels", "pretrain_epochs", "settings"):
        with pytest.raises(TypeError, match=unknown):
            PseudoLabelClassifier(**{unknown: 1})
    with pytest.raises(ValueError, match="learning_rat"):
        PseudoLabelClassifier().set_params(learning_rat=1)


def test_a_clone_has_every_parameter():
    given = {name: place for place, name in enumerate(PseudoLabelClassifier().get_params(), 1)}
    assert clone(PseudoLabelClassifier(**given)).get_params() == given
    assert PseudoLabelClassifier().set_params(**given).get_params() == given
