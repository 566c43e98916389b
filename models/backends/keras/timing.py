"""What is timed of Keras: a training step, a matrix product, and the shortest loop that a user would write."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import ops

from models.architectures import graph
from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels, PerStep
from models.backends.keras.layers import array
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.protocol import Loop, TimedWork
from models.parts.optimizers import MOMENTUM
from models.spec import Spec

if TYPE_CHECKING:
    from models.backends.keras.network import Network


def timed_step(network: Network, x: Batch, labels: Labels) -> TimedWork:
    """A training step in the mode that the network was built for.

    `train_on_batch` and `eager` are what users call, data conversion and reading the loss included. `compiled` and `jit` call the
    trainer's compiled function on data already on the device, where it can be called.
    """
    model, target = network.model, network.target(labels)
    if network.mode in ("compiled", "jit") and LIBRARY.CALLS_TRAIN_FUNCTION:
        model.make_train_function()
        batch = [(ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(target))]
        last: list[Tensor] = []

        def compiled() -> Tensor:
            last[:] = [model.train_function(iter(batch))]
            return last[0]["loss"]

        return TimedWork(compiled, lambda: float(array(last[0]["loss"])) if last else None)
    return TimedWork(lambda: model.train_on_batch(np.asarray(x), target), lambda: None)


def product(size: int, device: str) -> TimedWork:
    """A float32 product of two size × size matrices."""
    matrix = ops.ones((size, size), dtype="float32")
    last: list[Tensor] = []

    def multiply() -> None:
        last[:] = [ops.matmul(matrix, matrix)]

    return TimedWork(multiply, lambda: float(array(last[0][0, 0])) if last else None)


def hand_written(spec: Spec, weights: Arrays, device: str) -> Loop:
    """The shortest loop that trains a ReLU network without norms and skips, as a user of Keras writes it."""
    h = inputs = keras.Input((spec.features,))
    *hidden, last = graph(spec).dense
    denses = [*(keras.layers.Dense(node.width, activation="relu") for node in hidden), keras.layers.Dense(last.width)]
    for dense in denses:
        h = dense(h)
    model = keras.Model(inputs, h)
    optimizer = keras.optimizers.SGD(learning_rate=spec.learning_rate, momentum=MOMENTUM)
    model.compile(optimizer, keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for node, dense in zip(graph(spec).dense, denses, strict=True):
        dense.set_weights([weights[node.weight].T, weights[node.bias]])

    def over(xs: Batches, labels: BatchLabels) -> Callable[[], PerStep]:
        batches = list(zip(xs, labels, strict=True))

        def loop() -> PerStep:
            losses = []
            for x, y in batches:
                losses.append(model.train_on_batch(x, y))
            return np.asarray(losses, np.float64)

        return loop

    return over
