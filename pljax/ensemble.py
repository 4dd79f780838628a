"""The networks of all seeds of a finished run as one classifier: their probabilities, averaged."""

from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from pljax import own_data, revisit
from pljax.config import Config
from pljax.models import forward
from pljax.own_files import How, Rows, read
from pljax.phases import final_model
from pljax.result import Result
from pljax.score import class_probabilities
from pljax.types import InputError, Inputs, Params
from pljax.workdir import RunFolder

BLOCK_ROWS = 1024  # rows in one go


class Ensemble(NamedTuple):
    """What it takes to classify rows. Pixels are float32 from 0 to 255, other features as they are in their file."""

    config: Config
    classes: tuple[str, ...]  # [C]
    seeds: tuple[int, ...]  # [S], those that did not diverge
    params: Params  # a leading axis of seeds on each, on the host
    inputs: Inputs | None  # None: the inputs are pixels
    features: int  # D


def load(folder: RunFolder) -> Ensemble:
    """The networks in the folder of a finished run. Raises ``InputError``."""
    if not folder.finished:
        begun = (folder.path / "run.json").exists()
        what = (
            "is not finished: the command that began it goes on with it" if begun else "holds no run: give its folder"
        )
        raise InputError(f"{folder.path} {what}.")
    result = Result.load(folder.path)
    found = folder.load_inputs()
    classes = found[1] if found else tuple(map(str, range(len(result.class_counts["test"]))))
    networks = revisit.load(folder, result)
    seeds = tuple(seed for seed in result.seeds if str(seed) not in result.diverged)
    if not seeds:
        raise InputError(f"Every seed of {folder.path} diverged: there is no classifier.")
    params = jax.tree.map(lambda *leaves: np.stack(leaves), *(networks[seed].classifier for seed in seeds))
    features = params["hidden"]["kernel"].shape[1]
    if len(classes) != params["output"]["bias"].shape[1] or (found and not _fit(found[0], features)):
        raise InputError(f"{folder.path} holds inputs of another network than its parameters are of.")
    return Ensemble(result.effective_config(), classes, seeds, params, found[0] if found else None, features)


def _fit(inputs: Inputs, features: int) -> bool:
    """Whether these can be inputs of a network that takes so many features."""
    shift, scale = inputs.scaling
    side, channels = inputs.image or (0, 0)
    pixels = inputs.image is None or (side > 0 and channels in (1, 3) and side * side * channels == features)
    finite = bool(np.isfinite(shift).all() and np.isfinite(scale).all() and (scale > 0).all())
    return len(shift) == features and len(inputs.columns) in (0, features) and pixels and finite


def by_seed(ensemble: Ensemble, params: Params, features: jax.Array) -> jax.Array:
    """The probabilities that each seed's network gives, float32 ``[n, D] -> [S, n, C]``. Pure."""
    model = final_model(ensemble.config, len(ensemble.classes))
    if ensemble.inputs is None:
        inputs = features / 255
    else:
        shift, scale = ensemble.inputs.scaling
        inputs = (features - shift[None]) / scale[None]
    return jax.lax.map(
        lambda of_seed: class_probabilities(forward(model, of_seed, inputs), ensemble.config.output), params
    )


def probabilities(ensemble: Ensemble, features: np.ndarray) -> np.ndarray:
    """What :func:`by_seed` gives for rows on the host, a block at a time: float32 ``[S, n, C]``."""
    compiled = jax.jit(lambda params, block: by_seed(ensemble, params, block))
    params = jax.device_put(ensemble.params)
    blocks = [np.zeros((len(ensemble.seeds), 0, len(ensemble.classes)), np.float32)]
    for first in range(0, len(features), BLOCK_ROWS):
        block = features[first : first + BLOCK_ROWS]
        padded = np.zeros((BLOCK_ROWS, ensemble.features), np.float32)
        padded[: len(block)] = block
        blocks.append(np.asarray(compiled(params, padded))[:, : len(block)])
    return np.concatenate(blocks, axis=1)


def read_rows(ensemble: Ensemble, path: str) -> Rows:
    """The rows of a file or folder that the networks can classify. Raises ``InputError``."""
    if ensemble.inputs is not None:
        return own_data.read_like(path, ensemble.inputs, How())
    side = round(ensemble.features**0.5)
    rows = read(Path(path), How(image=(side, 1)))
    if rows.features.shape[1] != ensemble.features:
        raise InputError(f"{path} has {rows.features.shape[1]} features, but the network takes {ensemble.features}.")
    if rows.features.min() < 0 or rows.features.max() > 255 or (rows.features % 1).any():
        raise InputError(f"{path} has numbers that are no pixels: the network takes whole numbers from 0 to 255.")
    return rows
