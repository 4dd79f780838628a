"""Join finished runs of one config with different seeds into one run with all their seeds."""

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from pljax.nn.trees import concatenate
from pljax.results import pseudo_labels
from pljax.results.folder import EXTRA, LABEL_TOTALS, PARAMETERS, SPLIT, RunFolder
from pljax.results.result import Result
from pljax.settings import differences, to_json
from pljax.types import SETS, InputError, Split


def find_parts(results: Sequence[Result]) -> list[list[int]]:
    """Group the results that are parts of one run: with one config, one data set, and no seed twice.

    Returns:
      The indices of the results of each run, in the order of their seeds. The runs are in the order of their first
      results.
    """
    groups: list[list[int]] = []
    for index, result in enumerate(results):
        for group in groups:
            if all(_belong_together(results[other], result) for other in group):
                group.append(index)
                break
        else:
            groups.append([index])
    return [sorted(group, key=lambda index: results[index].seeds[0]) for group in groups]


def is_same_run(one: Result, other: Result) -> bool:
    """Whether two results have one config and one data set."""
    return one.effective_config() == other.effective_config() and one.dataset["digest"] == other.dataset["digest"]


def _belong_together(one: Result, other: Result) -> bool:
    return is_same_run(one, other) and not set(one.seeds) & set(other.seeds)


def join(folders: Sequence[RunFolder], into: RunFolder) -> Result:
    """Write the folder of one finished run that has the seeds of several, with every file that all of them have.

    A folder that holds their joined run already stays as it is.

    Its ``pseudo_labels.csv`` is made of the totals of the parts, as that of one run is. A part that an earlier version
    made has none: then neither has the joined run. Device and versions are those of the first part.

    Raises ``InputError`` if they are not parts of one run, cannot be read, or ``into`` cannot be written or holds a run
    of its own: see :func:`require_replaceable`. Then ``into`` is as it was.
    """
    results = [folder.load_result() for folder in folders]
    _require_parts(folders, results)
    result = join_results(results)
    if into.joined and into.finished and into.load_result() == result:
        return result
    config, inputs = result.effective_config(), folders[0].load_inputs()
    metrics = _merge_metrics(folder.load_metrics() for folder in folders)
    pretrained = [f"{phase.method.pretrains}.npz" for phase in config.phases if phase.method.pretrains]
    files = [file for file in (PARAMETERS, EXTRA, *pretrained) if file == PARAMETERS or _all_have(folders, file)]
    arrays = {file: concatenate([folder.load_arrays(file) for folder in folders]) for file in files}
    split = _join_splits(folders, results) if _all_have(folders, SPLIT) else None
    labels = _join_pseudo_labels(folders, result) if _all_have(folders, LABEL_TOTALS) else None
    with into.locked():
        require_replaceable(into)
        into.clear()
        into.save_config(config, _run_fields(folders, result))
        if inputs is not None:
            into.save_inputs(*inputs)
        into.append_metrics(metrics)
        for file, of_all in arrays.items():
            into.save_arrays(of_all, file)
        if split is not None:
            into.save_split(result.seeds, split)
        if labels is not None:
            into.save_pseudo_labels(*labels)
        into.save_result(result)
        return result


def require_replaceable(folder: RunFolder) -> None:
    """Raise ``InputError`` if a folder holds a run of its own, which a joined run would replace."""
    if (folder.finished or folder.started) and not folder.joined:
        raise InputError(
            f"{folder.path} holds a run of its own, which the joined one would replace: move it, or give another "
            "--output or --workdir."
        )


def _all_have(folders: Sequence[RunFolder], file: str) -> bool:
    return all((folder.path / file).exists() for folder in folders)


def _run_fields(folders: Sequence[RunFolder], result: Result) -> dict[str, Any]:
    """The fields of ``run.json``: those of one run with all the seeds, and the names of the parts."""
    fields = {"seeds": result.seeds, "seeds_at_once": len(result.seeds), "dataset": result.dataset["digest"]}
    about = {"device": result.device, "versions": result.versions}
    return {**fields, **about, "joined": [folder.path.name for folder in folders]}


def _join_splits(folders: Sequence[RunFolder], results: Sequence[Result]) -> Split:
    """The split of each seed: int32 ``[S, L]``, ``[S, V]`` and ``[S, U]``. Raises ``InputError``."""
    parts = []
    for folder, result in zip(folders, results, strict=True):
        part = folder.load_split(most=16 * len(result.seeds) * (result.dataset["train"] + 1) + 4096)
        sizes = {array.shape[:1] for array in part.values()}
        if {"seeds", *SETS} != part.keys() or part["seeds"].tolist() != result.seeds or len(sizes) > 1:
            raise InputError(f"{folder.path / SPLIT} is not the split of its run: start that part again.")
        parts.append([part[name] for name in SETS])
    joined: Any = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return Split(*joined)


