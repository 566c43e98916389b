"""What Keras leaves to the library it runs on: differentiation of a function, devices, threads, versions."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

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


def compute_in(precision: str) -> None:
    """Build what follows in `precision`. JAX makes float32 of float64 unless it is told otherwise, which users leave off for float32."""
    keras.config.set_floatx(precision)
    if keras.backend.backend() == "jax":
        importlib.import_module("jax").config.update("jax_enable_x64", precision == "float64")


def norms(tensors: list[Any]) -> Any:
    """Euclidean norm of each tensor, in one; a float32 sum of squares would read zero for entries under 1e-22.

    So sums are taken in float64, and on JAX, which has none beside float32, after the largest entry is divided out.
    """
    if keras.backend.backend() != "jax":
        return ops.sqrt(ops.stack([ops.sum(ops.square(ops.cast(tensor, "float64"))) for tensor in tensors]))
    largest = ops.stack([ops.max(ops.abs(tensor)) for tensor in tensors])
    divisors = ops.where(largest > 0, largest, ops.ones_like(largest))
    return largest * ops.sqrt(ops.stack([ops.sum(ops.square(tensor / divisors[n])) for n, tensor in enumerate(tensors)]))


def norm_precision(precision: str) -> str:
    """The dtype of what `norms` returns for tensors of `precision`."""
    return precision if keras.backend.backend() == "jax" else "float64"


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


def peak_device_memory(reset: bool) -> float:
    """The most memory that tensors held on the GPU, in MB, since the last time with `reset` (JAX: since it began); 0 without a GPU."""
    backend = keras.backend.backend()
    if backend == "torch":
        return importlib.import_module("models.torch_backend").peak_device_memory(reset)
    if devices() == ["cpu"]:
        return 0.0
    if backend == "jax":
        return importlib.import_module("jax").local_devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20
    tell = importlib.import_module("tensorflow").config.experimental
    peak = tell.get_memory_info("GPU:0")["peak"] / 2**20
    if reset:
        tell.reset_memory_stats("GPU:0")
    return peak


def built_for() -> str:
    """What the library under Keras was built for: `CUDA 12.5`, or nothing for the CPU alone."""
    backend = keras.backend.backend()
    if backend == "torch":
        return importlib.import_module("models.torch_backend").built_for()
    if backend == "jax":  # a CPU build that finds plug-ins for devices
        plugins = [name for name in ("jax_cuda13_plugin", "jax_cuda12_plugin") if importlib.util.find_spec(name)]
        return f"CUDA {plugins[0][8:10]}" if plugins else ""
    build = importlib.import_module("tensorflow").sysconfig.get_build_info()
    return f"CUDA {build.get('cuda_version', '')}".rstrip() if build["is_cuda_build"] else "ROCm" if build["is_rocm_build"] else ""


def multiplied(matrix: Any) -> tuple[str, Any]:
    """Where the product of a matrix with itself was computed, wherever the library puts it, and the product."""
    tensor = ops.convert_to_tensor(matrix)
    product = ops.matmul(tensor, tensor)
    place = product.devices() if keras.backend.backend() == "jax" else product.device
    return str(place), np.array(ops.convert_to_numpy(product))


def configure(threads: int, deterministic: bool = False) -> None:
    """Fix the number of threads and, if asked to, kernels that give the same bits every time, before any work.

    JAX takes the threads that it finds, and reads the latter from an environment variable, which the worker is started with.
    """
    backend = keras.backend.backend()
    if backend == "tensorflow":
        config = importlib.import_module("tensorflow").config
        config.threading.set_intra_op_parallelism_threads(threads)
        config.threading.set_inter_op_parallelism_threads(threads)
        if deterministic:
            config.experimental.enable_op_determinism()
    elif backend == "torch":
        importlib.import_module("models.torch_backend").configure(threads, deterministic)


def versions() -> dict[str, str]:
    """Versions of Keras and of what it runs on."""
    backend = keras.backend.backend()
    return {"keras": keras.__version__, backend: str(importlib.import_module(backend).__version__)}
