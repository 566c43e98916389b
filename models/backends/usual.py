"""Which backends a run takes where none is named: PyTorch, and Keras on a library that is installed."""

from __future__ import annotations

import importlib.util
import os

from models.backends.registry import BACKENDS, USUAL, info, python_of

KERAS_ON = {row.library: backend for backend, row in BACKENDS.items() if row.framework == "keras"}
"""What Keras runs on, the usual first, and the backend that it is then."""


def usual() -> list[str]:
    """PyTorch, and Keras on the library that KERAS_BACKEND names, or else on the first of TensorFlow, JAX and PyTorch that is installed."""
    installed = [name for name, backend in KERAS_ON.items() if python_of(backend) or importlib.util.find_spec(name)]
    on = os.environ.get("KERAS_BACKEND") or (installed or list(KERAS_ON))[0]
    return [USUAL[0], KERAS_ON.get(on, f"keras-{on}")]


def stand_in(backends: list[str]) -> str:
    """Which library Keras runs on and why, where the usual one does not do it; or nothing."""
    if backends != usual() or backends[1] == USUAL[1]:
        return ""
    on = info(backends[1]).library
    why = "KERAS_BACKEND says so" if os.environ.get("KERAS_BACKEND") else "TensorFlow is not installed here"
    return f"Keras runs on {on} in this run ({backends[1]}), because {why}."
