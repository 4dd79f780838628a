"""Selection of configs by protocol, scenarios and overrides, and their adaptation to the data."""

from collections.abc import Mapping, Sequence
from typing import Any

from pljax import protocols, settings
from pljax.data import split
from pljax.protocols import adaptive
from pljax.protocols.config import Config
from pljax.settings import everywhere, override
from pljax.types import Dataset, InputError

LEE_SCENARIOS = ("nn", "drop_nn", "pl", "pl_dae")
ALL_SCENARIOS = (*LEE_SCENARIOS, "mean_teacher", "vat", "ladder", "ladder_pl")
GROUPS = {"all": LEE_SCENARIOS, "methods": ALL_SCENARIOS}
NAMES = f"{', '.join(ALL_SCENARIOS)}, or {' or '.join(GROUPS)}"
ADAPTIVE = "adaptive"
PROTOCOLS = (*protocols.SCENARIOS, ADAPTIVE)


def choose(
    protocol: str,
    scenarios: Sequence[str],
    overrides: Mapping[str, Any],
    sizes: adaptive.Sizes = adaptive.DEFAULT_SIZES,
) -> list[Config]:
    """Return the configs of scenarios under a protocol, with overrides.

    Args:
      protocol: one of ``PROTOCOLS``.
      scenarios: some of ``ALL_SCENARIOS``, or a name of ``GROUPS``.
      overrides: the values of flags, by name.
      sizes: the sizes of the data, for the protocol ``adaptive``.

    Raises ``InputError`` for unknown names, invalid values, and an override that none of the scenarios has.
    """
    if protocol not in PROTOCOLS:
        raise InputError(f"There is no protocol {protocol!r}: choose one of {', '.join(PROTOCOLS)}.")
    configs = (
        adaptive.scenarios(sizes, overrides.get("epochs")) if protocol == ADAPTIVE else protocols.SCENARIOS[protocol]
    )
    selected = expand(scenarios)
    for scenario in selected:
        if scenario not in configs:
            raise InputError(f"{protocol} has no scenario {scenario!r}: choose among {', '.join(configs)}.")
    changed = [override(configs[scenario], dict(overrides)) for scenario in selected]
    for flag in overrides:
        if not any(flag in acted for _, acted in changed):
            raise InputError(
                f"--{flag} does not act on {', '.join(selected)} under {protocol}: leave it out or add a scenario."
            )
    return [config for config, _ in changed]


def flags_of(config: Config) -> dict[str, Any] | None:
    """Return the overrides with which :func:`choose` makes a config, in their usual order.

    ``None`` if none do: the config differs from its protocol in fields without a flag, or the protocol depends on data.

    >>> config, _ = override(protocols.SCENARIOS["quick"]["pl"], {"hidden": (50, 20), "alpha_f": 1})
    >>> flags_of(config)
    {'hidden': (50, 20), 'alpha_f': 1.0}
    """
    original = protocols.SCENARIOS.get(config.protocol, {}).get(config.scenario)
    if original is None:
        return None
    own, others = list(settings.overrides(config)), list(settings.overrides(original))
    if [item.name for item in own] != [item.name for item in others]:
        return None
    changed = {item.name: item for item, other in zip(own, others, strict=True) if item.value != other.value}
    given = {
        name: float(changed[name].value) if changed[name].kind is float else changed[name].value  # as a flag reads it
        for name in protocols.overrides()
        if name in changed
    }
    try:
        made, _ = override(original, given)
    except InputError:  # values that need another one, which has no flag
        return None
    return None if settings.differences(made, config) else given


def expand(scenarios: Sequence[str]) -> tuple[str, ...]:
    """Return the scenarios that some names stand for. Raises ``InputError`` for none and for an unknown one.

    >>> expand(["ladder", "all"])
    ('nn', 'drop_nn', 'pl', 'pl_dae', 'ladder')
    """
    if not scenarios:
        raise InputError(f"No scenario is given: choose among {NAMES}.")
    for scenario in scenarios:
        if scenario not in (*ALL_SCENARIOS, *GROUPS):
            raise InputError(f"There is no scenario {scenario!r}: choose among {NAMES}.")
    expanded = tuple(dict.fromkeys(name for scenario in scenarios for name in GROUPS.get(scenario, (scenario,))))
    in_order = any(scenario in GROUPS for scenario in scenarios)
    return tuple(name for name in ALL_SCENARIOS if name in expanded) if in_order else expanded


def select_for(dataset: Dataset, protocol: str, scenarios: Sequence[str], overrides: Mapping[str, Any]) -> list[Config]:
    """Return the configs of :func:`choose` for a data set, with a split that it allows.

    Raises ``InputError`` as :func:`choose` does, and if the data set has too few images or labels.
    """
    labelled = count_labels(dataset, overrides)
    sizes = adaptive.Sizes(labelled, dataset.train_images.shape[1], dataset.classes)
    fitted = [fit(config, dataset, labelled, overrides) for config in choose(protocol, scenarios, overrides, sizes)]
    for config in fitted:
        split.check(dataset.train_labels, dataset.classes, config.labels, config.validation, config.choose_labels)
    return fitted


def count_labels(dataset: Dataset, overrides: Mapping[str, Any]) -> int:
    """Return the labels for training and validation, if the data set has unlabelled rows; else those for training.

    Raises ``InputError`` if the overrides contradict the data set.
    """
    known, images = int((dataset.train_labels >= 0).sum()), len(dataset.train_labels)
    if known < images:
        if "labels" in overrides:
            raise InputError(f"--labels does not act: {known} of the {images} rows of {dataset.name} are labelled.")
        if not known:
            raise InputError(f"No row of {dataset.name} is labelled: give labelled rows of at least two classes.")
        if not 0 <= overrides.get("validation", 0) < known:
            raise InputError(f"--validation is {overrides['validation']}, but {known} rows are labelled: give less.")
        return known
    if dataset.inputs and "labels" not in overrides:
        raise InputError(
            f"Every row of {dataset.name} is labelled: leave labels empty or -1 where the class is not known, or give "
            "--labels=N to hide all but N."
        )
    return int(overrides.get("labels", adaptive.DEFAULT_SIZES.labelled))


def fit(config: Config, dataset: Dataset, labelled: int, overrides: Mapping[str, Any]) -> Config:
    """Return the config with a split that the data set allows, and with squared errors of inputs that are no pixels.

    Args:
      config: the config.
      dataset: the data set.
      labelled: the result of :func:`count_labels`.
      overrides: the values of flags, by name.
    """
    if dataset.inputs:  # they are standardised: the cross-entropy of a number outside [0, 1] has no lower bound
        config = everywhere(config, "error", "squared")
    if (dataset.train_labels < 0).any():
        validation = overrides.get("validation", 0)  # labels are scarce: training uses all of them by default
        return config.replace(labels=labelled - validation, validation=validation, choose_labels="given")
    choose_labels = "random" if config.choose_labels == "given" else config.choose_labels
    most = split.most_validation(len(dataset.train_labels))
    validation = overrides.get("validation", min(config.validation, most))
    return config.replace(validation=validation, choose_labels=choose_labels)
