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

from dataclasses import replace

from pljax.config import Adam, Config, PaperMomentum, Phase, Pretrain
from pljax.protocols import lee2013

WIDTH = 1000
LENGTH = 0.3


def shorten(epochs: int) -> int:
    return round(epochs * LENGTH)


def quicken(phase: Phase) -> Phase:
    """A phase of `lee2013` with every time constant scaled by ``LENGTH``."""
    if isinstance(phase, Pretrain):
        return replace(phase, epochs=4, optimizer=Adam(1e-3, eps=1e-8))
    momentum, pseudo = phase.optimizer, phase.pseudo_labels
    assert isinstance(momentum, PaperMomentum)
    return replace(
        phase,
        epochs=shorten(phase.epochs),
        optimizer=replace(
            momentum,
            decay=momentum.decay ** (1 / LENGTH),
            momentum_epochs=shorten(momentum.momentum_epochs),
        ),
        pseudo_labels=pseudo and replace(pseudo, t1=shorten(pseudo.t1), t2=shorten(pseudo.t2)),
    )


SCENARIOS: dict[str, Config] = {
    name: replace(config, protocol="quick", hidden=(WIDTH,), phases=tuple(quicken(phase) for phase in config.phases))
    for name, config in lee2013.SCENARIOS.items()
}
