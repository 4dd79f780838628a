"""The flags of a config: they make it again from its protocol, or there are none."""

import dataclasses
import itertools

import numpy as np
import pytest

from pljax.protocols import SCENARIOS
from pljax.protocols.select import choose, flags_of, select_for
from pljax.settings import override
from pljax.types import Inputs, Scaling

CONFIGS = [config for scenarios in SCENARIOS.values() for config in scenarios.values()]
# Numbers as Python has them: a whole one for a float as well.
OVERRIDES = [
    {},
    {"labels": 50, "validation": 7},
    {"hidden": (8, 5), "learning_rate": 1},
    {"epochs": 700, "batch_size": 8},
    {"alpha_f": 1, "t1": 3, "t2": 9, "pretrain_epochs": 2},
    {"hidden_dropout": 0.25, "pretrain_learning_rate": 0.125, "noise_level": 0.3},
]


@pytest.mark.parametrize(("config", "values"), list(itertools.product(CONFIGS, OVERRIDES)))
def test_the_flags_of_a_config_make_it_again(config, values):
    changed, acted = override(config, values)
    given = flags_of(changed)
    assert set(given) <= acted
    (made,) = choose(config.protocol, [config.scenario], given)
    assert made == changed


def test_an_auto_encoder_of_own_data_has_squared_errors(blobs):
    """Standardised numbers are no pixels in [0, 1]: their cross-entropy has no lower bound."""
    own = dataclasses.replace(blobs, inputs=Inputs((), None, Scaling(np.zeros(12), np.ones(12))))
    for dataset, error in ((blobs, "cross_entropy"), (own, "squared")):
        (chosen,) = select_for(dataset, "quick", ["pl_dae"], {"labels": 8})
        assert chosen.phases[0].method.error == error


def test_a_config_that_no_flags_make_has_none():
    quick = SCENARIOS["quick"]["pl"]
    for config in (
        quick.replace(protocol="mine"),
        quick.replace(choose_labels="first"),
        SCENARIOS["quick"]["nn"].replace(scenario="pl"),
        SCENARIOS["quick"]["pl_dae"].replace(phases=SCENARIOS["quick"]["pl_dae"].phases[1:]),
    ):
        assert flags_of(config) is None
