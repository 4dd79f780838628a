"""A method of one's own: entropy minimisation (Grandvalet and Bengio 2005). README shows these lines."""

import jax
import jax.numpy as jnp

import pljax
from pljax.methods import Aux, NetworkMethod, register, setting
from pljax.nn.losses import supervised_loss


@register
class EntropyMinimisation(NetworkMethod):
    """The network is to be sure of the unlabelled images, whatever their class."""

    entropy_weight: float = setting(default=1.0, help="the weight of the entropy.")

    def loss(self, params, extra, batch, weight, key):
        logits = self.forward(params, batch.all_images, key)
        labelled, unlabelled = jnp.split(logits, [len(batch.images)])
        supervised = supervised_loss(labelled, batch.labels, batch.weights, self.output)
        if batch.unlabelled is None:
            return supervised, Aux(extra, {"labelled_loss": supervised})
        log_p = jax.nn.log_softmax(unlabelled)
        entropy = -(jnp.exp(log_p) * log_p).sum(axis=-1).mean()
        return supervised + weight * entropy, Aux(extra, {"labelled_loss": supervised, "entropy": entropy})

    def weight(self, epoch):
        return jnp.where(epoch < 2, 0.0, self.entropy_weight)


def config(hidden=(500,), epochs=60, labels=100, validation=1000):
    network = pljax.Network(hidden=hidden, initial_weights="glorot", inverted_dropout=True, output="softmax")
    phase = pljax.Phase(
        method=EntropyMinimisation(network=network, hidden_dropout=0.5),
        epochs=epochs,
        batches=pljax.MixedBatches(batch_size=32, unlabelled_batch_size=256),
        optimizer=pljax.Adam(learning_rate=1e-3),
    )
    return pljax.Config(protocol="mine", scenario="entropy", phases=(phase,), labels=labels, validation=validation)
