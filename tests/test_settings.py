"""Settings: what is checked, what is a leaf of the pytree, what overrides do, and what JSON keeps."""

import dataclasses
import itertools
import json
import math
import typing
from typing import Literal

import chex
import every_setting
import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from every_setting import CONFIG, WHOLE
from hypothesis import strategies as st
from refusal import refusal

from pljax import protocols, settings
from pljax.methods import Batch
from pljax.protocols import adaptive
from pljax.settings import (
    MAX_FLOAT,
    MAX_INT,
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
from pljax.types import Split, TrainingData

PAGES = {**protocols.SCENARIOS, "adaptive": adaptive.scenarios(adaptive.DEFAULT_SIZES)}
CONFIGS = [config for scenarios in PAGES.values() for config in scenarios.values()]
CHANGES = list(every_setting.changes(WHOLE))
LEE = protocols.SCENARIOS["lee2013"]


class Example(Settings):
    """A field of every type."""

    count: int = setting(default=3, help="an integer.", low=2, high=9)
    number: float = setting(default=0.5, help="a number.", high=1)
    half_open: float = setting(default=0.5, help="a number above a bound and at most another.", high=1, closed="right")
    step: int = setting(default=4, help="an integer that is a leaf.", traced=True)
    fixed: float = setting(default=0.5, help="a number that is no leaf.", traced=False)
    static: float = setting(default=0.5, help="a number with a static value.", static=(0.0,))
    widths: tuple[int, ...] = setting(default=(4, 2), help="integers.", low=1)
    room: int | None = setting(default=None, help="an integer or nothing.", flag=False, saved=False)
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
    "half_open": [*NO_NUMBERS, 0, 0.0, -0.1, 1.1],
    "step": [*NO_COUNTS, -1, MAX_INT + 1],
    "fixed": [*NO_NUMBERS, MAX_FLOAT, 10**400],
    "widths": [(), 3, [3], None, (0,), (4, True), (4, 2.5)],
    "room": [0.5, "3"],
    "word": [7, None],
    "sure": [0, "yes", None],
    "choice": ["three", 0, None, ["one"]],
}
ENDS = {
    "count": [2, 9],
    "number": [0, math.nextafter(1, 0)],
    "half_open": [math.nextafter(0, 1), 1],
    "step": [0, MAX_INT],
    "widths": [(1,)],
    "room": [0],
}


def test_an_invalid_value_is_refused_in_one_sentence_with_the_field_and_the_value():
    for field, values in REFUSED.items():
        for value in values:
            sentence = refusal(EXAMPLE.replace, **{field: value})
            assert field in sentence
            assert repr(value[-1] if isinstance(value, tuple) and value else value) in sentence or value == ()
            assert sentence.endswith(".")


def test_the_ends_of_a_range_are_allowed():
    for field, values in ENDS.items():
        for value in values:
            assert getattr(EXAMPLE.replace(**{field: value}), field) == value


def test_a_part_of_another_type_is_refused():
    for part in ({"first": 3}, {"first": None}, {"several": [EXAMPLE]}, {"several": (3,)}):
        refusal(Nested, **part)


class Kinds(Settings):
    """Types that the package's own settings do not have."""

    steps: Literal[1, 2, 4] = setting(default=1, help="a choice of numbers.")
    scales: tuple[float, ...] = setting(default=(1.0,), help="numbers, one at least.", low=1)
    pair: tuple[int, float] = setting(default=(1, 0.5), help="two numbers.")
    maybe: float | None = setting(default=None, help="a number or nothing.")


def test_settings_of_other_types_are_checked_by_their_types():
    for value in ({"steps": 4}, {"scales": (1, 2.5)}, {"pair": (3, 1)}, {"maybe": 2}, {"maybe": 0.5}):
        Kinds(**value)
    for value in ({"steps": 3}, {"scales": ()}, {"scales": ("1",)}, {"pair": (0.5, 1)}, {"pair": (1,)}, {"maybe": "2"}):
        (name,) = value
        assert name in refusal(Kinds, **value)
    with pytest.raises(TypeError, match="sizes is declared as list"):
        type("Lists", (Settings,), {"__annotations__": {"sizes": list[int]}, "sizes": setting(help="no.")})(sizes=[1])


def test_settings_are_frozen_and_take_the_declared_names_only():
    for node in (CONFIG, CONFIG.method, EXAMPLE):
        field = dataclasses.fields(node)[0].name
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(node, field, getattr(node, field))
    with pytest.raises(TypeError):
        Example(3)
    with pytest.raises(TypeError):
        Example(colour="red")


