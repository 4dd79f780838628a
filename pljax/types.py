"""The data structures that modules exchange, with the dtype and shape of every array.

Sizes: ``N`` training images, ``M`` test images, ``D`` features (784 pixels on MNIST), ``C`` classes,
``L`` labelled, ``V`` validation and ``U`` unlabelled images. Functions of data, networks, methods and phases are
written for one seed; ``training.seeds`` adds the axis of seeds with ``vmap``.
"""

import dataclasses
import functools
import hashlib
import json
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import numpy as np

Params = dict[str, Any]
ROWS_AT_ONCE = 4096  # that are standardised: their copy in float64 is small beside the data


class InputError(ValueError):
    """An input that cannot be used. The message is one sentence on one line that says what to do."""

    def __init__(self, sentence: str):
        super().__init__(" ".join(sentence.splitlines()))  # a path or name in it can have line breaks


class Scaling(NamedTuple):
    """The standardisation of features: ``(x - shift) / scale``.

    It is computed in float64 and rounded last: a feature such as a time in seconds since 1970 varies in digits that
    float32 does not have.
    """

    shift: np.ndarray  # float64 [D]
    scale: np.ndarray  # float64 [D]

    @property
    def dtype(self) -> type[np.float32] | type[np.float64]:
        """The type of number that holds features to a thousandth of their scale: float32 unless they are far from 0."""
        coarse = np.abs(self.shift) * np.finfo(np.float32).eps > 1e-3 * self.scale
        return np.float64 if coarse.any() else np.float32

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Standardise numbers ``[n, D]`` of any dtype: float32 ``[n, D]``. Raises ``InputError`` for too large ones."""
        inputs = np.empty(features.shape, np.float32)
        for first in range(0, len(features), ROWS_AT_ONCE):
            block = slice(first, first + ROWS_AT_ONCE)
            with np.errstate(over="ignore"):
                inputs[block] = (features[block].astype(np.float64) - self.shift) / self.scale
            if not np.isfinite(inputs[block]).all():
                row, feature = np.argwhere(~np.isfinite(inputs[block]))[0]
                raise InputError(
                    f"Row {first + row} has {features[first + row, feature]:g} as feature {feature}, which is too far "
                    "from the training rows to compute with: correct it."
                )
        return inputs


class ReadOptions(NamedTuple):
    """How to read a file or folder of custom data."""

    label: str | None = None  # the column or array of labels; None: one of data.reading.labels.LABEL_NAMES
    columns: tuple[str, ...] = ()  # the columns of the features, in order, or their array; empty: all other columns
    image: tuple[int, int | None] | None = None  # side length and channels to convert pictures to; None: their own
    unlabelled: tuple[str, ...] = ()  # labels that mean that the class is not known: see data.reading.labels
    header: bool | None = None  # whether the first line of a text table names its columns; None: it does
    background: str | None = None  # the colour behind transparent pictures; None: white
    white: int | None = None  # the number for white in pictures of floating-point numbers; None: from the largest one
    labels_optional: bool = False  # a file may lack the labels that ``label`` names


DEFAULT_OPTIONS = ReadOptions()


class Inputs(NamedTuple):
    """How the rows of custom data become inputs of a network."""

    columns: tuple[str, ...]  # [D], the columns of a table; empty: the data are no table
    image: tuple[int, int] | None  # side length and channels of pictures; None: the data are no pictures
    scaling: Scaling
    options: ReadOptions = DEFAULT_OPTIONS  # those that the training rows were read with


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
    notes: Mapping[str, str] = dataclasses.field(default_factory=dict)  # what was read of custom data, by heading
    warnings: tuple[str, ...] = ()  # what in custom data may not be as its author meant it

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the classes, ``[C]``; their numbers if they have none."""
        return self.class_names or tuple(map(str, range(self.classes)))

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 of the four arrays (name, dtype, shape and bytes of each), in hexadecimal.

        Of custom data also of the names of the classes and of the scaling: files with other ones are other data, though
        their standardised rows are the same.
        """
        sha = hashlib.sha256()
        arrays = {name: getattr(self, name) for name in ("train_images", "train_labels", "test_images", "test_labels")}
        if self.inputs:
            sha.update(json.dumps(self.names).encode())
            arrays |= {name: of.astype(np.float32) for name, of in self.inputs.scaling._asdict().items()}
        for name, values in arrays.items():
            array = np.ascontiguousarray(values)
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
    weights: jax.Array | None = None  # float32 [N], how many images a labelled image counts as; None: one


SETS = ("labelled", "validation", "unlabelled")


@flax.struct.dataclass
class Split:
    """The labelled, validation and unlabelled images of one seed: disjoint sets of indices that cover all ``N``."""

    labelled: jax.Array  # int32 [L]
    validation: jax.Array  # int32 [V]
    unlabelled: jax.Array  # int32 [U]
    # float32 [2, C], the least and the greatest share of each class in the population; None: as among the labelled ones
    shares: jax.Array | None = None

    @property
    def indices(self) -> dict[str, Any]:
        """The three sets by name."""
        return {name: getattr(self, name) for name in SETS}


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
    # int32 [K] of the first K unlabelled images or, if assigned once, of all that training draws from; -1: none
    pseudo_labels: jax.Array | None = None


@flax.struct.dataclass
class AssignedLabels:
    """The pseudo-labels that were assigned in a round, in the order in which they were assigned."""

    rows: jax.Array  # int32 [K], indices of training images
    labels: jax.Array  # int32 [K]; -1: none was assigned
