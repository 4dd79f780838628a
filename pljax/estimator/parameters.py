"""The parameters of the classifier that are settings of the protocol ``adaptive``."""

import functools
import inspect
from typing import Any

import numpy as np

from pljax.protocols import adaptive
from pljax.settings import overrides

PARAMETER_NAMES = {"pretrain_epochs": "pretrain"}  # overrides with another name as a parameter
# Overrides that follow from the data and are no parameters, or are parameters of a wider kind.
EXCLUDED = ("labels", "validation", "class_prior")


@functools.cache
def override_parameters() -> dict[str, str]:
    """The parameters of the classifier that are overrides of the protocol ``adaptive``, with their help."""
    configs = adaptive.scenarios(adaptive.DEFAULT_SIZES).values()
    found = {flag.name: flag.help for config in configs for flag in overrides(config)}
    return {PARAMETER_NAMES.get(name, name): help for name, help in found.items() if name not in EXCLUDED}


def with_override_parameters(cls: Any) -> Any:
    """Add a parameter for each override to the signature and the docstring of a class; the default is ``None``."""
    signature = inspect.signature(cls.__init__)
    own = [parameter for name, parameter in signature.parameters.items() if name != "settings"]
    added = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation="Any")
        for name in override_parameters()
    ]
    cls.__init__.__signature__ = signature.replace(parameters=[*own, *added])
    lines = "\n".join(f"      {name}: {help}" for name, help in override_parameters().items())
    cls.__doc__ = (cls.__doc__ or "").replace("      OVERRIDES", lines)
    return cls


def overrides_of(classifier: Any) -> dict[str, Any]:
    """The settings that the parameters of a classifier give, by the names of their flags."""
    flag_names = {parameter: flag for flag, parameter in PARAMETER_NAMES.items()}
    parameters = {name: getattr(classifier, name) for name in override_parameters()}
    given = {flag_names.get(name, name): value for name, value in parameters.items() if value is not None}
    if "hidden" in given:
        given["hidden"] = tuple(np.atleast_1d(np.asarray(given["hidden"])).tolist())
    if isinstance(classifier.class_prior, str):
        given["class_prior"] = classifier.class_prior
    return {name: value.item() if isinstance(value, np.generic) else value for name, value in given.items()}
