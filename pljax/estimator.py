"""Pseudo-Label as a scikit-learn classifier, for people with arrays."""

import copy
import dataclasses
import functools
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

from pljax import split
from pljax.config import Config, Finetune, override
from pljax.journal import Journal
from pljax.keeper import Forgetful
from pljax.models import forward
from pljax.phases import final_model
from pljax.progress import Reporter
from pljax.protocols.adaptive import Sizes, scenarios
from pljax.scaling import scaling_of
from pljax.score import class_probabilities
from pljax.seeds import MOST_SEED, layout_for
from pljax.training import Outcome, make_group, train
from pljax.types import Dataset, Params

UNLABELLED = -1
SCALINGS = ("auto", "none")
BLOCK_ROWS = 4096  # rows that are classified in one go
FEWEST_VALIDATED = 100  # rows, for a validation part that nobody asked for: fewer say nothing


class PseudoLabelClassifier(ClassifierMixin, BaseEstimator):
    """A neural network that learns from a few labelled rows and from all others (Lee 2013).

    Rows whose ``y`` is -1 are unlabelled: they are trained with the classes that the network itself is sure of, with a
    weight alpha(t) that rises from 0. What is ``None`` follows from the sizes of the data: see
    :mod:`pljax.protocols.adaptive`. A parameter that the scenario has no use for is ignored.

    Args:
      scenario: ``nn``, a network; ``drop_nn``, with dropout; ``pl``, with pseudo-labels; ``pl_dae``, that starts from
        a denoising auto-encoder too.
      hidden: width of the hidden layer, or widths of several.
      visible_dropout: share of the features that are dropped in training.
      hidden_dropout: share of the hidden units.
      input_noise: standard deviation of Gaussian noise on the scaled features, in training.
      learning_rate: of Adam.
      alpha_f: final weight of the unlabelled rows, eq. 16.
      t1: epoch from which the weight rises.
      t2: epoch from which it is ``alpha_f``.
      threshold: a row whose largest probability is lower gets no pseudo-label.
      alignment: from 0 to 1, how far pseudo-labels are held to the classes' shares among the labelled rows. Lower it
        where the labelled rows are no fair sample.
      epochs: passes over the labelled rows; ``t1`` and ``t2`` follow.
      batch_size: labelled rows an update.
      unlabelled_batch_size: unlabelled rows an update.
      pretrain: epochs of the auto-encoder, of 600 updates each.
      n_seeds: networks, trained beside each other from different random numbers; their probabilities are averaged.
      scaling: ``auto`` centres the features and brings their variance to 1; ``none`` takes them as they are.
      validation_fraction: share of the labelled rows that are held back, to see whether pseudo-labels help; if not
        given, a tenth where that is 100 rows at least, and none otherwise.
      random_state: the seeds follow from it.
      verbose: show a progress bar.

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
        hidden: int | tuple[int, ...] | None = None,
        visible_dropout: float | None = None,
        hidden_dropout: float | None = None,
        input_noise: float | None = None,
        learning_rate: float | None = None,
        alpha_f: float | None = None,
        t1: int | None = None,
        t2: int | None = None,
        threshold: float | None = None,
        alignment: float | None = None,
        epochs: int | None = None,
        batch_size: int | None = None,
        unlabelled_batch_size: int | None = None,
        pretrain: int | None = None,
        n_seeds: int = 1,
        scaling: str = "auto",
        validation_fraction: float | None = None,
        random_state: int | np.random.RandomState | None = None,
        verbose: bool = False,
    ):
        self.scenario = scenario
        self.hidden = hidden
        self.visible_dropout = visible_dropout
        self.hidden_dropout = hidden_dropout
        self.input_noise = input_noise
        self.learning_rate = learning_rate
        self.alpha_f = alpha_f
        self.t1 = t1
        self.t2 = t2
        self.threshold = threshold
        self.alignment = alignment
        self.epochs = epochs
        self.batch_size = batch_size
        self.unlabelled_batch_size = unlabelled_batch_size
        self.pretrain = pretrain
        self.n_seeds = n_seeds
        self.scaling = scaling
        self.validation_fraction = validation_fraction
        self.random_state = random_state
        self.verbose = verbose

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
        program = _probabilities(self.config_, len(self.classes_))
        blocks = []
        for first in range(0, len(inputs), BLOCK_ROWS):
            block = inputs[first : first + BLOCK_ROWS]
            padded = np.zeros((1 << (len(block) - 1).bit_length(), inputs.shape[1]), np.float32)
            padded[: len(block)] = block  # few lengths, so few programs
            blocks.append(np.asarray(program(self.parameters_, padded))[:, : len(block)])
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
        dials = {dial: getattr(self, name) for name, dial in DIALS.items() if getattr(self, name) is not None}
        if "hidden" in dials:
            dials["hidden"] = tuple(np.atleast_1d(np.asarray(self.hidden)).tolist())
        dials = _plain(dials)
        sizes = Sizes(labelled, self.n_features_in_, len(self.classes_))
        of_sizes = scenarios(sizes, dials.get("epochs"))
        if self.scenario not in of_sizes:
            raise ValueError(f"scenario is {self.scenario!r}: choose one of {', '.join(of_sizes)}.")
        config, _ = override(of_sizes[self.scenario], {**dials, "validation": held_back})
        return config if unlabelled else without_pseudo_labels(config)

    def _learn(self, inputs: np.ndarray, labels: np.ndarray, seeds: list[int]) -> None:
        """Train the networks, and those without pseudo-labels where both can be compared; sets what ends in ``_``."""
        known = int((labels != UNLABELLED).sum())
        held_back = self._held_back(known)
        config = self._config(known - held_back, held_back, len(labels) - known)
        split.check(labels, len(self.classes_), config.labels, config.validation, config.choose_labels)
        outcome = self._train(config, inputs, labels, seeds)
        self._keep(config, outcome, labels)
        self.supervised_ = None
        if held_back and any(isinstance(phase, Finetune) and _alpha_f(phase) for phase in config.phases):
            self.supervised_ = copy.copy(self)
            self.supervised_.alpha_f = 0.0
            self.supervised_._learn(inputs, labels, seeds)
            self._warn_of_harm(held_back)

    def _train(self, config: Config, inputs: np.ndarray, labels: np.ndarray, seeds: list[int]) -> Outcome:
        """All networks, beside each other; sets ``history_``."""
        self.history_: list[Any] = []
        data = Dataset("X", len(self.classes_), inputs, labels, inputs[:0], labels[:0])
        layout = layout_for(len(seeds))
        with Reporter(None if self.verbose else io.StringIO()) as reporter:
            journal = Journal(seeds, len(labels), self.history_.extend, reporter)
            outcome = train(make_group(config, seeds, data, layout), journal, Forgetful(reporter))
        diverged = int(journal.has_diverged().sum())
        if diverged == len(seeds):
            raise ValueError("Training diverged: give a lower learning_rate, or scaling='auto'.")
        if diverged:
            warnings.warn(f"{diverged} of {len(seeds)} networks diverged and are left out.", stacklevel=4)
        return outcome

    def _keep(self, config: Config, outcome: Outcome, labels: np.ndarray) -> None:
        """Set what the networks learned, those that did not diverge."""
        alive = ~outcome.journal.has_diverged()
        self.config_ = config
        self.parameters_ = jax.tree.map(lambda leaf: leaf[alive], outcome.params)
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


# Parameters that are dials of a config, by the dial's name.
SHAPE = ("hidden", "visible_dropout", "hidden_dropout", "input_noise")
COURSE = (
    "learning_rate",
    "alpha_f",
    "t1",
    "t2",
    "threshold",
    "alignment",
    "epochs",
    "batch_size",
    "unlabelled_batch_size",
)
DIALS = {name: name for name in (*SHAPE, *COURSE)} | {"pretrain": "pretrain_epochs"}


def without_pseudo_labels(config: Config) -> Config:
    """The config for data that are all labelled."""
    phases = (
        dataclasses.replace(phase, pseudo_labels=None) if isinstance(phase, Finetune) else phase
        for phase in config.phases
    )
    return dataclasses.replace(config, phases=tuple(phases))


def _alpha_f(phase: Finetune) -> float:
    return phase.pseudo_labels.alpha_f if phase.pseudo_labels else 0.0


def _plain(dials: dict[str, Any]) -> dict[str, Any]:
    """Numbers of NumPy, which a search over parameters brings along, as Python's."""
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in dials.items()}


def _is_unlabelled(y: np.ndarray) -> np.ndarray:
    """Which labels are -1, as a number or as a text (an array of texts turns one into the other), or empty."""
    if y.dtype.kind in "iuf":
        return y == UNLABELLED
    return np.array([str(label) in ("-1", "-1.0", "") for label in y], np.bool_)


@functools.lru_cache(maxsize=16)
def _probabilities(config: Config, classes: int) -> Callable[..., jax.Array]:
    """The probabilities of rows ``[n, D]`` under the parameters of each seed, ``[S, n, C]``."""
    model = final_model(config, classes)

    def program(params: Params, inputs: jax.Array) -> jax.Array:
        return jax.lax.map(lambda own: class_probabilities(forward(model, own, inputs), config.output), params)

    return jax.jit(program)
