"""Closed forms that the studies and their self-tests compare with, beyond what `bench.theory.correlation` says of a plain network."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq

from bench.theory.correlation import joint_moments
from bench.theory.moments import fixed_point, moments


def critical(act: str, sb2: float) -> float:
    """The s2 at which χ = 1 with the given bias variance: the edge between vanishing and exploding gradients."""
    return float(brentq(lambda s2: s2 * moments.__wrapped__(act, fixed_point(act, s2, sb2)).slope - 1, 0.9, 4.0, xtol=1e-6))


def residual_pair(act: str, s2: float, blocks: int, q0: float, c0: float, keep: float = 1.0, scale: float = 1.0) -> list[float]:
    """R after 1 … `blocks` blocks x ↦ keep·x + scale·W φ(x), from the last one down."""
    v, p, shares = q0, q0 * c0, []
    for _ in range(blocks):
        joint, single = joint_moments(act, v, p / v), moments(act, v)
        k, s = keep**2, scale**2 * s2
        shares.append((k + s * joint.slopes) / (k + s * single.slope))
        v, p = k * v + s * single.square, k * p + s * joint.product
    return [float(np.prod(shares[blocks - n :])) for n in range(1, blocks + 1)]


def batch_norm_pair(act: str, layers: int, frozen: bool, batch: int) -> list[float]:
    """R after 1 … `layers` batch-normalized layers: with statistics held constant, or −1/(B − 1) through the statistics.

    Standardized inputs of different samples are nearly independent, so a layer leaves (Eφ′)²/Eφ′², ½ for ReLU. The
    backward pass through the batch mean makes gradients of all samples add up to zero at once.
    """
    if not frozen:
        return [-1 / (batch - 1)] * layers
    share = joint_moments(act, 1.0, 0.0).slopes / moments(act, 1.0).slope
    return [share**n for n in range(1, layers + 1)]


def batch_norm_residual_pair(act: str, s2: float, blocks: int, v0: float) -> list[float]:
    """R from the last of `blocks` blocks x ↦ x + Wφ(BN x) down, statistics held constant: Π(1 + s2(Eφ′)²/v)/(1 + s2Eφ′²/v)."""
    m, apart = moments(act, 1.0), joint_moments(act, 1.0, 0.0).slopes
    v = [v0 + n * s2 * m.variance for n in range(blocks)]
    shares = [(1 + s2 * apart / each) / (1 + s2 * m.slope / each) for each in v]
    return [float(np.prod(shares[blocks - n :])) for n in range(1, blocks + 1)]
