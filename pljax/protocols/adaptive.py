"""`adaptive`: the default for custom data, with settings that depend on the sizes of the data.

Source
    Lee's algorithm for features of any kind, with later standard choices: two hidden layers, Glorot's initial weights,
    inverted dropout, noise on the inputs, softmax and Adam; a confidence threshold, below which a row gets no
    pseudo-label, as in scikit-learn's ``SelfTrainingClassifier``; and distribution alignment (Berthelot et al. 2020,
    "ReMixMatch"). experiments/versus_sklearn.py compares it with other methods.

Command
    ``python -m pljax.main --dataset=rows.csv --scenario=pl --seeds=5``, or ``--scenario=methods`` for all eight

Settings that depend on the data
    ==========================  ===========================================================================
    Mini-batches                a hundredth of the labelled rows, from 32 to 256
    Epochs                      300, but at most as many as make 2,400 updates, and at least 20
    alpha(t)                    from 0 at a tenth of the epochs to 3 at six tenths
    Visible dropout             0.2 for 8 or more features, else 0: one of two features is half the information
    Noise                       with dropout, 0.5 standard deviations for 8 or more features, else 0
    Alignment                   1, but less where a mini-batch has fewer than ten rows per class; with an interval of
                                class shares that is estimated from labelled and unlabelled rows
    The auto-encoder            600 updates of 256 rows, squared errors: features are not in [0, 1]
    ==========================  ===========================================================================

mean_teacher, vat, ladder, ladder_pl
    250-250 units, for the ladder 250-250-100; noise of 0.3 for 8 or more features, else 0.1; Adam at 0.002, which falls
    to 0 over the last half. Layers are normalised over units: statistics of a mini-batch of labelled rows, which are
    even, are not those of an uneven population. The reconstruction of the inputs weighs 100. alpha(t) rises over half
    the epochs, to 10 for mean_teacher and to 1 for ladder_pl. The settings are those of MNIST or first guesses; pl is
    the default.

Expected
    No publication reports accuracies for it. The README has those of this package.
"""

from typing import NamedTuple

from pljax.data.batches import DrawnBatches, LabelledBatches, MixedBatches
from pljax.methods import Method
from pljax.methods.denoising_autoencoder import DenoisingAutoencoder
from pljax.methods.ladder import Ladder
from pljax.methods.mean_teacher import MeanTeacher
from pljax.methods.pseudo_label import PseudoLabel
from pljax.methods.supervised import Supervised
from pljax.methods.vat import VirtualAdversarial
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam
from pljax.protocols.config import Config, Phase, check_epochs

MAX_EPOCHS, MIN_EPOCHS = 300, 20
MAX_UPDATES = 2400  # of the classifier, unless MIN_EPOCHS make more: a bound of the time of a run
PRETRAIN_UPDATES = 600
MANY_FEATURES = 8  # enough for dropout and noise on the inputs: fewer features are hardly redundant
UNLABELLED_BATCH_SIZE = 256
# Unlabelled rows per class and mini-batch that alignment takes for enough to estimate the share of a class.
ROWS_PER_CLASS = 10
NETWORK = Network(hidden=(500, 500), initial_weights="glorot", inverted_dropout=True, output="softmax")

NORMALISED = NETWORK.replace(hidden=(250, 250))
LADDER_NETWORK = NETWORK.replace(hidden=(250, 250, 100))

AUTOENCODER = Phase(
    method=DenoisingAutoencoder(
        network=NETWORK, noise="masking", noise_level=0.5, encoder_dropout=0.5, error="squared"
    ),
    epochs=1,
    batches=DrawnBatches(batch_size=256, updates_per_epoch=PRETRAIN_UPDATES),
    optimizer=Adam(learning_rate=1e-3),
)


class Sizes(NamedTuple):
    """The sizes of the data that the settings depend on."""

    labelled: int
    features: int
    classes: int


# Those of MNIST with 100 labels, to check flags before the data are loaded.
DEFAULT_SIZES = Sizes(labelled=100, features=784, classes=10)


def scenarios(sizes: Sizes, epochs: int | None = None) -> dict[str, Config]:
    """Return the configs of the scenarios for data of these sizes.

    Args:
      sizes: the sizes of the data.
      epochs: the epochs of the classifier, which alpha(t) depends on; ``None``: they follow from ``sizes``.

    Raises ``InputError`` if ``epochs`` is out of range.

    >>> scenarios(Sizes(labelled=100, features=64, classes=10))["pl"].phases[0].epochs
    300
    """
    batch_size = min(max(sizes.labelled // 100, 32), 256)
    updates_per_epoch = -(-sizes.labelled // batch_size)
    if epochs is None:
        epochs = max(min(MAX_UPDATES // updates_per_epoch, MAX_EPOCHS), MIN_EPOCHS)
    check_epochs(epochs)  # here, because t1 and t2 are computed from it
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
    """Return the phases of the scenarios."""
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
            class_prior="estimated",
            alignment=min(UNLABELLED_BATCH_SIZE / (ROWS_PER_CLASS * sizes.classes), 1.0),
        ),
        epochs=epochs,
        batches=MixedBatches(batch_size=batch_size, unlabelled_batch_size=UNLABELLED_BATCH_SIZE),
        optimizer=optimizer,
    )
    return {
        "nn": (supervised(),),
        "drop_nn": (supervised(visible_dropout=visible_dropout, hidden_dropout=0.5, input_noise=input_noise),),
        "pl": (pseudo_label,),
        "pl_dae": (AUTOENCODER, pseudo_label),
        **later_phases(sizes, epochs, batch_size),
    }


def later_phases(sizes: Sizes, epochs: int, batch_size: int) -> dict[str, tuple[Phase, ...]]:
    """Return the phases of the scenarios with later methods than Lee's."""
    noise = 0.3 if sizes.features >= MANY_FEATURES else 0.1
    t2 = max(epochs // 2, 2)

    def phase(method: Method) -> tuple[Phase, ...]:
        batches = MixedBatches(batch_size=batch_size, unlabelled_batch_size=UNLABELLED_BATCH_SIZE)
        optimizer = Adam(learning_rate=2e-3, constant_share=0.5)
        return (Phase(method=method, epochs=epochs, batches=batches, optimizer=optimizer),)

    ladder = Ladder(network=LADDER_NETWORK, normalisation="layer", layer_noise=noise, denoise_inputs=100.0, t1=0, t2=t2)
    teacher = MeanTeacher(network=NORMALISED, normalisation="layer", layer_noise=noise, alpha_f=10.0, t1=0, t2=t2)
    return {
        "mean_teacher": phase(teacher),
        "vat": phase(VirtualAdversarial(network=NORMALISED, normalisation="layer")),
        "ladder": phase(ladder),
        "ladder_pl": phase(ladder.replace(alpha_f=1.0)),
    }
