"""Phases small enough for every test, and their training for one seed."""

import jax
import jax.numpy as jnp
import optax

from pljax.data import split
from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.data.cycles import CycledBatches
from pljax.methods.base import Batch
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.ladder import Ladder
from pljax.methods.mean_teacher import MeanTeacher
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.methods.vat import VirtualAdversarial
from pljax.nn.networks import Network, in_blocks
from pljax.nn.optimizers import Adam, PaperMomentum
from pljax.protocols.config import Phase
from pljax.training import phases
from pljax.training.step import train_step
from pljax.types import TrainingData

LABELS, VALIDATION, CLASSES, FEATURES = 8, 20, 4, 12
NETWORK = Network(hidden=(12,), initial_weights="normal", inverted_dropout=False, output="sigmoid")
KERAS = Network(hidden=(12, 7), initial_weights="glorot", inverted_dropout=True, output="softmax")
MOMENTUM = PaperMomentum(learning_rate=0.5, decay=0.99, initial_momentum=0.5, final_momentum=0.9, momentum_epochs=5)
DROPOUT = {"visible_dropout": 0.2, "hidden_dropout": 0.5}
LABELLED = LabelledBatches(batch_size=5)
MIXED = MixedBatches(batch_size=5, unlabelled_batch_size=16)
BUFFER = MIXED.replace(draw_from="shuffle_buffer", buffer_size=30)

PSEUDO_LABEL = PseudoLabel(network=NETWORK, **DROPOUT, alpha_f=2.0, t1=1, t2=3)
SUPERVISED = Supervised(network=NETWORK, **DROPOUT)
MASKING = DenoisingAutoencoder(network=NETWORK, noise="masking", noise_level=0.5, encoder_dropout=0.5)
GAUSSIAN = DenoisingAutoencoder(
    network=KERAS, noise="gaussian", noise_level=0.5, encoder_dropout=0.5, bottleneck=(6, 4, 6), reduction="mean"
)
LADDER = Ladder(network=KERAS, alpha_f=1.0, t1=0, t2=2, denoise_inputs=10.0)
VAT = VirtualAdversarial(network=KERAS)
MEAN_TEACHER = MeanTeacher(network=KERAS, alpha_f=2.0, t1=0, t2=2, teacher_decay=0.6)

SUPERVISED_PHASE = Phase(method=SUPERVISED, batches=LABELLED, optimizer=MOMENTUM, epochs=4)
PSEUDO_LABEL_PHASE = Phase(method=PSEUDO_LABEL, batches=MIXED, optimizer=MOMENTUM, epochs=4)
ONCE_PHASE = PSEUDO_LABEL_PHASE.replace(method=PSEUDO_LABEL.replace(assign="once"), batches=BUFFER)
ALIGNED_PHASE = PSEUDO_LABEL_PHASE.replace(method=PSEUDO_LABEL.replace(alignment=1.0, threshold=0.3))
MASKING_PHASE = Phase(
    method=MASKING,
    batches=DrawnBatches(batch_size=16, updates_per_epoch=6),
    optimizer=Adam(learning_rate=0.01),
    epochs=2,
)
CYCLED = CycledBatches(batch_size=5, unlabelled_batch_size=16, updates_per_epoch=3)
LADDER_PHASE = Phase(method=LADDER, batches=CYCLED, optimizer=Adam(learning_rate=0.01, constant_share=0.5), epochs=4)
VAT_PHASE = LADDER_PHASE.replace(method=VAT)
MEAN_TEACHER_PHASE = LADDER_PHASE.replace(method=MEAN_TEACHER)
GAUSSIAN_PHASE = MASKING_PHASE.replace(method=GAUSSIAN)


def training_data(dataset):
    """A data set as training sees it."""
    unlabelled = len(dataset.train_labels) - LABELS - VALIDATION
    return TrainingData(
        jnp.asarray(dataset.train_images),
        jnp.asarray(dataset.train_labels),
        labelled=jnp.asarray(LABELS, jnp.int32),
        unlabelled=jnp.asarray(unlabelled, jnp.int32),
        classes=CLASSES,
    )


@jax.jit
def split_of(key, data):
    """The split of the seed with this key."""
    sizes = {"classes": CLASSES, "labels": LABELS, "validation": VALIDATION}
    return split.of_seed(key, data.labels, **sizes, choose="random")


INIT, ROUND, EVALUATE = map(jax.jit, (phases.init_state, phases.train_round, phases.evaluate))
SGD = optax.sgd(1.0)
step = jax.jit(train_step, static_argnums=1)  # the method is an argument: its numbers are traced


@jax.jit
def start(method, key, data, layers=None):
    """The parameters of a method before its first update, and what it carries beside them."""
    return method.init(key, data, split_of(key, data), layers or {})


@jax.jit
def logits_of(method, params, extra, images):
    return in_blocks(lambda block: method.logits(params, extra, block), images)


@jax.jit
def draw(phase, key, t, parts, data):
    """The mini-batches of a round, and the key of each update."""
    rows = phase.batches.draw(key, t, parts, data)
    return rows, phase.batches.update_keys(key, t, len(rows.images))


def init(phase, key, parts, data, start=None):
    return INIT(phase, key, start or {}, parts, data)


def train_round(phase, key, t, state, parts, data):
    return ROUND(phase, key, jnp.int32(t), state, parts, data)


def evaluate(phase, state, parts, data):
    return EVALUATE(phase, state, parts, data)


def train(phase, data, *, seed=0, rounds=4, parts=None, start=None):
    """One seed, alone: its state and the metrics of every round."""
    key, metrics = jax.random.key(seed), []
    parts = split_of(key, data) if parts is None else parts
    state = init(phase, key, parts, data, start)
    for t in range(rounds):
        state, of_round, _ = train_round(phase, key, t, state, parts, data)
        metrics.append(of_round)
    return state, metrics


def batch(dataset, labelled=5, unlabelled=0):
    """The first images of a data set as the mini-batch of an update: labelled ones, then unlabelled ones."""
    images, rows = jnp.asarray(dataset.train_images, jnp.float32) / 255, jnp.arange(labelled + unlabelled)
    made = Batch(images[:labelled], jnp.asarray(dataset.train_labels[:labelled]), jnp.ones(labelled), rows[:labelled])
    if not unlabelled:
        return made
    return made._replace(unlabelled=images[labelled : len(rows)], unlabelled_rows=rows[labelled:])


def leaves_of(params, *layers):
    """The kernel and the bias of each layer."""
    return [params[layer][kind] for layer in layers for kind in ("kernel", "bias")]
