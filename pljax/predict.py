"""``python -m pljax.predict``: the classes that a finished run predicts for new rows."""

import csv
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from absl import flags

from pljax.cli import data_flags, terminal
from pljax.data import custom
from pljax.data.serialization import atomic
from pljax.data.text import number
from pljax.results import ensemble
from pljax.results.ensemble import Ensemble
from pljax.results.folder import RunFolder
from pljax.types import InputError

FLAGS = terminal.new_flags()
flags.DEFINE_string("run", None, "The folder of a finished run.", flag_values=FLAGS)
flags.DEFINE_string(
    "input", None, f"A file ({', '.join(custom.FILE_SUFFIXES)}), or a folder of pictures.", flag_values=FLAGS
)
flags.DEFINE_string("output", None, "A .csv or .npz file, to write the predictions to.", flag_values=FLAGS)
data_flags.define(FLAGS, "If it is not as for the training rows, ", otherwise="as for the training rows")


class Predictions(NamedTuple):
    """The predictions for ``n`` rows: means over the seeds of a run."""

    label: np.ndarray  # text [n], the class of the largest mean probability
    confidence: np.ndarray  # float32 [n], that probability
    seeds_agree: np.ndarray  # int32 [n], how many seeds predict this class
    probabilities: np.ndarray  # float32 [n, C], means over seeds


def predict(model: Ensemble, features: np.ndarray) -> Predictions:
    """The predictions for rows of features, ``[n, D]``."""
    by_seed = ensemble.probabilities(model, features)
    mean = by_seed.mean(axis=0)
    best = mean.argmax(axis=1)
    agree = (by_seed.argmax(axis=2) == best).sum(axis=0).astype(np.int32)
    return Predictions(np.array(model.classes)[best], mean.max(axis=1, initial=0.0), agree, mean)


def write(predictions: Predictions, model: Ensemble, names: Sequence[str], path: Path) -> None:
    """Write the predictions to a ``.csv`` or ``.npz`` file. Raises ``InputError``.

    ``names`` are those of the rows; where there are none, rows are counted from 0.
    """
    index = names or range(len(predictions.label))
    try:
        with atomic(path) as stream:
            if path.suffix.lower() == ".npz":
                arrays = {"index": np.array(index), **predictions._asdict(), "classes": np.array(model.classes)}
                np.savez(stream, allow_pickle=False, **arrays)
                return
            file = io.TextIOWrapper(stream, encoding="utf-8", newline="", write_through=True)
            writer = csv.writer(file, lineterminator="\n")
            probabilities = (f"p_{name}" for name in model.classes)
            writer.writerow(["index", "label", "confidence", "seeds_agree", "seeds", *probabilities])
            for row, (label, confidence, agree, of_row) in zip(index, zip(*predictions, strict=True), strict=True):
                first, *others = (f"{probability:.6g}" for probability in (confidence, *of_row))
                writer.writerow([row, label, first, agree, len(model.seeds), *others])
            file.detach()
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error.strerror}): make its folder, or give another --output."
        ) from error


def execute(_: Sequence[str]) -> None:
    """Predict the classes of the rows in ``--input`` and write them. Raises ``InputError``."""
    output = Path(FLAGS.output).expanduser()
    if output.suffix.lower() not in (".csv", ".npz"):
        raise InputError(f"--output is {FLAGS.output!r}: give a file that ends in .csv or .npz.")
    folder = RunFolder(FLAGS.run)
    folder.require_foreign(output)
    if output.resolve() == Path(FLAGS.input).expanduser().resolve():
        raise InputError(f"--output and --input are both {output}: give another --output.")
    model = ensemble.load(folder)
    rows = ensemble.read_rows(model, FLAGS.input, data_flags.options(FLAGS))
    for warning in rows.warnings:
        print(f"warning: {warning}", file=sys.stderr)
    predictions = predict(model, rows.features)
    write(predictions, model, rows.names, output)
    seeds, unanimous = len(model.seeds), (predictions.seeds_agree == len(model.seeds)).mean()
    agreement = f", all {seeds} seeds agree on {unanimous:.1%}" if seeds > 1 else ""
    confidence = f"mean confidence {predictions.confidence.mean():.3f}"
    print(f"{number(len(rows.features), 'row')}, {confidence}{agreement}: {output}")


COMMAND = terminal.Command(
    name="pljax-predict",
    description="Predict the classes of new rows with the networks of a finished run.",
    flag_values=FLAGS,
    execute=execute,
    required=("run", "input", "output"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or with those of the process. Returns the exit status."""
    return terminal.run(COMMAND, arguments)


def cli() -> None:
    """Run the command as the whole process."""
    terminal.run_process(main)


if __name__ == "__main__":
    cli()
