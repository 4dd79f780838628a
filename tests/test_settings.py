"""Settings: what is checked, what is a leaf, what the overrides do, and what JSON keeps."""

import dataclasses
import itertools
import json
import math
from typing import Literal

import chex
import every_setting
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_setting import CONFIG
from hypothesis import strategies as st

from pljax import protocols, settings
from pljax.methods import Batch
from pljax.protocols import adaptive
from pljax.settings import (
    LARGEST,
    MOST,
    Settings,
    check,
    differences,
    everywhere,
    from_json,
    override,
    overrides,
    setting,
    to_json,
)
from pljax.types import InputError, Split, TrainingData

PAGES = {**protocols.SCENARIOS, "adaptive": adaptive.scenarios(adaptive.USUAL)}
CONFIGS = {f"{page}-{name}": config for page, scenarios in PAGES.items() for name, config in scenarios.items()}
ALL = [pytest.param(config, id=name) for name, config in {**CONFIGS, "by hand": CONFIG}.items()]
CHANGES = list(every_setting.changes(CONFIG))
QUICK, LEE = protocols.SCENARIOS["quick"], protocols.SCENARIOS["lee2013"]


class Example(Settings):
    """A field of every type."""

    count: int = setting(default=3, help="a whole number.", low=2, high=9)
    number: float = setting(default=0.5, help="a number.", high=1)
    above: float = setting(default=0.5, help="a number above a bound and at most another.", above=True, high=1, to=True)
    step: int = setting(default=4, help="a whole number that is a leaf.", traced=True)
    fixed: float = setting(default=0.5, help="a number that is none.", traced=False)
    special: float = setting(default=0.5, help="a number with a value of its own.", special=(0.0,))
    widths: tuple[int, ...] = setting(default=(4, 2), help="whole numbers.", low=1)
    room: int | None = setting(default=None, help="a whole number or nothing.", flag=False, kept=False)
    word: str = setting(default="a", help="a text.", flag=False)
    sure: bool = setting(default=True, help="yes or no.", flag=False)
    choice: Literal["one", "two"] = setting(default="one", help="one or two.", flag=False)


class Nested(Settings):
    """Settings in settings."""

    first: Example = Example()
    several: tuple[Example, ...] = ()


EXAMPLE = Example()


# ------------------------------------------------------------------------------------------------ checks

NO_NUMBERS = [True, "0.5", None, math.nan, math.inf, -math.inf]
NO_COUNTS = [*NO_NUMBERS, 2.5, 4.0]
REFUSED = {
    "count": [*NO_COUNTS, 1, -3, 10],
    "number": [*NO_NUMBERS, -0.1, 1, 1.0],
    "above": [*NO_NUMBERS, 0, 0.0, -0.1, 1.1],
    "step": [*NO_COUNTS, -1, MOST + 1],
    "fixed": [*NO_NUMBERS, LARGEST, 10**400],
    "widths": [(), 3, [3], None, (0,), (4, True), (4, 2.5)],
    "room": [0.5, "3"],
    "word": [7, None],
    "sure": [0, "yes", None],
    "choice": ["three", 0, None, ["one"]],
}


@pytest.mark.parametrize(
    ("field", "value"),
    [pytest.param(field, value, id=f"{field}={value!r:.20}") for field, values in REFUSED.items() for value in values],
)
def test_what_a_field_cannot_be_is_refused_in_one_sentence_with_the_value(field, value):
    with pytest.raises(InputError) as refusal:
        EXAMPLE.replace(**{field: value})
    sentence = str(refusal.value)
    assert field in sentence
    assert repr(value[-1] if isinstance(value, tuple) and value else value) in sentence or value == ()
    assert sentence.endswith(".")
    assert "\n" not in sentence


@pytest.mark.parametrize(("field", "value"), [("first", 3), ("first", None), ("several", [EXAMPLE]), ("several", (3,))])
def test_a_part_of_another_type_is_refused(field, value):
    with pytest.raises(InputError):
        Nested(**{field: value})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("count", 2),
        ("count", 9),
        ("number", 0),
        ("number", math.nextafter(1, 0)),
        ("above", math.nextafter(0, 1)),
        ("above", 1),
        ("step", 0),
        ("step", MOST),
        ("widths", (1,)),
        ("room", 0),
    ],
)
def test_the_ends_of_a_range_are_allowed(field, value):
    assert getattr(EXAMPLE.replace(**{field: value}), field) == value


@pytest.mark.parametrize("node", [CONFIG, *CONFIG.phases, CONFIG.method, EXAMPLE])
def test_nothing_can_be_changed_once_made(node):
    field = dataclasses.fields(node)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(node, field, getattr(node, field))


def test_settings_are_given_by_name_and_no_other_than_those_declared():
    with pytest.raises(TypeError):
        Example(3)
    with pytest.raises(TypeError):
        Example(colour="red")


