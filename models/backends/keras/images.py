"""Keras's layers for images, channels last: convolutions, pooling, flattening, and what pads before them where they pad otherwise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array
from models.backends.keras.layers import regularizer
from models.backends.keras.libraries import Tensor
from models.nodes import Conv, Image, Pool, Windowed
from models.parts.initializers import INITIALIZERS
from models.parts.paddings import PADDINGS
from models.reference.draws import BIAS_SD
from models.spec import Spec

LOWEST = float(np.finfo(np.float32).min)
"""What a largest number is padded with: Keras's libraries multiply by masks, and an infinity times zero is no number."""


class Padded(keras.layers.Layer):
    """A layer before which rows and columns are added."""

    def __init__(self, layer: keras.layers.Layer, pads: tuple[int, int], wrap: bool = False, fill: float = 0.0) -> None:
        """Remember the layer, what is added on each side, and whether that wraps around."""
        super().__init__()
        self.layer, self.pads, self.wrap, self.fill = layer, pads, wrap, fill

    def build(self, shape: tuple[int, ...]) -> None:
        """Build the layer for larger images."""
        batch, height, width, channels = shape
        self.layer.build((batch, height + sum(self.pads), width + sum(self.pads), channels))

    def call(self, x: Tensor) -> Tensor:
        """Pad rows, then columns."""
        low, high = self.pads
        if not self.wrap:
            return self.layer(ops.pad(x, ((0, 0), (low, high), (low, high), (0, 0)), constant_values=self.fill))
        size = x.shape[1]
        x = ops.concatenate([x[:, size - low :], x, x[:, :high]], axis=1)
        return self.layer(ops.concatenate([x[:, :, size - low :], x, x[:, :, :high]], axis=2))


class Shared(keras.layers.Layer):
    """A mean that counts padding, over the share that is no padding, where padding is not to count."""

    def __init__(self, mean: keras.layers.Layer, size: int) -> None:
        """Remember the layer and the size of its images."""
        super().__init__()
        self.mean, self.size = mean, size

    def call(self, x: Tensor) -> Tensor:
        """Average and divide."""
        return self.mean(x) / self.mean(ops.ones((1, self.size, self.size, 1), dtype=x.dtype))


def inner(layer: keras.layers.Layer) -> keras.layers.Layer:
    """The layer that holds what a part learns."""
    return layer.layer if isinstance(layer, Padded) else layer


def image(node: Image) -> keras.layers.Layer:
    """Features as pixels of one channel."""
    return keras.layers.Reshape((node.size, node.size, 1))


def convolution(spec: Spec, node: Conv) -> keras.layers.Layer:
    """A Conv2D or DepthwiseConv2D with the row's initializer; what the row leaves out keeps Keras's default."""
    initializer, kernel = INITIALIZERS[spec.init], "depthwise" if node.depthwise else "kernel"
    options: dict[str, Any] = {"strides": node.stride, "dilation_rate": node.dilation, "padding": _own_padding(node) or "valid"}
    if initializer.keras:
        options[f"{kernel}_initializer"] = initializer.keras(keras.initializers, None)
    if node.delta:
        options[f"{kernel}_initializer"] = _middles(spec, node)
    if spec.bias == "normal":
        options["bias_initializer"] = keras.initializers.RandomNormal(stddev=BIAS_SD)
    elif initializer.random_bias:
        bound = (node.channels_below if node.delta else node.fan_in) ** -0.5
        options["bias_initializer"] = keras.initializers.RandomUniform(-bound, bound)
    if penalty := regularizer(spec):
        options[f"{kernel}_regularizer"] = penalty
    if node.depthwise:
        layer = keras.layers.DepthwiseConv2D(node.kernel, **options)
    else:
        layer = keras.layers.Conv2D(node.width, node.kernel, groups=node.groups, **options)
    return layer if _own_padding(node) else Padded(layer, node.pads, PADDINGS[node.padding].wrap)


def _own_padding(node: Windowed) -> str:
    """Keras's word for the padding of these windows; nothing where it pads otherwise."""
    if PADDINGS[node.padding].wrap and node.pads != (0, 0):
        return ""
    if node.pads == (0, 0):
        return "valid"
    return "same" if node.pads == PADDINGS["same_at_end"].pads(node.size_below, node.reach, node.stride) else ""


def _middles(spec: Spec, node: Conv) -> Callable[..., Array]:
    """As a function, which Keras takes for an initializer: zeros, and in the middle a matrix that is filled as a dense layer's is."""
    row = INITIALIZERS[spec.init]
    own = row.keras(keras.initializers, None) if row.keras else keras.initializers.GlorotUniform()

    def initializer(shape: tuple[int, ...], dtype: str | None = None) -> Array:
        kernel = np.zeros(shape)
        kernel[node.kernel // 2, node.kernel // 2] = ops.convert_to_numpy(own((node.channels_below, node.width), dtype="float32"))
        return kernel

    return initializer


def pooling(node: Pool) -> keras.layers.Layer:
    """Keras's pooling layer, behind one that pads where the layer itself does not pad so."""
    layers = keras.layers
    if node.whole:
        return layers.GlobalMaxPooling2D(keepdims=True) if node.largest else layers.GlobalAveragePooling2D(keepdims=True)
    own, kind = _own_padding(node), layers.MaxPooling2D if node.largest else layers.AveragePooling2D
    if own == "valid" or (own and not node.counted):  # Keras's means count no padding
        return kind(node.kernel, node.stride, padding=own)
    padded = Padded(kind(node.kernel, node.stride), node.pads, fill=LOWEST if node.largest else 0.0)
    return padded if node.largest or node.counted else Shared(padded, node.size_below)
