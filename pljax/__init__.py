"""Pseudo-Label (Lee 2013) in JAX: images classified from a hundred labels, many seeds at once.

The names below are the package's public ones. ``python -m pljax.main`` is its command line.
"""

from pljax.config import Adam, Config, Dropout, Finetune, GradientDescent, PaperMomentum, Pretrain, PseudoLabels
from pljax.data import load
from pljax.progress import Reporter
from pljax.protocols import SCENARIOS
from pljax.report import accuracy_table
from pljax.result import Result
from pljax.run import run
from pljax.types import Dataset, InputError
from pljax.workdir import RunFolder

__version__ = "0.1.0"

__all__ = [
    "SCENARIOS",
    "Adam",
    "Config",
    "Dataset",
    "Dropout",
    "Finetune",
    "GradientDescent",
    "InputError",
    "PaperMomentum",
    "Pretrain",
    "PseudoLabels",
    "Reporter",
    "Result",
    "RunFolder",
    "accuracy_table",
    "load",
    "run",
]
