"""Fused operations in which numbers cancel: how large the terms are that a result is the difference of.

One rounding of a result says too little where it is small beside its terms: 1 − p for a probability near 1, or what is left of a gradient
after its mean is subtracted. A float32 kernel rounds the terms.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from models.backends.torch.own.half import HALVES, added_up
from models.own.sums import CHANNELS, of_product, times

MEAN, LARGEST = 1, 2
"""Modes of a bag of embeddings."""
CANCELLED = 4.0
"""From this share of a result's squares on the squares of its terms are its yardstick: it is off by two roundings of itself, then."""
FEW = 3
"""Output channels of a convolution that may be one of differences."""
MANY = 16
"""Terms up to which one rounding covers what a sum is off."""


def _log_softmax(x: Tensor, dim: int, *_: object) -> Tensor:
    return x.abs() + torch.logsumexp(x, dim, keepdim=True).abs()


def _log_softmax_in_half(out: Tensor, x: Tensor, dim: int, *_: object) -> Tensor:
    """x − m is exact in float32; Σexp(x − m), near 1 or more, is rounded to half precision, and so are its logarithm and the result.

    The kernel of PyTorch 2.13.0 is off by 1.00 units of it at most, for logits of 0.1 to 2,000 and 4 to 5,000 classes in both formats.
    """
    return out.abs() + torch.logsumexp(x - x.amax(dim, keepdim=True), dim, keepdim=True) + 1


def _log_softmax_slope(g: Tensor, out: Tensor, dim: int, *_: object) -> Tensor:
    return g.abs() + out.exp() * g.sum(dim, keepdim=True).abs()


def _softmax_slope(g: Tensor, out: Tensor, dim: int, *_: object) -> Tensor:
    return (g * out).abs() + out * (g * out).sum(dim, keepdim=True).abs()


def _layer_norm(x: Tensor, shape: Sequence[int], weight: Tensor | None, bias: Tensor | None, eps: float) -> Tensor:
    axes = list(range(-len(shape), 0))
    scale = torch.rsqrt(x.var(axes, correction=0, keepdim=True) + eps)
    return (x * scale if weight is None else x * scale * weight).abs()


def _layer_norm_slope(g: Tensor, x: Tensor, shape: Sequence[int], mean: Tensor, rstd: Tensor, weight: Tensor | None, *_: object) -> Tensor:
    return ((g if weight is None else g * weight) * rstd).abs()


def _logsumexp(x: Tensor, dim: Sequence[int], *_: object) -> Tensor:
    """m + log Σ exp(x − m), of which the sum is off by a rounding, and its logarithm by as much as a number near 1 is."""
    largest = x.amax(dim, keepdim=True)
    size = largest.abs() + torch.logsumexp(x - largest, dim, keepdim=True) + 1
    return size.reshape(torch.logsumexp(x, dim, *_).shape)  # type: ignore[call-overload]  # `keepdim`, as the schema says


def _logaddexp(x: Tensor, y: Tensor) -> Tensor:
    largest = torch.maximum(x, y)
    return largest.abs() + torch.logaddexp(x - largest, y - largest)


def _added_product(x: Tensor, left: Tensor, right: Tensor, *, value: float = 1) -> Tensor:
    return x.abs() + (value * left * right).abs()


def _added_quotient(x: Tensor, left: Tensor, right: Tensor, *, value: float = 1) -> Tensor:
    return x.abs() + (value * left / right).abs()


def _between(x: Tensor, y: Tensor, weight: Tensor | float) -> Tensor:
    return x.abs() + (weight * (y - x)).abs()


def _gelu(x: Tensor, *, approximate: str = "none") -> Tensor:
    """½x(1 + erf(x/√2)), where 1 + erf is what is left of 1 for negative x."""
    return x.abs()


def _gelu_slope(g: Tensor, x: Tensor, *, approximate: str = "none") -> Tensor:
    return (g * (1 + x.abs() * torch.exp(-x.square() / 2))).abs()


def _total(x: Tensor, dim: Sequence[int] | int | None = None, keepdim: bool = False, *, dtype: object = None) -> Tensor:
    """√Σx², as large as partial sums of terms of either sign are, or the sum where that is more."""
    size = torch.maximum(x.sum(dim, keepdim=keepdim).abs(), x.abs().square().sum(dim, keepdim=keepdim).sqrt())
    return size[..., None] if x.is_complex() else size


def _average(x: Tensor, dim: Sequence[int] | int | None = None, keepdim: bool = False, *, dtype: object = None) -> Tensor:
    count = x.numel() / max(x.mean(dim, keepdim=keepdim).numel(), 1)
    return _total(x, dim, keepdim) / max(count, 1)


def _group_norm(x: Tensor, weight: Tensor | None, bias: Tensor | None, n: int, c: int, hw: int, groups: int, eps: float) -> Tensor:
    grouped = x.reshape(n, groups, -1)
    scale = torch.rsqrt(grouped.var(-1, correction=0, keepdim=True) + eps)
    size = (grouped * scale).reshape(x.shape)
    return (size if weight is None else size * _by_channel(weight, x)).abs()