def _join_pseudo_labels(
    folders: Sequence[RunFolder], result: Result
) -> tuple[pseudo_labels.Totals, Sequence[str], dict[int, str]]:
    """The totals over all seeds, the names of the classes and those of the rows. Raises ``InputError``."""
    totals, names, rows = zip(*(folder.load_pseudo_labels() for folder in folders), strict=True)
    expected = (result.dataset["train"], len(result.class_counts["test"]))
    if any(part.votes.shape != expected for part in totals):
        raise InputError(f"The files {LABEL_TOTALS} of the parts are not of one data set.")
    return pseudo_labels.add(totals), names[0], {row: name for of_part in rows for row, name in of_part.items()}


def join_results(results: Sequence[Result]) -> Result:
    """The result of all seeds. Times are summed; fields that are not per seed are those of the first result."""
    first = results[0]
    by_seed = {name: _chain(getattr(result, name) for result in results) for name in _BY_SEED}
    entropy = {
        part: _chain(result.conditional_entropy[part] for result in results) for part in first.conditional_entropy
    }
    coverages = [result.pseudo_label_coverage for result in results]
    coverage = None if None in coverages else _chain(filter(None, coverages))
    change = None
    if changes := [result.unlabelled_training for result in results if result.unlabelled_training]:
        accuracies = {when: _chain(of_part[when] for of_part in changes) for when in ("before", "after")}
        change = {**changes[0], **accuracies}
    seconds = {
        phase: sum(result.seconds.get(phase, 0.0) for result in results)
        for phase in dict.fromkeys(_chain(result.seconds for result in results))
    }
    return Result(
        **{
            **{field: getattr(first, field) for field in Result.__dataclass_fields__},
            **by_seed,
            "config": to_json(first.effective_config()),  # with fields that are newer than the first part
            "conditional_entropy": entropy,
            "pseudo_label_coverage": coverage,
            "unlabelled_training": change,
            "diverged": {seed: where for result in results for seed, where in result.diverged.items()},
            "warnings": list(dict.fromkeys([*_chain(result.warnings for result in results), *_environments(results)])),
            "seconds": seconds,
        }
    )


def _environments(results: Sequence[Result]) -> Iterable[str]:
    """A sentence for each part that was trained on another device or with other versions than the first."""
    first = results[0]
    for other in results[1:]:
        here, there = (f"{part.device.get('kind')} ({part.device.get('platform')})" for part in (first, other))
        names = [name for name, version in first.versions.items() if other.versions.get(name) != version]
        precision, of_rest = (part.device.get("matmul_precision") for part in (other, first))
        seeds, rest = (", ".join(map(str, part.seeds)) for part in (other, first))
        if here != there:
            yield f"Seeds {seeds} ran on {there}, and {rest} on {here}: rounding differs between them."
        if precision != of_rest:
            yield f"Seeds {seeds} ran with matmul_precision {precision}, and {rest} with {of_rest} (None: the default)."
        if names:
            yield f"Seeds {seeds} ran with another version of {', '.join(names)} than {rest}."


# The fields of a result that are lists with an item per seed.
_BY_SEED = ("seeds", "test_accuracy", "test_error", "confusion", "pseudo_label_accuracy")


def _require_parts(folders: Sequence[RunFolder], results: Sequence[Result]) -> None:
    for (here, one), (there, other) in itertools.combinations(zip(folders, results, strict=True), 2):
        fields = list(differences(one.effective_config(), other.effective_config()))
        if one.dataset["digest"] != other.dataset["digest"]:
            fields.append("the data set")
        if fields:
            raise InputError(
                f"{here.path} and {there.path} are not parts of one run: they differ in {', '.join(fields)}."
            )
        if common := sorted(set(one.seeds) & set(other.seeds)):
            raise InputError(
                f"{here.path} and {there.path} both have seed {common[0]}: give runs with different seeds."
            )


def _chain(lists: Iterable[Iterable[Any]]) -> list[Any]:
    return list(itertools.chain.from_iterable(lists))


def _merge_metrics(metrics: Iterable[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """The lines of several runs, in the order of one run with all the seeds."""
    return sorted(_chain(metrics), key=lambda line: (line["phase"], line["epoch"], line["seed"]))
