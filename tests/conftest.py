"""Strict promotion of dtypes and ranks, two CPU devices, and a data set small enough for every test."""

import contextlib
import ctypes
import gc
import importlib.metadata
import os
from pathlib import Path

# Tests compile many programs and run each for milliseconds, so XLA is told not to optimise them much.
os.environ["XLA_FLAGS"] = " ".join(
    (
        os.environ.get("XLA_FLAGS", ""),
        "--xla_force_host_platform_device_count=2",
        "--xla_backend_optimization_level=0",
        "--xla_llvm_disable_expensive_passes=true",
        # Half of the time. Later versions may lack these flags, and one that XLA does not know ends the process.
        "--xla_cpu_use_fusion_emitters=false --xla_cpu_parallel_codegen_split_count=1"
        if importlib.metadata.version("jaxlib").startswith("0.10.")
        else "",
    )
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # no test starts from what another one left

import jax
import jax.monitoring
import numpy as np
import psutil
import pytest

from pljax.types import Dataset

jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


# Modules that tests share: imported by their name alone, so that each exists once.
collect_ignore = [path.name for path in Path(__file__).parent.glob("*.py") if not path.name.startswith("test_")]

MOST_MEMORY = 3 * 2**29  # bytes of a test process, beside which it frees what JAX compiled


@pytest.fixture(autouse=True, scope="module")
def _compiled_programs_are_freed():
    """JAX keeps every program that a process compiled: those of all tests would be gigabytes.

    The tests of a file share programs, so none is freed before the file ends.
    """
    yield
    if psutil.Process().memory_info().rss > MOST_MEMORY:
        jax.clear_caches()
        gc.collect()
        with contextlib.suppress(OSError, AttributeError):  # glibc gives freed memory back only when it is asked to
            ctypes.CDLL(None).malloc_trim(0)


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


@pytest.fixture
def jax_compiles():
    """How many programs have been compiled so far."""
    seen = []
    jax.monitoring.register_event_duration_secs_listener(
        lambda event, *_, **__: seen.append(event) if event == "/jax/core/compile/backend_compile_duration" else None
    )
    yield lambda: len(seen)
    jax.monitoring.clear_event_listeners()
