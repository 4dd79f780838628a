"""Memory is predicted from shapes: it grows with what is trained, and what does not fit is told with what does."""

import dataclasses
import gc

import jax
import pytest
from tiny_runs import config, network, supervised

from pljax.protocols import SCENARIOS
from pljax.settings import override
from pljax.training import loop, memory
from pljax.training.memory import GIB, Prediction, in_words, predict, require_room
from pljax.training.seeds import layout_for
from pljax.types import InputError

SMALL, _ = override(SCENARIOS["quick"]["pl_dae"], {"labels": 8, "validation": 20, "hidden": (64,)})


def test_a_state_is_three_times_its_parameters_and_momenta(blobs):
    # Parameters and Adam's two moments of the auto-encoder, 12 x 64 + 64 + 12, and a count: the largest state. Beside
    # them, the key of the noise and how often it was drawn.
    state = 4 * (3 * (12 * 64 + 64 + 12) + 1 + 2 + 1)
    assert predict(SMALL, blobs, 1).each == 3 * state + 2 * 4 * len(blobs.train_labels)


@pytest.mark.parametrize("dials", [{"hidden": (128,)}, {"hidden": (64, 64)}])
def test_a_wider_or_deeper_network_takes_more(blobs, dials):
    larger, _ = override(SMALL, dials)
    for field in Prediction._fields:
        assert getattr(predict(larger, blobs, 1), field) > getattr(predict(SMALL, blobs, 1), field)


def test_more_images_take_more(blobs):
    fewer = dataclasses.replace(blobs, train_images=blobs.train_images[:120], train_labels=blobs.train_labels[:120])
    assert predict(SMALL, blobs, 1).fixed > predict(SMALL, fewer, 1).fixed


def test_features_that_are_floats_take_four_times_as_much_as_pixels(blobs):
    pixels = blobs.train_images.size + blobs.test_images.size
    floats = {name: getattr(blobs, name).astype("float32") for name in ("train_images", "test_images")}
    more = predict(SMALL, dataclasses.replace(blobs, **floats), 1).fixed - predict(SMALL, blobs, 1).fixed
    assert more == 2 * 3 * pixels  # on the host and on the device


def test_what_fits_is_not_spoken_of(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 10 * GIB)
    assert require_room(Prediction(GIB, GIB, 0), seeds=9, at_once=9) is None


def test_what_does_not_fit_says_how_many_seeds_at_once_would(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: 5 * GIB)
    prediction = Prediction(GIB, GIB, GIB // 10)  # 1 + 9 + 10 / 10
    with pytest.raises(InputError, match=r"need about 11\.0 GiB of memory, and 5\.0 GiB are free: give .*=3\.$"):
        require_room(prediction, seeds=10, at_once=9)
    assert require_room(prediction, seeds=10, at_once=3) is None


def test_where_one_seed_does_not_fit_it_is_a_warning(monkeypatch):
    monkeypatch.setattr(memory, "available", lambda: GIB)
    assert "even one at a time does not fit" in require_room(Prediction(GIB, GIB, 0), seeds=2, at_once=2)


def test_the_free_memory_is_a_number_of_bytes():
    assert memory.available() > 2**20


@pytest.mark.parametrize(("size", "words"), [(0, "0 MiB"), (GIB - 1, "1024 MiB"), (GIB, "1.0 GiB")])
def test_sizes_in_words(size, words):
    assert in_words(size) == words


@pytest.mark.parametrize("seeds", [1, 2])  # apart, and at once
def test_programs_make_room_for_those_of_other_shapes_and_are_given_back(blobs, seeds):
    loop.programs.cache_clear()
    client, alive = jax.local_devices()[0].client, []
    for width in range(1, loop.KEPT_PROGRAMS + 4):
        group = loop.make_group(config("nn", supervised(network(width), 1)), range(seeds), blobs, layout_for(seeds))
        group.programs(0).init(group.phase(0), group.key(0), {}, group.parts, group.data)
        gc.collect()
        alive.append(len(client.live_executables()))
    assert loop.programs.cache_info().currsize == loop.KEPT_PROGRAMS
    assert alive[-1] == alive[loop.KEPT_PROGRAMS - 1] == alive[0] + loop.KEPT_PROGRAMS - 1
