"""How a `Spec` becomes a sequence of layers: the one wiring that every backend follows.

A program is a tuple of `Dense`, `Normalize`, `Activate` and `Residual`; each backend turns these four into its own
parts. Numbers are those of weight layers: `Normalize(5)` belongs to what layer 5 computes.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from models.parts.norms import NORMS
from models.spec import Spec


@dataclass(frozen=True)
class Dense:
    """z = W h + b, weights (fan-out, fan-in)."""

    layer: int
    fan_in: int
    fan_out: int
    zero: bool = False


@dataclass(frozen=True)
class Normalize:
    """The spec's normalization over `width` units."""

    layer: int
    width: int


@dataclass(frozen=True)
class Activate:
    """The spec's activation."""

    layer: int


@dataclass(frozen=True)
class Residual:
    """x ↦ keep · x + scale · body(x)."""

    body: tuple[Dense | Normalize | Activate, ...]
    keep: float
    scale: float


Step = Dense | Normalize | Activate
Program = tuple[Step | Residual, ...]


def program(spec: Spec) -> Program:
    """The layers of `spec` in order; post-activation blocks as in He et al. 2015, pre-activation as in He et al. 2016."""
    if not spec.span:
        hidden = [step for layer in range(1, spec.depth) for step in (_dense(spec, layer), *_unit(spec, layer))]
        return (*hidden, _dense(spec, spec.depth))
    firsts = range(2, spec.depth, spec.span)
    if spec.skip_order == "pre":
        blocks = [_residual(spec, _pre_body(spec, first)) for first in firsts]
        return (_dense(spec, 1), *blocks, *_unit(spec, spec.depth - 1), _dense(spec, spec.depth))
    steps: list[Step | Residual] = [_dense(spec, 1), *_unit(spec, 1)]
    for first in firsts:
        last = first + spec.span - 1
        inner = [step for layer in range(first, last) for step in (_dense(spec, layer), *_unit(spec, layer))]
        after = _unit(spec, last)
        before_sum = after[:-1] if spec.norm_at == "before" else ()
        steps += [_residual(spec, (*inner, _dense(spec, last, last_of_branch=True), *before_sum)), *after[len(before_sum) :]]
    return (*steps, _dense(spec, spec.depth))


def flat(steps: Program) -> list[Step]:
    """Every Dense, Normalize and Activate in the order of computation, blocks opened."""
    return [inner for step in steps for inner in (step.body if isinstance(step, Residual) else (step,))]


@dataclass(frozen=True)
class Joint:
    """Two weight layers with nothing but `between` (normalizations and activations) from the one to the other."""

    left: int
    right: int
    between: tuple[Step, ...]


def joints(spec: Spec) -> list[Joint]:
    """Every pair of weight layers that are joined without a branch in between."""
    found: list[Joint] = []
    top: list[Step] = []
    for step in program(spec):
        if isinstance(step, Residual):
            found += [*_joints(top), *_joints(list(step.body))]
            top = []
        else:
            top.append(step)
    return [*found, *_joints(top)]


def _joints(steps: list[Step]) -> list[Joint]:
    places = [place for place, step in enumerate(steps) if isinstance(step, Dense)]
    return [Joint(steps[a].layer, steps[b].layer, tuple(steps[a + 1 : b])) for a, b in pairwise(places)]


def parameter_keys(spec: Spec) -> list[str]:
    """Names of everything learned, as `layer.kind`: `5.weight`, `5.bias`, `5.scale`, `5.shift`."""
    keys = []
    for step in flat(program(spec)):
        if isinstance(step, Dense):
            keys += [f"{step.layer}.weight", f"{step.layer}.bias"]
        elif isinstance(step, Normalize):
            keys += [f"{step.layer}.{kind}" for kind in NORMS[spec.norm].parameters]
    return sorted(keys, key=lambda key: (int(key.split(".")[0]), key))


def describe(key: str) -> str:
    """`5.weight` as a person reads it: `layer  5 weight`."""
    layer, _, kind = key.partition(".")
    return f"layer {layer:>2} {kind}"


def place_of(kind: type, layer: int) -> str:
    """What a part of a layer is called where its result's format is noted: `layer  5 dense`."""
    return f"layer {layer:>2} {kind.__name__.lower()}"


def _dense(spec: Spec, layer: int, last_of_branch: bool = False) -> Dense:
    zero = last_of_branch and spec.branch == "zero"
    return Dense(layer, spec.widths[layer - 1], spec.widths[layer], zero)


def _unit(spec: Spec, layer: int) -> tuple[Step, ...]:
    """What follows weight layer `layer`: normalization and activation, in the spec's order."""
    if spec.norm == "none":
        return (Activate(layer),)
    normalize = Normalize(layer, spec.widths[layer])
    return (normalize, Activate(layer)) if spec.norm_at == "before" else (Activate(layer), normalize)


def _pre_body(spec: Spec, first: int) -> tuple[Step, ...]:
    steps: list[Step] = []
    for layer in range(first, first + spec.span):
        steps += [*_unit(spec, layer - 1), _dense(spec, layer, last_of_branch=layer == first + spec.span - 1)]
    return tuple(steps)


def _residual(spec: Spec, body: tuple[Step, ...]) -> Residual:
    if spec.branch == "root2":
        return Residual(body, 2**-0.5, 2**-0.5)
    return Residual(body, 1.0, spec.blocks**-0.5 if spec.branch == "depth" else 1.0)
