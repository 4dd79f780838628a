"""The axis of seeds: keys, layouts over devices, and functions of one seed put over all of them."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from tiny_runs import ADAM, DROPOUT, autoencoder, config, network, pseudo_label

from pljax.training import phases, seeds
from pljax.training.seed_group import make_group


def test_a_seeds_key_does_not_depend_on_how_many_there_are():
    many, few = seeds.seed_keys(range(30)), seeds.seed_keys([7, 3])
    np.testing.assert_array_equal(jax.random.key_data(few), jax.random.key_data(many)[jnp.array([7, 3])])


def test_every_seed_up_to_the_largest_has_a_key_of_its_own():
    keys = seeds.seed_keys([0, 1, 2**31, seeds.MOST_SEED])
    assert len({tuple(key) for key in np.asarray(jax.random.key_data(keys)).tolist()}) == 4


ON_ONE = jax.local_devices()[:1]
COMMUNICATION = ("all-reduce", "all-gather", "all-to-all", "collective-permute")


def test_no_device_has_more_seeds_than_it_must(monkeypatch):
    for count, there, used, slots in (
        *((1, 2, 1, 1), (2, 2, 2, 2), (3, 2, 2, 4), (5, 2, 2, 6)),
        *((5, 8, 5, 5), (9, 8, 5, 10), (16, 8, 8, 16)),
    ):
        monkeypatch.setattr(jax, "local_devices", lambda there=there: there * ON_ONE)
        layout = seeds.layout_for(count)
        assert (len(layout.devices), layout.slots) == (used, slots)


def one_seed(key, images):
    return {"product": images @ jax.random.normal(key, (3, 2))}, images.sum()


@pytest.mark.parametrize(("count", "sequential"), [(1, True), (3, True), (2, False), (5, False)])
def test_every_layout_gives_the_seeds_what_they_compute_alone(count, sequential):
    layout = seeds.Layout(count, tuple(ON_ONE), sequential=True) if sequential else seeds.layout_for(count)
    keys, images = seeds.seed_keys(range(count)), jnp.ones((6, 3))
    computed = seeds.over_seeds(one_seed, (0, None))(layout.shard(keys), layout.replicate(images))
    again = seeds.over_seeds(lambda of_seed: of_seed, (0,))(computed)
    for tree in (computed, layout.reshard(computed), again):
        gathered, _ = layout.gather(tree)
        chex.assert_shape(gathered["product"], (count, 6, 2))
        for seed in range(count):
            alone = one_seed(jax.random.key(seed), images)[0]["product"]
            np.testing.assert_allclose(gathered["product"][seed], alone, atol=1e-6)


def test_sequential_seeds_are_the_same_to_the_bit_however_many_there_are():
    function = seeds.over_seeds(one_seed, (0, None))

    def product(those):
        layout = seeds.Layout(len(those), tuple(ON_ONE), sequential=True)
        return layout.gather(function(layout.shard(seeds.seed_keys(those)), jnp.ones((6, 3))))[0]["product"]

    np.testing.assert_array_equal(product([4, 9, 2])[1:], product([9, 2]))


def test_an_empty_tree_stays_empty_in_every_layout():
    for layout in (seeds.layout_for(3), seeds.Layout(3, tuple(ON_ONE), sequential=True)):
        assert layout.shard({}) == layout.gather({}) == {}


def test_devices_with_seeds_of_one_run_never_communicate(blobs):
    """The compiled rounds of both kinds of phase, on two devices."""
    layers = network(8)
    second = pseudo_label(layers, 3, 0, 1, ADAM, **DROPOUT)
    layout = seeds.layout_for(4)
    group = make_group(config("pl_dae", autoencoder(layers, 1, 2), second), range(4), blobs, layout)
    for number, phase in enumerate(group.config.phases):
        key = group.key(number)
        state = layout.reshard(group.programs(number).init(phase, key, {}, group.splits, group.data))
        a_round = jax.jit(jax.vmap(phases.train_round, in_axes=(None, 0, None, 0, 0, None)))
        program = a_round.lower(phase, key, np.int32(2), state, group.splits, group.data).compile()
        assert len(program.output_shardings[1]["learning_rate"].device_set) == 2
        assert not any(word in program.as_text() for word in COMMUNICATION)
