"""Pytrees of arrays: conversion to flat dictionaries by path, for files, and back, and concatenation."""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from pljax.types import InputError


def by_path(tree: Any) -> dict[str, Any]:
    """Return the leaves of a tree by path.

    >>> by_path({"hidden": {"bias": 0, "kernel": 1}})
    {'hidden/bias': 0, 'hidden/kernel': 1}
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in leaves}


def with_leaves(shapes: Any, seeds: int, arrays: Mapping[str, np.ndarray]) -> Any:
    """Build a tree from arrays by path, the inverse of :func:`by_path`.

    Args:
      shapes: the tree of one seed, of arrays or ``jax.ShapeDtypeStruct``.
      seeds: the length of the first axis of every array.
      arrays: ``[seeds, ...]`` each, by path.

    Raises ``InputError`` if paths, shapes or dtypes differ from those of ``shapes``.
    """
    expected = {path: ((seeds, *leaf.shape), np.dtype(leaf.dtype)) for path, leaf in by_path(shapes).items()}
    if expected != {path: (array.shape, array.dtype) for path, array in arrays.items()}:
        raise InputError("The saved arrays are not those of the run's config.")
    return jax.tree.unflatten(jax.tree.structure(shapes), [arrays[path] for path in expected])


def concatenate(trees: Sequence[Any]) -> Any:
    """Concatenate trees of arrays along the leading axis, that of the seeds."""
    return jax.tree.map(lambda *leaves: np.concatenate(leaves), *trees)
