"""One network as another with other activations: logistic units as tanh units, leaky ones as pairs of ReLUs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.symmetry.row import Changed
from models.architectures import graph
from models.arrays import Arrays
from models.observation import ForcedStep
from models.parts.activations import LEAKY_SLOPE, RRELU_MEAN, TAILORED
from models.reference.draws import rounded
from models.spec import Spec

NEGATIVE_SLOPE = {"linear": 1.0, "leaky_relu": LEAKY_SLOPE, "rrelu": RRELU_MEAN, **TAILORED}
"""φ′ below zero of the activations that are relu(z) − a·relu(−z); randomized slopes stand at their mean."""


def as_tanh(spec: Spec, forced_step: ForcedStep) -> Changed:
    """σ(z) = (1 + tanh(z/2))/2, so that the tanh network with z̃ = z/2 computes the same logits.

    z_l = W_l(1 + h̃)/2 + b_l gives W̃ = W/4 and b̃ = (b + W1/2)/2 between hidden layers; the first sees the inputs themselves,
    which makes W/2 and b/2, and the logits are not halved, which makes W/2 and b + W1/2.
    With W̃ = aW and b̃ = c(b + r·W1), ∂W = a·∂W̃ + c·r·∂b̃1ᵀ and ∂b = c·∂b̃ by the chain rule.
    """
    first, *inner, last = graph(spec).dense
    factors = [(first, (0.5, 0.5, 0.0)), *((node, (0.25, 0.5, 0.5)) for node in inner), (last, (0.5, 1.0, 0.5))]
    twin: Arrays = {}
    for node, (a, c, r) in factors:
        w, b = (forced_step.weights[name].astype(np.float64) for name in (node.weight, node.bias))
        twin |= {node.weight: rounded(spec, a * w), node.bias: rounded(spec, c * (b + r * w.sum(1)))}

    def expected(gradients: Arrays) -> Arrays:
        found: Arrays = {}
        for node, (a, c, r) in factors:
            w, b = gradients[node.weight], gradients[node.bias]
            found |= {node.weight: a * w + c * r * b[:, None], node.bias: c * b}
        return found

    return replace(forced_step, weights=twin, network=spec.but(act="tanh")), expected


def as_relu(spec: Spec, forced_step: ForcedStep) -> Changed:
    """φ(z) = relu(z) − a·relu(−z): a ReLU network of twice the width, units in pairs [z; −z] that are read with [1, −a].

    By the chain rule ∂W is the sum of its copies' gradients, each with its own factor ±1 or ±a.
    """
    slope, dense = NEGATIVE_SLOPE[spec.arch.act], graph(spec).dense
    twin: Arrays = {}
    for node in dense:
        w, b = (forced_step.weights[name].astype(np.float64) for name in (node.weight, node.bias))
        w = w if node is dense[0] else np.hstack([w, -slope * w])
        if node is not dense[-1]:
            w, b = np.vstack([w, -w]), np.concatenate([b, -b])
        twin |= {node.weight: rounded(spec, w), node.bias: rounded(spec, b)}

    def expected(gradients: Arrays) -> Arrays:
        found: Arrays = {}
        for node in dense:
            w, b = gradients[node.weight], gradients[node.bias]
            if node is not dense[-1]:
                w, b = w[: node.width] - w[node.width :], b[: node.width] - b[node.width :]
            if node is not dense[0]:
                w = w[:, : node.fan_in] - slope * w[:, node.fan_in :]
            found |= {node.weight: w, node.bias: b}
        return found

    wide = spec.but(act="relu", width=2 * spec.arch.width, init="he_normal")
    return replace(forced_step, weights=twin, network=wide), expected
