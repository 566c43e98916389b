"""Symmetries of weights: layers rebalanced, doubled, scaled before a normalization, all alike, mirrored orthogonal, one unit wide."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from bench.judging.place import Place
from bench.symmetry.row import Changed, Residuals, altered, in_float64, stream
from models.architectures import graph
from models.naming import kind_of
from models.observation import Backward, ForcedStep
from models.spec import Spec

FAR = 2.0**-24
"""Factor on the last weights after which every hinge is active: the loss is then linear in the logits."""


def rebalance(factor: float, spec: Spec, forced_step: ForcedStep) -> Changed:
    """W_a·c, b_a·c and W_{a+1}/c in the middle of a homogeneous network: the same function.

    ∂W_a and ∂b_a are divided by c, ∂W_{a+1} multiplied.
    """
    at, w = spec.arch.depth // 2, in_float64(forced_step.weights)
    a, b = graph(spec).dense[at - 1 : at + 1]
    moved = {a.weight: w[a.weight] * factor, a.bias: w[a.bias] * factor, b.weight: w[b.weight] / factor}
    factors = {a.weight: 1 / factor, a.bias: 1 / factor, b.weight: factor}
    return altered(forced_step, spec, moved), lambda gradients: gradients | {name: gradients[name] * by for name, by in factors.items()}


def linear_loss(spec: Spec, forced_step: ForcedStep) -> ForcedStep:
    """A bias-free homogeneous network with every hinge active."""
    last = graph(spec).dense[-1].weight
    return altered(forced_step, spec, {last: forced_step.weights[last] * FAR})


def double(spec: Spec, forced_step: ForcedStep) -> Changed:
    """All weights of such a network doubled: every weight gradient doubles depth − 1 times."""
    names, factor = [node.weight for node in graph(spec).dense], 2.0 ** (spec.arch.depth - 1)
    doubled = altered(forced_step, spec, {name: 2 * forced_step.weights[name] for name in names})
    return doubled, lambda gradients: {name: gradients[name] * factor for name in names}


def double_inputs(spec: Spec, forced_step: ForcedStep) -> Changed:
    """f(2x) = 2f(x): every δ stays and every layer's input doubles, so that ∂W doubles and ∂b stays."""
    factors = {"weight": 2.0, "bias": 1.0}
    doubled = replace(forced_step, x=2 * forced_step.x)
    return doubled, lambda gradients: {key: factors[kind_of(key)] * g for key, g in gradients.items()}


def scale(factor: float, spec: Spec, forced_step: ForcedStep) -> Changed:
    """All weights and biases before a normalization with ε = 0 (to rounding) times c: the same function.

    Gradients of what is normalized away are divided by c, all else stays.
    """
    names, w = [name for node in graph(spec).dense[:-1] for name in (node.weight, node.bias)], in_float64(forced_step.weights)
    scaled = altered(forced_step, spec, {name: factor * w[name] for name in names})
    return scaled, lambda gradients: gradients | {name: gradients[name] / factor for name in names}


def constant_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """Constant weights and no biases: all units of a layer are the same unit."""
    dense = graph(spec).dense
    same = {node.weight: np.full((node.fan_out, node.fan_in), 1 / node.fan_in) for node in dense}
    return [altered(first, spec, same | {node.bias: np.zeros(node.width) for node in dense})]


def constant_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """All rows of a layer's ∂W are the same."""
    for node in graph(spec).dense[:-1]:
        g = np.asarray(passes[0].gradients[node.weight], np.float64)
        yield Place.of(node.weight, "units that are alike"), g - g[0], g


def mirrored_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """[relu; −relu] with W = [Q, −Q; −Q, Q] passes Q·z on (Balduzzi et al. 2017), on one sample, so that ∂b is its δ.

    A batch of its copies would do as well, but a sum of equal terms rounds the same way all along.
    """
    rng, changed, dense = stream(spec), {}, graph(spec).dense
    for node in dense:
        begins, ends = node is dense[0], node is dense[-1]
        rows, columns = node.fan_out // (1 if ends else 2), node.fan_in // (1 if begins else 2)
        size = max(rows, columns)
        q = np.linalg.qr(rng.standard_normal((size, size)))[0][:rows, :columns]
        q = q if begins else np.hstack([q, -q])
        changed[node.weight] = q if ends else np.vstack([q, -q])
    return [replace(altered(first, spec, changed), x=first.x[:1], labels=first.labels[:1])]


def mirrored_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """‖δ‖ is the same in every layer, whatever the depth."""
    *hidden, last = graph(spec).dense
    end = np.linalg.norm(np.asarray(passes[0].gradients[last.bias], np.float64))
    for node in hidden:
        here = np.linalg.norm(np.asarray(passes[0].gradients[node.bias], np.float64))
        yield Place("length of the gradient of a mirrored orthogonal network", node.name), here - end, end


def chain_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """∂L/∂w_l = Σ_samples (p − y)·w_L · Π_{m=l}^{L−1} φ′(z_m) · Π_{m=l+1}^{L−1} w_m · h_{l−1}, for tanh and cross-entropy."""
    forced_step, (*hidden, last) = forced_steps[0], graph(spec).dense
    w = in_float64(forced_step.weights)
    h = [np.asarray(forced_step.x, np.float64)]
    for node in hidden:
        h.append(np.tanh(h[-1] @ w[node.weight].T + w[node.bias]))
    logits = h[-1] @ w[last.weight].T + w[last.bias]
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    error = (p - np.eye(spec.classes)[forced_step.labels]) / len(p) @ w[last.weight]
    for at, node in enumerate(hidden):
        factors = [1 - after**2 for after in h[at + 1 :]] + [np.full_like(error, w[later.weight][0, 0]) for later in hidden[at + 1 :]]
        g = (error * np.prod(factors, axis=0)).T @ h[at]
        seen = np.asarray(passes[0].gradients[node.weight], np.float64)
        yield Place.of(node.weight, "against the written-out product"), seen - g, g
