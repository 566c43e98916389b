"""Keras on TensorFlow."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import keras
import tensorflow
from tensorflow.python.framework import ops as framework

from models.arrays import Batches, Targets
from models.backends.keras.libraries import Side, Tapped, Tensor

FLOAT64 = True
CALLS_TRAIN_FUNCTION = True
SEVERAL_STEPS = True
TRACES_ONCE = (3, 7)
"""The first Keras release whose `train_on_batch` does not trace its step anew at every call (tensorflow #67033)."""


def version() -> str:
    """TensorFlow's version."""
    return str(tensorflow.__version__)


def gradient(function: Callable[[list[Tensor]], tuple[Tensor, Side]], at: list[Tensor]) -> tuple[Tensor, Side, list[Tensor]]:
    """Value, side results and gradient by a tape."""
    with tensorflow.GradientTape() as tape:
        tape.watch(at)
        value, side = function(at)
    return value, side, tape.gradient(value, at)


def with_gradient(function: Callable[..., tuple[list[Tensor], object]]) -> Callable[..., list[Tensor]]:
    """By TensorFlow's own decorator."""
    return tensorflow.custom_gradient(function)  # type: ignore[no-any-return]


def after(tensors: list[Tensor], first: list[Tensor]) -> list[Tensor]:
    """By control dependencies, which a graph keeps. XLA, which leaves them out, chooses an order that takes little memory."""
    with tensorflow.control_dependencies(first):
        return [tensorflow.identity(tensor) for tensor in tensors]


def tapped_gradients(
    function: Tapped[Side], shapes: Mapping[str, tuple[int, ...]], dtype: str, compiled: bool, fused: bool
) -> Callable[..., tuple[Tensor, Side, dict[str, Tensor]]]:
    """TensorFlow differentiates with respect to the tensors themselves.

    Its graph optimizer fuses a product and a bias into one operation that rounds once, as in the compiled training step, where eager
    operations round twice.
    """

    def watched(*given: Any) -> tuple[Tensor, Side, dict[str, Tensor]]:  # whatever the pass takes
        tapped: dict[str, Tensor] = {}
        with tensorflow.GradientTape() as tape:

            def tap(name: str, tensor: Tensor) -> Tensor:
                tape.watch(tensor)
                tapped[name] = tensor
                return tensor

            value, side = function(tap, *given)
        return value, side, tape.gradient(value, tapped)

    return tensorflow.function(watched, autograph=False, jit_compile=fused or None) if compiled else watched


def compiled(function: Callable[..., Side]) -> Callable[..., Side]:
    """As a graph."""
    return tensorflow.function(function, autograph=False)  # type: ignore[no-any-return]


def slope(function: Callable[[list[Tensor]], Tensor], at: list[Tensor], along: list[Tensor]) -> Tensor:
    """Derivative along a direction by a forward accumulator."""
    at = [tensorflow.convert_to_tensor(value) for value in at]
    with tensorflow.autodiff.ForwardAccumulator(at, along) as forward:
        value = function(at)
    return forward.jvp(value)


def hessian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """By one tape inside another."""
    with tensorflow.GradientTape(persistent=True) as outer:
        outer.watch(at)
        with tensorflow.GradientTape() as inner:
            inner.watch(at)
            value = function(at)
        slopes = inner.gradient(value, at)
    return outer.jacobian(slopes, at, experimental_use_pfor=False)


def forget_traces() -> None:
    """Keras's optimizer sums gradients over replicas by a function with a gradient of its own.

    TensorFlow registers such a gradient for the life of the process, and it holds the whole traced step: 4 MB for 16 layers
    (tensorflow #97697). Gradients of steps that are traced already are never looked up again.
    """
    registered = framework.gradient_registry._registry
    for name in [name for name in registered if name.startswith("CustomGradient-")]:
        del registered[name]


def allow_float64(allowed: bool) -> None:
    """TensorFlow always has float64."""


def allow_tf32(allowed: bool) -> None:
    """TensorFlow's own switch, on by default."""
    tensorflow.config.experimental.enable_tensor_float_32_execution(allowed)


def float32_products() -> str:
    """What TensorFlow says is on."""
    return "tf32" if tensorflow.config.experimental.tensor_float_32_execution_enabled() else "float32"


def once_traced(xs: Batches, targets: list[Targets]) -> Iterator[Tensor] | None:
    """In old releases of Keras an iterator of tensors, as `fit` makes one: tracing at every call takes 1.5 s for 16 layers."""
    if tuple(int(part) for part in keras.__version__.split(".")[:2]) >= TRACES_ONCE:
        return None
    return iter(tensorflow.data.Dataset.from_tensor_slices((xs, list(targets))))


def collect_weights(model: keras.Model) -> None:
    """They are in the variables."""


def configure(threads: int, deterministic: bool = False) -> None:
    """One thread computes each operation. The pool that operations wait in keeps its own size: a pool of one takes longer on the clock."""
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(threads if threads > 1 else -1)
    if deterministic:
        tensorflow.config.experimental.enable_op_determinism()


def gpus() -> list[str]:
    """As the driver names them; TensorFlow's own names are numbers."""
    devices = tensorflow.config.list_physical_devices("GPU")
    return [tensorflow.config.experimental.get_device_details(device).get("device_name", device.name) for device in devices]


def built_for() -> str:
    """What the wheel's own build information says."""
    build = tensorflow.sysconfig.get_build_info()
    return f"CUDA {build.get('cuda_version', '')}".rstrip() if build["is_cuda_build"] else "ROCm" if build["is_rocm_build"] else ""


def place_of(tensor: tensorflow.Tensor) -> str:
    """`/job:localhost/replica:0/task:0/device:GPU:0`."""
    return str(tensor.device)


def drain() -> None:
    """Wait for every device."""
    tensorflow.test.experimental.sync_devices()


def device_memory() -> int:
    """What the first GPU's allocator counts."""
    return int(tensorflow.config.experimental.get_memory_info("GPU:0")["current"])


def peak_device_memory(reset: bool) -> float:
    """What the first GPU's allocator counted."""
    peak = tensorflow.config.experimental.get_memory_info("GPU:0")["peak"] / 2**20
    if reset:
        tensorflow.config.experimental.reset_memory_stats("GPU:0")
    return peak
