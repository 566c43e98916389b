"""A float64 twin of a model: what it computes is mapped to float64, and may be rounded as float32 rounds, operation by operation.

The distance between clean and rounded passes is what float32 costs this very model on this very batch.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from models.backends.torch.own.dispatch import Arguments, Named, Types
from models.backends.torch.own.distances import euclidean
from models.backends.torch.own.half import FORMATS, NONE, SCALARS, Grids, Half
from models.backends.torch.own.limits import given
from models.backends.torch.own.quantized import QUANTIZERS
from models.backends.torch.own.state import WIDER
from models.backends.torch.own.tape import MOVES, Tape, drawn, near, operation, replayed, tensors
from models.backends.torch.own.terms import ADDED, PRODUCTS, SUMMED, TERMS, TERMS_IN_HALF, product, window
from models.own.gauge import NoTwinError
from models.own.passes import NEAR, UNIT
from models.own.sums import times

if TYPE_CHECKING:
    from torch._ops import OpOverload

Value = TypeVar("Value")

AT_ONCE = 2**18
"""Numbers that are rounded at a time, so that those of a large array stay in the processor's cache."""
AMPLITUDE = 2.0**-24 * math.sqrt(3)
"""Largest relative change of one rounded number; uniform, its root mean square is float32's unit roundoff."""
ONE_BY_ONE = (0.541 / 3 / 3) ** 0.5
"""Unit roundoffs a √term that n positive float32 numbers of like size are off when they are added one after the other, rms.

The k-th partial sum is k/n of the total and is rounded once, so that the squares add up to n/3 of one rounding's (Higham 2002, section
4.2). A rounding is uniform, hence a third of its largest square, over numbers whose E[1/m²] is 0.541 for mantissas m with Benford's law.
PyTorch's batch normalization of channels-last images adds up so: 14 unit roundoffs over 1,600 terms, 29 over 25,600 (2.13.0).
"""
LARGEST = float(np.finfo(np.float32).max)
EXACT = {
    "relu", "relu_", "threshold_backward", "neg", "abs", "clone", "copy_", "_to_copy", "cat", "stack", "slice_backward",
    "select_backward", "slice_scatter", "select_scatter", "index", "index_select", "gather", "embedding", "repeat", "zeros", "ones",
    "full", "empty", "empty_like", "zeros_like", "ones_like", "full_like", "new_zeros", "new_empty", "new_empty_strided", "new_full",
    "empty_strided", "zero_", "fill_", "where", "constant_pad_nd", "flip", "roll", "masked_fill", "masked_fill_", "hardtanh",
    "hardtanh_", "hardtanh_backward", "clamp", "clamp_min", "clamp_max", "max", "min", "maximum", "minimum", "amax", "amin", "topk",
    "sort", "max_pool2d_with_indices", "max_pool3d_with_indices", "adaptive_max_pool2d", "tril", "triu", "arange", "scalar_tensor",
    "lift_fresh", "_reshape_alias", "_unsafe_view", "unbind", "split", "unsafe_split", "sign", "sgn", "floor", "ceil", "round",
    "eye", "set_", "resize_", "nan_to_num", "remainder", "fmod", "trunc", "frac", "heaviside", "scatter", "masked_scatter", "index_fill",
    "index_copy", "copysign",
}  # fmt: skip
"""Operations that move, choose or make numbers and round none."""
BOUNDED = {"sigmoid": (0.0, 1.0), "_softmax": (0.0, 1.0), "tanh": (-1.0, 1.0), "erf": (-1.0, 1.0), "sin": (-1.0, 1.0), "cos": (-1.0, 1.0)}
"""Functions whose results float32 rounds to their bounds and not beyond them, where a logarithm or a loss would be no number."""
APART: dict[str, Callable[..., Tensor]] = {"_euclidean_dist": euclidean}
"""Fused operations whose roundings no size of terms tells: what they compute, operation by operation."""
WRITTEN = {"native_batch_norm": (3, 4)}
"""Arguments that an operation writes into although its schema does not say so: running statistics."""
STABLE = {
    "linalg_inv_ex", "_linalg_solve_ex", "linalg_solve_triangular", "linalg_lu_factor_ex", "linalg_lu_solve", "_linalg_det",
    "_linalg_slogdet", "linalg_cholesky_ex", "cholesky_solve", "linalg_qr", "_linalg_eigh", "linalg_eig", "_linalg_svd",
    "linalg_lstsq", "linalg_matrix_exp",
}  # fmt: skip
"""Operations on matrices that are backward stable: float32 gives the exact result of matrices that are off by about a rounding (Higham
2002, chapters 9 to 20), which may be far from the result's own rounding."""
OF_PAIRS = {"abs", "sgn"}
"""Those of them that compute where numbers are complex."""


