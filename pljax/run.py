"""The only loop with side effects: a config, seeds and data become a folder with a result.

Everything computed is a pure function of one seed from ``split``, ``pretrain``, ``finetune`` and ``score``;
here they are put over the seeds, called in order, and told to a person and to the disk.
"""

import functools
import importlib.metadata
import platform
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax import phases, split
from pljax.config import Config, Finetune, Pretrain, to_json
from pljax.files import without_nan
from pljax.journal import Journal
from pljax.models import parameter_count
from pljax.progress import Reporter
from pljax.result import Result
from pljax.score import confusion, score
from pljax.seeds import device, devices_for, over_seeds, seed_keys, share, spread
from pljax.types import Dataset, Evaluation, Metrics, Params, Split, Trainer, TrainingData, TrainState
from pljax.workdir import AUTOENCODER, RunFolder


class Outcome(NamedTuple):
    """What a group of seeds left behind, on the host; the leading axis of every array is the seeds'."""

    params: Params  # of the classifier
    autoencoder: Params  # empty where none was trained
    split: Split
    journal: Journal
    train: tuple[np.ndarray, np.ndarray]  # predicted int32 [S, N], conditional entropy float32 [S, N]
    test: tuple[np.ndarray, np.ndarray]  # the same, [S, M]


def run(
    config: Config,
    seeds: Sequence[int],
    dataset: Dataset,
    folder: RunFolder,
    reporter: Reporter | None = None,
    *,
    seeds_at_once: int | None = None,
) -> Result:
    """Train every seed, score the test set once, and leave the result in ``folder``.

    Args:
      config: what to train.
      seeds: which seeds; each gives what it would give alone.
      dataset: the images.
      folder: where config, metrics, parameters and result go.
      reporter: is told how far it is; one that writes to standard error if not given.
      seeds_at_once: how many seeds share the device's memory; all of them if not given.

    Raises:
      InputError: the data cannot give the split, or the folder cannot be written.
    """
    split.check(dataset.train_labels, dataset.classes, config.labels, config.validation)
    folder.start(config)
    warnings = foresee(config)
    size = seeds_at_once or len(seeds)
    groups = [seeds[first : first + size] for first in range(0, len(seeds), size)]
    seconds: dict[str, float] = defaultdict(float)
    with reporter or Reporter() as reporter:
        for warning in warnings:
            reporter.say(f"warning: {warning}")
        outcomes = [train(config, group, dataset, folder, reporter, seconds) for group in groups]
    folder.save_parameters(_stack([outcome.params for outcome in outcomes]))
    if outcomes[0].autoencoder:
        folder.save_parameters(_stack([outcome.autoencoder for outcome in outcomes]), AUTOENCODER)
    told = {**facts(config, seeds, dataset, seconds, warnings), **figures(config, seeds, dataset, outcomes)}
    result = Result(**without_nan(told))
    folder.save_result(result)
    return result


def count_parameters(config: Config, dataset: Dataset) -> int:
    """How many parameters the classifier has, a seed."""
    model = phases.final_model(config, dataset.classes)
    image = jax.ShapeDtypeStruct((1, dataset.train_images.shape[1]), jnp.float32)
    key = jax.eval_shape(lambda: jax.random.key(0))
    return parameter_count(jax.eval_shape(model.init, key, image)["params"])


def foresee(config: Config) -> list[str]:
    """What can be said to go wrong before anything is trained."""
    warnings = []
    for phase in config.phases:
        if not isinstance(phase, Finetune) or phase.pseudo_labels is None:
            continue
        pseudo = phase.pseudo_labels
        highest = pseudo.alpha_f * min(max(phase.epochs - 1 - pseudo.t1, 0) / (pseudo.t2 - pseudo.t1), 1)
        if highest == 0:
            warnings.append(
                f"alpha(t) never rises above 0: pseudo-labels are not used (epochs {phase.epochs}, t1 {pseudo.t1}, "
                f"alpha_f {pseudo.alpha_f:g})."
            )
        elif highest < pseudo.alpha_f:
            warnings.append(
                f"alpha(t) ends at {highest:.3g} and never reaches alpha_f {pseudo.alpha_f:g} (epochs {phase.epochs}, "
                f"t2 {pseudo.t2})."
            )
    return warnings


def train(
    config: Config,
    seeds: Sequence[int],
    dataset: Dataset,
    folder: RunFolder,
    reporter: Reporter,
    seconds: dict[str, float],
) -> Outcome:
    """All phases for a group of seeds, then the one look at the test images. Adds to ``seconds`` by phase."""
    devices = devices_for(len(seeds))
    data = share(devices, TrainingData(jnp.asarray(dataset.train_images), jnp.asarray(dataset.train_labels)))
    keys = spread(devices, seed_keys(seeds))
    parts = split_program(config, dataset.classes)(keys, data.labels)
    journal = Journal(seeds, folder, reporter)
    params: Params = {}
    autoencoder: Params = {}
    for number in range(len(config.phases)):
        started = time.monotonic()
        phase, name = programs(config, number, dataset.classes), phases.name_of(config, number)
        journal.begin(number, name, phase.trainer)
        # What starts constant starts on every device: laid out like the rest, the programs are compiled once.
        state = spread(devices, phase.init(phase.key(keys), params, parts, data))
        state = train_phase(phase, phase.key(keys), state, parts, data, journal)
        params = phase.trainer.hand_on(state)
        if isinstance(config.phases[number], Pretrain):
            autoencoder = jax.device_get(state.params)
        seconds[name] += time.monotonic() - started
    started = time.monotonic()
    scored = score_program(config, dataset.classes)
    train_scores = jax.device_get(scored(params, data.images))
    test_scores = jax.device_get(scored(params, share(devices, jnp.asarray(dataset.test_images))))
    seconds["score"] += time.monotonic() - started
    return Outcome(jax.device_get(params), autoencoder, jax.device_get(parts), journal, train_scores, test_scores)


