"""What two choices are worth that the paper leaves open, or that are easily missed.

``short_batch``: an epoch over 100 labelled images has mini-batches of 32, 32, 32 and 4. The protocols `quick` and
`lee2013` fill the last one up to 32; here it stays at 4. ``inverted_dropout``: kept units are scaled up while
training, where eq. 9 scales all units down afterwards.

This trains a scenario as its protocol has it and with one choice changed, with the same seeds, splits and initial
weights, and records by seed the largest loss of an epoch once learning has begun, the share of hidden units that answer
to any of 2,000 images in the end, and the accuracies, in ``experiments/results/choices.json``. ``--first_seed=5`` adds
seeds to a study of five. ``--tables`` prints what that file holds.

``python experiments/choices.py --choice=short_batch --protocol=quick --scenario=nn`` takes a minute on two cores;
``--protocol=lee2013 --scenario=pl`` takes half an hour. With fewer ``--epochs`` and ``--hidden`` units, it only shows
that it runs.
"""

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pljax import Config, Dataset, RunFolder, load, run
from pljax.analysis.stats import compare_paired, summarize
from pljax.nn.networks import to_inputs
from pljax.protocols.select import select_for
from pljax.settings import everywhere

RESULTS = Path(__file__).parent / "results"
LEARNING_HAS_BEGUN = 20  # the epoch; before it the loss is large either way


def short_batch(config: Config) -> Config:
    """The config with a last mini-batch of what is left."""
    return everywhere(config, "last_batch", "short")


def inverted_dropout(config: Config) -> Config:
    """The config with dropout as Keras and most libraries have it."""
    return everywhere(config, "inverted_dropout", True)


CHOICES = {"short_batch": short_batch, "inverted_dropout": inverted_dropout}
IN_WORDS = {"short_batch": "last mini-batch of 4", "inverted_dropout": "inverted dropout"}

Figures = dict[str, list[Any]]  # a list over seeds, from 0 on
Study = dict[str, Figures]  # of the protocol as it is, "as chosen", and of the choice


def describe(folder: RunFolder, dataset: Dataset) -> Figures:
    """What came of a run, by seed."""
    result = folder.load_result()
    lines = [json.loads(line) for line in (folder.path / "metrics.jsonl").read_text().splitlines()]
    curves = [[line for line in lines if line["seed"] == seed] for seed in result.seeds]
    return {
        "largest_loss": [max(line["labelled_loss"] for line in curve[LEARNING_HAS_BEGUN:]) for curve in curves],
        "alive_share": alive_share(folder, dataset.train_images[:2000]),
        "validation_accuracy": [curve[-1]["validation_accuracy"] for curve in curves],
        "test_accuracy": result.test_accuracy,
    }


def alive_share(folder: RunFolder, images: np.ndarray) -> list[float]:
    """The share of hidden units above 0 for any of ``images``, by seed."""
    hidden = folder.load_parameters()["hidden"]
    method = folder.load_result().effective_config().method
    x = np.asarray(to_inputs(images))
    if not method.network.inverted_dropout:
        x = x * (1 - method.visible_dropout)  # as evaluation scales the pixels
    return [
        float((x @ kernel + bias > 0).any(axis=0).mean())
        for kernel, bias in zip(hidden["kernel"], hidden["bias"], strict=True)
    ]


def read(path: Path) -> dict[str, Study]:
    """The studies in a file by name, if there is one."""
    return json.loads(path.read_text()) if path.exists() else {}


def number_of_seeds(study: Study | None) -> int:
    """How many seeds a study has: all from 0 on."""
    return len(study["as chosen"]["test_accuracy"]) if study else 0


def keep(path: Path, name: str, study: Study, first_seed: int) -> None:
    """Add a study to those in a file, or its seeds to the earlier ones of the same study, and print it."""
    studies = read(path)
    study = {
        variant: {
            figure: (studies[name][variant][figure] if first_seed else []) + [round(value, 4) for value in values]
            for figure, values in figures.items()
        }
        for variant, figures in study.items()
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**studies, name: study}, indent=1) + "\n")
    for variant, figures in study.items():
        for figure, values in figures.items():
            print(f"{name:24} {variant:16} {figure:20} {' '.join(f'{value:.4f}' for value in values)}")


