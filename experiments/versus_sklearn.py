"""PseudoLabelClassifier beside what scikit-learn has for few labels, on the same splits.

Data: MNIST, Fashion-MNIST where its files can be had, and scikit-learn's digits, breast_cancer, wine and two moons;
4, 10 and 25 labelled rows of each class, drawn anew for every seed, the rest of the training rows unlabelled. The test
rows (MNIST's own; a stratified third of the others, by seed) are scored once.

Contestants: logistic regression, k nearest neighbours and a support vector machine, each tuned by cross-validation on
the labelled rows; gradient boosting; self-training over whichever of these cross-validation finds best; label
propagation and label spreading on the graph of 7 nearest neighbours; PseudoLabelClassifier with nothing set but its
random state; and the same with ``scenario="drop_nn"``, its own supervised baseline. With 10 labels a class of the data
that are not MNIST, the same with the methods that followed Lee's. Of the others, those that look at
unlabelled rows and cannot take 60,000 get as many as they take in seconds: 10,000 on graphs, 3,000 for self-training.
Intervals of differences are corrected for the overlap of the splits where test rows are drawn anew.

``python experiments/versus_sklearn.py --data_dir=FOLDER`` goes on where it was cut off, adds to
``experiments/results/versus_sklearn.json``, and prints a table for each case; ``--tables`` only prints. An hour and a
half on two cores. ``--tiny`` only shows that it runs: two seeds of one small case, and networks of a few epochs.
"""

import argparse
import functools
import itertools
import json
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_moons
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, StratifiedKFold, cross_val_score, train_test_split
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.semi_supervised import LabelPropagation, LabelSpreading, SelfTrainingClassifier
from sklearn.svm import SVC
from threadpoolctl import threadpool_limits

from pljax import PseudoLabelClassifier, load
from pljax.analysis.stats import Resampled, compare_paired, compare_resampled, holm
from pljax.data.download import DownloadError
from pljax.report.sentences import format_p_value
from pljax.types import InputError

RESULTS = Path(__file__).parent / "results"
DATA = ("digits", "breast_cancer", "wine", "two_moons", "mnist", "fashion_mnist")
LABELS = (4, 10, 25)  # a class
SEEDS = range(10)
MOST_ON_GRAPHS, MOST_SELF_TRAINED = 10_000, 3_000  # unlabelled rows
IMAGES = ("mnist", "fashion_mnist", "digits")
OURS, BASELINE = "pljax pl", "pljax drop_nn"
LATER = ("mean_teacher", "vat", "ladder", "ladder_pl")
LATER_LABELS = 10  # a class, in the cases with these methods
TEST = 1 / 3  # of the rows, where a data set has no test rows of its own


class Rows(NamedTuple):
    """A data set cut for one seed: ``y`` is -1 where the label is hidden."""

    X: np.ndarray
    y: np.ndarray
    X_test: np.ndarray
    y_test: np.ndarray

    @property
    def labelled(self) -> tuple[np.ndarray, np.ndarray]:
        return self.X[self.y >= 0], self.y[self.y >= 0]

    def fewer(self, most: int) -> "Rows":
        """The same labelled rows, and so many unlabelled ones at most."""
        unlabelled = np.flatnonzero(self.y < 0)[:most]
        kept = np.concatenate([np.flatnonzero(self.y >= 0), unlabelled])
        return self._replace(X=self.X[kept], y=self.y[kept])


@functools.cache
def whole(name: str, data_dir: str | None) -> tuple[np.ndarray, ...]:
    """Training and test rows that are fixed, or rows that are cut by seed."""
    if name in ("mnist", "fashion_mnist"):
        dataset = load(name, data_dir)
        pixels = (images.astype(np.float32) / 255 for images in (dataset.train_images, dataset.test_images))
        (train, test), labels = pixels, (dataset.train_labels, dataset.test_labels)
        return train, labels[0], test, labels[1]
    if name == "two_moons":
        return make_moons(2000, noise=0.15, random_state=0)
    read = {"digits": load_digits, "breast_cancer": load_breast_cancer, "wine": load_wine}[name]
    return read(return_X_y=True)


