"""`rasmus2015`: the ladder network as published.

Source
    Rasmus, Valpola, Honkala, Berglund, Raiko, "Semi-Supervised Learning with Ladder Networks", NeurIPS 2015, and the
    authors' program for 100 labels.

Command
    ``python -m pljax.main --protocol=rasmus2015 --scenario=ladder --dataset=mnist --seeds=10``

What the source specifies
    A 784-1000-500-250-250-250-10 network, ReLU and softmax, with batch normalisation of labelled and unlabelled images
    apart; Gaussian noise of 0.3 on inputs and on every layer; a denoising function of ten numbers a unit; the squared
    error of every layer, normalised by the statistics of the clean pass, with the weights 1000, 10 and 0.1 for all
    others; 100 labelled and 100 unlabelled images per update; 150 epochs of 600 updates, passes over 60,000 images;
    Adam at 0.002, which falls linearly to 0 over the last third; no validation images.

What differs here
    Running statistics are those of the clean unlabelled images; in the authors' program, those of the labelled ones.
    Unlabelled images are drawn with replacement.

Expected
    ``PUBLISHED`` has the accuracy of the paper, over 10 random splits; experiments/README.md has that of this package.
    90,000 updates take more than an hour a seed on two cores, and six minutes for ten seeds on an H100.
"""

from pljax.data.cycles import CycledBatches
from pljax.methods.ladder import Ladder
from pljax.nn.networks import Network
from pljax.nn.optimizers import Adam
from pljax.protocols.config import Config, Phase

HIDDEN = (1000, 500, 250, 250, 250)
NETWORK = Network(hidden=HIDDEN, initial_weights="fan_in", inverted_dropout=True, output="softmax")
LADDER = Phase(
    method=Ladder(network=NETWORK, t1=0, t2=75),  # without alpha_f, t1 and t2 have no effect
    epochs=150,
    batches=CycledBatches(batch_size=100, unlabelled_batch_size=100, updates_per_epoch=600),
    optimizer=Adam(learning_rate=2e-3, eps=1e-8, constant_share=0.67),
)
SCENARIOS = {"ladder": Config(protocol="rasmus2015", scenario="ladder", phases=(LADDER,), validation=0)}

# Test accuracy in per cent by (scenario, labels): 100 minus the error.
SOURCE = "Rasmus et al. 2015"
QUOTED: dict[str, str] = {}
ONE_RUN = False
PUBLISHED = {("ladder", 100): 98.94}
# From the standard deviation of 0.37 over 10 runs.
HALF_INTERVALS = {("ladder", 100): 0.26}
