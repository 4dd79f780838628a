"""Pseudo-Label as a scikit-learn classifier."""

from pljax.estimator.classifier import PseudoLabelClassifier

__all__ = ["PseudoLabelClassifier"]
