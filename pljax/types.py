"""The data structures that modules exchange, with the dtype and shape of every array.

Sizes: ``N`` training images, ``M`` test images, ``D`` features (784 pixels on MNIST), ``C`` classes,
``L`` labelled, ``V`` validation and ``U`` unlabelled images. Functions of data, networks, methods and phases are
written for one seed; ``training.seeds`` adds the axis of seeds with ``vmap``.
"""

import dataclasses
import functools
import hashlib
from typing import Any, NamedTuple

import flax.struct
import jax
import numpy as np

Params = dict[str, Any]


class InputError(ValueError):
    """An input that cannot be used. The message is one sentence on one line that says what to do."""

    def __init__(self, sentence: str):
        super().__init__(" ".join(sentence.splitlines()))  # a path or name in it can have line breaks


class Scaling(NamedTuple):
    """The standardisation of features: ``(x - shift) / scale``."""

    shift: np.ndarray  # float32 [D]
    scale: np.ndarray  # float32 [D]

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Standardise numbers ``[n, D]`` of any dtype: float32 ``[n, D]``."""
        inputs = features.astype(np.float32)
        inputs -= self.shift
        inputs /= self.scale
        return inputs


class Inputs(NamedTuple):
    """How the rows of custom data become inputs of a network."""

    columns: tuple[str, ...]  # [D], the columns of a table; empty: the data are no table
    image: tuple[int, int] | None  # side length and channels of pictures; None: the data are no pictures
    scaling: Scaling


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """A whole data set on the host. Only the final scoring reads ``test_images`` and ``test_labels``."""

    name: str
    classes: int  # C
    train_images: np.ndarray  # uint8 [N, D] pixels, or float32 [N, D] inputs: see nn.networks.to_inputs
    train_labels: np.ndarray  # int32 [N]; -1: unknown
    test_images: np.ndarray  # [M, D], the dtype of train_images
    test_labels: np.ndarray  # int32 [M]
    class_names: tuple[str, ...] = ()  # [C]; empty: the classes have no names but their numbers
    inputs: Inputs | None = None  # of custom data
    row_names: tuple[str, ...] = ()  # [N], the names of the training images; empty: they have none

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, ``[C]``; their numbers if they have none."""
        return self.class_names or tuple(map(str, range(self.classes)))

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the four arrays (name, dtype, shape and bytes of each), in hexadecimal."""
        sha = hashlib.sha256()
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            array = np.ascontiguousarray(getattr(self, name))
            sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            sha.update(array.data)
        return sha.hexdigest()


@flax.struct.dataclass
class TrainingData:
    """The training images on the device, shared by all seeds. Test images are not in it.

    ``labelled`` and ``unlabelled`` count the entries of a ``Split`` that are used. They are its lengths, unless its
    sets were padded so that one compiled program serves data of several sizes.
    """

    images: jax.Array  # uint8 or float32 [N, D]
    labels: jax.Array  # int32 [N], -1: unknown; training reads those of the labelled images only
    labelled: jax.Array  # int32 [], the first entries of Split.labelled that are used
    unlabelled: jax.Array  # int32 [], the first entries of Split.unlabelled that are used
    classes: int = flax.struct.field(pytree_node=False)


@flax.struct.dataclass
class Split:
    """The labelled, validation and unlabelled images of one seed: disjoint sets of indices that cover all ``N``."""

    labelled: jax.Array  # int32 [L]
    validation: jax.Array  # int32 [V]
    unlabelled: jax.Array  # int32 [U]


@flax.struct.dataclass
class TrainState:
    """The state of training between two updates."""

    params: Params
    opt_state: Any
    extra: Any = None  # the method's own state: see methods.Method


# The metrics of an epoch: scalars by name. ``finite`` (bool) is always among them.
Metrics = dict[str, jax.Array]


@flax.struct.dataclass
class Evaluation:
    """Measurements of the network after an epoch. They are diagnostics: no choice depends on them."""

    metrics: Metrics
    pseudo_labels: jax.Array | None = None  # int32 [K] of the first K unlabelled images, [N] if assigned once; -1: none


@flax.struct.dataclass
class AssignedLabels:
    """The pseudo-labels that were assigned in a round, in the order in which they were assigned."""

    rows: jax.Array  # int32 [K], indices of training images
    labels: jax.Array  # int32 [K]; -1: none was assigned
