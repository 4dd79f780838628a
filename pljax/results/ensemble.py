"""The networks of all seeds of a finished run as one classifier: their probabilities, averaged."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from pljax.data import custom
from pljax.data.tables import ReadOptions, Rows, read
from pljax.nn.outputs import class_probabilities
from pljax.protocols.config import Config
from pljax.results import trained
from pljax.results.folder import RunFolder
from pljax.results.result import Result
from pljax.types import InputError, Inputs, Params

BLOCK_ROWS = 1024  # rows in one go


class Ensemble(NamedTuple):
    """What it takes to classify rows. Pixels are float32 from 0 to 255, other features as they are in their file."""

    config: Config
    classes: tuple[str, ...]  # [C]
    seeds: tuple[int, ...]  # [S], those that did not diverge
    params: Params  # a leading axis of seeds on each, on the host
    extra: Any  # what the method carries beside them, likewise
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
    networks = trained.load(folder, result)
    seeds = tuple(seed for seed in result.seeds if str(seed) not in result.diverged)
    if not seeds:
        raise InputError(f"Every seed of {folder.path} diverged: there is no classifier.")
    kept = [(networks[seed].classifier, networks[seed].extra) for seed in seeds]
    params, extra = jax.tree.map(lambda *leaves: np.stack(leaves), *kept)
    features = params["hidden"]["kernel"].shape[1]
    if len(classes) != len(result.class_counts["test"]) or (found and not _fit(found[0], features)):
        raise InputError(f"{folder.path} holds inputs of another network than its parameters are of.")
    return Ensemble(result.effective_config(), classes, seeds, params, extra, found[0] if found else None, features)


def _fit(inputs: Inputs, features: int) -> bool:
    """Whether these can be inputs of a network that takes so many features."""
    shift, scale = inputs.scaling
    side, channels = inputs.image or (0, 0)
    pixels = inputs.image is None or (side > 0 and channels in (1, 3) and side * side * channels == features)
    finite = bool(np.isfinite(shift).all() and np.isfinite(scale).all() and (scale > 0).all())
    return len(shift) == features and len(inputs.columns) in (0, features) and pixels and finite


def by_seed(ensemble: Ensemble, params: Params, extra: Any, features: jax.Array) -> jax.Array:
    """The probabilities that each seed's network gives, float32 ``[n, D] -> [S, n, C]``. Pure."""
    method = ensemble.config.method
    if ensemble.inputs is None:
        inputs = features / 255
    else:
        shift, scale = ensemble.inputs.scaling
        inputs = (features - shift[None]) / scale[None]

    def of_seed(own: tuple[Params, Any]) -> jax.Array:
        params, extra = own
        return class_probabilities(method.logits(params, extra, inputs), method.output)

    return jax.lax.map(of_seed, (params, extra))


def probabilities(ensemble: Ensemble, features: np.ndarray) -> np.ndarray:
    """What :func:`by_seed` gives for rows on the host, a block at a time: float32 ``[S, n, C]``."""
    compiled = jax.jit(lambda params, extra, block: by_seed(ensemble, params, extra, block))
    params, extra = jax.device_put((ensemble.params, ensemble.extra))
    blocks = [np.zeros((len(ensemble.seeds), 0, len(ensemble.classes)), np.float32)]
    for first in range(0, len(features), BLOCK_ROWS):
        block = features[first : first + BLOCK_ROWS]
        padded = np.zeros((BLOCK_ROWS, ensemble.features), np.float32)
        padded[: len(block)] = block
        blocks.append(np.asarray(compiled(params, extra, padded))[:, : len(block)])
    return np.concatenate(blocks, axis=1)


def read_rows(ensemble: Ensemble, path: str) -> Rows:
    """The rows of a file or folder that the networks can classify. Raises ``InputError``."""
    if ensemble.inputs is not None:
        return custom.read_like(path, ensemble.inputs, ReadOptions())
    side = round(ensemble.features**0.5)
    rows = read(Path(path), ReadOptions(image=(side, 1)))
    if rows.features.shape[1] != ensemble.features:
        raise InputError(f"{path} has {rows.features.shape[1]} features, but the network takes {ensemble.features}.")
    if rows.features.min() < 0 or rows.features.max() > 255 or (rows.features % 1).any():
        raise InputError(f"{path} has numbers that are no pixels: the network takes whole numbers from 0 to 255.")
    return rows
