"""A config with settings of every kind, none of them at a special value, and every change of one of its fields."""

import dataclasses
import typing

from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.data.cycles import CycledBatches
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.ladder import Ladder
from pljax.methods.mean_teacher import MeanTeacher
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.methods.vat import VirtualAdversarial
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam, GradientDescent, PaperMomentum
from pljax.protocols.config import Config, Phase
from pljax.settings import Settings

NETWORK = Network(hidden=(20, 10), initial_weights="glorot", inverted_dropout=True, output="softmax")
NOISE = {"visible_dropout": 0.125, "hidden_dropout": 0.25, "input_noise": 0.75}
AUTOENCODER = DenoisingAutoencoder(
    network=NETWORK,
    noise="gaussian",
    noise_level=0.25,
    encoder_dropout=0.25,
    bottleneck=(8, 4, 8),
    reduction="mean",
    error="squared",
)
SUPERVISED = Supervised(network=NETWORK, **NOISE)
PSEUDO_LABEL = PseudoLabel(
    network=NETWORK, **NOISE, alpha_f=0.5, t1=1, t2=6, assign="once", threshold=0.25, alignment=0.75
)
MOMENTUM = PaperMomentum(learning_rate=1.5, decay=0.875, initial_momentum=0.5, final_momentum=0.75, momentum_epochs=500)
CONFIG = Config(
    protocol="mine",
    scenario="all",
    labels=20,
    validation=7,
    choose_labels="first",
    phases=(
        Phase(
            method=AUTOENCODER,
            batches=DrawnBatches(batch_size=16, updates_per_epoch=3),
            optimizer=Adam(learning_rate=0.125),
            epochs=2,
        ),
        Phase(
            method=SUPERVISED,
            batches=LabelledBatches(batch_size=5, last_batch="short"),
            optimizer=GradientDescent(learning_rate=0.5, decay=0.875, decay_updates=10),
            epochs=7,
        ),
        Phase(
            method=PSEUDO_LABEL,
            batches=MixedBatches(
                batch_size=6, unlabelled_batch_size=9, draw_from="shuffle_buffer", buffer_size=64, last_batch="short"
            ),
            optimizer=MOMENTUM,
            epochs=8,
        ),
    ),
)

LADDER = Ladder(
    network=NETWORK,
    alpha_f=0.5,
    t1=1,
    t2=6,
    layer_noise=0.25,
    denoise_inputs=10.0,
    denoise_first=2.0,
    denoise_others=0.25,
    threshold=0.25,
    normalisation="layer",
)
VAT = VirtualAdversarial(
    network=NETWORK,
    alpha_f=0.5,
    t1=1,
    t2=6,
    epsilon=1.5,
    xi=0.25,
    power_iterations=2,
    entropy_weight=0.25,
    normalisation="layer",
)
MEAN_TEACHER = MeanTeacher(
    network=NETWORK, alpha_f=0.5, t1=1, t2=6, teacher_decay=0.75, layer_noise=0.25, normalisation="layer"
)
CYCLED = CycledBatches(batch_size=6, unlabelled_batch_size=9, updates_per_epoch=4)
DECAYING = Adam(learning_rate=0.125, constant_share=0.25, decay=0.875, decay_updates=10)
WHOLE = CONFIG.replace(
    phases=(
        *CONFIG.phases,
        *(Phase(method=method, batches=CYCLED, optimizer=DECAYING, epochs=8) for method in (LADDER, VAT, MEAN_TEACHER)),
    )
)


class Change(typing.NamedTuple):
    """One field set to another value."""

    path: str
    before: typing.Any
    after: typing.Any
    node: typing.Any  # the settings with this change


def another(kind, value):
    """Another valid value of the same type."""
    if typing.get_origin(kind) is typing.Literal:
        return next(choice for choice in typing.get_args(kind) if choice != value)
    if value is None:
        return 7
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return (*value, 3)
    if isinstance(value, float):
        return (value + 1) / 2 if value != 1 else 0.5
    return value + "s" if isinstance(value, str) else value + 1


def changes(node):
    """Every change of one field."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Settings):
            for change in changes(value):
                yield change._replace(
                    path=f"{field.name}.{change.path}", node=node.replace(**{field.name: change.node})
                )
        elif field.name == "phases":
            for place, phase in enumerate(value):
                for change in changes(phase):
                    phases = (*value[:place], change.node, *value[place + 1 :])
                    yield change._replace(path=f"phases.{place}.{change.path}", node=node.replace(phases=phases))
        else:
            new = another(field.type, value)
            yield Change(field.name, value, new, node.replace(**{field.name: new}))
