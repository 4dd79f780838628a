"""A run as data: what is trained, in which phases, with which numbers.

Everything here is frozen, checked when it is made and turned to JSON and back without loss. There is no
code of a scenario anywhere: a scenario under a protocol *is* a :class:`Config`, and one loop runs it.
"""

import dataclasses
from collections.abc import Iterator
from typing import Any, Literal

from pljax.types import InputError

MOST = 2**31 - 1  # JAX counts in int32
LARGEST = 3e38  # and computes in float32


def _require(condition: bool, sentence: str) -> None:
    if not condition:
        raise InputError(sentence)


def _check_count(name: str, value: Any, least: int = 1) -> None:
    whole = isinstance(value, int) and not isinstance(value, bool)
    _require(whole and least <= value <= MOST, f"{name} is {value!r}: give a whole number from {least} to {MOST}.")


def _check_number(name: str, value: Any, low: float, high: float = LARGEST, *, above: bool = False) -> None:
    """``above`` excludes the lower end; the upper end is always excluded."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    inside = number and (low < value if above else low <= value) and value < high
    least = "above" if above else "of at least"
    _require(inside, f"{name} is {value!r}: give a number {least} {low:g} and below {high:g}.")


def _check_choice(name: str, value: Any, choices: tuple[str, ...]) -> None:
    _require(value in choices, f"{name} is {value!r}: choose one of {', '.join(choices)}.")


def _check_type(name: str, value: Any, *kinds: type) -> None:
    names = " or ".join("nothing" if kind is type(None) else kind.__name__ for kind in kinds)
    _require(isinstance(value, kinds), f"{name} is {value!r}: give {names}.")


def _check_widths(name: str, value: Any, least: int) -> None:
    _check_type(name, value, tuple)
    _require(len(value) >= least, f"{name} is empty: give at least one width.")
    for width in value:
        _check_count(name, width)


@dataclasses.dataclass(frozen=True)
class PaperMomentum:
    """Gradient descent with the momentum rule of Lee (2013), eq. 10-13; time is counted in epochs."""

    rate: float  # eps(0)
    decay: float  # eps(t + 1) = decay * eps(t)
    initial_momentum: float  # p_i
    final_momentum: float  # p_f
    momentum_epochs: int  # T, the epochs from p_i to p_f

    def __post_init__(self) -> None:
        _check_number("learning_rate", self.rate, 0, above=True)
        _check_number("learning-rate decay", self.decay, 0, above=True)
        _check_number("initial momentum", self.initial_momentum, 0, 1)
        _check_number("final momentum", self.final_momentum, 0, 1)
        _check_count("momentum epochs", self.momentum_epochs)


@dataclasses.dataclass(frozen=True)
class GradientDescent:
    """Plain gradient descent at ``rate * decay ** (update / decay_updates)``."""

    rate: float
    decay: float = 1.0
    decay_updates: int = 1

    def __post_init__(self) -> None:
        _check_number("learning_rate", self.rate, 0, above=True)
        _check_number("learning-rate decay", self.decay, 0, above=True)
        _check_count("learning-rate decay_updates", self.decay_updates)


@dataclasses.dataclass(frozen=True)
class Adam:
    """Adam (Kingma and Ba 2015) at a constant rate."""

    rate: float = 1e-3
    b1: float = 0.9
    b2: float = 0.999
    eps: float = 1e-7

    def __post_init__(self) -> None:
        _check_number("Adam's learning rate", self.rate, 0, above=True)
        _check_number("Adam's b1", self.b1, 0, 1)
        _check_number("Adam's b2", self.b2, 0, 1)
        _check_number("Adam's eps", self.eps, 0, above=True)


Optimizer = PaperMomentum | GradientDescent | Adam


@dataclasses.dataclass(frozen=True)
class Dropout:
    """The share of units dropped while training."""

    visible: float
    hidden: float

    def __post_init__(self) -> None:
        _check_number("visible_dropout", self.visible, 0, 1)
        _check_number("hidden_dropout", self.hidden, 0, 1)


@dataclasses.dataclass(frozen=True)
class PseudoLabels:
    """The unlabelled loss term: its weight alpha(t), eq. 16, and where its images and labels come from.

    ``assign`` says when an image gets its pseudo-label: anew at ``every_update`` it is drawn for (the
    paper), or ``once``, by the network that the phase starts from. ``draw`` says which images are drawn:
    ``uniform`` ones of the unlabelled set, or those that a ``shuffle_buffer`` of ``buffer_size`` lets
    through when it is fed all training images in file order and restarted every epoch. An image whose largest
    output is below ``threshold`` gets none. ``alignment``, from 0 to 1, draws the outputs that labels are made of
    towards the classes' shares among the labelled images, so that no class swallows another: see
    :func:`pljax.losses.align`. The paper has neither.
    """

    alpha_f: float
    t1: int
    t2: int
    batch_size: int = 256
    assign: Literal["every_update", "once"] = "every_update"
    draw: Literal["uniform", "shuffle_buffer"] = "uniform"
    buffer_size: int = 1024
    threshold: float = 0.0
    alignment: float = 0.0

    def __post_init__(self) -> None:
        _check_number("alpha_f", self.alpha_f, 0)
        _check_count("t1", self.t1, least=0)
        _check_count("t2", self.t2)
        _require(
            self.t1 < self.t2,
            f"t1 is {self.t1} and t2 is {self.t2}: alpha(t) rises from epoch t1 to epoch t2, so give t1 < t2.",
        )
        _check_count("unlabelled_batch_size", self.batch_size)
        _check_choice("assign", self.assign, ("every_update", "once"))
        _check_choice("draw", self.draw, ("uniform", "shuffle_buffer"))
        _check_count("buffer_size", self.buffer_size)
        _check_number("threshold", self.threshold, 0, 1)
        number = isinstance(self.alignment, int | float) and not isinstance(self.alignment, bool)
        _require(number and 0 <= self.alignment <= 1, f"alignment is {self.alignment!r}: give a number from 0 to 1.")


@dataclasses.dataclass(frozen=True)
class Pretrain:
    """Denoising auto-encoder; hands its first layer on. An epoch is ``updates_per_epoch`` updates, a
    number of its own, so that the same budget means the same work on smaller data.
    """

    epochs: int
    updates_per_epoch: int
    batch_size: int
    optimizer: Optimizer
    noise: Literal["masking", "gaussian"]  # masking: drawn anew; gaussian: drawn once per image, then clipped
    noise_level: float  # the share of inputs masked, or the standard deviation
    hidden_dropout: float
    bottleneck: tuple[int, ...] = ()  # widths between the outer layers; empty: one layer, weights tied
    loss: Literal["sum", "mean"] = "sum"  # over the pixels
    error: Literal["cross_entropy", "squared"] = "cross_entropy"  # of a pixel in [0, 1], or of any number

    def __post_init__(self) -> None:
        _check_count("pretrain_epochs", self.epochs)
        _check_count("pretraining's updates_per_epoch", self.updates_per_epoch)
        _check_count("pretrain_batch_size", self.batch_size)
        _check_choice("noise", self.noise, ("masking", "gaussian"))
        _check_number("noise_level", self.noise_level, 0, 1 if self.noise == "masking" else LARGEST)
        _check_number("pretraining's hidden_dropout", self.hidden_dropout, 0, 1)
        _check_type("pretraining's optimizer", self.optimizer, PaperMomentum, GradientDescent, Adam)
        _check_widths("bottleneck", self.bottleneck, least=0)
        _check_choice("pretraining's loss", self.loss, ("sum", "mean"))
        _check_choice("pretraining's error", self.error, ("cross_entropy", "squared"))


@dataclasses.dataclass(frozen=True)
class Finetune:
    """The classifier on labels, and on pseudo-labels where ``pseudo_labels`` is given.

    An epoch is a pass over the labelled images: ``ceil(labels / batch_size)`` updates. The ``last_batch``
    has what is left (``short``), or is ``filled`` up with the first images of the pass. ``input_noise`` is the standard
    deviation of Gaussian noise on the inputs.
    """

    epochs: int
    batch_size: int
    optimizer: Optimizer
    dropout: Dropout | None = None
    pseudo_labels: PseudoLabels | None = None
    last_batch: Literal["filled", "short"] = "filled"
    input_noise: float = 0.0

    def __post_init__(self) -> None:
        _check_count("epochs", self.epochs)
        _check_count("batch_size", self.batch_size)
        _check_choice("last_batch", self.last_batch, ("filled", "short"))
        _check_number("input_noise", self.input_noise, 0)
        _check_type("optimizer", self.optimizer, PaperMomentum, GradientDescent, Adam)
        _check_type("dropout", self.dropout, Dropout, type(None))
        _check_type("pseudo_labels", self.pseudo_labels, PseudoLabels, type(None))


Phase = Pretrain | Finetune


@dataclasses.dataclass(frozen=True)
class Config:
    """One scenario under one protocol: the network, the split and the phases that train it, in order."""

    protocol: str
    scenario: str
    phases: tuple[Phase, ...]
    hidden: tuple[int, ...]  # widths; the first is the one that pre-training shapes
    initial_weights: Literal["normal", "glorot"]  # N(0, 0.01^2), or Glorot's uniform; biases start at 0
    inverted_dropout: bool  # scale kept units while training (Keras), not all units afterwards (the paper)
    output: Literal["sigmoid", "softmax"]
    labels: int = 100
    validation: int = 1000
    choose_labels: Literal["random", "first", "given"] = "random"  # a class; or all that are known

    def __post_init__(self) -> None:
        _check_type("protocol", self.protocol, str)
        _check_type("scenario", self.scenario, str)
        _check_type("phases", self.phases, tuple)
        for phase in self.phases:
            _check_type("a phase", phase, Pretrain, Finetune)
        last_trains = bool(self.phases) and isinstance(self.phases[-1], Finetune)
        _require(last_trains, "phases must end with a Finetune: it gives the classifier.")
        _check_widths("hidden", self.hidden, least=1)
        _check_type("inverted_dropout", self.inverted_dropout, bool)
        _check_choice("initial_weights", self.initial_weights, ("normal", "glorot"))
        _check_choice("output", self.output, ("sigmoid", "softmax"))
        _check_count("labels", self.labels)
        _check_count("validation", self.validation, least=0)
        _check_choice("choose_labels", self.choose_labels, ("random", "first", "given"))


# The dials of the command line: each a path from the config to one field; a phase type stands for every
# phase of that type.
DIALS: dict[str, tuple[Any, ...]] = {
    "labels": ("labels",),
    "validation": ("validation",),
    "hidden": ("hidden",),
    "epochs": (Finetune, "epochs"),
    "batch_size": (Finetune, "batch_size"),
    "learning_rate": (Finetune, "optimizer", "rate"),
    "visible_dropout": (Finetune, "dropout", "visible"),
    "hidden_dropout": (Finetune, "dropout", "hidden"),
    "alpha_f": (Finetune, "pseudo_labels", "alpha_f"),
    "t1": (Finetune, "pseudo_labels", "t1"),
    "t2": (Finetune, "pseudo_labels", "t2"),
    "threshold": (Finetune, "pseudo_labels", "threshold"),
    "alignment": (Finetune, "pseudo_labels", "alignment"),
    "input_noise": (Finetune, "input_noise"),
    "unlabelled_batch_size": (Finetune, "pseudo_labels", "batch_size"),
    "pretrain_epochs": (Pretrain, "epochs"),
    "pretrain_batch_size": (Pretrain, "batch_size"),
    "pretrain_learning_rate": (Pretrain, "optimizer", "rate"),
    "noise_level": (Pretrain, "noise_level"),
}


def override(config: Config, dials: dict[str, Any]) -> tuple[Config, set[str]]:
    """``config`` with some dials set, and the names of those that found something to act on.

    Dials are set together, so that ``t1`` and ``t2`` may move past each other's old place.

    >>> from pljax.protocols import quick
    >>> config, acted = override(quick.SCENARIOS["nn"], {"hidden": (50,), "alpha_f": 1.0})
    >>> config.hidden, acted
    ((50,), {'hidden'})
    """
    paths = {DIALS[name]: value for name, value in dials.items()}
    changed, acted = _replace(config, paths)
    return changed, {name for name in dials if DIALS[name] in acted}


def _replace(
    node: Any, paths: dict[tuple[Any, ...], Any], done: tuple[Any, ...] = ()
) -> tuple[Any, set[tuple[Any, ...]]]:
    """Rebuild ``node`` (found at the path ``done``) with the fields that ``paths`` name; also the paths that acted."""
    fields, acted = {}, set()
    for field in dataclasses.fields(node):
        here, value = (*done, field.name), getattr(node, field.name)
        if here in paths:
            fields[field.name] = paths[here]
            acted.add(here)
        elif field.name == "phases":
            phases = [_replace(phase, paths, (type(phase),)) for phase in value]
            fields[field.name] = tuple(phase for phase, _ in phases)
            acted |= set().union(*(found for _, found in phases))
        elif dataclasses.is_dataclass(value):
            fields[field.name], found = _replace(value, paths, here)
            acted |= found
    return dataclasses.replace(node, **fields), acted


_KINDS = {
    kind.__name__: kind
    for kind in (Config, Pretrain, Finetune, PseudoLabels, Dropout, PaperMomentum, GradientDescent, Adam)
}


def to_json(value: Any) -> Any:
    """The config as plain JSON values; every dataclass names its ``kind``."""
    if dataclasses.is_dataclass(value):
        fields = {field.name: to_json(getattr(value, field.name)) for field in dataclasses.fields(value)}
        return {"kind": type(value).__name__, **fields}
    return [to_json(item) for item in value] if isinstance(value, tuple) else value


def from_json(value: Any) -> Config:
    """The inverse of :func:`to_json`. Raises ``InputError`` on what is no config.

    >>> from pljax.protocols import quick
    >>> config = quick.SCENARIOS["pl_dae"]
    >>> from_json(to_json(config)) == config
    True
    """
    try:
        config = _from_json(value)
    except (KeyError, TypeError, RecursionError) as error:
        raise InputError(f"This is no config of pljax: {error}.") from error
    if not isinstance(config, Config):
        raise InputError("This is no config of pljax.")
    return config


def _from_json(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(item) for item in value)
    if not isinstance(value, dict):
        return value
    return _KINDS[value["kind"]](**{name: _from_json(item) for name, item in value.items() if name != "kind"})


def differences(one: Config, other: Config) -> dict[str, tuple[Any, Any]]:
    """The fields in which two configs differ, by path, with their values in either.

    >>> from pljax.protocols import quick
    >>> config, _ = override(quick.SCENARIOS["pl"], {"alpha_f": 1.0})
    >>> differences(quick.SCENARIOS["pl"], config)
    {'phases.0.pseudo_labels.alpha_f': (3.0, 1.0)}
    """
    return dict(_differences("", to_json(one), to_json(other)))


def _differences(path: str, one: Any, other: Any) -> Iterator[tuple[str, tuple[Any, Any]]]:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other) and path == "phases":
        one, other = (dict(enumerate(phases)) for phases in (one, other))
    if isinstance(one, dict) and isinstance(other, dict) and one.keys() == other.keys():
        for name in one:
            yield from _differences(f"{path}.{name}".removeprefix("."), one[name], other[name])
    elif one != other:
        yield path, (one, other)
