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
Transform = Callable[[Spec, ForcedStep, ForcedStep], list[ForcedStep]]
"""The steps to take, made from a network's initial and its jittered step."""
Expect = Callable[[Spec, list[ForcedStep], list[Backward]], Residuals]
"""What must vanish, from the steps and what was seen of them."""

Changed = tuple[ForcedStep, Callable[[Arrays], Arrays]]
"""Another step of the same kind, and what it does to gradients."""


@dataclass(frozen=True)
class Symmetry:
    """A relation between gradients of several steps, and the networks for which it `holds`.

    With `bits` no bit may change. With `differentiates` it relates a loss to its gradient, which the check `derivative` judges.
    """

    name: str
    holds: Callable[[Spec], bool]
    transform: Transform
    expect: Expect
    bits: bool = False
    differentiates: bool = False


def twin(
    name: str,
    holds: Callable[[Spec], bool],
    kind: str,
    change: Callable[[Spec, ForcedStep], Changed],
    *,
    of: Callable[[Spec, ForcedStep], ForcedStep] | None = None,
    loss: str = "",
    back: bool = False,
    bits: bool = False,
) -> Symmetry:
    """A step against what `change` makes of it. The step is the jittered one, or what `of` makes of the initial one.

    With `back` the step's gradients are expected from the other's. With `loss`, the kind of place to name, both losses are the same too.
    """

    def transform(spec: Spec, first: ForcedStep, jittered: ForcedStep) -> list[ForcedStep]:
        one = of(spec, first) if of else jittered
        return [one, change(spec, one)[0]]

    def expect(spec: Spec, forced_steps: list[ForcedStep], passes: list[Backward]) -> Residuals:
        expected = change(spec, forced_steps[0])[1]
        given, seen = reversed(passes) if back else passes
        if loss:
            yield Place(loss, array="loss"), seen.loss - given.loss, given.loss
        yield from equal(spec, kind, seen.gradients, expected(in_float64(given.gradients)))

    return Symmetry(name, holds, transform, expect, bits)


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
    left_out = {node.bias for node in graph(spec).dense[:-1]} if spec.arch.norm == "batch" else set()
    for name in graph(spec).parameters:
        if name in expected and name not in left_out:
            yield Place.of(name, kind), np.asarray(seen[name], np.float64) - expected[name], expected[name]


def in_float64(gradients: Arrays) -> Arrays:
    """Gradients as float64, so that comparing rounds nothing."""
    return {key: np.asarray(g, np.float64) for key, g in gradients.items()}


def stream(spec: Spec) -> np.random.Generator:
    """Random numbers of a network's own, the same whenever it is looked at."""
    return np.random.default_rng([spec.arch.depth, spec.arch.width])
