"""`quick`: the default, minutes on two cores.

Source
    `lee2013` at a fifth of the width and three tenths of the length.

Command
    ``python -m pljax.main --scenario=all --dataset=mnist --seeds=10``

What differs from `lee2013`
    1,000 hidden units; every time constant (the length, T, T1, T2, the half-life of the learning rate)
    times 0.3; an auto-encoder of 936 updates (4 passes over 60,000 images in batches of 256), Adam at 1e-3.

Expected
    No publication has these figures; the README has those of this package.
"""

from pljax.protocols import lee2013

SCENARIOS = lee2013.scenarios("quick", width=1000, length=0.3, pretrain_epochs=4, pretrain_learning_rate=1e-3)
