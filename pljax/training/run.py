"""Run a config with some seeds on a data set: a folder with a result comes out, and an interrupted run continues."""

import importlib.metadata
import platform
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np

from pljax.data import split
from pljax.data.npz import NUMBERS
from pljax.data.serialization import without_nan
from pljax.nn.networks import parameter_count
from pljax.nn.trees import by_path, concatenate
from pljax.protocols.config import Config, shapes
from pljax.results import pseudo_labels
from pljax.results.folder import EXTRA, RunFolder
from pljax.results.result import Result, check_seeds
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
    """Train every seed, score the test images once, and write the result to ``folder``.

    An interrupted run continues from its last checkpoint, and its result is that of an uninterrupted one. A finished
    run is not trained again: its result is returned.

    Args:
      config: what to train.
      seeds: different whole numbers. The result of a seed does not depend on the others, except for rounding where
        they share a program: on all but a single CPU device.
      dataset: the images and labels.
      folder: receives config, metrics, checkpoints, parameters and result.
      reporter: shows progress and messages; by default on standard error.
      seeds_at_once: how many seeds are trained together and share the device's memory; by default all of them.
      checkpoint_every: the time between two checkpoints; by default a minute.
      overwrite: remove an earlier run from the folder first.

    Raises:
      InputError: seeds are not as above, the data cannot give the split, the folder cannot be written, or it holds
        another run.
      Interrupted: a signal ended the run; its progress is saved.
    """
    seeds = np.asarray(seeds).tolist()
    check_seeds(seeds)
    split.check(dataset.train_labels, dataset.classes, config.labels, config.validation, config.choose_labels)
    groups = group_seeds(seeds, seeds_at_once)
    with jax.enable_x64(False), folder.locked(), reporter or Reporter() as reporter:
        if overwrite:
            folder.clear()
        require_same_run(config, groups, dataset, folder)
        if folder.finished:
            result = folder.load_result()
            reporter.say(f"{folder.path} is finished: its result is shown; --overwrite runs it again.")
            warn_of_precision(result, reporter)
            return result
        require_savable(config, dataset)
        prepare_folder(config, groups, dataset, folder, reporter)
        return train_and_save(config, groups, dataset, folder, checkpoint_every, reporter)


def train_and_save(
    config: Config,
    groups: Sequence[Sequence[int]],
    dataset: Dataset,
    folder: RunFolder,
    checkpoint_every: SaveInterval,
    reporter: Reporter,
) -> Result:
    """Train all groups of seeds, and write what comes of them to a folder that is prepared, the result last."""
    warnings, seeds = predicted_warnings(config), [seed for group in groups for seed in group]
    for warning in warnings:
        reporter.say(f"warning: {warning}")
    outcomes = train_groups(config, groups, dataset, folder, checkpoint_every, reporter)
    save_outcomes(outcomes, dataset, folder)
    fields = {**run_fields(config, seeds, dataset, outcomes, warnings), **seed_fields(config, seeds, dataset, outcomes)}
    result = Result(**without_nan(fields))
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
    outcomes, metrics_size = [], 0
    for number, group in enumerate(groups):
        log = MetricsLog(group, len(dataset.train_labels), folder.append_metrics, reporter)
        path, layout = folder.checkpoints(number), layout_for(len(group))
        with Checkpointer(path, checkpoint_every, layout, folder, log, reporter, metrics_size) as checkpointer:
            outcomes.append(train(make_group(config, group, dataset, layout), log, checkpointer))
        metrics_size = checkpointer.metrics_size
    return outcomes


def save_outcomes(outcomes: Sequence[Outcome], dataset: Dataset, folder: RunFolder) -> None:
    """Write the trained networks of all seeds and the table of their pseudo-labels."""
    folder.save_parameters(concatenate([outcome.params for outcome in outcomes]))
    if extra := by_path(concatenate([outcome.extra for outcome in outcomes])):
        folder.save_arrays(extra, EXTRA)
    for name, params in concatenate([outcome.pretrained for outcome in outcomes]).items():
        folder.save_parameters(params, f"{name}.npz")
    if dataset.inputs:
        folder.save_inputs(dataset.inputs, dataset.names)
    totals = pseudo_labels.count([_group_labels(outcome) for outcome in outcomes])
    folder.save_pseudo_labels(totals, dataset.names, dataset.row_names)


