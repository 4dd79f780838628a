"""The protocols: how the four scenarios are trained. One file each, to be read like a page of a lab book.

Each file has ``SCENARIOS``, the configs by name, and ``PUBLISHED``, the accuracies (per cent) that its source
reports by (scenario, labels), with ``SOURCE`` to cite them by.
"""

import dataclasses

from pljax.config import Config
from pljax.protocols import arab2022, lee2013, quick

SCENARIOS: dict[str, dict[str, Config]] = {
    "quick": quick.SCENARIOS,
    "lee2013": lee2013.SCENARIOS,
    "arab2022": arab2022.SCENARIOS,
}
# Of the whole MNIST as pljax.types.Dataset.digest has it: a name alone proves nothing.
MNIST_DIGEST = "8a8d88b05fcccd614bbdd6d797c3931d6c390d3be9ca23bea632fd267608e3a5"

_SOURCES = {"lee2013": lee2013, "arab2022": arab2022}


def published(config: Config, digest: str) -> tuple[str, float] | None:
    """The source and its accuracy (per cent) that a run may fairly stand beside, or ``None``.

    Fair means the source's own protocol, on the full MNIST, with a number of labels that it reports and no
    dial turned but that one. ``digest`` is that of the data set that was run on.

    >>> published(lee2013.SCENARIOS["pl"], MNIST_DIGEST)
    ('Lee 2013', 83.85)
    >>> published(quick.SCENARIOS["pl"], MNIST_DIGEST) is None
    True
    """
    source = _SOURCES.get(config.protocol)
    if source is None or digest != MNIST_DIGEST:
        return None
    original = SCENARIOS[config.protocol].get(config.scenario)
    accuracy = source.PUBLISHED.get((config.scenario, config.labels))
    if original is None or accuracy is None or dataclasses.replace(config, labels=original.labels) != original:
        return None
    return source.SOURCE, accuracy
