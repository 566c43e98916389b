"""Simulated quantization in float64: which step of the grid a number is rounded to is a decision of the float32 pass.

A number within rounding of the middle between two steps may go to either. PyTorch's kernels with a scale for each channel refuse a scale in
float64, so that values and gradients are written out here. Source: `native/quantized/cpu/kernels/QuantizedOpKernels.cpp` of PyTorch 2.13.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import torch
from torch import Tensor

Number: TypeAlias = "Tensor | float"
"""A scale or a zero point: one for all, or one for each channel."""


def _along(values: Number, axis: int | None, like: Tensor) -> Number:
    """Scales or zero points of channels, to be broadcast."""
    if axis is None or not isinstance(values, Tensor):
        return values
    return values.reshape([-1 if each == axis % like.dim() else 1 for each in range(like.dim())])


def step(x: Tensor, scale: Number, zero: Number, axis: int | None = None) -> Tensor:
    """The step of the grid that each number is nearest to, before the grid ends."""
    scale, zero = _along(scale, axis, x), _along(zero, axis, x)
    return ((x * (1 / scale)).round() + zero).to(torch.float64)


def value(steps: Tensor, x: Tensor, scale: Number, zero: Number, axis: int | None, low: int, high: int) -> Tensor:
    """The number that stands at each step, or at the end of the grid."""
    return (steps.clamp(low, high) - _along(zero, axis, x)) * _along(scale, axis, x)


def inside(steps: Tensor, low: int, high: int) -> Tensor:
    """Where the grid has not ended."""
    return (steps >= low) & (steps <= high)


def slopes(
    steps: Tensor, g: Tensor, x: Tensor, scale: Tensor, zero: Tensor, axis: int | None, low: int, high: int, factor: float
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of the numbers, of a scale and of a zero point that are learned (Esser et al. 2020), the latter two times `factor`."""
    within = inside(steps, low, high)
    scales, zeros = _along(scale, axis, x), _along(zero, axis, x)
    of_scale = torch.where(within, ((steps - zeros) * scales - x) / scales, steps.clamp(low, high) - zeros)
    of_zero = torch.where(within, torch.zeros_like(x), -scales * torch.ones_like(x))
    others = [each for each in range(x.dim()) if axis is None or each != axis % x.dim()]
    summed = [(g * each * factor).sum(others).reshape(scale.shape) for each in (of_scale, of_zero)]
    return torch.where(within, g, 0.0), summed[0], summed[1]


class Quantizer:
    """One of PyTorch's operations, forward or backward, whose arguments behind the numbers are their scale and grid."""

    def __init__(self, *, axis: bool = False, switch: bool = False, learned: bool = False, backward: bool = False) -> None:
        """With an `axis` it has a scale for each channel, with a `switch` it may be off; a zero point that is `learned` is rounded."""
        self._axis, self._switch, self.learned, self.backward = axis, switch, learned, backward

    def zone(self, *args: Any, **named: Any) -> Tensor:
        """The steps that numbers are nearest to."""
        x, scale, zero, axis, *_ = self._parts(*args, **named)
        return step(x, scale, zero, axis)

    def slope(self, steps: Tensor, *args: Any, **named: Any) -> object:
        """Its results, given the steps."""
        x, scale, zero, axis, low, high, on, factor = self._parts(*args, **named)
        if self.backward:
            return slopes(steps, args[0], x, scale, zero, axis, low, high, factor)
        out = value(steps, x, scale, zero, axis, low, high)
        if self.learned:
            return out
        mask = inside(steps, low, high)
        return (out, mask) if on else (x.clone(), torch.ones_like(mask))

    def _parts(self, *args: Any, grad_factor: float = 1.0) -> tuple[Any, ...]:
        x, scale, zero, *rest = args[1:] if self.backward else args
        on = bool(rest.pop(0)) if self._switch else True
        axis = rest.pop(0) if self._axis else None
        low, high, factor = (*rest, grad_factor)[:3]
        return x, scale, zero.round().clamp(low, high) if self.learned else zero, axis, low, high, on, factor


QUANTIZERS = {
    "fake_quantize_per_tensor_affine_cachemask": Quantizer(),
    "_fake_quantize_per_tensor_affine_cachemask_tensor_qparams": Quantizer(switch=True),
    "fake_quantize_per_channel_affine_cachemask": Quantizer(axis=True),
    "_fake_quantize_learnable_per_tensor_affine": Quantizer(learned=True),
    "_fake_quantize_learnable_per_channel_affine": Quantizer(axis=True, learned=True),
    "_fake_quantize_learnable_per_tensor_affine_backward": Quantizer(learned=True, backward=True),
    "_fake_quantize_learnable_per_channel_affine_backward": Quantizer(axis=True, learned=True, backward=True),
}