def group_seeds(seeds: Sequence[int], at_once: int | None) -> list[list[int]]:
    """Divide the seeds into groups of ``at_once`` seeds that are trained together; ``None`` makes one group.

    >>> group_seeds(range(5), 2)
    [[0, 1], [2, 3], [4]]
    """
    size = at_once or len(seeds)
    return [list(seeds[first : first + size]) for first in range(0, len(seeds), size)]


def require_same_run(config: Config, groups: Sequence[Sequence[int]], dataset: Dataset, folder: RunFolder) -> None:
    """Raise ``InputError``, with the fields that differ, if the folder holds another run, finished or not."""
    here = run_identity(groups, dataset)
    if folder.finished:
        result = folder.load_result()
        config_there = result.effective_config()
        there = {**here, "seeds": result.seeds, "dataset": result.dataset["digest"]}
        if inputs := folder.load_inputs():
            there["columns"] = list(inputs[0].columns)
    elif (started := folder.load_config()) is not None:
        config_there, there = started
    else:
        return
    differ = differences(config_there, config)
    differ |= {name: (there.get(name), value) for name, value in here.items() if there.get(name) != value}
    if "columns" not in there:  # a run that an earlier version began
        differ.pop("columns", None)
    if differ:
        resume = (
            f"continue it with --seeds_at_once={there['seeds_at_once']}, " if set(differ) == {"seeds_at_once"} else ""
        )
        other_data = ["the rows, features, labels or units are others"] if differ.pop("dataset", None) else []
        fields = [f"{name} is {known} there and {value} here" for name, (known, value) in differ.items()]
        raise InputError(
            f"{folder.path} holds another run ({'; '.join(fields + other_data)}): {resume}choose another --workdir, or "
            "--overwrite it."
        )


def require_savable(config: Config, dataset: Dataset) -> None:
    """Raise ``InputError`` if a method has parameters or extra state that no file of a run can hold."""
    for params, extra in shapes(config, dataset.train_images, dataset.classes):
        for path, leaf in by_path({"parameters": params, "extra": extra}).items():
            if getattr(leaf.dtype, "kind", "?") not in NUMBERS:
                raise InputError(
                    f"{path} of a method is of type {leaf.dtype}, which no file of a run holds: keep float32, and of a "
                    "random key its jax.random.key_data."
                )


def warn_of_precision(result: Result, reporter: Reporter) -> None:
    """Say so if another precision of matrix products is wanted than a finished run had."""
    here, there = device()["matmul_precision"], result.device.get("matmul_precision")
    if here not in (None, there):
        known = f"with --matmul_precision={there}" if there else "without --matmul_precision"
        reporter.say(f"warning: that run was made {known}, not {here}.")


def run_identity(groups: Sequence[Sequence[int]], dataset: Dataset) -> dict[str, Any]:
    """What must be the same, beside the config, for a run to continue, as plain JSON values."""
    seeds = [seed for group in groups for seed in group]
    columns = {"columns": list(dataset.inputs.columns)} if dataset.inputs else {}
    return {"seeds": seeds, "seeds_at_once": len(groups[0]), "dataset": dataset.digest, **columns}


def prepare_folder(
    config: Config, groups: Sequence[Sequence[int]], dataset: Dataset, folder: RunFolder, reporter: Reporter
) -> None:
    """Write the config and the split of a new run, or check those of a run that continues.

    Raises ``InputError`` if the split in the folder is not that of the run. Warns of another device or version.
    """
    identity, environment = run_identity(groups, dataset), {"device": device(), "versions": versions()}
    started = folder.load_config()
    if started is None:
        folder.clear()
        folder.save_split(identity["seeds"], splits(config, groups, dataset))
        folder.save_config(config, {**identity, **environment})
        return
    folder.require_split(identity["seeds"], splits(config, groups, dataset))
    _, written = started
    for name, value in environment.items():
        if written.get(name) != value:
            reporter.say(
                f"warning: the run was started with another {name} ({written.get(name)}, here {value}): its results "
                "can differ in the last bits from those of an uninterrupted run."
            )


def splits(config: Config, groups: Sequence[Sequence[int]], dataset: Dataset) -> Split:
    """The split of every seed, on the host: int32 ``[S, L]``, ``[S, V]`` and ``[S, U]``."""
    layouts = [layout_for(len(group)) for group in groups]
    parts = (split_seeds(config, group, dataset, layout)[1] for group, layout in zip(groups, layouts, strict=True))
    return concatenate([layout.gather(part) for part, layout in zip(parts, layouts, strict=True)])


