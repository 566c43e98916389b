"""PyTorch's layers for images: convolutions, pooling, normalizations, flattening, and what pads before them where they pad otherwise."""

from __future__ import annotations

import math

import torch
from torch import nn

from models.nodes import Conv, Flatten, Normalize, NormalizeInSpace, Pool
from models.parts.initializers import INITIALIZERS
from models.parts.norms import NORMS
from models.parts.paddings import PADDINGS
from models.reference.draws import BIAS_SD
from models.spec import Spec


class Prepared(nn.Module):
    """A layer behind one that pads or turns its inputs, and before one that turns its results back."""

    def __init__(self, before: nn.Module, layer: nn.Module, behind: nn.Module | None = None) -> None:
        """Remember all of them."""
        super().__init__()
        self.before, self.layer, self.behind = before, layer, behind or nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One after the other."""
        return self.behind(self.layer(self.before(x)))  # type: ignore[no-any-return]


class Permute(nn.Module):
    """Dimensions in another order."""

    def __init__(self, *order: int) -> None:
        """Remember the order."""
        super().__init__()
        self.order = order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """As a view."""
        return x.permute(self.order)


class Uncounted(nn.Module):
    """A mean over windows in which padding does not count: the mean that counts it, over the share that is no padding."""

    def __init__(self, pad: nn.Module, mean: nn.AvgPool2d, size: int) -> None:
        """Find the shares for images of `size` × `size` pixels."""
        super().__init__()
        self.pad, self.mean = pad, mean
        self.register_buffer("share", mean(pad(torch.ones(1, 1, size, size))), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Pad, average and divide."""
        return self.mean(self.pad(x)) / self.share  # type: ignore[no-any-return]


def inner(part: nn.Module) -> nn.Module:
    """The layer that holds what a part learns."""
    return part.layer if isinstance(part, Prepared) else part


@torch.no_grad()
def convolution(spec: Spec, node: Conv) -> nn.Module:
    """A Conv2d filled by torch.nn.init; what the initializer row leaves out keeps PyTorch's default."""
    (low, high), initializer = node.pads, INITIALIZERS[spec.init]
    own = low if low == high else 0
    mode = "circular" if PADDINGS[node.padding].wrap else "zeros"
    layer = nn.Conv2d(
        node.channels_below, node.width, node.kernel, node.stride, own, dilation=node.dilation, groups=node.groups, padding_mode=mode
    )
    if initializer.torch:
        initializer.torch(nn.init, layer.weight)
    if node.delta:
        _begin_with_middles(spec, node, layer.weight)
    if spec.bias == "normal":
        nn.init.normal_(layer.bias, std=BIAS_SD)
    elif not initializer.random_bias:
        nn.init.zeros_(layer.bias)
    return layer if low == high else Prepared(nn.ZeroPad2d((low, high, low, high)), layer)


def _begin_with_middles(spec: Spec, node: Conv, weight: torch.Tensor) -> None:
    """Zeros, and in the middle a matrix that is filled as that of a dense layer is."""
    own, middle = INITIALIZERS[spec.init].torch, weight.new_empty(node.width, node.channels_below)
    own(nn.init, middle) if own else nn.init.kaiming_uniform_(middle, a=math.sqrt(5))  # as nn.Linear is filled by default
    nn.init.zeros_(weight)
    weight[:, :, node.kernel // 2, node.kernel // 2] = middle


def pooling(node: Pool) -> nn.Module:
    """PyTorch's pooling layer, behind one that pads where the layer itself does not pad so."""
    if node.whole:
        return nn.AdaptiveMaxPool2d(1) if node.largest else nn.AdaptiveAvgPool2d(1)
    low, high = node.pads
    if low == high:
        if node.largest:
            return nn.MaxPool2d(node.kernel, node.stride, low)
        return nn.AvgPool2d(node.kernel, node.stride, low, count_include_pad=node.counted)
    pad = nn.ConstantPad2d((low, high, low, high), -math.inf if node.largest else 0.0)
    if node.largest:
        return Prepared(pad, nn.MaxPool2d(node.kernel, node.stride))
    mean = nn.AvgPool2d(node.kernel, node.stride)
    return Prepared(pad, mean) if node.counted else Uncounted(pad, mean, node.size_below)


def normalization(node: Normalize) -> nn.Module:
    """PyTorch's normalization; over the channels of a pixel it takes those last."""
    layer: nn.Module = NORMS[node.norm].torch(nn, node)
    if isinstance(node, NormalizeInSpace) and NORMS[node.norm].over == "units":
        return Prepared(Permute(0, 2, 3, 1), layer, Permute(0, 3, 1, 2))
    return layer


def flattening(node: Flatten) -> nn.Module:
    """PyTorch's Flatten puts channels first."""
    return nn.Flatten() if node.order == "channels_first" else Prepared(Permute(0, 2, 3, 1), nn.Flatten())
