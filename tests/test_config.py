"""A config is frozen, refuses what cannot be run, comes back from JSON, and its dials do what they say."""

import dataclasses
import itertools
import json
import math

import pytest

from pljax.config import (
    DIALS,
    Adam,
    Config,
    Dropout,
    Finetune,
    GradientDescent,
    PaperMomentum,
    Pretrain,
    PseudoLabels,
    differences,
    from_json,
    override,
    to_json,
)
from pljax.protocols import SCENARIOS
from pljax.types import InputError

PRETRAIN = Pretrain(2, 3, 16, Adam(), "gaussian", 1.5, 0.25, bottleneck=(8, 4, 8), loss="mean")
FINETUNE = Finetune(7, 5, GradientDescent(0.1, 0.9, 10), Dropout(0.0, 0.5), PseudoLabels(0.5, 1, 6))
CONFIG = Config("mine", "both", (PRETRAIN, FINETUNE), (20, 10), "glorot", True, "softmax", 20, 0, "first")

ALL = [pytest.param(config, id=f"{p}-{s}") for p, scenarios in SCENARIOS.items() for s, config in scenarios.items()]


# ------------------------------------------------------------------------------------------------ JSON


@pytest.mark.parametrize("config", [*ALL, pytest.param(CONFIG, id="by hand")])
def test_a_config_survives_json(config):
    text = json.dumps(to_json(config), allow_nan=False)
    assert from_json(json.loads(text)) == config


def test_json_names_the_kind_of_everything():
    written = to_json(CONFIG)
    assert written["kind"] == "Config"
    assert [phase["kind"] for phase in written["phases"]] == ["Pretrain", "Finetune"]
    assert written["phases"][1]["optimizer"] == {
        "kind": "GradientDescent",
        "rate": 0.1,
        "decay": 0.9,
        "decay_updates": 10,
    }
    assert written["hidden"] == [20, 10]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"kind": "Banana"}, id="unknown kind"),
        pytest.param({"rate": 0.1}, id="no kind"),
        pytest.param({"kind": ["Adam"]}, id="kind is a list"),
        pytest.param({"kind": "Adam", "colour": "red"}, id="unknown field"),
        pytest.param({"kind": "Dropout", "visible": 0.2}, id="missing field"),
        pytest.param({"kind": "Adam", "rate": -1.0}, id="value out of range"),
    ],
)
def test_json_of_no_config_is_refused(value):
    with pytest.raises(InputError):
        from_json(value)


# ------------------------------------------------------------------------------------------------ dials


def with_pretrain(**fields):
    return dataclasses.replace(CONFIG, phases=(dataclasses.replace(PRETRAIN, **fields), FINETUNE))


def with_finetune(**fields):
    return dataclasses.replace(CONFIG, phases=(PRETRAIN, dataclasses.replace(FINETUNE, **fields)))


def with_pseudo_labels(**fields):
    return with_finetune(pseudo_labels=dataclasses.replace(FINETUNE.pseudo_labels, **fields))


TURNED = {
    "labels": (40, dataclasses.replace(CONFIG, labels=40)),
    "validation": (9, dataclasses.replace(CONFIG, validation=9)),
    "hidden": ((30,), dataclasses.replace(CONFIG, hidden=(30,))),
    "epochs": (99, with_finetune(epochs=99)),
    "batch_size": (99, with_finetune(batch_size=99)),
    "learning_rate": (0.75, with_finetune(optimizer=GradientDescent(0.75, 0.9, 10))),
    "visible_dropout": (0.75, with_finetune(dropout=Dropout(0.75, 0.5))),
    "hidden_dropout": (0.75, with_finetune(dropout=Dropout(0.0, 0.75))),
    "alpha_f": (0.75, with_pseudo_labels(alpha_f=0.75)),
    "t1": (2, with_pseudo_labels(t1=2)),
    "t2": (99, with_pseudo_labels(t2=99)),
    "threshold": (0.75, with_pseudo_labels(threshold=0.75)),
    "alignment": (0.75, with_pseudo_labels(alignment=0.75)),
    "input_noise": (0.75, with_finetune(input_noise=0.75)),
    "unlabelled_batch_size": (99, with_pseudo_labels(batch_size=99)),
    "pretrain_epochs": (99, with_pretrain(epochs=99)),
    "pretrain_batch_size": (99, with_pretrain(batch_size=99)),
    "pretrain_learning_rate": (0.75, with_pretrain(optimizer=Adam(0.75))),
    "noise_level": (0.75, with_pretrain(noise_level=0.75)),
}


@pytest.mark.parametrize("dial", DIALS)
def test_a_dial_changes_its_field_and_nothing_else(dial):
    value, expected = TURNED[dial]
    assert override(CONFIG, {dial: value}) == (expected, {dial})


