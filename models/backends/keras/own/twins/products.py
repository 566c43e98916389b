"""Products of matrices in twins of Keras models: how many additions follow each other, and what their errors are relative to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np

from models.arrays import Array
from models.own.sums import of_product, sizes, times

if TYPE_CHECKING:
    from jax.extend.core import JaxprEqn

TURNED = {"MatMul": ("transpose_a", "transpose_b"), "BatchMatMul": ("adj_x", "adj_y"), "BatchMatMulV2": ("adj_x", "adj_y")}
"""TensorFlow's products, by which of their attributes turn the first and the second factor."""
Product = tuple[int, Array | None]
"""Additions that follow each other, and the size of each result's terms where one rounding does not cover them."""


class Tensor(Protocol):
    """A tensor of TensorFlow's that has its numbers."""

    ndim: int

    def numpy(self) -> Array:
        """Its numbers."""


def of_tensorflow(operation: str, left: Tensor, right: Tensor, given: Sequence[object], out: Tensor) -> Product:
    """Of an operation of `TURNED` with attributes `given`, names and values in turn."""
    attributes = dict(zip(given[::2], given[1::2], strict=False))
    factors = [
        np.swapaxes(each.numpy(), -1, -2) if attributes.get(turned) else each.numpy()
        for each, turned in zip((left, right), TURNED[operation], strict=True)
    ]
    return _product(factors[0], factors[1], out.numpy())


def of_jax(eqn: JaxprEqn, left: Array, right: Array, out: Array) -> Product:
    """Of a `dot_general`: axes that both factors share, those of one alone, and those that are summed over, as three axes."""
    (summed, summed_right), (shared, shared_right) = eqn.params["dimension_numbers"]
    own = [axis for axis in range(left.ndim) if axis not in (*summed, *shared)]
    own_right = [axis for axis in range(right.ndim) if axis not in (*summed_right, *shared_right)]
    groups, terms = math.prod(left.shape[axis] for axis in shared), math.prod(left.shape[axis] for axis in summed)
    rows, columns = (math.prod(each.shape[axis] for axis in axes) for each, axes in ((left, own), (right, own_right)))
    return _product(
        left.transpose(*shared, *own, *summed).reshape(groups, rows, terms),
        right.transpose(*shared_right, *summed_right, *own_right).reshape(groups, terms, columns),
        out,
    )


def _product(left: Array, right: Array, out: Array) -> Product:
    additions = of_product(left.shape[-2], left.shape[-1], right.shape[-1])
    return additions, sizes(out, left, right) if times(additions, out.size) > 1 else None
