import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from pljax import seeds
from pljax.types import InputError


def test_a_seeds_key_does_not_depend_on_how_many_there_are():
    many, few = seeds.seed_keys(range(30)), seeds.seed_keys([7, 3])
    np.testing.assert_array_equal(jax.random.key_data(few), jax.random.key_data(many)[jnp.array([7, 3])])


def test_every_seed_up_to_the_largest_has_a_key_of_its_own():
    keys = seeds.seed_keys([0, 1, 2**31, seeds.MOST_SEED])
    assert len({tuple(key) for key in np.asarray(jax.random.key_data(keys)).tolist()}) == 4


def test_over_seeds_stacks_one_seeds_function_and_shares_the_rest():
    function = seeds.over_seeds(lambda x, shared: x * shared.sum(), (0, None))
    np.testing.assert_array_equal(function(jnp.arange(3.0), jnp.ones(4)), [0, 4, 8])


@pytest.mark.parametrize(("count", "devices"), [(1, 1), (2, 2), (3, 1), (4, 2), (5, 1)])
def test_as_many_devices_are_used_as_divide_the_seeds(count, devices):
    assert len(jax.local_devices()) == 2
    assert len(seeds.devices_for(count)) == devices


def test_seeds_laid_over_devices_compute_what_one_device_does_and_never_talk():
    devices = seeds.devices_for(4)
    keys, images = seeds.seed_keys(range(4)), jnp.ones((6, 3))

    def one_seed(key, images):
        return images @ jax.random.normal(key, (3, 2))

    function = seeds.over_seeds(one_seed, (0, None))
    spread = seeds.spread(devices, keys), seeds.share(devices, images)
    result = function(*spread)
    assert len(result.sharding.device_set) == 2
    chex.assert_trees_all_close(np.asarray(result), np.asarray(function(keys, images)), atol=1e-6)
    program = function.lower(*spread).compile().as_text()
    assert not any(word in program for word in ("all-reduce", "all-gather", "all-to-all", "collective-permute"))


def test_a_backend_that_is_not_there_is_refused_with_those_that_are():
    with pytest.raises(InputError, match="There is no tpu here, JAX finds cpu"):
        seeds.choose_backend("tpu")
    with pytest.raises(InputError, match="no backend 'abacus': choose one of cpu, gpu, tpu"):
        seeds.choose_backend("abacus")


def test_the_device_is_described():
    device = seeds.device()
    assert device["platform"] == "cpu"
    assert device["count"] == 2
    assert device["cores"] >= 1