class TwinMode(TorchDispatchMode):
    """Every operation in float64, with the tape's decisions, and with `rounded` its results off by what a float32 may be."""

    def __init__(
        self,
        tape: Tape | None,
        rounded: int | None,
        one_by_one: bool = False,
        half: Half = NONE,
        grids: Grids | None = None,
        limits: Iterable[torch.dtype] = (),
    ) -> None:
        """`rounded` seeds the errors; None for a clean pass. `one_by_one` rounds batch statistics as kernels that add up image by image.

        Operations of `half` are rounded as its format is; `ran` has the names of all. What is written into `grids` is rounded to their
        format in the place of an error. `limits` are the formats that `torch.finfo` answers for, the tape's where there is one.
        """
        super().__init__()
        self.limits = iter(tape.limits if tape else limits)
        self._half, self._grids, self.ran = half, grids, set[str]()
        self._read = tape.reader() if tape else None
        self.near, self._one_by_one = 0, one_by_one
        self._generator = None if rounded is None else torch.Generator().manual_seed(rounded)

    def __torch_dispatch__(self, func: OpOverload, types: Types, args: Arguments = (), kwargs: Named | None = None) -> object:
        """Run the operation in float64."""
        if forward_ad._current_level >= 0 and self._generator is not None:
            raise NoTwinError("it has derivatives in forward mode, whose roundings cannot be measured")
        args = _widened(args)
        kwargs = {name: _widened(value) for name, value in (kwargs or {}).items()}
        self.ran.add(operation(func))
        halved = self._half.format.unit / UNIT if self._is_halved(func) else 1.0
        if self._generator is not None:
            scalar = self._half.scalar if halved > 1 and operation(func) in SCALARS else _as_float32
            args, kwargs = _narrow(func, args, kwargs, scalar)
        if self._generator is not None and operation(func) in APART:
            with self:
                return APART[operation(func)](*args, **kwargs)
        if self._generator is not None and operation(func) in STABLE:
            args = self._shaken(args, grows=True)
        elif self._generator is not None and operation(func) in QUANTIZERS and QUANTIZERS[operation(func)].backward:
            args = self._shaken(args)  # a scale's gradient is of what rounding to the grid has left of each number
        if self._generator is None:
            self.near += near(func, args, kwargs, NEAR * max(1.0, self._half.format.unit / UNIT))
        elif halved > 1 and self._half.casts and not func._schema.is_mutable:
            written = WRITTEN.get(operation(func), ())
            args = tuple(self._cast(x) if isinstance(x, Tensor) and place not in written else x for place, x in enumerate(args))
        out = NotImplemented if self._read is None else replayed(func, args, kwargs, self._read)
        if out is NotImplemented and operation(func) in QUANTIZERS:
            quantizer = QUANTIZERS[operation(func)]
            out = quantizer.slope(quantizer.zone(*args, **kwargs), *args, **kwargs)
        elif out is NotImplemented:
            out = func(*args, **kwargs)
        if self._grids is not None and func._schema.is_mutable and self._grids.round(args[:1]):
            return out
        if self._generator is not None and not func.is_view and not _is_exact(func, args) and not drawn(func, args, kwargs):
            terms, summed = _sizes(func, args, kwargs, out, halved)
            for place, each in enumerate(out if isinstance(out, (tuple, list)) else (out,)):
                if isinstance(each, Tensor):
                    roundings = times(summed[place], each.numel()) if place < len(summed) else 1.0
                    self._round(each, terms if place == 0 else None, max(roundings, halved), halved > 1)
            if operation(func) in BOUNDED and isinstance(out, Tensor) and out.dtype == torch.float64:
                out.clamp_(*BOUNDED[operation(func)])
            if operation(func) in ADDED:
                dtype = self._half.dtype if halved > 1 else torch.float32
                tensors(out)[0].add_(ADDED[operation(func)](dtype, *args, **kwargs))
            if self._one_by_one and isinstance(out, tuple) and operation(func) in ("native_batch_norm", "native_batch_norm_backward"):
                self._round_statistics(operation(func), args[0], out, terms)
        return out

    def _is_halved(self, func: OpOverload) -> bool:
        """Whether an operation is rounded as half precision is."""
        name = operation(func)
        return name in self._half.names or (self._half.everything and not func.is_view and name not in MOVES)

    def _cast(self, x: Tensor) -> Tensor:
        """An operand that was rounded to half precision."""
        if x.dtype == torch.float64:
            x = x.clone()
            self._round(x, None, self._half.format.unit / UNIT, half=True)
        return x

    def _shaken(self, args: Arguments, grows: bool = False) -> Arguments:
        """Arrays whose every number is off by a rounding of itself or of their rms, or √n such as constants grow (ibid., section 2.6)."""
        found = []
        for each in args:
            if isinstance(each, Tensor) and each.dtype == torch.float64 and each.numel():
                each = each.detach().clone()
                self._round(
                    each, torch.maximum(each.abs(), each.square().mean().sqrt()), each.shape[-1] ** 0.5 if grows and each.dim() else 1.0
                )
            found.append(each)
        return tuple(found)

    def _round_statistics(self, name: str, x: Tensor, out: tuple[Tensor, ...], terms: Tensor | None) -> None:
        """Errors that a whole channel has in common, √n times as large where n numbers are added one after the other."""
        count = x.numel() / x.shape[1]
        errors = torch.empty(x.shape[1], dtype=torch.float64).uniform_(-1, 1, generator=self._generator)
        errors *= AMPLITUDE * ONE_BY_ONE * math.sqrt(count)
        if name == "native_batch_norm" and terms is not None:
            out[0].addcmul_(terms, errors.reshape(1, -1, *[1] * (x.dim() - 2)))
        elif name == "native_batch_norm_backward":
            sizes = x.square().sum([axis for axis in range(x.dim()) if axis != 1]).sqrt()
            for each in out[1:]:
                if isinstance(each, Tensor) and each.numel() == len(sizes):
                    each.addcmul_(sizes, errors)

    def _round(self, x: Tensor, terms: Tensor | None, roundings: float = 1.0, half: bool = False) -> None:
        if x.layout == torch.sparse_coo:
            x = x._values()
        if x.is_complex():
            x = torch.view_as_real(x)
        dtype = self._half.dtype if half else torch.float32
        if x.dtype != torch.float64 or not x.numel() or (x.numel() == 1 and bool((x == x.to(dtype)).all())):
            return  # a number that the format holds is a constant, such as an exponent less 1
        least = FORMATS[dtype].least
        terms = x if terms is None else terms
        if x.numel() <= AT_ONCE or not (x.is_contiguous() and terms.is_contiguous() and x.shape == terms.shape):
            self._move(x, terms, AMPLITUDE * roundings, least)
            return
        for part, sizes in zip(x.view(-1).split(AT_ONCE), terms.view(-1).split(AT_ONCE), strict=True):
            self._move(part, sizes, AMPLITUDE * roundings, least)

    def _move(self, x: Tensor, terms: Tensor, reach: float, least: float) -> None:
        """Add errors of a share of the terms, and round to the grid of the smallest numbers.

        That is what the format does with them, so that none is rounded past zero, and equal ones are all rounded alike.
        """
        noise = torch.empty(x.shape, dtype=torch.float32).uniform_(-reach, reach, generator=self._generator)
        if not x.isfinite().all():  # infinity is not rounded: logarithms of 0 are
            terms = torch.where(x.isfinite(), terms, 0.0)
            noise = torch.where(x.isfinite(), noise, 0.0)
        x.addcmul_(terms, noise.to(x.device, torch.float64))
        if least:  # small numbers have fewer digits left
            x.div_(2 * least).round_().mul_(2 * least)


