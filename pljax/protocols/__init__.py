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
_SOURCES = {"lee2013": lee2013, "arab2022": arab2022}


def published(config: Config, dataset: str) -> tuple[str, float] | None:
    """The source and its accuracy (per cent) that a run may fairly stand beside, or ``None``.

    Fair means the source's own protocol, on the full MNIST, with a number of labels that it reports and no
    dial turned but that one.

    >>> published(lee2013.SCENARIOS["pl"], "mnist")
    ('Lee 2013', 83.85)
    >>> published(quick.SCENARIOS["pl"], "mnist") is None
    True
    """
    source = _SOURCES.get(config.protocol)
    if source is None or dataset != "mnist":
        return None
    original = SCENARIOS[config.protocol][config.scenario]
    accuracy = source.PUBLISHED.get((config.scenario, config.labels))
    if accuracy is None or dataclasses.replace(config, labels=original.labels) != original:
        return None
    return source.SOURCE, accuracy