def cut(name: str, labels: int, seed: int, data_dir: str | None) -> Rows:
    """The rows of a seed."""
    arrays = whole(name, data_dir)
    if len(arrays) == 2:
        X, y = arrays
        X, X_test, y, y_test = train_test_split(X, y, test_size=TEST, stratify=y, random_state=seed)
    else:
        X, y, X_test, y_test = arrays
    generator = np.random.default_rng(seed)
    known = [generator.permutation(np.flatnonzero(y == label))[:labels] for label in np.unique(y)]
    few = np.full(len(y), -1)
    few[np.concatenate(known)] = y[np.concatenate(known)]
    order = generator.permutation(len(y))
    return Rows(X[order], few[order], X_test, y_test)


def scaler(name: str) -> BaseEstimator:
    """What the others are given before them: pixels as they are, other features with variance 1."""
    return MinMaxScaler((0, 1)) if name in IMAGES else StandardScaler()


def folds(labels: int) -> StratifiedKFold:
    return StratifiedKFold(min(labels, 5), shuffle=True, random_state=0)


def supervised(name: str, labels: int) -> dict[str, BaseEstimator]:
    """The classifiers that look at labelled rows alone."""

    def tuned(model: BaseEstimator, **grid: list[Any]) -> GridSearchCV:
        step = type(model).__name__.lower()
        named = {f"{step}__{parameter}": values for parameter, values in grid.items()}
        return GridSearchCV(make_pipeline(scaler(name), model), named, cv=folds(labels))

    boosting = HistGradientBoostingClassifier(min_samples_leaf=max(labels // 4, 2), random_state=0)
    return {
        "logistic regression": tuned(LogisticRegression(max_iter=2000), C=[0.01, 0.1, 1.0, 10.0]),
        "k nearest neighbours": tuned(KNeighborsClassifier(), n_neighbors=[1, 3, 5]),
        "support vectors": tuned(SVC(), C=[1.0, 10.0, 100.0]),
        "gradient boosting": make_pipeline(scaler(name), boosting),
    }


def self_training(name: str, labels: int, rows: Rows) -> Callable[[np.ndarray], np.ndarray]:
    """Self-training over the classifier that cross-validation on the labelled rows finds best."""
    candidates = supervised(name, labels)
    if name in IMAGES[:2]:
        del candidates["gradient boosting"]  # minutes for each of many fits
    scores, models = {}, {}
    for kind, candidate in candidates.items():
        if isinstance(candidate, GridSearchCV):
            candidate.fit(*rows.labelled)
            scores[kind], models[kind] = candidate.best_score_, candidate.best_estimator_
        else:
            scores[kind] = cross_val_score(candidate, *rows.labelled, cv=folds(labels)).mean()
            models[kind] = candidate
    model = clone(models[max(scores, key=lambda kind: scores[kind])])
    if isinstance(model[-1], SVC):
        model[-1].set_params(probability=True, random_state=0)
    return SelfTrainingClassifier(model).fit(rows.X, rows.y).predict


def graph(kind: type, name: str, rows: Rows) -> Callable[[np.ndarray], np.ndarray]:
    """Label propagation or spreading."""
    model = kind(kernel="knn", n_neighbors=7, max_iter=1000)
    return make_pipeline(scaler(name), model).fit(rows.X, rows.y).predict


def contestants(
    name: str, labels: int, seed: int, ours: dict[str, Any]
) -> dict[str, Callable[[Rows], Callable[[np.ndarray], np.ndarray]]]:
    """Each by its name: from rows to a function that predicts. ``ours`` are parameters of ours."""

    def alone(model: BaseEstimator) -> Callable[[Rows], Callable[[np.ndarray], np.ndarray]]:
        return lambda rows: model.fit(*rows.labelled).predict

    def network(scenario: str) -> Callable[[Rows], Callable[[np.ndarray], np.ndarray]]:
        return lambda rows: PseudoLabelClassifier(scenario, random_state=seed, **ours).fit(rows.X, rows.y).predict

    later = LATER if labels == LATER_LABELS and name not in IMAGES[:2] else ()
    return {
        OURS: lambda rows: PseudoLabelClassifier(random_state=seed, **ours).fit(rows.X, rows.y).predict,
        BASELINE: network("drop_nn"),
        **{f"pljax {scenario}": network(scenario) for scenario in later},
        **{kind: alone(model) for kind, model in supervised(name, labels).items()},
        "label spreading": lambda rows: graph(LabelSpreading, name, rows.fewer(MOST_ON_GRAPHS)),
        "label propagation": lambda rows: graph(LabelPropagation, name, rows.fewer(MOST_ON_GRAPHS)),
        "self-training": lambda rows: self_training(name, labels, rows.fewer(MOST_SELF_TRAINED)),
    }


def key(name: str, labels: int) -> str:
    return f"{name}, {labels} labels a class"


def available(names: Sequence[str], data_dir: str | None) -> list[str]:
    """The data sets that can be had."""
    found = []
    for name in names:
        try:
            whole(name, data_dir)
            found.append(name)
        except (InputError, DownloadError) as error:
            print(f"without {name}: {error}")
    return found


def run(
    path: Path,
    data_dir: str | None,
    names: Sequence[str],
    labels_a_class: Sequence[int],
    seeds: Sequence[int],
    ours: dict[str, Any],
) -> None:
    """Every case and seed that the results in a file lack."""
    results = json.loads(path.read_text()) if path.exists() else {}
    for name, labels, seed in itertools.product(names, labels_a_class, seeds):
        case = results.setdefault(key(name, labels), {})
        for contestant, fit in contestants(name, labels, seed, ours).items():
            figures = case.setdefault(contestant, {"accuracy": [], "seconds": []})
            if len(figures["accuracy"]) > seed:
                continue
            rows = cut(name, labels, seed, data_dir)
            started = time.monotonic()
            predicted = fit(rows)(rows.X_test)
            figures["seconds"].append(round(time.monotonic() - started, 2))
            figures["accuracy"].append(round(float(np.mean(predicted == rows.y_test)), 6))
            path.write_text(json.dumps(results, indent=1) + "\n")
            last = f"{100 * figures['accuracy'][-1]:6.2f} %  {figures['seconds'][-1]:7.2f} s"
            print(f"{key(name, labels):36} seed {seed}  {contestant:22} {last}", flush=True)


def compare(name: str, differences: np.ndarray) -> Resampled:
    """Test the mean of accuracies, or of differences of two contestants, in a case, against 0.

    Its splits overlap, unless the test rows are always the same: then only the labels are drawn, a few of many.
    """
    if name.split(",")[0] in IMAGES[:2]:
        test = compare_paired(differences)
        return Resampled(test.n, test.mean, test.low, test.high, test.permutation_p)
    return compare_resampled(differences, TEST / (1 - TEST))


def table(name: str, figures: dict[str, dict[str, list[float]]]) -> Iterator[str]:
    """The contestants of a case by mean accuracy, and each against ours, seed by seed."""
    ours = 100 * np.array(figures[OURS]["accuracy"])
    tests = {
        contestant: compare(name, ours[: len(of["accuracy"])] - 100 * np.array(of["accuracy"])[: len(ours)])
        for contestant, of in figures.items()
        if contestant != OURS and len(of["accuracy"]) > 1
    }
    adjusted = dict(zip(tests, holm(np.array([test.p for test in tests.values()])), strict=True))
    yield f"### {name}, {len(ours)} seeds"
    yield ""
    yield "| | accuracy, % | 95 % interval | pljax pl minus it | 95 % interval | p (Holm) | seconds |"
    yield "| --- | --- | --- | --- | --- | --- | --- |"
    means = {contestant: np.mean(of["accuracy"]) for contestant, of in figures.items()}
    for contestant in sorted(means, key=lambda of: -means[of]):
        of = figures[contestant]
        summary, test = compare(name, 100 * np.array(of["accuracy"])), tests.get(contestant)
        paired = (
            f"{test.mean:+.2f} | {test.low:+.2f} to {test.high:+.2f} | {format_p_value(adjusted[contestant])}"
            if test
            else " | | "
        )
        interval = f"{summary.low:.2f} to {summary.high:.2f}"
        yield f"| {contestant} | {summary.mean:.2f} | {interval} | {paired} | {np.median(of['seconds']):.1f} |"
    yield ""


def summary(results: dict[str, dict[str, dict[str, list[float]]]]) -> Iterator[str]:
    """A line a case: ours, its supervised baseline and the best of the others, with paired differences."""
    yield "| data, labels a class | pljax `pl` | minus its `drop_nn` | best of the others | pljax minus it |"
    yield "| --- | --- | --- | --- | --- |"
    for name, figures in results.items():
        points = {contestant: 100 * np.array(of["accuracy"]) for contestant, of in figures.items()}
        points = {contestant: of for contestant, of in points.items() if len(of) == len(points[OURS])}
        ours, others = points[OURS], {of: points[of] for of in points if not of.startswith("pljax")}
        best = max(others, key=lambda contestant: others[contestant].mean())
        mine = compare(name, ours)
        against = (compare(name, ours - of) for of in (points[BASELINE], others[best]))
        baseline, rival = (f"{test.mean:+.2f} ({test.low:+.2f} to {test.high:+.2f})" for test in against)
        case = name.replace(" labels a class", "")
        yield (
            f"| {case} | **{mine.mean:.2f}** ± {mine.high - mine.mean:.2f} | {baseline} | {best} "
            f"{others[best].mean():.2f} | {rival} |"
        )
    yield ""


def beside_later(results: dict[str, dict[str, dict[str, list[float]]]]) -> Iterator[str]:
    """A line for each case with the methods that followed Lee's: ours, and they minus ours."""
    names = [f"pljax {scenario}" for scenario in LATER]
    yield f"| data, labels a class | pljax `pl` | {' | '.join(f'`{scenario}` minus it' for scenario in LATER)} |"
    yield "| --- | --- |" + " --- |" * len(LATER)
    for name, figures in results.items():
        if not figures.keys() >= {*names}:
            continue
        points = {contestant: 100 * np.array(figures[contestant]["accuracy"]) for contestant in (OURS, *names)}
        tests = (compare(name, points[later] - points[OURS]) for later in names)
        cells = (f"{test.mean:+.2f} ({test.low:+.2f} to {test.high:+.2f})" for test in tests)
        yield f"| {name.replace(' labels a class', '')} | **{points[OURS].mean():.2f}** | {' | '.join(cells)} |"
    yield ""


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare PseudoLabelClassifier with scikit-learn's classifiers.")
    parser.add_argument("--data_dir", help="where the files of MNIST lie; default: the user's cache folder")
    parser.add_argument("--data", nargs="*", help="only these data sets")
    parser.add_argument("--tables", action="store_true", help="only print the results")
    parser.add_argument("--output", type=Path, default=RESULTS, help="the folder of the results; default: %(default)s")
    parser.add_argument("--tiny", action="store_true", help="only see that it runs; needs --output")
    arguments = parser.parse_args()
    if arguments.tiny and arguments.output.resolve() == RESULTS.resolve():
        parser.error("figures of --tiny are not kept among the results: give an --output")
    path = arguments.output / "versus_sklearn.json"
    if not arguments.tables:
        arguments.output.mkdir(parents=True, exist_ok=True)
        with warnings.catch_warnings(), threadpool_limits(1, "openmp"):  # so few rows are boosted faster by one thread
            warnings.simplefilter("ignore")  # of convergence, and of what scikit-learn will change
            if arguments.tiny:
                run(path, None, ["wine"], LABELS[:1], range(2), {"epochs": 20, "hidden": 8})
            else:
                names = available(arguments.data or DATA, arguments.data_dir)
                run(path, arguments.data_dir, names, LABELS, SEEDS, {})
    results = json.loads(path.read_text())
    print("\n".join([*summary(results), *beside_later(results)]))
    for name, figures in results.items():
        print("\n".join(table(name, figures)))


if __name__ == "__main__":
    main()