def _sizes(func: OpOverload, args: Arguments, kwargs: Named, out: object, halved: float) -> tuple[Tensor | None, tuple[int, ...]]:
    """What errors of an operation's first result are relative to, if not to itself, and how many terms each result is the sum of.

    `halved` is how many of float32's roundings are one of the format in which the operation computes.
    """
    name, first = operation(func), next(iter(tensors(out)), None)
    if first is None or first.dtype not in (torch.float64, torch.complex128) or first.layout != torch.strided:
        return None, ()
    if name in PRODUCTS and isinstance(out, Tensor):
        count, terms = product(name, args, out)
        return terms, (count,)
    summed = SUMMED[name](*args, **kwargs) if name in SUMMED else ()
    if name == "convolution":
        return window(args, first), summed
    if halved > 1 and name in TERMS_IN_HALF:
        return TERMS_IN_HALF[name](first, *args, **kwargs) + TERMS[name](*args, **kwargs) / halved, summed
    return (TERMS[name](*args, **kwargs) if name in TERMS else None), summed


def _narrow(func: OpOverload, args: Arguments, kwargs: Named, scalar: Callable[[float], float]) -> tuple[Arguments, Named]:
    """Constants as a format holds them, whose error all numbers of an array have in common; settings such as an epsilon stay."""
    if not any(type(value) is float for value in (*args, *kwargs.values())):
        return args, kwargs
    settings = {each.name for each in func._schema.arguments if isinstance(each.type, torch.FloatType)}
    names = [each.name for each in func._schema.arguments]
    held = lambda name, value: scalar(value) if type(value) is float and name not in settings else value  # noqa: E731
    return tuple(map(held, names, args)), {name: held(name, value) for name, value in kwargs.items()}


