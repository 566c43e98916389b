"""What the faults of PyTorch's normalizations make of the originals."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Variance = Callable[[Any, Any, int], Any]
"""The variance that a normalization divides by, of `x` with its `mean` over an axis."""


def batch_norm(change: Callable[..., Any]) -> Callable[[Any], Any]:
    """torch.nn.functional.batch_norm(input, mean, var, weight, bias, training, momentum, eps), changed."""
    return lambda original: lambda *a: change(original, *a)


def biased_running_variance(original: Any, x: Any, mean: Any, var: Any, w: Any, b: Any, training: Any, momentum: float, eps: float) -> Any:
    before = var.detach().clone()
    y = original(x, mean, var, w, b, training, momentum, eps)
    if training:
        fresh = (var - (1 - momentum) * before) / momentum
        var.data.copy_((1 - momentum) * before + momentum * fresh * (len(x) - 1) / len(x))
    return y


def mean_held(x: Any, mean: Any, axis: int) -> Any:
    """E[x²] − E[x]² with no gradient through the mean."""
    return x.square().mean(axis, keepdim=True) - mean.detach().square()


def cancelling(x: Any, mean: Any, axis: int) -> Any:
    """E[x²] − E[x]² with the right gradient: two large numbers that leave few digits where the mean is far from zero."""
    return x.square().mean(axis, keepdim=True) - mean.square()


def unbiased(x: Any, mean: Any, axis: int) -> Any:
    return x.var(axis, keepdim=True, correction=1)


def _normalized(x: Any, axis: int, variance: Variance, eps: float) -> Any:
    mean = x.mean(axis, keepdim=True)
    return (x - mean) * (variance(x, mean, axis) + eps).rsqrt()


def batch_norm_by(variance: Variance) -> Callable[[Any], Any]:
    """Batch norm that divides by another variance; its running statistics are the original's."""

    def changed(original: Any, x: Any, mean: Any, var: Any, w: Any, b: Any, training: Any, momentum: float, eps: float) -> Any:
        y = original(x, mean, var, w, b, training, momentum, eps)
        return _normalized(x, 0, variance, eps) * w + b if training else y

    return batch_norm(changed)


def layer_norm_by(variance: Variance) -> Callable[[Any], Any]:
    return lambda original: lambda x, shape, w, b, eps: _normalized(x, -1, variance, eps) * w + b


def group_norm_by(variance: Variance) -> Callable[[Any], Any]:
    return lambda original: lambda x, groups, w, b, eps: _normalized(x.view(len(x), groups, -1), -1, variance, eps).view(x.shape) * w + b


def interleaved(group_norm: Any) -> Any:
    """Groups of every n-th unit and not of neighbours."""

    def normalized(x: Any, groups: int, w: Any, b: Any, eps: float) -> Any:
        y = group_norm(x.view(len(x), -1, groups).transpose(1, 2).reshape(x.shape), groups, None, None, eps)
        return y.view(len(x), groups, -1).transpose(1, 2).reshape(x.shape) * w + b

    return normalized
