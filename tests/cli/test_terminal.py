"""The frame of the four commands: flags, help, exit statuses, and one sentence on stderr."""

import contextlib
import os
import tomllib
from pathlib import Path
from pkgutil import resolve_name

import pytest
from absl import flags
from commands import assert_refused, call

from pljax import compare, export, main, predict
from pljax.cli import terminal
from pljax.types import InputError

COMMANDS = {"pljax": main, "pljax-compare": compare, "pljax-predict": predict, "pljax-export": export}


def make_command(execute, **others):
    values = terminal.new_flags()
    flags.DEFINE_integer("number", 1, "A number.", flag_values=values)
    return terminal.Command("test", "A test.", values, lambda arguments: execute(values, arguments), **others)


def run(execute, *arguments, **others):
    return call(lambda given: terminal.run(make_command(execute, **others), given), *arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_the_flags_of_the_command_alone(name):
    module = COMMANDS[name]
    status, out, err = call(module.main, "--help")
    assert (status, err) == (0, "")
    assert out.startswith(f"Usage: {name} ")
    listed = [line.strip().partition(":")[0] for line in out.splitlines() if line.startswith("  --")]
    assert sorted(listed) == sorted(f"--{flag}" for flag in module.FLAGS if len(flag) > 1)


@pytest.mark.parametrize(
    ("module", "arguments", "expected"),
    [
        (compare, ["--banana", "run"], "Unknown command line flag 'banana'; --help lists the flags."),
        (compare, ["--output"], "Missing value for flag --output"),
        (compare, [], "RUN is missing"),
        (predict, ["--run=run", "--input=rows.csv"], "--output is missing"),
        (predict, ["--run=a", "--input=b", "--output=c.csv", "d"], "'d' is not a flag"),
        (export, ["--format=stablehlo"], "--run is missing: give the folder of a finished run"),
        (export, ["--run=run", "--format=onnx"], "<stablehlo|safetensors>"),
        (main, ["--nooverwrite=1"], "does not take an argument"),
        (main, ["--flagfile=nowhere"], "nowhere"),
    ],
)
def test_wrong_arguments_are_refused_in_one_sentence(tmp_path, monkeypatch, module, arguments, expected):
    monkeypatch.chdir(tmp_path)
    assert_refused(call(module.main, *arguments), expected)
    assert list(tmp_path.iterdir()) == []


def test_a_command_gets_its_flags_and_the_other_arguments_in_any_order():
    seen = []
    command = make_command(lambda values, others: seen.append((values.number, others)), argument="RUN")
    for arguments in (["a", "--number=2", "b"], ["--number", "3", "--", "--c"], ["d"]):
        assert terminal.run(command, arguments) == 0
    assert seen == [(2, ["a", "b"]), (3, ["--c"]), (1, ["d"])]  # no value is left from an earlier call


@pytest.mark.parametrize(
    ("error", "status", "sentence"),
    [
        (InputError("No."), 2, "pljax: No.\n"),
        (terminal.EarlyExit("Stopped.", 143), 143, "pljax: Stopped.\n"),
        (KeyboardInterrupt(), 130, "pljax: interrupted.\n"),
    ],
)
def test_an_error_is_a_sentence_and_an_exit_status(error, status, sentence):
    def fail(*_):
        raise error

    assert run(fail) == (status, "", sentence)


def test_an_error_of_the_program_is_raised():
    with pytest.raises(ZeroDivisionError):
        run(lambda *_: 1 / 0)


def test_a_closed_pipe_ends_a_command_quietly(capfd):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe, contextlib.redirect_stdout(pipe):
        assert terminal.run(make_command(lambda *_: print("text")), []) == 1
    assert capfd.readouterr() == ("", "")


def test_every_command_has_a_console_script():
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]
    assert {name: resolve_name(script) for name, script in project["scripts"].items()} == {
        name: module.cli for name, module in COMMANDS.items()
    }