def test_a_dial_acts_on_every_phase_that_has_it():
    config, acted = override(SCENARIOS["arab2022"]["pl_dae"], {"epochs": 3, "learning_rate": 0.5})
    assert acted == {"epochs", "learning_rate"}
    pretrain, *finetunes = config.phases
    assert [(phase.epochs, phase.optimizer.rate) for phase in finetunes] == [(3, 0.5), (3, 0.5)]
    assert (pretrain.epochs, pretrain.optimizer.rate) == (10, 1e-3)


@pytest.mark.parametrize(("t1", "t2"), [(700, 900), (0, 50), (600, 601)])
def test_t1_and_t2_set_together_may_pass_each_others_old_place(t1, t2):
    config, acted = override(SCENARIOS["lee2013"]["pl"], {"t1": t1, "t2": t2})
    assert acted == {"t1", "t2"}
    assert (config.phases[0].pseudo_labels.t1, config.phases[0].pseudo_labels.t2) == (t1, t2)


@pytest.mark.parametrize(
    ("scenario", "dials"),
    [
        ("nn", {"visible_dropout": 0.1}),
        ("nn", {"hidden_dropout": 0.1}),
        ("nn", {"alpha_f": 1.0}),
        ("drop_nn", {"t1": 1, "t2": 2}),
        ("drop_nn", {"unlabelled_batch_size": 2}),
        ("pl", {"pretrain_epochs": 1, "pretrain_batch_size": 2, "pretrain_learning_rate": 0.1, "noise_level": 0.1}),
    ],
)
@pytest.mark.parametrize("protocol", SCENARIOS)
def test_a_dial_with_nothing_to_act_on_changes_nothing_and_says_so(protocol, scenario, dials):
    config = SCENARIOS[protocol][scenario]
    assert override(config, dials) == (config, set())


def test_only_the_dials_that_acted_are_told():
    config, acted = override(SCENARIOS["quick"]["nn"], {"epochs": 5, "alpha_f": 1.0})
    assert acted == {"epochs"}
    assert config.phases[0].epochs == 5


def test_dials_leave_the_protocol_as_it_was():
    before = to_json(SCENARIOS["quick"]["pl_dae"])
    override(SCENARIOS["quick"]["pl_dae"], {"epochs": 5, "labels": 20})
    assert to_json(SCENARIOS["quick"]["pl_dae"]) == before


def test_a_dial_out_of_range_is_refused():
    with pytest.raises(InputError, match="-1"):
        override(SCENARIOS["quick"]["pl"], {"learning_rate": -1.0})


# ------------------------------------------------------------------------------------------- validation


@pytest.mark.parametrize("node", [CONFIG, *CONFIG.phases, FINETUNE.dropout, FINETUNE.pseudo_labels, Adam()])
def test_nothing_can_be_changed_once_made(node):
    field = dataclasses.fields(node)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(node, field, getattr(node, field))


MOMENTUM = PaperMomentum(1.5, 0.998, 0.5, 0.99, 500)
PSEUDO = FINETUNE.pseudo_labels
NOT_COUNTS = [0, -3, 2.5, True, math.nan, "8", None]
NOT_POSITIVE = [0, -0.5, math.nan, math.inf, True, "0.1", None]
NOT_SHARES = [-0.1, 1.0, 1.5, math.nan, math.inf, True, None]

