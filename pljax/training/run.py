"""A config, seeds and data become a folder with a result: what was begun is gone on with, what is done is kept."""

import importlib.metadata
import platform
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from pljax.data import split
from pljax.data.serialization import without_nan
from pljax.nn.networks import parameter_count
from pljax.nn.trees import by_path
from pljax.protocols.config import Config, shapes
from pljax.results import pseudo_labels
from pljax.results.folder import EXTRA, RunFolder
from pljax.results.result import Result
from pljax.settings import differences, to_json
from pljax.training.checkpointer import EVERY_MINUTE, Checkpointer, SaveInterval
from pljax.training.devices import device
from pljax.training.loop import Outcome, train
from pljax.training.metrics import MetricsLog
from pljax.training.progress import Reporter
from pljax.training.scoring import confusion
from pljax.training.seed_group import make_group, split_seeds
from pljax.training.seeds import layout_for
from pljax.types import Dataset, InputError, Split


def run(
    config: Config,
    seeds: Sequence[int],
    dataset: Dataset,
    folder: RunFolder,
    reporter: Reporter | None = None,
    *,
    seeds_at_once: int | None = None,
    checkpoint_every: SaveInterval = EVERY_MINUTE,
    overwrite: bool = False,
) -> Result:
    """Train every seed, score the test set once, and leave the result in ``folder``.

    A run that was cut off goes on from its last checkpoint, and ends with what it would have ended with; a
    finished one is not run again.

    Args:
      config: what to train.
      seeds: which seeds; each gives what it would give alone.
      dataset: the images.
      folder: where config, metrics, checkpoints, parameters and result go.
      reporter: is told how far it is; one that writes to standard error if not given.
      seeds_at_once: how many seeds share the device's memory; all of them if not given.
      checkpoint_every: how much work may be lost; a minute's if not given.
      overwrite: begin anew, whatever is in the folder.

    Raises:
      InputError: the data cannot give the split, the folder cannot be written, or it holds another run.
      Interrupted: a signal asked for an end; all that was done is saved.
    """
    split.check(dataset.train_labels, dataset.classes, config.labels, config.validation, config.choose_labels)
    groups = in_groups(seeds, seeds_at_once)
    with folder.locked(), reporter or Reporter() as reporter:
        if overwrite:
            folder.clear()
        require_same(config, groups, dataset, folder)
        if folder.finished:
            reporter.say(f"{folder.path} is finished: its result is shown; --overwrite runs it again.")
            return folder.load_result()
        begin(config, groups, dataset, folder, reporter)
        warnings = predicted_warnings(config)
        for warning in warnings:
            reporter.say(f"warning: {warning}")
        outcomes = train_groups(config, groups, dataset, folder, checkpoint_every, reporter)
        save_outcomes(outcomes, dataset, folder)
        told = {**facts(config, seeds, dataset, outcomes, warnings), **figures(config, seeds, dataset, outcomes)}
        result = Result(**without_nan(told))
        folder.save_result(result)
        return result


def train_groups(
    config: Config,
    groups: Sequence[Sequence[int]],
    dataset: Dataset,
    folder: RunFolder,
    checkpoint_every: SaveInterval,
    reporter: Reporter,
) -> list[Outcome]:
    """Train one group of seeds after another, each from its last checkpoint on."""
    outcomes, metrics = [], 0
    for number, group in enumerate(groups):
        log = MetricsLog(group, len(dataset.train_labels), folder.append_metrics, reporter)
        path, layout = folder.checkpoints(number), layout_for(len(group))
        with Checkpointer(path, checkpoint_every, layout, folder, log, reporter, metrics) as checkpointer:
            outcomes.append(train(make_group(config, group, dataset, layout), log, checkpointer))
        metrics = checkpointer.metrics
    return outcomes


def save_outcomes(outcomes: Sequence[Outcome], dataset: Dataset, folder: RunFolder) -> None:
    """Write what the seeds learned: their networks, and the labels that they give."""
    folder.save_parameters(_stack([outcome.params for outcome in outcomes]))
    if extra := by_path(_stack([outcome.extra for outcome in outcomes])):
        folder.save_arrays(extra, EXTRA)
    for name, params in _stack([outcome.pretrained for outcome in outcomes]).items():
        folder.save_parameters(params, f"{name}.npz")
    if dataset.inputs:
        folder.save_inputs(dataset.inputs, dataset.names)
    labelled = [_labelled(outcome) for outcome in outcomes]
    folder.save_pseudo_labels(pseudo_labels.table(labelled, dataset.names, dataset.row_names))


def in_groups(seeds: Sequence[int], at_once: int | None) -> list[list[int]]:
    """The seeds, so many at once.

    >>> in_groups(range(5), 2)
    [[0, 1], [2, 3], [4]]
    """
    size = at_once or len(seeds)
    return [list(seeds[first : first + size]) for first in range(0, len(seeds), size)]


def require_same(config: Config, groups: Sequence[Sequence[int]], dataset: Dataset, folder: RunFolder) -> None:
    """Raise ``InputError``, with the fields that differ, if the folder holds another run, finished or not."""
    here = about(groups, dataset)
    if folder.finished:
        result = folder.load_result()
        config_there = result.effective_config()
        there = {**here, "seeds": result.seeds, "dataset": result.dataset["digest"]}
    elif (begun := folder.begun()) is not None:
        config_there, there = begun
    else:
        return
    differ = differences(config_there, config)
    differ |= {name: (there.get(name), value) for name, value in here.items() if there.get(name) != value}
    if differ:
        fields = "; ".join(f"{name} is {known} there and {value} here" for name, (known, value) in differ.items())
        raise InputError(f"{folder.path} holds another run ({fields}): choose another --workdir, or --overwrite it.")


