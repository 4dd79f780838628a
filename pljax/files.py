"""Values and texts on their way to disk: plain JSON, and files that are there whole or not at all."""

import json
import re
from pathlib import Path
from typing import Any

import numpy as np


def write_whole(path: Path, content: str | bytes) -> None:
    """Write a file under a temporary name, then rename: a reader meets the old file or the new one, never a part."""
    temporary = path.with_name(path.name + ".part")
    temporary.write_bytes(content.encode() if isinstance(content, str) else content)
    temporary.replace(path)


def without_nan(value: Any) -> Any:
    """``value`` with arrays as lists and numbers that are not finite as ``None``, which JSON can hold.

    A float32 becomes the shortest decimal number that stands for it.

    >>> without_nan({"a": np.array([0.1, np.nan], np.float32)})
    {'a': [0.1, None]}
    """
    if isinstance(value, dict):
        return {name: without_nan(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        short = value.astype(str).astype(np.float64) if value.dtype == np.float32 else value
        return without_nan(short.tolist())
    if isinstance(value, list | tuple):
        return [without_nan(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


_INNERMOST_LIST = re.compile(r"\[\n([^\[\]{}]+)\n *\]")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` whole, innermost lists on one line."""
    text = json.dumps(without_nan(value), indent=1, allow_nan=False)
    on_one_line = _INNERMOST_LIST.sub(lambda found: "[" + re.sub(r"\n *", " ", found[1].strip()) + "]", text)
    write_whole(path, on_one_line + "\n")
