"""What it is computed on, and how: the backend, the precision of products, what is kept from run to run."""

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
    """Compute on ``name``; without a name, on what JAX finds. To be called before anything is computed.

    Raises ``InputError`` for a backend that is not there, with those that are.
    """
    if name is None:
        return
    if name not in BACKENDS:
        raise InputError(f"There is no backend {name!r}: choose one of {', '.join(BACKENDS)}.")
    if name == "cpu":
        jax.config.update("jax_platforms", "cpu")  # an accelerator is not even started
    elif not _is_here(name):
        found = [backend for backend in BACKENDS if _is_here(backend)]
        raise InputError(
            f"There is no {name} here, JAX finds {' and '.join(found)}: choose one of these with --backend."
        )


def _is_here(backend: str) -> bool:
    try:
        return bool(jax.devices(backend))
    except RuntimeError:
        return False


def set_matmul_precision(name: str | None) -> None:
    """Multiply matrices at least that precisely; without a name, as JAX does: a CPU always computes in float32.

    Raises ``InputError`` for a precision that there is not.
    """
    if name is None:
        return
    if name not in PRECISIONS:
        raise InputError(f"There is no matmul_precision {name!r}: choose one of {', '.join(PRECISIONS)}.")
    jax.config.update("jax_default_matmul_precision", name)


def enable_compilation_cache(path: Path | None = None) -> None:
    """Keep compiled programs for a quicker start the next time, unless JAX was told where, or not to.

    They go to a folder, the user's cache folder if none is given.
    """
    path = path or platformdirs.user_cache_path("pljax", appauthor=False) / "compiled"
    if jax.config.values["jax_compilation_cache_dir"] or not jax.config.values["jax_enable_compilation_cache"]:
        return
    with contextlib.suppress(OSError):  # where nothing can be kept, it is compiled anew
        path.mkdir(parents=True, exist_ok=True)
        jax.config.update("jax_compilation_cache_dir", str(path))
        jax.config.update("jax_compilation_cache_max_size", 2**30)
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)


def retain_freed_memory() -> None:
    """Let glibc keep what is freed: it would go back to the kernel, which clears every page when it is wanted again.

    A program's scratch memory is freed and wanted at every call: a twentieth of a CPU's time. No effect elsewhere.
    """
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        for option in (_TRIM_THRESHOLD, _MMAP_THRESHOLD):
            libc.mallopt(option, 2**31 - 1)


def device() -> dict[str, Any]:
    """Where it is computed: results are the same to the bit only on the same kind of device and number of cores."""
    devices = jax.local_devices()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {
        "platform": devices[0].platform,
        "kind": devices[0].device_kind,
        "count": len(devices),
        "cores": cores,
        "matmul_precision": jax.config.values["jax_default_matmul_precision"],
    }
