"""Pseudo-Label as a scikit-learn classifier, for people with arrays."""

import copy
import functools
import inspect
import io
import numbers
import warnings
from collections.abc import Callable
from typing import Any, Self

import jax
import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from pljax.data import split
from pljax.data.batches import LabelledBatches
from pljax.data.scaling import scaling_of
from pljax.methods import Method
from pljax.nn.outputs import class_probabilities
from pljax.protocols import adaptive
from pljax.protocols.config import Config, Phase
from pljax.settings import override, overrides
from pljax.training.checkpointer import NoCheckpointer
from pljax.training.devices import enable_compilation_cache
from pljax.training.loop import Outcome, train
from pljax.training.metrics import MetricsLog
from pljax.training.progress import Reporter
from pljax.training.seed_group import make_group
from pljax.training.seeds import MOST_SEED, layout_for
from pljax.types import Dataset, Params

UNLABELLED = -1
SCALINGS = ("auto", "none")
BLOCK_ROWS = 4096  # rows that are classified in one go
FEWEST_VALIDATED = 100  # rows, for a validation part that nobody asked for: fewer say nothing

OWN_NAMES = {"pretrain_epochs": "pretrain"}  # overrides that the classifier calls otherwise
NO_PARAMETERS = ("labels", "validation")  # they follow from the data


@functools.cache
def _dials() -> dict[str, str]:
    """The parameters that are overrides of the protocol, and what each is."""
    pages = adaptive.scenarios(adaptive.USUAL).values()
    found = {flag.name: flag.help for config in pages for flag in overrides(config)}
    return {OWN_NAMES.get(name, name): help for name, help in found.items() if name not in NO_PARAMETERS}


def _with_overrides(cls: Any) -> Any:
    """Give a class's ``__init__`` and docstring a parameter for each flag, ``None`` where none is given."""
    given = inspect.signature(cls.__init__)
    parameters = {name: parameter for name, parameter in given.parameters.items() if name != "of_dials"}
    added = {
        name: inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Any")
        for name in _dials()
    }
    cls.__init__.__signature__ = given.replace(parameters=[*parameters.values(), *added.values()])
    lines = "\n".join(f"      {name}: {help}" for name, help in _dials().items())
    cls.__doc__ = (cls.__doc__ or "").replace("      DIALS", lines)
    return cls


