"""The networks of a finished run, asked once more: what pictures are made of. Nothing here trains."""

import functools
import operator
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax.data.split import Sizes, of_seed
from pljax.methods import Method
from pljax.nn.networks import in_blocks, to_inputs
from pljax.nn.outputs import log_probabilities
from pljax.nn.trees import by_path, with_leaves
from pljax.protocols.config import Config, shapes
from pljax.results.folder import EXTRA, RunFolder
from pljax.results.result import Result
from pljax.types import Dataset, InputError, Params, Split

AUTOENCODER = "autoencoder"  # what :attr:`pljax.methods.Method.pretrains` calls one


class Networks(NamedTuple):
    """What one seed of a run ended with."""

    config: Config
    classes: int
    seed: int
    classifier: Params
    extra: Any  # what the method carries beside the weights; None where it is not kept
    pretrained: dict[str, Params]  # networks of pre-training, by the name of their file, where they were kept


class Reconstructions(NamedTuple):
    """What an auto-encoder makes of images, pixels in [0, 1]: float32 ``[n, D]`` each."""

    originals: np.ndarray
    corrupted: np.ndarray
    reconstructed: np.ndarray


def load(folder: RunFolder, result: Result) -> dict[int, Networks]:
    """The networks of each seed, from the parameters in the run's folder.

    Raises ``InputError`` if these are not there, or not those of the run's config.
    """
    config, classes, seeds = result.effective_config(), len(result.class_counts["test"]), len(result.seeds)
    params = folder.load_parameters()
    try:
        features = params["hidden"]["kernel"].shape[1]
    except (AttributeError, IndexError, KeyError, TypeError):
        features = 1  # and the shapes will not fit
    images = jax.ShapeDtypeStruct((result.dataset["train"], features), np.uint8)
    expected = shapes(config, images, classes)
    params, extra = with_leaves(expected[-1][0], seeds, by_path(params)), None
    if (folder.path / EXTRA).exists():
        extra = with_leaves(expected[-1][1], seeds, folder.load_arrays(EXTRA))
    pretrained = {}
    for phase, (of_phase, _) in zip(config.phases, expected, strict=True):
        file = f"{phase.method.pretrains}.npz"
        if phase.method.pretrains and (folder.path / file).exists():
            arrays = by_path(folder.load_parameters(file))
            pretrained[phase.method.pretrains] = with_leaves(of_phase, seeds, arrays)
    return {
        seed: Networks(config, classes, seed, *jax.tree.map(operator.itemgetter(place), (params, extra, pretrained)))
        for place, seed in enumerate(result.seeds)
    }


def probabilities(networks: Networks, images: np.ndarray) -> np.ndarray:
    """The classifier's outputs for images, uint8 ``[n, D]``, with dropout off: float32 ``[n, C]``.

    Raises ``InputError`` if its weights are not finite.
    """
    outputs = _outputs(networks.config.method)
    answers = np.asarray(outputs(networks.classifier, networks.extra, images))
    if not np.isfinite(answers).all():
        raise InputError(f"The network of seed {networks.seed} has weights that are not finite.")
    return answers


@functools.lru_cache(maxsize=8)
def _outputs(method: Method) -> Callable[..., jax.Array]:
    def outputs(params: Params, extra: Any, images: jax.Array) -> jax.Array:
        logits = in_blocks(lambda block: method.logits(params, extra, block), images)
        return jnp.exp(log_probabilities(logits, method.output))

    return jax.jit(outputs)


def split(networks: Networks, dataset: Dataset) -> Split:
    """The indices that the seed trained with, int32 arrays on the host."""
    config, root = networks.config, jax.random.key(np.uint32(networks.seed))
    sizes = Sizes(
        classes=networks.classes, labels=config.labels, validation=config.validation, choose=config.choose_labels
    )
    return jax.device_get(of_seed(root, jnp.asarray(dataset.train_labels), **sizes))


def reconstruct(networks: Networks, dataset: Dataset, rows: np.ndarray) -> Reconstructions:
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
