"""Memory is predicted from shapes; a run that does not fit is refused with a number of seeds that does."""

import dataclasses
import functools
import gc

import jax
import pytest
from tiny_runs import config, network, supervised

from pljax.protocols import SCENARIOS
from pljax.settings import override
from pljax.training import memory, seed_group
from pljax.training.memory import GIB, MemoryEstimate, estimate, require_memory
from pljax.training.seeds import layout_for
from pljax.types import InputError

SMALL, _ = override(SCENARIOS["quick"]["pl_dae"], {"labels": 8, "validation": 20, "hidden": (64,)})


def test_a_state_is_three_times_its_parameters_and_momenta(blobs):
    # Parameters and Adam's two moments of the auto-encoder, 12 x 64 + 64 + 12, and a count: the largest state. Beside
    # them, the key of the noise and how often it was drawn.
    state = 4 * (3 * (12 * 64 + 64 + 12) + 1 + 2 + 1)
    assert estimate(SMALL, blobs, 1).per_training_seed == 3 * state + 2 * 4 * len(blobs.train_labels)


def test_a_wider_or_deeper_network_and_more_images_take_more(blobs):
    for hidden in ((128,), (64, 64)):
        larger, _ = override(SMALL, {"hidden": hidden})
        for field in MemoryEstimate._fields:
            assert getattr(estimate(larger, blobs, 1), field) > getattr(estimate(SMALL, blobs, 1), field)
    fewer = dataclasses.replace(blobs, train_images=blobs.train_images[:120], train_labels=blobs.train_labels[:120])
    assert estimate(SMALL, blobs, 1).fixed > estimate(SMALL, fewer, 1).fixed


def test_features_that_are_floats_take_four_times_as_much_as_pixels(blobs):
    pixels = blobs.train_images.size + blobs.test_images.size
    floats = {name: getattr(blobs, name).astype("float32") for name in ("train_images", "test_images")}
    more = estimate(SMALL, dataclasses.replace(blobs, **floats), 1).fixed - estimate(SMALL, blobs, 1).fixed
    assert more == 2 * 3 * pixels  # on the host and on the device


def test_a_run_that_does_not_fit_is_refused_with_how_many_seeds_at_once_would(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 5 * GIB)
    estimated = MemoryEstimate(GIB, GIB, GIB // 10)  # 1 + 9 + 10 / 10
    with pytest.raises(InputError, match=r"need about 11\.0 GiB of memory, and 5\.0 GiB are free: give .*=3\.$"):
        require_memory(estimated, seeds=10, at_once=9)
    assert require_memory(estimated, seeds=10, at_once=3) is None


def test_where_one_seed_does_not_fit_it_is_a_warning(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: GIB)
    assert "even one at a time does not fit" in require_memory(MemoryEstimate(GIB, GIB, 0), seeds=2, at_once=2)


def test_the_free_memory_is_a_number_of_bytes_and_that_of_the_container(monkeypatch):
    assert 2**25 < memory.available() < 2**50
    monkeypatch.setattr(memory, "free_memory", lambda: 12345)
    assert memory.available() == 12345


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [1, 2])  # sequential, and at once
def test_programs_of_other_shapes_replace_the_oldest_ones_and_free_their_memory(blobs, seeds, monkeypatch):
    kept = 3
    assert 1 < seed_group.KEPT_PROGRAMS == seed_group.programs.cache_info().maxsize < 20
    monkeypatch.setattr(seed_group, "programs", functools.lru_cache(kept)(seed_group.programs.__wrapped__))
    client, alive = jax.local_devices()[0].client, []
    for width in range(1, kept + 3):
        group = seed_group.make_group(
            config("nn", supervised(network(width), 1)), range(seeds), blobs, layout_for(seeds)
        )
        group.programs(0).init(group.phase(0), group.key(0), {}, group.splits, group.data)
        gc.collect()
        alive.append(len(client.live_executables()))
    assert alive[-1] == alive[kept - 1] == alive[0] + kept - 1
