"""Half precision beside a float64 twin: which operations of a pass computed in it, and how a twin rounds as they do.

A bfloat16 has 8 digits and the range of a float32. A float16 has 11 digits, and numbers below 2⁻¹⁴ lie 2⁻²⁴ apart (IEEE 754-2019).
Kernels add up in float32 and round each result once. What was cast is rounded as well (Micikevicius et al. 2018, mixed precision
training), so that operands of operations in half precision are, wherever a pass casts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from models.arrays import Arrays


class Format(NamedTuple):
    """A format's unit roundoff, and half the distance of its smallest numbers where those are no smaller than float32's."""

    unit: float
    least: float = 0.0


FORMATS = {torch.bfloat16: Format(2.0**-8), torch.float16: Format(2.0**-11, 2.0**-25), torch.float32: Format(0.0)}
"""Unit roundoffs of half precision; float32 is what a twin rounds to anyway."""
HALVES = torch.bfloat16, torch.float16
OF_KERNELS = {
    "mkldnn_rnn_layer": {"mm", "addmm", "mul", "add", "add_", "sigmoid_", "tanh", "tanh_", "sigmoid_backward", "tanh_backward"},
}
"""Kernels that float64 has none of, and the operations by which it computes the same."""
SCALARS = {"add", "add_", "sub", "sub_", "rsub"}
"""Operations that round the numbers that they are given to half precision, such as the learning rate that a gradient is added with.

Of `p.add_(g, alpha=-0.05)` the rate is rounded, and the result of a float32 computation; `mul`, `addcmul`, `lerp` and others take their
numbers in float32 (PyTorch 2.13.0 on the CPU, bit for bit over 20,000 results each).
"""
CAST = "_to_copy"
"""The operation that casts."""


@dataclass(frozen=True)
class Half:
    """Operations and kernels that computed in half precision, by name, in which format, and whether anything was cast to it.

    Where float64 has other kernels, it is not known which of its operations compute the same: then every one is rounded (`everything`).
    """

    kernels: frozenset[str] = frozenset()
    dtype: torch.dtype = torch.float32
    casts: bool = False
    everything: bool = False

    @property
    def format(self) -> Format:
        """The unit roundoff and the smallest distance of the format."""
        return FORMATS[self.dtype]

    @classmethod
    def of(cls, found: Mapping[str, torch.dtype]) -> Half:
        """What a tape has noted; of two formats the coarser one."""
        if not found:
            return cls()
        coarsest = max(found.values(), key=lambda dtype: FORMATS[dtype].unit)
        return cls(frozenset(found) - {CAST}, coarsest, CAST in found)

    def scalar(self, value: float) -> float:
        """A number as the operations of `SCALARS` take it."""
        return float(torch.tensor(value, dtype=torch.float64).to(self.dtype))

    @cached_property
    def names(self) -> frozenset[str]:
        """The operations, those by which float64 computes what a kernel does as well."""
        return frozenset(part for name in self.kernels for part in OF_KERNELS.get(name, {name}))

    def beside(self, ran: Set[str]) -> Half:
        """The same for a twin that `ran` these operations.

        Float64 takes those parts of a kernel that a pass needs: none of a backward pass in evaluation, none of a bias where there is none.
        """
        known = all(OF_KERNELS.get(name, {name}) & ran for name in self.kernels)
        return self if known else replace(self, everything=True)

    def __bool__(self) -> bool:
        """Whether anything computed in half precision."""
        return bool(self.kernels)


NONE = Half()


class Grids:
    """Numbers that are learned in half precision: what is written into them is rounded to their format, as a framework does."""

    def __init__(self, parameters: Mapping[str, Tensor], dtypes: Mapping[str, torch.dtype]) -> None:
        """`parameters` are the twin's, in float64; `dtypes` those of the model itself."""
        self._formats = {id(p): dtypes[name] for name, p in parameters.items() if dtypes[name] in HALVES}

    def round(self, written: Iterable[object]) -> bool:
        """Round those of the tensors that are learned in half precision; whether any is."""
        found = [each for each in written if id(each) in self._formats]
        for each in found:
            assert isinstance(each, Tensor), "parameters are tensors"
            each.copy_(each.to(self._formats[id(each)]))
        return bool(found)


def rounded_to(arrays: Arrays, dtypes: Mapping[str, torch.dtype]) -> Arrays:
    """The same numbers, in float64 still, of which those in half precision are rounded to it."""
    return {
        name: torch.from_numpy(numbers).to(dtypes[name]).double().numpy() if dtypes[name] in HALVES else numbers
        for name, numbers in arrays.items()
    }


def added_up(terms: Tensor, dtype: torch.dtype) -> Tensor:
    """The sum over the first axis in a format, one term after the other, as a float64."""
    if dtype not in HALVES:
        return torch.from_numpy(np.cumsum(terms.numpy(), axis=0, dtype=np.float32)[-1].astype(np.float64))
    total = torch.zeros_like(terms[0])
    for each in terms:
        total = (total + each).to(dtype).double()
    return total
