"""``python -m pljax.compare RUN [RUN ...]``: finished runs side by side, in the terminal and as a report."""

import itertools
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from absl import flags

from pljax.analysis import comparison
from pljax.analysis.comparison import Comparison
from pljax.cli import terminal
from pljax.data import datasets
from pljax.data.serialization import write_json
from pljax.report import figures, html
from pljax.report.more_seeds import MoreSeeds, is_public, more_seeds
from pljax.report.tables import comparison_text
from pljax.results.folder import RunFolder, folder_name
from pljax.results.join import find_parts, is_same_run, join
from pljax.results.result import Result
from pljax.types import Dataset, InputError

FLAGS = terminal.new_flags()
flags.DEFINE_string("output", "comparison", "The folder of the report.", flag_values=FLAGS)
flags.DEFINE_string(
    "data_dir", None, "The folder of the data files; default: the user's cache folder.", flag_values=FLAGS
)
flags.DEFINE_float(
    "margin",
    None,
    "A difference in points up to which two accuracies count as equivalent: it is tested for each pair and each "
    "published figure whether the true difference is smaller.",
    flag_values=FLAGS,
)


def write_report(
    compared: Comparison,
    folders: Sequence[RunFolder],
    output: Path,
    dataset: Dataset | None,
    why_no_dataset: str | None = None,
    more: MoreSeeds | None = None,
) -> Path:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``comparison.json`` to ``output``.

    Args:
      compared: the runs with their statistics.
      folders: the folder of each run. Some figures need more than its result.
      output: the folder of the report. It is made if it does not exist.
      dataset: the images of the runs. Without them some figures are left out.
      why_no_dataset: why there is no ``dataset``, as a sentence for the report.
      more: the commands that run seeds without which a pair has no verdict.

    Returns:
      The path of ``report.html``.

    Raises:
      InputError: the report cannot be written.
    """
    runs = [figures.Run(row.label, row.result, folder) for row, folder in zip(compared.rows, folders, strict=True)]
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / "comparison.json", comparison.as_json(compared))
        return html.write(compared, figures.draw(runs, dataset, why_no_dataset), output, more)
    except OSError as error:
        raise InputError(
            f"The report cannot be written to {output} ({error.strerror}): give another place with --output."
        ) from error


def load_dataset(described: Mapping[str, Any], data_dir: str | None) -> tuple[Dataset | None, str | None]:
    """The data set that a result describes, or ``None`` and the reason why it cannot be loaded."""
    if not is_public(described):
        return None, "The runs are on data of one's own."
    try:
        return datasets.load(described["name"], data_dir, say=lambda text: print(text, file=sys.stderr)), None
    except InputError as error:
        return None, str(error)


def join_parts(folders: Sequence[RunFolder], output: Path) -> list[RunFolder]:
    """The folders of the runs. Runs that differ in their seeds alone are joined, each in a folder below ``output``.

    Raises ``InputError`` if they cannot be joined, or in more than one way.
    """
    results, runs = [folder.load_result() for folder in folders], []
    groups = find_parts(results)
    for places in groups:
        if len(places) > 1:
            _require_one_way(folders, results, places)
    for places in groups:
        if len(places) == 1:
            runs.append(folders[places[0]])
            continue
        parts = [results[place] for place in places]
        runs.append(_folder_for(parts, output, taken=[*folders, *runs]))
        join([folders[place] for place in places], runs[-1])
    return runs


def _folder_for(parts: Sequence[Result], output: Path, taken: Sequence[RunFolder]) -> RunFolder:
    """The folder of a joined run: the first of its name, with a number if needed, that holds no other run."""
    config, seeds = parts[0].effective_config(), [seed for part in parts for seed in part.seeds]
    name = folder_name([config], parts[0].dataset["name"], seeds, comparison.overrides_of(parts[0]))
    paths = {folder.path.resolve() for folder in taken}

    def is_free(folder: RunFolder) -> bool:
        holds_other = folder.finished and not is_same_run(folder.load_result(), parts[0])
        return folder.path.resolve() not in paths and not holds_other

    # Settings that are no overrides are not in the name.
    names = itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2)))
    return next(filter(is_free, (RunFolder(output / name) for name in names)))


def _require_one_way(folders: Sequence[RunFolder], results: Sequence[Result], places: Sequence[int]) -> None:
    """Raise ``InputError`` if a run beside some parts of one run has the config and a seed of one of them."""
    for other in set(range(len(results))) - set(places):
        for place in places:
            if is_same_run(results[other], results[place]) and set(results[other].seeds) & set(results[place].seeds):
                raise InputError(
                    f"{folders[place].path} and {folders[other].path} have seeds of one run in common, so it is not "
                    "clear which parts to join: give each seed once."
                )


def without_reports(paths: Sequence[Path]) -> list[Path]:
    """The folders that are no comparisons: those of ``runs/*`` hold one if several scenarios were run at once."""
    reports = [path for path in paths if (path / "comparison.json").exists() and not (path / "result.json").exists()]
    if len(reports) == len(paths):
        raise InputError(f"{paths[0]} is a comparison: give the folders of its runs.")
    for path in reports:
        print(f"{path} is a comparison and is left out.", file=sys.stderr)
    return [path for path in paths if path not in reports]


def execute(runs: Sequence[str]) -> None:
    """Compare the runs in these folders, print the tables and write the report. Raises ``InputError``."""
    comparison.require_margin(FLAGS.margin)
    paths = [path.parent if path.name == "result.json" else path for path in map(Path, runs)]
    paths = without_reports(paths)
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("The same run is given twice: give each once.")
    output = Path(FLAGS.output).expanduser()
    folders = join_parts([RunFolder(path) for path in paths], output)
    compared = comparison.compare([folder.load_result() for folder in folders], FLAGS.margin)
    places = {name: None if FLAGS[name].using_default_value else FLAGS[name].value for name in ("data_dir", "output")}
    more = more_seeds(compared, [RunFolder(path).path for path in paths], **places)
    print(comparison_text(compared, more))
    dataset, why_not = load_dataset(compared.results[0].dataset, FLAGS.data_dir)
    print(f"\nreport: {write_report(compared, folders, output, dataset, why_not, more)}")


COMMAND = terminal.Command(
    name="pljax-compare",
    description="Compare finished runs seed by seed: print tables and write a report with figures. RUN is the folder "
    "of a finished run. Runs of one config with different seeds are joined.",
    flag_values=FLAGS,
    execute=execute,
    argument="RUN",
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or with those of the process. Returns the exit status."""
    return terminal.run(COMMAND, arguments)


def cli() -> None:
    """Run the command as the whole process."""
    terminal.run_process(main)


if __name__ == "__main__":
    cli()