def test_a_check_names_the_field_as_its_caller_does():
    field = Example.__dataclass_fields__["count"]
    assert refusal(check, "pretrain_epochs", field, 0).startswith("pretrain_epochs is 0")


# ---------------------------------------------------------------------------------------------- pytrees

# The numbers that change no shape. Everything else is part of the structure.
TRACED = {
    *("epochs", "learning_rate", "decay", "decay_updates", "initial_momentum", "final_momentum", "momentum_epochs"),
    *("b1", "b2", "eps", "visible_dropout", "hidden_dropout", "input_noise", "encoder_dropout", "noise_level"),
    *("alpha_f", "t1", "t2", "threshold", "alignment"),
    *("constant_share", "layer_noise", "denoise_inputs", "denoise_first", "denoise_others", "teacher_decay"),
    *("epsilon", "xi", "entropy_weight"),
}
STATIC_AT_HALF = {"visible_dropout", "hidden_dropout", "encoder_dropout", "noise_level"}  # one random bit draws it
STATIC_AT_1 = {"constant_share", "decay"}  # of Adam: a constant rate has no state
STATIC_AT_0 = {"visible_dropout", "hidden_dropout", "input_noise", "threshold", "alignment", "encoder_dropout"}


def test_a_new_value_keeps_the_structure_exactly_if_the_field_is_traced():
    for change in CHANGES:
        same = jax.tree.structure(change.node) == jax.tree.structure(WHOLE)
        name = change.path.rpartition(".")[2]
        traced = name in TRACED and not (name in STATIC_AT_1 and change.before == 1)
        assert same == traced, change.path


def test_static_values_are_part_of_the_structure():
    for name in STATIC_AT_HALF | STATIC_AT_0:
        for value, static in ((0.0, STATIC_AT_0), (0.5, STATIC_AT_HALF)):
            same = jax.tree.structure(everywhere(CONFIG, name, value)) == jax.tree.structure(CONFIG)
            assert same == (name not in static), (name, value)


def test_an_integer_in_a_field_of_floats_is_a_float_in_the_tree():
    one, same = Example(half_open=1, static=1), Example(half_open=1.0, static=1.0)
    assert [type(leaf) for leaf in jax.tree.leaves(one)] == [type(leaf) for leaf in jax.tree.leaves(same)]
    assert jax.tree.structure(Example(static=0)) == jax.tree.structure(Example(static=0.0))


def test_a_function_is_traced_once_for_all_values_of_a_leaf():
    chex.clear_trace_counter()
    method = every_setting.PSEUDO_LABEL

    @jax.jit
    @chex.assert_max_traces(n=2)
    def weight(method):
        return method.weight(jnp.asarray(3))

    values = [(0.5, 1, 6), (2.0, 1, 6), (2, 0, 4), (1.0, 2, 3)]
    for alpha_f, t1, t2 in values:
        changed = method.replace(alpha_f=alpha_f, t1=t1, t2=t2, threshold=0.75)
        np.testing.assert_allclose(weight(changed), alpha_f * min(max(3 - t1, 0) / (t2 - t1), 1), rtol=1e-6)
    weight(method.replace(threshold=0.0))  # a static value: the second trace
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


SMALL = every_setting.NETWORK.replace(hidden=(4,))
LABELS_ONCE = every_setting.PSEUDO_LABEL.replace(network=SMALL)
LABELS_ANEW = LABELS_ONCE.replace(assign="every_update")
GAUSSIAN = every_setting.AUTOENCODER.replace(network=SMALL, bottleneck=(3,))
MASKING = GAUSSIAN.replace(bottleneck=(), noise="masking", error="cross_entropy")


@pytest.mark.parametrize(
    ("method", "first", "second"),
    [
        (LABELS_ONCE, {"threshold": 0.25, "alignment": 0.5}, {"threshold": 0.4, "alignment": 1.0}),
        (
            LABELS_ANEW,
            {"threshold": 0.25, "alignment": 0.5, "visible_dropout": 0.125, "input_noise": 1.0},
            {"threshold": 0.4, "alignment": 1.0, "hidden_dropout": 0.375},
        ),
        (GAUSSIAN, {"noise_level": 0.25}, {"noise_level": 0.75, "encoder_dropout": 0.75}),
        (MASKING, {"noise_level": 0.25}, {"noise_level": 0.75, "encoder_dropout": 0.75}),
    ],
    ids=["labels once", "labels at every update", "gaussian noise", "masking noise"],
)
def test_methods_stacked_under_vmap_give_what_each_gives_alone(method, first, second):
    several = [method.replace(**first), method.replace(**second)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack([jnp.asarray(leaf) for leaf in leaves]), *several)
    together = jax.jit(jax.vmap(loss_of))(stacked)
    alone = jax.jit(lambda: loss_of(several[1]))()
    assert float(together[0][0]) != float(together[0][1])
    chex.assert_trees_all_close(jax.tree.map(lambda leaf: leaf[1], together), alone, rtol=1e-4, atol=1e-6)


