"""What the four commands share: flags and ``--help``, exit statuses, and one sentence on stderr for what went wrong."""

import dataclasses
import os
import re
import sys
import textwrap
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from absl import app, flags, logging

from pljax.types import InputError

HELP_WIDTH = 100
USAGE_ERROR = 2
INTERRUPTED = 130
SIGNALLED = 128  # exit statuses above it name a signal


class EarlyExit(Exception):
    """A command ends before its work is done, with a sentence for stderr and an exit status."""

    def __init__(self, sentence: str, status: int):
        super().__init__(sentence)
        self.status = status


@dataclasses.dataclass(frozen=True)
class Command:
    """A command: its flags, the function that does its work, and its help.

    Attributes:
      name: the console script.
      description: what the command does, for ``--help``.
      flag_values: its flags, from :func:`new_flags`.
      execute: does the work that the flags ask for. Its argument is the list of arguments that are not flags.
      required: the names of the flags that must be given.
      argument: the name of an argument that is not a flag and can be repeated. ``None``: there are flags only.
      groups: the names of flags that ``--help`` lists last, by heading.
    """

    name: str
    description: str
    flag_values: flags.FlagValues
    execute: Callable[[Sequence[str]], None]
    required: Collection[str] = ()
    argument: str | None = None
    groups: Mapping[str, Collection[str]] = dataclasses.field(default_factory=dict)


def new_flags() -> flags.FlagValues:
    """Flags with ``--help`` among them, apart from those of other commands and of libraries in the same process."""
    values = flags.FlagValues()
    flags.DEFINE_bool("help", False, "Show this text and exit.", flag_values=values, short_name="h")
    return values


def run(command: Command, arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status.

    ``arguments`` are those of the process by default. An error that is neither the user's nor an ``EarlyExit`` is
    raised as it is.
    """
    try:
        others = _parse(command, sys.argv[1:] if arguments is None else arguments)
        if command.flag_values["help"].value:
            print(help_text(command))
        else:
            _require(command, others)
            command.execute(others)
        _flush()
    except InputError as error:
        return _failed(str(error), USAGE_ERROR)
    except EarlyExit as early:
        return _failed(str(early), early.status)
    except BrokenPipeError:  # for example, head has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        return _failed("interrupted.", INTERRUPTED)
    return 0


def run_process(main: Callable[[], int]) -> None:
    """Run ``main`` as the whole process and exit with the status that it returns."""

    def run_and_exit(_: Any) -> None:
        logging.set_verbosity(logging.FATAL)  # Orbax logs a traceback for an error that is one sentence here
        status = main()
        if status > SIGNALLED:  # threads of libraries can take long, and Python would wait for them
            _flush()
            os._exit(status)
        sys.exit(status)

    app.run(run_and_exit, argv=sys.argv[:1])  # main reads the other arguments


def help_text(command: Command) -> str:
    """The text of ``--help``: usage, description, and the flags in the order of their definition."""
    names = [name for name in command.flag_values if command.flag_values[name].name == name]  # not their short names
    grouped = {name for of_group in command.groups.values() for name in of_group}
    sections = {"Flags": [name for name in names if name not in grouped], **command.groups}
    required = [f"--{name}=..." for name in command.required]
    repeated = [command.argument, f"[{command.argument} ...]"] if command.argument else []
    lines = [" ".join(["Usage:", command.name, *repeated, *required, "[--FLAG=VALUE ...]"])]
    lines += ["", *textwrap.wrap(command.description, HELP_WIDTH)]
    for heading, of_section in sections.items():
        lines += ["", f"{heading}:", *(_help_of(command.flag_values[name]) for name in of_section)]
    return "\n".join(lines)


def _help_of(flag: flags.Flag) -> str:
    value = ",".join(flag.default) if isinstance(flag.default, list) else flag.default
    default = "" if value is None or flag.boolean else f" Default: {value}."
    return textwrap.fill(
        f"--{flag.name}: {flag.help}{default}",
        HELP_WIDTH,
        initial_indent="  ",
        subsequent_indent=" " * 6,
        break_on_hyphens=False,
    )


def _parse(command: Command, arguments: Sequence[str]) -> list[str]:
    """Read the flags and return the other arguments. Raises ``InputError``."""
    for name in command.flag_values:
        command.flag_values[name].unparse()  # the values of an earlier call
    try:
        return command.flag_values([command.name, *arguments])[1:]
    except (flags.Error, ValueError, RecursionError) as error:  # absl recurses over a long flag that it does not know
        told = re.sub(r"\('([^']*)', '?([^']*?)'?\)", r"\1 \2", str(error))  # absl shows a tuple
        sentence = " ".join(told.splitlines()).rstrip(" .?")
        raise InputError(f"{sentence}; --help lists the flags.") from error


def _require(command: Command, others: Sequence[str]) -> None:
    """Raise ``InputError`` where a required flag or argument is missing, or an argument is not a flag."""
    for name in command.required:
        flag = command.flag_values[name]
        if flag.value is None:
            expected = f"{flag.help[:1].lower()}{flag.help[1:].rstrip('.')}"
            raise InputError(f"--{name} is missing: give {expected}; --help lists the flags.")
    if others and command.argument is None:
        raise InputError(f"{others[0]!r} is not a flag: flags look like --name=value; --help lists them.")
    if not others and command.argument is not None:
        raise InputError(f"{command.argument} is missing: give at least one; --help says more.")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:  # as in a program without a console
            stream.flush()


def _failed(sentence: str, status: int) -> int:
    print(f"pljax: {sentence}", file=sys.stderr)
    return status