REFUSED = {
    "labels": (CONFIG, "labels", NOT_COUNTS),
    "validation": (CONFIG, "validation", [-1, 0.5, False, None]),
    "protocol": (CONFIG, "protocol", [7, None]),
    "scenario": (CONFIG, "scenario", [7, None]),
    "phases": (CONFIG, "phases", [FINETUNE, [FINETUNE], None, (None,), (Adam(),)]),
    "inverted_dropout": (CONFIG, "inverted_dropout", [0, "yes", None]),
    "hidden": (CONFIG, "hidden", [*((width,) for width in NOT_COUNTS), [20], 20, "20", None]),
    "initial_weights": (CONFIG, "initial_weights", ["he", 0, None]),
    "output": (CONFIG, "output", ["relu", None]),
    "choose_labels": (CONFIG, "choose_labels", ["last"]),
    "epochs": (FINETUNE, "epochs", NOT_COUNTS),
    "batch_size": (FINETUNE, "batch_size", NOT_COUNTS),
    "last_batch": (FINETUNE, "last_batch", ["long", None]),
    "optimizer": (FINETUNE, "optimizer", ["adam", Adam, None, Dropout(0.1, 0.1)]),
    "dropout": (FINETUNE, "dropout", [0.5, False, Adam()]),
    "pseudo_labels": (FINETUNE, "pseudo_labels", [True, (), Adam()]),
    "alpha_f": (PSEUDO, "alpha_f", [-1.0, math.nan, math.inf, True, "3"]),
    "t1": (PSEUDO, "t1", [-1, 0.5, True]),
    "t2": (PSEUDO, "t2", NOT_COUNTS),
    "unlabelled_batch_size": (PSEUDO, "batch_size", NOT_COUNTS),
    "assign": (PSEUDO, "assign", ["never"]),
    "draw": (PSEUDO, "draw", ["twice"]),
    "buffer_size": (PSEUDO, "buffer_size", NOT_COUNTS),
    "threshold": (PSEUDO, "threshold", NOT_SHARES),
    "alignment": (PSEUDO, "alignment", [-0.1, 1.1, math.nan, True, "1"]),
    "input_noise": (FINETUNE, "input_noise", [-0.1, math.nan, math.inf, None]),
    "visible_dropout": (FINETUNE.dropout, "visible", NOT_SHARES),
    "hidden_dropout": (FINETUNE.dropout, "hidden", NOT_SHARES),
    "pretrain_epochs": (PRETRAIN, "epochs", NOT_COUNTS),
    "updates_per_epoch": (PRETRAIN, "updates_per_epoch", NOT_COUNTS),
    "pretrain_batch_size": (PRETRAIN, "batch_size", NOT_COUNTS),
    "noise": (PRETRAIN, "noise", ["salt"]),
    "noise_level of gaussian noise": (PRETRAIN, "noise_level", [-0.1, math.nan, math.inf]),
    "noise_level of masking noise": (
        dataclasses.replace(PRETRAIN, noise="masking", noise_level=0.5),
        "noise_level",
        NOT_SHARES,
    ),
    "hidden_dropout of pre-training": (PRETRAIN, "hidden_dropout", NOT_SHARES),
    "optimizer of pre-training": (PRETRAIN, "optimizer", ["adam", None]),
    "bottleneck": (PRETRAIN, "bottleneck", [(8, 4, 0), [8], 8, None]),
    "loss": (PRETRAIN, "loss", ["median"]),
    "error": (PRETRAIN, "error", ["absolute", None]),
    "rate, momentum": (MOMENTUM, "rate", NOT_POSITIVE),
    "decay, momentum": (MOMENTUM, "decay", NOT_POSITIVE),
    "initial momentum": (MOMENTUM, "initial_momentum", NOT_SHARES),
    "final momentum": (MOMENTUM, "final_momentum", NOT_SHARES),
    "momentum epochs": (MOMENTUM, "momentum_epochs", NOT_COUNTS),
    "rate, gradient descent": (FINETUNE.optimizer, "rate", NOT_POSITIVE),
    "decay, gradient descent": (FINETUNE.optimizer, "decay", NOT_POSITIVE),
    "decay_updates": (FINETUNE.optimizer, "decay_updates", NOT_COUNTS),
    "rate, Adam": (Adam(), "rate", NOT_POSITIVE),
    "b1": (Adam(), "b1", NOT_SHARES),
    "b2": (Adam(), "b2", NOT_SHARES),
    "eps": (Adam(), "eps", NOT_POSITIVE),
}


@pytest.mark.parametrize(
    ("node", "field", "value"),
    [
        pytest.param(node, field, value, id=f"{name}={value!r}")
        for name, (node, field, values) in REFUSED.items()
        for value in values
    ],
)
def test_what_cannot_be_run_is_refused_in_one_sentence_with_the_value(node, field, value):
    with pytest.raises(InputError) as refusal:
        dataclasses.replace(node, **{field: value})
    sentence = str(refusal.value)
    wrong = value[-1] if isinstance(value, tuple) and value else value
    assert repr(wrong) in sentence
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(("t1", "t2"), [(600, 100), (100, 100)])
def test_alpha_must_have_time_to_rise(t1, t2):
    with pytest.raises(InputError, match=rf"t1 is {t1} and t2 is {t2}: .* t1 < t2\.$"):
        PseudoLabels(3.0, t1, t2)


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("hidden", (), "hidden is empty"),
        ("phases", (), "phases must end with a Finetune"),
        ("phases", (FINETUNE, PRETRAIN), "phases must end with a Finetune"),
    ],
)
def test_a_config_needs_a_layer_and_ends_with_a_classifier(field, value, says):
    with pytest.raises(InputError, match=says):
        dataclasses.replace(CONFIG, **{field: value})


