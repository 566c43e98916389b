"""Keras on JAX."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Mapping

import jax
import keras

from models.arrays import Batches, Targets
from models.backends.keras.libraries import Side, Tapped, Tensor
from models.backends.keras.libraries.absent import after as after
from models.backends.keras.libraries.absent import with_gradient as with_gradient
from models.backends.keras.libraries.added_zeros import by_added_zeros

FLOAT64 = False
CALLS_TRAIN_FUNCTION = False
SEVERAL_STEPS = True


def version() -> str:
    """JAX's version."""
    return str(jax.__version__)


def gradient(function: Callable[[list[Tensor]], tuple[Tensor, Side]], at: list[Tensor]) -> tuple[Tensor, Side, list[Tensor]]:
    """Value, side results and gradient by reverse mode."""
    (value, side), slopes = jax.value_and_grad(function, has_aux=True)(at)
    return value, side, slopes


def tapped_gradients(
    function: Tapped[Side], shapes: Mapping[str, tuple[int, ...]], dtype: str, compiled: bool, fused: bool
) -> Callable[..., tuple[Tensor, Side, dict[str, Tensor]]]:
    """With respect to a zero that is added to each tensor.

    XLA may leave out roundings between the operations that it compiles together, and did so on CPUs before JAX 0.4.33
    (`xla_allow_excess_precision`). Taken one by one they all round.
    """
    differentiated = by_added_zeros(gradient, function, shapes, dtype)
    return jax.jit(differentiated) if compiled and fused else differentiated


def compiled(function: Callable[..., Side]) -> Callable[..., Side]:
    """By XLA."""
    return jax.jit(function)  # type: ignore[no-any-return]


def slope(function: Callable[[list[Tensor]], Tensor], at: list[Tensor], along: list[Tensor]) -> Tensor:
    """Derivative along a direction by forward mode."""
    return jax.jvp(function, (at,), (along,))[1]


def hessian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """By forward mode over reverse mode."""
    return jax.hessian(function)(at)


def forget_traces() -> None:
    """JAX keeps none."""


def allow_float64(allowed: bool) -> None:
    """JAX makes float32 of float64 unless its configuration says otherwise, which users leave off for float32."""
    jax.config.update("jax_enable_x64", allowed)


def allow_tf32(allowed: bool) -> None:
    """JAX's default precision of matrix products."""
    jax.config.update("jax_default_matmul_precision", "tensorfloat32" if allowed else "highest")


def float32_products() -> str:
    """What JAX's configuration says."""
    return {"highest": "float32", "tensorfloat32": "tf32"}.get(jax.config.jax_default_matmul_precision, "lower")


def once_traced(xs: Batches, targets: list[Targets]) -> Iterator[Tensor] | None:
    """JAX traces a step once."""
    return None


def collect_weights(model: keras.Model) -> None:
    """Keras's trainer keeps weights outside the variables until they are asked for."""
    model.jax_state_sync()


def configure(threads: int, deterministic: bool = False) -> None:
    """JAX takes the threads that it finds, and reads the rest from environment variables, which the worker is started with."""


def gpus() -> list[str]:
    """As the driver names them; JAX's own names are numbers."""
    return [str(device.device_kind) for device in jax.devices() if device.platform != "cpu"]


def built_for() -> str:
    """A CPU build finds plug-ins for devices."""
    plugins = [name for name in ("jax_cuda13_plugin", "jax_cuda12_plugin") if importlib.util.find_spec(name)]
    return f"CUDA {plugins[0][8:10]}" if plugins else ""


def place_of(tensor: jax.Array) -> str:
    """`{CudaDevice(id=0)}`."""
    return str(tensor.devices())


def drain() -> None:
    """Put a number on every device and wait for it."""
    for device in jax.devices():
        (jax.device_put(0.0, device) + 0.0).block_until_ready()


def device_memory() -> int:
    """What the first GPU's allocator counts; some count nothing."""
    return int((jax.local_devices()[0].memory_stats() or {}).get("bytes_in_use", 0))


def peak_device_memory(reset: bool) -> float:
    """What the first GPU's allocator counted since it began; JAX resets nothing, and some allocators count nothing."""
    counted = jax.local_devices()[0].memory_stats() or {}
    return counted.get("peak_bytes_in_use", 0) / 2**20
