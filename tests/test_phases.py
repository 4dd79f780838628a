"""The phases of a config as things to call: names and keys."""

import dataclasses
import itertools

import chex
import jax
import numpy as np

from pljax.phases import key_of, name_of, split_of
from pljax.protocols import SCENARIOS

REPORT = SCENARIOS["arab2022"]


def test_phases_are_named_by_type_and_place():
    assert [name_of(REPORT["pl_dae"], number) for number in range(3)] == ["pretrain", "finetune", "finetune 2"]


def test_every_phase_has_a_key_of_its_own():
    root = jax.random.key(0)
    keys = [jax.random.key_data(key_of(REPORT["pl_dae"], number, root)) for number in range(3)]
    for one, other in itertools.combinations([jax.random.key_data(root), *keys], 2):
        assert not np.array_equal(one, other)


def test_scenarios_share_the_keys_of_the_start_that_they_have_in_common():
    root = jax.random.key(3)
    first_finetune = [key_of(REPORT[name], number, root) for name, number in (("nn", 0), ("pl", 0), ("pl_dae", 1))]
    assert len({jax.random.key_data(key).tobytes() for key in first_finetune}) == 1


def test_the_split_depends_on_the_seed_and_not_on_the_scenario(blobs):
    nn, pl_dae = (dataclasses.replace(SCENARIOS["quick"][name], labels=8, validation=20) for name in ("nn", "pl_dae"))
    one, same, other = (
        split_of(config, 4, jax.random.key(seed), blobs.train_labels)
        for config, seed in ((nn, 0), (pl_dae, 0), (nn, 1))
    )
    chex.assert_trees_all_equal(one, same)
    assert not np.array_equal(one.labelled, other.labelled)
