"""Trees of arrays as flat dicts by path, and back: what files hold."""

from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

from pljax.types import InputError


def by_path(tree: Any) -> dict[str, Any]:
    """The leaves of a tree, by path.

    >>> by_path({"hidden": {"bias": 0, "kernel": 1}})
    {'hidden/bias': 0, 'hidden/kernel': 1}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def with_leaves(shapes: Any, seeds: int, arrays: Mapping[str, np.ndarray]) -> Any:
    """The tree of ``shapes`` (of one seed) with arrays in their place, by path, and an axis of seeds on each.

    Raises ``InputError`` if they do not fit.
    """
    expected = {path: ((seeds, *leaf.shape), np.dtype(leaf.dtype)) for path, leaf in by_path(shapes).items()}
    if expected != {path: (array.shape, array.dtype) for path, array in arrays.items()}:
        raise InputError("The saved arrays are not those of the run's config.")
    return jax.tree.unflatten(jax.tree.structure(shapes), [arrays[path] for path in expected])
