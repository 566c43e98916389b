"""One network as another with other activations: logistic units as tanh units, leaky ones as pairs of ReLUs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from bench.symmetry.row import Residuals, equal, in_float64
from models.architectures import graph
from models.arrays import Arrays
from models.graph import Dense
from models.observation import Backward, ForcedStep
from models.parts.activations import LEAKY_SLOPE, RRELU_MEAN
from models.reference.draws import rounded
from models.spec import Spec

NEGATIVE_SLOPE = {"linear": 1.0, "leaky_relu": LEAKY_SLOPE, "rrelu": RRELU_MEAN}
"""φ′ below zero of the activations that are relu(z) − a·relu(−z); randomized slopes stand at their mean."""


def _tanh_factors(spec: Spec) -> Iterator[tuple[Dense, tuple[float, float, float]]]:
    """(a, c, r) of every dense node in W̃ = aW and b̃ = c(b + r·W1), which `tanh_transform` derives."""
    first, *inner, last = graph(spec).dense
    yield first, (0.5, 0.5, 0.0)
    yield from ((node, (0.25, 0.5, 0.5)) for node in inner)
    yield last, (0.5, 1.0, 0.5)


def tanh_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """σ(z) = (1 + tanh(z/2))/2, so that the tanh network with z̃ = z/2 computes the same logits.

    z_l = W_l(1 + h̃)/2 + b_l gives W̃ = W/4 and b̃ = (b + W1/2)/2 between hidden layers; the first sees the inputs themselves,
    which makes W/2 and b/2, and the logits are not halved, which makes W/2 and b + W1/2.
    """
    twin: Arrays = {}
    for node, (a, c, r) in _tanh_factors(spec):
        w, b = (jittered.weights[name].astype(np.float64) for name in (node.weight, node.bias))
        twin |= {node.weight: rounded(spec, a * w), node.bias: rounded(spec, c * (b + r * w.sum(1)))}
    return [jittered, replace(jittered, weights=twin, network=spec.but(act="tanh"))]


def tanh_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """By the chain rule ∂W = a·∂W̃ + c·r·∂b̃1ᵀ and ∂b = c·∂b̃."""
    twin = in_float64(passes[1].gradients)
    expected: Arrays = {}
    for node, (a, c, r) in _tanh_factors(spec):
        w, b = twin[node.weight], twin[node.bias]
        expected |= {node.weight: a * w + c * r * b[:, None], node.bias: c * b}
    yield from equal(spec, "as a tanh network", passes[0].gradients, expected)


def relu_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """φ(z) = relu(z) − a·relu(−z): a ReLU network of twice the width, units in pairs [z; −z] that are read with [1, −a]."""
    slope = NEGATIVE_SLOPE[spec.arch.act]
    twin: Arrays = {}
    dense = graph(spec).dense
    for node in dense:
        w, b = (jittered.weights[name].astype(np.float64) for name in (node.weight, node.bias))
        w = w if node is dense[0] else np.hstack([w, -slope * w])
        if node is not dense[-1]:
            w, b = np.vstack([w, -w]), np.concatenate([b, -b])
        twin |= {node.weight: rounded(spec, w), node.bias: rounded(spec, b)}
    return [jittered, replace(jittered, weights=twin, network=spec.but(act="relu", width=2 * spec.arch.width, init="he_normal"))]


def relu_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """By the chain rule ∂W is the sum of its copies' gradients, each with its own factor ±1 or ±a."""
    slope, twin = NEGATIVE_SLOPE[spec.arch.act], in_float64(passes[1].gradients)
    expected: Arrays = {}
    dense = graph(spec).dense
    for node in dense:
        w, b = twin[node.weight], twin[node.bias]
        if node is not dense[-1]:
            w, b = w[: node.width] - w[node.width :], b[: node.width] - b[node.width :]
        if node is not dense[0]:
            w = w[:, : node.fan_in] - slope * w[:, node.fan_in :]
        expected |= {node.weight: w, node.bias: b}
    yield from equal(spec, "as a relu network of twice the width", passes[0].gradients, expected)
