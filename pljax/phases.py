"""What a config's phases are made of: names, keys and pure functions of one seed."""

import jax
import jax.numpy as jnp
import numpy as np

from pljax import columns, finetune, pretrain, split
from pljax.config import Config, Finetune, Pretrain
from pljax.models import Classifier
from pljax.types import Params, Split, Trainer, TrainingData, TrainState

# What the root key of a seed is folded with. The split's purpose comes alone, so that a seed has the same
# labels everywhere; a phase's comes with its place among the phases of its type, so that scenarios share
# the start that they have in common.
SPLIT, PRETRAIN, FINETUNE = range(3)


def name_of(config: Config, number: int) -> str:
    """A phase's name among those of the config: ``pretrain``, ``finetune``, or ``finetune 2`` for a second one.

    >>> from pljax.protocols import arab2022
    >>> [name_of(arab2022.SCENARIOS["pl_dae"], number) for number in range(3)]
    ['pretrain', 'finetune', 'finetune 2']
    """
    place = place_of(config, number)
    return type(config.phases[number]).__name__.lower() + (f" {place + 1}" if place else "")


def place_of(config: Config, number: int) -> int:
    """How many phases of the same type come before a phase."""
    return sum(type(phase) is type(config.phases[number]) for phase in config.phases[:number])


def key_of(config: Config, number: int, root: jax.Array) -> jax.Array:
    """The key of a phase, from the root key of its seed."""
    purpose = PRETRAIN if isinstance(config.phases[number], Pretrain) else FINETUNE
    return jax.random.fold_in(jax.random.fold_in(root, purpose), place_of(config, number))


def split_of(config: Config, classes: int, root: jax.Array, train_labels: jax.Array) -> Split:
    """The split of a seed, from its root key."""
    return split.make(
        jax.random.fold_in(root, SPLIT),
        train_labels,
        classes=classes,
        labels=config.labels,
        validation=config.validation,
        choose=config.choose_labels,
    )


def trainer_of(config: Config, number: int, classes: int) -> Trainer:
    """The pure functions of a phase."""
    phase = config.phases[number]
    if isinstance(phase, Pretrain):
        return pretrain.trainer(config, phase)
    return finetune.trainer(config, phase, classes)


def usually_lit(config: Config, images: np.ndarray) -> int | None:
    """Room for the lit columns of nearly every mini-batch of the config, if leaving out the others is worth while."""
    rows = [0]
    for phase in config.phases:
        if isinstance(phase, Finetune) and phase.pseudo_labels:
            rows.append(phase.batch_size + phase.pseudo_labels.batch_size)
        if isinstance(phase, Pretrain) and phase.noise == "masking":
            rows.append(phase.batch_size)
    return columns.usually_lit(images, max(rows)) if max(rows) else None


def state_shapes(config: Config, shape: tuple[int, ...], classes: int) -> list[TrainState]:
    """The state of every phase, for one seed and images of a shape ``[N, D]``, as ``jax.ShapeDtypeStruct``."""
    sizes = (config.labels, config.validation, shape[0] - config.labels - config.validation)
    # Shapes stand in for arrays, which the types do not allow for.
    parts = Split(*(jax.ShapeDtypeStruct((size,), jnp.int32) for size in sizes))  # type: ignore[arg-type]
    data = TrainingData(jax.ShapeDtypeStruct(shape, jnp.uint8), jax.ShapeDtypeStruct(shape[:1], jnp.int32))  # type: ignore[arg-type]
    key, states = jax.eval_shape(lambda: jax.random.key(0)), []
    handed_on: Params = {}
    for number in range(len(config.phases)):
        trainer = trainer_of(config, number, classes)
        states.append(jax.eval_shape(trainer.init, key, handed_on, parts, data))
        handed_on = jax.eval_shape(trainer.hand_on, states[-1])
    return states


def final_model(config: Config, classes: int) -> Classifier:
    """The network that the last phase leaves."""
    last = config.phases[-1]
    assert isinstance(last, Finetune)
    return finetune.classifier(config, last, classes)
