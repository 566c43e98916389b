"""Keras's layers by themselves: in a network's precision, as its initializers fill them, and what its activations compute."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays, Points
from models.backends.keras.dynamics import AntisymmetricDense
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.parametrized import ParametrizedCell, ParametrizedRNN
from models.backends.keras.precision import begin_session, build_with, compute_in
from models.nodes import BACKWARD, INPUT, Antisymmetric, Dense, Read, Recurrent, Steps
from models.parts.activations import ACTIVATIONS
from models.parts.cells import CELLS, CHRONO
from models.parts.initializers import INITIALIZERS
from models.parts.parametrizations import NONE
from models.parts.recurrences import RECURRENCES
from models.reference.draws import BIAS_SD
from models.spec import Spec


def dense(spec: Spec, node: Dense, **given: Any) -> keras.layers.Dense:
    """A Dense layer with the row's initializer and what is `given`; what both leave out keeps Keras's default.

    Weights that are scaled or mirrored at the start are drawn by the same initializer.
    """
    initializer = INITIALIZERS[spec.init]
    options: dict[str, Any] = {}
    if initializer.keras:
        options["kernel_initializer"] = initializer.keras(keras.initializers, None)
    if node.start == 0:
        options["kernel_initializer"] = "zeros"
    if spec.bias == "normal":
        options["bias_initializer"] = keras.initializers.RandomNormal(stddev=BIAS_SD)
    elif initializer.random_bias:
        bound = node.fan_in**-0.5
        options["bias_initializer"] = keras.initializers.RandomUniform(-bound, bound)
    if penalty := regularizer(spec):
        options["kernel_regularizer"] = penalty
    if isinstance(node, Antisymmetric):
        return AntisymmetricDense(node.width, node.damping, **options | given)
    layer = keras.layers.Dense(node.fan_out, **options | given)
    if node.mirrored or node.start not in (0, 1):
        layer.kernel_initializer = _begun(layer.kernel_initializer, node)
    return layer


def _begun(drawn: Callable[..., Tensor], node: Dense) -> Callable[..., Tensor]:
    """As a function, which Keras takes for an initializer."""

    def initializer(shape: tuple[int, ...], dtype: str | None = None) -> Tensor:
        kernel = node.start * drawn((node.fan_drawn, node.fan_out), dtype)
        return ops.concatenate([kernel, -kernel], axis=0) if node.mirrored else kernel

    return initializer


def regularizer(spec: Spec) -> keras.regularizers.Regularizer | None:
    """What adds the spec's penalties to the loss, if it has any."""
    if spec.l1 and spec.l2:
        return keras.regularizers.L1L2(spec.l1, spec.l2 / 2)
    if spec.l1:
        return keras.regularizers.L1(spec.l1)
    return keras.regularizers.L2(spec.l2 / 2) if spec.l2 else None


KINDS = {
    "weight": "kernel",
    "recurrent_weight": "recurrent_kernel",
    "bias": "bias",
    "scale": "gamma",
    "shift": "beta",
    "multiplier": "multiplier",
}
"""Keras's names of what layers learn."""


class Multiplied(keras.layers.Layer):
    """A learned number, which begins at zero, times what comes in, multiplied in the number's format as Keras's norms are.

    So its gradient is a sum in float32: TensorFlow sums half precision in half precision.
    """

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the number."""
        self.multiplier = self.add_weight(shape=(1,), initializer="zeros", autocast=False, name="multiplier")

    def call(self, branch: Tensor) -> Tensor:
        """Cast up, and back to the layer's compute type."""
        return ops.cast(ops.multiply(ops.cast(branch, self.multiplier.dtype), self.multiplier), self.compute_dtype)


class Mirrored(keras.layers.Layer):
    """What comes in, and its negative behind it."""

    def call(self, h: Tensor) -> Tensor:
        """Twice as many units."""
        return ops.concatenate([h, ops.negative(h)], axis=-1)


