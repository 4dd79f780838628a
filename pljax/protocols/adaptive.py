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

from pljax.config import Adam, Config, Dropout, Finetune, Pretrain, PseudoLabels

MOST_EPOCHS, FEWEST_EPOCHS = 300, 20
UPDATES = 2400
PRETRAIN_UPDATES = 600
MANY_FEATURES = 8
UNLABELLED_BATCH = 256
ROWS_A_CLASS = 10


class Sizes(NamedTuple):
    """What the protocol looks at."""

    labelled: int
    features: int
    classes: int


def scenarios(sizes: Sizes, epochs: int | None = None) -> dict[str, Config]:
    """The four scenarios for data of these sizes, and so many ``epochs`` if given: alpha(t) follows them.

    >>> scenarios(Sizes(labelled=100, features=64, classes=10))["pl"].phases[0].epochs
    300
    """
    batch_size = min(max(sizes.labelled // 100, 32), 256)
    updates_per_epoch = -(-sizes.labelled // batch_size)
    if epochs is None:
        epochs = max(min(UPDATES // updates_per_epoch, MOST_EPOCHS), FEWEST_EPOCHS)
    Finetune(epochs, batch_size, Adam())  # refuses what is no number of epochs, before alpha(t) is made of it
    t1 = epochs // 10
    many_features = sizes.features >= MANY_FEATURES
    dropout, noise = Dropout(visible=0.2 if many_features else 0.0, hidden=0.5), 0.5 if many_features else 0.0
    pseudo = PseudoLabels(
        alpha_f=3.0,
        t1=t1,
        t2=max(epochs * 6 // 10, t1 + 1),
        batch_size=UNLABELLED_BATCH,
        threshold=0.9,
        alignment=min(UNLABELLED_BATCH / (ROWS_A_CLASS * sizes.classes), 1.0),
    )
    pretrain = Pretrain(
        epochs=1,
        updates_per_epoch=PRETRAIN_UPDATES,
        batch_size=256,
        optimizer=Adam(),
        noise="masking",
        noise_level=0.5,
        hidden_dropout=0.5,
        error="squared",
    )

    def finetune(dropout: Dropout | None = None, pseudo: PseudoLabels | None = None) -> Finetune:
        return Finetune(epochs, batch_size, Adam(3e-3), dropout, pseudo, input_noise=noise if dropout else 0.0)

    phases: dict[str, tuple[Pretrain | Finetune, ...]] = {
        "nn": (finetune(),),
        "drop_nn": (finetune(dropout),),
        "pl": (finetune(dropout, pseudo),),
        "pl_dae": (pretrain, finetune(dropout, pseudo)),
    }
    return {
        name: Config(
            protocol="adaptive",
            scenario=name,
            phases=of_scenario,
            hidden=(500, 500),
            initial_weights="glorot",
            inverted_dropout=True,
            output="softmax",
            labels=sizes.labelled,
            validation=0,
            choose_labels="given",
        )
        for name, of_scenario in phases.items()
    }