def count_parameters(config: Config, dataset: Dataset) -> int:
    """The number of parameters of the classifier of one seed."""
    return parameter_count(shapes(config, dataset.train_images, dataset.classes)[-1][0])


def predicted_warnings(config: Config) -> list[str]:
    """Warnings of settings that cannot work as intended, made before anything is trained."""
    return [warning for phase in config.phases for warning in phase.method.warnings(phase.epochs)]


def _group_labels(outcome: Outcome) -> pseudo_labels.GroupLabels:
    return pseudo_labels.GroupLabels(
        outcome.unlabelled, outcome.train.classes, outcome.train.probabilities, outcome.log.labels
    )


def run_fields(
    config: Config, seeds: Sequence[int], dataset: Dataset, outcomes: Sequence[Outcome], warnings: Sequence[str]
) -> dict[str, Any]:
    """The fields of the result that describe the run as a whole."""
    seconds: dict[str, float] = defaultdict(float)
    for outcome in outcomes:
        for phase, spent in outcome.seconds.items():
            seconds[phase] += spent
    sizes = {
        "train": len(dataset.train_labels),
        "test": len(dataset.test_labels),
        "features": dataset.train_images.shape[1],
    }
    return {
        "scenario": config.scenario,
        "protocol": config.protocol,
        "dataset": {"name": dataset.name, "digest": dataset.digest, **sizes, **_read_notes(dataset)},
        "seeds": list(seeds),
        "class_counts": class_counts(dataset, jax.tree.map(lambda indices: indices[0], outcomes[0].split)),
        "parameters": count_parameters(config, dataset),
        "config": to_json(config),
        "warnings": [*dataset.warnings, *warnings],
        "versions": versions(),
        "device": device(),
        "seconds": dict(seconds),
    }


def class_counts(dataset: Dataset, split: Split) -> dict[str, np.ndarray]:
    """The rows of each class, int ``[C]``, by part. Those of validation rows can differ from seed to seed."""
    parts = {
        "labelled": dataset.train_labels[split.labelled],
        "validation": dataset.train_labels[split.validation],
        "test": dataset.test_labels,
    }
    return {part: np.bincount(labels, minlength=dataset.classes) for part, labels in parts.items()}


def _read_notes(dataset: Dataset) -> dict[str, Any]:
    """What was read of custom data, plain JSON values."""
    return {"classes": list(dataset.names), "notes": dict(dataset.notes)} if dataset.inputs else {}


def seed_fields(config: Config, seeds: Sequence[int], dataset: Dataset, outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """The fields of the result with one value per seed; NaN for a seed that diverged, so that no mean includes it."""
    parts, train_classes, train_entropy, test_classes, test_entropy = concatenate(
        [(group.split, *group.train[:2], *group.test[:2]) for group in outcomes]
    )
    before, after, coverage = concatenate(
        [(group.log.before, group.log.after, group.log.coverage()) for group in outcomes]
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
        "test_accuracy": alive * row_means(correct),
        "test_error": alive * row_means(~correct),
        "diverged": {str(seed): where for seed, where in diverged.items()},
        "confusion": [None if seed in diverged else counts for seed, counts in zip(seeds, confusions, strict=True)],
        "conditional_entropy": {
            "labelled": alive * row_means(np.take_along_axis(train_entropy, parts.labelled, axis=1)),
            "unlabelled": alive * row_means(np.take_along_axis(train_entropy, parts.unlabelled, axis=1)),
            "test": alive * row_means(test_entropy),
        },
        "pseudo_label_accuracy": alive * row_means(unlabelled == truth) if (truth >= 0).all() else np.nan * alive,
        "unlabelled_training": {"measured_on": measured_on, "before": alive * before, "after": alive * after}
        if learns_unlabelled
        else None,
        "pseudo_label_coverage": alive * coverage if config.phases[-1].gives_labels else None,
    }


def row_means(values: np.ndarray) -> np.ndarray:
    """The mean of each row, ``[S, n] -> [S]``; NaN if ``n`` is 0."""
    return values.mean(axis=1) if values.shape[1] else np.full(len(values), np.nan, np.float32)


def versions() -> dict[str, str]:
    """The versions of Python and of the packages that results depend on."""
    packages = ("pljax", "jax", "jaxlib", "flax", "optax", "numpy")
    return {"python": platform.python_version(), **{name: importlib.metadata.version(name) for name in packages}}
