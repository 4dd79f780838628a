"""The seeds that a comparison lacks for a verdict on each of its pairs, and the commands that run just those."""

import itertools
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from pljax.analysis.comparison import Comparison, Pair, Row
from pljax.analysis.stats import ALPHA, seeds_to_reach
from pljax.data.datasets import DATASETS
from pljax.protocols import MNIST_DIGEST
from pljax.protocols.select import flags_of
from pljax.report.sentences import join_names
from pljax.results.folder import METRICS, PARAMETERS, folder_name
from pljax.results.join import is_same_run
from pljax.results.result import Result

WIDTH = 77  # of a line of a command, which the terminal shows indented
WORKDIR = "runs"  # the default of --workdir


class MoreSeeds(NamedTuple):
    """How to run the seeds that are missing."""

    sentence: str
    commands: list[str]  # for a POSIX shell, with line continuations; none if the flags of a run are not known


class Part(NamedTuple):
    """Consecutive seeds that some runs lack."""

    labels: list[str]  # of the runs
    results: list[Result]
    seeds: range

    @property
    def flags(self) -> list[str]:
        """The flags of its seeds."""
        return [f"--first_seed={self.seeds[0]}", f"--seeds={len(self.seeds)}"]


def more_seeds(
    comparison: Comparison, folders: Sequence[Path] = (), data_dir: str | None = None, output: str | None = None
) -> MoreSeeds | None:
    """The commands that add the seeds without which a pair can have no verdict; ``None`` if every pair can have one.

    Args:
      comparison: the comparison.
      folders: the folders of all its runs, from which the second command compares them and the new ones.
      data_dir: the folder of the data files, if it is not the default.
      output: the folder of the comparison, if it is not the default.
    """
    short = [pair for pair in comparison.pairs if pair.test.n and not pair.best_p <= ALPHA]
    if not short:
        return None
    if any(is_same_run(one.result, other.result) for one, other in itertools.combinations(comparison.rows, 2)):
        return MoreSeeds("Two of the runs have the same config and data: leave one out to see how to add seeds.", [])
    needed = seeds_to_reach(comparisons=sum(pair.test.n > 0 for pair in comparison.pairs))
    parts = _parts(comparison.rows, _missing_seeds(comparison.rows, short, needed))
    aim = f"With {needed} seeds every pair could have a verdict"
    if not all((folder / file).exists() for folder in folders for file in (METRICS, PARAMETERS)):
        return MoreSeeds(
            f"{aim}. A folder without {METRICS} or {PARAMETERS} cannot be joined: run its seeds again.", []
        )
    commands, new_folders = [], []
    for part in parts:
        command = _main_command(part, folders, data_dir)
        if command is None:
            return MoreSeeds(f"{aim}: {_in_words(parts)}, then compare the folders of all these runs.", [])
        commands.append(command.text)
        new_folders += command.folders
    if not folders:
        return MoreSeeds(f"{aim}. This runs the missing ones, for pljax.compare to join:", commands)
    options = {"margin": comparison.margin, "data_dir": data_dir, "output": output}
    given = [f"--{name}={value}" for name, value in options.items() if value is not None]
    compare = ["python", "-m", "pljax.compare", *map(str, [*folders, *new_folders]), *given]
    return MoreSeeds(f"{aim}. This runs the missing ones and compares all:", [*commands, shell_lines(compare)])


def _parts(rows: Sequence[Row], missing: Mapping[str, Sequence[int]]) -> list[Part]:
    """The missing seeds of each run, with those runs together that one command can make."""
    parts: dict[tuple[Any, ...], Part] = {}
    for row in rows:
        for seeds in _consecutive(sorted(missing[row.label])):
            flags = str(flags_of(row.result.effective_config()))
            key = (seeds, row.result.protocol, flags, row.result.device.get("matmul_precision"))
            part = parts.setdefault(key, Part([], [], seeds))
            part.labels.append(row.label)
            part.results.append(row.result)
    return list(parts.values())


