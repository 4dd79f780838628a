"""Memory is predicted from shapes: it grows with what is trained, and what does not fit is told with what does."""

import dataclasses
import gc

import jax
import pytest
from tiny_runs import config, network, supervised

from pljax.protocols import SCENARIOS
from pljax.settings import override
from pljax.training import memory, seed_group
from pljax.training.memory import GIB, MemoryEstimate, estimate, format_bytes, require_memory
from pljax.training.seeds import layout_for
from pljax.types import InputError

SMALL, _ = override(SCENARIOS["quick"]["pl_dae"], {"labels": 8, "validation": 20, "hidden": (64,)})


def test_a_state_is_three_times_its_parameters_and_momenta(blobs):
    # Parameters and Adam's two moments of the auto-encoder, 12 x 64 + 64 + 12, and a count: the largest state. Beside
    # them, the key of the noise and how often it was drawn.
    state = 4 * (3 * (12 * 64 + 64 + 12) + 1 + 2 + 1)
    assert estimate(SMALL, blobs, 1).each == 3 * state + 2 * 4 * len(blobs.train_labels)


@pytest.mark.parametrize("overrides", [{"hidden": (128,)}, {"hidden": (64, 64)}])
def test_a_wider_or_deeper_network_takes_more(blobs, overrides):
    larger, _ = override(SMALL, overrides)
    for field in MemoryEstimate._fields:
        assert getattr(estimate(larger, blobs, 1), field) > getattr(estimate(SMALL, blobs, 1), field)


def test_more_images_take_more(blobs):
    fewer = dataclasses.replace(blobs, train_images=blobs.train_images[:120], train_labels=blobs.train_labels[:120])
    assert estimate(SMALL, blobs, 1).fixed > estimate(SMALL, fewer, 1).fixed


def test_features_that_are_floats_take_four_times_as_much_as_pixels(blobs):
    pixels = blobs.train_images.size + blobs.test_images.size
    floats = {name: getattr(blobs, name).astype("float32") for name in ("train_images", "test_images")}
    more = estimate(SMALL, dataclasses.replace(blobs, **floats), 1).fixed - estimate(SMALL, blobs, 1).fixed
    assert more == 2 * 3 * pixels  # on the host and on the device


def test_what_fits_is_not_spoken_of(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10 * GIB)
    assert require_memory(MemoryEstimate(GIB, GIB, 0), seeds=9, at_once=9) is None


def test_what_does_not_fit_says_how_many_seeds_at_once_would(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 5 * GIB)
    estimated = MemoryEstimate(GIB, GIB, GIB // 10)  # 1 + 9 + 10 / 10
    with pytest.raises(InputError, match=r"need about 11\.0 GiB of memory, and 5\.0 GiB are free: give .*=3\.$"):
        require_memory(estimated, seeds=10, at_once=9)
    assert require_memory(estimated, seeds=10, at_once=3) is None


def test_where_one_seed_does_not_fit_it_is_a_warning(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: GIB)
    assert "even one at a time does not fit" in require_memory(MemoryEstimate(GIB, GIB, 0), seeds=2, at_once=2)


def test_the_free_memory_is_a_number_of_bytes():
    assert memory.available() > 2**20


@pytest.mark.parametrize(("size", "words"), [(0, "0 MiB"), (GIB - 1, "1024 MiB"), (GIB, "1.0 GiB")])
def test_sizes_in_words(size, words):
    assert format_bytes(size) == words


@pytest.mark.parametrize("seeds", [1, 2])  # sequential, and at once
def test_programs_make_room_for_those_of_other_shapes_and_are_given_back(blobs, seeds):
    seed_group.programs.cache_clear()
    client, alive = jax.local_devices()[0].client, []
    for width in range(1, seed_group.KEPT_PROGRAMS + 4):
        group = seed_group.make_group(
            config("nn", supervised(network(width), 1)), range(seeds), blobs, layout_for(seeds)
        )
        group.programs(0).init(group.phase(0), group.key(0), {}, group.parts, group.data)
        gc.collect()
        alive.append(len(client.live_executables()))
    assert seed_group.programs.cache_info().currsize == seed_group.KEPT_PROGRAMS
    assert alive[-1] == alive[seed_group.KEPT_PROGRAMS - 1] == alive[0] + seed_group.KEPT_PROGRAMS - 1
