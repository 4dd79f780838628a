"""The configs of a classifier that is trained with its labelled rows alone."""

from pljax.data.batches import LabelledBatches
from pljax.protocols.config import Config, Phase
from pljax.settings import override, overrides


def without_unlabelled(config: Config) -> Config:
    """The config for data without unlabelled rows: every method trains with its supervised loss alone."""

    def labelled_only(phase: Phase) -> Phase:
        if not phase.batches.unlabelled:
            return phase
        return phase.replace(batches=LabelledBatches(batch_size=phase.batches.batch_size))

    return config.replace(phases=tuple(map(labelled_only, config.phases)))


def supervised(config: Config) -> Config:
    """The config of the same network, trained with the labelled rows alone and without pre-training.

    Its programs are those of ``config``, if the method has an ``alpha_f`` that weighs all it does with unlabelled rows.

    >>> from pljax.protocols import adaptive
    >>> baseline = supervised(adaptive.scenarios(adaptive.DEFAULT_SIZES)["pl_dae"])
    >>> [(type(phase.method).__name__, phase.method.alpha_f) for phase in baseline.phases]
    [('PseudoLabel', 0.0)]
    """
    *_, last = config.phases
    alone = config.replace(phases=(last,))
    if last.method.weight_covers_all and "alpha_f" in {of_method.name for of_method in overrides(last)}:
        return override(alone, {"alpha_f": 0.0})[0]
    return without_unlabelled(alone)
