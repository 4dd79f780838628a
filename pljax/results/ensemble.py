"""The networks of all seeds of a finished run as one classifier, for prediction and export."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pljax.data import custom
from pljax.data.reading.checks import require_pixels
from pljax.data.reading.rows import Rows
from pljax.nn.outputs import class_probabilities
from pljax.protocols.config import Config
from pljax.results import trained
from pljax.results.folder import RunFolder
from pljax.results.inference import logits, logits_by_seed
from pljax.results.result import Result
from pljax.types import DEFAULT_OPTIONS, InputError, Inputs, Params, ReadOptions, Scaling


class Ensemble(NamedTuple):
    """A classifier of rows. Pixels are float32 from 0 to 255, other features as they are in their file."""

    config: Config
    classes: tuple[str, ...]  # [C]
    seeds: tuple[int, ...]  # [S], those that did not diverge
    params: Params  # a leading axis of seeds on each, on the host
    extra: Any  # the extra state of the method, likewise
    inputs: Inputs | None  # None: the inputs are pixels
    features: int  # D

    @property
    def scaling(self) -> Scaling:
        """How features become inputs of the network."""
        if self.inputs:
            return self.inputs.scaling
        return Scaling(np.zeros(self.features), np.full(self.features, 255.0))


def load(folder: RunFolder) -> Ensemble:
    """The networks in the folder of a finished run. Raises ``InputError``."""
    if not folder.finished:
        begun = (folder.path / "run.json").exists()
        what = (
            "is not finished: run its command again to finish it" if begun else "holds no run: give the folder of one"
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
    features = trained.features_of(result, params)
    if len(classes) != len(result.class_counts["test"]) or (found and not _fits(found[0], features)):
        raise InputError(f"{folder.path} holds inputs of another network than its parameters are of.")
    return Ensemble(result.effective_config(), classes, seeds, params, extra, found[0] if found else None, features)


def _fits(inputs: Inputs, features: int) -> bool:
    """Whether ``inputs`` fit a network with this number of input features."""
    shift, scale = inputs.scaling
    side, channels = inputs.image or (0, 0)
    pixels = inputs.image is None or (side > 0 and channels in (1, 3) and side * side * channels == features)
    finite = bool(np.isfinite(shift).all() and np.isfinite(scale).all() and (scale > 0).all())
    return len(shift) == features and len(inputs.columns) in (0, features) and pixels and finite


def by_seed(ensemble: Ensemble, params: Params, extra: Any, features: jax.Array) -> jax.Array:
    """The class probabilities of each seed's network, ``[n, D] -> [S, n, C]``, float32. Pure."""
    method, (shift, scale) = ensemble.config.method, (values[None] for values in ensemble.scaling)
    near = shift.astype(features.dtype)  # the rest of the shift is what this dtype does not hold of it
    rest, scale = (values.astype(features.dtype) for values in (shift - near, scale))
    inputs = ((features - near - rest) / scale).astype(jnp.float32)
    return class_probabilities(logits_by_seed(method, params, extra, inputs), method.output)


def probabilities(ensemble: Ensemble, features: np.ndarray) -> np.ndarray:
    """The class probabilities of each seed's network for rows on the host: float32 ``[n, D] -> [S, n, C]``."""
    method, inputs = ensemble.config.method, ensemble.scaling.apply(features)
    by_seed = jnp.asarray(logits(method, ensemble.params, ensemble.extra, inputs))
    return np.asarray(class_probabilities(by_seed, method.output))


def read_rows(ensemble: Ensemble, path: str, options: ReadOptions = DEFAULT_OPTIONS) -> Rows:
    """The rows of a file or folder that the networks can classify.

    ``options`` are those for this file; what they leave open is as for the training rows. Raises ``InputError``.
    """
    if ensemble.inputs is not None:
        return custom.read_like(path, ensemble.inputs, options, labelled=False)
    side = round(ensemble.features**0.5)
    rows = custom.read(Path(path).expanduser(), options._replace(image=(side, 1)))
    if rows.features.shape[1] != ensemble.features:
        raise InputError(f"{path} has {rows.features.shape[1]} features, but the network takes {ensemble.features}.")
    require_pixels(path, rows)
    return rows
