"""Results made by hand, for the tests of comparisons and reports."""

from pljax.protocols import MNIST_DIGEST
from pljax.results.result import Result
from pljax.settings import to_json

MNIST = {"name": "mnist", "digest": MNIST_DIGEST, "train": 60_000, "test": 10_000}


def make_result(
    config, accuracies, dataset=MNIST, diverged=None, before=None, after=None, measured_on="validation", seeds=None
):
    """A result with the given accuracies (fractions), of seeds 0, 1, ... unless others are given."""
    count = len(accuracies)
    return Result(
        scenario=config.scenario,
        protocol=config.protocol,
        dataset=dataset,
        seeds=list(range(count) if seeds is None else seeds),
        test_accuracy=list(accuracies),
        test_error=[None if accuracy is None else 1 - accuracy for accuracy in accuracies],
        diverged=diverged or {},
        class_counts={"labelled": [10] * 10, "test": [1000] * 10},
        confusion=[None] * count,
        conditional_entropy={part: [0.1] * count for part in ("labelled", "unlabelled", "test")},
        pseudo_label_accuracy=[None] * count,
        unlabelled_training=before and {"measured_on": measured_on, "before": before, "after": after},
        parameters=3_975_010,
        config=to_json(config),
        warnings=[],
        versions={},
        device={},
        seconds={},
    )
