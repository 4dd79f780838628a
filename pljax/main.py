"""``python -m pljax.main``: flags become configs, configs are run, results are told."""

import errno
import itertools
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
from absl import app, flags, logging

from pljax import protocols
from pljax.analysis.comparison import compare
from pljax.data import custom, datasets, tables
from pljax.data.tables import LABEL_NAMES
from pljax.protocols.config import Config
from pljax.protocols.select import ADAPTIVE, PROTOCOLS, choose, select_for
from pljax.report.tables import in_full, introduction, untested
from pljax.results.folder import RunFolder, folder_name
from pljax.results.join import join
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
)
from pljax.training.progress import Interrupted, Reporter
from pljax.training.run import count_parameters, in_groups, require_same, run
from pljax.training.seeds import MOST_SEED
from pljax.types import Dataset, InputError

FLAGS = flags.FLAGS
MOST_SEEDS = 100_000  # in one run
WIDTHS = tuple[int, ...]
SIGNALLED = 128  # exit statuses above say which signal
DISK_TROUBLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO}


def define_flags() -> None:
    """All flags but absl's own. Every flag's default is the protocol's."""
    flags.DEFINE_list("scenario", ["pl_dae"], "nn, drop_nn, pl, pl_dae, several with commas, or all.")
    flags.DEFINE_string(
        "protocol",
        None,
        f"How the scenarios are trained: {', '.join(PROTOCOLS)}; default: quick, adaptive on own data.",
    )
    flags.DEFINE_string(
        "dataset",
        "auto",
        f"One of {', '.join(datasets.DATASETS)}, or own data: a .npz, .csv or .parquet file, or a folder with a folder "
        "of pictures for each class.",
    )
    flags.DEFINE_string("test", None, "Own data: a file or folder of labelled test rows.")
    flags.DEFINE_string("label", None, f"Own data: the column or array of labels; default: {', '.join(LABEL_NAMES)}.")
    flags.DEFINE_list("features", None, "Own data: the array, or the columns, of the features; default: all others.")
    flags.DEFINE_integer("image_size", None, "Own data: the side length that pictures get; default: the first one's.")
    flags.DEFINE_string("data_dir", None, "Where the data files lie or are put; default: the user's cache folder.")
    flags.DEFINE_integer("seeds", 5, "How many seeds.")
    flags.DEFINE_integer("first_seed", 0, "The first of them.")
    flags.DEFINE_integer("seeds_at_once", None, "How many share the device's memory; default: all.")
    flags.DEFINE_string("backend", None, "cpu, gpu or tpu; default: what JAX finds.")
    flags.DEFINE_string(
        "matmul_precision", None, f"Of products on GPU and TPU: {', '.join(PRECISIONS)}; default: JAX's."
    )
    flags.DEFINE_string(
        "coordinator",
        None,
        "Several processes share the seeds: host:port of the first, or auto (Slurm, Kubernetes, TPU).",
    )
    flags.DEFINE_integer("num_processes", None, "How many processes share the seeds.")
    flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")
    flags.DEFINE_string("workdir", "runs", "Gets a folder for each run.")
    flags.DEFINE_string("checkpoint_every", "1min", "How much work may be lost: a time or epochs, 30s, 5min, 20epochs.")
    flags.DEFINE_bool("overwrite", False, "Begin anew what is begun or finished in the workdir.")
    kinds: dict[Any, Any] = {int: flags.DEFINE_integer, float: flags.DEFINE_float, WIDTHS: flags.DEFINE_list}
    for name, flag in protocols.overrides().items():
        kinds.get(flag.kind, flags.DEFINE_string)(name, None, f"Override: {flag.help}")


def given_overrides() -> dict[str, Any]:
    """The overrides turned on the command line, by name."""
    known = protocols.overrides()
    given: dict[str, Any] = {name: FLAGS[name].value for name in known if FLAGS[name].value is not None}
    for name in given:
        if known[name].kind == WIDTHS:
            try:
                given[name] = tuple(int(width) for width in given[name])
            except ValueError:
                told = ",".join(given[name])
                raise InputError(f"{name} is {told!r}: give whole numbers, 1000 or 1000,500.") from None
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
    """Say what will be run, on what, and how much memory it takes. Raises ``InputError`` if it takes too much."""
    at_once = min(FLAGS.seeds_at_once or len(seeds), len(seeds))
    estimated = memory.estimate(config, dataset, at_once)
    warning = memory.require_memory(estimated, len(seeds), at_once)
    size = memory.format_bytes(estimated.total(len(seeds), at_once))
    facts = {**device(), "parameters": count_parameters(config, dataset), "memory": size, "folder": folder.path}
    reporter.say(introduction(config, dataset, seeds, facts))
    if warning:
        reporter.say(f"warning: {warning}")


def result_in(folder: RunFolder, config: Config, seeds: Sequence[int], dataset: Dataset, reporter: Reporter) -> Result:
    """The result of one scenario: that of its folder where it is finished, or that of a run."""
    at_once, every = FLAGS.seeds_at_once, parse_interval(FLAGS.checkpoint_every)
    folder.make()
    require_same(config, in_groups(seeds, at_once), dataset, folder)
    if not folder.finished:
        introduce(folder, config, seeds, dataset, reporter)
    return run(config, seeds, dataset, folder, reporter, seeds_at_once=at_once, checkpoint_every=every)


