"""Processes that were forked after JAX had started: they hang in the first computation, so they are refused."""

import os

from jax._src import xla_bridge  # nothing public tells whether JAX has started without starting it

_forked_too_late = False


def _note_fork() -> None:
    global _forked_too_late
    _forked_too_late = _forked_too_late or xla_bridge.backends_are_initialized()


if hasattr(os, "register_at_fork"):  # Windows has no fork
    os.register_at_fork(after_in_child=_note_fork)


def require_threads() -> None:
    """Raise ``RuntimeError`` if this process was forked after JAX had started: it lacks the threads of JAX.

    Call it before anything is computed.
    """
    if _forked_too_late:
        raise RuntimeError(
            "This process was forked after JAX had started, so JAX would hang in it: start processes with "
            "multiprocessing's 'spawn' or 'forkserver', or with joblib's loky backend, instead of a fork."
        )
