"""Pseudo-Label as a scikit-learn classifier."""

import copy
import numbers
import warnings
from typing import Any, Literal, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from pljax.analysis.guard import Guard
from pljax.data import custom, split
from pljax.data.reading.checks import MAX_FEATURE
from pljax.data.reading.labels import Labels
from pljax.data.reading.rows import Rows
from pljax.data.reading.targets import Targets, read_targets, split_unlabelled, target_warnings
from pljax.data.scaling import scaling_of
from pljax.estimator.networks import (
    LEAST_VALIDATION,
    UNLABELLED,
    Networks,
    TrainingRows,
    compare_networks,
    train_networks,
)
from pljax.estimator.parameters import override_parameters, overrides_of, with_override_parameters
from pljax.protocols import adaptive
from pljax.protocols.baseline import supervised, without_unlabelled
from pljax.protocols.config import Config
from pljax.report.data_summary import data_lines
from pljax.settings import override
from pljax.training.progress import Reporter
from pljax.training.run import predicted_warnings
from pljax.training.seeds import MOST_SEED

SCALINGS = ("auto", "none")
FLOATS = (np.float64, np.float32)


@with_override_parameters
class PseudoLabelClassifier(ClassifierMixin, BaseEstimator):
    """A neural network for semi-supervised classification with pseudo-labels (Lee 2013).

    Rows whose ``y`` is -1 or missing (``None``, NaN, ``pandas.NA``, an empty text) are unlabelled. Their pseudo-labels
    are the classes that the network predicts with enough confidence; they enter the loss with a weight alpha(t) that
    rises from 0. The default of a parameter that is ``None`` follows from the sizes of the data: see
    :mod:`pljax.protocols.adaptive`. Parameters that the scenario does not use are ignored.

    Args:
      scenario: ``nn``, a network trained on the labelled rows; ``drop_nn``, with dropout; ``pl``, with dropout and
        pseudo-labels; ``pl_dae``, the same with a first layer from a denoising auto-encoder; ``mean_teacher``; ``vat``,
        virtual adversarial training; ``ladder``; ``ladder_pl``, a ladder network with pseudo-labels.
      n_seeds: number of networks, trained from different random numbers; their probabilities are averaged.
      scaling: ``auto`` scales the features to mean 0 and variance 1; ``none`` does not change them.
      validation_fraction: share of the labelled rows that is held out to measure whether unlabelled rows help; by
        default a tenth if that is at least 100 rows, else 0.
      guard: ``auto`` also trains the same network with the labelled rows alone, and uses it where unlabelled rows
        seem to do harm, by the validation rows if there are a hundred or more, or else by the labelled ones: see
        :class:`pljax.analysis.guard.Guard`. ``False`` does not.
      class_prior: the shares of the classes in the population, which pseudo-labels are aligned with. ``estimated``: an
        interval, estimated from the labelled and the unlabelled rows (:func:`pljax.data.shares.estimate`), for
        labels that were collected class by class, and by default. ``labelled``: those of the labelled rows, for labels
        that are a random sample. An array ``[C]`` in the order of ``classes_``: shares that are known.
      class_weight: the weights of the classes in the loss of labelled rows, as in scikit-learn: a dict, ``balanced``,
        or ``None`` for equal ones.
      temperature: what logits are divided by before they become probabilities; classes do not depend on it. By default
        the one under which the validation rows are most likely; with fewer than a hundred of them, a guess
        (:func:`pljax.analysis.calibration.guess_temperature`): networks that are trained on a few labels are too sure.
      random_state: determines the random numbers of the networks.
      verbose: whether to say on standard error what was read of ``X`` and ``y``, and to show a progress bar.
      OVERRIDES

    Attributes:
      classes_: the classes, ``[C]``.
      n_unlabelled_: the number of unlabelled rows.
      transduction_: the class of every training row, ``[n]``: as given, or as predicted for an unlabelled row.
      pseudo_labels_: the predicted classes of the unlabelled rows, ``[U]``.
      confidence_: their probabilities, float32 ``[U]``.
      seed_scores_: validation accuracy of each network, float32 ``[n_seeds]``; NaN without a validation part. Networks
        that diverged are left out.
      supervised_: the classifier fitted to the labelled rows alone; ``None`` without ``guard``, and for scenarios and
        data without unlabelled rows.
      class_prior_: the least and the greatest share of each class that pseudo-labels were aligned with, float
        ``[2, C]``, the mean over the networks; ``None`` where they were not, or with the shares of the labels.
      temperature_: the temperature of ``predict_proba``.
      guarded_: whether ``predict`` uses ``supervised_``.
      guard_: what decided: errors and log losses of both on labelled rows; ``None`` where ``supervised_`` is.
      n_iter_: number of epochs.
      history_: losses, alpha, accuracies, and the share of unlabelled rows with a pseudo-label
        (``pseudo_label_coverage``), one dict per epoch and network.
      n_features_in_, feature_names_in_: as in scikit-learn.

    Pipelines, searches, ``cross_val_score`` and ``MultiOutputClassifier`` pass ``y`` on as it is. The last three take
    no missing ``y``, but -1, and scores other than the classifier's own count -1 as a class. Wrappers that number
    the classes anew make a class of -1, and nothing is unlabelled any more: voting, bagging, stacking, one-vs-rest, and
    ``cross_val_predict`` with probabilities. ``fit`` warns where no row is unlabelled, as scikit-learn's
    ``SelfTrainingClassifier`` does. ``CalibratedClassifierCV`` takes -1 for a class: fit first, then calibrate
    ``FrozenEstimator(classifier)`` on labelled rows.

    A process that was forked after a fit cannot fit or predict: JAX has threads. Start processes by ``spawn`` or
    ``forkserver``, or use joblib's default backend.

    >>> from sklearn.datasets import make_moons
    >>> X, y = make_moons(200, noise=0.1, random_state=0)
    >>> few = np.where(np.arange(200) < 20, y, -1)
    >>> classifier = PseudoLabelClassifier(hidden=50, epochs=50, random_state=0).fit(X, few)
    >>> classifier.predict(X[:2]).shape, bool(classifier.score(X, y) > 0.8)
    ((2,), True)
    """

    def __init__(
        self,
        scenario: str = "pl",
        *,
        n_seeds: int = 1,
        scaling: str = "auto",
        validation_fraction: float | None = None,
        guard: Literal["auto", False] = "auto",
        class_prior: Any = None,
        class_weight: Any = None,
        temperature: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
        **settings: Any,
    ):
        self.scenario = scenario
        self.n_seeds = n_seeds
        self.scaling = scaling
        self.validation_fraction = validation_fraction
        self.guard = guard
        self.class_prior = class_prior
        self.class_weight = class_weight
        self.temperature = temperature
        self.random_state = random_state
        self.verbose = verbose
        names = override_parameters()
        if unknown := sorted(settings.keys() - names.keys()):
            raise TypeError(f"{type(self).__name__} has no parameter {unknown[0]!r}: it has {', '.join(names)}.")
        for name in names:
            setattr(self, name, settings.get(name))

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the networks to rows ``X``, ``[n, D]``, and their classes ``y``, ``[n]``, with -1 for unlabelled rows.

        ``sample_weight``, ``[n]``, says how many rows a labelled row counts as in the loss; unlabelled rows have none.
        Labelled rows with weight 0 are left out altogether. Shares of classes and the temperature count every other
        row once. Raises ``ValueError`` for invalid data or parameters.
        """
        if hasattr(self, "networks_"):
            del self.networks_  # so that a fit that fails leaves no classifier of two fits
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        targets = read_targets(y)
        X, labels = validate_data(self, X, targets.numbers, dtype=FLOATS)
        self._check_parameters()
        self.classes_, self.n_unlabelled_ = targets.classes, int((labels == UNLABELLED).sum())
        weights, counted = self._weights(X, labels, sample_weight)
        self.scaling_ = scaling_of(X[counted]) if self.scaling == "auto" else None
        config = self._config_for(labels[counted])
        for warning in (*target_warnings(targets), *self._warnings(config, labels)):
            warnings.warn(warning, stacklevel=2)
        if self.verbose:
            Reporter().say(self._what_was_read(X, targets, config.validation))
        rows = TrainingRows(self._inputs(X), labels, len(self.classes_), weights, self._known_shares())
        self._fit(config, rows, counted, self._seeds())
        return self

    def _fit(self, config: Config, all_rows: TrainingRows, counted: np.ndarray, seeds: list[int]) -> None:
        """Train the networks, and with ``guard`` those without unlabelled rows. Set the fitted attributes."""
        rows = all_rows.where(counted)
        used = networks, _ = train_networks(config, rows, seeds, self.temperature, self.verbose)
        self.class_prior_ = networks.shares
        self.supervised_: Self | None = None
        self.guard_: Guard | None = None
        self.guarded_ = False
        if self.guard and any(phase.batches.unlabelled for phase in config.phases):
            of_baseline = rows._replace(shares=networks.shares)
            guessed = config.validation < LEAST_VALIDATION  # from the rows alone
            temperature = networks.temperature if guessed else self.temperature
            baseline = train_networks(supervised(config), of_baseline, seeds, temperature, self.verbose)
            classifier = copy.copy(self)
            classifier._set_fitted(*baseline, all_rows)
            self.supervised_, self.guard_ = classifier, compare_networks(networks, baseline[0], rows)
            self.guarded_ = self.guard_.use_supervised
            if self.guarded_:
                used = baseline
                warnings.warn(self.guard_.warning, stacklevel=3)
        self._set_fitted(*used, all_rows)

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities, float32 ``[n, C]``: the mean over the networks."""
        check_is_fitted(self, "networks_")
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        return self.networks_.probabilities(self._inputs(X))

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes, ``[n]``: those with the largest probability."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy on the rows of known class. Rows whose ``y`` is -1 or missing are left out.

        Raises ``ValueError`` if no class is known.
        """
        check_consistent_length(X, y, sample_weight)
        known_labels, spellings = split_unlabelled(y)
        known = np.array([spelling is None for spelling in spellings], np.bool_)
        if not known.any():
            raise ValueError("y has no known class, so there is nothing to score.")
        weights = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(accuracy_score(known_labels, self.predict(X)[known], sample_weight=weights))

    def _check_parameters(self) -> None:
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling is {self.scaling!r}: choose one of {', '.join(SCALINGS)}.")
        given = self.temperature
        if given is not None and not (isinstance(given, numbers.Real) and 0 < given < np.inf):
            raise ValueError(f"temperature is {self.temperature!r}: give a number above 0.")
        if not (self.guard is False or self.guard == "auto"):
            raise ValueError(f"guard is {self.guard!r}: choose one of auto, False.")

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        if np.abs(X).max() >= MAX_FEATURE:
            raise ValueError(f"X has numbers that are not between -{MAX_FEATURE:g} and {MAX_FEATURE:g}.")
        return self.scaling_.apply(X) if self.scaling_ else X.astype(np.float32)

    def _seeds(self) -> list[int]:
        """The seed of each network."""
        if not isinstance(self.n_seeds, numbers.Integral) or isinstance(self.n_seeds, bool) or self.n_seeds < 1:
            raise ValueError(f"n_seeds is {self.n_seeds!r}: give a whole number from 1.")
        return check_random_state(self.random_state).randint(MOST_SEED, size=self.n_seeds, dtype=np.uint32).tolist()

    def _weights(self, X: np.ndarray, labels: np.ndarray, sample_weight: Any) -> tuple[np.ndarray | None, np.ndarray]:
        """How many rows each labelled row counts as, float64 ``[n]`` (``None``: one), and which rows count, bool."""
        if sample_weight is None and self.class_weight is None:
            return None, np.ones(len(labels), np.bool_)
        known = labels != UNLABELLED
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True, copy=True)
        counted = ~known | (weights > 0)
        for_classes = compute_sample_weight(self.class_weight, self.classes_[labels[known]])
        if (for_classes < 0).any():
            raise ValueError(f"class_weight is {self.class_weight!r}: give no weight below 0.")
        weights[known] *= for_classes
        weights[~known] = 0
        if not 0 < weights.sum() < np.inf:
            raise ValueError("The weights of the labelled rows sum to 0: give some of them a sample_weight above 0.")
        lost = np.setdiff1d(labels[known], labels[known & counted])
        if len(lost):
            raise ValueError(
                f"Every row of class {self.classes_[lost[0]]!s} has sample_weight 0: leave these rows out."
            )
        return weights / weights[known & counted].mean(), counted

    def _known_shares(self) -> np.ndarray | None:
        """The shares of the classes where ``class_prior`` gives them, as the least and as the greatest: ``[2, C]``."""
        if self.class_prior is None or isinstance(self.class_prior, str):
            return None
        given, classes = np.asarray(self.class_prior), len(self.classes_)
        if given.shape == (classes,) and given.dtype.kind in "fiu" and (given >= 0).all() and 0 < given.sum() < np.inf:
            return np.tile(given / given.sum(), (2, 1))
        raise ValueError(
            f"class_prior is {self.class_prior!r}: give estimated, labelled, or the shares of the {classes} classes."
        )

    def _validation_size(self, labels: np.ndarray) -> int:
        """The number of validation rows among those of known class. By default every class keeps a row for training."""
        known, fraction = int((labels != UNLABELLED).sum()), self.validation_fraction
        if fraction is None:
            size = known // 10 if known // 10 >= LEAST_VALIDATION else 0
            return size if split.every_class_keeps_one(labels, len(self.classes_), size) else 0
        if not (isinstance(fraction, numbers.Real) and 0 <= fraction < 1):
            raise ValueError(f"validation_fraction is {fraction!r}: give a number from 0 to below 1.")
        return round(float(fraction) * known)

    def _config(self, labelled: int, validation: int, unlabelled: int) -> Config:
        """The config of ``adaptive`` for data of these sizes, with the parameters that are given."""
        given = overrides_of(self)
        sizes = adaptive.Sizes(labelled, self.n_features_in_, len(self.classes_))
        scenarios = adaptive.scenarios(sizes, given.get("epochs"))
        if self.scenario not in scenarios:
            raise ValueError(f"scenario is {self.scenario!r}: choose one of {', '.join(scenarios)}.")
        config, _ = override(scenarios[self.scenario], {**given, "validation": validation})
        return config if unlabelled else without_unlabelled(config)

    def _config_for(self, labels: np.ndarray) -> Config:
        """The config for rows with these class numbers. Raises ``ValueError`` if they cannot be split like this."""
        known = int((labels != UNLABELLED).sum())
        validation = self._validation_size(labels)
        config = self._config(known - validation, validation, len(labels) - known)
        split.check(labels, len(self.classes_), config.labels, config.validation, config.choose_labels)
        return config

    def _warnings(self, config: Config, labels: np.ndarray) -> list[str]:
        """Sentences on data and settings with which pseudo-labels are not used as intended."""
        if self.n_unlabelled_:
            return predicted_warnings(config) if self.alpha_f != 0 else []
        if not any(phase.batches.unlabelled for phase in self._config(len(labels), 0, 1).phases):
            return []
        counts = np.bincount(labels)
        first = f" {self.classes_[0]!s} has {counts[0]:,} of {len(labels):,} rows: was it -1?"
        return [
            "y has no unlabelled rows, marked by -1 or missing, so no pseudo-labels are used. Wrappers that number the "
            f"classes anew make a class of -1: see the docstring.{first if 2 * counts[0] > len(labels) else ''}"
        ]

    def _what_was_read(self, X: np.ndarray, targets: Targets, validation: int) -> str:
        """What was read of ``X`` and ``y``, in lines."""
        names = getattr(self, "feature_names_in_", None)
        columns = tuple(map(str, range(X.shape[1]))) if names is None else tuple(names)
        notes = dict(custom.notes(Rows(X, Labels([], targets.unlabelled, ()), columns)))
        if validation:
            notes["validation"] = f"{validation:,} of the labelled rows"
        counts = np.bincount(targets.numbers[targets.numbers != UNLABELLED])
        lines = data_lines(notes, list(map(str, self.classes_)), {"labelled": counts.tolist()})
        return "\n".join(f"{heading:<{max(map(len, lines))}}  {text}" for heading, text in lines.items())

    def _set_fitted(self, networks: Networks, history: list[Any], rows: TrainingRows) -> None:
        """Set the fitted attributes that follow from the networks that are used."""
        self.networks_, self.history_ = networks, history
        self.temperature_, self.seed_scores_ = networks.temperature, networks.validation_accuracy
        self.n_iter_ = sum(phase.epochs for phase in networks.config.phases)
        probabilities = networks.probabilities(rows.inputs[~rows.known])
        self.pseudo_labels_ = self.classes_[probabilities.argmax(axis=1)]
        self.confidence_ = probabilities.max(axis=1)
        self.transduction_ = self.classes_[rows.labels]
        self.transduction_[~rows.known] = self.pseudo_labels_
