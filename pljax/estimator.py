"""Pseudo-Label as a scikit-learn classifier."""

import copy
import functools
import inspect
import io
import numbers
import warnings
from typing import Any, Self

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from pljax.data import custom, split
from pljax.data.batches import LabelledBatches
from pljax.data.reading.checks import MAX_FEATURE
from pljax.data.reading.labels import Labels
from pljax.data.reading.rows import Rows
from pljax.data.reading.targets import Targets, read_targets, split_unlabelled, target_warnings
from pljax.data.scaling import scaling_of
from pljax.nn.outputs import class_probabilities
from pljax.protocols import adaptive
from pljax.protocols.config import Config, Phase
from pljax.report.data_summary import data_lines
from pljax.results.inference import logits
from pljax.settings import override, overrides
from pljax.training.checkpointer import NoCheckpointer
from pljax.training.devices import enable_compilation_cache
from pljax.training.loop import Outcome, train
from pljax.training.metrics import MetricsLog
from pljax.training.progress import Reporter
from pljax.training.run import predicted_warnings
from pljax.training.seed_group import make_group
from pljax.training.seeds import MOST_SEED, layout_for
from pljax.types import Dataset

UNLABELLED = -1
SCALINGS = ("auto", "none")
FLOATS = (np.float64, np.float32)
LEAST_VALIDATION = 100  # rows; by default there is no validation part that would be smaller, and so too noisy

PARAMETER_NAMES = {"pretrain_epochs": "pretrain"}  # overrides with another name as a parameter
FROM_DATA = ("labels", "validation")  # overrides that follow from the data, and are no parameters


@functools.cache
def _override_parameters() -> dict[str, str]:
    """The parameters of the classifier that are overrides of the protocol ``adaptive``, with their help."""
    configs = adaptive.scenarios(adaptive.DEFAULT_SIZES).values()
    found = {flag.name: flag.help for config in configs for flag in overrides(config)}
    return {PARAMETER_NAMES.get(name, name): help for name, help in found.items() if name not in FROM_DATA}


def _with_override_parameters(cls: Any) -> Any:
    """Add a parameter for each override to the signature and the docstring of a class; the default is ``None``."""
    signature = inspect.signature(cls.__init__)
    own = [parameter for name, parameter in signature.parameters.items() if name != "settings"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Any")
        for name in _override_parameters()
    ]
    cls.__init__.__signature__ = signature.replace(parameters=[*own, *added])
    lines = "\n".join(f"      {name}: {help}" for name, help in _override_parameters().items())
    cls.__doc__ = (cls.__doc__ or "").replace("      OVERRIDES", lines)
    return cls


