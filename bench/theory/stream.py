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

Where branches are zero and a mean is taken off behind the sum, kinks come to lie between nodes: log gains are then good to a few tenths.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from bench.theory.moments import PANELS, branches, moments, panels
from models.architectures import graph
from models.spec import Spec

NODES = 12
"""Quadrature nodes per panel of the stream's density; a self-test doubles them, and no log gain moves by 1e-4."""
NARROW = 0.03
"""Least σ, in units of the rms of y′, that the nodes resolve; a narrower branch, such as one of zero weights, moves nothing."""
EDGES = (*(-edge for edge in PANELS[:0:-1]), *PANELS)
"""Edges of the panels, in units of the rms of y′."""
Gains = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Steps:
    """Where y′ = centre + σG goes from each of the centres: to nodes `at`, by a matrix made when it is asked for."""

    centres: np.ndarray
    sigma: float
    rms: float
    nodes: int
    random: bool

    @property
    def at(self) -> np.ndarray:
        """Nodes of y′: quadrature nodes, or the centres where nothing moves."""
        return self.centres if self._fixed else self._scale * _grid(self.nodes)[0]

    @property
    def onto(self) -> np.ndarray:
        """(centres × nodes): takes expectations of functions of y′, given the centre."""
        if self._fixed:
            return np.eye(len(self.centres))
        u, w = _grid(self.nodes)
        if self._narrow:
            return _interpolation(self.centres / self._scale, u, self.nodes)
        at = self._scale * u
        return self._scale * w * np.exp(-np.square((at - self.centres[:, None]) / self.sigma) / 2) / (self.sigma * math.sqrt(2 * math.pi))

    @property
    def _narrow(self) -> bool:
        return self.sigma <= NARROW * self.rms

    @property
    def _fixed(self) -> bool:
        """Whether states stay as they are. With random slopes they would multiply at each step, and are put onto nodes again."""
        return self._narrow and not self.random

    @property
    def _scale(self) -> float:
        """What a node is multiplied with: the rms of y′; where nothing moves, what puts the last node on the last centre.

        So a grid follows its own nodes from step to step, and interpolates between them only where a random slope moves them.
        """
        return float(np.abs(self.centres).max() / _grid(self.nodes)[0].max()) if self._narrow else self.rms


@dataclass(frozen=True)
class Law:
    """One unit at nodes of y, times branches of a randomized φ: arrays are (branches, nodes).

    `mass` are probabilities, `x` the stream, `slope` a²φ′²; `steps` and `shares` of the branches take expectations given where the unit
    was before.
    """

    mass: np.ndarray
    x: np.ndarray
    slope: np.ndarray
    shares: np.ndarray
    steps: Steps

    def given(self, values: np.ndarray) -> np.ndarray:
        """Expectations of `values` (branches × nodes) by where the unit was before."""
        return self.steps.onto @ (self.shares @ values)


def post_activation_gain(spec: Spec, first: float, gains: Gains, nodes: int = NODES) -> float | None:
    """log ‖δ_1‖²/‖δ_depth‖² from the mean square `first` of z_1 and (s2, sb2) of layers 2 … depth; None with batch normalization.

    −∞ where every unit is saturated.
    """
    if spec.arch.norm == "batch":
        return None
    entry = 1 / (first + spec.arch.eps) if _inside(spec) else 1.0
    laws, blocks = [_law(spec, np.zeros(1), np.ones(1), math.sqrt(first * entry), nodes)], []
    for number, block in enumerate(graph(spec).blocks):
        here, start = laws[-1], number * spec.arch.span
        square, chi = _body(spec, float(np.sum(here.mass * here.x**2)), gains[start : start + spec.arch.span])
        laws.append(_law(spec, block.sum.keep * here.x.ravel(), here.mass.ravel(), block.scale_at_start * math.sqrt(square), nodes))
        blocks.append((block.sum.keep**2, block.scale_at_start**2 * chi))
    s = np.full(laws[-1].x.shape, gains[-1][0])
    for here, there, (keep, share) in zip(laws[-2::-1], laws[:0:-1], reversed(blocks), strict=True):
        back = there.slope * s
        s = keep * there.given(back).reshape(here.x.shape) + share * float(np.sum(there.mass * back))
    gain = entry * float(np.sum(laws[0].mass * laws[0].slope * s))
    return math.log(gain) if gain > 0 else -math.inf


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
    laws = branches(spec.arch.act)
    steps = Steps(centres, sigma, math.sqrt(float(mass @ centres**2) + sigma**2), nodes, random=len(laws) > 1)
    rows: list[tuple[float, np.ndarray, np.ndarray]] = [(share, f(steps.at), df(steps.at) ** 2) for share, (f, df) in laws]
    shares, x, slope = (np.array(each) for each in zip(*rows, strict=True))
    spread = shares[:, None] * (mass @ steps.onto)
    if spec.arch.norm == "none" or _inside(spec):
        return Law(spread, x, slope, shares, steps)
    mean = 0.0 if spec.arch.norm == "rms" else float(np.sum(spread * x))
    scale = (float(np.sum(spread * x**2)) - mean**2 + spec.arch.eps) ** -0.5
    return Law(spread, scale * (x - mean), scale**2 * slope, shares, steps)


@cache
def _grid(nodes: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of the stream's density in units of its rms."""
    return panels(EDGES, nodes)


def _interpolation(points: np.ndarray, u: np.ndarray, nodes: int) -> np.ndarray:
    """(points × nodes): takes values at the nodes `u` to values at `points`, by the polynomial through the nodes of each point's panel.

    A panel ends at 0, so that what bends there is interpolated on its own side.
    """
    panel = np.clip(np.searchsorted(EDGES, points, side="right") - 1, 0, len(EDGES) - 2)
    columns = panel[:, None] * nodes + np.arange(nodes)
    distances, spacings = points[:, None] - u[columns], u[:nodes, None] - u[:nodes]
    np.fill_diagonal(spacings, 1.0)
    distances[distances == 0] = 1e-100  # at a node all weight is the node's own
    barycentric = 1 / np.prod(spacings, 1) / distances
    found = np.zeros((len(points), len(u)))
    np.put_along_axis(found, columns, barycentric / barycentric.sum(1, keepdims=True), 1)
    return found