class Programs(NamedTuple):
    """A phase over seeds: how its key comes from a seed's root key, and its functions, each compiled once."""

    trainer: Trainer
    key: Callable[..., jax.Array]
    init: Callable[..., TrainState]
    advance: Callable[..., tuple[TrainState, Metrics]]
    evaluate: Callable[..., Evaluation]


@functools.lru_cache(maxsize=16)
def programs(config: Config, number: int, classes: int) -> Programs:
    """The programs of a phase. Groups of seeds of one size share them, and runs of one config in one process."""
    trainer = phases.trainer_of(config, number, classes)
    return Programs(
        trainer,
        key=over_seeds(functools.partial(phases.key_of, config, number), (0,)),
        init=over_seeds(trainer.init, (0, 0, 0, None)),
        advance=over_seeds(trainer.advance, (0, None, 0, 0, None), donate=(2,)),
        evaluate=over_seeds(trainer.evaluate, (0, 0, None)),
    )


@functools.lru_cache(maxsize=16)
def split_program(config: Config, classes: int) -> Callable[..., Split]:
    """The split of each seed, from the seeds' root keys and the training labels."""
    return over_seeds(functools.partial(phases.split_of, config, classes), (0, None))


@functools.lru_cache(maxsize=16)
def score_program(config: Config, classes: int) -> Callable[..., tuple[jax.Array, jax.Array]]:
    """Classes and conditional entropies of images, from the parameters that each seed ends with."""
    return over_seeds(functools.partial(score, phases.final_model(config, classes), config.output), (0, None))


def train_phase(
    phase: Programs, keys: jax.Array, state: TrainState, parts: Split, data: TrainingData, journal: Journal
) -> TrainState:
    """Every round of one phase, for all seeds at once. ``keys`` are the phase's."""
    for t in range(phase.trainer.epochs * phase.trainer.rounds):
        state, metrics = phase.advance(keys, jnp.int32(t), state, parts, data)
        evaluation = phase.evaluate(state, parts, data) if journal.wants_evaluation(t) else None
        journal.record(t, *jax.device_get((metrics, evaluation)))
    return state


def _stack(trees: Sequence[Any]) -> Any:
    """Trees of arrays, joined along the axis of seeds."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *trees)


def facts(
    config: Config, seeds: Sequence[int], dataset: Dataset, seconds: Mapping[str, float], warnings: Sequence[str]
) -> dict[str, Any]:
    """What the result says of the run itself."""
    sizes = {"train": len(dataset.train_labels), "test": len(dataset.test_labels)}
    return {
        "scenario": config.scenario,
        "protocol": config.protocol,
        "dataset": {"name": dataset.name, "digest": dataset.digest, **sizes},
        "seeds": list(seeds),
        "class_counts": {
            "labelled": dataset.classes * [config.labels // dataset.classes],
            "test": np.bincount(dataset.test_labels, minlength=dataset.classes),
        },
        "parameters": count_parameters(config, dataset),
        "config": to_json(config),
        "warnings": list(warnings),
        "versions": versions(),
        "device": device(),
        "seconds": dict(seconds),
    }


def figures(config: Config, seeds: Sequence[int], dataset: Dataset, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """What the result says of each seed. A diverged seed's figures are NaN, so that no mean can take them in."""
    parts, (train_classes, train_entropy), (test_classes, test_entropy), before, after = _stack(
        [(group.split, group.train, group.test, group.journal.before, group.journal.after) for group in outcomes]
    )
    diverged = {seed: where for group in outcomes for seed, where in group.journal.diverged.items()}
    alive = np.where([seed in diverged for seed in seeds], np.nan, 1).astype(np.float32)
    correct = test_classes == dataset.test_labels
    unlabelled = np.take_along_axis(train_classes, parts.unlabelled, axis=1)
    confusions = [confusion(dataset.test_labels, given, dataset.classes).tolist() for given in test_classes]
    learns_unlabelled = any(isinstance(phase, Finetune) and phase.pseudo_labels for phase in config.phases)
    measured_on = "validation" if config.validation else "unlabelled"
    return {
        "test_accuracy": alive * correct.mean(axis=1),
        "test_error": alive * (~correct).mean(axis=1),
        "diverged": {str(seed): where for seed, where in diverged.items()},
        "confusion": [None if seed in diverged else counts for seed, counts in zip(seeds, confusions, strict=True)],
        "conditional_entropy": {
            "labelled": alive * np.take_along_axis(train_entropy, parts.labelled, axis=1).mean(axis=1),
            "unlabelled": alive * np.take_along_axis(train_entropy, parts.unlabelled, axis=1).mean(axis=1),
            "test": alive * test_entropy.mean(axis=1),
        },
        "pseudo_label_accuracy": alive * (unlabelled == dataset.train_labels[parts.unlabelled]).mean(axis=1),
        "unlabelled_training": {"measured_on": measured_on, "before": alive * before, "after": alive * after}
        if learns_unlabelled
        else None,
    }


def versions() -> dict[str, str]:
    """What was run with."""
    packages = ("pljax", "jax", "jaxlib", "flax", "optax", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
