"""What Keras leaves to the library it runs on: differentiation of a function, devices, threads, versions."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import keras

from models.run import Absent

TRACES_ONCE = (3, 7)
"""The first Keras release whose `train_on_batch` does not trace its step anew at every call on TensorFlow (tensorflow #67033)."""
LOSS_OF_ONE_BATCH = (3, 15)
"""The first one whose `train_on_batch` reports this batch's loss and not the mean since training began (keras #22617)."""


@contextmanager
def absences() -> Iterator[None]:
    """Whatever is built inside and is not in this release of Keras raises models.run.Absent with its name."""
    try:
        yield
    except AttributeError as error:
        if isinstance(error.obj, ModuleType) and error.obj.__name__.partition(".")[0] == "keras":
            raise Absent(f"Keras {keras.__version__} has no {error.name}") from None
        raise


def train_steps(model: Any, xs: Any, targets: Sequence[Any]) -> Iterator[float]:
    """The loss of each step of a training, taken by `train_on_batch`, in every release that batch's own.

    Where `train_on_batch` would trace the step anew at every call, 1.5 s for 16 layers, the same compiled function is given an
    iterator of tensors instead, as `fit` does.
    """
    release = tuple(int(part) for part in keras.__version__.split(".")[:2])
    forget = model.reset_metrics if release < LOSS_OF_ONE_BATCH else lambda: None
    if release < TRACES_ONCE and keras.backend.backend() == "tensorflow":
        slices = importlib.import_module("tensorflow").data.Dataset.from_tensor_slices
        batches = iter(slices((xs, list(targets))))
        model.make_train_function()
        for _ in targets:
            forget()
            yield float(model.train_function(batches)["loss"])
    else:
        for x, target in zip(xs, targets, strict=True):
            forget()
            yield model.train_on_batch(x, target)


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


def allow_tf32(allowed: bool) -> None:
    """Allow or forbid TF32 in float32 matrix products, by the switch of the library that Keras runs on."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        importlib.import_module("tensorflow").config.experimental.enable_tensor_float_32_execution(allowed)
    elif backend == "jax":
        importlib.import_module("jax").config.update("jax_default_matmul_precision", "tensorfloat32" if allowed else "highest")
    else:
        importlib.import_module("torch").set_float32_matmul_precision("high" if allowed else "highest")


def float32_products() -> str:
    """The precision of float32 matrix products that this library says is on: `float32` or `tf32`."""
    backend = keras.backend.backend()
    if backend == "tensorflow":
        return "tf32" if importlib.import_module("tensorflow").config.experimental.tensor_float_32_execution_enabled() else "float32"
    module = importlib.import_module(backend)
    asked = module.config.jax_default_matmul_precision if backend == "jax" else module.get_float32_matmul_precision()
    return {"highest": "float32", "tensorfloat32": "tf32", "high": "tf32"}.get(asked, "lower")


def versions() -> dict[str, str]:
    """Versions of Keras and of what it runs on."""
    backend = keras.backend.backend()
    return {"keras": keras.__version__, backend: str(importlib.import_module(backend).__version__)}