def _by_channel(values: Tensor, like: Tensor) -> Tensor:
    return values.reshape(1, -1, *[1] * (like.dim() - 2))


def _batch_norm(
    x: Tensor, weight: Tensor | None, bias: Tensor | None, mean: Tensor | None, var: Tensor | None, train: bool, *rest: float
) -> Tensor:
    eps = rest[-1]
    if train or var is None:
        var = x.var([axis for axis in range(x.dim()) if axis != 1], correction=0)
    scale = torch.rsqrt(var + eps) * (1 if weight is None else weight)
    return (x * _by_channel(scale, x)).abs()


def _batch_norm_slope(
    g: Tensor, x: Tensor, weight: Tensor | None, mean: object, var: object, saved: object, invstd: Tensor | None, train: bool, *_: object
) -> Tensor:
    if invstd is None or not invstd.numel():
        return g.abs()
    return (g * _by_channel(invstd if weight is None else invstd * weight, g)).abs()


def _group_norm_slope(
    g: Tensor, x: Tensor, mean: Tensor, rstd: Tensor, weight: Tensor | None, n: int, c: int, hw: int, groups: int, *_: object
) -> Tensor:
    scale = rstd.reshape(n, groups, 1).expand(n, groups, c // groups).reshape(n, c, *[1] * (g.dim() - 2))
    return (g * scale * (1 if weight is None else _by_channel(weight, g))).abs()


def _window(weight: Tensor, transposed: bool, groups: int) -> int:
    """Terms that a convolution adds one after the other: the window's, of a block of channels."""
    channels = weight.shape[0] // groups if transposed else weight.shape[1]
    return min(channels, CHANNELS) * math.prod(weight.shape[2:])


def _convolution(
    x: Tensor,
    weight: Tensor,
    bias: object,
    stride: object,
    padding: object,
    dilation: object,
    transposed: bool,
    output_padding: object,
    groups: int,
) -> tuple[int, ...]:
    return (_window(weight, transposed, groups),)


def _convolution_slope(g: Tensor, x: Tensor, weight: Tensor, sizes: object, *rest: object) -> tuple[int, ...]:
    *_, transposed, _, groups, _ = rest
    assert isinstance(transposed, bool) and isinstance(groups, int), "as the schema of this operation says"
    pixels = x if transposed else g
    return (_window(weight, not transposed, groups), pixels.numel() // pixels.shape[1])


def _pooled(x: Tensor, kernel: Sequence[int], *_: object) -> tuple[int, ...]:
    return (math.prod(kernel) if len(kernel) > 1 else kernel[0] ** (x.dim() - 2),)


def _pooled_to(x: Tensor, size: Sequence[int], *_: object) -> tuple[int, ...]:
    return (math.prod(x.shape[-len(size) :]) // math.prod(size),)


def _looked_up_slope(dtype: torch.dtype, g: Tensor, places: Tensor, rows: int, *_: object) -> Tensor:
    """The error of a row's gradient that is added up token after token in a format, here in an order of its own."""
    return _in_rows(dtype, g.reshape(-1, g.shape[-1]), places.reshape(-1), rows)


def _bags(
    dtype: torch.dtype, weight: Tensor, places: Tensor, offsets: Tensor, scaled: bool = False, mode: int = 0, *rest: object
) -> Tensor:
    """The same of bags, of which modes 0 and 1 are sums and means."""
    bags = torch.searchsorted(offsets, torch.arange(len(places)), right=True) - 1
    off = _in_rows(dtype, weight[places], bags, len(offsets))
    return off / torch.bincount(bags, minlength=len(offsets)).clamp(min=1)[:, None] if mode == MEAN else off * (mode != LARGEST)


def _put(dtype: torch.dtype, x: Tensor, places: Sequence[Tensor | None], terms: Tensor, accumulate: bool = False, *_: object) -> Tensor:
    """The same of numbers that are added at places of the first axes, as the gradient of `x[places]` is; of other places none."""
    given = [each for each in places if each is not None]
    first = not any(each is None for each in places[: len(given)]) and all(each.dtype == torch.int64 for each in given)
    if not accumulate or not first or terms.dtype != torch.float64:
        return torch.zeros_like(x)
    sizes, given = x.shape[: len(given)], list(torch.broadcast_tensors(*given))
    rows = given[0].new_zeros(given[0].shape)
    for size, each in zip(sizes, given, strict=True):
        rows = rows * size + each % size
    width = x[(0,) * len(sizes)].shape
    terms = terms.expand(*rows.shape, *width)
    return _in_rows(dtype, terms.reshape(rows.numel(), -1), rows.reshape(-1), math.prod(sizes)).reshape(x.shape)


def _added(dtype: torch.dtype, x: Tensor, axis: int, places: Tensor, terms: Tensor, *, alpha: float = 1) -> Tensor:
    """The same of slices that are added at places along an axis. In half precision those of numbers alone are added up in it."""
    if terms.dtype != torch.float64 or (dtype in HALVES and x.dim() > 1) or not x.dim():
        return torch.zeros_like(x)
    ordered = (alpha * terms).movedim(axis, 0)
    off = _in_rows(dtype, ordered.reshape(len(ordered), -1), places, x.shape[axis])
    return off.reshape(x.shape[axis], *ordered.shape[1:]).movedim(0, axis)


def _in_rows(dtype: torch.dtype, terms: Tensor, rows: Tensor, count: int) -> Tensor:
    """What sums of the terms of each row are off in a format, of `MANY` terms or more; one rounding covers fewer."""
    off, counts = terms.new_zeros(count, terms.shape[-1]), torch.bincount(rows, minlength=count)
    ends, ordered = counts.cumsum(0).tolist(), terms[rows.argsort(stable=True)]
    for row in torch.nonzero(counts >= MANY).flatten().tolist():
        own = ordered[ends[row] - int(counts[row]) : ends[row]]
        off[row] = added_up(own, dtype) - own.sum(0)
    return off


def product(name: str, args: Sequence[object], out: Tensor) -> tuple[int, Tensor | None]:
    """How many additions follow each other in one of `PRODUCTS`, and the size of each result's terms where one rounding is too little.

    Σ(terms²) of all results together is Σₖ ‖columnₖ‖²‖rowₖ‖², which costs little beside the product.
    """
    left, right = args[PRODUCTS[name] : PRODUCTS[name] + 2]
    assert isinstance(left, Tensor) and isinstance(right, Tensor), "as the schemas of these operations say"
    left, right = (each if each.layout == torch.strided else each.to_dense() for each in (left, right))
    rows, columns = (left.shape[-2] if left.dim() > 1 else 1), (right.shape[-1] if right.dim() > 1 else 1)
    additions = of_product(rows, left.shape[-1], columns)
    squares, others = left.abs().square(), right.abs().square()
    energy = (squares.sum(-2) if left.dim() > 1 else squares) * (others.sum(-1) if right.dim() > 1 else others)
    if times(additions, out.numel()) == 1 and float(energy.sum()) <= CANCELLED * float(out.abs().square().sum()):
        return additions, None
    found = torch.maximum(out.abs(), (squares @ others).sqrt().reshape(out.shape))
    if PRODUCTS[name] and isinstance(args[0], Tensor):
        found = torch.maximum(found, args[0].abs())
    # Of complex results the same for the real and the imaginary part, along an axis of their own.
    return additions, found[..., None] if out.is_complex() else found


def window(args: Sequence[Any], out: Tensor) -> Tensor | None:
    """√Σ(terms²) of a convolution's results where they cancel, as in differences of a smooth image.

    Asked of few output channels and of those that have a channel each, since a kernel of many is none of differences.
    """
    x, weight, _, *settings, groups = args
    if weight.shape[0] > FEW * groups or out.is_complex():
        return None
    size = torch.convolution(x.square(), weight.square(), None, *settings, groups).sqrt()
    cancels = float(size.square().sum()) > CANCELLED * float(out.square().sum())
    return torch.maximum(size, out.abs()) if cancels else None


TERMS: dict[str, Callable[..., Tensor]] = {
    "_log_softmax": _log_softmax,
    "_log_softmax_backward_data": _log_softmax_slope,
    "_softmax_backward_data": _softmax_slope,
    "native_layer_norm": _layer_norm,
    "native_layer_norm_backward": _layer_norm_slope,
    "native_batch_norm": _batch_norm,
    "_native_batch_norm_legit": _batch_norm,
    "native_batch_norm_backward": _batch_norm_slope,
    "native_group_norm": _group_norm,
    "native_group_norm_backward": _group_norm_slope,
    "logsumexp": _logsumexp,
    "logaddexp": _logaddexp,
    "addcmul": _added_product,
    "addcdiv": _added_quotient,
    "lerp": _between,
    "gelu": _gelu,
    "gelu_backward": _gelu_slope,
    "sum": _total,
    "mean": _average,
}
"""By operation the size of the terms of its first result, of the operation's own arguments."""
SUMMED: dict[str, Callable[..., tuple[int, ...]]] = {
    "convolution": _convolution,
    "convolution_backward": _convolution_slope,
    "avg_pool2d": _pooled,
    "avg_pool3d": _pooled,
    "_adaptive_avg_pool2d": _pooled_to,
    "_adaptive_avg_pool3d": _pooled_to,
}
"""By operation how many terms each of its results is the sum of, of the operation's own arguments."""
TERMS_IN_HALF: dict[str, Callable[..., Tensor]] = {"_log_softmax": _log_softmax_in_half}
"""The same of kernels in half precision that round less of it than their terms, of the result and the arguments."""
PRODUCTS = {"mm": 0, "bmm": 0, "mv": 0, "dot": 0, "addmm": 1, "baddbmm": 1, "addmv": 1}
"""Products of matrices and vectors, by the place of the first factor among the operation's arguments."""
ADDED: dict[str, Callable[..., Tensor]] = {
    "embedding_dense_backward": _looked_up_slope,
    "_embedding_bag": _bags,
    "index_put": _put,
    "index_put_": _put,
    "_index_put_impl_": _put,
    "_unsafe_index_put": _put,
    "index_add": _added,
    "index_add_": _added,
}
"""By operation what its first result is off where it adds, one after the other, what may be the same number many times over."""