class Unfold(keras.layers.Layer):
    """The features of a sample one after the other (batch × length × units), and zeros where there are none left.

    Where samples end at different steps, it masks what comes after.
    """

    def __init__(self, node: Steps) -> None:
        """Remember the shape."""
        super().__init__()
        self.filled, self.units, self.length = node.filled, node.width, node.length
        self.tellers = node.tellers if node.uneven else 0

    def call(self, x: Tensor) -> Tensor:
        """Pad only where there is something to pad."""
        sequence, empty = ops.reshape(x, (-1, self.filled, self.units)), self.length - self.filled
        return ops.pad(sequence, ((0, 0), (0, empty), (0, 0))) if empty else sequence

    def compute_mask(self, x: Tensor, previous: Tensor | None = None) -> Tensor | None:
        """Which time steps are within each sample, None where all are."""
        if not self.tellers:
            return None
        lengths = self.length - ops.sum(ops.cast(ops.greater(x[:, : self.tellers], 0), "int32"), axis=1)
        return ops.less(ops.expand_dims(ops.arange(self.length, dtype="int32"), 0), ops.expand_dims(lengths, 1))


class ReadOut(keras.layers.Layer):
    """The last output of a sequence in each of its directions, or the mean of all; of every sample within its mask."""

    def __init__(self, node: Read) -> None:
        """Remember which."""
        super().__init__()
        self.last, self.both, self.supports_masking = node.outputs == "last", node.both, True

    def call(self, h: Tensor, mask: Tensor | None = None) -> Tensor:
        """From (batch × length × units) to (batch × units)."""
        if not self.last and mask is None:
            return ops.mean(h, axis=1)
        if not self.last:
            within = ops.cast(ops.expand_dims(mask, 2), h.dtype)
            return ops.sum(h * within, axis=1) / ops.sum(within, axis=1)
        last = h[:, -1] if mask is None else self._last(h, mask)
        units = h.shape[2] // 2
        return ops.concatenate([last[:, :units], h[:, 0, units:]], axis=1) if self.both else last

    def _last(self, h: Tensor, mask: Tensor) -> Tensor:
        place = ops.sum(ops.cast(mask, "int32"), axis=1) - 1
        chosen = ops.one_hot(place, h.shape[1], dtype=h.dtype)
        return ops.sum(h * ops.expand_dims(chosen, 2), axis=1)

    def compute_mask(self, h: Tensor, previous: Tensor | None = None) -> None:
        """No mask is left."""


