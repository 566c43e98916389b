"""Keras's layers by themselves: in a network's precision, as its initializers fill them, and what its activations compute."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays, Points
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.precision import begin_session, compute_in
from models.graph import INPUT, Dense, Recurrent, Steps
from models.parts.activations import ACTIVATIONS
from models.parts.cells import CELLS
from models.parts.initializers import INITIALIZERS
from models.parts.recurrences import RECURRENCES
from models.reference.draws import BIAS_SD
from models.spec import Spec


def dense(spec: Spec, node: Dense, **given: Any) -> keras.layers.Dense:
    """A Dense layer with the row's initializer and what is `given`; what both leave out keeps Keras's default."""
    initializer = INITIALIZERS[spec.init]
    options: dict[str, Any] = {}
    if initializer.keras:
        options["kernel_initializer"] = initializer.keras(keras.initializers, None)
    if node.zero:
        options["kernel_initializer"] = "zeros"
    if spec.bias == "normal":
        options["bias_initializer"] = keras.initializers.RandomNormal(stddev=BIAS_SD)
    elif initializer.random_bias:
        bound = node.fan_in**-0.5
        options["bias_initializer"] = keras.initializers.RandomUniform(-bound, bound)
    if spec.l2:
        options["kernel_regularizer"] = keras.regularizers.L2(spec.l2 / 2)
    return keras.layers.Dense(node.fan_out, **options | given)


class Unfold(keras.layers.Layer):
    """The features of a sample one after the other (batch × length × units), and zeros where there are none left."""

    def __init__(self, node: Steps) -> None:
        """Remember the shape."""
        super().__init__()
        self.filled, self.units, self.empty = node.filled, node.width, node.length - node.filled

    def call(self, x: Tensor) -> Tensor:
        """Pad only where there is something to pad."""
        sequence = ops.reshape(x, (-1, self.filled, self.units))
        return ops.pad(sequence, ((0, 0), (0, self.empty), (0, 0))) if self.empty else sequence


class ReadOut(keras.layers.Layer):
    """The last output of a sequence, or the mean of all."""

    def __init__(self, outputs: str) -> None:
        """Remember which."""
        super().__init__()
        self.last = outputs == "last"

    def call(self, h: Tensor) -> Tensor:
        """From (batch × length × units) to (batch × units)."""
        return h[:, -1] if self.last else ops.mean(h, axis=1)


def recurrence(spec: Spec, node: Recurrent) -> keras.layers.RNN:
    """A recurrent layer with the rows' initializers that hands on the outputs of all time steps; what rows leave out keeps the default."""
    row, initializer, start = CELLS[node.cell], INITIALIZERS[spec.init], RECURRENCES[node.start]
    options: dict[str, Any] = {"return_sequences": True}
    if initializer.keras:
        options["kernel_initializer"] = initializer.keras(keras.initializers, None)
    if start.keras:
        options["recurrent_initializer"] = start.keras(keras.initializers, node.radius, node.width)
    if spec.bias == "normal":
        options["bias_initializer"] = keras.initializers.RandomNormal(stddev=BIAS_SD)
    elif initializer.random_bias:
        options["bias_initializer"] = keras.initializers.RandomUniform(-(node.width**-0.5), node.width**-0.5)
    if row.forget is not None:
        options["unit_forget_bias"] = bool(node.forget) and "bias_initializer" not in options
    if spec.l2:
        options |= dict.fromkeys(("kernel_regularizer", "recurrent_regularizer"), keras.regularizers.L2(spec.l2 / 2))
    return row.keras(keras.layers, node.width, options)  # type: ignore[no-any-return]


def draw_layers(spec: Spec, fan_in: int, fan_out: int, draws: int, seed: int, device: str) -> list[Arrays]:
    """`draws` layers initialized one after the other from one seed."""
    keras.mixed_precision.set_dtype_policy(spec.format.keras)
    keras.utils.set_random_seed(seed)
    layers = [dense(spec, Dense("dense1", (INPUT,), fan_out, fan_in)) for _ in range(draws)]
    for layer in layers:
        layer.build((None, fan_in))
    return [{"weight": array(layer.kernel).T.copy(), "bias": array(layer.bias)} for layer in layers]


def activate(spec: Spec, x: Points) -> tuple[Points, Points]:
    """The activation's own layer, in evaluation mode, and its derivative at the points x, in their precision."""
    begin_session()
    compute_in(spec.format.held)
    keras.mixed_precision.set_dtype_policy(spec.format.held)
    layer = ACTIVATIONS[spec.arch.act].keras(keras)
    layer.build(x.shape)

    def total(points: list[Tensor]) -> tuple[Tensor, Tensor]:
        y = layer(points[0], training=False)
        return ops.sum(y), y

    _, y, (slope,) = LIBRARY.gradient(total, [ops.convert_to_tensor(x)])
    return array(y), array(slope)


def array(value: Tensor) -> Array:
    """A tensor as a NumPy array of its own; half precision as float32, which NumPy computes with."""
    own = np.array(ops.convert_to_numpy(value))
    return own.astype(np.float32) if own.dtype.itemsize == 2 else own
