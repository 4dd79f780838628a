"""`arab2022`: a master's report's Keras notebook, as it was run.

Source
    Arab, Boulfoul, Et-tali, "Prédiction des données MNIST avec uniquement 100 labels", master's report with
    a Keras notebook, 2021-2022.

Command
    ``python -m pljax.main --protocol=arab2022 --scenario=all --dataset=mnist --seeds=5``

What the notebook does
    The labelled set is the first 10 images of each class in file order, whatever the seed, and there is no
    validation set. Glorot's uniform weights, inverted dropout. The output layer is declared a sigmoid, but
    Keras trains `sparse_categorical_crossentropy` on the logits behind it: the loss is the softmax
    cross-entropy. Adam is Keras's default.

    * nn: Adam, 20 epochs.
    * drop_nn: dropout 0.2 / 0.5, plain gradient descent at 1.5 * 0.88^(update / 10), 500 epochs.
    * pl: from that network; label once with it; Adam, 500 epochs with alpha.
    * pl_dae: a nine-layer auto-encoder on images with Gaussian noise drawn once; its first layer
      transplanted; Adam, 100 epochs with dropout 0.5 on hidden units only; label once; Adam, 500 epochs
      with alpha.

    alpha rises to 3 from epoch 100 to epoch 600, but there are only 500 epochs: it ends at 2.394. The
    pseudo-labelled images are 4 x 256 draws an epoch from a shuffling buffer of 1,024 over the images in
    file order, so that only the first 2,048 can be met, labelled ones among them.

Expected
    ``PUBLISHED``: one run each.
"""

from pljax.config import Adam, Config, Dropout, Finetune, GradientDescent, Optimizer, Pretrain, PseudoLabels

DROPOUT = Dropout(visible=0.2, hidden=0.5)
ONLY_HIDDEN = Dropout(visible=0.0, hidden=0.5)
PSEUDO_LABELS = PseudoLabels(alpha_f=3.0, t1=100, t2=600, assign="once", draw="shuffle_buffer")


def scenario(name: str, *phases: Pretrain | Finetune) -> Config:
    """The notebook's network and split, trained by ``phases``."""
    return Config(
        protocol="arab2022",
        scenario=name,
        phases=phases,
        hidden=(5000,),
        initial_weights="glorot",
        inverted_dropout=True,
        output="softmax",
        validation=0,
        choose_labels="first",
    )


def finetune(
    epochs: int, optimizer: Optimizer, dropout: Dropout | None = None, pseudo_labels: PseudoLabels | None = None
) -> Finetune:
    """Mini-batches of 32 as Keras cuts them: the last one of 100 images has 4."""
    return Finetune(epochs, 32, optimizer, dropout, pseudo_labels, last_batch="short")


DROP_NN = finetune(500, GradientDescent(1.5, decay=0.88, decay_updates=10), DROPOUT)

SCENARIOS = {
    config.scenario: config
    for config in (
        scenario("nn", finetune(20, Adam())),
        scenario("drop_nn", DROP_NN),
        scenario("pl", DROP_NN, finetune(500, Adam(), DROPOUT, PSEUDO_LABELS)),
        scenario(
            "pl_dae",
            Pretrain(
                epochs=10,
                updates_per_epoch=1875,
                batch_size=32,
                optimizer=Adam(),
                noise="gaussian",
                noise_level=0.5,
                hidden_dropout=0.5,
                bottleneck=(128, 64, 32, 64, 128),
                loss="mean",
            ),
            finetune(100, Adam(), ONLY_HIDDEN),
            finetune(500, Adam(), ONLY_HIDDEN, PSEUDO_LABELS),
        ),
    )
}

# Test accuracy in per cent by (scenario, labels).
SOURCE = "Arab et al. 2022"
QUOTED: dict[str, str] = {}
ONE_RUN = True
PUBLISHED = {("nn", 100): 70.03, ("drop_nn", 100): 71.20, ("pl", 100): 72.28, ("pl_dae", 100): 76.95}
HALF_INTERVALS: dict[tuple[str, int], float] = {}  # one run each has none
