"""One layer with weights in NumPy and float64, channels first: who is right where two frameworks part."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from models.arrays import Array, Arrays
from models.own.aligned import Aligned
from models.own.carried import BIAS, CONVOLUTION, DENSE, DEPTHWISE, WEIGHT, Pair, WeightedLayer

SAME = "same"


class Padding(NamedTuple):
    """Rows of zeros before and behind, on both axes of an image."""

    before: int = 0
    behind: int = 0


def padding_of(layer: WeightedLayer, shape: tuple[int, ...]) -> Padding:
    """What a convolution pads an image of this shape (N, C, H, W) by."""
    given = layer.attributes.get("padding", 0)
    if isinstance(given, list):
        return Padding(given[0], given[0])
    if given != SAME:
        return Padding()
    size, stride, kernel = shape[2], layer.attributes["stride"][0], layer.shapes[WEIGHT][0]
    total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
    return Padding(total // 2, total - total // 2)


def entered_by(pair: Pair, framework: str, x: Array) -> Array:
    """What entered a layer, channels first where it is an image."""
    x = pair.signal_in_torch(x) if framework == "keras" else x
    return x.astype(np.float64)


def layer_output(row: Aligned, pair: Pair, x: Array, parameters: Arrays, padding: Padding) -> Array:
    """A pair's layer on its input with PyTorch's parameters, and what Keras computes within it. Axes of one pixel are dropped."""
    if pair.keras.kind in (CONVOLUTION, DEPTHWISE) and pair.torch.kind == CONVOLUTION:
        z = _convolved(pair, x.reshape(*x.shape, *[1] * (4 - x.ndim)), parameters, padding)
    elif DENSE in (pair.torch.kind, pair.keras.kind):
        z = x @ parameters[WEIGHT].reshape(parameters[WEIGHT].shape[0], -1).T + parameters.get(BIAS, 0.0)
    else:
        z = _normalized(row, pair, x, parameters)
    z = z.reshape(z.shape[:2]) if z.shape[2:] == (1, 1) else z
    return activated(pair.keras.attributes.get("within", ""), z)


def activated(name: str, x: Array) -> Array:
    """What Keras computes within a layer, by the name of its activation."""
    if name == "relu":
        return np.maximum(x, 0)
    if name not in ("sigmoid", "silu"):
        return x
    sigmoid = 1 / (1 + np.exp(-x))
    return sigmoid if name == "sigmoid" else x * sigmoid


def _convolved(pair: Pair, x: Array, parameters: Arrays, padding: Padding) -> Array:
    weight, stride = parameters[WEIGHT], pair.torch.attributes["stride"][0]
    x = np.pad(x, ((0, 0), (0, 0), tuple(padding), tuple(padding)))
    windows = sliding_window_view(x, weight.shape[2:], axis=(2, 3))[:, :, ::stride, ::stride]
    groups = pair.torch.attributes["groups"]
    if groups == 1:
        z = np.einsum("nchwij,ocij->nohw", windows, weight, optimize=True)
    else:
        n, _, h, w = windows.shape[:4]
        parted = windows.reshape(n, groups, -1, h, w, *weight.shape[2:])
        z = np.einsum("ngchwij,gocij->ngohw", parted, weight.reshape(groups, -1, *weight.shape[1:]), optimize=True).reshape(n, -1, h, w)
    return z + parameters[BIAS].reshape(1, -1, 1, 1) if BIAS in parameters else z


def _normalized(row: Aligned, pair: Pair, x: Array, parameters: Arrays) -> Array:
    """Batch normalization over images and pixels, or layer normalization over channels, with the row's epsilon."""
    first = pair.torch.channels_first
    batch = "mean" in pair.torch.parameters
    axis = 1 if first else x.ndim - 1
    over = tuple(a for a in range(x.ndim) if a != axis) if batch else (axis,)
    eps = row.epsilon if batch else pair.torch.attributes["eps"]
    z = (x - x.mean(over, keepdims=True)) / np.sqrt(x.var(over, keepdims=True) + eps)
    shape = [-1 if a == axis else 1 for a in range(x.ndim)]
    return z * parameters[WEIGHT].reshape(shape) + parameters[BIAS].reshape(shape)
