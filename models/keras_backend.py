"""What Keras leaves to the library it runs on: differentiation of a function, devices, threads, versions."""

from __future__ import annotations

import importlib
from typing import Any

import keras


def gradient(function: Any, at: list[Any]) -> tuple[Any, Any, list[Any]]:
    """Value, side results and gradient of `function(list of tensors) -> (scalar, side)` on the active Keras backend."""
    backend = keras.backend.backend()
    if backend == "jax":
        jax = importlib.import_module("jax")
        (value, side), slope = jax.value_and_grad(function, has_aux=True)(at)
        return value, side, slope
    if backend == "torch":
        torch = importlib.import_module("torch")
        leaves = [tensor.detach().requires_grad_() for tensor in at]
        value, side = function(leaves)
        return value.detach(), side, list(torch.autograd.grad(value, leaves))
    tensorflow = importlib.import_module("tensorflow")
    with tensorflow.GradientTape() as tape:
        tape.watch(at)
        value, side = function(at)
    return value, side, tape.gradient(value, at)


def devices() -> list[str]:
    """Devices that Keras can use here, the CPU first."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        gpus = [device.name for device in importlib.import_module("tensorflow").config.list_physical_devices("GPU")]
    elif backend == "jax":
        gpus = [str(device) for device in importlib.import_module("jax").devices() if device.platform != "cpu"]
    else:
        cuda = importlib.import_module("torch").cuda
        gpus = [cuda.get_device_name(n) for n in range(cuda.device_count())]
    return ["cpu", *gpus]


def configure(threads: int) -> None:
    """Fix the number of threads, before any work."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        threading = importlib.import_module("tensorflow").config.threading
        threading.set_intra_op_parallelism_threads(threads)
        threading.set_inter_op_parallelism_threads(threads)
    elif backend == "torch":
        importlib.import_module("torch").set_num_threads(threads)


def versions() -> dict[str, str]:
    """Versions of Keras and of what it runs on."""
    backend = keras.backend.backend()
    return {"keras": keras.__version__, backend: str(importlib.import_module(backend).__version__)}
