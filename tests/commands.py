"""What the tests of the four commands share: calls of a command in this process, and runs without training."""

import contextlib
import dataclasses
import io
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np
import pytest
from made_results import make_result
from tiny_runs import ADAM, DROPOUT, PAPER, USUAL, config, network, supervised

from pljax.protocols.config import Config, shapes
from pljax.report.figures import outputs, style
from pljax.results.folder import RunFolder
from pljax.types import Dataset

SEEDS = [3, 0, 7]
ON_TABLE = config(
    "drop_nn",
    supervised(network(8, 5, **USUAL), 4, ADAM, **DROPOUT),
    labels=12,
    validation=0,
    choose_labels="given",
)
ON_PIXELS = config("drop_nn", supervised(network(8, **PAPER), 3, **DROPOUT))


class Outcome(NamedTuple):
    status: int
    out: str
    err: str


def call(main: Callable[..., int], *arguments: object) -> Outcome:
    """Run a command with these arguments in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main([*map(str, arguments)])
    return Outcome(status, out.getvalue(), err.getvalue())


def assert_refused(outcome: Outcome, expected: str) -> str:
    """Assert a usage error: exit status 2, and one line on stderr that contains ``expected``. Returns the line."""
    assert outcome.status == 2
    assert outcome.out == ""
    (line,) = outcome.err.splitlines()
    assert line.startswith("pljax: ")
    assert line.isprintable()
    assert expected in line
    return line


@contextlib.contextmanager
def cheap_figures() -> Iterator[None]:
    """Draw figures with few pixels and without t-SNE, which takes seconds."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "DPI", 40)
        patch.setattr(outputs, "tsne", lambda answers: {label: of[:, :2] for label, of in answers.items()})
        yield


def untrained(path: Path, dataset: Dataset, of_config: Config, seeds: Sequence[int]) -> Path:
    """Write the files of a finished run that predict and export read, with random weights: nothing is compiled."""
    folder, generator = RunFolder(path), np.random.default_rng(0)
    folder.make()
    images = jax.ShapeDtypeStruct(dataset.train_images.shape, np.uint8)
    params, _ = shapes(of_config, images, dataset.classes)[-1]
    folder.save_parameters(jax.tree.map(lambda leaf: _draw(generator, (len(seeds), *leaf.shape)), params))
    if dataset.inputs is not None:
        folder.save_inputs(dataset.inputs, dataset.class_names)
    about = {
        "name": dataset.name,
        "digest": dataset.digest,
        "train": len(dataset.train_images),
        "test": dataset.classes,
    }
    result = make_result(of_config, [0.5] * len(seeds), about, seeds=seeds)
    counts = {part: [1] * dataset.classes for part in result.class_counts}
    folder.save_result(dataclasses.replace(result, class_counts=counts))
    return path


def _draw(generator: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    return generator.normal(scale=0.3, size=shape).astype(np.float32)