# ---------------------------------------------------------------------------------------------- pytrees

# The numbers that change no shape. Everything else is part of the structure.
TRACED = {
    *("epochs", "learning_rate", "decay", "decay_updates", "initial_momentum", "final_momentum", "momentum_epochs"),
    *("b1", "b2", "eps", "visible_dropout", "hidden_dropout", "input_noise", "encoder_dropout", "noise_level"),
    *("alpha_f", "t1", "t2", "threshold", "alignment"),
}
HALF = {"visible_dropout", "hidden_dropout", "encoder_dropout", "noise_level"}  # one random bit draws it
NONE = {"visible_dropout", "hidden_dropout", "input_noise", "threshold", "alignment", "encoder_dropout"}


def test_another_value_keeps_the_structure_exactly_if_it_is_traced():
    for change in CHANGES:
        same = jax.tree.structure(change.node) == jax.tree.structure(CONFIG)
        assert same == (change.path.rpartition(".")[2] in TRACED), change.path


@pytest.mark.parametrize("value", [0.0, 0.5])
def test_special_values_are_structure_and_others_are_not(value):
    for name in HALF | NONE:
        same = jax.tree.structure(everywhere(CONFIG, name, value)) == jax.tree.structure(CONFIG)
        assert same == (name not in (HALF if value else NONE)), name


@pytest.mark.parametrize("config", ALL)
def test_what_is_flattened_comes_back(config):
    leaves, structure = jax.tree.flatten(config)
    assert jax.tree.unflatten(structure, leaves) == config
    assert jax.tree.structure(jax.tree.unflatten(structure, leaves)) == structure


def test_a_whole_number_in_the_place_of_a_number_makes_no_program_of_its_own():
    one, same = Example(above=1, special=1), Example(above=1.0, special=1.0)
    assert [type(leaf) for leaf in jax.tree.leaves(one)] == [type(leaf) for leaf in jax.tree.leaves(same)]
    assert jax.tree.structure(Example(special=0)) == jax.tree.structure(Example(special=0.0))


def test_a_function_is_traced_once_for_all_values_of_a_leaf():
    chex.clear_trace_counter()
    method = every_setting.PSEUDO_LABEL

    @jax.jit
    @chex.assert_max_traces(n=2)
    def weight(method):
        return method.weight(jnp.asarray(3))

    values = [(0.5, 1, 6), (2.0, 1, 6), (2, 0, 4), (1.0, 2, 3)]
    for alpha_f, t1, t2 in values:
        turned = method.replace(alpha_f=alpha_f, t1=t1, t2=t2, threshold=0.75)
        np.testing.assert_allclose(weight(turned), alpha_f * min(max(3 - t1, 0) / (t2 - t1), 1), rtol=1e-6)
    weight(method.replace(threshold=0.0))  # a special value: the second trace
    weight(method.replace(threshold=0.0, alpha_f=2.5))
    with pytest.raises(AssertionError):
        weight(method.replace(assign="every_update"))


DATA = TrainingData(
    images=jax.random.uniform(jax.random.key(1), (30, 12)),
    labels=jnp.arange(30) % 3,
    labelled=jnp.asarray(6),
    unlabelled=jnp.asarray(20),
    classes=3,
)
SPLIT = Split(labelled=jnp.arange(6), validation=jnp.arange(6, 10), unlabelled=jnp.arange(10, 30))
BATCH = Batch(
    images=DATA.images[:5],
    labels=DATA.labels[:5],
    weights=jnp.ones(5),
    rows=jnp.arange(5),
    unlabelled=DATA.images[10:18],
    unlabelled_rows=jnp.arange(10, 18),
)


def loss_of(method):
    """The loss of the network that a method starts from, and its gradient."""
    params, extra = method.init(jax.random.key(0), DATA, SPLIT, {})
    return jax.value_and_grad(lambda params: method.loss(params, extra, BATCH, 0.5, jax.random.key(2))[0])(params)


