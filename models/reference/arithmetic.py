"""How the reference computes: in which type, what it rounds to a shorter format, and in which order it sums."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import DTypeLike
from scipy import linalg

from models.arrays import Array
from models.parts.precisions import Precision
from models.reference.rounded import Rounded, rounded

CUT_FROM = 3
"""The order of summing from which on operands of TF32 products are cut and not rounded: half of the six passes of a reference.

Devices do either. NVIDIA's tensor cores read the first ten bits of what they are given (PyTorch's notes on CUDA, "only the first 10 bits of
the input mantissa are read"), and libraries may round before. A cut makes each factor smaller by half a unit on average, all in the
same direction, so that a product of two is smaller by 7e-4 of itself; errors of rounding average out. The rms of passes of both kinds is
1/√2 of the larger error at least, so that a tolerance of ten times that admits either kind, and no other: 1/0.7 of ten stays.
"""

ORDERED = 3
"""The number of terms from which on a sum has orders that round differently."""


class Arithmetic:
    """Arithmetic in `dtype`; `order` and `conventions` are those of `models.reference.network.Reference`."""

    def __init__(
        self, dtype: DTypeLike, precision: Precision, order: int | None = None, conventions: str = "", excess: bool = False
    ) -> None:
        """Nothing is rounded where `precision` holds and computes everything in one format, and between products not with `excess`."""
        self.dtype, self.conventions = np.dtype(dtype), conventions
        self.rounds = bool(conventions) and not precision.plain
        cuts = precision.tf32 and order is not None and order >= CUT_FROM
        round_operand = precision.operands.cut if cuts else precision.operands.rounded
        self.operand: Callable[[Array], Array] = round_operand if self.rounds else as_it_is
        self.result: Callable[[Array], Array] = precision.results.rounded if self.rounds else as_it_is
        self.between = as_it_is if excess else self.result
        self._half = precision.results if self.rounds and precision.half and not excess else None
        self._moved = precision.results.digits if excess and self.rounds else 0
        self._order = None if order is None else np.random.default_rng(order)
        self.otherwise = order is not None and order % 2 == 1
        """Whether normalizations are computed folded (`models.parts.norms.Norm.forward`) and functions in double: in every other order."""

    def number(self, value: float) -> np.number:
        """A number in the arithmetic's own type."""
        return self.dtype.type(value)  # type: ignore[call-overload,no-any-return]

    def factor(self, value: float) -> np.number:
        """A number that the network's code multiplies a tensor by: Keras holds it in the tensor's own format, PyTorch in float32."""
        number = self.number(value)
        return number.dtype.type(self.between(np.asarray(number))) if self.conventions == "keras" else number

    def product(self, a: Array, b: Array) -> Array:
        """a @ b; sums of one or two terms, which every order rounds alike, are moved by up to one unit roundoff as well."""
        if self._order is None:
            return a @ b
        terms = self.order(len(b))
        product = a[:, terms] @ b[terms]
        return product if len(b) >= ORDERED else self._moved_by_rounding(product)

    def sums(self, rows: Array) -> Array:
        """The sum of all rows, as a product with ones, or in every other order one row after the other, as some kernels add pixels."""
        if self.otherwise:
            return rows[self.order(len(rows))].cumsum(axis=0, dtype=rows.dtype)[-1]  # type: ignore[no-any-return]
        return self.product(np.ones((1, len(rows)), rows.dtype), rows)[0]  # type: ignore[no-any-return]

    def solve(self, a: Array, b: Array) -> Array:
        """a⁻¹ b by elimination; with an order of its own, of equations and unknowns in another order."""
        if self._order is None:
            return linalg.solve(a, b, check_finite=False, assume_a="gen")  # type: ignore[no-any-return]
        terms, found = self._order.permutation(len(a)), np.empty_like(b)
        found[terms] = linalg.solve(a[np.ix_(terms, terms)], b[terms], check_finite=False, assume_a="gen")
        return found

    def order(self, terms: int) -> Array:
        """In which order so many terms are added."""
        return np.arange(terms) if self._order is None else self._order.permutation(terms)

    def total(self, x: Array, axis: int) -> Array:
        """The sum over an axis, which is kept.

        With an order of its own each term is moved by up to one unit roundoff as well. A computed sum is the exact one of terms that are
        moved so, by as many roundings as they are added to (Higham 2002, section 4.2), and where the terms are products, whether a
        processor rounds them before it adds moves each by one more. Where few terms cancel, or are alike, another order alone would
        often round as the first one does.
        """
        if self._order is None:
            return x.sum(axis, keepdims=True)
        moved = self._moved_by_rounding(x)
        return moved.take(self._order.permutation(x.shape[axis]), axis).sum(axis, keepdims=True)

    def _moved_by_rounding(self, x: Array) -> Array:
        """Every number moved by up to one unit roundoff of it."""
        assert self._order is not None, "without an order nothing is moved"
        unit = float(np.finfo(x.dtype).eps) / 2
        return (x * (1 + self._order.uniform(-unit, unit, x.shape))).astype(x.dtype)  # type: ignore[no-any-return]

    def function(self, f: Callable[[Array], Array], x: Array) -> Array:
        """f(x), in which every operation is rounded or, in every other order, only the result; of narrow arrays only the result."""
        plain = np.asarray(x)
        value = f(plain.astype(np.float64)).astype(plain.dtype) if self.otherwise else f(plain)
        return self.narrow(value) if isinstance(x, Rounded) else value

    def output(self, f: Callable[[Array], Array], x: Array) -> Array:
        """f(x), of which the slope is made on the way back, as 1 − h² is of h = tanh(x).

        With an order of its own it is moved by up to one unit roundoff as well, since libraries round functions as they like. A slope
        cancels where a function saturates, so that it is off by more than the output is, and of few units no order of sums tells.
        """
        value = self.function(f, x)
        if self._order is None or isinstance(value, Rounded):
            return value
        return self._moved_by_rounding(value)

    def fed(self, given: Array) -> Array:
        """A result seen elsewhere as the next layer is fed it; with `excess` any number that half precision holds as the one seen."""
        given = np.asarray(given).astype(self.dtype)
        if not self._moved or self._order is None:
            return given
        half_a_unit = np.ldexp(given != 0, np.frexp(given)[1] - 1 - self._moved)  # zero is handed on as it is
        return (given + self._order.uniform(-1, 1, given.shape) * half_a_unit).astype(self.dtype)  # type: ignore[no-any-return]

    def narrow(self, x: Array) -> Array:
        """x as an array whose every operation is rounded to half precision; as it is where the precision is none."""
        return rounded(self._half, x) if self._half else x

    def cast(self, value: Array, cast_by: str) -> Array:
        """What a normalization learns, or its gradient, as the layer computes with it: rounded where the framework casts it."""
        return self.between(value) if self.conventions and self.conventions == cast_by else value


def as_it_is(x: Array) -> Array:
    """Nothing is rounded."""
    return x
