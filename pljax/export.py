"""``python -m pljax.export``: a finished run as a file that needs no pljax: a StableHLO program, or plain tensors."""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import numpy as np

from pljax.data.serialization import without_nan, write_whole
from pljax.nn.trees import by_path
from pljax.report import terminal
from pljax.results import ensemble
from pljax.results.folder import RunFolder
from pljax.settings import to_json
from pljax.types import InputError

FORMATS = ("stablehlo", "safetensors")
PLATFORMS = ("cpu", "cuda", "tpu")
TOLERANCE = 1e-6


def stablehlo(of: ensemble.Ensemble) -> bytes:
    """The program float32 ``[batch, D]`` -> mean probabilities, float32 ``[batch, C]``, for any batch, weights inside.

    ``jax.export.deserialize(bytearray(content)).call(features)`` runs it, on a CPU, GPU or TPU.
    """
    (batch,) = jax.export.symbolic_shape("batch")
    rows = jax.ShapeDtypeStruct((batch, of.features), np.float32)
    program = jax.jit(lambda features: ensemble.by_seed(of, of.params, of.extra, features).mean(axis=0))
    with jax.default_matmul_precision("float32"):  # the same answers wherever it will run
        return bytes(jax.export.export(program, platforms=PLATFORMS)(rows).serialize())


def about(of: ensemble.Ensemble) -> dict[str, str]:
    """What must be known beside the numbers, each as JSON."""
    scaling = of.inputs.scaling._asdict() if of.inputs else {"shift": 0, "scale": 255}
    facts = {
        "classes": of.classes,
        "features": of.features,
        "columns": of.inputs.columns if of.inputs else (),
        "inputs": scaling,
        "seeds": of.seeds,
        "config": to_json(of.config),
    }
    return {name: json.dumps(without_nan(fact)) for name, fact in facts.items()}


def safetensors(of: ensemble.Ensemble) -> bytes:
    """The weights by path, ``hidden/kernel`` for example, a leading axis of seeds on each, and :func:`about` them.

    What the method carries beside them is below ``extra/``.
    """
    from safetensors.numpy import save

    tensors = {name: np.ascontiguousarray(leaf) for name, leaf in _tensors(of).items()}
    return bytes(save(tensors, metadata=about(of)))


def _tensors(of: ensemble.Ensemble) -> dict[str, np.ndarray]:
    return {**by_path(of.params), **by_path({"extra": of.extra})}


def check(of: ensemble.Ensemble, path: Path, form: str) -> None:
    """Read the file back and raise ``RuntimeError`` unless it does what the run's networks do."""
    content = path.read_bytes()
    if form == "safetensors":
        from safetensors.numpy import load

        read, written = load(content), _tensors(of)
        if set(read) != set(written) or not all(np.array_equal(read[name], written[name]) for name in written):
            raise RuntimeError(f"{path} does not hold the weights of the run.")
        return
    program = jax.export.deserialize(bytearray(content))
    generator = np.random.default_rng(0)
    for rows in (1, 3):
        features = _plausible(of, generator.random((rows, of.features)))
        with jax.default_matmul_precision("float32"):
            expected = ensemble.probabilities(of, features).mean(axis=0)
        if np.abs(np.asarray(program.call(features)) - expected).max() > TOLERANCE:
            raise RuntimeError(f"{path} does not predict what the run's networks predict.")


def _plausible(of: ensemble.Ensemble, numbers: np.ndarray) -> np.ndarray:
    """Numbers in [0, 1] as features in the range that the networks know."""
    if of.inputs is None:
        return (255 * numbers).astype(np.float32)
    shift, scale = of.inputs.scaling
    return (shift + scale * (2 * numbers - 1)).astype(np.float32)


def execute(arguments: argparse.Namespace) -> None:
    """Everything that the command line asks for, in order."""
    if Path(arguments.output or "").suffix.lower() == ".json":
        raise InputError(f"--output is {arguments.output!r}, but what must be known beside it goes there: rename it.")
    of = ensemble.load(RunFolder(arguments.run))
    output = Path(arguments.output or Path(arguments.run) / f"model.{arguments.format}")
    try:
        write_whole(output, stablehlo(of) if arguments.format == "stablehlo" else safetensors(of))
        if arguments.format == "stablehlo":
            facts = {name: json.loads(fact) for name, fact in about(of).items()}
            write_whole(output.with_suffix(".json"), json.dumps(facts, indent=1) + "\n")
        check(of, output, arguments.format)
    except OSError as error:
        raise InputError(f"{output} cannot be written ({error.strerror}): give another --output.") from error
    print(f"{output}: {output.stat().st_size:,} bytes, read back and checked")


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 2 and one sentence for input that cannot be used."""
    parser = argparse.ArgumentParser(prog="python -m pljax.export", description="A finished run without pljax.")
    parser.add_argument("--run", required=True, help="the folder of a finished run")
    parser.add_argument("--format", required=True, choices=FORMATS)
    parser.add_argument("--output", help="default: model.stablehlo or model.safetensors in the run's folder")
    return terminal.run(parser, execute, arguments)


if __name__ == "__main__":
    sys.exit(main())
