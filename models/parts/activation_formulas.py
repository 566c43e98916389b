"""Formulas of activations that several rows share, or that take more than a line: on arrays of any shape, in the array's own precision."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.special import erf, expit

from models.arrays import Array

CUBIC = 0.044715
"""The factor of x³ in GELU's tanh formula."""
Functions = tuple[Callable[[Array], Array], Callable[[Array], Array]]
"""An activation and its slope."""


def in_float32(constant: float) -> float:
    """A constant as it is held by a library that casts it through float32."""
    return float(np.float32(constant))


def normal_cdf(x: Array) -> Array:
    """Φ(x)."""
    return (0.5 * (1 + erf(x / np.sqrt(2.0)))).astype(x.dtype)


def normal_pdf(x: Array) -> Array:
    """φ(x), the density of Φ."""
    return np.exp(-x * x / 2) / np.asarray(np.sqrt(2 * np.pi), x.dtype)


def gelu(factor: float) -> Functions:
    """x Φ(a x) and its slope, where a is 1, or off by what 1/√2 is that a library has rounded."""

    def f(x: Array) -> Array:
        return x * normal_cdf(x * np.asarray(factor, x.dtype))

    def df(x: Array) -> Array:
        scaled = x * np.asarray(factor, x.dtype)
        return normal_cdf(scaled) + scaled * normal_pdf(scaled)

    return f, df


def gelu_tanh(cubic: float) -> Functions:
    """GELU by its tanh formula, of the factor of x³ in it."""

    def inner(x: Array) -> Array:
        return np.tanh(np.asarray(np.sqrt(2 / np.pi), x.dtype) * (x + np.asarray(cubic, x.dtype) * x**3))

    def df(x: Array) -> Array:
        t = inner(x)
        slope = np.asarray(np.sqrt(2 / np.pi), x.dtype) * (1 + np.asarray(3 * cubic, x.dtype) * x * x)
        return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * slope

    return lambda x: 0.5 * x * (1 + inner(x)), df


def leaky(slope: float) -> Functions:
    """x, and `slope` times x below zero; ReLU where that is 0."""
    return (
        lambda x: np.where(x > 0, x, np.asarray(slope, x.dtype) * x),
        lambda x: np.where(x > 0, np.ones_like(x), np.asarray(slope, x.dtype)),
    )


def tailored_slope(depth: int, similarity: float = 0.9) -> float:
    """The slope below zero of a leaky ReLU that lets orthogonal samples leave a plain network of so many layers with this cosine.

    One layer takes a cosine c to c + (1 − α)²/(π(1 + α²))·(√(1 − c²) − c·arccos c), and a network has one less than weight layers.
    Source: Zhang et al. 2022, "Deep Learning without Shortcuts: Shaping the Kernel with Tailored Rectifiers".
    """
    low, high = 0.0, 1.0
    while high - low > np.finfo(np.float32).eps:
        slope, c = (low + high) / 2, 0.0
        for _ in range(depth - 1):
            c = min(c + (1 - slope) ** 2 / (np.pi * (1 + slope**2)) * float(np.sqrt(1 - c * c) - c * np.arccos(c)), 1.0)
        low, high = (slope, high) if c > similarity else (low, slope)
    return high


def elu(alpha: float, scale: float) -> Functions:
    """s x, and s α (eˣ − 1) below zero (Clevert et al. 2016; SELU with s and α of Klambauer et al. 2017)."""
    return (
        lambda x: np.asarray(scale, x.dtype) * np.where(x > 0, x, np.asarray(alpha, x.dtype) * np.expm1(np.minimum(x, 0))),
        lambda x: np.asarray(scale, x.dtype) * np.where(x > 0, np.ones_like(x), np.asarray(alpha, x.dtype) * np.exp(np.minimum(x, 0))),
    )


def d_elu_of_value(y: Array, rounded: Callable[[Array], Array]) -> Array:
    """exp(x) as y + 1, which is 0 where exp(x) − 1 has rounded to -1."""
    return np.where(y < 0, rounded(y + 1), np.ones_like(y))


def softplus(x: Array) -> Array:
    """log(1 + eˣ), which neither overflows nor loses digits."""
    return np.maximum(x, 0) + np.log1p(np.exp(np.where(x > 0, -x, x)))


def d_mish(x: Array) -> Array:
    """The slope of x tanh(log(1 + eˣ))."""
    t = np.tanh(softplus(x))
    return t + x * expit(x) * (1 - t * t)
