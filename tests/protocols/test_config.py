"""A config ends with a classifier and refuses what cannot be run; configs that earlier versions wrote stay readable."""

import copy
import json
import math
from pathlib import Path

import every_setting
import jax
import numpy as np
import pytest
from every_setting import CONFIG

from pljax.protocols import SCENARIOS
from pljax.protocols.config import check_epochs, from_json, shapes
from pljax.settings import to_json
from pljax.types import InputError, Split

PRETRAIN, FINETUNE, LAST = CONFIG.phases
RESULTS = sorted((Path(__file__).parents[2] / "experiments" / "results").glob("*/*.json"))


def a_split(labelled):
    return Split(np.arange(labelled), np.arange(0), np.arange(0))


# ------------------------------------------------------------------------------------------- validation


@pytest.mark.parametrize(
    "phases", [(), (PRETRAIN,), (FINETUNE, PRETRAIN)], ids=["none", "pre-training", "pre-training last"]
)
def test_a_config_must_end_with_a_classifier(phases):
    with pytest.raises(InputError, match="phases"):
        CONFIG.replace(phases=phases)


@pytest.mark.parametrize(("t1", "t2"), [(600, 100), (100, 100)])
def test_alpha_must_have_time_to_rise(t1, t2):
    with pytest.raises(InputError, match=rf"t1 is {t1} and t2 is {t2}"):
        every_setting.PSEUDO_LABEL.replace(t1=t1, t2=t2)


MASKING = every_setting.AUTOENCODER.replace(noise="masking")


@pytest.mark.parametrize(
    ("node", "field", "inside", "outside"),
    [
        (CONFIG, "labels", 1, 0),
        (CONFIG, "validation", 0, -1),
        (CONFIG, "choose_labels", "given", "last"),
        (FINETUNE, "epochs", 1, 0),
        (FINETUNE.batches, "batch_size", 1, 0),
        (LAST.batches, "unlabelled_batch_size", 1, 0),
        (LAST.batches, "buffer_size", 1, 0),
        (PRETRAIN.batches, "updates_per_epoch", 1, 0),
        (every_setting.NETWORK, "hidden", (1,), (0,)),
        (every_setting.NETWORK, "hidden", (1,), ()),
        (FINETUNE.method, "visible_dropout", 0.999, 1.0),
        (FINETUNE.method, "hidden_dropout", 0, 1.0),
        (FINETUNE.method, "input_noise", 2.0, -0.1),
        (LAST.method, "alpha_f", 0, -0.1),
        (LAST.method, "t1", 0, -1),
        (LAST.method, "threshold", 0.999, 1.0),
        (LAST.method, "alignment", 1.0, 1.001),
        (PRETRAIN.method, "noise_level", 2.5, math.inf),
        (MASKING, "noise_level", 0.999, 1.0),
        (PRETRAIN.method, "bottleneck", (), (8, 0)),
        (PRETRAIN.method, "encoder_dropout", 0.999, 1.0),
        (PRETRAIN.optimizer, "learning_rate", 1e-9, 0),
        (PRETRAIN.optimizer, "b1", 0, 1.0),
        (PRETRAIN.optimizer, "b2", 0.999, 1.0),
        (PRETRAIN.optimizer, "eps", 1e-9, 0),
        (FINETUNE.optimizer, "decay", 1.0, 0),
        (FINETUNE.optimizer, "decay_updates", 1, 0),
        (LAST.optimizer, "decay", 1.0, 0),
        (LAST.optimizer, "initial_momentum", 0, 1.0),
        (LAST.optimizer, "final_momentum", 0.999, 1.0),
        (LAST.optimizer, "momentum_epochs", 1, 0),
    ],
)
def test_the_range_of_a_setting(node, field, inside, outside):
    assert getattr(node.replace(**{field: inside}), field) == inside
    with pytest.raises(InputError, match=field):
        node.replace(**{field: outside})


@pytest.mark.parametrize("epochs", [0, -1, 2.5, True, "3"])
def test_what_a_phase_cannot_have_is_no_number_of_epochs(epochs):
    with pytest.raises(InputError, match="epochs"):
        check_epochs(epochs)
    with pytest.raises(InputError, match="epochs"):
        FINETUNE.replace(epochs=epochs)


# ---------------------------------------------------------------------------------------------- phases


@pytest.mark.parametrize("labelled", [1, 5, 12, 100])
def test_an_epoch_is_a_pass_over_the_labelled_images_or_what_it_is_told_to_be(labelled):
    for phase in (FINETUNE, LAST):
        assert phase.updates_per_epoch(a_split(labelled)) == math.ceil(labelled / phase.batches.batch_size)
    assert PRETRAIN.updates_per_epoch(a_split(labelled)) == 3
    long = PRETRAIN.replace(batches=PRETRAIN.batches.replace(updates_per_epoch=234))
    assert long.updates_per_epoch(a_split(labelled)) == 234