def _as_float32(value: float) -> float:
    return float(np.float32(value)) if abs(value) <= LARGEST else value


def _is_exact(func: OpOverload, args: Arguments) -> bool:
    """Whether an operation rounds nothing; sizes and directions of complex numbers are roots and quotients."""
    name = operation(func)
    return name in EXACT and not (name in OF_PAIRS and isinstance(args[0], Tensor) and args[0].is_complex())


class WideTypes(TorchFunctionMode):
    """Calls that name float32 mean float64 in here: `x.float()`, `dtype=torch.float32`, and constants that the model holds itself."""

    def __torch_function__(self, func: Callable[..., object], types: Types, args: Arguments = (), kwargs: Named | None = None) -> object:
        """Call the function with wider types."""
        if func in (Tensor.float, Tensor.half, Tensor.bfloat16):
            func = Tensor.double
        kwargs = {name: _widened(value) for name, value in (kwargs or {}).items()}
        return func(*(_widened(arg) for arg in args), **kwargs)


def _widened(value: Value) -> Value:
    """Types and constants as float64; what is to be learned or changed in place is float64 already."""
    if isinstance(value, Tensor):
        return value.to(WIDER[value.dtype]) if value.dtype in WIDER and not value.requires_grad else value
    if isinstance(value, torch.dtype):
        return WIDER.get(value, value)
    if type(value) in (tuple, list):
        return type(value)(_widened(each) for each in value)  # type: ignore[attr-defined, call-arg, no-any-return]  # a tuple or list
    return value


@contextlib.contextmanager
def wide(
    tape: Tape | None, rounded: int | None, one_by_one: bool = False, half: Half = NONE, grids: Grids | None = None
) -> Iterator[TwinMode]:
    """Passes and steps in here are the twin's."""
    with entered(TwinMode(tape, rounded, one_by_one, half, grids)) as mode:
        yield mode


@contextlib.contextmanager
def entered(mode: TwinMode) -> Iterator[TwinMode]:
    """The same by a mode that may be entered again, for the next step."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with given(mode.limits), WideTypes(), mode:
            yield mode
    finally:
        torch.set_default_dtype(default)
