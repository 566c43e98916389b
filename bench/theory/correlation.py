"""Two inputs at once: how their correlation, and that of their gradients, changes with depth, and the depth scales that follow.

Two pre-activations of variance q and correlation c are Gaussian, so that the next layer's covariance is

    q·c ↦ s2·E[φ(u₁)φ(u₂)] + sb2          (Poole et al. 2016; Schoenholz et al. 2017)

and the covariance of the two gradients is multiplied by s2·E[φ′(u₁)φ′(u₂)] where their squared norms are multiplied by
χ = s2·Eφ′². Everything here holds at infinite width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache

import numpy as np
from scipy.optimize import brentq

from bench.theory.moments import fixed_point, moments, panels
from models.parts.activations import ACTIVATIONS

RADII = (0, 1, 2, 3, 4.5, 6, 8, 10)
"""Edges, in standard deviations, between which the radial integral uses Gauss-Legendre."""
NODES = 24
"""Quadrature nodes per panel and sector; with these E[φφ] is good to 1e-10 up to q = 10."""
NEARLY_ONE = 1 - 1e-7
"""Correlation above which two inputs count as one when the fixed point is looked for."""


@dataclass(frozen=True)
class JointMoments:
    """E[φ(u₁)φ(u₂)] and E[φ′(u₁)φ′(u₂)] for Gaussian u of variance q and correlation c."""

    product: float
    slopes: float


@cache
def joint_moments(act: str, q: float, c: float) -> JointMoments:
    """Joint moments by quadrature in polar coordinates; randomized slopes are independent, so that each counts with its mean.

    With c = cos θ, u₁ = √q·r·cos(ψ − θ/2) and u₂ = √q·r·cos(ψ + θ/2). Kinks at zero are four rays, between which the
    integrand is smooth: Gauss-Legendre in each sector, for c as near to 1 as one likes.
    """
    theta = math.acos(min(1.0, max(-1.0, c)))
    rays = [-np.pi / 2 - theta / 2, -np.pi / 2 + theta / 2, np.pi / 2 - theta / 2, np.pi / 2 + theta / 2, 3 * np.pi / 2 - theta / 2]
    psi, w_psi = panels(rays, NODES)
    r, w_r = panels(RADII, NODES)
    w_r = w_r * r * np.exp(-r * r / 2) / (2 * np.pi)
    f, df = ACTIVATIONS[act].f, ACTIVATIONS[act].df
    one, other = (math.sqrt(q) * np.outer(np.cos(psi + side * theta / 2), r) for side in (-1, 1))
    return JointMoments(float(w_psi @ (f(one) * f(other)) @ w_r), float(w_psi @ (df(one) * df(other)) @ w_r))


@dataclass(frozen=True)
class DepthScales:
    """Fixed point (q*, c*), χ there, and over how many layers deviations of q, of c, and gradients change by a factor e.

    ξ_gradient is negative where gradients grow; a scale is infinite where its quantity does not change exponentially.
    """

    q: float
    chi: float
    c: float
    xi_q: float
    xi_c: float
    xi_gradient: float


def depth_scales(act: str, s2: float, sb2: float = 0.0) -> DepthScales:
    """Depth scales of a plain network (Schoenholz et al. 2017, eq. 8, 10, 16). Raises ValueError where q has no fixed point."""
    with np.errstate(all="ignore"):  # where there is none, q leaves the range of numbers
        q = fixed_point(act, s2, sb2)
    if not (math.isfinite(q) and 1e-300 < q < 1e12):
        raise ValueError(f"{act} with s2={s2:g} and sb2={sb2:g} has no fixed point: its signal {'explodes' if q > 1 else 'dies'}.")
    chi = s2 * moments(act, q).slope
    c = correlation_fixed_point(act, s2, sb2, q)
    chi_c = s2 * joint_moments(act, q, c).slopes if c < 1 else chi
    # dV/dq = s2·E[φ(√q Z)·φ′(√q Z)·Z]/√q, by a central difference of V.
    step = 1e-4 * q
    slope = s2 * (moments(act, q + step).square - moments(act, q - step).square) / (2 * step)
    return DepthScales(q, chi, c, _scale(slope), _scale(chi_c), _scale(chi))


def _scale(factor: float) -> float:
    """−1/log of what multiplies a deviation per layer; infinite for 1."""
    return math.inf if abs(factor - 1) < 1e-9 else -1 / math.log(abs(factor)) if factor else 0.0


def correlation_fixed_point(act: str, s2: float, sb2: float, q: float) -> float:
    """c*: 1 where χ ≤ 1 (all inputs become alike), the stable correlation below it otherwise."""
    if s2 * moments(act, q).slope <= 1 + 1e-9:
        return 1.0

    def change(c: float) -> float:
        return (s2 * joint_moments.__wrapped__(act, q, c).product + sb2) / q - c

    if change(0.0) <= 1e-12:
        return 0.0
    return float(brentq(change, 0.0, NEARLY_ONE)) if change(NEARLY_ONE) < 0 else 1.0


@dataclass(frozen=True)
class Pair:
    """Two inputs on their way: variance q and correlation c of z_1 … z_depth, and R_l, the correlation of ∂(v·f)/∂z_l."""

    q: list[float]
    c: list[float]
    gradients: list[float]
    chi: list[float]


def plain_pair(act: str, gains: list[tuple[float, float]], q0: float, c0: float) -> Pair:
    """A plain network with (s2, sb2) per layer on inputs with mean square q0 and correlation c0."""
    (s2, sb2), *inner = gains
    q = [s2 * q0 + sb2]
    c = [(s2 * q0 * c0 + sb2) / q[0]]
    for s2, sb2 in inner:
        covariance = s2 * joint_moments(act, q[-1], c[-1]).product + sb2
        q.append(s2 * moments(act, q[-1]).square + sb2)
        c.append(covariance / q[-1])
    shares = [joint_moments(act, a, b).slopes / moments(act, a).slope for a, b in zip(q[:-1], c[:-1], strict=True)]
    chi = [s2 * moments(act, a).slope for (s2, _), a in zip(inner, q, strict=False)]
    return Pair(q, c, [float(np.prod(shares[layer:])) for layer in range(len(q))], chi)


def gradient_scale_coefficient(pair: Pair, s2_first: float, q0: float) -> float:
    """GSC = (‖J‖²/n_in)·‖x‖²/‖f‖² = s2₁·Πχ·q₀/q_L of a plain network: relative change of f per relative change of x, squared.

    Philipp et al. 2017. It does not change when weights are rescaled: 1 for ReLU at any initialization.
    """
    return s2_first * float(np.prod(pair.chi)) * q0 / pair.q[-1]


def nonlinearity_coefficient(pair: Pair, s2_first: float, q0: float) -> float:
    """NLC = √(E tr(J Cov_x Jᵀ)/tr Cov_f) = √(GSC/(1 − c_L)) for independent inputs (c₀ = 0): 1 for a linear network."""
    return math.sqrt(gradient_scale_coefficient(pair, s2_first, q0) / (1 - pair.c[-1]))
