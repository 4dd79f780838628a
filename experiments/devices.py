"""What does the device change? Accuracies of the same seeds on two cores and on a GPU, and the seconds of a seed.

``python experiments/devices.py`` prints two tables from results of `lee2013` beside this script: those of two cores in
``results/devices/two_cores/``, of a GPU in ``results/lee2013/``, and of a GPU with products in TensorFloat-32 in
``results/devices/h100_tensorfloat32/``. Each is the ``result.json`` of a run. A second run of `pl` on two cores, by
another version of the package, is in ``results/choices.json``.
"""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path

from rounding import COLUMNS, difference_cells, in_both

from pljax import SCENARIOS, Result

RESULTS = Path(__file__).parent / "results"
DEVICES = {"2 cores": "devices/two_cores", "H100": "lee2013", "H100 in TF32": "devices/h100_tensorfloat32"}
TIMED = ("2 cores", "H100")  # with products of the same precision


def read(device: str) -> dict[str, Result]:
    """The kept results of a device by scenario."""
    files = {scenario: RESULTS / DEVICES[device] / f"{scenario}.json" for scenario in SCENARIOS["lee2013"]}
    return {scenario: Result.load(file) for scenario, file in files.items() if file.exists()}


def differences() -> Iterator[str]:
    """A row for each pair of devices and scenario, and one for the same device and another version."""
    yield f"| {' | '.join(COLUMNS)} |"
    yield "| --- |" + " --- |" * (len(COLUMNS) - 1)
    for pair in itertools.combinations(DEVICES, 2):
        kept = {device: read(device) for device in pair}
        for scenario in SCENARIOS["lee2013"]:
            if not all(scenario in results for results in kept.values()):
                continue
            results = {device: of_device[scenario] for device, of_device in kept.items()}
            require_same_run(scenario, *results.values())
            yield row(scenario, {device: by_seed(result) for device, result in results.items()})
    studies = json.loads((RESULTS / "choices.json").read_text())
    again = dict(enumerate(studies["lee2013 pl, short_batch"]["as chosen"]["test_accuracy"]))
    yield row("pl", {"2 cores": by_seed(read("2 cores")["pl"]), "2 cores, another version": again})


def by_seed(result: Result) -> dict[int, float | None]:
    """The test accuracies of a result."""
    return dict(zip(result.seeds, result.test_accuracy, strict=True))


def row(scenario: str, arms: dict[str, dict[int, float | None]]) -> str:
    """What two arms differ in, by the seeds that both have and none diverged in."""
    case = {
        arm: {seed: {"test_accuracy": accuracy} for seed, accuracy in accuracies.items()}
        for arm, accuracies in arms.items()
    }
    _, values = in_both(case, tuple(arms))
    return f"| lee2013 {scenario} | {' and '.join(arms)} | {difference_cells(values)} |"


def require_same_run(scenario: str, first: Result, second: Result) -> None:
    """End the program if two results are of other configs or data."""
    if (first.config, first.dataset["digest"]) != (second.config, second.dataset["digest"]):
        raise SystemExit(f"The results of lee2013 {scenario} are of other configs or data.")


def seconds() -> Iterator[str]:
    """A row for each scenario: the seconds of training and scoring a seed, with compiling, by device."""
    kept = {device: read(device) for device in TIMED}
    columns = [f"{device}, {len(results['pl'].seeds)} seeds" for device, results in kept.items()]
    yield f"| scenario | {' | '.join(columns)} |"
    yield "| --- |" + " --- |" * len(columns)
    for scenario in SCENARIOS["lee2013"]:
        results = [of_device[scenario] for of_device in kept.values()]
        cells = [f"{sum(result.seconds.values()) / len(result.seeds):.1f}" for result in results]
        yield f"| `{scenario}` | {' | '.join(cells)} |"


def main() -> None:
    for table in (differences, seconds):
        print("\n".join(table()), end="\n\n")


if __name__ == "__main__":
    main()