def table(studies: dict[str, Study]) -> Iterator[str]:
    """Two rows a study: the protocol as it is and with the choice, and how much the choice changes the accuracy."""
    titles = "largest loss of an epoch, from epoch 20 on | active hidden units, % | test accuracy, % | change, points"
    yield f"| case | setting | seeds | {titles} |"
    yield "| --- |" + " --- |" * 6
    for name, study in studies.items():
        case, choice, *_ = name.split(", ")
        accuracies = {variant: 100 * np.array(of["test_accuracy"], float) for variant, of in study.items()}
        change = compare_paired(accuracies[choice] - accuracies["as chosen"])
        for variant, of in study.items():
            loss, alive = np.array(of["largest_loss"]), 100 * np.array(of["alive_share"])
            mean = summarize(accuracies[variant])
            cells = [
                f"`{case}`",
                IN_WORDS.get(variant, "as it is"),
                str(len(loss)),
                f"{loss.min():.2f} to {loss.max():.2f}",
            ]
            cells += [f"{alive.min():.0f} to {alive.max():.0f}", f"{mean.mean:.2f} ± {mean.high - mean.mean:.2f}"]
            cells += [f"{change.mean:+.2f} ({change.low:+.2f} to {change.high:+.2f})" if variant == choice else ""]
            yield f"| {' | '.join(cells)} |"


def compare_with_choice(arguments: argparse.Namespace) -> Study:
    """Train the scenario as its protocol has it and with the choice, and describe both."""
    dataset, study = load(arguments.dataset, arguments.data_dir), {}
    given = {"epochs": arguments.epochs, "hidden": arguments.hidden and (arguments.hidden,)}
    overrides = {setting: value for setting, value in given.items() if value}
    (chosen,) = select_for(dataset, arguments.protocol, [arguments.scenario], overrides)
    seeds = range(arguments.first_seed, arguments.first_seed + arguments.seeds)
    for variant, config in {"as chosen": chosen, arguments.choice: CHOICES[arguments.choice](chosen)}.items():
        with tempfile.TemporaryDirectory() as scratch:
            folder = RunFolder(Path(scratch))
            run(config, seeds, dataset, folder)
            study[variant] = describe(folder, dataset)
    return study


def name_of(arguments: argparse.Namespace) -> str:
    """What is compared, and where it is not what the protocol has, on what data and with which sizes."""
    name = [f"{arguments.protocol} {arguments.scenario}", arguments.choice]
    name += [arguments.dataset] * (arguments.dataset != "mnist")
    name += [f"{flag} {value}" for flag in ("epochs", "hidden") if (value := getattr(arguments, flag))]
    return ", ".join(name)


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare a protocol with itself but for one choice.")
    parser.add_argument("--choice", choices=CHOICES, help="what is changed")
    parser.add_argument("--protocol", choices=("quick", "lee2013"), default="quick")
    parser.add_argument("--scenario", choices=("nn", "drop_nn", "pl"), default="drop_nn")
    parser.add_argument("--seeds", type=int, default=5, help="how many; default: %(default)s")
    parser.add_argument("--first_seed", type=int, default=0, help="as many as the kept study has: adds to it")
    parser.add_argument("--dataset", default="mnist")
    parser.add_argument("--data_dir", help="where the files of MNIST lie; default: the user's cache folder")
    parser.add_argument("--epochs", type=int, help=f"more than {LEARNING_HAS_BEGUN}; default: the protocol's")
    parser.add_argument("--hidden", type=int, help="default: the protocol's")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results; default: %(default)s")
    parser.add_argument("--tables", action="store_true", help="only print the results")
    arguments = parser.parse_args()
    if arguments.tables:
        print("\n".join(table(read(arguments.output / "choices.json"))))
        return
    if arguments.choice is None:
        parser.error(f"--choice is missing: give one of {', '.join(CHOICES)}, or --tables")
    if arguments.epochs is not None and arguments.epochs <= LEARNING_HAS_BEGUN:
        parser.error(f"losses are compared from epoch {LEARNING_HAS_BEGUN} on: give more --epochs")
    file, name = arguments.output / "choices.json", name_of(arguments)
    known = number_of_seeds(read(file).get(name))
    if arguments.first_seed not in (0, known):
        parser.error(f"{file} has {known} seeds of {name}: give --first_seed={known} to add some, or 0 to begin anew")
    keep(file, name, compare_with_choice(arguments), arguments.first_seed)


if __name__ == "__main__":
    main()