@pytest.mark.parametrize(
    ("method", "settings_of_each"),
    [
        (
            every_setting.SUPERVISED,
            [
                {"visible_dropout": 0.125, "hidden_dropout": 0.25, "input_noise": 1.0},
                {"visible_dropout": 0.25, "hidden_dropout": 0.75, "input_noise": 0.5},
            ],
        ),
        (
            every_setting.PSEUDO_LABEL,
            [{"threshold": 0.25, "alignment": 0.5}, {"threshold": 0.4, "alignment": 1.0, "hidden_dropout": 0.375}],
        ),
        (
            every_setting.PSEUDO_LABEL.replace(assign="every_update"),
            [{"threshold": 0.25, "alignment": 0.5}, {"threshold": 0.4, "alignment": 1.0, "hidden_dropout": 0.375}],
        ),
        (every_setting.AUTOENCODER, [{"noise_level": 0.25}, {"noise_level": 0.75, "encoder_dropout": 0.75}]),
        (
            every_setting.AUTOENCODER.replace(noise="masking", bottleneck=(), error="cross_entropy"),
            [{"noise_level": 0.25}, {"noise_level": 0.75, "encoder_dropout": 0.75}],
        ),
    ],
    ids=["supervised", "labels once", "labels anew", "gaussian noise", "masking noise"],
)
def test_methods_stacked_and_mapped_over_give_what_each_gives_alone(method, settings_of_each):
    several = [method.replace(**values) for values in settings_of_each]
    stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *several)
    together = jax.jit(jax.vmap(loss_of))(stacked)
    alone = [jax.jit(lambda one=one: loss_of(one))() for one in several]
    assert float(alone[0][0]) != float(alone[1][0])
    for place, expected in enumerate(alone):
        found = jax.tree.map(lambda leaf, place=place: leaf[place], together)
        chex.assert_trees_all_close(found, expected, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------------------------------------ overrides

DIALS = {flag.name: flag for flag in overrides(CONFIG)}


def other_value(flag):
    return every_setting.another(flag.kind, flag.value)


def inner(flag):
    """The field that a flag turns."""
    return DIALS[flag].field.name


def outside(flag):
    """Values out of the range that the flag's field declares, and what are none of its type."""
    declared = flag.field.metadata["setting"]
    if flag.kind is int:
        return [declared.low - 1, int(min(declared.high, MOST)) + 1, 2.5, True, None]
    if flag.kind is float:
        bounds = [declared.low if declared.above else math.nextafter(declared.low, -1)]
        bounds.append(math.nextafter(declared.high, math.inf) if declared.to else declared.high)
        return [*bounds, math.nan, math.inf, True, None]
    return [(), (0,), (MOST + 1,), (2.5,), 20, "20", None]


def test_a_config_with_everything_has_every_dial():
    assert set(DIALS) == set(protocols.overrides())


@pytest.mark.parametrize("flag", protocols.overrides())
def test_a_dial_sets_its_field_and_nothing_else(flag):
    value = other_value(DIALS[flag])
    turned, acted = override(CONFIG, {flag: value})
    assert acted == {flag}
    places = [one for one in overrides(CONFIG) if one.name == flag]
    assert [one.value for one in overrides(turned) if one.name == flag] == [value] * len(places)
    found = differences(CONFIG, turned)
    assert len(found) == len(places)
    assert {path.rpartition(".")[2] for path in found} == {inner(flag)}


@pytest.mark.parametrize("flag", protocols.overrides())
def test_a_dial_out_of_its_range_is_refused_by_its_name(flag):
    for value in outside(DIALS[flag]):
        with pytest.raises(InputError, match=flag):
            override(CONFIG, {flag: value})
        with pytest.raises(InputError, match=flag):
            DIALS[flag].check(value)


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_a_dial_acts_exactly_where_a_config_has_it(config):
    here = {flag.name: flag for flag in overrides(config)}
    for name, flag in protocols.overrides().items():
        turned, acted = override(config, {name: other_value(here.get(name, flag))})
        assert acted == {name} & set(here)
        assert (turned == config) == (not acted)


def test_a_dial_of_pre_training_is_not_one_of_the_classifier():
    turned, _ = override(CONFIG, {"epochs": 99, "batch_size": 98, "pretrain_learning_rate": 0.75})
    assert [phase.epochs for phase in turned.phases] == [2, 99, 99]
    assert [phase.batches.batch_size for phase in turned.phases] == [16, 98, 98]
    assert [phase.optimizer.learning_rate for phase in turned.phases] == [0.75, 0.5, 1.5]


@pytest.mark.parametrize(("t1", "t2"), [(700, 900), (0, 50), (600, 601)])
def test_dials_set_together_may_pass_each_others_old_place(t1, t2):
    config, acted = override(LEE["pl"], {"t1": t1, "t2": t2})
    assert acted == {"t1", "t2"}
    assert (config.method.t1, config.method.t2) == (t1, t2)


def test_everywhere_sets_a_field_with_or_without_a_dial():
    turned = everywhere(CONFIG, "room", 5)
    assert [phase.method.network.room for phase in turned.phases] == [5, 5, 5]
    assert everywhere(turned, "room", None) == CONFIG
    assert everywhere(CONFIG, "colour", "red") == CONFIG


# ------------------------------------------------------------------------------------------------- JSON


def through_text(value):
    return from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))


@pytest.mark.parametrize("config", ALL)
def test_a_config_survives_json(config):
    assert through_text(config) == config