def _missing_seeds(rows: Sequence[Row], short: Sequence[Pair], needed: int) -> dict[str, list[int]]:
    """The seeds to run, by label, so that each of the ``short`` pairs has as many common seeds as are needed."""
    held = {row.label: set(row.result.seeds) for row in rows}
    missing: dict[str, list[int]] = {label: [] for label in held}
    lacking = {(pair.first, pair.second): needed - pair.test.n for pair in short}
    for seed in _candidates([row.result for row in rows]):
        if not lacking:
            break
        new = [names for names in lacking if not all(seed in held[name] for name in names)]
        for label in dict.fromkeys(itertools.chain(*new)):
            if seed not in held[label]:
                missing[label].append(seed)
        lacking = {names: count - (names in new) for names, count in lacking.items() if count > (names in new)}
    return missing


def _candidates(results: Sequence[Result]) -> Iterator[int]:
    """Seeds to add: those that most of the runs have already and that diverged in none, then new ones, higher first."""
    known = set[int]().union(*(result.seeds for result in results))
    diverged = {int(seed) for result in results for seed in result.diverged}
    counts = {seed: sum(seed in result.seeds for result in results) for seed in known - diverged}
    yield from sorted((seed for seed in counts if counts[seed] < len(results)), key=lambda seed: (-counts[seed], seed))
    yield from (seed for seed in itertools.chain(range(max(known) + 1, 2**32), itertools.count()) if seed not in known)


def _consecutive(seeds: Sequence[int]) -> list[range]:
    """Sorted seeds as ranges.

    >>> _consecutive([2, 5, 6, 7])
    [range(2, 3), range(5, 8)]
    """
    ranges: list[range] = []
    for seed in seeds:
        if ranges and ranges[-1].stop == seed:
            ranges[-1] = range(ranges[-1].start, seed + 1)
        else:
            ranges.append(range(seed, seed + 1))
    return ranges


class Command(NamedTuple):
    """A command that runs a part, and the folders that it makes."""

    text: str
    folders: list[Path]


def _main_command(part: Part, folders: Sequence[Path], data_dir: str | None) -> Command | None:
    """The command that runs a part; ``None`` if its flags are not known, as for own data."""
    configs = [result.effective_config() for result in part.results]
    first, overrides = part.results[0], flags_of(configs[0])
    if overrides is None or not is_public(first.dataset):
        return None
    values = {
        "protocol": first.protocol,
        "scenario": ",".join(dict.fromkeys(config.scenario for config in configs)),
        "dataset": first.dataset["name"],
    }
    values |= {
        name: ",".join(map(str, value)) if isinstance(value, tuple) else str(value) for name, value in overrides.items()
    }
    workdir = folders[0].parent if folders else Path(WORKDIR)
    others = {
        "matmul_precision": first.device.get("matmul_precision"),
        "workdir": None if workdir == Path(WORKDIR) else workdir,
        "data_dir": data_dir,
    }
    values |= {name: str(value) for name, value in others.items() if value is not None}
    flags = [f"--{name}={value}" for name, value in values.items()]
    names = [folder_name([config], first.dataset["name"], part.seeds, overrides) for config in configs]
    text = shell_lines(["python", "-m", "pljax.main", *flags[:3], *part.flags, *flags[3:]])
    return Command(text, [workdir / name for name in names])


def is_public(dataset: Mapping[str, Any]) -> bool:
    """Whether ``--dataset`` takes the name of the data, and not that of a file of one's own."""
    own = "notes" in dataset or "classes" in dataset
    return dataset["name"] in DATASETS and not own and (dataset["name"] != "mnist" or dataset["digest"] == MNIST_DIGEST)


def _in_words(parts: Sequence[Part]) -> str:
    return join_names(f"run {join_names(part.labels)} in the same way with {' '.join(part.flags)}" for part in parts)


def shell_lines(tokens: Sequence[str], width: int = WIDTH) -> str:
    r"""A command for a POSIX shell, continued on further lines where it is wider than ``width``.

    >>> print(shell_lines(["python", "-m", "pljax.compare", "runs/a run", "--margin=2"], width=40))
    python -m pljax.compare 'runs/a run' \
        --margin=2
    """
    lines = [""]
    for token in map(shlex.quote, tokens):
        if lines[-1].strip() and len(lines[-1]) + len(token) + 2 > width:  # room for the mark of a continuation
            lines.append(" " * 3)
        lines[-1] += f" {token}" if lines[-1] else token
    return " \\\n".join(lines)
