"""Whatever is typed or read: it is understood, or refused in one sentence; nothing else ever comes of it."""

import contextlib
import copy
import io
import itertools
import math
import pathlib
import tempfile

import jax
import pytest
from conftest import make_blobs
from fuzzing import (
    JSON,
    NUMBERS,
    PLAIN,
    TEXTS,
    Law,
    assert_one_sentence,
    configs,
    put_to_test,
    refused_or_sound,
    spoilt,
)
from hypothesis import strategies as st

from pljax import main as program
from pljax.data.datasets import DATASETS
from pljax.protocols import SCENARIOS, overrides
from pljax.protocols.config import Config, from_json
from pljax.protocols.select import PROTOCOLS
from pljax.results.folder import RunFolder
from pljax.settings import differences, override, to_json
from pljax.settings import overrides as settings_of
from pljax.training.checkpointer import parse_interval
from pljax.training.progress import Reporter
from pljax.training.run import count_parameters, run
from pljax.types import InputError

BLOBS = make_blobs()
SETTINGS = overrides()
OURS = [config for scenarios in SCENARIOS.values() for config in scenarios.values()]

# ------------------------------------------------------------------------------------------------- flags

LIKELY = {
    "scenario": ["nn", "drop_nn", "pl", "pl_dae", "all", "nn,pl"],
    "protocol": list(PROTOCOLS),
    "dataset": ["mnist", "auto", "rows.csv"],
    "test": ["rows.csv"],
    "label": ["label", "a"],
    "features": ["a", "b,a"],
    "image_size": ["8"],
    "seeds": ["1", "3", "4294967296"],
    "first_seed": ["0", "7", "4294967295"],
    "seeds_at_once": ["1", "2"],
    "backend": ["cpu"],
    "checkpoint_every": ["30s", "5min", "20epochs", "0.5 h"],
    "overwrite": ["true", "false"],
    "data_dir": ["here"],
    "workdir": ["there", "ö"],
    "hidden": ["8", "8,4", "2147483647"],
    "labels": ["4", "40", "100"],
    "validation": ["0", "48"],
    "t1": ["0", "5", "2147483646"],
    "t2": ["6", "2147483647"],
    **{name: ["1", "8", "2147483647"] for name in SETTINGS if name.endswith(("epochs", "batch_size"))},
    **{name: ["0.5", "1e-3", "1e-300"] for name in ("learning_rate", "alpha_f", "pretrain_learning_rate")},
    **{
        name: ["0", "0.5"]
        for name in ("visible_dropout", "hidden_dropout", "noise_level", "threshold", "alignment", "input_noise")
    },
}
ODD = ["", " ", ",", "-0", "nan", "inf", "1e400", "1e39", "2147483648", "9" * 5000, "1_0", "٣", '"', "None", "a\nb"]
VALUES = st.one_of(st.sampled_from(ODD), TEXTS, NUMBERS.map(str), st.lists(NUMBERS.map(str), max_size=3).map(",".join))


@st.composite
def one_flag(draw):
    """A flag with a likely value for the most part, else with any."""
    name = draw(st.sampled_from(list(LIKELY)))
    value = draw(st.sampled_from(LIKELY[name]) if draw(st.integers(0, 3)) else VALUES)
    shapes = [[f"--{name}={value}"]] * 6 + [[f"--{name}", value], [f"--no{name}"], [f"-{name}={value}"], [f"--{name}"]]
    return draw(st.sampled_from(shapes))


WORDS = st.one_of(VALUES, VALUES.map("--".__add__), VALUES.map("--flagfile=".__add__)).map(lambda word: [word])
COMMANDS = st.lists(st.one_of(*[one_flag()] * 9, WORDS), max_size=5).map(lambda flags: list(itertools.chain(*flags)))


ROWS = "a,b,label\n0,1,x\n2,3,y\n4,5,\n6,7,x\n"


class Accepted(Exception):
    """The flags are accepted, and something would be trained now."""


def configs_and_seeds(arguments):
    """What a command would train. ``None`` where it is refused, in one line and with status 2."""
    made, out, err = [], io.StringIO(), io.StringIO()

    def load(name, *_, **__):
        return BLOBS if name in DATASETS else real_load(name)

    def stop(*_):
        raise Accepted

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as here:
        pathlib.Path(here, "rows.csv").write_text(ROWS)
        real_load = program.datasets.load
        patch.chdir(here)
        patch.setattr(program.datasets, "load", load)
        patch.setattr(program, "result_in", lambda folder, config, seeds, *_: made.append((config, seeds)))
        patch.setattr(program, "print_results", stop)
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = program.main(arguments)
            except Accepted:
                return made
    assert (status, out.getvalue(), made) == (2, "", [])
    assert err.getvalue().startswith("pljax: ")
    assert_one_sentence(err.getvalue())
    return None


