"""Gaussian moments of activations by quadrature, and the growth factors of the literature that follow from them.

Every growth factor is that of a squared gradient norm per layer, at infinite width.
Sources: Schoenholz et al. 2017 (plain networks), Yang et al. 2019 (batch normalization).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np

from models.arrays import Array
from models.parts.activations import ACTIVATIONS, RRELU_LOWER, RRELU_UPPER

Law = tuple[Callable[[Array], Array], Callable[[Array], Array]]

PANELS = (0, 0.5, 1, 2, 3, 4.5, 6, 8, 10)
"""Edges, in standard deviations, between which Gauss-Legendre is used: a panel ends at 0 and at every kink."""
NODES = 64
"""Quadrature nodes per panel; with these the moments are good to 1e-12."""
SPHERE_DRAWS = 20_000
"""Random batches that `batch_norm_growth` averages over: its error is then below 0.001."""


@dataclass(frozen=True)
class Moments:
    """Eφ, Eφ² and Eφ′² of an activation whose input is Gaussian with mean 0 and a given variance."""

    mean: float
    square: float
    slope: float

    @property
    def variance(self) -> float:
        """Var φ = Eφ² − (Eφ)²."""
        return self.square - self.mean**2


@lru_cache(maxsize=8)
def grid(kinks: tuple[float, ...] = ()) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (both 1-d) with Σ w f(z) = E f(Z) for a standard normal Z, where f bends at zero and `kinks`."""
    usual = (*(-edge for edge in PANELS[:0:-1]), *PANELS)
    z, w = panels(sorted({*usual, *(kink for kink in kinks if abs(kink) < PANELS[-1])}), NODES)
    return z, w * np.exp(-z * z / 2) / np.sqrt(2 * np.pi)


def panels(edges: Sequence[float], nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights (both 1-d) of Gauss-Legendre quadrature with so many nodes between neighbouring edges."""
    at, weight = np.polynomial.legendre.leggauss(nodes)
    half, middle = np.diff(edges) / 2, (np.asarray(edges[1:]) + np.asarray(edges[:-1])) / 2
    return (middle[:, None] + half[:, None] * at).ravel(), (half[:, None] * weight).ravel()


def _odd(law: Law) -> Law:
    f, df = law
    return lambda z: f(z) - f(-z), lambda z: df(z) + df(-z)


def branches(act: str) -> list[tuple[float, Law]]:
    """The activation as a mixture of (weight, (φ, φ′)): one branch, or for random slopes three that average exactly."""
    row = ACTIVATIONS[act]
    if not row.random:
        return [(1.0, (row.f, row.df))]
    at, weight = np.polynomial.legendre.leggauss(3)
    slopes = (RRELU_UPPER + RRELU_LOWER) / 2 + at * (RRELU_UPPER - RRELU_LOWER) / 2
    return [(float(w) / 2, _leaky(a)) for a, w in zip(slopes, weight, strict=True)]


def _leaky(slope: float) -> Law:
    return lambda z: np.where(z > 0, z, slope * z), lambda z: np.where(z > 0, 1.0, slope)


@cache
def moments(act: str, q: float, odd: bool = False) -> Moments:
    """Moments of φ(√q Z), Z standard normal, or with `odd` of φ(√q Z) − φ(−√q Z); random slopes are averaged over."""
    kinks = ACTIVATIONS[act].kinks
    kinks = tuple(sorted({*kinks, *(-kink for kink in kinks)})) if odd else kinks
    z, w = grid(tuple(kink / np.sqrt(q) for kink in kinks if kink and q))
    at = np.sqrt(q) * z
    total = np.zeros(3)
    for share, law in branches(act):
        f, df = _odd(law) if odd else law
        value, slope = f(at), df(at)
        total += share * np.array([w @ value, w @ value**2, w @ slope**2])
    return Moments(*map(float, total))


def fixed_point(act: str, s2: float, sb2: float = 0.0) -> float:
    """q* of q ↦ s2·Eφ(√q Z)² + sb2, reached by iterating from 1."""
    q = 1.0
    for _ in range(2000):
        q = s2 * moments.__wrapped__(act, q).square + sb2
    return q


@cache
def batch_norm_growth(act: str, batch: int) -> float:
    """B/(B−3) · E tr[(P−uuᵀ)DPD(P−uuᵀ)] / ((B−1)λ) for Linear → batch norm → φ at its fixed point (Yang et al. 2019).

    z = √B·u with u uniform on the unit sphere orthogonal to 1, D = diag φ′(z), P = I − 11ᵀ/B, and λ the eigenvalue of
    E φ(z)φ(z)ᵀ off 1. Tends to Eφ′²/Var φ for large batches: π/(π−1) for ReLU.
    """
    rng = np.random.default_rng(batch)
    u = rng.standard_normal((SPHERE_DRAWS, batch))
    u -= u.mean(1, keepdims=True)
    u /= np.linalg.norm(u, axis=1, keepdims=True)
    trace = spread = 0.0
    for share, (f, df) in branches(act):
        value, d = f(np.sqrt(batch) * u), df(np.sqrt(batch) * u)
        own = (d * d * (1 - 2 / batch - u * u)).sum(1)
        trace += share * (own + (d.sum(1) ** 2 / batch + (d * u).sum(1) ** 2) / batch).mean()
        spread += share * value.var(1, ddof=1).mean()
    return float(batch / (batch - 3) * trace / ((batch - 1) * spread))
