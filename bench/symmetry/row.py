"""What a symmetry is made of: steps to take, residuals that must vanish, and how gradients are compared."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike

from bench.judging.place import Place
from models.architectures import graph
from models.arrays import Array, Arrays
from models.observation import Backward, ForcedStep
from models.reference.draws import rounded
from models.reference.network import Reference
from models.spec import Spec

Size = Array | np.floating | float
Residuals = Iterator[tuple[Place, Size, Size]]
"""Places, what is zero there in exact arithmetic, and the natural size of its terms."""


@dataclass(frozen=True)
class Symmetry:
    """`transform(spec, first, jittered)` gives the steps to take, `expect(spec, steps, passes)` residuals that must vanish.

    With `bits` no bit may change. With `differentiates` the relation is between a loss and its gradient, which the check
    `derivative` judges.
    """

    name: str
    holds: Callable[[Spec], bool]
    transform: Callable[[Spec, ForcedStep, ForcedStep], list[ForcedStep]]
    expect: Callable[[Spec, list[ForcedStep], list[Backward]], Residuals]
    bits: bool = False
    differentiates: bool = False


def by_reference(spec: Spec, forced_step: ForcedStep, dtype: DTypeLike, order: int) -> Backward:
    """The step as the reference takes it, summing in an order of its own; its slope is that of the float64 gradient."""
    network = forced_step.network or spec
    done = Reference(network, forced_step.weights, dtype, order).run(forced_step.x, forced_step.labels)
    gradients = {key: g * g.dtype.type(forced_step.loss_scale) for key, g in done.gradients.items()}
    if forced_step.direction is None:
        return Backward(float(done.loss), gradients)
    exact = Reference(network, forced_step.weights).run(forced_step.x, forced_step.labels).gradients
    return Backward(float(done.loss), gradients, along(exact, forced_step.direction))


def along(gradients: Arrays, direction: Arrays) -> float:
    """⟨g, v⟩ over all parameters, in float64."""
    return sum(float(np.sum(np.asarray(g, np.float64) * direction[key])) for key, g in gradients.items())


def altered(forced_step: ForcedStep, spec: Spec, changed: Arrays) -> ForcedStep:
    """The step with some parameters replaced, in the spec's precision."""
    return replace(forced_step, weights=forced_step.weights | {name: rounded(spec, value) for name, value in changed.items()})


def equal(spec: Spec, kind: str, seen: Arrays, expected: Arrays) -> Residuals:
    """Gradient by gradient, `seen` against `expected`, relative to the expected length.

    Biases before batch normalization are left out: their gradients are zero but for rounding, which `norm_orthogonality` judges.
    """
    normalized = graph(spec).dense[:-1] if spec.arch.norm == "batch" else ()
    left_out = {node.bias for node in normalized}
    for name in graph(spec).parameters:
        if name in expected and name not in left_out:
            yield Place.of(name, kind), np.asarray(seen[name], np.float64) - expected[name], expected[name]


def in_float64(gradients: Arrays) -> Arrays:
    """Gradients as float64, so that comparing rounds nothing."""
    return {key: np.asarray(g, np.float64) for key, g in gradients.items()}


def stream(spec: Spec) -> np.random.Generator:
    """Random numbers of a network's own, the same whenever it is looked at."""
    return np.random.default_rng([spec.arch.depth, spec.arch.width])
