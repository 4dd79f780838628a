"""Pseudo-Label (Lee 2013) in JAX: semi-supervised classification from few labels, with many seeds at once.

``__all__`` lists the public names. ``python -m pljax.main`` is the command line.
"""

from typing import TYPE_CHECKING, Any

from pljax import methods
from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.data.datasets import load
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam, GradientDescent, PaperMomentum
from pljax.protocols import SCENARIOS
from pljax.protocols.config import Config, Phase
from pljax.report.tables import accuracy_table
from pljax.results.folder import RunFolder
from pljax.results.result import Result
from pljax.training.progress import Reporter
from pljax.training.run import run
from pljax.types import Dataset, InputError

if TYPE_CHECKING:
    from pljax.estimator import PseudoLabelClassifier

__version__ = "0.1.0"

__all__ = [
    "SCENARIOS",
    "Adam",
    "Config",
    "Dataset",
    "DrawnBatches",
    "GradientDescent",
    "InputError",
    "LabelledBatches",
    "MixedBatches",
    "Network",
    "PaperMomentum",
    "Phase",
    "PseudoLabelClassifier",
    "Reporter",
    "Result",
    "RunFolder",
    "accuracy_table",
    "load",
    "methods",
    "run",
]


def __getattr__(name: str) -> Any:
    """Import the classifier at its first use, because scikit-learn takes a second to import."""
    if name != "PseudoLabelClassifier":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from pljax.estimator import PseudoLabelClassifier

    return PseudoLabelClassifier
