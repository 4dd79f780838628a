"""Configs of a few updates, finished runs on a few rows, and tables to run them on."""

import io

import numpy as np
import pandas as pd

from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam, PaperMomentum
from pljax.protocols.config import Config, Phase
from pljax.results.folder import RunFolder
from pljax.settings import everywhere, override
from pljax.training.progress import Reporter
from pljax.training.run import run

ADAM = Adam(learning_rate=0.01)
MOMENTUM = PaperMomentum(learning_rate=1.0, decay=0.99, initial_momentum=0.5, final_momentum=0.9, momentum_epochs=5)
DROPOUT = {"visible_dropout": 0.2, "hidden_dropout": 0.5}
# What the paper has, outputs each for itself, and dropout that is made up for when it is over; and what is usual.
PAPER = {"initial_weights": "glorot", "inverted_dropout": False, "output": "sigmoid"}
USUAL = {"initial_weights": "glorot", "inverted_dropout": True, "output": "softmax"}


def network(*hidden, **others):
    return Network(hidden=hidden, **{**PAPER, **others})


def supervised(layers, epochs, optimizer=MOMENTUM, batch_size=5, **method):
    """A phase with labels alone."""
    batches = LabelledBatches(batch_size=batch_size)
    return Phase(method=Supervised(network=layers, **method), batches=batches, optimizer=optimizer, epochs=epochs)


def pseudo_label(layers, epochs, t1, t2, optimizer=MOMENTUM, batch_size=5, **method):
    """A phase with pseudo-labels: 16 unlabelled images an update."""
    of_phase = PseudoLabel(network=layers, t1=t1, t2=t2, **{"alpha_f": 0.5, **method})
    batches = MixedBatches(batch_size=batch_size, unlabelled_batch_size=16)
    return Phase(method=of_phase, batches=batches, optimizer=optimizer, epochs=epochs)


def autoencoder(layers, epochs=2, updates=4, **method):
    """A phase that trains an auto-encoder on images with masking noise."""
    of_phase = DenoisingAutoencoder(
        network=layers, **{"noise": "masking", "noise_level": 0.5, "encoder_dropout": 0.5, **method}
    )
    batches = DrawnBatches(batch_size=16, updates_per_epoch=updates)
    return Phase(method=of_phase, batches=batches, optimizer=ADAM, epochs=epochs)


def config(scenario, *phases, **others):
    return Config(protocol="test", scenario=scenario, phases=phases, **{"labels": 8, "validation": 20, **others})


def small(of_protocol):
    """A protocol's scenario at a size for tests: every kind of phase it has, none of its length."""
    overrides = {
        "labels": 8,
        "validation": min(of_protocol.validation, 20),
        "hidden": (6,),
        "epochs": 3,
        "batch_size": 5,
    }
    overrides |= {"t1": 1, "t2": 2, "unlabelled_batch_size": 8, "pretrain_epochs": 1, "pretrain_batch_size": 8}
    shorter, _ = override(of_protocol, overrides)
    phases = [
        everywhere(phase, "bottleneck", (6, 4, 6)) if getattr(phase.method, "bottleneck", ()) else phase
        for phase in everywhere(shorter.phases, "updates_per_epoch", 2)
    ]
    choose_labels = "random" if shorter.choose_labels == "given" else shorter.choose_labels  # all are known
    return shorter.replace(phases=tuple(phases), choose_labels=choose_labels)


NAMES = ("wide", "narrow", "shifted", "noise")
CLASSES = ("ant", "bee", "cow")


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


def finished(path, dataset, of_config, seeds):
    folder = RunFolder(path)
    run(of_config, seeds, dataset, folder, Reporter(io.StringIO()))
    return folder
