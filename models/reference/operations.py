"""What every kind of node computes, and how gradients pass back through it, written out.

A row is the one place to add an operation. Its functions receive the `Execution` they are part of.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from models.arrays import AnySignal, Array, Arrays, Batch, Images, Logits, Mask, PerUnit, Sequence, Signals, Statistics, Units
from models.nodes import (
    Activate,
    Antisymmetric,
    Conv,
    Dense,
    Flatten,
    Image,
    Join,
    Mirror,
    Multiply,
    Node,
    Normalize,
    NormalizeInSpace,
    NormalizeInTime,
    Part,
    Pool,
    Read,
    ReadEach,
    Recurrent,
    Steps,
    Sum,
    Transposed,
)
from models.parts.activations import ACTIVATIONS
from models.parts.norms import NORMS, Normalized, inverse_root
from models.reference import convolution, dynamics, recurrence
from models.reference.arithmetic import Arithmetic, as_it_is
from models.reference.recurrence import Unrolled

Saved = Array | Normalized | list[Unrolled] | None
"""What a node's way back needs of its way there."""


@dataclass
class Pass:
    """One forward and backward pass; dictionaries are by node or parameter name.

    `pre_activations` are results of dense nodes (z_l, batch × units), of sequences (batch × length × units) and of images (batch ×
    channels × height × width), `pre_activation_gradients` the loss's gradients with respect to them, `gradients` those with respect to
    parameters. `sizes` bound the latter: ‖∂L/∂z_l‖ times the norm of what it is multiplied with. `statistics` are each normalization's
    mean and variance. `bends` have a kink at zero (batch × units, once a kink): inputs of activations, by how much a largest number leads,
    and the margin of a loss that has one.
    """

    loss: float | np.number = 0.0
    logits: Logits = field(default_factory=lambda: np.zeros((0, 0)))
    pre_activations: Signals = field(default_factory=dict)
    pre_activation_gradients: Signals = field(default_factory=dict)
    gradients: Arrays = field(default_factory=dict)
    sizes: dict[str, float] = field(default_factory=dict)
    statistics: Statistics = field(default_factory=dict)
    bends: Signals = field(default_factory=dict)


@dataclass
class Execution:
    """One pass on its way: parameters by name, `running` statistics where a batch normalization evaluates, which time steps are
    `within` each sample (None: all), the `backend` whose slopes at kinks are taken, the `library` whose faults of activations are
    shared (None: of none), and what was found so far.
    """

    arithmetic: Arithmetic
    weights: Arrays
    running: Statistics | None = None
    within: Mask | None = None
    backend: str = ""
    library: str | None = None
    out: Pass = field(default_factory=Pass)


@dataclass(frozen=True)
class Operation:
    """`forward(at, node, *inputs)` gives the result and what the way back needs, `backward(at, node, saved, d)` a gradient an input."""

    forward: Callable[..., tuple[AnySignal, Saved]]
    backward: Callable[..., tuple[AnySignal, ...]]


def _dense(at: Execution, node: Dense, h: Batch) -> tuple[Units, Batch]:
    a = at.arithmetic
    h, bias = a.operand(h), a.between(at.weights[node.bias])
    z = a.product(h, a.operand(at.weights[node.weight]).T)
    return a.between((a.result(z) if a.conventions == "keras" else z) + bias), h


def _dense_back(at: Execution, node: Dense, h: Batch, d: Units) -> tuple[Batch, ...]:
    a, operand = at.arithmetic, at.arithmetic.operand(d)
    dynamics.of_bias(at, node, d)
    dynamics.of_weight(at, node.weight, a.result(a.product(operand.T, h)), h, d)
    return (a.result(a.product(operand, a.operand(at.weights[node.weight]))),)


