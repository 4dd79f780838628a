"""Lee (2013) from the pure parts of pljax alone: a method, ``train_step``, and ``jit(vmap(.))`` over seeds.

``python experiments/minimal.py`` takes the 5,000 MNIST images that come with a package and prints the accuracy of each
seed in under a minute. No run folder, no flags: read it from top to bottom.
"""

import jax
import jax.numpy as jnp

import pljax
from pljax.data import split
from pljax.data.batches import MixedBatches
from pljax.methods.pseudo_label import PseudoLabel
from pljax.nn.networks import Network, to_inputs
from pljax.nn.optimizers import PaperMomentum
from pljax.training.phases import make_batch
from pljax.training.step import train_step
from pljax.types import TrainingData, TrainState

SEEDS, EPOCHS, LABELS = 3, 150, 100

# lee2013 at a tenth of the width and 0.15 of the epochs
network = Network(hidden=(500,), initial_weights="normal", inverted_dropout=False, output="sigmoid")
method = PseudoLabel(network=network, visible_dropout=0.2, hidden_dropout=0.5, alpha_f=3.0, t1=15, t2=90)
batches = MixedBatches(batch_size=32, unlabelled_batch_size=256)
momentum = {"initial_momentum": 0.5, "final_momentum": 0.99, "momentum_epochs": 75}
paper_momentum = PaperMomentum(learning_rate=1.5, decay=0.987, **momentum)

mnist = pljax.load("mnist_5k")
images, labels = jnp.asarray(mnist.train_images), jnp.asarray(mnist.train_labels)
unlabelled = jnp.asarray(len(labels) - LABELS)
data = TrainingData(images, labels, jnp.asarray(LABELS), unlabelled, classes=mnist.classes)


def accuracy_of(seed: jax.Array) -> jax.Array:
    """One seed, from its random split to its test accuracy: a pure function."""
    key = jax.random.key(seed)
    parts = split.of_seed(key, labels, classes=mnist.classes, labels=LABELS, validation=0, choose="random")
    optimizer = paper_momentum.transform(updates_per_epoch=batches.updates(LABELS), epochs=EPOCHS)
    params, extra = method.init(key, data, parts, start={})

    def epoch(state: TrainState, t: jax.Array) -> tuple[TrainState, None]:
        alpha = method.weight(t)  # eq. 16, an optax schedule
        rows = batches.draw(key, t, parts, data)

        def update(state: TrainState, now: tuple) -> tuple[TrainState, None]:
            rows, update_key = now
            state, _, _ = train_step(method, optimizer, state, make_batch(rows, data), alpha, update_key)
            return state, None

        keys = batches.update_keys(key, t, len(rows.images))
        return jax.lax.scan(update, state, (rows, keys))

    state, _ = jax.lax.scan(epoch, TrainState(params, optimizer.init(params), extra), jnp.arange(EPOCHS))
    logits = method.logits(state.params, state.extra, to_inputs(jnp.asarray(mnist.test_images)))
    return (logits.argmax(axis=1) == mnist.test_labels).mean()


for seed, accuracy in enumerate(jax.jit(jax.vmap(accuracy_of))(jnp.arange(SEEDS))):
    print(f"seed {seed}: {accuracy:.1%}")
