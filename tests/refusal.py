"""What the tests of user errors share: the sentence of a refusal."""

from collections.abc import Callable
from typing import Any

import pytest
from fuzzing import assert_one_sentence

from pljax.types import InputError


def refusal(call: Callable[..., Any], *arguments: Any, **named: Any) -> str:
    """Return the sentence of the ``InputError`` that the call raises; fail, naming the arguments, if it raises none."""
    try:
        call(*arguments, **named)
    except InputError as error:
        assert_one_sentence(str(error))
        return str(error)
    return pytest.fail(f"not refused: {arguments} {named}")
