"""The config of a run: its phases, and the method, mini-batches and optimizer of each.

Configs are frozen, checked when they are made, and converted to JSON and back without loss. A scenario under a
protocol is a :class:`Config`, and one loop trains any config: no code depends on the name of a scenario.
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

MAX_EPOCHS = 10_000_000  # far more than a run needs: the number of updates has to fit int32


@register
class Phase(Settings):
    """One phase of training: a method, its mini-batches, its optimizer and the number of epochs."""

    method: Method
    batches: Batches
    optimizer: Optimizer
    epochs: int = setting(help="the number of epochs.", low=1, high=MAX_EPOCHS, traced=True)

    def check(self) -> None:
        if not (self.batches.labelled or self.method.pretrains):
            batches, method = type(self.batches).__name__, type(self.method).__name__
            raise InputError(
                f"{batches} give no labels, and {method} needs some: give LabelledBatches or MixedBatches."
            )
        unweighted = type(self.method).weight is Method.weight
        if self.batches.unlabelled and self.method.weight_covers_all and unweighted:
            batches, method = type(self.batches).__name__, type(self.method).__name__
            raise InputError(
                f"{method} gives the unlabelled images of {batches} no weight, so none would be used: define "
                f"{method}.weight(epoch), or give LabelledBatches."
            )

    def prefix(self, field: str) -> str:
        """Return ``pretrain_`` for the fields of a pre-training phase, but not for those of its method."""
        return "pretrain_" if self.method.pretrains and field != "method" else ""

    def updates_per_epoch(self, split: Split) -> int:
        """Return the updates per epoch, those of all rounds."""
        labelled = len(split.labelled)
        return self.batches.rounds(labelled) * self.batches.updates(labelled)

    @property
    def gives_labels(self) -> bool:
        """Whether the phase trains on pseudo-labels."""
        return self.batches.unlabelled and bool(self.method.gives_labels)

    @property
    def role(self) -> str:
        """The kind of phase in metrics and progress: ``pretrain`` or ``finetune``."""
        return "pretrain" if self.method.pretrains else "finetune"


@register
class Config(Settings):
    """One scenario under one protocol: the sizes of the split, and the phases in order."""

    protocol: str = setting(help="the name of the protocol.", flag=False)
    scenario: str = setting(help="the name of the scenario.", flag=False)
    labels: int = setting(default=100, help="labelled images, evenly by class.", low=1)
    validation: int = setting(default=1000, help="validation images.")
    phases: tuple[Phase, ...]
    choose_labels: Literal["random", "first", "given"] = setting(
        default="random", help="which images of a class are labelled: see pljax.data.split.make.", flag=False
    )

    def check(self) -> None:
        if not self.phases or self.phases[-1].method.pretrains:
            raise InputError("phases must end with one that trains the classifier.")

    @property
    def method(self) -> Method:
        """The method of the last phase, which predicts."""
        return self.phases[-1].method


def check_epochs(epochs: Any) -> None:
    """Raise ``InputError`` if a phase cannot have so many epochs."""
    check("epochs", Phase.__dataclass_fields__["epochs"], epochs)


def shapes(config: Config, images: np.ndarray | jax.ShapeDtypeStruct, classes: int) -> list[tuple[Params, Any]]:
    """Return the parameters and the ``extra`` of every phase, as ``jax.ShapeDtypeStruct`` for one seed.

    Args:
      config: the config.
      images: the training images ``[N, D]``, or their shape and dtype.
      classes: ``C``.
    """
    sizes = (config.labels, config.validation, images.shape[0] - config.labels - config.validation)
    struct: Any = jax.ShapeDtypeStruct  # Any, because it takes the place of an array
    split = Split(*(struct((size,), np.int32) for size in sizes))
    count = struct((), np.int32)
    data = TrainingData(
        struct(images.shape, images.dtype), struct(images.shape[:1], np.int32), count, count, classes=classes
    )
    key, states = jax.eval_shape(lambda: jax.random.key(0)), []
    start: Params = {}
    for phase in config.phases:
        states.append(jax.eval_shape(phase.method.init, key, data, split, start))
        start = jax.eval_shape(phase.method.transfers, states[-1][0])
    return states


def from_json(value: Any) -> Config:
    """Convert the JSON values of a config, also those of an earlier version. Raises ``InputError`` for other values.

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