def test_the_shapes_of_a_phase_are_those_that_it_starts_with():
    (_, noise), (classifier, nothing), (again, given) = shapes(
        CONFIG, jax.ShapeDtypeStruct((50, 12), np.uint8), classes=3
    )
    assert jax.tree.map(lambda leaf: leaf.shape, classifier) == {
        "hidden": {"kernel": (12, 20), "bias": (20,)},
        "hidden_1": {"kernel": (20, 10), "bias": (10,)},
        "output": {"kernel": (10, 3), "bias": (3,)},
    }
    assert classifier == again
    assert nothing is None
    assert (noise.updates.shape, given.shares.shape, given.labels.shape) == ((), (3,), (50,))


# ------------------------------------------------------------------------------------- earlier versions

# Every field that there was, with values of its own.
WRITTEN = {
    "kind": "Config",
    "protocol": "mine",
    "scenario": "all",
    "phases": [
        {
            "kind": "Pretrain",
            "epochs": 2,
            "updates_per_epoch": 3,
            "batch_size": 16,
            "optimizer": {"kind": "Adam", "rate": 0.125, "b1": 0.9, "b2": 0.999, "eps": 1e-07},
            "noise": "gaussian",
            "noise_level": 0.25,
            "hidden_dropout": 0.25,
            "bottleneck": [8, 4, 8],
            "loss": "mean",
            "error": "squared",
        },
        {
            "kind": "Finetune",
            "epochs": 7,
            "batch_size": 5,
            "optimizer": {"kind": "GradientDescent", "rate": 0.5, "decay": 0.875, "decay_updates": 10},
            "dropout": {"kind": "Dropout", "visible": 0.125, "hidden": 0.25},
            "pseudo_labels": None,
            "last_batch": "short",
            "input_noise": 0.75,
        },
        {
            "kind": "Finetune",
            "epochs": 8,
            "batch_size": 6,
            "optimizer": {
                "kind": "PaperMomentum",
                "rate": 1.5,
                "decay": 0.875,
                "initial_momentum": 0.5,
                "final_momentum": 0.75,
                "momentum_epochs": 500,
            },
            "dropout": {"kind": "Dropout", "visible": 0.125, "hidden": 0.25},
            "pseudo_labels": {
                "kind": "PseudoLabels",
                "alpha_f": 0.5,
                "t1": 1,
                "t2": 6,
                "batch_size": 9,
                "assign": "once",
                "draw": "shuffle_buffer",
                "buffer_size": 64,
                "threshold": 0.25,
                "alignment": 0.75,
            },
            "last_batch": "short",
            "input_noise": 0.75,
        },
    ],
    "hidden": [20, 10],
    "initial_weights": "glorot",
    "inverted_dropout": True,
    "output": "softmax",
    "labels": 20,
    "validation": 7,
    "choose_labels": "first",
}


def test_there_are_results_of_every_page():
    assert {(path.parent.name, path.stem) for path in RESULTS} == {
        (page, name) for page, scenarios in SCENARIOS.items() for name in scenarios
    }


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_config_of_a_finished_run_is_that_of_its_page(path):
    written = json.loads(path.read_text())["config"]
    before = copy.deepcopy(written)
    assert from_json(written) == SCENARIOS[path.parent.name][path.stem]
    assert written == before


def test_every_field_of_an_earlier_config_is_read():
    assert from_json(WRITTEN) == CONFIG


def test_what_is_read_is_written_in_todays_form():
    assert from_json(json.loads(json.dumps(to_json(from_json(WRITTEN))))) == CONFIG


def places(value, path=()):
    """Every place in JSON, as the steps that lead there."""
    yield path
    steps = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, below in steps:
        yield from places(below, (*path, step))


def put(value, path, new):
    """The JSON with something else in one place."""
    if not path:
        return new
    changed = copy.copy(value)
    changed[path[0]] = put(value[path[0]], path[1:], new)
    return changed


@pytest.mark.parametrize("value", [WRITTEN, to_json(CONFIG)], ids=["earlier", "today's"])
def test_a_config_spoilt_in_any_place_is_read_or_refused(value):
    for path in places(value):
        for new in (None, True, -1, "x", [], ["x"], {}, {"kind": "Adam"}, {"kind": []}):
            try:
                config = from_json(put(value, path, new))
            except InputError:
                continue
            assert from_json(to_json(config)) == config