def flags_are_refused_in_one_line_or_make_configs(arguments):
    for config, seeds in configs_and_seeds(arguments) or []:
        assert isinstance(config, Config)
        assert 0 <= seeds[0] <= seeds[-1] < 2**32
        assert count_parameters(config, BLOBS) > 0
        for phase in config.phases:
            weight = phase.method.weight(phase.epochs - 1)
            assert weight is None or 0 <= float(weight) < math.inf


def an_interval_is_refused_or_positive(text):
    with refused_or_sound():
        every = parse_interval(text)
        (size,) = [size for size in (every.seconds, every.epochs) if size is not None]
        assert size > 0


INTERVALS = st.one_of(
    TEXTS,
    st.builds("{}{}{}".format, VALUES, st.sampled_from(["", " ", "  "]), st.sampled_from(["s", "min", "h", "epochs"])),
    st.from_regex(r"\d*\.?\d+ ?(s|min|h|epochs?)"),
)

# ------------------------------------------------------------------------------------------------ configs


def json_is_a_config_or_refused(value):
    with refused_or_sound():
        config = from_json(value)
        assert isinstance(config, Config)
        assert from_json(to_json(config)) == config


def a_config_survives_json_and_does_not_differ_from_itself(config):
    assert from_json(to_json(config)) == config
    assert differences(config, config) == {}


def overrides_are_refused_or_found_in_the_config(example):
    config, values = example
    with refused_or_sound():
        changed, acted = override(config, values)
        assert isinstance(changed, Config)
        assert acted == set(values) & {setting.name for setting in settings_of(config)}
        for setting in settings_of(changed):
            assert setting.name not in acted or setting.value == values[setting.name]
        assert override(changed, values) == (changed, acted)


OVERRIDES = st.dictionaries(
    st.sampled_from(list(SETTINGS)), PLAIN | st.lists(PLAIN, max_size=3) | st.lists(NUMBERS, max_size=3).map(tuple)
)

# --------------------------------------------------------------------------------------------------- runs


def contents(result):
    return {**vars(result), "seconds": None}


def a_small_run_ends_with_a_sound_result_and_again_with_the_same(example):
    config, seeds = example
    with tempfile.TemporaryDirectory() as path, jax.numpy_dtype_promotion("strict"):
        folder, said = RunFolder(path), io.StringIO()
        result = run(config, seeds, BLOBS, folder, Reporter(said))
        again = run(config, seeds, BLOBS, folder, Reporter(said))
        anew = run(config, seeds, BLOBS, folder, Reporter(said), overwrite=True)
    assert again == result
    assert contents(anew) == contents(result)
    for seed, accuracy, counts in zip(seeds, result.test_accuracy, result.confusion, strict=True):
        if str(seed) in result.diverged:
            assert accuracy is counts is None
        else:
            assert 0 <= accuracy <= 1
            assert round(60 * accuracy) == sum(counts[place][place] for place in range(4))


SMALL_RUNS = st.tuples(configs(small=True), st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=2, unique=True))

LAWS = {
    "flags": Law(flags_are_refused_in_one_line_or_make_configs, COMMANDS, 100, 3000),
    "intervals": Law(an_interval_is_refused_or_positive, INTERVALS, 150, 3000),
    "json": Law(json_is_a_config_or_refused, JSON | spoilt(st.sampled_from(OURS).map(to_json)), 300, 3000),
    "configs": Law(a_config_survives_json_and_does_not_differ_from_itself, configs(), 60, 1000),
    "overrides": Law(
        overrides_are_refused_or_found_in_the_config, st.tuples(st.sampled_from(OURS) | configs(), OVERRIDES), 100, 1500
    ),
    "small runs": Law(a_small_run_ends_with_a_sound_result_and_again_with_the_same, SMALL_RUNS, 3, 25),
}


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_law_holds_for_a_few_examples(law):
    put_to_test(law)


@pytest.mark.slow
@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_law_holds_for_many_examples(law):
    put_to_test(law, at_length=True)


def test_a_config_nested_however_deep_is_refused():
    for depth in (300, 480, 900, 20_000):
        value = 1
        for _ in range(depth):
            value = [value]
        network, whole = copy.deepcopy(to_json(OURS[0])), to_json(OURS[0])
        network["phases"][0]["method"]["network"]["hidden"] = value
        for nested in (value, network, {**whole, "hidden": value}, {**whole, "phases": value}):
            with pytest.raises(InputError) as refusal:
                from_json(nested)
            assert_one_sentence(str(refusal.value))
