"""Pseudo-Label as a scikit-learn classifier."""

import copy
import functools
import inspect
import io
import numbers
import warnings
from typing import Any, Literal, NamedTuple, Self

import jax
import jax.numpy as jnp
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from pljax.analysis.calibration import at_temperature, fit_temperature, guess_temperature
from pljax.analysis.guard import Guard, compare
from pljax.data import custom, split
from pljax.data.reading.checks import MAX_FEATURE
from pljax.data.reading.labels import Labels
from pljax.data.reading.rows import Rows
from pljax.data.reading.targets import Targets, read_targets, split_unlabelled, target_warnings
from pljax.data.scaling import scaling_of
from pljax.nn.outputs import class_probabilities
from pljax.protocols import adaptive
from pljax.protocols.config import Config
from pljax.protocols.twin import supervised, without_unlabelled
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
ANSWER = (  # the fitted attributes that predictions depend on
    "config_",
    "parameters_",
    "extra_",
    "pseudo_labels_",
    "confidence_",
    "transduction_",
    "seed_scores_",
    "temperature_",
)
# Overrides that follow from the data and are no parameters, or are parameters of a wider kind.
EXCLUDED = ("labels", "validation", "class_prior")


@functools.cache
def _override_parameters() -> dict[str, str]:
    """The parameters of the classifier that are overrides of the protocol ``adaptive``, with their help."""
    configs = adaptive.scenarios(adaptive.DEFAULT_SIZES).values()
    found = {flag.name: flag.help for config in configs for flag in overrides(config)}
    return {PARAMETER_NAMES.get(name, name): help for name, help in found.items() if name not in EXCLUDED}


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


