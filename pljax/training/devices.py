"""The device that JAX computes on: backend, matrix-product precision, compilation cache and memory allocator."""

import contextlib
import ctypes
import os
from pathlib import Path
from typing import Any

import jax
import platformdirs

from pljax.types import InputError

BACKENDS = ("cpu", "gpu", "tpu")
PRECISIONS = ("bfloat16", "tensorfloat32", "float32")
_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's mallopt


def select_backend(name: str | None) -> None:
    """Compute on the backend ``name``; ``None`` leaves the choice to JAX. Call it before anything is computed.

    Raises ``InputError``, with the backends that are available, if this one is not.
    """
    if name is None:
        return
    if name not in BACKENDS:
        raise InputError(f"There is no backend {name!r}: choose one of {', '.join(BACKENDS)}.")
    if name == "cpu":
        jax.config.update("jax_platforms", "cpu")  # so that no accelerator is started
    elif not _is_available(name):
        found = [backend for backend in BACKENDS if _is_available(backend)]
        raise InputError(
            f"There is no {name} here, JAX finds {' and '.join(found)}: choose one of these with --backend."
        )


def _is_available(backend: str) -> bool:
    try:
        return bool(jax.devices(backend))
    except RuntimeError:
        return False


def use_float32() -> None:
    """Let JAX compute in float32, whatever ``JAX_ENABLE_X64`` says."""
    jax.config.update("jax_enable_x64", False)


def set_matmul_precision(name: str | None) -> None:
    """Set the least precision of matrix products; ``None`` keeps JAX's default.

    A CPU always computes in float32. On a GPU bfloat16 and tensorfloat32 both are TensorFloat-32, JAX's default there.

    Raises ``InputError`` for an unknown precision.
    """
    if name is None:
        return
    if name not in PRECISIONS:
        raise InputError(f"There is no matmul_precision {name!r}: choose one of {', '.join(PRECISIONS)}.")
    jax.config.update("jax_default_matmul_precision", name)


def enable_compilation_cache(path: Path | None = None) -> None:
    """Keep compiled programs in the folder ``path``, so that the next process starts faster.

    The default is the user's cache folder. A cache folder that JAX is already configured with is kept, and a disabled
    cache stays disabled. Where the folder cannot be made, programs are compiled in every process.
    """
    path = path or platformdirs.user_cache_path("pljax", appauthor=False) / "compiled"
    if jax.config.values["jax_compilation_cache_dir"] or not jax.config.values["jax_enable_compilation_cache"]:
        return
    with contextlib.suppress(OSError):
        path.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_compilation_cache_max_size", 2**30)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def retain_freed_memory() -> None:
    """Let glibc keep freed memory instead of returning it to the kernel. No effect where there is no glibc.

    A compiled program allocates its scratch memory at every call. The kernel clears each page that it gives out again,
    which takes a twentieth of the time of training on a CPU.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(option, 2**31 - 1)


def device() -> dict[str, Any]:
    """Describe the device. Results are equal to the bit only on the same kind of device and number of cores."""
    devices = jax.local_devices()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "count": len(devices),
        "cores": cores,
        "matmul_precision": jax.config.values["jax_default_matmul_precision"],
    }
