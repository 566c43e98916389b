"""The gradient as the derivative of the loss: by forward mode, by difference quotients, by Taylor's remainder, by the complex step.

Directions v are random and move the parameters of one layer at a time, each tensor in units of its own rms.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np

from bench.judging.place import Place
from bench.symmetry.row import Residuals, along
from models.architectures import graph
from models.arrays import Array, Arrays
from models.naming import layer_of, node_of
from models.nodes import Node
from models.observation import Backward, ForcedStep
from models.spec import Spec

STEP = 2.0**-10
"""Relative step h of difference quotients: the five-point rule is off by h⁴/30·L⁽⁵⁾ ≈ 3e-14 and by rounding u/h ≈ 1e-13, so that they
balance in float64. In float32 no step would tell a gradient to better than 1e-5."""
PLACES = (-2, -1, 1, 2)
LEAST = 0.1
"""Unit of tensors that are zero: the spread that `draw_weights` gives to jittered biases."""
IMAGINARY = 1e-30
"""Step of the complex step: Im L(w + ihv)/h differs from the derivative by h², which is nothing."""
ANALYTIC: dict[str, Callable[[Array], Array]] = {"tanh": np.tanh, "sigmoid": lambda z: 1 / (1 + np.exp(-z))}
"""Activations written for complex numbers."""


def directions(spec: Spec, forced_step: ForcedStep) -> Iterator[tuple[Node, Arrays]]:
    """A random direction for every weight layer and its normalization, zero in all others."""
    for node in graph(spec).weighted:
        rng, moved = np.random.default_rng([spec.arch.depth, spec.arch.width, node.layer]), {}
        for name in graph(spec).parameters:
            w = np.asarray(forced_step.weights[name], np.float64)
            unit = float(np.sqrt(np.mean(w * w))) or LEAST
            moved[name] = unit * rng.standard_normal(w.shape) if layer_of(node_of(name)) == node.layer else np.zeros(w.shape)
        yield node, {name: v.astype(spec.precision) for name, v in moved.items()}


def forward_mode_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """The jittered network, asked for its loss's derivative along every layer's direction."""
    return [replace(jittered, direction=v) for _, v in directions(spec, jittered)]


def forward_mode_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """dL(w; v) by forward mode is ⟨∂L/∂w, v⟩ by reverse mode: ⟨Jv, 1⟩ = ⟨v, Jᵀ1⟩."""
    for (node, v), each in zip(directions(spec, forced_steps[0]), passes, strict=True):
        place = Place("forward mode against the gradient", node.name)
        yield place, each.slope - along(each.gradients, v), _size(each.gradients, v)


def quotient_transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
    """The jittered network, and four steps along every layer's direction."""
    found = [jittered]
    for _, v in directions(spec, jittered):
        found += [replace(jittered, weights={key: w + place * STEP * v[key] for key, w in jittered.weights.items()}) for place in PLACES]
    return found


def quotient_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """Five-point rule: (8(L₊₁ − L₋₁) − (L₊₂ − L₋₂))/12h = ⟨∂L, v⟩ + O(h⁴).

    Taylor: R(h) = L₊₁ − L − h⟨∂L, v⟩ = h²/2·L″ + O(h³) grows fourfold from h to 2h. Every loss is rounded, so that the terms are as
    large as losses: 18L/12h of the quotient, and L₊₂ − 4L₊₁ + 3L of the remainders.
    """
    here, rest = passes[0], iter(passes[1:])
    for node, v in directions(spec, forced_steps[0]):
        at = {place: next(rest).loss for place in PLACES}
        slope, size, where = along(here.gradients, v), _size(here.gradients, v) + 1.5 * here.loss / STEP, node.name
        quotient = (8 * (at[1] - at[-1]) - (at[2] - at[-2])) / (12 * STEP)
        yield Place("the loss's difference quotient against the gradient", where), quotient - slope, size
        one, two = (at[place] - here.loss - place * STEP * slope for place in (1, 2))
        yield Place("Taylor's remainder at twice the step against fourfold", where), two - 4 * one, 8 * here.loss


def complex_step_expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
    """Im L(w + ihv)/h, from a forward pass written out in complex numbers, is ⟨∂L, v⟩."""
    forced_step, seen = forced_steps[0], passes[0].gradients
    for node, v in directions(spec, forced_step):
        imaginary = {key: np.asarray(w, np.float64) + 1j * IMAGINARY * v[key] for key, w in forced_step.weights.items()}
        slope = np.imag(_cross_entropy(spec, imaginary, forced_step)) / IMAGINARY
        yield Place("the complex step against the gradient", node.name), slope - along(seen, v), _size(seen, v)


def _cross_entropy(spec: Spec, w: Arrays, forced_step: ForcedStep) -> np.number:
    """Loss of a plain network of analytic activations with complex weights."""
    h = np.asarray(forced_step.x, np.float64)
    for node in graph(spec).dense:
        z = h @ w[node.weight].T + w[node.bias]
        h = ANALYTIC[spec.arch.act](z)
    largest = z.real.max(1)
    return np.mean(np.log(np.exp(z - largest[:, None]).sum(1)) + largest - z[np.arange(len(z)), forced_step.labels])


def _size(gradients: Arrays, direction: Arrays) -> float:
    """‖(‖g‖·‖v‖)‖ over tensors: as large as ⟨g, v⟩ can be."""
    return float(
        np.linalg.norm([np.linalg.norm(np.asarray(g, np.float64)) * np.linalg.norm(direction[key]) for key, g in gradients.items()])
    )
