"""Keras on PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import keras
import torch
from torch import Tensor
from torch.autograd import forward_ad

from models.arrays import Batches, Targets
from models.backends.keras.libraries import Side, Tapped
from models.backends.keras.libraries.absent import after, with_gradient
from models.backends.keras.libraries.added_zeros import by_added_zeros
from models.backends.registry import Absent
from models.backends.torch.device import built_for, configure, device_memory, drain, gpus, peak_device_memory
from models.backends.torch.precision import allow_tf32, float32_products, forward_mode

__all__ = [
    "CALLS_TRAIN_FUNCTION", "FLOAT64", "SEVERAL_STEPS", "after", "allow_float64", "allow_tf32", "built_for", "collect_weights", "compiled",
    "configure",
    "device_memory", "drain", "float32_products", "forget_traces", "gpus", "gradient", "hessian", "once_traced",
    "peak_device_memory", "place_of",
    "slope", "tapped_gradients", "version", "with_gradient",
]  # fmt: skip

FLOAT64 = True
CALLS_TRAIN_FUNCTION = False
SEVERAL_STEPS = False


def version() -> str:
    """PyTorch's version."""
    return str(torch.__version__)


def gradient(function: Callable[[list[Tensor]], tuple[Tensor, Side]], at: list[Tensor]) -> tuple[Tensor, Side, list[Tensor]]:
    """Value, side results and gradient by autograd."""
    leaves = [tensor.detach().requires_grad_() for tensor in at]
    value, side = function(leaves)
    return value.detach(), side, list(torch.autograd.grad(value, leaves))


def tapped_gradients(
    function: Tapped[Side], shapes: Mapping[str, tuple[int, ...]], dtype: str, compiled: bool, fused: bool
) -> Callable[..., tuple[Tensor, Side, dict[str, Tensor]]]:
    """With respect to a zero that is added to each tensor."""
    return by_added_zeros(gradient, function, shapes, dtype)


def compiled(function: Callable[..., Side]) -> Callable[..., Side]:
    """Keras on PyTorch runs eagerly. Raises Absent."""
    raise Absent("Keras on PyTorch compiles no step by itself")


def slope(function: Callable[[list[Tensor]], Tensor], at: list[Tensor], along: list[Tensor]) -> Tensor:
    """Derivative along a direction by dual numbers."""
    with forward_mode():
        duals = [forward_ad.make_dual(value.detach(), tangent) for value, tangent in zip(at, along, strict=True)]
        return forward_ad.unpack_dual(function(duals)).tangent


def hessian(function: Callable[[Tensor], Tensor], at: Tensor) -> Tensor:
    """By autograd, twice."""
    return torch.autograd.functional.hessian(function, at.detach())


def forget_traces() -> None:
    """PyTorch traces nothing."""


def allow_float64(allowed: bool) -> None:
    """PyTorch always has float64."""


def once_traced(xs: Batches, targets: list[Targets]) -> Iterator[Tensor] | None:
    """PyTorch traces nothing."""
    return None


def collect_weights(model: keras.Model) -> None:
    """They are in the variables."""


def place_of(tensor: Tensor) -> str:
    """`cuda:0`."""
    return str(tensor.device)
