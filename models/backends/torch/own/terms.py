"""Fused operations in which numbers cancel: how large the terms are that a result is the difference of.

One rounding of a result says too little where it is small beside its terms: 1 − p for a probability near 1, or what is left of a gradient
after its mean is subtracted. A float32 kernel rounds the terms.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor


def _log_softmax(x: Tensor, dim: int, *_: Any) -> Tensor:
    return x.abs() + torch.logsumexp(x, dim, keepdim=True).abs()


def _log_softmax_slope(g: Tensor, out: Tensor, dim: int, *_: Any) -> Tensor:
    return g.abs() + out.exp() * g.sum(dim, keepdim=True).abs()


def _softmax_slope(g: Tensor, out: Tensor, dim: int, *_: Any) -> Tensor:
    return (g * out).abs() + out * (g * out).sum(dim, keepdim=True).abs()


def _layer_norm(x: Tensor, shape: Any, weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    axes = list(range(-len(shape), 0))
    scale = torch.rsqrt(x.var(axes, correction=0, keepdim=True) + eps)
    return (x * scale if weight is None else x * scale * weight).abs()


def _layer_norm_slope(g: Tensor, x: Tensor, shape: Any, mean: Tensor, rstd: Tensor, weight: Tensor | None, *_: Any) -> Tensor:
    return ((g if weight is None else g * weight) * rstd).abs()


def _by_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(1, -1, *[1] * (like.dim() - 2))


def _batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, var: Tensor | None, train: bool, *rest: Any
) -> Tensor:
    eps = rest[-1]
    if train or var is None:
        var = x.var([axis for axis in range(x.dim()) if axis != 1], correction=0)
    scale = torch.rsqrt(var + eps) * (1 if weight is None else weight)
    return (x * _by_channel(scale, x)).abs()


def _batch_norm_slope(
    g: Tensor, x: Tensor, weight: Tensor | None, mean: Any, var: Any, saved: Any, invstd: Tensor | None, train: bool, *_: Any
) -> Tensor:
    if invstd is None or not invstd.numel():
        return g.abs()
    return (g * _by_channel(invstd if weight is None else invstd * weight, g)).abs()


def _group_norm_slope(
    g: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor | None, n: int, c: int, hw: int, groups: int, *_: Any
) -> Tensor:
    scale = rstd.reshape(n, groups, 1).expand(n, groups, c // groups).reshape(n, c, *[1] * (g.dim() - 2))
    return (g * scale * (1 if weight is None else _by_channel(weight, g))).abs()


TERMS: dict[str, Callable[..., Tensor]] = {
    "_log_softmax": _log_softmax,
    "_log_softmax_backward_data": _log_softmax_slope,
    "_softmax_backward_data": _softmax_slope,
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_slope,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "native_batch_norm_backward": _batch_norm_slope,
    "native_group_norm_backward": _group_norm_slope,
}
"""By operation the size of the terms of its first result, of the operation's own arguments."""
