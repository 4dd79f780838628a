"""``python -m pljax.main``: run the scenarios that the flags select, and print their results."""

import errno
import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pljax import protocols
from pljax.analysis.comparison import compare
from pljax.cli import data_flags, terminal
from pljax.data import custom, datasets, split
from pljax.protocols.config import Config
from pljax.protocols.select import ADAPTIVE, LEE_SCENARIOS, NAMES, PROTOCOLS, choose, select_for
from pljax.report.more_seeds import more_seeds
from pljax.report.tables import comparison_text, durations_text, introduction, untested_text
from pljax.results import trained
from pljax.results.folder import RunFolder, folder_name
from pljax.results.join import join, require_replaceable
from pljax.results.result import Result
from pljax.training import memory, processes
from pljax.training.checkpointer import parse_interval
from pljax.training.devices import (
    PRECISIONS,
    device,
    enable_compilation_cache,
    retain_freed_memory,
    select_backend,
    set_matmul_precision,
    use_float32,
)
from pljax.training.duration import estimate_seconds
from pljax.training.processes import ProcessEnded, Processes
from pljax.training.progress import Interrupted, Reporter
from pljax.training.run import class_counts, count_parameters, group_seeds, require_same_run, run
from pljax.training.seeds import MOST_SEED
from pljax.types import Dataset, InputError

FLAGS = terminal.new_flags()
MOST_SEEDS = 100_000  # in one run
WIDTHS = tuple[int, ...]
DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}


def define_flags() -> None:
    """Define all flags but the settings of protocols."""
    string, integer, words = (
        functools.partial(define, flag_values=FLAGS)
        for define in (flags.DEFINE_string, flags.DEFINE_integer, flags.DEFINE_list)
    )
    words("scenario", ["pl_dae"], f"{NAMES}; several with commas. all: {', '.join(LEE_SCENARIOS)}; methods: all eight.")
    names = ", ".join(PROTOCOLS)
    string("protocol", None, f"How the scenarios are trained: {names}; default: quick, for own data adaptive.")
    string(
        "dataset",
        "auto",
        f"One of {', '.join(datasets.DATASETS)}, or own data: a file ({', '.join(custom.FILE_SUFFIXES)}), or a folder "
        "with a folder of pictures for each class.",
    )
    string("test", None, "Own data: a file or folder of labelled test rows.")
    data_flags.define(FLAGS, "Own data: ", otherwise="")
    integer("image_size", None, "Own data: the side length of pictures in pixels; default: that of most pictures.")
    string("data_dir", None, "The folder of the data files, to read or to download; default: the user's cache folder.")
    integer("seeds", 5, "The number of seeds.")
    integer("first_seed", 0, "The first seed.")
    integer("seeds_at_once", None, "The number of seeds that share the memory of the device; default: all.")
    string("backend", None, "cpu, gpu or tpu; default: the one that JAX prefers.")
    string(
        "matmul_precision",
        None,
        f"For products on GPU and TPU: {', '.join(PRECISIONS)}; on a GPU the first two are the same; default: JAX's.",
    )
    string("coordinator", None, "For several processes: host:port of the first, or auto (Slurm, Kubernetes, TPU).")
    integer("num_processes", None, "The number of processes that share the seeds.")
    integer("process_id", None, "The number of this process, from 0.")
    string("workdir", "runs", "The folder in which each run gets a folder.")
    string("checkpoint_every", "1min", "The interval of checkpoints, as time or epochs: 30s, 5min, 20epochs.")
    flags.DEFINE_bool("overwrite", False, "Begin runs anew that have results or checkpoints.", flag_values=FLAGS)


def define_settings() -> None:
    """Define a flag for each setting of a protocol. ``None`` leaves it as it is in the protocol."""
    kinds: dict[Any, Any] = {int: flags.DEFINE_integer, float: flags.DEFINE_float, WIDTHS: flags.DEFINE_list}
    for name, setting in protocols.overrides().items():
        define = kinds.get(setting.kind, flags.DEFINE_string)
        define(name, None, setting.help[:1].upper() + setting.help[1:], flag_values=FLAGS)


def given_overrides() -> dict[str, Any]:
    """The settings given as flags, by name. Raises ``InputError``."""
    known = protocols.overrides()
    given: dict[str, Any] = {name: FLAGS[name].value for name in known if FLAGS[name].value is not None}
    for name, value in given.items():
        if known[name].kind == WIDTHS:
            try:
                given[name] = tuple(int(width) for width in value)
            except ValueError:
                raise InputError(f"{name} is {','.join(value)!r}: give whole numbers, 1000 or 1000,500.") from None
    return given


