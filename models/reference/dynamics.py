"""Layers of discretised dynamics in NumPy: a skew matrix, a matrix read backwards, halves of a state."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Batch, Units, Weight
from models.nodes import Antisymmetric, Join, Part, Transposed
from models.nodes.node import Affine

if TYPE_CHECKING:
    from models.reference.operations import Execution


def of_bias(at: Execution, node: Affine, d: Units) -> None:
    """Note ∂L/∂b."""
    at.out.gradients[node.bias] = at.arithmetic.between(at.arithmetic.product(np.ones((1, len(d)), d.dtype), d)[0])
    at.out.sizes[node.bias] = float(np.linalg.norm(d)) * len(d) ** 0.5


def of_weight(at: Execution, name: str, gradient: Weight, h: Batch, d: Units) -> None:
    """Note ∂L/∂W; those of a matrix that two nodes read add up."""
    found, sizes = at.out.gradients, at.out.sizes
    found[name] = at.arithmetic.between(found[name] + gradient) if name in found else gradient
    sizes[name] = sizes.get(name, 0.0) + float(np.linalg.norm(d)) * float(np.linalg.norm(h))


def _matrix(at: Execution, node: Antisymmetric) -> Weight:
    w = at.weights[node.weight]
    return at.arithmetic.between(w - w.T - at.arithmetic.factor(node.damping) * np.eye(node.width, dtype=w.dtype))


def antisymmetric(at: Execution, node: Antisymmetric, h: Batch) -> tuple[Units, Batch]:
    """h (W − Wᵀ − γ)ᵀ + b."""
    a = at.arithmetic
    return a.between(a.product(h, _matrix(at, node).T) + at.weights[node.bias]), h


def antisymmetric_back(at: Execution, node: Antisymmetric, h: Batch, d: Units) -> tuple[Batch, ...]:
    """∂L/∂W = G − Gᵀ with G = δᵀh."""
    a = at.arithmetic
    of_bias(at, node, d)
    g = a.product(d.T, h)
    of_weight(at, node.weight, a.between(g - g.T), h, 2 * d)
    return (a.between(a.product(d, _matrix(at, node))),)


def transposed(at: Execution, node: Transposed, h: Batch) -> tuple[Units, Batch]:
    """h W + b."""
    a = at.arithmetic
    return a.between(a.product(h, at.weights[node.weight]) + at.weights[node.bias]), h


def transposed_back(at: Execution, node: Transposed, h: Batch, d: Units) -> tuple[Batch, ...]:
    """∂L/∂W = hᵀδ, the other way round than where W is read forwards."""
    a = at.arithmetic
    of_bias(at, node, d)
    of_weight(at, node.weight, a.between(a.product(h.T, d)), h, d)
    return (a.between(a.product(d, at.weights[node.weight].T)),)


def part(at: Execution, node: Part, h: Batch) -> tuple[Units, None]:
    """Some units of the state."""
    return h[:, node.begin : node.begin + node.width], None


def part_back(at: Execution, node: Part, saved: None, d: Units) -> tuple[Batch, ...]:
    """Zeros for the others."""
    return (np.pad(d, ((0, 0), (node.begin, node.whole - node.begin - node.width))),)


def join(at: Execution, node: Join, one: Units, other: Units) -> tuple[Units, None]:
    """Both."""
    return np.hstack([one, other]), None


def join_back(at: Execution, node: Join, saved: None, d: Units) -> tuple[Units, ...]:
    """Each its own."""
    one, other = np.hsplit(d, 2)
    return one, other