# ------------------------------------------------------------------------------------------------ overrides

FLAGS = {flag.name: flag for flag in overrides(WHOLE)}


def other_value(flag):
    return every_setting.another(flag.kind, flag.value)


def invalid_values(flag):
    """Values out of the range that the flag's field declares, and some of another type."""
    declared = flag.field.metadata["setting"]
    if flag.kind is int:
        return [declared.low - 1, int(min(declared.high, MAX_INT)) + 1, 2.5, True, None]
    if flag.kind is float:
        bounds = [declared.low if declared.closed in ("right", "neither") else math.nextafter(declared.low, -1)]
        bounds.append(
            math.nextafter(declared.high, math.inf) if declared.closed in ("right", "both") else declared.high
        )
        return [*bounds, math.nan, math.inf, True, None]
    if typing.get_origin(flag.kind) is typing.Literal:
        return ["", "Labelled", 1, None]
    return [(), (0,), (MAX_INT + 1,), (2.5,), 20, "20", None]


def test_every_override_of_the_protocols_acts_on_a_config_with_everything():
    assert set(FLAGS) == set(protocols.overrides())


def test_an_override_sets_its_field_and_nothing_else():
    for name, flag in FLAGS.items():
        value = other_value(flag)
        changed, acted = override(WHOLE, {name: value})
        assert acted == {name}
        places = [one for one in overrides(WHOLE) if one.name == name]
        assert [one.value for one in overrides(changed) if one.name == name] == [value] * len(places), name
        found = differences(WHOLE, changed)
        assert len(found) == len(places), name
        assert {path.rpartition(".")[2] for path in found} == {flag.field.name}, name


def test_an_override_out_of_range_is_refused_with_the_name_of_its_flag():
    for name, flag in FLAGS.items():
        for value in invalid_values(flag):
            assert name in refusal(override, WHOLE, {name: value})
            assert name in refusal(flag.check, value)


def test_an_override_acts_exactly_on_the_configs_that_have_its_setting():
    for config in CONFIGS:
        here = {flag.name: flag for flag in overrides(config)}
        for name, flag in protocols.overrides().items():
            values = {name: other_value(here.get(name, flag))}
            if name == "t1":
                values["t2"] = 10_000  # above any t1
            changed, acted = override(config, values)
            assert acted == set(values) & set(here), (config.protocol, config.scenario, name)
            assert (changed == config) == (not acted), (config.protocol, config.scenario, name)
    assert override(CONFIG, {"max_nonzero_columns": 5}) == (CONFIG, set())  # it has no flag


def test_pre_training_has_overrides_of_its_own():
    changed, _ = override(CONFIG, {"epochs": 99, "batch_size": 98, "pretrain_learning_rate": 0.75})
    assert [phase.epochs for phase in changed.phases] == [2, 99, 99]
    assert [phase.batches.batch_size for phase in changed.phases] == [16, 98, 98]
    assert [phase.optimizer.learning_rate for phase in changed.phases] == [0.75, 0.5, 1.5]


def test_values_are_checked_together_only_after_all_overrides():
    for t1, t2 in ((700, 900), (0, 50), (600, 601)):
        config, acted = override(LEE["pl"], {"t1": t1, "t2": t2})
        assert acted == {"t1", "t2"}
        assert (config.method.t1, config.method.t2) == (t1, t2)


def test_everywhere_sets_a_field_with_or_without_a_flag():
    changed = everywhere(CONFIG, "max_nonzero_columns", 5)
    assert [phase.method.network.max_nonzero_columns for phase in changed.phases] == [5, 5, 5]
    assert everywhere(changed, "max_nonzero_columns", None) == CONFIG
    assert everywhere(CONFIG, "colour", "red") == CONFIG


# ------------------------------------------------------------------------------------------------- JSON


def through_text(value):
    return from_json(json.loads(json.dumps(to_json(value), allow_nan=False)))


def assert_survives(config):
    """JSON text and the flattened tree both give the config back."""
    assert through_text(config) == config
    assert differences(config, through_text(config)) == {}
    leaves, structure = jax.tree.flatten(config)
    assert jax.tree.unflatten(structure, leaves) == config
    assert jax.tree.structure(jax.tree.unflatten(structure, leaves)) == structure


def test_every_config_survives_json_and_flattening():
    for config in (CONFIG, WHOLE, *CONFIGS):
        assert_survives(config)