def choose_seeds(first: int, count: int, at_once: int | None) -> range:
    """The seeds to run. Raises ``InputError``."""
    if not 1 <= count <= MOST_SEEDS:
        raise InputError(f"--seeds is {count}: give a number from 1 to {MOST_SEEDS}.")
    if not 0 <= first <= MOST_SEED + 1 - count:
        raise InputError(f"--first_seed is {first}: give a number from 0 to {MOST_SEED + 1 - count}.")
    if at_once is not None and at_once < 1:
        raise InputError(f"--seeds_at_once is {at_once}: give at least 1.")
    return range(first, first + count)


def introduce(folder: RunFolder, config: Config, seeds: Sequence[int], dataset: Dataset, reporter: Reporter) -> None:
    """Print what will be run, on what, and how much memory it takes. Raises ``InputError`` if it takes too much."""
    at_once = min(FLAGS.seeds_at_once or len(seeds), len(seeds))
    estimated = memory.estimate(config, dataset, at_once)
    warning = memory.require_memory(estimated, len(seeds), at_once)
    size = memory.format_bytes(estimated.total(len(seeds), at_once))
    counts = class_counts(dataset, trained.split(config, seeds[0], dataset)) if dataset.inputs else {}
    facts = {**device(), "parameters": count_parameters(config, dataset), "memory": size, "folder": folder.path}
    facts["class_counts"] = counts
    reporter.say(introduction(config, dataset, seeds, facts))
    if warning:
        reporter.say(f"warning: {warning}")


def require_possible(folder: RunFolder, config: Config, seeds: Sequence[int], dataset: Dataset) -> None:
    """Raise ``InputError`` if a scenario cannot be run on the data set and in the folder, which is not changed."""
    split.check(dataset.train_labels, dataset.classes, config.labels, config.validation, config.choose_labels)
    groups = group_seeds(seeds, FLAGS.seeds_at_once)
    folder.make()
    if not FLAGS.overwrite:
        require_same_run(config, groups, dataset, folder)
    if FLAGS.overwrite or not folder.finished:
        memory.require_memory(memory.estimate(config, dataset, len(groups[0])), len(seeds), len(groups[0]))


def durations(
    folders: Sequence[RunFolder], configs: Sequence[Config], seeds: Sequence[int], dataset: Dataset
) -> dict[str, float]:
    """The estimated seconds that the training of each unfinished scenario takes."""
    group = group_seeds(seeds, FLAGS.seeds_at_once)[0]
    return {
        config.scenario: estimate_seconds(config, group, dataset) * len(seeds) / len(group)
        for folder, config in zip(folders, configs, strict=True)
        if not folder.finished
    }


def result_in(folder: RunFolder, config: Config, seeds: Sequence[int], dataset: Dataset, reporter: Reporter) -> Result:
    """The result of one scenario: loaded if the run is finished, else the run is started or resumed."""
    at_once, every = FLAGS.seeds_at_once, parse_interval(FLAGS.checkpoint_every)
    if not folder.finished:
        introduce(folder, config, seeds, dataset, reporter)
    return run(config, seeds, dataset, folder, reporter, seeds_at_once=at_once, checkpoint_every=every)


def print_results(results: Sequence[Result], folders: Sequence[RunFolder], output: Path, dataset: Dataset) -> None:
    """Print the results and their comparison, and write a report of several scenarios to ``output``."""
    if not len(dataset.test_labels):
        print("\n".join(untested_text(result, folder.path) for result, folder in zip(results, folders, strict=True)))
        return
    compared = compare(results)
    more = more_seeds(compared, [folder.path for folder in folders], FLAGS.data_dir)
    print(comparison_text(compared, more))
    if len(results) > 1:
        from pljax.compare import write_report  # it imports matplotlib, which takes seconds

        print(f"\nreport: {write_report(compared, folders, output, dataset, more=more)}")


def set_up_backend() -> None:
    """Configure JAX, before anything is computed."""
    use_float32()
    select_backend(FLAGS.backend)
    set_matmul_precision(FLAGS.matmul_precision)
    retain_freed_memory()
    enable_compilation_cache()


def load_dataset(say: Callable[[str], None]) -> Dataset:
    """The data set that the flags name. Raises ``InputError``."""
    if custom.is_path(FLAGS.dataset):
        image = None if FLAGS.image_size is None else (FLAGS.image_size, None)
        return custom.load(FLAGS.dataset, FLAGS.test, data_flags.options(FLAGS)._replace(image=image), say)
    datasets.require_name(FLAGS.dataset)
    for flag in ("test", "image_size", *data_flags.NAMES):
        if FLAGS[flag].value is not None:
            raise InputError(f"--{flag} is for own data: {FLAGS.dataset} needs none.")
    return datasets.load(FLAGS.dataset, FLAGS.data_dir, say=say)


