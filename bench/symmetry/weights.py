"""Symmetries of weights: layers rebalanced, doubled, scaled before a normalization, all alike, mirrored orthogonal, one unit wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from bench.judging.place import Place
from bench.symmetry.row import Residuals, altered, equal, in_float64, stream
from models.graph import Dense, flat, program
from models.observation import ForcedStep
from models.spec import Spec

FAR = 2.0**-24
"""Factor on the last weights after which every hinge is active: the loss is then linear in the logits."""


def rebalanced(factor: float) -> Callable[[Spec, ForcedStep, ForcedStep], list[ForcedStep]]:
    """W_a·c, b_a·c and W_{a+1}/c in the middle of a homogeneous network: the same function."""

    def forced_steps(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
        a, w = spec.depth // 2, {key: value.astype(np.float64) for key, value in jittered.weights.items()}
        moved = {f"w{a}": w[f"{a}.weight"] * factor, f"b{a}": w[f"{a}.bias"] * factor, f"w{a + 1}": w[f"{a + 1}.weight"] / factor}
        return [jittered, altered(jittered, spec, **moved)]

    return forced_steps


def rebalancing(factor: float) -> Callable[[Spec, list[ForcedStep], list[Any]], Residuals]:
    """The loss stays; ∂W_a and ∂b_a are divided by c, ∂W_{a+1} multiplied."""

    def residuals(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
        a, expected = spec.depth // 2, in_float64(passes[0].gradients)
        for key, by in ((f"{a}.weight", 1 / factor), (f"{a}.bias", 1 / factor), (f"{a + 1}.weight", factor)):
            expected[key] = expected[key] * by
        yield Place("with layers rebalanced", array="loss"), passes[1].loss - passes[0].loss, passes[0].loss
        yield from equal(spec, f"with layers rebalanced by {factor:g}", passes[1].gradients, expected)

    return residuals


def doubled(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """A bias-free homogeneous network under a linear loss (every hinge active), and the same with all weights doubled."""
    small = altered(first, spec, **{f"w{spec.depth}": first.weights[f"{spec.depth}.weight"] * FAR})
    twice = {f"w{layer}": 2 * small.weights[f"{layer}.weight"] for layer in range(1, spec.depth + 1)}
    return [small, altered(small, spec, **twice)]


def doubling(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
    """Every weight gradient doubles depth − 1 times."""
    weights = {key: g * 2.0 ** (spec.depth - 1) for key, g in in_float64(passes[0].gradients).items() if key.endswith("weight")}
    yield from equal(spec, "with all weights doubled", passes[1].gradients, weights)


def fed_twice(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """A bias-free homogeneous network under a linear loss, and the same on inputs twice as large."""
    small = doubled(spec, first, jittered)[0]
    return [small, replace(small, x=2 * small.x)]


def feeding_twice(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
    """f(2x) = 2f(x): every δ stays and every layer's input doubles, so that ∂W doubles and ∂b stays."""
    factors = {"weight": 2.0, "bias": 1.0}
    expected = {key: factors[key.partition(".")[2]] * g for key, g in in_float64(passes[0].gradients).items()}
    yield from equal(spec, "with inputs doubled", passes[1].gradients, expected)


