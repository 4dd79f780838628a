"""The networks of a finished run, asked once more: what pictures are made of. Nothing here trains."""

import functools
import operator
from collections.abc import Callable, Sequence
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from pljax import phases, pretrain
from pljax.config import Config, Pretrain
from pljax.models import forward, predict, to_inputs
from pljax.result import Result
from pljax.score import log_probabilities
from pljax.seeds import seed_keys
from pljax.types import Dataset, InputError, Params, Split
from pljax.workdir import AUTOENCODER, RunFolder


class Networks(NamedTuple):
    """What one seed of a run ended with."""

    config: Config
    classes: int
    seed: int
    classifier: Params
    autoencoder: Params | None  # None where none was trained or kept


class Reconstructions(NamedTuple):
    """What an auto-encoder makes of images, pixels in [0, 1]: float32 ``[n, D]`` each."""

    originals: np.ndarray
    corrupted: np.ndarray
    reconstructed: np.ndarray


def load(folder: RunFolder, result: Result) -> dict[int, Networks]:
    """The networks of each seed, from the parameters in the run's folder.

    Raises ``InputError`` if these are not there, or not those of the run's config.
    """
    config, classes = result.effective_config(), len(result.class_counts["test"])
    first = config.phases[0]
    classifiers = _by_seed(folder.load_parameters(), result.seeds, phases.final_model(config, classes))
    autoencoders: dict[int, Params] = {}
    if isinstance(first, Pretrain) and (folder.path / AUTOENCODER).exists():
        encoder = pretrain.autoencoder(config, first)
        autoencoders = _by_seed(folder.load_parameters(AUTOENCODER), result.seeds, encoder)
    return {seed: Networks(config, classes, seed, classifiers[seed], autoencoders.get(seed)) for seed in result.seeds}


def _by_seed(params: Params, seeds: Sequence[int], model: nn.Module) -> dict[int, Params]:
    """The seeds' shares of saved parameters. Raises ``InputError`` if the model has others."""
    try:
        features = params["hidden"]["kernel"].shape[1]
    except (AttributeError, IndexError, KeyError, TypeError):
        features = 1  # and the comparison below fails
    image = jax.ShapeDtypeStruct((1, features), jnp.float32)
    expected = jax.eval_shape(model.init, jax.eval_shape(lambda: jax.random.key(0)), image)["params"]
    of_all_seeds = jax.tree.map(lambda leaf: ((len(seeds), *leaf.shape), leaf.dtype), expected)
    if jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), params) != of_all_seeds:
        raise InputError("The saved parameters are not those of the run's config.")
    return {seed: jax.tree.map(operator.itemgetter(place), params) for place, seed in enumerate(seeds)}


def probabilities(networks: Networks, images: np.ndarray) -> np.ndarray:
    """The classifier's outputs for images, uint8 ``[n, D]``, with dropout off: float32 ``[n, C]``.

    Raises ``InputError`` if its weights are not finite.
    """
    answers = np.asarray(_outputs(networks.config, networks.classes)(networks.classifier, images))
    if not np.isfinite(answers).all():
        raise InputError(f"The network of seed {networks.seed} has weights that are not finite.")
    return answers


@functools.lru_cache(maxsize=8)
def _outputs(config: Config, classes: int) -> Callable[..., jax.Array]:
    model, output = phases.final_model(config, classes), config.output
    return jax.jit(lambda params, images: jnp.exp(log_probabilities(predict(model, params, images), output)))


def split(networks: Networks, train_labels: np.ndarray) -> Split:
    """The indices that the seed trained with, int32 arrays on the host."""
    (root,) = seed_keys([networks.seed])
    return jax.device_get(phases.split_of(networks.config, networks.classes, root, jnp.asarray(train_labels)))


def reconstruct(networks: Networks, dataset: Dataset, rows: np.ndarray) -> Reconstructions:
    """What the auto-encoder, dropout off, makes of training images that are corrupted as in its training.

    Raises ``InputError`` if the run has no auto-encoder.
    """
    phase = networks.config.phases[0]
    if networks.autoencoder is None or not isinstance(phase, Pretrain):
        raise InputError("No auto-encoder was kept with this run.")
    originals = to_inputs(jnp.asarray(dataset.train_images[rows]))
    corrupted = pretrain.corrupt(phase, jax.random.key(0), originals, jnp.asarray(rows, jnp.int32))
    logits = forward(pretrain.autoencoder(networks.config, phase), networks.autoencoder, corrupted)
    restored = jax.nn.sigmoid(logits) if phase.error == "cross_entropy" else logits
    return Reconstructions(*map(np.asarray, (originals, corrupted, restored)))
