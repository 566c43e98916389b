"""What Keras says of the library it runs on: builds, devices, memory, versions."""

from __future__ import annotations

import functools

import keras
import numpy as np
from keras import ops

from models.arrays import Array
from models.backends.keras.libraries import LIBRARY

built_for, configure = LIBRARY.built_for, LIBRARY.configure


@functools.cache
def devices() -> list[str]:
    """Devices that Keras can use here, the CPU first."""
    return ["cpu", *(f"cuda:{number} {name}" for number, name in enumerate(LIBRARY.gpus()))]


def drain() -> None:
    """Wait until every device has done all it was asked."""
    if devices() != ["cpu"]:
        LIBRARY.drain()


def peak_device_memory(reset: bool) -> float:
    """The most memory that tensors held on the GPU, in MB, since the last time with `reset` (JAX: since it began); 0 without a GPU."""
    return LIBRARY.peak_device_memory(reset) if devices() != ["cpu"] else 0.0


def device_memory() -> int:
    """Bytes that tensors hold on the GPU now; 0 without a GPU."""
    return LIBRARY.device_memory() if devices() != ["cpu"] else 0


def multiplied(matrix: Array) -> tuple[str, Array]:
    """Where the product of a matrix with itself was computed, wherever the library puts it, and the product."""
    tensor = ops.convert_to_tensor(matrix)
    product = ops.matmul(tensor, tensor)
    return LIBRARY.place_of(product), np.array(ops.convert_to_numpy(product))


def versions() -> dict[str, str]:
    """Versions of Keras and of what it runs on, and for which CUDA that was built."""
    library, built = keras.backend.backend(), LIBRARY.built_for().removeprefix("CUDA ")
    return {"keras": keras.__version__, library: LIBRARY.version()} | ({f"{library} built for CUDA": built} if built else {})
