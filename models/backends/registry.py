"""Which backends there are, and how one is found by its name."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

BACKENDS = {
    "torch": "models.backends.torch.network",
    "keras": "models.backends.keras.network",
    "keras-jax": "models.backends.keras.network",
    "keras-torch": "models.backends.keras.network",
}


class BackendError(RuntimeError):
    """A backend or device that is not there; the message is one sentence with the remedy."""


class Absent(BackendError):
    """A part that this version of the framework does not have: a reason not to judge, and no fault."""


def backend_module(backend: str) -> Any:
    """The module that builds networks on `backend`; raises BackendError with what to install or choose."""
    if backend not in BACKENDS:
        raise BackendError(f"Backend {backend!r} is not known: use one of {', '.join(BACKENDS)}.")
    if package := lacking(backend):
        raise BackendError(
            f"Backend {backend!r} needs the package {package}, which is not installed here: install it or choose another --backend."
        )
    return importlib.import_module(BACKENDS[backend])


def library(backend: str) -> str:
    """The library that computes for `backend`: what Keras runs on (`keras` alone: TensorFlow), or the framework itself."""
    dialect, _, on = backend.partition("-")
    return (on or "tensorflow") if dialect == "keras" else dialect


def lacking(backend: str) -> str:
    """The first package that `backend` needs and that is not installed here, or nothing."""
    needed = (backend.partition("-")[0], library(backend))
    return next((package for package in needed if importlib.util.find_spec(package) is None), "")