def about(groups: Sequence[Sequence[int]], dataset: Dataset) -> dict[str, Any]:
    """What must be the same, beside the config, for a run to go on."""
    seeds = [seed for group in groups for seed in group]
    return {"seeds": seeds, "seeds_at_once": len(groups[0]), "dataset": dataset.digest}


def begin(
    config: Config, groups: Sequence[Sequence[int]], dataset: Dataset, folder: RunFolder, reporter: Reporter
) -> None:
    """Write down what is run, or see that what was written down still holds. Raises ``InputError``."""
    what, where = about(groups, dataset), {"device": device(), "versions": versions()}
    begun = folder.begun()
    if begun is None:
        folder.clear()
        folder.save_split(what["seeds"], splits(config, groups, dataset))
        folder.begin(config, {**what, **where})
        return
    folder.require_split(what["seeds"], splits(config, groups, dataset))
    for name, value in where.items():
        if begun[1].get(name) != value:
            reporter.say(
                f"warning: the run was begun with another {name} ({begun[1].get(name)}, here {value}): its last bits "
                "can differ from those of a run without a break."
            )


def splits(config: Config, groups: Sequence[Sequence[int]], dataset: Dataset) -> Split:
    """The split of every seed, on the host: int32 ``[S, L]``, ``[S, V]`` and ``[S, U]``."""
    layouts = [layout_for(len(group)) for group in groups]
    parts = (split_seeds(config, group, dataset, layout)[1] for group, layout in zip(groups, layouts, strict=True))
    return _stack([layout.gather(part) for part, layout in zip(parts, layouts, strict=True)])


def count_parameters(config: Config, dataset: Dataset) -> int:
    """How many parameters the classifier has, a seed."""
    return parameter_count(shapes(config, dataset.train_images, dataset.classes)[-1][0])


def predicted_warnings(config: Config) -> list[str]:
    """What can be said to go wrong before anything is trained."""
    return [warning for phase in config.phases for warning in phase.method.warnings(phase.epochs)]


def _labelled(outcome: Outcome) -> pseudo_labels.GroupLabels:
    """What a group of seeds says of the training images."""
    return pseudo_labels.GroupLabels(
        outcome.unseen, outcome.train.classes, outcome.train.probabilities, outcome.log.labels
    )


def _stack(trees: Sequence[Any]) -> Any:
    """Trees of arrays, joined along the axis of seeds."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *trees)


def facts(
    config: Config, seeds: Sequence[int], dataset: Dataset, outcomes: Sequence[Outcome], warnings: Sequence[str]
) -> dict[str, Any]:
    """What the result says of the run itself."""
    seconds: dict[str, float] = defaultdict(float)
    for outcome in outcomes:
        for phase, spent in outcome.seconds.items():
            seconds[phase] += spent
    sizes = {"train": len(dataset.train_labels), "test": len(dataset.test_labels)}
    return {
        "scenario": config.scenario,
        "protocol": config.protocol,
        "dataset": {"name": dataset.name, "digest": dataset.digest, **sizes},
        "seeds": list(seeds),
        "class_counts": {
            # Of the first seed: every seed has as many.
            "labelled": np.bincount(dataset.train_labels[outcomes[0].split.labelled[0]], minlength=dataset.classes),
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
    parts, train_classes, train_entropy, test_classes, test_entropy, before, after = _stack(
        [(group.split, *group.train[:2], *group.test[:2], group.log.before, group.log.after) for group in outcomes]
    )
    diverged = {seed: where for group in outcomes for seed, where in group.log.diverged.items()}
    alive = np.where([seed in diverged for seed in seeds], np.nan, 1).astype(np.float32)
    correct = test_classes == dataset.test_labels
    unlabelled = np.take_along_axis(train_classes, parts.unlabelled, axis=1)
    truth = dataset.train_labels[parts.unlabelled]
    confusions = [confusion(dataset.test_labels, given, dataset.classes).tolist() for given in test_classes]
    learns_unlabelled = any(phase.batches.unlabelled for phase in config.phases)
    measured_on = "validation" if config.validation else "unlabelled"
    return {
        "test_accuracy": alive * mean(correct),
        "test_error": alive * mean(~correct),
        "diverged": {str(seed): where for seed, where in diverged.items()},
        "confusion": [None if seed in diverged else counts for seed, counts in zip(seeds, confusions, strict=True)],
        "conditional_entropy": {
            "labelled": alive * mean(np.take_along_axis(train_entropy, parts.labelled, axis=1)),
            "unlabelled": alive * mean(np.take_along_axis(train_entropy, parts.unlabelled, axis=1)),
            "test": alive * mean(test_entropy),
        },
        "pseudo_label_accuracy": alive * mean(unlabelled == truth) if (truth >= 0).all() else np.nan * alive,
        "unlabelled_training": {"measured_on": measured_on, "before": alive * before, "after": alive * after}
        if learns_unlabelled
        else None,
    }


def mean(values: np.ndarray) -> np.ndarray:
    """The mean of each row, ``[S, n] -> [S]``; NaN of no numbers."""
    return values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan, np.float32)


def versions() -> dict[str, str]:
    """What was run with."""
    packages = ("pljax", "jax", "jaxlib", "flax", "optax", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
