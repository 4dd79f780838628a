"""`quick`: the default for public data sets, which takes minutes on two cores.

Source
    `lee2013` with a fifth of the hidden units and three tenths of the epochs.

Command
    ``python -m pljax.main --scenario=all --dataset=mnist --seeds=10``

What differs from `lee2013`
    1,000 hidden units; every time constant (the epochs, T, T1, T2, the half-life of the learning rate) times 0.3; 936
    updates of the auto-encoder (4 passes over 60,000 images in mini-batches of 256) with Adam at 1e-3.

Expected
    No publication reports accuracies for it. The README has those of this package.
"""

from pljax.protocols import lee2013

SCENARIOS = lee2013.scenarios("quick", width=1000, length=0.3, pretrain_epochs=4, pretrain_learning_rate=1e-3)
