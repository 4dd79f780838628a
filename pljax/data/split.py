"""The split of the training images of one seed into labelled, validation and unlabelled images."""

from typing import Literal, TypedDict, Unpack

import jax
import jax.numpy as jnp
import numpy as np

from pljax.types import InputError, Split


def most_validation(images: int) -> int:
    """Return the size of the largest validation set: a fifth of the training images."""
    return images // 5


# How the labelled images are chosen: see :func:`make`.
Choose = Literal["random", "first", "given"]


def check(train_labels: np.ndarray, classes: int, labels: int, validation: int, choose: Choose = "random") -> None:
    """Raise ``InputError`` if :func:`make` cannot split the training images like this.

    Args:
      train_labels: int32 ``[N]``; -1: unknown.
      classes: ``C``.
      labels: ``L``.
      validation: ``V``.
      choose: as for :func:`make`.
    """
    counts = np.bincount(train_labels[train_labels >= 0], minlength=classes)  # of the known labels, [C]
    if choose == "given":
        _check_given(counts, labels, validation)
    else:
        _check_chosen(len(train_labels), counts, labels, validation)


def _check_given(counts: np.ndarray, labels: int, validation: int) -> None:
    """Raise ``InputError`` unless all known labels are used and every class keeps one for training."""
    known = counts.sum()
    if labels + validation != known or not labels:
        raise InputError(
            f"{labels} labels and {validation} validation images are asked for, but {known} images have a "
            "label: all of them are used."
        )
    if not _keeps_one(counts, validation):
        raise InputError(
            f"{validation} validation images of {known} that have a label leave a class without: give fewer."
        )


def every_class_keeps_one(train_labels: np.ndarray, classes: int, validation: int) -> bool:
    """Return whether every class keeps a labelled image for training if ``validation`` of all known are held back."""
    return _keeps_one(np.bincount(train_labels[train_labels >= 0], minlength=classes), validation)


def _keeps_one(counts: np.ndarray, validation: int) -> bool:
    """Whether every class of ``counts`` known labels, ``[C]``, keeps one: see :func:`_stratified`."""
    classes = len(counts)
    share = np.concatenate([(np.arange(count) + 0.5) / count for count in counts])
    held_back = np.repeat(np.arange(classes), counts)[np.argsort(share, kind="stable")[:validation]]
    return not (np.bincount(held_back, minlength=classes) == counts).any()


def _check_chosen(images: int, counts: np.ndarray, labels: int, validation: int) -> None:
    """Raise ``InputError`` unless there are enough images of each class, and some that stay unlabelled."""
    known, classes = counts.sum(), len(counts)
    if known < images:
        raise InputError(
            f"{images - known} of the {images} training images have no label: choose_labels must be 'given', which "
            "uses all known labels."
        )
    if labels % classes:
        below = max(labels - labels % classes, classes)
        raise InputError(
            f"{labels} labels cannot be shared evenly by {classes} classes: give a multiple of {classes}, for example "
            f"{' or '.join(map(str, sorted({below, below + classes})))}."
        )
    if labels // classes > counts.min():
        raise InputError(
            f"{labels} labels need {labels // classes} images of each class, but class {counts.argmin()} has "
            f"{counts.min()}: give at most {counts.min() * classes}."
        )
    if validation > most_validation(images):
        raise InputError(
            f"{validation} validation images are more than a fifth of the {images} training images: "
            f"give a validation of at most {most_validation(images)}."
        )
    if labels + validation >= images:
        most = (images - validation - 1) // classes * classes
        raise InputError(
            f"{labels} labels and {validation} validation images leave none of the {images} training images "
            f"unlabelled: give at most {most} labels."
        )


class Sizes(TypedDict):
    """The keyword arguments of :func:`make`."""

    classes: int
    labels: int
    validation: int
    choose: Choose


# The split's key is ``fold_in(root key of the seed, SPLIT)``. It depends on nothing else, so that a seed has the same
# labelled images in all scenarios.
SPLIT = 0


def of_seed(root: jax.Array, train_labels: jax.Array, **sizes: Unpack[Sizes]) -> Split:
    """Split the training images with the root key of a seed: see :func:`make`."""
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
    """Split ``N`` training images into labelled, validation and unlabelled ones.

    ``choose`` says how:

    * ``random``: in a random order of the images, the first ``L / C`` of each class are labelled, the next ``V`` of
      any class are for validation, and the others are unlabelled.
    * ``first``: the same in file order.
    * ``given``: all images with a known label are labelled or for validation. The validation images are random, and
      their classes have about the same shares as among all known labels.

    The sizes are static, so that ``vmap`` can map over keys. The arguments are those that :func:`check` accepts.

    Args:
      key: typed PRNG key.
      train_labels: int32 ``[N]``; -1: unknown.
      classes: ``C``.
      labels: ``L``; a multiple of ``C``, except for ``given``.
      validation: ``V``.
      choose: see above.

    Returns:
      ``Split`` with ``L``, ``V`` and ``N - L - V`` indices.

    >>> parts = make(jax.random.key(0), jnp.arange(20) % 2, classes=2, labels=4, validation=3, choose="first")
    >>> parts.labelled.tolist(), parts.validation.tolist(), parts.unlabelled.size
    ([0, 1, 2, 3], [4, 5, 6], 13)
    """
    images = train_labels.shape[0]
    drawn = jnp.arange(images) if choose == "first" else jax.random.permutation(key, images)
    if choose == "given":
        order = _stratified(drawn, train_labels, classes)
        return Split(order[validation : validation + labels], order[:validation], order[validation + labels :])
    one_hot = jax.nn.one_hot(train_labels[drawn], classes, dtype=jnp.int32)
    rank_in_class = (jnp.cumsum(one_hot, axis=0) * one_hot).sum(axis=1)  # from 1
    labelled_first = jnp.argsort(rank_in_class > labels // classes, stable=True)
    order = drawn[labelled_first].astype(jnp.int32)
    return Split(order[:labels], order[labels : labels + validation], order[labels + validation :])


def _stratified(drawn: jax.Array, train_labels: jax.Array, classes: int) -> jax.Array:
    """Reorder images ``[N]`` so that every prefix has about the same share of each class; unknown labels come last."""
    by_class = drawn[jnp.argsort(train_labels[drawn], stable=True)]
    labels = train_labels[by_class]
    counts = jnp.bincount(train_labels + 1, length=classes + 1)  # unknown labels, then the classes
    rank = jnp.arange(len(drawn)) - (jnp.cumsum(counts) - counts)[labels + 1]  # in its class, from 0
    share = (rank.astype(jnp.float32) + 0.5) / counts[labels + 1].astype(jnp.float32)
    return by_class[jnp.argsort(jnp.where(labels < 0, 1.0, share), stable=True)].astype(jnp.int32)