def range_of(flag):
    """Every value that a flag may have."""
    declared = flag.field.metadata["setting"]
    if flag.kind is int:
        return st.integers(int(declared.low), int(min(declared.high, MAX_INT)))
    if flag.kind is float:
        above, below = declared.closed in ("right", "neither"), declared.closed in ("left", "neither")
        return st.floats(declared.low, declared.high, exclude_min=above, exclude_max=below)
    if typing.get_origin(flag.kind) is typing.Literal:
        return st.sampled_from(typing.get_args(flag.kind))
    return st.lists(st.integers(1, MAX_INT), min_size=1, max_size=4).map(tuple)


OVERRIDES = st.fixed_dictionaries({}, optional={name: range_of(flag) for name, flag in protocols.overrides().items()})


@hypothesis.given(st.sampled_from([CONFIG, WHOLE, *CONFIGS]), OVERRIDES)
@hypothesis.settings(max_examples=60, deadline=None, derandomize=True, database=None)
def test_any_values_of_the_overrides_survive_json_and_flattening(config, values):
    if {"t1", "t2"} & set(values):
        values["t1"], values["t2"] = sorted((values.get("t1", 0), values.get("t2", 1)))
        hypothesis.assume(values["t1"] < values["t2"])
    if values.get("noise_level", 0) >= 1:  # whose range depends on the kind of noise
        hypothesis.assume(
            not any(phase.method.pretrains and phase.method.noise == "masking" for phase in config.phases)
        )
    changed, acted = override(config, values)
    assert_survives(changed)
    for name in acted:
        assert {flag.value for flag in overrides(changed) if flag.name == name} == {values[name]}


def test_json_names_every_kind_and_every_field_but_those_that_only_change_the_speed():
    assert to_json(every_setting.MOMENTUM) == {
        "kind": "PaperMomentum",
        "learning_rate": 1.5,
        "decay": 0.875,
        "initial_momentum": 0.5,
        "final_momentum": 0.75,
        "momentum_epochs": 500,
    }
    assert to_json(every_setting.NETWORK)["hidden"] == [20, 10]
    assert to_json(everywhere(CONFIG, "max_nonzero_columns", 5)) == to_json(CONFIG)


def test_json_that_holds_no_settings_is_refused():
    for value in (
        {"kind": "Banana"},
        {"learning_rate": 0.1},
        {"kind": ["Adam"]},
        {"kind": "Adam", "learning_rate": 0.1, "colour": "red"},
        {"kind": "Adam"},
        {"kind": "Adam", "learning_rate": -1.0},
    ):
        refusal(from_json, value)


@pytest.fixture
def own_kinds(monkeypatch):
    """What a test registers is forgotten after it."""
    monkeypatch.setattr(settings, "_KINDS", dict(settings._KINDS))


@pytest.mark.usefixtures("own_kinds")
def test_only_registered_settings_are_written():
    assert "Nested" in refusal(to_json, Nested())
    for kind in (Example, Nested, Nested):  # to register one twice is no error
        settings.register(kind)
    assert through_text(Nested(several=(EXAMPLE, EXAMPLE))) == Nested(several=(EXAMPLE, EXAMPLE))


@pytest.mark.usefixtures("own_kinds")
def test_a_name_that_is_taken_cannot_be_registered():
    with pytest.raises(ValueError, match="Adam"):
        settings.register(type("Adam", (Settings,), {}))


# ------------------------------------------------------------------------------------------- differences


def test_one_changed_field_is_the_only_difference():
    for path, before, after, new in CHANGES:
        expected = {} if path.endswith(".max_nonzero_columns") else {path: (to_json(before), to_json(after))}
        assert differences(WHOLE, new) == expected, path


def test_any_two_configs_differ_by_the_same_fields_in_either_order():
    for one, other in itertools.combinations(CONFIGS, 2):
        found = differences(one, other)
        assert "protocol" in found or "scenario" in found
        assert {path: (after, before) for path, (before, after) in found.items()} == differences(other, one)


def test_a_part_of_another_kind_or_another_number_of_phases_is_one_difference():
    first, second, third = CONFIG.phases
    for part in ("method", "batches", "optimizer"):
        new = CONFIG.replace(phases=(first, second.replace(**{part: getattr(third, part)}), third))
        expected = (to_json(getattr(second, part)), to_json(getattr(third, part)))
        assert differences(CONFIG, new) == {f"phases.1.{part}": expected}
    shorter = CONFIG.replace(phases=CONFIG.phases[1:])
    assert differences(CONFIG, shorter) == {"phases": (to_json(CONFIG.phases), to_json(shorter.phases))}
