"""A single layer of images, forward and back."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from models.arrays import Array, Arrays
from models.backends.torch.layers import array

LAYOUTS = {"first": torch.contiguous_format, "last": torch.channels_last}
"""How images and kernels stand in memory, by what stands last or first."""


def image_layer(
    *, kind: str, x: Array, pull: Array, weight: Array | None = None, bias: Array | None = None, stride: int = 1, dilation: int = 1,
    groups: int = 1, order: str = "first",
) -> Arrays:  # fmt: skip
    """Outputs of a layer on x, and the gradients of Σ pull ⊙ outputs; `kind` is conv, depthwise, dense, max or average.

    Pooling windows are as large as their stride. Nothing is padded.
    """
    inputs = torch.tensor(np.ascontiguousarray(x))
    if inputs.dim() == 4:
        inputs = inputs.to(memory_format=LAYOUTS[order])
    inputs.requires_grad_()
    layer = _layer(kind, x, weight, stride, dilation, groups)
    if weight is not None:
        with torch.no_grad():
            layer.weight.copy_(torch.tensor(np.ascontiguousarray(weight)))
            layer.bias.copy_(torch.tensor(np.asarray(bias)))
        if kind != "dense":
            layer.to(memory_format=LAYOUTS[order])
    outputs = layer(inputs)
    (outputs * torch.tensor(np.ascontiguousarray(pull))).sum().backward()
    found = {"outputs": array(outputs), "gradient of x": array(inputs.grad)}
    return found | {f"gradient of {name}": array(parameter.grad) for name, parameter in layer.named_parameters()}


def _layer(kind: str, x: Array, weight: Array | None, stride: int, dilation: int, groups: int) -> nn.Module:
    if weight is None:
        return (nn.MaxPool2d if kind == "max" else nn.AvgPool2d)(stride)
    if kind == "dense":
        return nn.Linear(weight.shape[1], weight.shape[0])
    groups = x.shape[1] if kind == "depthwise" else groups
    return nn.Conv2d(x.shape[1], weight.shape[0], weight.shape[2:], stride, dilation=dilation, groups=groups)