def flags_of_all_processes() -> dict[str, Any]:
    """The flags that say what is run, by name: each process of a run must have the same."""
    names = ("scenario", "protocol", "seeds", "first_seed", "image_size", *data_flags.NAMES, *protocols.overrides())
    files = {name: Path(FLAGS[name].value or "").name for name in ("dataset", "test")}
    return {**{name: FLAGS[name].value for name in names}, **files}


def run_scenarios() -> None:
    """Run the scenarios that the flags select, and print their results, as one of the processes of the run.

    Raises:
      InputError: a flag or the data are not usable.
      ProcessEnded: another process of the run has ended without its part of the work.
    """
    with processes.connect(
        FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id, flags_of_all_processes(), Reporter().say
    ) as all_processes:
        run_share(all_processes)


def run_share(all_processes: Processes) -> None:
    """Run the scenarios with the seeds of this process. The first process joins and prints the results of all."""
    seeds = choose_seeds(FLAGS.first_seed, FLAGS.seeds, FLAGS.seeds_at_once)
    parse_interval(FLAGS.checkpoint_every)
    overrides = given_overrides()
    protocol = FLAGS.protocol or (ADAPTIVE if custom.is_path(FLAGS.dataset) else "quick")
    choose(protocol, FLAGS.scenario, overrides)  # raises before anything is loaded
    set_up_backend()
    shares = processes.shares(seeds, all_processes.count)
    reporter = Reporter()
    dataset = load_dataset(reporter.say)
    chosen = select_for(dataset, protocol, FLAGS.scenario, overrides)

    def folder_of(configs: Sequence[Config], seeds: Sequence[int]) -> RunFolder:
        changes = {**overrides, **({"test": Path(FLAGS.test).stem} if FLAGS.test else {})}
        return RunFolder(Path(FLAGS.workdir) / folder_name(configs, dataset.name, seeds, changes))

    mine = shares[all_processes.index]
    folders = [folder_of([config], mine) for config in chosen]
    joined = [folder_of([config], seeds) for config in chosen] if len(shares) > 1 and not all_processes.index else []
    for folder, config in zip(folders, chosen, strict=True):
        require_possible(folder, config, mine, dataset)
    if FLAGS.overwrite:  # all before the first run: another process must not take an old result for a new one
        for folder in (*folders, *joined):
            folder.reset()
    for folder in joined:
        require_replaceable(folder)
    if sum(not folder.finished for folder in folders) > 1:
        reporter.say(durations_text(durations(folders, chosen, mine, dataset)))
    results = [
        result_in(folder, config, mine, dataset, reporter) for folder, config in zip(folders, chosen, strict=True)
    ]
    reporter.say("")
    if len(shares) > 1:
        if all_processes.index:
            all_processes.require_first()
            return
        parts = [[folder_of([config], share) for config in chosen] for share in shares]
        all_processes.wait_for(parts)
        folders = joined
        results = [join(of_run, folder) for *of_run, folder in zip(*parts, folders, strict=True)]
    print_results(results, folders, folder_of(chosen, seeds).path, dataset)


def execute(_: Sequence[str]) -> None:
    """:func:`run_scenarios`. Raises ``EarlyExit`` for a signal, a full disk, and another process that has ended."""
    try:
        run_scenarios()
    except ProcessEnded as ended:
        raise terminal.EarlyExit(str(ended), status=1) from ended
    except OSError as error:
        if error.errno not in DISK_ERRORS:
            raise
        raise terminal.EarlyExit(
            f"{error.filename or 'a file of the run'} cannot be written ({error.strerror}): make room, then "
            f"{how_to_resume()} from the last checkpoint.",
            status=1,
        ) from error
    except Interrupted as interrupted:
        raise terminal.EarlyExit(f"{interrupted}; {how_to_resume()}.", interrupted.status) from interrupted


def how_to_resume() -> str:
    """What to do, in words: ``--overwrite`` would begin the run again."""
    return f"run the same command again{' without --overwrite' if FLAGS.overwrite else ''} to resume"


define_flags()
define_settings()

COMMAND = terminal.Command(
    name="pljax",
    description="Train networks with and without pseudo-labels (Lee 2013), several seeds each, and print their test "
    "accuracy. A finished run is shown, not trained again; an interrupted one is resumed.",
    flag_values=FLAGS,
    execute=execute,
    groups={"Settings, by default those of the protocol": list(protocols.overrides())},
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or with those of the process. Returns the exit status."""
    return terminal.run(COMMAND, arguments)


def cli() -> None:
    """Run the command as the whole process."""
    terminal.run_process(main)


if __name__ == "__main__":
    cli()