def scaled(factor: float) -> Callable[[Spec, ForcedStep, ForcedStep], list[ForcedStep]]:
    """All weights and biases before a normalization with ε = 0 (to rounding) times c: the same function."""

    def forced_steps(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
        changed = {
            f"{name}{layer}": factor * jittered.weights[f"{layer}.{kind}"].astype(np.float64)
            for layer in range(1, spec.depth)
            for name, kind in (("w", "weight"), ("b", "bias"))
        }
        return [jittered, altered(jittered, spec, **changed)]

    return forced_steps


def scaling(factor: float) -> Callable[[Spec, list[ForcedStep], list[Any]], Residuals]:
    """Gradients of what is normalized away are divided by c, all else stays."""

    def residuals(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
        expected, before = {}, in_float64(passes[0].gradients)
        for key, g in before.items():
            layer, kind = int(key.partition(".")[0]), key.partition(".")[2]
            expected[key] = g / factor if layer < spec.depth and kind in ("weight", "bias") else g
        yield Place(f"with weights times {factor:g}", array="loss"), passes[1].loss - passes[0].loss, passes[0].loss
        yield from equal(spec, f"with weights times {factor:g}", passes[1].gradients, expected)

    return residuals


def constant(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """Constant weights and no biases: all units of a layer are the same unit."""
    same = {
        f"w{step.layer}": np.full((step.fan_out, step.fan_in), 1 / step.fan_in) for step in flat(program(spec)) if isinstance(step, Dense)
    }
    zeros = {f"b{layer}": np.zeros(spec.widths[layer]) for layer in range(1, spec.depth + 1)}
    return [altered(first, spec, **same, **zeros)]


def alike(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
    """All rows of a layer's ∂W are the same."""
    for layer in range(1, spec.depth):
        g = np.asarray(passes[0].gradients[f"{layer}.weight"], np.float64)
        yield Place("units that are alike", str(layer), "weight"), g - g[0], g


def looks_linear(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """[relu; −relu] with W = [Q, −Q; −Q, Q] passes Q·z on (Balduzzi et al. 2017), on one sample, so that ∂b is its δ.

    A batch of its copies would do as well, but a sum of equal terms rounds the same way all along.
    """
    rng, changed = stream(spec), {}
    for step in flat(program(spec)):
        if not isinstance(step, Dense):
            continue
        rows, columns = step.fan_out // (1 + (step.layer < spec.depth)), step.fan_in // (1 + (step.layer > 1))
        size = max(rows, columns)
        q = np.linalg.qr(rng.standard_normal((size, size)))[0][:rows, :columns]
        q = np.hstack([q, -q]) if step.layer > 1 else q
        changed[f"w{step.layer}"] = np.vstack([q, -q]) if step.layer < spec.depth else q
    return [replace(altered(first, spec, **changed), x=first.x[:1], labels=first.labels[:1])]


def isometric(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
    """‖δ‖ is the same in every layer, whatever the depth."""
    end = np.linalg.norm(np.asarray(passes[0].gradients[f"{spec.depth}.bias"], np.float64))
    for layer in range(1, spec.depth):
        here = np.linalg.norm(np.asarray(passes[0].gradients[f"{layer}.bias"], np.float64))
        yield Place("length of the gradient of a mirrored orthogonal network", str(layer)), here - end, end


def chain(spec: Spec, forced_steps: list[ForcedStep], passes: list[Any]) -> Residuals:
    """∂L/∂w_l = Σ_samples (p − y)·w_L · Π_{m=l}^{L−1} φ′(z_m) · Π_{m=l+1}^{L−1} w_m · h_{l−1}, for tanh and cross-entropy."""
    forced_step, depth = forced_steps[0], spec.depth
    w = {key: np.asarray(value, np.float64) for key, value in forced_step.weights.items()}
    h = {0: np.asarray(forced_step.x, np.float64)}
    for layer in range(1, depth):
        h[layer] = np.tanh(h[layer - 1] @ w[f"{layer}.weight"].T + w[f"{layer}.bias"])
    logits = h[depth - 1] @ w[f"{depth}.weight"].T + w[f"{depth}.bias"]
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    error = (p - np.eye(spec.classes)[forced_step.labels]) / len(p) @ w[f"{depth}.weight"]
    for layer in range(1, depth):
        factors = [1 - h[m] ** 2 for m in range(layer, depth)] + [
            np.full_like(error, w[f"{m}.weight"][0, 0]) for m in range(layer + 1, depth)
        ]
        g = (error * np.prod(factors, axis=0)).T @ h[layer - 1]
        seen = np.asarray(passes[0].gradients[f"{layer}.weight"], np.float64)
        yield Place("against the written-out product", str(layer), "weight"), seen - g, g