@pytest.mark.parametrize(
    ("node", "field", "value"),
    [
        (PSEUDO, "t1", 0),
        (PSEUDO, "alpha_f", 0),
        (PSEUDO, "threshold", 0),
        (PSEUDO, "threshold", 0.999),
        (PSEUDO, "alignment", 1.0),
        (FINETUNE, "input_noise", 2.0),
        (FINETUNE.dropout, "hidden", 0.0),
        (FINETUNE.dropout, "hidden", 0.999),
        (PRETRAIN, "noise_level", 0.0),
        (PRETRAIN, "noise_level", 2.5),
        (MOMENTUM, "decay", 1.0),
        (MOMENTUM, "initial_momentum", 0.0),
        (CONFIG, "validation", 0),
        (CONFIG, "choose_labels", "given"),
        (CONFIG, "hidden", (1,)),
        (FINETUNE, "epochs", 1),
    ],
)
def test_the_ends_of_the_ranges_are_allowed(node, field, value):
    assert getattr(dataclasses.replace(node, **{field: value}), field) == value


# ------------------------------------------------------------------------------------------ differences

CHOICES = {
    "glorot": "normal",
    "softmax": "sigmoid",
    "first": "random",
    "gaussian": "masking",
    "mean": "sum",
    "cross_entropy": "squared",
    "every_update": "once",
    "uniform": "shuffle_buffer",
    "filled": "short",
    "mine": "yours",
    "both": "neither",
}


def another(value):
    """A value that may stand where this one stands."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, tuple):
        return (*value, 3)
    if isinstance(value, float):
        return (value + 1) / 2 if value != 1 else 0.5
    return CHOICES[value] if isinstance(value, str) else value + 1


def changed(node):
    """Every way to change one field: its path, its value before and after, and the node with it changed."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if field.name == "phases":
            for place, phase in enumerate(value):
                for path, *values, new in changed(phase):
                    phases = (*value[:place], new, *value[place + 1 :])
                    yield f"phases.{place}.{path}", *values, dataclasses.replace(node, phases=phases)
        elif dataclasses.is_dataclass(value):
            for path, *values, new in changed(value):
                yield f"{field.name}.{path}", *values, dataclasses.replace(node, **{field.name: new})
        else:
            new = another(value)
            yield field.name, to_json(value), to_json(new), dataclasses.replace(node, **{field.name: new})


# Between them the two have every kind of dataclass.
MASKED = dataclasses.replace(PRETRAIN, noise_level=0.5)
WHOLE = dataclasses.replace(CONFIG, phases=(MASKED, FINETUNE))
OTHER = dataclasses.replace(CONFIG, phases=(MASKED, dataclasses.replace(FINETUNE, optimizer=MOMENTUM)))


@pytest.mark.parametrize(
    ("config", "path", "before", "after", "new"),
    [
        pytest.param(config, *change, id=f"{name}-{change[0]}")
        for name, config in {"WHOLE": WHOLE, "OTHER": OTHER}.items()
        for change in changed(config)
    ],
)
def test_one_field_changed_is_the_one_difference(config, path, before, after, new):
    assert before != after
    assert differences(config, new) == {path: (before, after)}


@pytest.mark.parametrize("config", [*ALL, pytest.param(CONFIG, id="by hand")])
def test_a_config_does_not_differ_from_its_equal(config):
    assert differences(config, from_json(to_json(config))) == {}


def test_every_two_protocols_differ_and_either_way_alike():
    configs = [config for scenarios in SCENARIOS.values() for config in scenarios.values()]
    for one, other in itertools.combinations(configs, 2):
        found = differences(one, other)
        assert "protocol" in found or "scenario" in found
        assert {path: (after, before) for path, (before, after) in found.items()} == differences(other, one)


def test_all_fields_changed_are_told_in_the_configs_order():
    new = dataclasses.replace(with_finetune(epochs=99, dropout=Dropout(0.0, 0.75)), labels=40)
    assert list(differences(CONFIG, new).items()) == [
        ("phases.1.epochs", (7, 99)),
        ("phases.1.dropout.hidden", (0.5, 0.75)),
        ("labels", (20, 40)),
    ]


@pytest.mark.parametrize(
    ("field", "value"), [("optimizer", Adam()), ("optimizer", MOMENTUM), ("dropout", None), ("pseudo_labels", None)]
)
def test_a_part_of_another_kind_is_one_difference(field, value):
    expected = (to_json(getattr(FINETUNE, field)), to_json(value))
    assert differences(CONFIG, with_finetune(**{field: value})) == {f"phases.1.{field}": expected}


def test_a_phase_of_another_kind_is_one_difference():
    new = dataclasses.replace(CONFIG, phases=(FINETUNE, FINETUNE))
    assert differences(CONFIG, new) == {"phases.0": (to_json(PRETRAIN), to_json(FINETUNE))}


def test_another_number_of_phases_is_one_difference():
    new = dataclasses.replace(CONFIG, phases=(FINETUNE,))
    assert differences(CONFIG, new) == {"phases": (to_json(CONFIG.phases), to_json(new.phases))}