def range_of(flag):
    """Every value that a flag may have."""
    declared = flag.field.metadata["setting"]
    if flag.kind is int:
        return st.integers(int(declared.low), int(min(declared.high, MOST)))
    if flag.kind is float:
        return st.floats(declared.low, declared.high, exclude_min=declared.above, exclude_max=not declared.to)
    return st.lists(st.integers(1, MOST), min_size=1, max_size=4).map(tuple)


DIALLED = st.fixed_dictionaries({}, optional={name: range_of(flag) for name, flag in protocols.overrides().items()})


@hypothesis.given(st.sampled_from([CONFIG, *CONFIGS.values()]), DIALLED)
@hypothesis.settings(max_examples=150, deadline=None, derandomize=True, database=None)
def test_any_values_of_the_dials_survive_json_and_flattening(config, values):
    if {"t1", "t2"} & set(values):
        values["t1"], values["t2"] = sorted((values.get("t1", 0), values.get("t2", 1)))
        hypothesis.assume(values["t1"] < values["t2"])
    if values.get("noise_level", 0) >= 1:  # whose range depends on the kind of noise
        hypothesis.assume(
            not any(phase.method.pretrains and phase.method.noise == "masking" for phase in config.phases)
        )
    turned, acted = override(config, values)
    assert through_text(turned) == turned
    assert differences(turned, through_text(turned)) == {}
    leaves, structure = jax.tree.flatten(turned)
    assert jax.tree.unflatten(structure, leaves) == turned
    for name in acted:
        assert {flag.value for flag in overrides(turned) if flag.name == name} == {values[name]}


def test_what_only_makes_a_run_faster_is_not_written():
    assert to_json(everywhere(CONFIG, "room", 5)) == to_json(CONFIG)


def test_json_names_the_kind_of_everything_and_every_field():
    assert to_json(every_setting.MOMENTUM) == {
        "kind": "PaperMomentum",
        "learning_rate": 1.5,
        "decay": 0.875,
        "initial_momentum": 0.5,
        "final_momentum": 0.75,
        "momentum_epochs": 500,
    }
    assert to_json(every_setting.NETWORK)["hidden"] == [20, 10]


@pytest.mark.parametrize(
    "value",
    [
        pytest.param({"kind": "Banana"}, id="unknown kind"),
        pytest.param({"rate": 0.1}, id="no kind"),
        pytest.param({"kind": ["Adam"]}, id="kind is a list"),
        pytest.param({"kind": "Adam", "learning_rate": 0.1, "colour": "red"}, id="unknown field"),
        pytest.param({"kind": "Adam"}, id="missing field"),
        pytest.param({"kind": "Adam", "learning_rate": -1.0}, id="value out of range"),
    ],
)
def test_json_of_no_settings_is_refused(value):
    with pytest.raises(InputError):
        from_json(value)


@pytest.fixture
def own_kinds(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(settings, "_KINDS", dict(settings._KINDS))


@pytest.mark.usefixtures("own_kinds")
def test_only_registered_settings_are_written():
    with pytest.raises(InputError, match="Nested"):
        to_json(Nested())
    for kind in (Example, Nested, Nested):  # again is no harm
        settings.register(kind)
    assert through_text(Nested(several=(EXAMPLE, EXAMPLE))) == Nested(several=(EXAMPLE, EXAMPLE))


@pytest.mark.usefixtures("own_kinds")
def test_a_name_that_is_taken_cannot_be_registered():
    with pytest.raises(ValueError, match="Adam"):
        settings.register(type("Adam", (Settings,), {}))


# ------------------------------------------------------------------------------------------- differences


def test_one_field_changed_is_the_one_difference():
    for path, before, after, new in CHANGES:
        expected = {} if path.endswith(".room") else {path: (to_json(before), to_json(after))}
        assert differences(CONFIG, new) == expected


def test_every_two_configs_differ_and_either_way_alike():
    for one, other in itertools.combinations(CONFIGS.values(), 2):
        found = differences(one, other)
        assert "protocol" in found or "scenario" in found
        assert {path: (after, before) for path, (before, after) in found.items()} == differences(other, one)


def test_a_part_of_another_kind_is_one_difference():
    first, second, third = CONFIG.phases
    for part in ("method", "batches", "optimizer"):
        new = CONFIG.replace(phases=(first, second.replace(**{part: getattr(third, part)}), third))
        expected = (to_json(getattr(second, part)), to_json(getattr(third, part)))
        assert differences(CONFIG, new) == {f"phases.1.{part}": expected}


def test_another_number_of_phases_is_one_difference():
    new = CONFIG.replace(phases=CONFIG.phases[1:])
    assert differences(CONFIG, new) == {"phases": (to_json(CONFIG.phases), to_json(new.phases))}


def test_a_check_calls_the_field_as_it_is_told_to():
    with pytest.raises(InputError, match=r"^pretrain_epochs is 0"):
        check("pretrain_epochs", Example.__dataclass_fields__["count"], 0)
