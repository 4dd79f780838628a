"""Networks that are trained on the rows of arrays, and the class probabilities that they give together."""

import io
import warnings
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax.analysis.calibration import at_temperature, fit_temperature, guess_temperature
from pljax.analysis.guard import Guard, compare
from pljax.nn.outputs import class_probabilities
from pljax.protocols.config import Config
from pljax.results.inference import logits
from pljax.training.checkpointer import NoCheckpointer
from pljax.training.devices import enable_compilation_cache
from pljax.training.loop import Outcome, train
from pljax.training.metrics import MetricsLog
from pljax.training.progress import Reporter
from pljax.training.seed_group import make_group
from pljax.training.seeds import layout_for
from pljax.types import Dataset, Params

UNLABELLED = -1
LEAST_VALIDATION = 100  # rows that a temperature is fitted to and the guard compares on: of a few, all may be right


class TrainingRows(NamedTuple):
    """What networks are trained on."""

    inputs: np.ndarray  # float32 [n, D]
    labels: np.ndarray  # int32 [n]; -1: unlabelled
    classes: int
    weights: np.ndarray | None  # float64 [n], how many rows a labelled row counts as; None: one
    shares: np.ndarray | None  # float64 [2, C], the least and the greatest share of each class, where they are known

    @property
    def known(self) -> np.ndarray:
        """Whether a row is labelled, bool ``[n]``."""
        return self.labels != UNLABELLED

    def where(self, kept: np.ndarray) -> "TrainingRows":
        """The rows for which ``kept``, bool ``[n]``, is true."""
        weights = None if self.weights is None else self.weights[kept]
        return TrainingRows(self.inputs[kept], self.labels[kept], self.classes, weights, self.shares)


class Networks(NamedTuple):
    """Trained networks of one config. Their arrays have a leading axis of networks, ``[S, ...]``."""

    config: Config
    parameters: Params
    extra: Any  # the extra state of the method
    temperature: float  # that their logits are divided by
    validation_accuracy: np.ndarray  # float32 [S]; NaN without validation rows
    shares: np.ndarray | None  # float32 [2, C], the shares of the classes that labels were aligned with, if any

    def outputs(self, inputs: np.ndarray) -> np.ndarray:
        """The class probabilities of each network at temperature 1, ``[n, D] -> float32 [S, n, C]``."""
        by_network = jnp.asarray(logits(self.config.method, self.parameters, self.extra, inputs))
        return np.asarray(class_probabilities(by_network, self.config.method.output))

    def probabilities(self, inputs: np.ndarray) -> np.ndarray:
        """The mean over the networks of their class probabilities, ``[n, D] -> float32 [n, C]``."""
        return at_temperature(self.outputs(inputs), self.temperature).mean(axis=0, dtype=np.float32)


def train_networks(
    config: Config, rows: TrainingRows, seeds: Sequence[int], temperature: float | None, verbose: bool
) -> tuple[Networks, list[Any]]:
    """Train a network for each seed. Those that diverge are left out, with a warning.

    Args:
      config: the config.
      rows: the rows.
      seeds: the seeds.
      temperature: that of the networks; ``None``: :func:`choose_temperature`.
      verbose: whether to show progress.

    Returns:
      the networks, and the metrics of each epoch and seed. Raises ``ValueError`` if all networks diverge.
    """
    history: list[Any] = []
    enable_compilation_cache()
    data = Dataset("X", rows.classes, rows.inputs, rows.labels, rows.inputs[:0], rows.labels[:0])
    with jax.enable_x64(False), Reporter(None if verbose else io.StringIO()) as reporter:
        log = MetricsLog(seeds, len(rows.labels), history.extend, reporter)
        group = make_group(
            config, seeds, data, layout_for(len(seeds)), rounded=True, shares=rows.shares, weights=rows.weights
        )
        outcome = train(group, log, NoCheckpointer(reporter))
    diverged = int(log.has_diverged().sum())
    if diverged == len(seeds):
        raise ValueError("Training diverged: give a lower learning_rate, or scaling='auto'.")
    if diverged:
        warnings.warn(f"{diverged} of {len(seeds)} networks diverged and are left out.", stacklevel=4)
    networks = networks_of(config, outcome, history[-len(seeds) :])
    if temperature is None:
        temperature = choose_temperature(networks, rows, np.asarray(outcome.split.validation)[~log.has_diverged()])
    return networks._replace(temperature=temperature), history


def networks_of(config: Config, outcome: Outcome, last: Sequence[Any]) -> Networks:
    """The networks that did not diverge, at temperature 1. ``last`` are the metrics of each seed's last epoch."""
    alive = ~outcome.log.has_diverged()
    params, extra = jax.tree.map(lambda leaf: leaf[alive], (outcome.params, outcome.extra))
    accuracy = np.array([line["validation_accuracy"] for line in last], np.float32)[alive]
    shares = outcome.split.shares
    return Networks(config, params, extra, 1.0, accuracy, None if shares is None else np.asarray(shares).mean(axis=0))


def choose_temperature(networks: Networks, rows: TrainingRows, validation: np.ndarray) -> float:
    """Fit the temperature to the validation rows of each network, int ``[S, V]``; guess it if they are few or none."""
    if validation.shape[1] < LEAST_VALIDATION:
        return guess_temperature(rows.inputs[rows.known], rows.labels[rows.known])
    outputs = [networks.outputs(rows.inputs[of_one])[place] for place, of_one in enumerate(validation)]
    return fit_temperature(np.concatenate(outputs), rows.labels[validation.ravel()])


def compare_networks(networks: Networks, baseline: Networks, rows: TrainingRows) -> Guard:
    """Compare networks with the supervised baseline: on enough validation rows, or else on the labelled rows."""
    if (validation := networks.config.validation) >= LEAST_VALIDATION:
        error, of_baseline = (float(1 - fitted.validation_accuracy.mean()) for fitted in (networks, baseline))
        return Guard(validation, True, error, of_baseline, np.nan, np.nan)
    ours, others = (fitted.outputs(rows.inputs[rows.known]).mean(axis=0) for fitted in (networks, baseline))
    return compare(ours, others, rows.labels[rows.known], None if rows.weights is None else rows.weights[rows.known])
