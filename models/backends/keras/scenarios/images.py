"""A single layer of images, forward and back."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays
from models.backends.keras.layers import array
from models.backends.keras.libraries import LIBRARY, Tensor

KERNELS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "conv": ((2, 3, 1, 0), (3, 2, 0, 1)), "depthwise": ((2, 3, 0, 1), (2, 3, 0, 1)), "dense": ((1, 0), (1, 0)),
}  # fmt: skip
"""How the axes of a weight stand in Keras, and how they are put back."""


def image_layer(
    *, kind: str, x: Array, pull: Array, weight: Array | None = None, bias: Array | None = None, stride: int = 1, dilation: int = 1,
    groups: int = 1, order: str = "last",
) -> Arrays:  # fmt: skip
    """Outputs of a layer on x, and the gradients of Σ pull ⊙ outputs; `kind` is conv, depthwise, dense, max or average.

    Pooling windows are as large as their stride. Nothing is padded. `order` is where the layer has channels.
    """
    last = x.ndim == 4 and order == "last"
    inputs, weighted = _turned(x, last), _turned(pull, last)
    layer = _layer(kind, weight, stride, dilation, groups, order)
    layer.build(inputs.shape)
    at, variables = [ops.convert_to_tensor(inputs)], []
    if weight is not None:
        variables = [layer.kernel, layer.bias]
        held = np.ascontiguousarray(np.transpose(weight, KERNELS[kind][0])), np.asarray(bias)
        at += [ops.convert_to_tensor(each) for each in held]

    def pulled(values: list[Tensor]) -> tuple[Tensor, Tensor]:
        with keras.StatelessScope(state_mapping=list(zip(variables, values[1:], strict=True))):
            outputs = layer(values[0])
        return ops.sum(outputs * ops.convert_to_tensor(weighted)), outputs

    _, outputs, slopes = LIBRARY.gradient(pulled, at)
    found = {"outputs": _back(array(outputs), last), "gradient of x": _back(array(slopes[0]), last)}
    if weight is not None:
        found |= {"gradient of weight": np.transpose(array(slopes[1]), KERNELS[kind][1]), "gradient of bias": array(slopes[2])}
    return found


def _turned(images: Array, last: bool) -> Array:
    return np.ascontiguousarray(np.moveaxis(images, 1, -1) if last else images)


def _back(images: Array, last: bool) -> Array:
    return np.moveaxis(images, -1, 1) if last else images


def _layer(kind: str, weight: Array | None, stride: int, dilation: int, groups: int, order: str) -> keras.layers.Layer:
    layers, options = keras.layers, dict[str, Any](data_format=f"channels_{order}")
    if weight is None:
        return (layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D)(stride, **options)
    if kind == "dense":
        return layers.Dense(weight.shape[0])
    options |= {"strides": stride, "dilation_rate": dilation}
    if kind == "depthwise":
        return layers.DepthwiseConv2D(weight.shape[2:], **options)
    return layers.Conv2D(weight.shape[0], weight.shape[2:], groups=groups, **options)
