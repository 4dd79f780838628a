"""`adaptive`: the default for one's own data, with numbers that follow from its sizes.

Source
    Lee's algorithm on features of any kind, and what is usual for networks since: two hidden layers, Glorot's weights,
    inverted dropout, noise on the inputs, softmax and Adam; a confidence threshold, below which a row gets no
    pseudo-label, as scikit-learn's ``SelfTrainingClassifier`` has it; and distribution alignment (Berthelot et al.
    2020, "ReMixMatch"). experiments/versus_sklearn.py compares it with others.

Command
    ``python -m pljax.main --dataset=rows.csv --scenario=pl --seeds=5``

What follows from the data
    ==========================  ===========================================================================
    Mini-batches                a hundredth of the labelled rows, from 32 to 256
    Epochs                      300, but no more than make 2,400 updates, and 20 at least
    alpha(t)                    from 0 at a tenth of them to 3 at six tenths
    Visible dropout             0.2 from 8 features on, none below: of two features each is half of what is known
    Noise                       with dropout, 0.5 standard deviations from 8 features on: with two, classes lie nearer
    Alignment                   1, but less where a mini-batch has fewer than ten rows a class
    The auto-encoder            600 updates of 256 rows, squared errors: features are not in [0, 1]
    ==========================  ===========================================================================

Expected
    No publication has these figures; the README has those of this package.
"""

from typing import NamedTuple

from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam
from pljax.protocols.config import Config, Phase, check_epochs

MOST_EPOCHS, FEWEST_EPOCHS = 300, 20
UPDATES = 2400
PRETRAIN_UPDATES = 600
MANY_FEATURES = 8
UNLABELLED_BATCH = 256
ROWS_A_CLASS = 10
NETWORK = Network(hidden=(500, 500), initial_weights="glorot", inverted_dropout=True, output="softmax")

AUTOENCODER = Phase(
    method=DenoisingAutoencoder(
        network=NETWORK, noise="masking", noise_level=0.5, encoder_dropout=0.5, error="squared"
    ),
    epochs=1,
    batches=DrawnBatches(batch_size=256, updates_per_epoch=PRETRAIN_UPDATES),
    optimizer=Adam(learning_rate=1e-3),
)


class Sizes(NamedTuple):
    """What the protocol looks at."""

    labelled: int
    features: int
    classes: int


USUAL = Sizes(labelled=100, features=784, classes=10)  # where the data are not known yet


def scenarios(sizes: Sizes, epochs: int | None = None) -> dict[str, Config]:
    """The four scenarios for data of these sizes, and so many ``epochs`` if given: alpha(t) follows them.

    >>> scenarios(Sizes(labelled=100, features=64, classes=10))["pl"].phases[0].epochs
    300
    """
    batch_size = min(max(sizes.labelled // 100, 32), 256)
    updates_per_epoch = -(-sizes.labelled // batch_size)
    if epochs is None:
        epochs = max(min(UPDATES // updates_per_epoch, MOST_EPOCHS), FEWEST_EPOCHS)
    check_epochs(epochs)  # before alpha(t) is made of them
    phases = phases_for(sizes, epochs, batch_size)
    return {
        name: Config(
            protocol="adaptive",
            scenario=name,
            phases=phases[name],
            labels=sizes.labelled,
            validation=0,
            choose_labels="given",
        )
        for name in phases
    }


def phases_for(sizes: Sizes, epochs: int, batch_size: int) -> dict[str, tuple[Phase, ...]]:
    """What the scenarios train, in order."""
    visible_dropout, input_noise = (0.2, 0.5) if sizes.features >= MANY_FEATURES else (0.0, 0.0)
    optimizer, t1 = Adam(learning_rate=3e-3), epochs // 10

    def supervised(**noise: float) -> Phase:
        method = Supervised(network=NETWORK, **noise)
        batches = LabelledBatches(batch_size=batch_size)
        return Phase(method=method, epochs=epochs, batches=batches, optimizer=optimizer)

    pseudo_label = Phase(
        method=PseudoLabel(
            network=NETWORK,
            visible_dropout=visible_dropout,
            hidden_dropout=0.5,
            input_noise=input_noise,
            alpha_f=3.0,
            t1=t1,
            t2=max(epochs * 6 // 10, t1 + 1),
            threshold=0.9,
            alignment=min(UNLABELLED_BATCH / (ROWS_A_CLASS * sizes.classes), 1.0),
        ),
        epochs=epochs,
        batches=MixedBatches(batch_size=batch_size, unlabelled_batch_size=UNLABELLED_BATCH),
        optimizer=optimizer,
    )
    return {
        "nn": (supervised(),),
        "drop_nn": (supervised(visible_dropout=visible_dropout, hidden_dropout=0.5, input_noise=input_noise),),
        "pl": (pseudo_label,),
        "pl_dae": (AUTOENCODER, pseudo_label),
    }