class InPieces(keras.layers.Layer):
    """A recurrent layer that is called on `steps` time steps after the other, the state handed on without its gradient."""

    def __init__(self, layer: keras.layers.RNN, steps: int) -> None:
        """Remember both; the layer returns its state."""
        super().__init__()
        self.layer, self.steps = layer, steps

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Build the layer."""
        self.layer.build(shape)

    def call(self, x: Tensor, training: bool | None = None) -> Tensor:
        """Outputs of all time steps."""
        outputs, states = [], None
        for begin in range(0, x.shape[1], self.steps):
            output, *states = self.layer(x[:, begin : begin + self.steps], initial_state=states, training=training)
            states = [ops.stop_gradient(state) for state in states]
            outputs.append(output)
        return ops.concatenate(outputs, axis=1)


def recurrence(spec: Spec, node: Recurrent, mode: str = "") -> keras.layers.Layer:
    """A recurrent layer with the rows' initializers that hands on the outputs of all time steps; what rows leave out keeps the default.

    It is Keras's own, or with a `mode` out of `recurrent_modes` the same `unrolled`, or the general layer over its `cells`.

    Outputs of masked steps are zero, as in a packed sequence of PyTorch's.
    """
    row, initializer, start = CELLS[node.cell], INITIALIZERS[spec.init], RECURRENCES[node.start]
    options: dict[str, Any] = {}
    if initializer.keras:
        options["kernel_initializer"] = initializer.keras(keras.initializers, None)
    if start.keras:
        options["recurrent_initializer"] = start.keras(keras.initializers, node.radius, node.units)
    if spec.bias == "normal":
        options["bias_initializer"] = keras.initializers.RandomNormal(stddev=BIAS_SD)
    elif initializer.random_bias:
        options["bias_initializer"] = keras.initializers.RandomUniform(-(node.units**-0.5), node.units**-0.5)
    if row.forget is not None:
        options["unit_forget_bias"] = node.forget == "1" and "bias_initializer" not in options
        if node.forget == CHRONO and "bias_initializer" not in options:
            options["bias_initializer"] = _chrono(node)
    if penalty := regularizer(spec):
        options |= dict.fromkeys(("kernel_regularizer", "recurrent_regularizer"), penalty)
    if node.truncated:
        return InPieces(_made(node, options, mode, return_state=True), node.truncated)
    layer = _made(node, options, mode)
    return keras.layers.Bidirectional(layer) if node.both else layer


def _made(node: Recurrent, options: dict[str, Any], mode: str, **of_layer: bool) -> keras.layers.RNN:
    row, of_layer = CELLS[node.cell], {"return_sequences": True, "zero_output_for_mask": True, "unroll": mode == "unrolled"} | of_layer
    if node.parametrization == NONE:
        layer = row.keras(keras.layers, node.units, options | of_layer)
        return keras.layers.RNN(layer.cell, **of_layer) if mode == "cells" else layer  # type: ignore[no-any-return]
    return ParametrizedRNN(ParametrizedCell(node.units, node.parametrization, activation=row.act, **options), **of_layer)


def _chrono(node: Recurrent) -> Callable[..., Array]:
    """As a function, which Keras takes for an initializer."""

    def initializer(shape: tuple[int, ...], dtype: str | None = None) -> Array:
        row, by_gate = CELLS[node.cell], np.zeros((CELLS[node.cell].gates, node.units))
        assert row.forget is not None and row.fill is not None
        memories = keras.initializers.RandomUniform(1, node.length - 1)((node.units,), dtype="float32")
        by_gate[row.keras_gates[row.forget]] = np.log(ops.convert_to_numpy(memories))
        by_gate[row.keras_gates[row.fill]] = -by_gate[row.keras_gates[row.forget]]
        return by_gate.reshape(shape)

    return initializer


def cell_of(layer: keras.layers.Layer, kind: str) -> keras.layers.Layer:
    """The cell that holds what a recurrent layer learns, by its kind."""
    if isinstance(layer, keras.layers.Bidirectional):
        layer = layer.backward_layer if kind.startswith(BACKWARD) else layer.forward_layer
    return (layer.layer if isinstance(layer, InPieces) else layer).cell


def variable(cell: keras.layers.Layer, kind: str) -> keras.Variable:
    """What a cell learns, by its kind."""
    kind = kind.removeprefix(BACKWARD)
    return cell.learned if kind == "recurrent_weight" and isinstance(cell, ParametrizedCell) else getattr(cell, KINDS[kind])


def draw_layers(spec: Spec, fan_in: int, fan_out: int, draws: int, seed: int, device: str) -> list[Arrays]:
    """`draws` layers initialized one after the other from one seed."""
    build_with(spec.format.keras)
    keras.utils.set_random_seed(seed)
    layers = [dense(spec, Dense("dense1", (INPUT,), fan_out, fan_in)) for _ in range(draws)]
    for layer in layers:
        layer.build((None, fan_in))
    return [{"weight": array(layer.kernel).T.copy(), "bias": array(layer.bias)} for layer in layers]


def activate(spec: Spec, x: Points) -> tuple[Points, Points]:
    """The activation's own layer, in evaluation mode, and its derivative at the points x, in their precision."""
    begin_session()
    compute_in(spec.format.held)
    build_with(spec.format.held)
    layer = ACTIVATIONS[spec.arch.act].keras(keras)
    layer.build(x.shape)

    def total(points: list[Tensor]) -> tuple[Tensor, Tensor]:
        y = layer(points[0], training=False)
        return ops.sum(y), y

    _, y, (slope,) = LIBRARY.gradient(total, [ops.convert_to_tensor(x)])
    return array(y), array(slope)


def array(value: Tensor | Array) -> Array:
    """A tensor as a NumPy array of its own; half precision as float32, which NumPy computes with."""
    own = np.array(ops.convert_to_numpy(value))
    return own.astype(np.float32) if own.dtype.itemsize == 2 else own
