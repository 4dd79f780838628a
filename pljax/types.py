"""The values that travel through the program, each with its shape beside it.

Sizes: ``N`` training images, ``M`` test images, ``D`` features (784 pixels on MNIST), ``C`` classes,
``L`` labelled, ``V`` validation and ``U`` unlabelled images. No function of the core mentions the axis of
seeds: ``seeds.Layout`` puts it on from outside.
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
    """Something the user gave cannot be used; the message is one sentence, on one line, that says what to do."""

    def __init__(self, sentence: str):
        super().__init__(" ".join(sentence.splitlines()))  # what it quotes may have line breaks: a path, a name


class Scaling(NamedTuple):
    """How the features of a file became the inputs of a network: ``(x - shift) / scale``."""

    shift: np.ndarray  # float32 [D]
    scale: np.ndarray  # float32 [D]

    def apply(self, features: np.ndarray) -> np.ndarray:
        """Numbers ``[n, D]`` of any kind as float32 inputs."""
        inputs = features.astype(np.float32)
        inputs -= self.shift
        inputs /= self.scale
        return inputs


class Inputs(NamedTuple):
    """How the rows of people's own files become inputs of a network."""

    columns: tuple[str, ...]  # [D], what the features of a table are called; empty: it was none
    image: tuple[int, int] | None  # side length and channels of pictures from a folder
    scaling: Scaling


@dataclasses.dataclass(frozen=True, eq=False)
class Dataset:
    """Images, or rows of features, and labels on the host, whole. Only the final scoring reads the two test arrays."""

    name: str
    classes: int  # C
    train_images: np.ndarray  # uint8 [N, D], or float32: see nn.networks.to_inputs
    train_labels: np.ndarray  # int32 [N]; -1: not known
    test_images: np.ndarray  # of the same dtype, [M, D]
    test_labels: np.ndarray  # int32 [M]
    class_names: tuple[str, ...] = ()  # [C]; empty: the classes are called by their numbers
    inputs: Inputs | None = None  # where the images come from one's own files
    row_names: tuple[str, ...] = ()  # [N], where the training images have names

    @property
    def names(self) -> tuple[str, ...]:
        """What the classes are called, ``[C]``."""
        return self.class_names or tuple(map(str, range(self.classes)))

    @functools.cached_property
    def digest(self) -> str:
        """SHA-256 over the four arrays (name, dtype, shape and bytes of each), in hexadecimal."""
        sha = hashlib.sha256()
        for name in ("train_images", "train_labels", "test_images", "test_labels"):
            array = np.ascontiguousarray(getattr(self, name))
            sha.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
            sha.update(array.data)
        return sha.hexdigest()


@flax.struct.dataclass
class TrainingData:
    """What training may look at, on the device once and shared by all seeds: no test image is in here."""

    images: jax.Array  # uint8 or float32 [N, D]
    labels: jax.Array  # int32 [N], -1: not known; training reads those of the labelled images alone
    labelled: jax.Array  # int32 [], how many of the first of Split.labelled count: all, unless there is room for more
    unlabelled: jax.Array  # int32 [], and of Split.unlabelled
    classes: int = flax.struct.field(pytree_node=False)


@flax.struct.dataclass
class Split:
    """Which training images play which part: three disjoint sets of indices that cover all ``N``."""

    labelled: jax.Array  # int32 [L]
    validation: jax.Array  # int32 [V]
    unlabelled: jax.Array  # int32 [U]


@flax.struct.dataclass
class TrainState:
    """What the next update needs, and nothing else."""

    params: Params
    opt_state: Any
    extra: Any = None  # what the method carries beside the weights


# What a person wants to see of an epoch: scalars by name. ``finite`` (bool) is always among them.
Metrics = dict[str, jax.Array]


@flax.struct.dataclass
class Evaluation:
    """The network between two epochs, measured and not trained on. Diagnostics: nothing is chosen by them."""

    metrics: Metrics
    pseudo_labels: jax.Array | None = None  # int32 [K]: the labels of K watched unlabelled images


@flax.struct.dataclass
class AssignedLabels:
    """The pseudo-labels that were given in a round, in the order in which they were given."""

    rows: jax.Array  # int32 [K], training images
    labels: jax.Array  # int32 [K]; -1: none was given
