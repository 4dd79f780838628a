"""A classifier of few units and epochs."""

from pljax import PseudoLabelClassifier


def small(**parameters):
    return PseudoLabelClassifier(**{"epochs": 12, "hidden": 16, "random_state": 0, "guard": False, **parameters})
