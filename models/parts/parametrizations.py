"""Recurrent weights that stay orthogonal, or unitary, however what they are made of is trained.

Of what is learned the lower triangle L makes a skew matrix A = L − Lᵀ, whose Cayley transform is the weight:

    R = (1 − A/2)⁻¹ (1 + A/2),        RᵀR = 1.

No eigenvalue of R is −1. Sources: Helfrich, Willmott & Ye 2018 (arXiv:1707.09520); Wisdom et al. 2016 (arXiv:1611.00035) for unitary ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from models.arrays import Array, Weight

NONE = "none"
"""Where recurrent weights are learned as they are."""
GRADIENT = 2**0.5
"""The most by which the gradient of what is learned is longer than that of the weight."""


@runtime_checkable
class Solver(Protocol):
    """How matrices are multiplied and equations solved: `models.reference.arithmetic.Arithmetic`."""

    def product(self, a: Array, b: Array) -> Array:
        """a @ b."""

    def solve(self, a: Array, b: Array) -> Array:
        """a⁻¹ b."""


Saved = tuple[Weight, Weight]
"""A skew matrix and its Cayley transform."""


@dataclass(frozen=True)
class Parametrization:
    """How a square weight is made of one that is learned.

    With `paired` units, the first half are real parts and the second half imaginary ones: A commutes with multiplication by i, so that
    R = (P −Q; Q P) is the unitary matrix P + iQ.
    """

    paired: bool = False

    def make(self, maths: Solver, learned: Weight) -> tuple[Weight, Saved]:
        """The weight, and what the way back needs."""
        lower = np.tril(learned, -1)
        skew = lower - lower.T
        if self.paired:
            skew = _commuting(skew)
        half, one = skew / 2, np.eye(len(skew), dtype=skew.dtype)
        weight = maths.solve(one - half, one + half)
        return weight, (skew, weight)

    def back(self, maths: Solver, saved: Saved, d: Weight) -> Weight:
        """The gradient of what is learned.

        By dR = (1 − A/2)⁻¹ (dA/2) (1 + R), that of A is ½ (1 + A/2)⁻¹ ∂R (1 + R)ᵀ.
        """
        skew, weight = saved
        one = np.eye(len(skew), dtype=skew.dtype)
        of_skew = maths.product(maths.solve(one + skew / 2, d), (one + weight).T) / 2
        if self.paired:
            of_skew = _commuting(of_skew)
        return np.tril(of_skew - of_skew.T, -1)


def _commuting(a: Weight) -> Weight:
    """The nearest matrix of the form (P −Q; Q P)."""
    n = len(a) // 2
    p, q = (a[:n, :n] + a[n:, n:]) / 2, (a[n:, :n] - a[:n, n:]) / 2
    return np.block([[p, -q], [q, p]])


PARAMETRIZATIONS = {"orthogonal": Parametrization(), "unitary": Parametrization(paired=True)}
