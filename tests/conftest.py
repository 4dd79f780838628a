"""Strict promotion of dtypes and ranks, two CPU devices, and a data set small enough for every test."""

import os
from pathlib import Path

os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=2"
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax  # noqa: E402
import numpy as np  # noqa: E402
import pytest  # noqa: E402

from pljax.types import Dataset  # noqa: E402

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")

REAL_MNIST = Path(__file__).parents[2] / "shared" / "data" / "mnist"


@pytest.fixture(scope="session")
def real_mnist() -> Path:
    """The folder of the four original files, which the project does not carry."""
    if not REAL_MNIST.exists():
        pytest.skip(f"the original MNIST files are not at {REAL_MNIST}")
    return REAL_MNIST


def make_blobs(train: int = 240, test: int = 60, classes: int = 4, features: int = 12) -> Dataset:
    """A data set of noisy class patterns: easy, and every split and phase can be made of it."""
    generator = np.random.default_rng(0)
    patterns = generator.integers(0, 200, (classes, features))

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = (np.arange(count) % classes).astype(np.int32)
        images = patterns[labels] + generator.integers(0, 56, (count, features))
        return images.astype(np.uint8), labels

    return Dataset("blobs", classes, *draw(train), *draw(test))


@pytest.fixture(scope="session")
def blobs() -> Dataset:
    return make_blobs()
