"""The protocols: the configs of their scenarios, and the accuracies that were published for them.

Each protocol is a module that documents its source, its command, its settings and the expected accuracies:

* ``SCENARIOS``: the configs by the name of the scenario.
* ``PUBLISHED``: the test accuracies in per cent that the source reports, by scenario and number of labels.
* ``HALF_INTERVALS``: half their 95 % confidence intervals, where the source reports them.
* ``ONE_RUN``: whether each accuracy is that of a single run.
* ``SOURCE``: the citation of the source.
* ``QUOTED``: the citation of the accuracies that the source quotes from others, by scenario.
"""

import functools
from typing import NamedTuple

from pljax import settings
from pljax.protocols import adaptive, arab2022, lee2013, miyato2018, quick, rasmus2015
from pljax.protocols.config import Config
from pljax.settings import Override

SCENARIOS: dict[str, dict[str, Config]] = {
    "quick": quick.SCENARIOS,
    "lee2013": lee2013.SCENARIOS,
    "arab2022": arab2022.SCENARIOS,
    "rasmus2015": rasmus2015.SCENARIOS,
    "miyato2018": miyato2018.SCENARIOS,
}
SOURCES = (lee2013, arab2022, rasmus2015, miyato2018)  # the protocols that report accuracies
# pljax.types.Dataset.digest of the whole MNIST: custom data can be called mnist too.
MNIST_DIGEST = "8a8d88b05fcccd614bbdd6d797c3931d6c390d3be9ca23bea632fd267608e3a5"


@functools.cache
def overrides() -> dict[str, Override]:
    """Return the settings of all scenarios of all protocols that flags can override, by the name of the flag."""
    protocols = (*SCENARIOS.values(), adaptive.scenarios(adaptive.DEFAULT_SIZES))
    configs = [config for scenarios in protocols for config in scenarios.values()]
    return {item.name: item for config in configs for item in settings.overrides(config)}


class Reference(NamedTuple):
    """A published test accuracy of a scenario."""

    source: str  # citation
    accuracy: float  # per cent
    half_interval: float | None  # half the 95 % interval, per cent; None: the source reports none
    one_run: bool  # whether it is the accuracy of a single run instead of a mean
    own_protocol: bool  # whether it is comparable with the run: see :func:`published`


def references(config: Config, digest: str) -> list[Reference]:
    """Return the published accuracies for the scenario and the number of labels of a run.

    Args:
      config: the config of the run.
      digest: the digest of its data set; there are published accuracies for the whole MNIST only.

    >>> [(reference.source, reference.own_protocol) for reference in references(quick.SCENARIOS["pl"], MNIST_DIGEST)]
    [('Lee 2013', False), ('Arab et al. 2022', False)]
    """
    case = (config.scenario, config.labels)
    return [
        Reference(
            source.QUOTED.get(config.scenario, source.SOURCE),
            source.PUBLISHED[case],
            source.HALF_INTERVALS.get(case),
            source.ONE_RUN,
            config.scenario not in source.QUOTED
            and config == source.SCENARIOS[config.scenario].replace(labels=config.labels),
        )
        for source in SOURCES
        if digest == MNIST_DIGEST and case in source.PUBLISHED
    ]


def published(config: Config, digest: str) -> Reference | None:
    """Return the published accuracy that is comparable with a run, or ``None``.

    It is comparable if the run used the protocol of the source on the whole MNIST, with a number of labels that the
    source reports, and without other overrides.

    Args:
      config: the config of the run.
      digest: the digest of its data set.

    >>> published(lee2013.SCENARIOS["pl"], MNIST_DIGEST).accuracy
    83.85
    >>> published(quick.SCENARIOS["pl"], MNIST_DIGEST) is None
    True
    """
    return next((reference for reference in references(config, digest) if reference.own_protocol), None)
