"""The methods, one file each.

A new method of the package needs a file and an import below. A method outside the package needs ``@register``.
"""

from pljax.methods.base import METHODS, Aux, Batch, Method, NetworkMethod, NormalisedMethod, Ramp, register
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.ladder import Ladder
from pljax.methods.mean_teacher import MeanTeacher
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.methods.vat import VirtualAdversarial
from pljax.settings import setting

__all__ = [
    "METHODS",
    "Aux",
    "Batch",
    "Method",
    "NetworkMethod",
    "NormalisedMethod",
    "Ramp",
    "register",
    "setting",
]