def tell(results: Sequence[Result], folders: Sequence[RunFolder], output: Path, dataset: Dataset) -> None:
    """Print the comparison of the results; write the report of several scenarios to ``output``."""
    if not len(dataset.test_labels):
        print("\n".join(untested(result, folder.path) for result, folder in zip(results, folders, strict=True)))
        return
    compared = compare(results)
    print(in_full(compared))
    if len(results) > 1:
        from pljax.compare import write_report  # a run of one scenario need not wait for matplotlib

        print(f"\nreport: {write_report(compared, folders, output, dataset)}")


def set_up_backend() -> None:
    """Find the other processes, then choose what is computed on, and how: before anything is computed."""
    processes.connect(FLAGS.coordinator, FLAGS.num_processes, FLAGS.process_id)
    select_backend(FLAGS.backend)
    set_matmul_precision(FLAGS.matmul_precision)
    retain_freed_memory()
    enable_compilation_cache()


def load_dataset(say: Callable[[str], None]) -> Dataset:
    """The data that the flags name. Raises ``InputError``."""
    if tables.is_path(FLAGS.dataset):
        image = (FLAGS.image_size, None) if FLAGS.image_size else None
        how = tables.ReadOptions(FLAGS.label, tuple(FLAGS.features or ()), image)
        return custom.load(FLAGS.dataset, FLAGS.test, how, say)
    for flag in ("test", "label", "features", "image_size"):
        if FLAGS[flag].value is not None:
            raise InputError(f"--{flag} is for own data: {FLAGS.dataset} needs none.")
    return datasets.load(FLAGS.dataset, FLAGS.data_dir, say=say)


def execute() -> None:
    """Everything that the flags ask for, in order."""
    seeds = choose_seeds(FLAGS.first_seed, FLAGS.seeds, FLAGS.seeds_at_once)
    parse_interval(FLAGS.checkpoint_every)
    overrides = given_overrides()
    protocol = FLAGS.protocol or (ADAPTIVE if tables.is_path(FLAGS.dataset) else "quick")
    choose(protocol, FLAGS.scenario, overrides)  # refused before anything is loaded
    set_up_backend()
    shares = processes.shares(seeds, jax.process_count())
    reporter = Reporter()
    dataset = load_dataset(reporter.say)
    chosen = select_for(dataset, protocol, FLAGS.scenario, overrides)

    def folder_of(configs: Sequence[Config], seeds: Sequence[int]) -> RunFolder:
        turned = {**overrides, **({"test": Path(FLAGS.test).stem} if FLAGS.test else {})}
        return RunFolder(Path(FLAGS.workdir) / folder_name(configs, dataset.name, seeds, turned))

    mine = shares[jax.process_index()]
    folders = [folder_of([config], mine) for config in chosen]
    if FLAGS.overwrite:  # all of them first: another process must not take an old result for the new one
        for folder in folders:
            folder.begin_anew()
    results = [
        result_in(folder, config, mine, dataset, reporter) for folder, config in zip(folders, chosen, strict=True)
    ]
    reporter.say("")
    if len(shares) > 1:
        parts = [[folder_of([config], share) for share in shares] for config in chosen]
        processes.wait_for(itertools.chain(*parts))
        if not processes.is_coordinator():
            return
        folders = [folder_of([config], seeds) for config in chosen]
        results = [join(of_run, folder) for of_run, folder in zip(parts, folders, strict=True)]
    tell(results, folders, folder_of(chosen, seeds).path, dataset)


def main(arguments: list[str]) -> int:
    """One sentence and exit status 2 for input that cannot be used; nothing is hidden of what else goes wrong."""
    logging.set_verbosity(logging.FATAL)  # Orbax logs a traceback for what is told here in one sentence
    try:
        if len(arguments) > 1:
            raise InputError(f"{arguments[1]!r} is no flag: flags look like --scenario=pl_dae; --help lists them.")
        execute()
    except InputError as error:
        print(f"pljax: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno not in DISK_TROUBLE:
            raise
        told = f"{error.filename or 'a file of the run'} cannot be written ({error.strerror})"
        print(f"pljax: {told}: make room, and the same command goes on from the last save.", file=sys.stderr)
        return 1
    except Interrupted as interrupted:
        print(f"pljax: {interrupted}; the same command goes on from here.", file=sys.stderr)
        return interrupted.status
    except KeyboardInterrupt:
        print("pljax: interrupted.", file=sys.stderr)
        return 130
    return 0


def parse(arguments: list[str]) -> list[str]:
    """Read the flags; a wrong one is one sentence and exit status 2."""
    try:
        return FLAGS(arguments)
    except SystemExit:  # absl has printed the help
        sys.exit(0)
    except (flags.Error, RecursionError) as error:  # absl recurses over a long flag that it does not know
        told = " ".join(str(error).splitlines()).rstrip(" .?")
        print(f"pljax: {told}; --help lists the flags.", file=sys.stderr)
        sys.exit(2)


def run_and_leave(arguments: list[str]) -> int:
    """:func:`main`; after a signal, what the threads of libraries still wait for is not waited for."""
    status = main(arguments)
    if status > SIGNALLED:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)
    return status


define_flags()

if __name__ == "__main__":
    app.run(run_and_leave, flags_parser=parse)
