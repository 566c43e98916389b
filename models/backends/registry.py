"""Which backends there are: one row each, and how a row is found by its name."""

from __future__ import annotations

import importlib
import importlib.util
import os
from typing import TYPE_CHECKING, cast

from models.backends.protocol import Backend, BackendInfo

if TYPE_CHECKING:
    from models.backends import keras, numpy, torch

PYTHON_OF = "GRADGAUGE_PYTHON_"
"""How variables begin that name a backend's own Python."""
TORCH_BUILD = "a CUDA build of torch (its local version reads +cu…; not +cpu)"

LESS_MKL = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
"""PyTorch on the instructions that every x86 processor has."""

BACKENDS: dict[str, BackendInfo] = {
    "torch": BackendInfo(
        module="models.backends.torch",
        conventions="torch",
        framework="torch",
        library="torch",
        modes=("eager", "compile", "graphs"),
        gpu_modes=("graphs",),
        recurrent_modes=("cells",),
        default_initializer="torch_default",
        default_recurrence="torch_default",
        known_kinks=True,
        distributions=("torch", "torchvision"),
        fewer_instructions=LESS_MKL,
        gpu_build=TORCH_BUILD,
    ),
    "keras": BackendInfo(
        module="models.backends.keras",
        conventions="keras",
        framework="keras",
        library="tensorflow",
        modes=("train_on_batch", "compiled", "jit", "eager"),
        slow_modes=("eager",),
        recurrent_modes=("cells", "unrolled"),
        step="compiled",
        excess_precision=("cuda",),
        default_initializer="keras_default",
        default_recurrence="keras_default",
        rewritten=("gelu", "gelu_tanh", "tanh", "sigmoid", "elu"),
        known_kinks=True,
        unclipped=True,
        distributions=("keras", "tensorflow", "tensorflow-cpu"),
        variables={"KERAS_BACKEND": "tensorflow"},
        recorded_as="keras-tensorflow",
        fewer_instructions={"TF_ENABLE_ONEDNN_OPTS": "0"},
        # Its own allocator for oneDNN keeps the most that it ever had: 2.5 GB after VGG-16.
        gives_back={"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"},
        gpu_build="tensorflow[and-cuda] in the place of tensorflow-cpu",
    ),
    "keras-jax": BackendInfo(
        module="models.backends.keras",
        conventions="keras",
        framework="keras",
        library="jax",
        modes=("train_on_batch", "eager"),
        slow_modes=("eager",),
        recurrent_modes=("cells", "unrolled"),
        step="fused",
        excess_precision=("cuda",),
        default_initializer="keras_default",
        default_recurrence="keras_default",
        distributions=("jax",),
        variables={"KERAS_BACKEND": "jax"},
        fewer_instructions={"XLA_FLAGS": "--xla_cpu_max_isa=AVX"},
        gpu_build="jax[cuda12] or jax[cuda13], whichever the driver can run",
    ),
    "keras-torch": BackendInfo(
        module="models.backends.keras",
        conventions="keras",
        framework="keras",
        library="torch",
        modes=("train_on_batch", "jit"),
        recurrent_modes=("cells", "unrolled"),
        default_initializer="keras_default",
        default_recurrence="keras_default",
        variables={"KERAS_BACKEND": "torch"},
        fewer_instructions=LESS_MKL,
        gpu_build=TORCH_BUILD,
    ),
    "numpy": BackendInfo(
        module="models.backends.numpy",
        conventions="torch",
        framework="numpy",
        library="numpy",
        modes=("eager",),
        fewer_instructions={"OPENBLAS_CORETYPE": "Nehalem"},
        known_kinks=True,
    ),
}
"""Steps that run eagerly in Keras take 50 times as long and nobody trains so. Only TensorFlow's trainer hands out its compiled function.

TensorFlow's graph optimizer puts one operation in the place of those that GELU consists of, and computes tanh, sigmoid and ELU inside
the product that they follow. Values and slopes are then some 1e-7 away from those of the activation by itself. Keras on TensorFlow looks
for the softmax or sigmoid that made a probability, and takes its logits (`_get_logits` in keras/src/backend/tensorflow/nn.py of 3.15.1).
"""
USUAL = "torch", "keras"
"""What runs where nobody chooses."""
CONVENTIONS = tuple(dict.fromkeys(row.conventions for row in BACKENDS.values()))
"""Whose documented rules there are."""


class BackendError(RuntimeError):
    """A backend or device that is not there; the message is one sentence with the remedy."""


class Absent(BackendError):
    """A part that this version of the framework does not have: a reason not to judge, and no fault."""


def info(backend: str) -> BackendInfo:
    """The row of `backend`; raises BackendError with the names that there are."""
    if backend not in BACKENDS:
        raise BackendError(f"Backend {backend!r} is not known: use one of {', '.join(BACKENDS)}.")
    return BACKENDS[backend]


def backend_module(backend: str) -> Backend:
    """The package that builds networks on `backend`; raises BackendError with what to install or choose."""
    row = info(backend)
    if package := lacking(backend):
        raise BackendError(
            f"Backend {backend!r} needs the package {package}, which is not installed here: install it or choose another --backend."
        )
    return cast(Backend, importlib.import_module(row.module))


def variable_of(backend: str) -> str:
    """The environment variable that names the Python of a backend's own."""
    return f"{PYTHON_OF}{backend.upper().replace('-', '_')}"


def python_of(backend: str) -> str:
    """The Python of an environment of the backend's own, which GRADGAUGE_PYTHON_KERAS_JAX (its name in capitals) names; or nothing.

    Wheels of two frameworks may hold the same CUDA libraries in two versions, of which one environment keeps the last.
    """
    return os.environ.get(variable_of(backend), "")


def lacking(backend: str) -> str:
    """The first package that `backend` needs and that is not installed here, or nothing; nothing for one that has its own Python."""
    if python := python_of(backend):
        return "" if os.access(python, os.X_OK) else f"python that {variable_of(backend)}={python} names"
    row = info(backend)
    return next((package for package in (row.framework, row.library) if importlib.util.find_spec(package) is None), "")


def named(text: str, *, installed: bool = True) -> list[str]:
    """The backends that a comma-separated `--backend` names, each once. Raises BackendError for none, one unknown or not installed here."""
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise BackendError(f"--backend is empty: use one or several of {', '.join(BACKENDS)}.")
    for name in names:
        if name not in BACKENDS:
            raise BackendError(f"--backend={name} is not known: use one or several of {', '.join(BACKENDS)}.")
        if installed and (package := lacking(name)):
            raise BackendError(
                f"--backend={name} needs the package {package}, which is not installed here: install it or leave {name} out."
            )
    return list(dict.fromkeys(names))


if TYPE_CHECKING:  # holds every package against the protocol
    _torch: Backend = torch
    _keras: Backend = keras
    _numpy: Backend = numpy
