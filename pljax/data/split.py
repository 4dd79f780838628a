"""Who plays which part: the labelled, the validation and the unlabelled images of one seed."""

from typing import Literal, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from pljax.types import InputError, Split


def most_validation(images: int) -> int:
    """The largest validation set that so many training images can give: a fifth."""
    return images // 5


Choose = Literal["random", "first", "given"]


def check(train_labels: np.ndarray, classes: int, labels: int, validation: int, choose: Choose = "random") -> None:
    """Raise ``InputError`` unless the training images can give the labelled and validation sets asked for."""
    images, known = len(train_labels), train_labels[train_labels >= 0]
    counts = np.bincount(known, minlength=classes)
    if choose == "given":
        if labels + validation != len(known) or not labels:
            raise InputError(
                f"{labels} labels and {validation} validation images are asked for, but {len(known)} images have a "
                "label: all of them are used."
            )
        share = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
        held_back = np.repeat(np.arange(classes), counts)[np.argsort(share, kind="stable")[:validation]]
        if (np.bincount(held_back, minlength=classes) == counts).any():
            raise InputError(
                f"{validation} validation images of {len(known)} that have a label leave a class without: give fewer."
            )
        return
    if len(known) < images:
        raise InputError(
            f"{images - len(known)} of the {images} training images have no label: choose_labels is given."
        )
    if labels % classes:
        below = max(labels - labels % classes, classes)
        raise InputError(
            f"{labels} labels cannot be shared evenly by {classes} classes: give a multiple of {classes}, "
            f"{below} or {below + classes} for example."
        )
    if labels // classes > counts.min():
        raise InputError(
            f"{labels} labels need {labels // classes} images of each class, but class {counts.argmin()} has "
            f"{counts.min()}: give at most {counts.min() * classes}."
        )
    if validation > most_validation(images):
        raise InputError(
            f"{validation} validation images are more than a fifth of the {images} training images: "
            f"give at most {most_validation(images)}."
        )
    if labels + validation >= images:
        raise InputError(
            f"{labels} labels and {validation} validation images leave none of the {images} training images "
            f"unlabelled: give at most {images - validation - classes} labels."
        )


class Sizes(TypedDict):
    """What is asked of a split beside its key and the labels: see :func:`make`."""

    classes: int
    labels: int
    validation: int
    choose: Choose


SPLIT = 0  # what the root key of a seed is folded with: alone, so that a seed has the same labels everywhere


def of_seed(root: jax.Array, train_labels: jax.Array, **sizes: Unpack[Sizes]) -> Split:
    """The split of a seed, from its root key: see :func:`make`."""
    return make(jax.random.fold_in(root, SPLIT), train_labels, **sizes)


def make(
    key: jax.Array,
    train_labels: jax.Array,
    *,
    classes: int,
    labels: int,
    validation: int,
    choose: Choose,
) -> Split:
    """Split ``N`` training images: ``labels / classes`` labelled ones a class, ``validation`` others, the rest.

    ``random`` walks through the images in an order drawn with ``key``, ``first`` in file order: the first
    images met of each class are the labelled ones, the next ones met of any class are for validation.
    ``given`` takes all images whose label is known, a share as equal as can be of every class for validation.
    The sizes are static, so the function can be stacked over keys. See :func:`check` for what can be asked.

    Args:
      key: the key of one seed.
      train_labels: int32 ``[N]``; -1 for one that is not known.
      classes: ``C``.
      labels: ``L``, a multiple of ``C``, unless they are given.
      validation: ``V``.
      choose: the walk.

    Returns:
      ``Split`` with ``[labels]``, ``[validation]`` and ``[N - labels - validation]`` indices.

    >>> parts = make(jax.random.key(0), jnp.arange(20) % 2, classes=2, labels=4, validation=3, choose="first")
    >>> parts.labelled.tolist(), parts.validation.tolist(), parts.unlabelled.size
    ([0, 1, 2, 3], [4, 5, 6], 13)
    """
    images = train_labels.shape[0]
    walk = jnp.arange(images) if choose == "first" else jax.random.permutation(key, images)
    if choose == "given":
        order = _evenly(walk, train_labels, classes)
        return Split(order[validation : validation + labels], order[:validation], order[validation + labels :])
    met = jax.nn.one_hot(train_labels[walk], classes, dtype=jnp.int32)
    rank_in_class = (jnp.cumsum(met, axis=0) * met).sum(axis=1)  # 1 for the first image met of its class
    labelled_first = jnp.argsort(rank_in_class > labels // classes, stable=True)
    order = walk[labelled_first].astype(jnp.int32)
    return Split(order[:labels], order[labels : labels + validation], order[labels + validation :])


def _evenly(walk: jax.Array, train_labels: jax.Array, classes: int) -> jax.Array:
    """The images in an order whose every beginning has about the same share of each class; unknown ones last."""
    by_class = walk[jnp.argsort(train_labels[walk], stable=True)]
    labels = train_labels[by_class]
    counts = jnp.bincount(train_labels + 1, length=classes + 1)
    rank = jnp.arange(len(walk)) - (jnp.cumsum(counts) - counts)[labels + 1]  # in its class, from 0
    share = (rank.astype(jnp.float32) + 0.5) / counts[labels + 1].astype(jnp.float32)
    return by_class[jnp.argsort(jnp.where(labels < 0, 1.0, share), stable=True)].astype(jnp.int32)