class TrainingRows(NamedTuple):
    """What the networks are trained with."""

    inputs: np.ndarray  # float32 [n, D]
    labels: np.ndarray  # int32 [n]; -1: unlabelled
    weights: np.ndarray | None  # float64 [n], how many rows a labelled row counts as; None: one
    shares: np.ndarray | None  # float64 [2, C], the least and the greatest share of each class, where they are known


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
      validation_fraction: share of the labelled rows that is held out to measure whether unlabelled rows help; by
        default a tenth if that is at least 100 rows, else 0.
      guard: ``auto`` also trains the same network with the labelled rows alone, and lets it answer where unlabelled
        rows seem to do harm: see :class:`pljax.analysis.guard.Guard`. ``False`` does not.
      class_prior: the shares of the classes in the population, which pseudo-labels are aligned with. ``estimated``: an
        interval, estimated from the labelled and the unlabelled rows (:func:`pljax.data.shares.estimate`), for
        labels that were collected class by class, and by default. ``labelled``: those of the labelled rows, for labels
        that are a random sample. An array ``[C]`` in the order of ``classes_``: shares that are known.
      class_weight: the weights of the classes in the loss of labelled rows, as in scikit-learn: a dict, ``balanced``,
        or ``None`` for equal ones.
      temperature: what logits are divided by before they become probabilities; classes do not depend on it. By default
        the one under which the validation rows are most likely; without validation rows, a guess
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
      guarded_: whether ``supervised_`` answers.
      guard_: what decided: errors and log-likelihoods of both on labelled rows; ``None`` where ``supervised_`` is.
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
        names = _override_parameters()
        if unknown := sorted(settings.keys() - names.keys()):
            raise TypeError(f"{type(self).__name__} has no parameter {unknown[0]!r}: it has {', '.join(names)}.")
        for name in names:
            setattr(self, name, settings.get(name))

    def fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Fit the networks to rows ``X``, ``[n, D]``, and their classes ``y``, ``[n]``, with -1 for unlabelled rows.

        ``sample_weight``, ``[n]``, says how many rows a labelled row counts as in the loss; unlabelled rows have none.
        Raises ``ValueError`` for invalid data or parameters.
        """
        if y is None:
            raise ValueError(f"{type(self).__name__} requires y to be passed, but the target y is None.")
        targets = read_targets(y)
        X, labels = validate_data(self, X, targets.numbers, dtype=FLOATS)
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling is {self.scaling!r}: choose one of {', '.join(SCALINGS)}.")
        if self.temperature is not None and not 0 < self.temperature < np.inf:
            raise ValueError(f"temperature is {self.temperature!r}: give a number above 0.")
        if not (self.guard is False or self.guard == "auto"):
            raise ValueError(f"guard is {self.guard!r}: choose one of auto, False.")
        self.classes_, self.n_unlabelled_ = targets.classes, int((labels == UNLABELLED).sum())
        self.scaling_ = scaling_of(X) if self.scaling == "auto" else None
        config = self._config_for(labels)
        for warning in (*target_warnings(targets), *self._warnings(config, labels)):
            warnings.warn(warning, stacklevel=2)
        if self.verbose:
            Reporter().say(self._what_was_read(X, targets, config.validation))
        inputs, weights = self._inputs(X), self._weights(X, labels, sample_weight)
        self._fit(config, TrainingRows(inputs, labels, weights, self._known_shares()), self._seeds())
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """Predict class probabilities, float32 ``[n, C]``: the mean over the networks."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=FLOATS, reset=False)
        return self._probabilities(self._inputs(X))

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

    def _outputs_by_seed(self, inputs: np.ndarray) -> np.ndarray:
        """The class probabilities of each network as it is, float32 ``[n_seeds, n, C]``."""
        method = self.config_.method
        by_seed = jnp.asarray(logits(method, self.parameters_, self.extra_, inputs))
        return np.asarray(class_probabilities(by_seed, method.output))

    def _probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """The mean over the networks of their class probabilities at the temperature, float32 ``[n, C]``."""
        by_seed = at_temperature(self._outputs_by_seed(inputs), self.temperature_)
        return by_seed.mean(axis=0, dtype=np.float32)

    def _seeds(self) -> list[int]:
        """The seed of each network."""
        if not (isinstance(self.n_seeds, numbers.Integral) and self.n_seeds >= 1):
            raise ValueError(f"n_seeds is {self.n_seeds!r}: give a whole number from 1.")
        return check_random_state(self.random_state).randint(MOST_SEED, size=self.n_seeds, dtype=np.uint32).tolist()

    def _weights(self, X: np.ndarray, labels: np.ndarray, sample_weight: Any) -> np.ndarray | None:
        """How many rows each labelled row counts as, float64 ``[n]``; ``None``: one."""
        if sample_weight is None and self.class_weight is None:
            return None
        known = labels != UNLABELLED
        weights = _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        weights[known] *= compute_sample_weight(self.class_weight, self.classes_[labels[known]])
        weights[~known] = 0
        if not 0 < weights.sum() < np.inf:
            raise ValueError("The weights of the labelled rows sum to 0: give some of them a sample_weight above 0.")
        return weights / weights[known].mean()

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
        flag_names = {parameter: flag for flag, parameter in PARAMETER_NAMES.items()}
        parameters = {name: getattr(self, name) for name in _override_parameters()}
        given = {flag_names.get(name, name): value for name, value in parameters.items() if value is not None}
        if "hidden" in given:
            given["hidden"] = tuple(np.atleast_1d(np.asarray(given["hidden"])).tolist())
        if isinstance(self.class_prior, str):
            given["class_prior"] = self.class_prior
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

    def _fit(self, config: Config, rows: TrainingRows, seeds: list[int]) -> None:
        """Train the networks, and with ``guard`` those without unlabelled rows. Set the fitted attributes."""
        outcome = self._train(config, rows, seeds)
        self._set_fitted(config, outcome, rows)
        shares = outcome.split.shares
        self.class_prior_: np.ndarray | None = None if shares is None else np.asarray(shares).mean(axis=0)
        self.supervised_: Self | None = None
        self.guard_: Guard | None = None
        self.guarded_ = False
        if self.guard and any(phase.batches.unlabelled for phase in config.phases):
            self.supervised_, twin = copy.copy(self), supervised(config)
            of_twin = self.supervised_._train(twin, rows._replace(shares=self.class_prior_), seeds)
            self.supervised_._set_fitted(twin, of_twin, rows)
            self.guard_ = self._compared(self.supervised_, rows)
            self.guarded_ = self.guard_.answers_supervised
        if self.guard_ and self.guarded_:
            for name in ANSWER:
                setattr(self, name, getattr(self.supervised_, name))
            warnings.warn(guard_warning(self.guard_), stacklevel=3)

    def _compared(self, twin: Self, rows: TrainingRows) -> Guard:
        """Compare with a twin: on the validation rows of each network, or else on the labelled rows."""
        if validation := self.config_.validation:
            error, of_twin = (float(1 - fitted.seed_scores_.mean()) for fitted in (self, twin))
            return Guard(validation, True, error, of_twin, np.nan, np.nan)
        known = rows.labels != UNLABELLED
        mine, others = (fitted._outputs_by_seed(rows.inputs[known]).mean(axis=0) for fitted in (self, twin))
        return compare(mine, others, rows.labels[known], None if rows.weights is None else rows.weights[known])

    def _train(self, config: Config, rows: TrainingRows, seeds: list[int]) -> Outcome:
        """Train all networks. Set ``history_``."""
        self.history_: list[Any] = []
        enable_compilation_cache()
        data = Dataset("X", len(self.classes_), rows.inputs, rows.labels, rows.inputs[:0], rows.labels[:0])
        layout = layout_for(len(seeds))
        with Reporter(None if self.verbose else io.StringIO()) as reporter:
            log = MetricsLog(seeds, len(rows.labels), self.history_.extend, reporter)
            group = make_group(config, seeds, data, layout, rounded=True, shares=rows.shares, weights=rows.weights)
            outcome = train(group, log, NoCheckpointer(reporter))
        diverged = int(log.has_diverged().sum())
        if diverged == len(seeds):
            raise ValueError("Training diverged: give a lower learning_rate, or scaling='auto'.")
        if diverged:
            warnings.warn(f"{diverged} of {len(seeds)} networks diverged and are left out.", stacklevel=4)
        return outcome

    def _set_fitted(self, config: Config, outcome: Outcome, rows: TrainingRows) -> None:
        """Set the fitted attributes from the networks that did not diverge."""
        alive = ~outcome.log.has_diverged()
        self.config_ = config
        self.parameters_, self.extra_ = jax.tree.map(lambda leaf: leaf[alive], (outcome.params, outcome.extra))
        self.temperature_ = self._temperature(rows, np.asarray(outcome.split.validation)[alive])
        unknown = rows.labels == UNLABELLED
        probabilities = self._probabilities(rows.inputs[unknown])
        self.pseudo_labels_ = self.classes_[probabilities.argmax(axis=1)]
        self.confidence_ = probabilities.max(axis=1)
        self.transduction_ = self.classes_[rows.labels]
        self.transduction_[unknown] = self.pseudo_labels_
        self.n_iter_ = sum(phase.epochs for phase in config.phases)
        last = self.history_[-len(alive) :]
        self.seed_scores_ = np.array([line["validation_accuracy"] for line in last], np.float32)[alive]

    def _temperature(self, rows: TrainingRows, validation: np.ndarray) -> float:
        """The temperature as given, or that of the validation rows of the networks, int ``[n_seeds, V]``, if any."""
        if self.temperature is not None:
            return self.temperature
        if not validation.size:
            known = rows.labels != UNLABELLED
            return guess_temperature(rows.inputs[known], rows.labels[known])
        outputs = [self._outputs_by_seed(rows.inputs[of_seed])[seed] for seed, of_seed in enumerate(validation)]
        return fit_temperature(np.concatenate(outputs), rows.labels[validation.ravel()])


def guard_warning(guard: Guard) -> str:
    """Say that the classifier without unlabelled rows answers, and why."""
    rows = f"{guard.rows:,} {'validation' if guard.validation else 'labelled'} rows"
    reason = f"{guard.error:.1%} of {rows} are wrong with them and {guard.supervised_error:.1%} without"
    if guard.error <= guard.supervised_error:
        reason = f"they make the classes of {rows} less likely, by {guard.nats - guard.supervised_nats:.1f} nats"
    return f"Unlabelled rows seem to do harm: {reason}. supervised_ answers, which was trained without them."


def _as_python(values: dict[str, Any]) -> dict[str, Any]:
    """Convert NumPy scalars, which a search over parameters may set, to Python numbers."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in values.items()}
