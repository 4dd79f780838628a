"""`arab2022`: the Keras notebook of a master's report, as its authors ran it.

Source
    Arab, Boulfoul, Et-tali, "Prédiction des données MNIST avec uniquement 100 labels", master's report with
    a Keras notebook, 2021-2022.

Command
    ``python -m pljax.main --protocol=arab2022 --scenario=all --dataset=mnist --seeds=5``

What the notebook does
    The labelled set is the first 10 images of each class in file order, for every seed, and there is no validation set.
    Initial weights are Glorot's uniform ones; dropout is inverted. The output layer has sigmoid units, but Keras
    computes `sparse_categorical_crossentropy` from their logits, so that the loss is the softmax cross-entropy. Adam
    has the default settings of Keras.

    * nn: 20 epochs of Adam.
    * drop_nn: dropout 0.2 / 0.5, 500 epochs of gradient descent at the rate 1.5 * 0.88^(update / 10).
    * pl: starts from the network of drop_nn, which assigns the pseudo-labels once; 500 epochs of Adam with alpha(t).
    * pl_dae: a nine-layer auto-encoder with Gaussian noise that is drawn once, whose first layer is transferred;
      100 epochs of Adam with dropout 0.5 on hidden units only; pseudo-labels are assigned once; 500 epochs of Adam
      with alpha(t).

    alpha(t) rises to 3 from epoch 100 to epoch 600, but there are only 500 epochs: it ends at 2.394. Unlabelled images
    are 4 x 256 draws per epoch from a shuffle buffer of 1,024 images in file order. Only the first 2,048 images can be
    drawn, and the labelled ones are among them.

Expected
    ``PUBLISHED``: one run of each scenario.
"""

from typing import Any

from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam, GradientDescent, Optimizer
from pljax.protocols.config import Config, Phase

NETWORK = Network(hidden=(5000,), initial_weights="glorot", inverted_dropout=True, output="softmax")
# The last mini-batch in Keras is short: 4 of 100 images.
BATCHES = LabelledBatches(batch_size=32, last_batch="short")
MIXED_BATCHES = MixedBatches(
    batch_size=32, last_batch="short", unlabelled_batch_size=256, draw_from="shuffle_buffer", buffer_size=1024
)
ADAM = Adam(learning_rate=1e-3)


def supervised(epochs: int, optimizer: Optimizer, **dropout: float) -> Phase:
    """Return a phase of supervised training."""
    method = Supervised(network=NETWORK, **dropout)
    return Phase(method=method, epochs=epochs, batches=BATCHES, optimizer=optimizer)


def pseudo_label(**dropout: Any) -> Phase:
    """Return a phase of training with pseudo-labels that the network assigns at its start."""
    method = PseudoLabel(network=NETWORK, **dropout, alpha_f=3.0, t1=100, t2=600, assign="once")
    return Phase(method=method, epochs=500, batches=MIXED_BATCHES, optimizer=ADAM)


AUTOENCODER = Phase(
    method=DenoisingAutoencoder(
        network=NETWORK,
        noise="gaussian",
        noise_level=0.5,
        encoder_dropout=0.5,
        bottleneck=(128, 64, 32, 64, 128),
        reduction="mean",
    ),
    epochs=10,
    batches=DrawnBatches(batch_size=32, updates_per_epoch=1875),
    optimizer=ADAM,
)
DROP_NN = supervised(
    500, GradientDescent(learning_rate=1.5, decay=0.88, decay_updates=10), visible_dropout=0.2, hidden_dropout=0.5
)

PHASES: dict[str, tuple[Phase, ...]] = {
    "nn": (supervised(20, ADAM),),
    "drop_nn": (DROP_NN,),
    "pl": (DROP_NN, pseudo_label(visible_dropout=0.2, hidden_dropout=0.5)),
    "pl_dae": (AUTOENCODER, supervised(100, ADAM, hidden_dropout=0.5), pseudo_label(hidden_dropout=0.5)),
}
SCENARIOS = {
    name: Config(protocol="arab2022", scenario=name, phases=PHASES[name], validation=0, choose_labels="first")
    for name in PHASES
}

# Test accuracy in per cent by (scenario, labels).
SOURCE = "Arab et al. 2022"
QUOTED: dict[str, str] = {}
ONE_RUN = True
PUBLISHED = {("nn", 100): 70.03, ("drop_nn", 100): 71.20, ("pl", 100): 72.28, ("pl_dae", 100): 76.95}
HALF_INTERVALS: dict[tuple[str, int], float] = {}  # a single run has none
