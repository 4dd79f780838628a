"""The methods, one file each. A new one is a file and a line below; or, outside the package, ``@register``."""

from typing import TypeVar

from pljax import settings
from pljax.methods.base import Aux, Batch, Method, NetworkMethod
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.settings import setting

__all__ = ["METHODS", "Aux", "Batch", "Method", "NetworkMethod", "register", "setting"]

OfMethod = TypeVar("OfMethod", bound=type[Method])
METHODS: dict[str, type[Method]] = {}


def register(method: OfMethod) -> OfMethod:
    """Let configs use a method: a class decorator. Raises ``ValueError`` for a name that is taken."""
    METHODS[method.__name__] = settings.register(method)
    return method


for method in (
    DenoisingAutoencoder,
    PseudoLabel,
    Supervised,
):
    register(method)
