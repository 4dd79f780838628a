"""The flags that say how to read a user's own data, for the commands that read them."""

import functools

from absl import flags

from pljax.data.reading.labels import LABEL_NAMES
from pljax.types import ReadOptions

NAMES = ("label", "features", "unlabelled", "no_header", "background")


def define(flag_values: flags.FlagValues, prefix: str, otherwise: str) -> None:
    """Define the flags ``NAMES``.

    Args:
      flag_values: where they are defined.
      prefix: the text that their help begins with.
      otherwise: what holds where the column of labels and the features are not named.
    """
    string, words = (
        functools.partial(define, flag_values=flag_values) for define in (flags.DEFINE_string, flags.DEFINE_list)
    )
    string("label", None, f"{prefix}the column or array of labels; default: {otherwise or ', '.join(LABEL_NAMES)}.")
    words(
        "features", None, f"{prefix}the array, or the columns, of the features; default: {otherwise or 'all others'}."
    )
    words(
        "unlabelled",
        None,
        f"{prefix}labels that mean that the class is not known, beside an empty one, -1 and unlabelled: NA,unknown.",
    )
    flags.DEFINE_bool(
        "no_header",
        None,
        f"{prefix}the first line of a text table is a row; columns are then numbered from 0.",
        flag_values=flag_values,
    )
    string("background", None, f"{prefix}the colour behind transparent pictures; default: {otherwise or 'white'}.")


def options(flag_values: flags.FlagValues) -> ReadOptions:
    """The options that the flags give."""
    value = {name: flag_values[name].value for name in NAMES}
    return ReadOptions(
        label=value["label"],
        columns=tuple(value["features"] or ()),
        unlabelled=tuple(value["unlabelled"] or ()),
        header=None if value["no_header"] is None else not value["no_header"],
        background=value["background"],
    )
