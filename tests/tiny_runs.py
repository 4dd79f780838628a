"""Finished runs on a few rows, and tables to run them on."""

import io

import numpy as np
import pandas as pd

from pljax import own_data
from pljax.config import Adam, Config, Dropout, Finetune, PaperMomentum, PseudoLabels
from pljax.own_files import How
from pljax.progress import Reporter
from pljax.run import run
from pljax.workdir import RunFolder

NAMES = ("wide", "narrow", "shifted", "noise")
CLASSES = ("ant", "bee", "cow")
OWN = Config(
    "test",
    "pl",
    (Finetune(4, 8, Adam(0.02), Dropout(0.2, 0.5), PseudoLabels(1.0, 0, 2, 16)),),
    (8, 5),
    "glorot",
    True,
    "softmax",
    labels=12,
    validation=0,
    choose_labels="given",
)
# What the paper has: outputs each for itself, and dropout that is made up for when it is over.
PIXELS = Config(
    "test",
    "pl",
    (Finetune(3, 4, PaperMomentum(0.5, 0.99, 0.5, 0.9, 5), Dropout(0.2, 0.5), PseudoLabels(0.5, 0, 2, 16)),),
    (8,),
    "glorot",
    False,
    "sigmoid",
    labels=8,
    validation=20,
)


def rows(count, seed=0):
    """Features of three classes on scales of their own, and the classes."""
    generator = np.random.default_rng(seed)
    truth = np.arange(count) % 3
    centres = np.array([[0, 0, 0, 0], [2, 0, 3, 0], [0, 3, -3, 0]])
    features = centres[truth] + generator.normal(size=(count, 4))
    return (features * [1000, 0.01, 1, 1] + [0, 0, 50, 0]).astype(np.float32), np.array(CLASSES)[truth]


def write_table(path, count=60, known=12, seed=0):
    """A table of rows of which the first ones are labelled."""
    features, labels = rows(count, seed)
    labels = [label if place < known else "" for place, label in enumerate(labels)]
    pd.DataFrame(features, columns=NAMES).assign(label=labels).to_csv(path, index=False)
    return path


def finished(path, dataset, config, seeds):
    folder = RunFolder(path)
    run(config, seeds, dataset, folder, Reporter(io.StringIO()))
    return folder


def finished_own(path, seeds=(3, 0, 7)):
    """A run on a table that lies beside it."""
    path.mkdir(parents=True)
    table = write_table(path.parent / "rows.csv")
    return finished(path, own_data.load(str(table), None, How(), print), OWN, list(seeds))
