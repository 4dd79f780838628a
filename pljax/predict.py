"""``python -m pljax.predict``: the classes that a finished run gives to new rows."""

import argparse
import contextlib
import csv
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pljax.report import terminal
from pljax.results import ensemble
from pljax.results.folder import RunFolder
from pljax.types import InputError


class Predictions(NamedTuple):
    """What the seeds of a run say together of ``n`` rows."""

    label: np.ndarray  # text [n], the class of the largest mean probability
    confidence: np.ndarray  # float32 [n], that probability
    seeds_agree: np.ndarray  # int32 [n], how many seeds give this class
    probabilities: np.ndarray  # float32 [n, C], means over seeds


def predict(of: ensemble.Ensemble, features: np.ndarray) -> Predictions:
    """The predictions for rows of features, ``[n, D]``."""
    by_seed = ensemble.probabilities(of, features)
    mean = by_seed.mean(axis=0)
    best = mean.argmax(axis=1)
    agree = (by_seed.argmax(axis=2) == best).sum(axis=0).astype(np.int32)
    return Predictions(np.array(of.classes)[best], mean.max(axis=1, initial=0.0), agree, mean)


def write(predictions: Predictions, of: ensemble.Ensemble, names: Sequence[str], path: Path) -> None:
    """Write them as ``.csv``, a row each, or as ``.npz``. Raises ``InputError``."""
    temporary = path.with_name(f"{path.name}.part")
    try:
        if path.suffix.lower() == ".npz":
            with temporary.open("wb") as stream:
                index = np.array(names) if names else np.arange(len(predictions.label))
                arrays = {"index": index, **predictions._asdict(), "classes": np.array(of.classes)}
                np.savez(stream, allow_pickle=False, **arrays)
        elif path.suffix.lower() == ".csv":
            with temporary.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                probabilities = (f"p_{name}" for name in of.classes)
                writer.writerow(["index", "label", "confidence", "seeds_agree", "seeds", *probabilities])
                for row, (label, confidence, agree, shares) in enumerate(zip(*predictions, strict=True)):
                    numbers = (f"{share:.6g}" for share in (confidence, *shares))
                    first, *others = numbers
                    writer.writerow([names[row] if names else row, label, first, agree, len(of.seeds), *others])
        else:
            raise InputError(f"{path} ends in neither .csv nor .npz: give an --output that does.")
        temporary.replace(path)
    except OSError as error:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise InputError(
            f"{path} cannot be written ({error.strerror}): make its folder, or give another --output."
        ) from error


def execute(arguments: argparse.Namespace) -> None:
    """Everything that the command line asks for, in order."""
    if Path(arguments.output).suffix.lower() not in (".csv", ".npz"):
        raise InputError(f"--output is {arguments.output!r}: give a file that ends in .csv or .npz.")
    of = ensemble.load(RunFolder(arguments.run))
    rows = ensemble.read_rows(of, arguments.input)
    predictions = predict(of, rows.features)
    write(predictions, of, rows.names, Path(arguments.output))
    sure = (predictions.seeds_agree == len(of.seeds)).mean()
    print(
        f"{len(rows.features):,} rows, mean confidence {predictions.confidence.mean():.3f}, all {len(of.seeds)} seeds "
        f"agree on {sure:.1%}: {arguments.output}"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 2 and one sentence for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m pljax.predict", description="Classify rows with a finished run.")
    parser.add_argument("--run", required=True, help="the folder of a finished run")
    parser.add_argument("--input", required=True, help=".npz, .csv or .parquet file, or folder of pictures")
    parser.add_argument("--output", required=True, help="a .csv or .npz file")
    return terminal.run(parser, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
