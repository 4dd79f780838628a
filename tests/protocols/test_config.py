"""Configs: what is refused, the shapes of their phases, and the configs of earlier versions, which stay readable."""

import copy
import json
import math
from pathlib import Path

import every_setting
import jax
import numpy as np
import pytest
from every_setting import CONFIG
from refusal import refusal

from pljax.protocols import SCENARIOS
from pljax.protocols.config import check_epochs, from_json, shapes
from pljax.settings import to_json
from pljax.types import InputError, Split

PRETRAIN, FINETUNE, LAST = CONFIG.phases
RESULTS = Path(__file__).parents[2] / "experiments" / "results"


# ------------------------------------------------------------------------------------------- refusals


def test_a_config_must_end_with_a_classifier():
    for phases in ((), (PRETRAIN,), (FINETUNE, PRETRAIN)):
        assert "phases" in refusal(CONFIG.replace, phases=phases)


def test_alpha_must_have_time_to_rise():
    for t1, t2 in ((600, 100), (100, 100)):
        assert f"t1 is {t1} and t2 is {t2}" in refusal(every_setting.PSEUDO_LABEL.replace, t1=t1, t2=t2)


def test_every_setting_has_its_range():
    masking = every_setting.AUTOENCODER.replace(noise="masking")
    for node, field, inside, outside in (
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
        (masking, "noise_level", 0.999, 1.0),
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
    ):
        assert getattr(node.replace(**{field: inside}), field) == inside
        assert field in refusal(node.replace, **{field: outside})


def test_an_invalid_number_of_epochs_is_refused():
    for epochs in (0, -1, 2.5, True, "3"):
        assert "epochs" in refusal(check_epochs, epochs)
        assert "epochs" in refusal(FINETUNE.replace, epochs=epochs)


# ---------------------------------------------------------------------------------------------- phases


def test_an_epoch_is_a_pass_over_the_labelled_images_or_as_many_updates_as_declared():
    long = PRETRAIN.replace(batches=PRETRAIN.batches.replace(updates_per_epoch=234))
    for labelled in (1, 5, 12, 100):
        split = Split(np.arange(labelled), np.arange(0), np.arange(0))
        for phase in (FINETUNE, LAST):
            assert phase.updates_per_epoch(split) == math.ceil(labelled / phase.batches.batch_size), labelled
        assert (PRETRAIN.updates_per_epoch(split), long.updates_per_epoch(split)) == (3, 234)


def test_shapes_are_those_of_the_initial_parameters_of_every_phase():
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
    assert (noise.updates.shape, given.shares.shape, given.labels.shape) == ((), (2, 3), (50,))


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


def test_the_configs_of_the_finished_runs_in_this_repository_are_those_of_the_protocols():
    found = {}
    for path in sorted(RESULTS.glob("*/*.json")):
        written = json.loads(path.read_text())["config"]
        before = copy.deepcopy(written)
        found.setdefault(path.parent.name, {})[path.stem] = from_json(written)
        assert written == before, path
    assert found.keys() == {"quick", "lee2013", "arab2022", "rasmus2015"}
    for protocol, configs in found.items():
        assert {"nn", "drop_nn", "pl", "pl_dae"} & SCENARIOS[protocol].keys() <= configs.keys()
        assert configs == {scenario: SCENARIOS[protocol][scenario] for scenario in configs}


def test_the_runs_with_more_labels_and_on_other_devices_differ_in_nothing_else_from_lee2013():
    paths = sorted(RESULTS.glob("*/*/*.json"))
    assert {path.parent.name for path in paths} == {"labels600", "labels1000", "two_cores", "h100_tensorfloat32"}
    for path in paths:
        labels = path.parent.name.removeprefix("labels")
        of_protocol = SCENARIOS["lee2013"][path.stem].replace(labels=int(labels) if labels.isdigit() else 100)
        assert from_json(json.loads(path.read_text())["config"]) == of_protocol, path


def test_every_field_of_an_earlier_config_is_read_and_written_in_the_form_of_today():
    assert from_json(WRITTEN) == CONFIG
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
def test_a_config_with_anything_in_any_place_is_read_or_refused(value):
    for path in places(value):
        for new in (None, True, -1, "x", [], ["x"], {}, {"kind": "Adam"}, {"kind": []}):
            try:
                config = from_json(put(value, path, new))
            except InputError:
                continue
            assert from_json(to_json(config)) == config
