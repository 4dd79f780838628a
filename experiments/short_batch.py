"""What a last mini-batch of 4 labelled images does under `lee2013`, beside one filled up to 32.

An epoch over 100 labelled images has mini-batches of 32, 32, 32 and 4 images, and the paper does not say what becomes
of the 4. This trains a scenario both ways, with the same seeds, splits and initial weights, and records by seed the
largest loss of an epoch once learning has begun, the share of hidden units that answer to any of 2,000 images in the
end, and the accuracies.

``python experiments/short_batch.py --scenario=drop_nn --epochs=120`` takes about a minute on two cores, and
``--scenario=pl`` half an hour. Both add to ``experiments/results/short_batch.json``.
"""

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pljax import SCENARIOS, Config, Dataset, RunFolder, load, run

RESULTS = Path(__file__).parent / "results" / "short_batch.json"
LEARNING_HAS_BEGUN = 20  # the epoch; before it the loss is large either way


def variant(scenario: str, last_batch: str, epochs: int | None) -> Config:
    """The scenario under `lee2013` with one kind of last mini-batch, shortened if ``epochs`` are given."""
    config = SCENARIOS["lee2013"][scenario]
    (phase,) = config.phases
    return dataclasses.replace(
        config, phases=(dataclasses.replace(phase, last_batch=last_batch, epochs=epochs or phase.epochs),)
    )


def measure(config: Config, dataset: Dataset, seeds: range) -> dict[str, list[Any]]:
    """Train, and tell by seed what came of it."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = RunFolder(Path(scratch))
        result = run(config, seeds, dataset, folder, seeds_at_once=1)
        lines = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
        courses = [[line for line in lines if line["seed"] == seed] for seed in seeds]
        return {
            "largest_loss": [max(line["labelled_loss"] for line in course[LEARNING_HAS_BEGUN:]) for course in courses],
            "alive_share": alive_share(folder, dataset.train_images[:2000]),
            "validation_accuracy": [course[-1]["validation_accuracy"] for course in courses],
            "test_accuracy": result.test_accuracy,
        }


def alive_share(folder: RunFolder, images: np.ndarray) -> list[float]:
    """The share of hidden units above 0 for any of ``images``, by seed."""
    hidden = folder.load_parameters()["hidden"]
    x = 0.8 * images.astype(np.float32) / 255  # evaluation scales the pixels by the share that training keeps
    return [
        float((x @ kernel + bias > 0).any(axis=0).mean())
        for kernel, bias in zip(hidden["kernel"], hidden["bias"], strict=True)
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare a short last mini-batch with a filled one.")
    parser.add_argument("--scenario", choices=("nn", "drop_nn", "pl"), default="drop_nn")
    parser.add_argument("--epochs", type=int, help="default: all of the protocol's")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--data_dir", help="where the files of MNIST lie; default: the user's cache folder")
    arguments = parser.parse_args()
    dataset = load("mnist", arguments.data_dir)
    study = {
        last_batch: measure(variant(arguments.scenario, last_batch, arguments.epochs), dataset, range(arguments.seeds))
        for last_batch in ("short", "filled")
    }
    name = f"{arguments.scenario}, {arguments.epochs or 'all'} epochs, {arguments.seeds} seeds"
    known = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps({**known, name: study}, indent=1) + "\n")
    for last_batch, figures in study.items():
        for figure, values in figures.items():
            print(f"{last_batch:7} {figure:20} {' '.join(f'{value:.3f}' for value in values)}")


if __name__ == "__main__":
    main()
