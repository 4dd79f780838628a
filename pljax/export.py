"""``python -m pljax.export``: a finished run as a StableHLO program or as safetensors, for use without pljax."""

import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import jax
import numpy as np
from absl import flags

from pljax.cli import terminal
from pljax.data.serialization import without_nan, write_whole
from pljax.nn.trees import by_path
from pljax.results import ensemble
from pljax.results.ensemble import Ensemble
from pljax.results.folder import RunFolder
from pljax.settings import to_json
from pljax.types import InputError

FORMATS = ("stablehlo", "safetensors")
PLATFORMS = ("cpu", "cuda", "tpu")
TOLERANCE = 1e-6

FLAGS = terminal.new_flags()
flags.DEFINE_string("run", None, "The folder of a finished run.", flag_values=FLAGS)
flags.DEFINE_enum("format", None, FORMATS, "the kind of file.", flag_values=FLAGS)
flags.DEFINE_string(
    "output",
    None,
    "The file to write; default: model.stablehlo or model.safetensors in the run's folder.",
    flag_values=FLAGS,
)


def stablehlo(model: Ensemble) -> bytes:
    """The program that maps features ``[batch, D]`` to mean class probabilities, float32 ``[batch, C]``.

    It holds the weights and takes batches of any size. ``jax.export.deserialize(bytearray(content)).call(features)``
    runs it on a CPU, GPU or TPU. Features are float32, or float64 where float32 is too coarse for them (see
    :attr:`pljax.types.Scaling.dtype`): then it is called under ``jax.enable_x64(True)``.
    """
    (batch,) = jax.export.symbolic_shape("batch")
    rows = jax.ShapeDtypeStruct((batch, model.features), model.scaling.dtype)
    program = jax.jit(lambda features: ensemble.by_seed(model, model.params, model.extra, features).mean(axis=0))
    # The precision of products makes the probabilities the same on every platform.
    with _x64(model), jax.default_matmul_precision("float32"):
        return bytes(jax.export.export(program, platforms=PLATFORMS)(rows).serialize())


def _x64(model: Ensemble) -> AbstractContextManager[None]:
    """A context in which JAX has the type of number that the features of a run need."""
    return jax.enable_x64(model.scaling.dtype is np.float64)


def about(model: Ensemble) -> dict[str, str]:
    """The metadata of an exported run, as JSON texts: classes, columns, scaling of inputs, seeds and config."""
    scaling = model.inputs.scaling._asdict() if model.inputs else {"shift": 0, "scale": 255}
    facts = {
        "classes": model.classes,
        "features": model.features,
        "dtype": np.dtype(model.scaling.dtype).name,
        "columns": model.inputs.columns if model.inputs else (),
        "inputs": scaling,
        "seeds": model.seeds,
        "config": to_json(model.config),
    }
    return {name: json.dumps(without_nan(fact)) for name, fact in facts.items()}


def safetensors(model: Ensemble) -> bytes:
    """The weights by path, for example ``hidden/kernel``, with :func:`about` as metadata.

    Each has a leading axis of seeds. The extra state of the method is below ``extra/``.
    """
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(leaf) for name, leaf in _tensors(model).items()}
    return bytes(save(tensors, metadata=about(model)))


def _tensors(model: Ensemble) -> dict[str, np.ndarray]:
    return {**by_path(model.params), **by_path({"extra": model.extra})}


def check(model: Ensemble, content: bytes, form: str) -> None:
    """Raise ``RuntimeError`` unless a file of this content has the weights of the run or predicts what they predict."""
    if form == "safetensors":
        from safetensors.numpy import load

        read, written = load(content), _tensors(model)
        if set(read) != set(written) or not all(np.array_equal(read[name], written[name]) for name in written):
            raise RuntimeError("What would be written does not hold the weights of the run.")
        return
    program = jax.export.deserialize(bytearray(content))
    generator = np.random.default_rng(0)
    for rows in (1, 3):
        features = _plausible(model, generator.random((rows, model.features)))
        with jax.default_matmul_precision("float32"):
            expected = ensemble.probabilities(model, features).mean(axis=0)
        with _x64(model):
            given = np.asarray(program.call(features))
        if not np.abs(given - expected).max() <= TOLERANCE:
            raise RuntimeError("What would be written does not predict what the run's networks predict.")


def _plausible(model: Ensemble, numbers: np.ndarray) -> np.ndarray:
    """Map numbers in [0, 1] to the range of the features that the networks were trained on."""
    if model.inputs is None:
        return (255 * numbers).astype(np.float32)
    shift, scale = model.inputs.scaling
    return (shift + scale * (2 * numbers - 1)).astype(model.scaling.dtype)


def execute(_: Sequence[str]) -> None:
    """Check the run in ``--format``, and write it. Raises ``InputError``."""
    folder = RunFolder(FLAGS.run)
    output = Path(FLAGS.output or folder.path / f"model.{FLAGS.format}").expanduser()
    metadata = output.with_name(f"{output.name}.json")
    for written in (output, *([metadata] if FLAGS.format == "stablehlo" else [])):
        folder.require_foreign(written)
    model = ensemble.load(folder)
    content = stablehlo(model) if FLAGS.format == "stablehlo" else safetensors(model)
    check(model, content, FLAGS.format)
    try:
        write_whole(output, content)
        if FLAGS.format == "stablehlo":
            facts = {name: json.loads(fact) for name, fact in about(model).items()}
            write_whole(metadata, json.dumps(facts, indent=1) + "\n")
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror}): give another --output.") from error
    print(f"{output}: {output.stat().st_size:,} bytes, checked")
    if FLAGS.format == "stablehlo" and model.scaling.dtype is np.float64:
        print("Its features are float64, because float32 is too coarse for them: call it under jax.enable_x64(True).")


COMMAND = terminal.Command(
    name="pljax-export",
    description="Write the networks of a finished run as a StableHLO program, which runs wherever JAX does, or their "
    "weights as safetensors.",
    flag_values=FLAGS,
    execute=execute,
    required=("run", "format"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command with these arguments, or with those of the process. Returns the exit status."""
    return terminal.run(COMMAND, arguments)


def cli() -> None:
    """Run the command as the whole process."""
    terminal.run_process(main)


if __name__ == "__main__":
    cli()
