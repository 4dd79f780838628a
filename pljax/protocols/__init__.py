"""The protocols: how the four scenarios are trained. One file each, to be read like a page of a lab book.

Each file has ``SCENARIOS``, the configs by name; ``PUBLISHED``, the accuracies (per cent) that its source
reports by (scenario, labels); ``HALF_INTERVALS``, half their 95 % intervals where the source gives them; ``ONE_RUN``,
whether each is of a single run; ``SOURCE`` to cite them by; and ``QUOTED``, whose figure it is where the source
quotes another.
"""

import functools
from typing import NamedTuple

from pljax import settings
from pljax.protocols import adaptive, arab2022, lee2013, quick
from pljax.protocols.config import Config
from pljax.settings import Override

SCENARIOS: dict[str, dict[str, Config]] = {
    "quick": quick.SCENARIOS,
    "lee2013": lee2013.SCENARIOS,
    "arab2022": arab2022.SCENARIOS,
}
# Of the whole MNIST as pljax.types.Dataset.digest has it: a name alone proves nothing.
MNIST_DIGEST = "8a8d88b05fcccd614bbdd6d797c3931d6c390d3be9ca23bea632fd267608e3a5"


@functools.cache
def overrides() -> dict[str, Override]:
    """The overrides that act on some scenario of some protocol, by name."""
    pages = (*SCENARIOS.values(), adaptive.scenarios(adaptive.USUAL))
    configs = [config for page in pages for config in page.values()]
    return {flag.name: flag for config in configs for flag in settings.overrides(config)}


class Reference(NamedTuple):
    """A figure that a source published for a scenario, test accuracy in per cent."""

    source: str
    accuracy: float
    half_interval: float | None  # half the source's own 95 % interval; None where it gives none
    one_run: bool  # whether it is the figure of a single run, not a mean
    own_protocol: bool  # whether it may fairly stand beside the run: see :func:`published`


def references(config: Config, digest: str) -> list[Reference]:
    """What the sources published for a run's scenario and number of labels, on the full MNIST.

    ``digest`` is that of the data set that was run on: for other data there is nothing.

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
        for source in (lee2013, arab2022)
        if digest == MNIST_DIGEST and case in source.PUBLISHED
    ]


def published(config: Config, digest: str) -> Reference | None:
    """The published figure that a run may fairly stand beside, or ``None``.

    Fair means the source's own protocol, on the full MNIST, with a number of labels that it reports and no
    flag turned but that one. ``digest`` is that of the data set that was run on.

    >>> published(lee2013.SCENARIOS["pl"], MNIST_DIGEST).accuracy
    83.85
    >>> published(quick.SCENARIOS["pl"], MNIST_DIGEST) is None
    True
    """
    return next((reference for reference in references(config, digest) if reference.own_protocol), None)
