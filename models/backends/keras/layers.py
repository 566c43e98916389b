"""Keras's layers by themselves: in a network's precision, as its initializers fill them, and what its activations compute."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.backends.keras.libraries import LIBRARY
from models.backends.keras.precision import begin_session, compute_in
from models.graph import INPUT, Dense
from models.parts.activations import ACTIVATIONS
from models.parts.initializers import INITIALIZERS
from models.reference.draws import BIAS_SD
from models.spec import Spec

Arrays = dict[str, Any]


def dense(spec: Spec, step: Dense) -> Any:
    """A Dense layer with the row's initializer; what the row leaves out keeps Keras's default."""
    initializer = INITIALIZERS[spec.init]
    options: dict[str, Any] = {}
    if initializer.keras:
        options["kernel_initializer"] = initializer.keras(keras.initializers, None)
    if step.zero:
        options["kernel_initializer"] = "zeros"
    if spec.bias == "normal":
        options["bias_initializer"] = keras.initializers.RandomNormal(stddev=BIAS_SD)
    elif initializer.random_bias:
        bound = step.fan_in**-0.5
        options["bias_initializer"] = keras.initializers.RandomUniform(-bound, bound)
    if spec.l2:
        options["kernel_regularizer"] = keras.regularizers.L2(spec.l2 / 2)
    return keras.layers.Dense(step.fan_out, **options)


def draw_layers(spec: Spec, fan_in: int, fan_out: int, draws: int, seed: int, device: str) -> list[Arrays]:
    """`draws` layers initialized one after the other from one seed."""
    keras.mixed_precision.set_dtype_policy(spec.format.keras)
    keras.utils.set_random_seed(seed)
    layers = [dense(spec, Dense("dense1", (INPUT,), fan_out, fan_in)) for _ in range(draws)]
    for layer in layers:
        layer.build((None, fan_in))
    return [{"weight": array(layer.kernel).T.copy(), "bias": array(layer.bias)} for layer in layers]


def activate(spec: Spec, x: Any) -> tuple[Any, Any]:
    """The activation's own layer, in evaluation mode, and its derivative at the points x, in their precision."""
    begin_session()
    compute_in(spec.format.held)
    keras.mixed_precision.set_dtype_policy(spec.format.held)
    layer = ACTIVATIONS[spec.arch.act].keras(keras)
    layer.build(x.shape)

    def total(points: list[Any]) -> tuple[Any, Any]:
        y = layer(points[0], training=False)
        return ops.sum(y), y

    _, y, (slope,) = LIBRARY.gradient(total, [ops.convert_to_tensor(x)])
    return array(y), array(slope)


def array(value: Any) -> Any:
    """A tensor as a NumPy array of its own; half precision as float32, which NumPy computes with."""
    own = np.array(ops.convert_to_numpy(value))
    return own.astype(np.float32) if own.dtype.itemsize == 2 else own
