"""``python -m pljax.compare RUN [RUN ...]``: finished runs side by side, in the terminal and as a report."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from pljax.analysis import comparison
from pljax.analysis.comparison import Comparison
from pljax.data import datasets
from pljax.data.serialization import write_json
from pljax.report import figures, html, terminal
from pljax.report.tables import in_full
from pljax.results.folder import RunFolder, folder_name
from pljax.results.join import join, parts
from pljax.types import Dataset, InputError


def write_report(
    compared: Comparison,
    folders: Sequence[RunFolder],
    output: Path,
    dataset: Dataset | None,
    why_no_dataset: str | None = None,
) -> Path:
    """Write ``report.html``, ``report.md``, ``figures/`` and ``comparison.json`` to ``output``.

    Args:
      compared: the numbers.
      folders: where each of its runs lies, for what the figures need beyond results.
      output: a folder, made if need be.
      dataset: the images that the runs were made on, or ``None``: some figures need them.
      why_no_dataset: a sentence, for the line that stands in place of those figures.

    Returns:
      The path of ``report.html``.

    Raises:
      InputError: the report cannot be written.
    """
    runs = [figures.Run(row.label, row.result, folder) for row, folder in zip(compared.rows, folders, strict=True)]
    try:
        output.mkdir(parents=True, exist_ok=True)
        write_json(output / "comparison.json", comparison.as_json(compared))
        return html.write(compared, figures.draw(runs, dataset, why_no_dataset), output)
    except OSError as error:
        raise InputError(
            f"The report cannot be written to {output} ({error.strerror}): give another place with --output."
        ) from error


def load_dataset(name: str, data_dir: str | None) -> tuple[Dataset | None, str | None]:
    """The images of the runs, or why they are not to be had."""
    try:
        return datasets.load(name, data_dir, say=_say), None
    except InputError as error:
        return None, str(error)


def join_parts(folders: Sequence[RunFolder], output: Path) -> list[RunFolder]:
    """The runs, those joined in a folder below ``output`` that are one run's with different seeds."""
    results = [folder.load_result() for folder in folders]
    runs = []
    for places in parts(results):
        if len(places) == 1:
            runs.append(folders[places[0]])
            continue
        first = results[places[0]]
        seeds = [seed for place in places for seed in results[place].seeds]
        config = first.effective_config()
        name = folder_name([config], first.dataset["name"], seeds, comparison.overrides_of(first))
        runs.append(RunFolder(output / name))
        join([folders[place] for place in places], runs[-1])
    return runs


def _say(text: str) -> None:
    print(text, file=sys.stderr)


def execute(arguments: argparse.Namespace) -> None:
    """Everything that the command line asks for, in order."""
    paths = [path.parent if path.name == "result.json" else path for path in map(Path, arguments.runs)]
    if len({path.resolve() for path in paths}) < len(paths):
        raise InputError("The same run is given twice: give each once.")
    folders = join_parts([RunFolder(path) for path in paths], Path(arguments.output))
    compared = comparison.compare([folder.load_result() for folder in folders])
    print(in_full(compared))
    dataset, why_not = load_dataset(compared.results[0].dataset["name"], arguments.data_dir)
    report = write_report(compared, folders, Path(arguments.output), dataset, why_not)
    print(f"\nreport: {report}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 2 and one sentence for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m pljax.compare", description="Compare finished runs, seed by seed.")
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a finished run")
    parser.add_argument("--output", default="comparison", help="the folder of the report; default: %(default)s")
    parser.add_argument("--data_dir", help="where the data files lie; default: the user's cache folder")
    return terminal.run(parser, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
