"""The trained networks of a finished run, loaded again seed by seed: what figures and predictions are made of."""

import operator
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax.data.split import Sizes, of_seed
from pljax.nn.networks import to_inputs
from pljax.nn.outputs import log_probabilities
from pljax.nn.trees import by_path, with_leaves
from pljax.protocols.config import Config, shapes
from pljax.results.folder import EXTRA, RunFolder
from pljax.results.inference import logits
from pljax.results.result import Result
from pljax.types import Dataset, InputError, Params, Split

AUTOENCODER = "autoencoder"  # what :attr:`pljax.methods.Method.pretrains` calls one


class TrainedNetworks(NamedTuple):
    """The networks of one seed at the end of a run."""

    config: Config
    classes: int
    seed: int
    classifier: Params
    extra: Any  # the extra state of the method; None where the run has none
    pretrained: dict[str, Params]  # networks of pre-training, by the name of their file, where they were kept


class Reconstructions(NamedTuple):
    """What an auto-encoder makes of images, pixels in [0, 1]: float32 ``[n, D]`` each."""

    originals: np.ndarray
    corrupted: np.ndarray
    reconstructed: np.ndarray


def load(folder: RunFolder, result: Result) -> dict[int, TrainedNetworks]:
    """The networks of each seed, from the parameters in the run's folder.

    Raises ``InputError`` if these are not there, or not those of the run's config.
    """
    config, classes, seeds = result.effective_config(), len(result.class_counts["test"]), len(result.seeds)
    params = folder.load_parameters()
    images = jax.ShapeDtypeStruct((result.dataset["train"], features_of(result, params)), np.uint8)
    expected = shapes(config, images, classes)
    params, extra = with_leaves(expected[-1][0], seeds, by_path(params)), None
    if (folder.path / EXTRA).exists():
        extra = with_leaves(expected[-1][1], seeds, upgrade_extra(folder.load_arrays(EXTRA)))
    pretrained = {}
    for phase, (of_phase, _) in zip(config.phases, expected, strict=True):
        file = f"{phase.method.pretrains}.npz"
        if phase.method.pretrains and (folder.path / file).exists():
            arrays = by_path(folder.load_parameters(file))
            pretrained[phase.method.pretrains] = with_leaves(of_phase, seeds, arrays)
    of_all = (params, extra, pretrained)
    return {
        seed: TrainedNetworks(config, classes, seed, *jax.tree.map(operator.itemgetter(place), of_all))
        for place, seed in enumerate(result.seeds)
    }


def features_of(result: Result, params: Params) -> int:
    """The number of features of a row.

    Results of an earlier version do not have it. Their networks, ``params`` with a leading axis, have a hidden layer.
    """
    if "features" in result.dataset:
        return result.dataset["features"]
    try:
        return params["hidden"]["kernel"].shape[1]
    except (AttributeError, IndexError, KeyError, TypeError):
        return 1  # and the shapes will not fit


def upgrade_extra(extra: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The extra state of a run, also of an earlier version, which had one share of a class instead of two bounds.

    >>> upgrade_extra({"shares": np.array([[0.75, 0.25]])})["shares"].tolist()
    [[[0.75, 0.25], [0.75, 0.25]]]
    """
    shares = extra.get("shares")
    if shares is None or shares.ndim != 2:
        return dict(extra)
    return {**extra, "shares": np.stack([shares, shares], axis=1)}


def probabilities(networks: TrainedNetworks, images: np.ndarray) -> np.ndarray:
    """The outputs of the classifier for images, uint8 ``[n, D]``, without dropout: float32 ``[n, C]``.

    Sigmoid outputs are not divided by their sum. Raises ``InputError`` if the weights are not finite.
    """
    method = networks.config.method
    params, extra = jax.tree.map(lambda leaf: leaf[None], (networks.classifier, networks.extra))
    logits_of_seed = jnp.asarray(logits(method, params, extra, images)[0])
    outputs = np.exp(np.asarray(log_probabilities(logits_of_seed, method.output)))
    if not np.isfinite(outputs).all():
        raise InputError(f"The network of seed {networks.seed} has weights that are not finite.")
    return outputs


def split(config: Config, seed: int, dataset: Dataset) -> Split:
    """The indices that a seed trains with, int32 arrays on the host."""
    sizes = Sizes(
        classes=dataset.classes, labels=config.labels, validation=config.validation, choose=config.choose_labels
    )
    return jax.device_get(of_seed(jax.random.key(np.uint32(seed)), jnp.asarray(dataset.train_labels), **sizes))


def reconstruct(networks: TrainedNetworks, dataset: Dataset, rows: np.ndarray) -> Reconstructions:
    """What the auto-encoder, dropout off, makes of training images that are corrupted as in its training.

    Raises ``InputError`` if the run has no auto-encoder.
    """
    for phase in networks.config.phases:
        if phase.method.pretrains == AUTOENCODER and AUTOENCODER in networks.pretrained:
            method: Any = phase.method
            break
    else:
        raise InputError("No auto-encoder was kept with this run.")
    originals = to_inputs(jnp.asarray(dataset.train_images[rows]))
    corrupted = method.corrupt(jax.random.key(0), originals, jnp.asarray(rows, jnp.int32), 0)
    restored = method.reconstruct(networks.pretrained[AUTOENCODER], corrupted)
    return Reconstructions(*map(np.asarray, (originals, corrupted, restored)))
