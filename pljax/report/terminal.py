"""What every command but the main one does at its end: one sentence for bad input, quiet for who stops it."""

import argparse
import os
import sys
from collections.abc import Callable, Sequence

from pljax.types import InputError


def run(
    parser: argparse.ArgumentParser,
    execute: Callable[[argparse.Namespace], None],
    arguments: Sequence[str] | None = None,
) -> int:
    """Do what the arguments ask for. Exit status 2 and one sentence for input that cannot be used."""
    try:
        execute(parser.parse_args(arguments))
    except InputError as error:
        print(f"pljax: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # who reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        print("pljax: interrupted.", file=sys.stderr)
        return 130
    return 0
