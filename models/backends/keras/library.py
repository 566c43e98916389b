"""What Keras leaves to the library it runs on: differentiation of a function, devices, threads, versions."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import keras
import numpy as np
from keras import ops

from models.backends.registry import Absent

TRACES_ONCE = (3, 7)
"""The first Keras release whose `train_on_batch` does not trace its step anew at every call on TensorFlow (tensorflow #67033)."""
LOSS_OF_ONE_BATCH = (3, 15)
"""The first one whose `train_on_batch` reports this batch's loss and not the mean since training began (keras #22617)."""


@contextmanager
def absences() -> Iterator[None]:
    """Whatever is built inside and is not in this release of Keras raises models.backends.registry.Absent with its name."""
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


Tap = Callable[[str, Any], Any]
"""Hands on a named tensor of a pass, and notes it so that the pass can be differentiated with respect to it."""


def tapped_gradients(function: Callable[[Tap], tuple[Any, Any]], shapes: Mapping[str, Sequence[int]], dtype: str, compiled: bool) -> Any:
    """Value and side results of `function(tap) -> (scalar, side)`, and the scalar's gradient with respect to every tapped tensor.

    `shapes` names the tensors that are tapped. TensorFlow differentiates with respect to the tensors themselves; JAX and PyTorch with
    respect to a zero that is added to each. With `compiled`, TensorFlow compiles the pass: its graph optimizer fuses a product and a
    bias into one operation that rounds once, as in the compiled training step, where eager operations round twice.
    """
    if keras.backend.backend() != "tensorflow":
        zeros = [ops.zeros(shape, dtype=dtype) for shape in shapes.values()]

        def shifted(offsets: list[Any]) -> Any:
            named = dict(zip(shapes, offsets, strict=True))
            return function(lambda name, tensor: tensor + ops.cast(named[name], tensor.dtype))

        value, side, slopes = gradient(shifted, zeros)
        return value, side, dict(zip(shapes, slopes, strict=True))
    tensorflow = importlib.import_module("tensorflow")

    def watched() -> Any:
        tapped: dict[str, Any] = {}
        with tensorflow.GradientTape() as tape:

            def tap(name: str, tensor: Any) -> Any:
                tape.watch(tensor)
                tapped[name] = tensor
                return tensor

            value, side = function(tap)
        return value, side, tape.gradient(value, tapped)

    return (tensorflow.function(watched, autograph=False) if compiled else watched)()


def slope(function: Any, at: list[Any], along: list[Any]) -> Any:
    """Derivative of `function(list of tensors) -> scalar` in the direction `along`, by forward mode on the active Keras backend."""
    backend = keras.backend.backend()
    if backend == "jax":
        return importlib.import_module("jax").jvp(function, (at,), (along,))[1]
    if backend == "torch":
        forward_ad = importlib.import_module("torch.autograd.forward_ad")
        with warnings.catch_warnings(), forward_ad.dual_level():
            warnings.simplefilter("ignore", DeprecationWarning)  # forward mode loads PyTorch's own deprecated scripts
            duals = [forward_ad.make_dual(value.detach(), tangent) for value, tangent in zip(at, along, strict=True)]
            return forward_ad.unpack_dual(function(duals)).tangent
    at = [importlib.import_module("tensorflow").convert_to_tensor(value) for value in at]
    with importlib.import_module("tensorflow").autodiff.ForwardAccumulator(at, along) as forward:
        value = function(at)
    return forward.jvp(value)


def begin_session() -> None:
    """Forget the models built so far, the training steps that TensorFlow traced for them included.

    Keras's optimizer sums gradients over replicas by a function with a gradient of its own, TensorFlow registers such a gradient for
    the life of the process, and it holds the whole traced step: 4 MB for 16 layers (tensorflow #97697). Gradients of steps that are
    traced already are never looked up again.
    """
    if keras.backend.backend() == "tensorflow":
        registered = importlib.import_module("tensorflow.python.framework.ops").gradient_registry._registry
        for name in [name for name in registered if name.startswith("CustomGradient-")]:
            del registered[name]
    keras.backend.clear_session()


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


@functools.cache
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


def drain() -> None:
    """Wait until every device has done all it was asked."""
    backend = keras.backend.backend()
    if devices() == ["cpu"]:
        return
    if backend == "tensorflow":
        importlib.import_module("tensorflow").test.experimental.sync_devices()
    elif backend == "jax":
        jax = importlib.import_module("jax")
        for device in jax.devices():
            (jax.device_put(0.0, device) + 0.0).block_until_ready()
    else:
        importlib.import_module("torch").cuda.synchronize()


def peak_device_memory(reset: bool) -> float:
    """The most memory that tensors held on the GPU, in MB, since the last time with `reset` (JAX: since it began); 0 without a GPU."""
    backend = keras.backend.backend()
    if backend == "torch":
        return importlib.import_module("models.backends.torch.device").peak_device_memory(reset)
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
        return importlib.import_module("models.backends.torch.device").built_for()
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
        # On one thread operations run in the caller's: handing every step to a pool of one and waiting for it costs time and gains none.
        config.threading.set_inter_op_parallelism_threads(threads if threads > 1 else -1)
        if deterministic:
            config.experimental.enable_op_determinism()
    elif backend == "torch":
        importlib.import_module("models.backends.torch.device").configure(threads, deterministic)


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
