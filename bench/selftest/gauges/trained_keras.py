"""A Keras model that is trained on digits, as a user's file returns it, healthy and with faults that only a training shows."""

from typing import Any

import keras
import numpy as np
from sklearn.datasets import load_digits

SIZE = 32


def batches() -> list[Any]:
    x, y = load_digits(return_X_y=True)
    order = np.random.permutation(len(x))[: len(x) // SIZE * SIZE].reshape(-1, SIZE)
    return [((x[rows] / 16).astype(np.float32), y[rows]) for rows in order]


def accuracy(outputs: Any, targets: Any) -> Any:
    return (np.asarray(outputs).argmax(1) == np.asarray(targets)).mean()


def net(at: int = 30) -> dict[str, Any]:
    layers = [keras.layers.Dense(32, "relu"), keras.layers.Dense(32, "relu"), keras.layers.Dense(10)]
    model = keras.Sequential([keras.Input((64,)), *layers])
    rate = keras.optimizers.schedules.PiecewiseConstantDecay([at], [0.1, 0.01])
    data = batches()
    return {
        "model": model, "loss": keras.losses.SparseCategoricalCrossentropy(from_logits=True), "data": data[:-8],
        "test": tuple(map(np.concatenate, zip(*data[-8:], strict=True))), "metric": accuracy,
        "optimizer": keras.optimizers.SGD(rate, momentum=0.9),
    }  # fmt: skip


def late() -> dict[str, Any]:
    return net(36)


def dropped() -> dict[str, Any]:
    given = net()
    return given | {"data": given["data"][:-1]}