@_with_override_parameters
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
      validation_fraction: share of the labelled rows that is held out to measure whether pseudo-labels help; by
        default a tenth if that is at least 100 rows, else 0.
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
      supervised_: the same classifier without pseudo-labels, fitted to the same rows for comparison; ``None`` without
        a validation part, or if pseudo-labels are not used.
      n_iter_: number of epochs.
      history_: losses, alpha, accuracies, and the share of unlabelled rows with a pseudo-label
        (``pseudo_label_coverage``), one dict per epoch and network.
      n_features_in_, feature_names_in_: as in scikit-learn.

    Pipelines, searches, ``cross_val_score`` and ``MultiOutputClassifier`` pass ``y`` on as it is. Wrappers that number
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
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
        **settings: Any,
    ):
        self.scenario = scenario
        self.n_seeds = n_seeds
        self.scaling = scaling
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose
        names = _override_parameters()
        if unknown := sorted(settings.keys() - names.keys()):
            raise TypeError(f"{type(self).__name__} has no parameter {unknown[0]!r}: it has {', '.join(names)}.")
        for name in names:
            setattr(self, name, settings.get(name))

    def fit(self, X: Any, y: Any) -> Self:
        """Fit the networks to rows ``X``, ``[n, D]``, and their classes ``y``, ``[n]``, with -1 for unlabelled rows.

        Raises ``ValueError`` for invalid data or parameters.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        targets = read_targets(y)
        X, labels = validate_data(self, X, targets.numbers, dtype=FLOATS)
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling is {self.scaling!r}: choose one of {', '.join(SCALINGS)}.")
        self.classes_, self.n_unlabelled_ = targets.classes, int((labels == UNLABELLED).sum())
        self.scaling_ = scaling_of(X) if self.scaling == "auto" else None
        config = self._config_for(labels)
        for warning in (*target_warnings(targets), *self._warnings(config, labels)):
            warnings.warn(warning, stacklevel=2)
        if self.verbose:
            Reporter().say(self._what_was_read(X, targets, config.validation))
        self._fit(config, self._inputs(X), labels, self._seeds())
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities, float32 ``[n, C]``: the mean over the networks."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        return self._probabilities_by_seed(self._inputs(X)).mean(axis=0)

    def predict(self, X: Any) -> np.ndarray:
        """Predict classes, ``[n]``: those with the largest probability."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy on the rows of known class. Rows whose ``y`` is -1 or missing are left out."""
        known_labels, spellings = split_unlabelled(y)
        known = np.array([spelling is None for spelling in spellings], np.bool_)
        weights = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(accuracy_score(known_labels, self.predict(X)[known], sample_weight=weights))

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        if np.abs(X).max() >= MAX_FEATURE:
            raise ValueError(f"X has numbers that are not between -{MAX_FEATURE:g} and {MAX_FEATURE:g}.")
        return self.scaling_.apply(X) if self.scaling_ else X.astype(np.float32)

    def _probabilities_by_seed(self, inputs: np.ndarray) -> np.ndarray:
        """The class probabilities of each network, float32 ``[n_seeds, n, C]``."""
        method = self.config_.method
        by_seed = jnp.asarray(logits(method, self.parameters_, self.extra_, inputs))
        return np.asarray(class_probabilities(by_seed, method.output))

    def _seeds(self) -> list[int]:
        """The seed of each network."""
        if not (isinstance(self.n_seeds, numbers.Integral) and self.n_seeds >= 1):
            raise ValueError(f"n_seeds is {self.n_seeds!r}: give a whole number from 1.")
        return check_random_state(self.random_state).randint(MOST_SEED, size=self.n_seeds, dtype=np.uint32).tolist()

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
        flag_names = {parameter: flag for flag, parameter in PARAMETER_NAMES.items()}
        parameters = {name: getattr(self, name) for name in _override_parameters()}
        given = {flag_names.get(name, name): value for name, value in parameters.items() if value is not None}
        if "hidden" in given:
            given["hidden"] = tuple(np.atleast_1d(np.asarray(given["hidden"])).tolist())
        given = _as_python(given)
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

    def _fit(self, config: Config, inputs: np.ndarray, labels: np.ndarray, seeds: list[int]) -> None:
        """Train the networks and, with a validation part, those without pseudo-labels. Set the fitted attributes."""
        outcome = self._train(config, inputs, labels, seeds)
        self._set_fitted(config, outcome, labels)
        self.supervised_ = None
        if config.validation and any(map(_weighs_unlabelled, config.phases)):
            self.supervised_ = copy.copy(self)
            self.supervised_.alpha_f = 0.0
            self.supervised_._fit(self.supervised_._config_for(labels), inputs, labels, seeds)
            self._warn_of_harm(config.validation)

    def _train(self, config: Config, inputs: np.ndarray, labels: np.ndarray, seeds: list[int]) -> Outcome:
        """Train all networks. Set ``history_``."""
        self.history_: list[Any] = []
        enable_compilation_cache()
        data = Dataset("X", len(self.classes_), inputs, labels, inputs[:0], labels[:0])
        layout = layout_for(len(seeds))
        with Reporter(None if self.verbose else io.StringIO()) as reporter:
            log = MetricsLog(seeds, len(labels), self.history_.extend, reporter)
            outcome = train(make_group(config, seeds, data, layout, rounded=True), log, NoCheckpointer(reporter))
        diverged = int(log.has_diverged().sum())
        if diverged == len(seeds):
            raise ValueError("Training diverged: give a lower learning_rate, or scaling='auto'.")
        if diverged:
            warnings.warn(f"{diverged} of {len(seeds)} networks diverged and are left out.", stacklevel=4)
        return outcome

    def _set_fitted(self, config: Config, outcome: Outcome, labels: np.ndarray) -> None:
        """Set the fitted attributes from the networks that did not diverge."""
        alive = ~outcome.log.has_diverged()
        self.config_ = config
        self.parameters_, self.extra_ = jax.tree.map(lambda leaf: leaf[alive], (outcome.params, outcome.extra))
        unknown = labels == UNLABELLED
        probabilities = outcome.train.probabilities[unknown] / alive.sum()
        self.pseudo_labels_ = self.classes_[probabilities.argmax(axis=1)]
        self.confidence_ = probabilities.max(axis=1)
        self.transduction_ = self.classes_[labels]
        self.transduction_[unknown] = self.pseudo_labels_
        self.n_iter_ = sum(phase.epochs for phase in config.phases)
        last = self.history_[-len(alive) :]
        self.seed_scores_ = np.array([line["validation_accuracy"] for line in last], np.float32)[alive]

    def _warn_of_harm(self, validation: int) -> None:
        """Warn if the accuracy on the validation rows is more than two standard errors lower with pseudo-labels."""
        assert self.supervised_ is not None
        with_them, without = (float(fitted.seed_scores_.mean()) for fitted in (self, self.supervised_))
        share = (without * validation + 1) / (validation + 2)  # smoothed, so that the standard error is not 0 at 100 %
        if with_them < without - 2 * np.sqrt(2 * share * (1 - share) / validation):
            warnings.warn(
                f"Pseudo-labels seem to do harm: accuracy on {validation} validation rows is {with_them:.1%} with them "
                f"and {without:.1%} without. supervised_ is the classifier without; a lower alpha_f or a higher "
                "threshold may help.",
                stacklevel=4,
            )


def without_unlabelled(config: Config) -> Config:
    """The config for data without unlabelled rows: every method trains with its supervised loss alone."""

    def labelled_only(phase: Phase) -> Phase:
        if not phase.batches.unlabelled:
            return phase
        return phase.replace(batches=LabelledBatches(batch_size=phase.batches.batch_size))

    return config.replace(phases=tuple(map(labelled_only, config.phases)))


def _weighs_unlabelled(phase: Phase) -> bool:
    """Whether a phase trains on unlabelled rows with a weight above 0."""
    return phase.batches.unlabelled and bool(np.any(np.asarray(phase.method.weight(np.arange(phase.epochs))) > 0))


def _as_python(values: dict[str, Any]) -> dict[str, Any]:
    """Convert NumPy scalars, which a search over parameters may set, to Python numbers."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
