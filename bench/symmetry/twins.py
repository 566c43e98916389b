"""One network as another with other activations: logistic units as tanh units, leaky ones as pairs of ReLUs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from bench.symmetry.row import Arrays, Residuals, equal, in_float64
from models.observation import ForcedStep
from models.parts.activations import LEAKY_SLOPE, RRELU_MEAN
from models.reference.draws import rounded
from models.spec import Spec

NEGATIVE_SLOPE = {"linear": 1.0, "leaky_relu": LEAKY_SLOPE, "rrelu": RRELU_MEAN}
"""φ′ below zero of the activations that are relu(z) − a·relu(−z); randomized slopes stand at their mean."""


def _tanh_factors(spec: Spec) -> dict[int, tuple[float, float, float]]:
    """(a, c, r) of every layer in W̃ = aW and b̃ = c(b + r·W1), which `as_tanh` derives."""
    inner = dict.fromkeys(range(2, spec.depth), (0.25, 0.5, 0.5))
    return {1: (0.5, 0.5, 0.0), **inner, spec.depth: (0.5, 1.0, 0.5)}


def as_tanh(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """σ(z) = (1 + tanh(z/2))/2, so that the tanh network with z̃ = z/2 computes the same logits.

    z_l = W_l(1 + h̃)/2 + b_l gives W̃ = W/4 and b̃ = (b + W1/2)/2 between hidden layers; the first sees the inputs themselves,
    which makes W/2 and b/2, and the logits are not halved, which makes W/2 and b + W1/2.
    """
    twin: Arrays = {}
    for layer, (a, c, r) in _tanh_factors(spec).items():
        w, b = (jittered.weights[f"{layer}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
        twin |= {f"{layer}.weight": rounded(spec, a * w), f"{layer}.bias": rounded(spec, c * (b + r * w.sum(1)))}
    return [jittered, replace(jittered, weights=twin, network=replace(spec, act="tanh"))]


def like_tanh(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
    """By the chain rule ∂W = a·∂W̃ + c·r·∂b̃1ᵀ and ∂b = c·∂b̃."""
    twin = in_float64(passes[1].gradients)
    expected: Arrays = {}
    for layer, (a, c, r) in _tanh_factors(spec).items():
        w, b = twin[f"{layer}.weight"], twin[f"{layer}.bias"]
        expected |= {f"{layer}.weight": a * w + c * r * b[:, None], f"{layer}.bias": c * b}
    yield from equal(spec, "as a tanh network", passes[0].gradients, expected)


def as_relu(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """φ(z) = relu(z) − a·relu(−z): a ReLU network of twice the width, units in pairs [z; −z] that are read with [1, −a]."""
    slope = NEGATIVE_SLOPE[spec.act]
    twin: Arrays = {}
    for layer in range(1, spec.depth + 1):
        w, b = (jittered.weights[f"{layer}.{kind}"].astype(np.float64) for kind in ("weight", "bias"))
        w = np.hstack([w, -slope * w]) if layer > 1 else w
        inner = layer < spec.depth
        twin |= {
            f"{layer}.weight": rounded(spec, np.vstack([w, -w]) if inner else w),
            f"{layer}.bias": rounded(spec, np.concatenate([b, -b]) if inner else b),
        }
    return [jittered, replace(jittered, weights=twin, network=replace(spec, act="relu", width=2 * spec.width, init="he_normal"))]


def like_relu(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
    """By the chain rule ∂W is the sum of its copies' gradients, each with its own factor ±1 or ±a."""
    slope, twin = NEGATIVE_SLOPE[spec.act], in_float64(passes[1].gradients)
    expected: Arrays = {}
    for layer in range(1, spec.depth + 1):
        w, b = twin[f"{layer}.weight"], twin[f"{layer}.bias"]
        if layer < spec.depth:
            n = spec.widths[layer]
            w, b = w[:n] - w[n:], b[:n] - b[n:]
        if layer > 1:
            n = spec.widths[layer - 1]
            w = w[:, :n] - slope * w[:, n:]
        expected |= {f"{layer}.weight": w, f"{layer}.bias": b}
    yield from equal(spec, "as a relu network of twice the width", passes[0].gradients, expected)
