"""Symmetries of weights: layers rebalanced, doubled, scaled before a normalization, all alike, mirrored orthogonal, one unit wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bench.judging.place import Place
from bench.symmetry.row import Residuals, altered, equal, in_float64, stream
from models.architectures import graph
from models.graph import Dense, kind_of
from models.observation import Backward, ForcedStep
from models.spec import Spec

FAR = 2.0**-24
"""Factor on the last weights after which every hinge is active: the loss is then linear in the logits."""


def _middle(spec: Spec) -> tuple[Dense, Dense]:
    """The dense node in the middle and the one after it."""
    at = spec.arch.depth // 2
    return graph(spec).dense[at - 1], graph(spec).dense[at]


def rebalance_transform(factor: float) -> Callable[[Spec, ForcedStep, ForcedStep], list[ForcedStep]]:
    """W_a·c, b_a·c and W_{a+1}/c in the middle of a homogeneous network: the same function."""

    def forced_steps(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
        (a, b), w = _middle(spec), in_float64(jittered.weights)
        moved = {a.weight: w[a.weight] * factor, a.bias: w[a.bias] * factor, b.weight: w[b.weight] / factor}
        return [jittered, altered(jittered, spec, moved)]

    return forced_steps


def rebalance_expect(factor: float) -> Callable[[Spec, list[ForcedStep], list[Backward]], Residuals]:
    """The loss stays; ∂W_a and ∂b_a are divided by c, ∂W_{a+1} multiplied."""

    def residuals(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
        (a, b), expected = _middle(spec), in_float64(passes[0].gradients)
        for name, by in ((a.weight, 1 / factor), (a.bias, 1 / factor), (b.weight, factor)):
            expected[name] = expected[name] * by
        yield Place("with layers rebalanced", array="loss"), passes[1].loss - passes[0].loss, passes[0].loss
        yield from equal(spec, f"with layers rebalanced by {factor:g}", passes[1].gradients, expected)

    return residuals


def double_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """A bias-free homogeneous network under a linear loss (every hinge active), and the same with all weights doubled."""
    dense = graph(spec).dense
    small = altered(first, spec, {dense[-1].weight: first.weights[dense[-1].weight] * FAR})
    return [small, altered(small, spec, {node.weight: 2 * small.weights[node.weight] for node in dense})]


def double_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """Every weight gradient doubles depth − 1 times."""
    weights = {key: g * 2.0 ** (spec.arch.depth - 1) for key, g in in_float64(passes[0].gradients).items() if key.endswith("weight")}
    yield from equal(spec, "with all weights doubled", passes[1].gradients, weights)


def double_inputs_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """A bias-free homogeneous network under a linear loss, and the same on inputs twice as large."""
    small = double_transform(spec, first, jittered)[0]
    return [small, replace(small, x=2 * small.x)]


def double_inputs_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """f(2x) = 2f(x): every δ stays and every layer's input doubles, so that ∂W doubles and ∂b stays."""
    factors = {"weight": 2.0, "bias": 1.0}
    expected = {key: factors[kind_of(key)] * g for key, g in in_float64(passes[0].gradients).items()}
    yield from equal(spec, "with inputs doubled", passes[1].gradients, expected)


def scale_transform(factor: float) -> Callable[[Spec, ForcedStep, ForcedStep], list[ForcedStep]]:
    """All weights and biases before a normalization with ε = 0 (to rounding) times c: the same function."""

    def forced_steps(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
        names = [name for node in graph(spec).dense[:-1] for name in (node.weight, node.bias)]
        return [jittered, altered(jittered, spec, {name: factor * jittered.weights[name].astype(np.float64) for name in names})]

    return forced_steps


def scale_expect(factor: float) -> Callable[[Spec, list[ForcedStep], list[Backward]], Residuals]:
    """Gradients of what is normalized away are divided by c, all else stays."""

    def residuals(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
        expected = in_float64(passes[0].gradients)
        for node in graph(spec).dense[:-1]:
            for name in (node.weight, node.bias):
                expected[name] = expected[name] / factor
        yield Place(f"with weights times {factor:g}", array="loss"), passes[1].loss - passes[0].loss, passes[0].loss
        yield from equal(spec, f"with weights times {factor:g}", passes[1].gradients, expected)

    return residuals


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


def chain_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """The network at initialization."""
    return [first]


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