def _normalize(at: Execution, node: Normalize, h: Units, positions: int = 1) -> tuple[Units, Normalized | None]:
    """Where a channel has several `positions` in a row of h, they share what it learns."""
    a, row = at.arithmetic, NORMS[node.norm]
    root = functools.partial(a.output, inverse_root)  # which processors round as they like
    learned = (_learned(at, node, kind) for kind in ("scale", "shift"))
    scale, shift = (np.repeat(each, positions) if positions > 1 and isinstance(each, np.ndarray) else each for each in learned)
    if at.running is not None and node.norm == "batch":
        mean, var = (np.asarray(s).astype(a.dtype) for s in at.running[node.name])
        return a.between(row.evaluate(h, scale, shift, (mean, var), node.eps, a.otherwise, root)), None
    y, cache = row.forward(h, scale, shift, node.eps, node.groups, a.otherwise, a.total, root)
    at.out.statistics[node.name] = (cache.mean[0], cache.var[0])
    return a.between(y), cache


def _normalize_back(at: Execution, node: Normalize, cache: Normalized, d: Units, positions: int = 1) -> tuple[Units, ...]:
    a, row = at.arithmetic, NORMS[node.norm]
    dz, learned = row.backward(d, cache, a.total)
    if positions > 1:
        learned = {kind: a.total(g.reshape(-1, positions), 1)[:, 0] for kind, g in learned.items()}
    at.out.gradients |= {f"{node.name}.{kind}": a.cast(g, row.cast_by) for kind, g in learned.items()}
    at.out.sizes |= {f"{node.name}.{kind}": float(np.linalg.norm(d)) * (len(d) * positions) ** 0.5 for kind in learned}
    return (at.arithmetic.between(dz),)


def _normalize_in_time(at: Execution, node: NormalizeInTime, h: Sequence) -> tuple[Sequence, Normalized | None]:
    """Time steps are samples of their own."""
    y, cache = _normalize(at, node, h.reshape(-1, node.width))
    return y.reshape(h.shape), cache


def _normalize_in_time_back(at: Execution, node: NormalizeInTime, cache: Normalized, d: Sequence) -> tuple[Sequence, ...]:
    (dz,) = _normalize_back(at, node, cache, d.reshape(-1, node.width))
    return (dz.reshape(d.shape),)


def _normalize_in_space(at: Execution, node: NormalizeInSpace, h: Images) -> tuple[Images, Normalized | None]:
    """Pixels are samples of their own; groups of channels are normalized over all pixels."""
    if NORMS[node.norm].over == "groups":
        y, cache = _normalize(at, node, h.reshape(len(h), -1), node.positions)
        return y.reshape(h.shape), cache
    y, cache = _normalize(at, node, convolution.pixels(h))
    return convolution.images(y, node.size), cache


def _normalize_in_space_back(at: Execution, node: NormalizeInSpace, cache: Normalized, d: Images) -> tuple[Images, ...]:
    if NORMS[node.norm].over == "groups":
        (dz,) = _normalize_back(at, node, cache, d.reshape(len(d), -1), node.positions)
        return (dz.reshape(d.shape),)
    (dz,) = _normalize_back(at, node, cache, convolution.pixels(d))
    return (convolution.images(dz, node.size),)


def _learned(at: Execution, node: Normalize, kind: str) -> PerUnit | float:
    """A parameter as it is computed with; 0 where the row does not learn it."""
    value = at.weights.get(f"{node.name}.{kind}")
    return 0.0 if value is None else at.arithmetic.cast(value, NORMS[node.norm].cast_by)


def _activate(at: Execution, node: Activate, h: AnySignal) -> tuple[AnySignal, AnySignal]:
    row = ACTIVATIONS[node.activation].by(at.library)
    if row.kinks:
        at.out.bends[node.name] = row.bends(h.reshape(len(h), -1))
    return at.arithmetic.between(at.arithmetic.function(row.f, h)), h


