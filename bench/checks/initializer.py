"""The frameworks' own initializers, against the distribution their names promise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.evidence.evidence import Evidence
from bench.evidence.probes import DRAWS, FAN_IN, FAN_OUT
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z, ROUNDING_MULTIPLE
from models.arrays import Array, Arrays, PerUnit
from models.parts.initializers import INITIALIZERS, TRUNCATED_SD, Initializer
from models.reference.draws import BIAS_SD
from models.spec import Spec

KURTOSIS = {"normal": 3.0, "uniform": 1.8, "truncated": 2.3655}
"""Fourth moment over the squared second, of a normal, a uniform, and a normal cut at ±2; the self-tests integrate them."""
SUPPORT = 1e-3
"""How near to the edge of its support the largest weight must come, as a share of it; over it only rounding reaches."""


def initializer(evidence: Evidence) -> Iterator[Finding]:
    """The framework's initializer has the promised mean, variance, support and shape, and draws anew for each layer and seed.

    In units of the promised standard deviation; intervals are sampling errors of 3.8 million weights.
    """
    row = INITIALIZERS[evidence.spec.init]
    pooled = np.concatenate([layer["weight"].astype(np.float64).ravel() for layers in evidence.draws for layer in layers])
    layers = [layer for layers in evidence.draws for layer in layers]
    if row.shape == "orthogonal":
        yield from _orthogonal(layers, row)
    else:
        sd = row.variance(FAN_IN, FAN_OUT) ** 0.5
        yield from _moments(pooled / sd, shape_of(row, evidence.conventions))
    for title, one, other in (("layers", layers[0], layers[1]), ("seeds", layers[0], layers[DRAWS])):
        a, b = (layer["weight"].astype(np.float64).ravel() for layer in (one, other))
        high = BAND_Z / len(a) ** 0.5
        yield Finding(Place(f"correlation between {title}"), float(np.corrcoef(a, b)[0, 1]), -high, high)
    yield from _bias(np.concatenate([layer["bias"].astype(np.float64) for layer in layers]), row, evidence.spec)


def shape_of(row: Initializer, conventions: str) -> str:
    """The shape of the distribution that this framework draws from: Keras truncates where PyTorch does not."""
    return "truncated" if row.keras_truncates and conventions == "keras" else row.shape


def _moments(unit: Array, shape: str) -> Iterator[Finding]:
    n, kurtosis = len(unit), KURTOSIS[shape]
    yield Finding(Place("mean"), float(unit.mean()), -BAND_Z / n**0.5, BAND_Z / n**0.5)
    spread = BAND_Z * ((kurtosis - 1) / n) ** 0.5
    yield Finding(Place("variance"), float((unit**2).mean()), 1 - spread, 1 + spread)
    # A sample kurtosis has standard deviation √(24/n) for a normal and less for the lighter tails here.
    wide = BAND_Z * (24 / n) ** 0.5
    yield Finding(Place(f"kurtosis ({shape})"), float((unit**4).mean() / (unit**2).mean() ** 2), kurtosis - wide, kurtosis + wide)
    largest = float(np.abs(unit).max())
    if shape == "normal":
        # P(max |x| < 4) = (1 − 6e-5)^n and P(max |x| > 7.5) = n · 6e-14, both below 1e-6 here.
        yield Finding(Place("largest weight"), largest, 4.0, 7.5)
    else:
        # 3.8 million draws come within 1e-5 of a uniform's edge and within 1e-3 of a truncated normal's.
        over = largest / (3**0.5 if shape == "uniform" else 2 / TRUNCATED_SD) - 1
        rounding = ROUNDING_MULTIPLE * float(np.finfo(np.float32).eps)
        yield Finding(Place(f"largest weight beyond the edge of its {shape} support"), max(over, 0.0), 0.0, rounding)
        yield Finding(Place(f"largest weight short of the edge of its {shape} support"), max(-over, 0.0), 0.0, SUPPORT)


def _orthogonal(layers: list[Arrays], row: Initializer) -> Iterator[Finding]:
    for number, layer in enumerate(layers):
        w = layer["weight"].astype(np.float64)
        small = w @ w.T if w.shape[0] <= w.shape[1] else w.T @ w
        error = float(np.abs(small - row.gain * np.eye(len(small))).max())
        # A float32 Householder QR leaves columns orthogonal to a few roundings per dimension's square root.
        allowed = ROUNDING_MULTIPLE * float(np.finfo(np.float32).eps) * len(small) ** 0.5
        yield Finding(Place("largest entry of W Wᵀ − 1", scope=f"draw {number}"), error, 0.0, allowed)
        sign = float(np.mean(np.diag(w)))
        limit = BAND_Z * (row.gain / max(w.shape)) ** 0.5 / min(w.shape) ** 0.5
        yield Finding(Place("mean of the diagonal", scope=f"draw {number}"), sign, -limit, limit, "signs are not uniform")


def _bias(bias: PerUnit, row: Initializer, spec: Spec) -> Iterator[Finding]:
    n = len(bias)
    if spec.bias == "normal" or row.random_bias:
        variance = BIAS_SD**2 if spec.bias == "normal" else 1 / (3 * FAN_IN)
        kurtosis = KURTOSIS["normal" if spec.bias == "normal" else "uniform"]
        spread = BAND_Z * ((kurtosis - 1) / n) ** 0.5
        yield Finding(Place("bias variance"), float((bias**2).mean() / variance), 1 - spread, 1 + spread)
    else:
        yield Finding(Place("largest bias"), float(np.abs(bias).max()), 0.0, 0.0)