@_with_overrides
class PseudoLabelClassifier(ClassifierMixin, BaseEstimator):
    """A neural network that learns from a few labelled rows and from all others (Lee 2013).

    Rows whose ``y`` is -1 are unlabelled: they are trained with the classes that the network itself is sure of, with a
    weight alpha(t) that rises from 0. What is ``None`` follows from the sizes of the data: see
    :mod:`pljax.protocols.adaptive`. A parameter that the scenario has no use for is ignored.

    Args:
      scenario: ``nn``, a network; ``drop_nn``, with dropout; ``pl``, with pseudo-labels; ``pl_dae``, that starts from
        a denoising auto-encoder too.
      n_seeds: networks, trained beside each other from different random numbers; their probabilities are averaged.
      scaling: ``auto`` centres the features and brings their variance to 1; ``none`` takes them as they are.
      validation_fraction: share of the labelled rows that are held back, to see whether pseudo-labels help; if not
        given, a tenth where that is 100 rows at least, and none otherwise.
      random_state: the seeds follow from it.
      verbose: show a progress bar.
      DIALS

    Attributes:
      classes_: ``[C]``.
      transduction_: the class of every training row, ``[n]``: as given, or as predicted where it was not.
      pseudo_labels_: the classes of the unlabelled rows, in their order, ``[U]``.
      confidence_: their probabilities, ``[U]``.
      seed_scores_: validation accuracy of each network, ``[n_seeds]``; NaN without a validation part.
      supervised_: the same classifier without pseudo-labels, fitted to the same rows, where there is a validation part
        to compare them on; else ``None``.
      n_iter_: epochs.
      history_: a dict an epoch a seed: losses, alpha, accuracies.
      n_features_in_, feature_names_in_: as usual.

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
        **of_dials: Any,
    ):
        self.scenario = scenario
        self.n_seeds = n_seeds
        self.scaling = scaling
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose
        if unknown := sorted(of_dials.keys() - _dials().keys()):
            raise TypeError(f"{type(self).__name__} has no parameter {unknown[0]!r}: it has {', '.join(_dials())}.")
        for name in _dials():
            setattr(self, name, of_dials.get(name))

    def fit(self, X: Any, y: Any) -> Self:
        """Learn from rows ``X`` ``[n, D]`` and their classes ``y`` ``[n]``, -1 where the class is not known.

        Raises ``ValueError`` for data or parameters that cannot be used.
        """
        X, y = validate_data(self, X, y, dtype=np.float32)
        labels = self._encode(y)
        if self.scaling not in SCALINGS:
            raise ValueError(f"scaling is {self.scaling!r}: choose one of {', '.join(SCALINGS)}.")
        self.scaling_ = scaling_of(X) if self.scaling == "auto" else None
        self._learn(self._inputs(X), labels, self._seeds())
        return self

    def predict_proba(self, X: Any) -> np.ndarray:
        """The probability of each class, float32 ``[n, C]``: the mean over the networks."""
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float32, reset=False)
        return self._of_networks(self._inputs(X)).mean(axis=0)

    def predict(self, X: Any) -> np.ndarray:
        """The class of the largest probability, ``[n]``."""
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """The accuracy on the rows whose class is known: those of ``y`` that are -1 are left out."""
        known = ~_is_unlabelled(np.asarray(y))
        weights = None if sample_weight is None else np.asarray(sample_weight)[known]
        return float(accuracy_score(np.asarray(y)[known], self.predict(X)[known], sample_weight=weights))

    def _inputs(self, X: np.ndarray) -> np.ndarray:
        return self.scaling_.apply(X) if self.scaling_ else X

    def _of_networks(self, inputs: np.ndarray) -> np.ndarray:
        """The probabilities that each network gives, float32 ``[n_seeds, n, C]``."""
        method = self.config_.method
        program = _probabilities(jax.tree.structure(method), len(self.classes_), inputs.shape[1])
        blocks = []
        for first in range(0, len(inputs), BLOCK_ROWS):
            block = inputs[first : first + BLOCK_ROWS]
            padded = np.zeros((1 << (len(block) - 1).bit_length(), inputs.shape[1]), np.float32)
            padded[: len(block)] = block  # few lengths, so few programs
            blocks.append(np.asarray(program(method, self.parameters_, self.extra_, padded))[:, : len(block)])
        return np.concatenate(blocks, axis=1)

    def _encode(self, y: np.ndarray) -> np.ndarray:
        """The classes by number, int32 ``[n]``, -1 for unlabelled; sets ``classes_``."""
        unknown = _is_unlabelled(y)
        check_classification_targets(y[~unknown])
        self.classes_, encoded = np.unique(y[~unknown], return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(f"y has labelled rows of {len(self.classes_)} class: give those of at least two.")
        labels = np.full(len(y), UNLABELLED, np.int32)
        labels[~unknown] = encoded
        return labels

    def _seeds(self) -> list[int]:
        """The seed of each network."""
        if not (isinstance(self.n_seeds, numbers.Integral) and self.n_seeds >= 1):
            raise ValueError(f"n_seeds is {self.n_seeds!r}: give a whole number from 1.")
        return check_random_state(self.random_state).randint(MOST_SEED, size=self.n_seeds, dtype=np.uint32).tolist()

    def _held_back(self, known: int) -> int:
        """How many of the labelled rows are the validation part."""
        fraction = self.validation_fraction
        if fraction is None:
            return known // 10 if known // 10 >= FEWEST_VALIDATED else 0
        if not (isinstance(fraction, numbers.Real) and 0 <= fraction < 1):
            raise ValueError(f"validation_fraction is {fraction!r}: give a number from 0 to below 1.")
        return round(float(fraction) * known)

    def _config(self, labelled: int, held_back: int, unlabelled: int) -> Config:
        """What is trained: the protocol for data of these sizes, and what the parameters say otherwise."""
        override_of = {name: flag for flag, name in OWN_NAMES.items()}
        given = {
            override_of.get(name, name): getattr(self, name) for name in _dials() if getattr(self, name) is not None
        }
        if "hidden" in given:
            given["hidden"] = tuple(np.atleast_1d(np.asarray(given["hidden"])).tolist())
        given = _plain(given)
        sizes = adaptive.Sizes(labelled, self.n_features_in_, len(self.classes_))
        of_sizes = adaptive.scenarios(sizes, given.get("epochs"))
        if self.scenario not in of_sizes:
            raise ValueError(f"scenario is {self.scenario!r}: choose one of {', '.join(of_sizes)}.")
        config, _ = override(of_sizes[self.scenario], {**given, "validation": held_back})
        return config if unlabelled else without_unlabelled(config)

    def _learn(self, inputs: np.ndarray, labels: np.ndarray, seeds: list[int]) -> None:
        """Train the networks, and those without pseudo-labels where both can be compared; sets what ends in ``_``."""
        known = int((labels != UNLABELLED).sum())
        held_back = self._held_back(known)
        config = self._config(known - held_back, held_back, len(labels) - known)
        split.check(labels, len(self.classes_), config.labels, config.validation, config.choose_labels)
        outcome = self._train(config, inputs, labels, seeds)
        self._keep(config, outcome, labels)
        self.supervised_ = None
        if held_back and any(map(_weighs_unlabelled, config.phases)):
            self.supervised_ = copy.copy(self)
            self.supervised_.alpha_f = 0.0
            self.supervised_._learn(inputs, labels, seeds)
            self._warn_of_harm(held_back)

    def _train(self, config: Config, inputs: np.ndarray, labels: np.ndarray, seeds: list[int]) -> Outcome:
        """All networks, beside each other; sets ``history_``."""
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

    def _keep(self, config: Config, outcome: Outcome, labels: np.ndarray) -> None:
        """Set what the networks learned, those that did not diverge."""
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

    def _warn_of_harm(self, held_back: int) -> None:
        assert self.supervised_ is not None
        ours, theirs = (float(each.seed_scores_.mean()) for each in (self, self.supervised_))
        likely = (theirs * held_back + 1) / (held_back + 2)  # never 1: a row more or less is always by chance
        if ours < theirs - 2 * np.sqrt(2 * likely * (1 - likely) / held_back):
            warnings.warn(
                f"Pseudo-labels seem to do harm: accuracy on {held_back} validation rows is {ours:.1%} with them and "
                f"{theirs:.1%} without. supervised_ is the classifier without; a lower alpha_f or a higher threshold "
                "may help.",
                stacklevel=4,
            )


def without_unlabelled(config: Config) -> Config:
    """The config for data that are all labelled: every method is left with its supervised loss."""

    def labelled_only(phase: Phase) -> Phase:
        if not phase.batches.unlabelled:
            return phase
        return phase.replace(batches=LabelledBatches(batch_size=phase.batches.batch_size))

    return config.replace(phases=tuple(map(labelled_only, config.phases)))


def _weighs_unlabelled(phase: Phase) -> bool:
    """Whether unlabelled rows act in a phase."""
    return phase.batches.unlabelled and bool(np.any(np.asarray(phase.method.weight(np.arange(phase.epochs))) > 0))


def _plain(overrides: dict[str, Any]) -> dict[str, Any]:
    """Numbers of NumPy, which a search over parameters brings along, as Python's."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in overrides.items()}


def _is_unlabelled(y: np.ndarray) -> np.ndarray:
    """Which labels are -1, as a number or as a text (an array of texts turns one into the other), or empty."""
    if y.dtype.kind in "iuf":
        return y == UNLABELLED
    return np.array([str(label) in ("-1", "-1.0", "") for label in y], np.bool_)


@functools.lru_cache(maxsize=8)
def _probabilities(structure: Any, classes: int, features: int) -> Callable[..., jax.Array]:
    """For methods of a structure: the probabilities of rows ``[n, D]`` by each seed's network, ``[S, n, C]``."""

    def program(method: Method, params: Params, extra: Any, inputs: jax.Array) -> jax.Array:
        def of_seed(own: tuple[Params, Any]) -> jax.Array:
            params, extra = own
            return class_probabilities(method.logits(params, extra, inputs), method.output)

        return jax.lax.map(of_seed, (params, extra))

    return jax.jit(program)