def _activate_back(at: Execution, node: Activate, h: AnySignal, d: AnySignal) -> tuple[AnySignal, ...]:
    a, row = at.arithmetic, ACTIVATIONS[node.activation].by(at.library)
    if row.df_of_value and a.rounds:  # Keras composes a derivative of operations that each round
        slope = row.df_of_value(a.between(row.f(h)), a.between if a.conventions == "keras" else as_it_is)
    elif row.df_of_value and a.otherwise:  # 1 - y is zero where a sigmoid has rounded to 1, whose slope of x is not
        slope = row.df_of_value(a.function(row.f, h), as_it_is)
    else:
        slope = a.function(row.df, h)
    for kink, taken in row.at_kinks.get(at.backend, {}).items():
        slope = np.where(h == kink, slope.dtype.type(taken), slope)
    return (a.between(d * slope),)


def _sum(at: Execution, node: Sum, stream: AnySignal, branch: AnySignal) -> tuple[AnySignal, None]:
    """Each term is rounded, and their sum."""
    a = at.arithmetic
    return a.between(a.between(stream * a.factor(node.keep)) + a.between(branch * a.factor(node.scale))), None


def _sum_back(at: Execution, node: Sum, saved: None, d: AnySignal) -> tuple[AnySignal, ...]:
    a = at.arithmetic
    return a.between(d * a.factor(node.keep)), a.between(d * a.factor(node.scale))


def _multiply(at: Execution, node: Multiply, h: Units) -> tuple[Units, Units]:
    """The number is held and multiplied as it is, and the product rounded."""
    return at.arithmetic.between(h * at.weights[node.multiplier]), h


def _multiply_back(at: Execution, node: Multiply, h: Units, d: Units) -> tuple[Units, ...]:
    """∂L/∂a = Σ d h, over units and then over samples."""
    a = at.arithmetic
    at.out.gradients[node.multiplier] = a.total(a.total(d * h, 1), 0)[0]
    at.out.sizes[node.multiplier] = float(np.linalg.norm(d)) * float(np.linalg.norm(h))
    return (a.between(d * at.weights[node.multiplier]),)


def _mirror(at: Execution, node: Mirror, h: Units) -> tuple[Units, None]:
    return np.hstack([h, -h]), None


def _mirror_back(at: Execution, node: Mirror, saved: None, d: Units) -> tuple[Units, ...]:
    above, below = np.hsplit(d, 2)
    return (at.arithmetic.between(above - below),)


OPERATIONS: dict[type[Node], Operation] = {
    Dense: Operation(_dense, _dense_back),
    Normalize: Operation(_normalize, _normalize_back),
    NormalizeInTime: Operation(_normalize_in_time, _normalize_in_time_back),
    NormalizeInSpace: Operation(_normalize_in_space, _normalize_in_space_back),
    Activate: Operation(_activate, _activate_back),
    Sum: Operation(_sum, _sum_back),
    Multiply: Operation(_multiply, _multiply_back),
    Mirror: Operation(_mirror, _mirror_back),
    Steps: Operation(recurrence.steps, recurrence.steps_back),
    Recurrent: Operation(recurrence.recur, recurrence.recur_back),
    Read: Operation(recurrence.read, recurrence.read_back),
    ReadEach: Operation(
        lambda at, node, h: (h.reshape(-1, node.width), None),
        lambda at, node, saved, d: (d.reshape(-1, node.length, node.width),),
    ),
    Image: Operation(convolution.image, convolution.image_back),
    Conv: Operation(convolution.convolve, convolution.convolve_back),
    Pool: Operation(convolution.pool, convolution.pool_back),
    Flatten: Operation(convolution.flatten, convolution.flatten_back),
    Antisymmetric: Operation(dynamics.antisymmetric, dynamics.antisymmetric_back),
    Transposed: Operation(dynamics.transposed, dynamics.transposed_back),
    Part: Operation(dynamics.part, dynamics.part_back),
    Join: Operation(dynamics.join, dynamics.join_back),
}
