"""Mean-field recursion for post-activation blocks y ↦ k·x + c·body(x), x = φ(y), whose stream is not Gaussian.

Given its stream x, a unit's branch is Gaussian and independent of it, because its weights are the unit's own. So at infinite width
units are independent Markov chains in depth, all of one law,

    y′ = k·x(y) + σG,  G ~ N(0, 1),  σ² = c²·(mean square of the body's output, which follows from E x² as in `meanfield`),

whose density is carried on by quadrature. Backward, ∂L/∂x is k·δ′ of the same unit plus c·bodyᵀδ′, which spreads evenly over all
units. With S(y) the expected square of ∂L/∂x of a unit at y, times the number of units and over ‖∂L/∂logits‖², and a = dx/dφ,

    S(y) = k²·E[a²φ′(y′)²S(y′) | y] + c²·∏χ_body·E[a²φ′(y′)²S(y′)],      S = fan-in · Var W where the read-out begins.

A unit of the ReLU stream that is large stays on, so that the gradient along the stream passes φ′ more often than in half of the
blocks; factors of single blocks, as pre-activation streams have them, would miss that.

Normalizations over units (layer, rms, group) divide by numbers that are certain at infinite width: before the sum they are part of the
body, after it x = a(φ(y) − μ). Batch normalization ties one unit's samples together, and has no closed form here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.theory.moments import PANELS, branches, moments, panels
from models.architectures import graph
from models.spec import Spec

NODES = 12
"""Quadrature nodes per panel of the stream's density; a self-test doubles them, and no log gain moves by 1e-4."""
NARROW = 0.03
"""Least σ, in units of the rms of y′, that the nodes resolve; a narrower branch, such as one of zero weights, moves nothing."""
Gains = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Law:
    """One unit at quadrature nodes of y, times branches of a randomized φ: arrays are (branches, nodes).

    `mass` are probabilities, `x` the stream, `slope` a²φ′²; `onto` (centres × branches × nodes) takes expectations given where the
    unit was before.
    """

    mass: np.ndarray
    x: np.ndarray
    slope: np.ndarray
    onto: np.ndarray


def post_activation_gain(spec: Spec, first: float, gains: Gains, nodes: int = NODES) -> float | None:
    """log ‖δ_1‖²/‖δ_depth‖² from the mean square `first` of z_1 and (s2, sb2) of layers 2 … depth; None with batch normalization."""
    if spec.arch.norm == "batch":
        return None
    entry = 1 / (first + spec.arch.eps) if _inside(spec) else 1.0
    laws, blocks = [_law(spec, np.zeros(1), np.ones(1), math.sqrt(first * entry), nodes)], []
    for number, block in enumerate(graph(spec).blocks):
        inner = [(0.0, 0.0) if node.zero else gain for node, gain in zip(block.dense, gains[number * spec.arch.span :], strict=False)]
        here = laws[-1]
        square, chi = _body(spec, float(np.sum(here.mass * here.x**2)), inner)
        laws.append(_law(spec, block.sum.keep * here.x.ravel(), here.mass.ravel(), block.sum.scale * math.sqrt(square), nodes))
        blocks.append((block.sum.keep**2, block.sum.scale**2 * chi))
    s = np.full(laws[-1].x.shape, gains[-1][0])
    for here, there, (keep, share) in zip(laws[-2::-1], laws[:0:-1], reversed(blocks), strict=True):
        back = there.slope * s
        given = np.tensordot(there.onto, back, 2).reshape(here.x.shape)
        s = keep * given + share * float(np.sum(there.mass * back))
    return math.log(entry * float(np.sum(laws[0].mass * laws[0].slope * s)))


def _inside(spec: Spec) -> bool:
    """Whether normalization stands before the activation, and so inside the body."""
    return spec.arch.norm != "none" and spec.arch.norm_at == "before"


def _body(spec: Spec, square: float, gains: Gains) -> tuple[float, float]:
    """Mean square of a body's output for inputs of the given mean square, and the factor of the squared gradient through it."""
    chi = 1.0
    for place, (s2, sb2) in enumerate(gains):
        square, chi = s2 * square + sb2, chi * s2
        if _inside(spec):
            square, chi = square / (square + spec.arch.eps), chi / (square + spec.arch.eps)
        if place < len(gains) - 1:
            m = moments(spec.arch.act, square)
            square, chi = m.square, chi * m.slope
            if spec.arch.norm != "none" and not _inside(spec):
                u = m.square if spec.arch.norm == "rms" else m.variance
                square, chi = u / (u + spec.arch.eps), chi / (u + spec.arch.eps)
    return square, chi


def _law(spec: Spec, centres: np.ndarray, mass: np.ndarray, sigma: float, nodes: int) -> Law:
    """y = centre + σG with centres of the given probabilities, and what activation and normalization make of it."""
    rms = math.sqrt(float(mass @ centres**2) + sigma**2)
    if sigma <= NARROW * rms:
        at, onto = centres, np.eye(len(centres))
    else:
        u, w = panels((*(-edge for edge in PANELS[:0:-1]), *PANELS), nodes)
        at = rms * u
        onto = rms * w * np.exp(-np.square((at - centres[:, None]) / sigma) / 2) / (sigma * math.sqrt(2 * math.pi))
    rows: list[tuple[float, Any, Any]] = [(share, f(at), df(at) ** 2) for share, (f, df) in branches(spec.arch.act)]
    shares, x, slope = (np.array(each) for each in zip(*rows, strict=True))
    onto = shares[:, None] * onto[:, None, :]
    spread = np.tensordot(mass, onto, 1)
    if spec.arch.norm == "none" or _inside(spec):
        return Law(spread, x, slope, onto)
    mean = 0.0 if spec.arch.norm == "rms" else float(np.sum(spread * x))
    scale = (float(np.sum(spread * x**2)) - mean**2 + spec.arch.eps) ** -0.5
    return Law(spread, scale * (x - mean), scale**2 * slope, onto)
