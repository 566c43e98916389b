"""A training step of Keras and a matrix product, ready for the clock."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


def stepper(network: Any, mode: str, x: Any, labels: Any) -> tuple[Any, Any]:
    """A function that takes one training step, and one that waits for the device.

    `train_on_batch` and `eager` are what users call, data conversion and reading the loss included; on TensorFlow `compiled`
    and `jit` call the trainer's compiled function on data already on the device.
    """
    model, target = network.model, network.target(labels)
    if mode in ("compiled", "jit") and keras.backend.backend() == "tensorflow":
        model.make_train_function()
        batch = [(ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(target))]
        last: list[Any] = []

        def compiled() -> Any:
            last[:] = [model.train_function(iter(batch))]
            return last[0]["loss"]

        return compiled, lambda: float(last[0]["loss"]) if last else None
    return lambda: model.train_on_batch(np.asarray(x), target), lambda: None


def product(size: int, device: str) -> tuple[Any, Any]:
    """A function that multiplies two size × size matrices in float32, and one that waits for the last product."""
    matrix = ops.ones((size, size), dtype="float32")
    last: list[Any] = []

    def multiply() -> None:
        last[:] = [ops.matmul(matrix, matrix)]

    return multiply, lambda: float(last[0][0, 0]) if last else None
