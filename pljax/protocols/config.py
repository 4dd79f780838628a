"""A run as data: what is trained, in which phases, with which numbers.

Everything here is frozen, checked when it is made and turned to JSON and back without loss. There is no
code of a scenario anywhere: a scenario under a protocol *is* a :class:`Config`, and one loop runs it.
"""

from typing import Any, Literal

import jax
import numpy as np

from pljax import settings
from pljax.data.batches import Batches
from pljax.methods import Method
from pljax.nn.optimizers import Optimizer
from pljax.protocols import earlier
from pljax.settings import Settings, check, register, setting
from pljax.types import InputError, Params, Split, TrainingData

MOST_EPOCHS = 10_000_000


@register
class Phase(Settings):
    """A method, and how long and with which images and steps it is trained."""

    method: Method
    batches: Batches
    optimizer: Optimizer
    epochs: int = setting(help="how many epochs.", low=1, high=MOST_EPOCHS, traced=True)

    def check(self) -> None:
        if not (self.batches.labelled or self.method.pretrains):
            batches, method = type(self.batches).__name__, type(self.method).__name__
            raise InputError(
                f"{batches} give no labels, and {method} needs some: give LabelledBatches or MixedBatches."
            )

    def prefix(self, field: str) -> str:
        """What all phases have carries ``pretrain_`` in pre-training."""
        return "pretrain_" if self.method.pretrains and field != "method" else ""

    def updates_per_epoch(self, split: Split) -> int:
        """Updates an epoch, all rounds together."""
        labelled = len(split.labelled)
        return self.batches.rounds(labelled) * self.batches.updates(labelled)

    @property
    def role(self) -> str:
        """``pretrain`` or ``finetune``, as metrics and progress call it."""
        return "pretrain" if self.method.pretrains else "finetune"


@register
class Config(Settings):
    """One scenario under one protocol: the split, and the phases that train the network, in order."""

    protocol: str = setting(help="the page it is on.", flag=False)
    scenario: str = setting(help="its name there.", flag=False)
    labels: int = setting(default=100, help="labelled images, evenly by class.", low=1)
    validation: int = setting(default=1000, help="validation images.")
    phases: tuple[Phase, ...]
    choose_labels: Literal["random", "first", "given"] = setting(
        default="random", help="a class; or all that are known.", flag=False
    )

    def check(self) -> None:
        if not self.phases or self.phases[-1].method.pretrains:
            raise InputError("phases must end with one that trains the classifier.")

    @property
    def method(self) -> Method:
        """That of the last phase: what predicts."""
        return self.phases[-1].method


def check_epochs(epochs: Any) -> None:
    """Raise ``InputError`` if a phase cannot have so many epochs."""
    check("epochs", Phase.__dataclass_fields__["epochs"], epochs)


def shapes(config: Config, images: np.ndarray | jax.ShapeDtypeStruct, classes: int) -> list[tuple[Params, Any]]:
    """The parameters of every phase and what its method carries beside them, as ``jax.ShapeDtypeStruct``.

    They are those of one seed, for images of this shape, ``[N, D]``.
    """
    sizes = (config.labels, config.validation, images.shape[0] - config.labels - config.validation)
    struct: Any = jax.ShapeDtypeStruct  # stands in for an array
    parts = Split(*(struct((size,), np.int32) for size in sizes))
    count = struct((), np.int32)
    data = TrainingData(
        struct(images.shape, images.dtype), struct(images.shape[:1], np.int32), count, count, classes=classes
    )
    key, found = jax.eval_shape(lambda: jax.random.key(0)), []
    start: Params = {}
    for phase in config.phases:
        found.append(jax.eval_shape(phase.method.init, key, data, parts, start))
        start = jax.eval_shape(phase.method.transfers, found[-1][0])
    return found


def from_json(value: Any) -> Config:
    """The config that :func:`pljax.settings.to_json` wrote, or an earlier version. Raises ``InputError`` on another.

    >>> from pljax.protocols import quick
    >>> config = quick.SCENARIOS["pl_dae"]
    >>> from_json(settings.to_json(config)) == config
    True
    """
    try:
        config = settings.from_json(earlier.translate(value))
    except RecursionError as error:
        raise InputError(f"This is no config of pljax: {error}.") from error
    if not isinstance(config, Config):
        raise InputError("This is no config of pljax.")
    return config
