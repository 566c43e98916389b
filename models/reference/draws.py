"""What goes into a network: weights drawn by NumPy, inputs, and batches that keep away from kinks."""

from __future__ import annotations

import math

import numpy as np

from models.architectures import graph
from models.arrays import Array, Arrays, Batch, Indices, Labels, PerUnit
from models.nodes import Conv, Dense, Multiply, Normalize, Recurrent, Transposed
from models.observation import ForcedStep
from models.parts.cells import CELLS, CHRONO
from models.parts.initializers import INITIALIZERS, Initializer
from models.parts.optimizers import OPTIMIZERS
from models.parts.recurrences import RECURRENCES
from models.parts.schedules import STEPS
from models.reference import kinks
from models.reference.network import Reference
from models.spec import Spec

BIAS_SD = 0.05**0.5
"""Standard deviation of `bias=normal`; variance 0.05 is the setting of Schoenholz et al. 2017."""
DRAWS = 100
"""Batches tried for one that keeps from every kink. Where none does, the one that keeps furthest is taken, and what a kink would decide
is not judged."""
ONE_SEED_APART = 7919
"""Distance between random streams that belong to the same seed."""

INPUTS: dict[str, tuple[float, float]] = {
    "centred": (1.0, 0.0), "shifted": (1.0, 30.0), "far": (1.0, 1000.0), "tiny": (1e-6, 0.0), "huge": (1e6, 0.0), "saturated": (1.0, 0.0),
}  # fmt: skip
"""What is done to the data's inputs: a factor and an offset."""
SATURATION = 30.0
"""Factor on the read-out's weights for `input=saturated`: logits lie some 50 apart, so that most samples are confidently wrong."""


def draw_weights(spec: Spec, seed: int, jitter: bool = False) -> Arrays:
    """Weights drawn by NumPy for `spec`: its initializer's, zero biases, unit scales.

    With `jitter`, biases, shifts and multipliers get a standard deviation of 0.1, scales 1 ± 0.1, zero-initialized and mirrored weights
    0.01. A forgotten bias, scale, shift or branch then shows in one step.
    """
    rng = np.random.default_rng([seed, int(jitter)])
    initializer, weights = INITIALIZERS[spec.init], {}
    for node in graph(spec).nodes:
        if isinstance(node, Dense):
            weight = node.start * initializer.draw(rng, node.fan_drawn, node.fan_out)
            weights[node.weight] = np.hstack([weight, -weight]) if node.mirrored else weight
            bias = initializer.draw_bias(rng, node.fan_in, node.fan_out)
            if spec.bias == "normal":
                bias = BIAS_SD * rng.standard_normal(node.fan_out)
            if node.start == 0 or node.mirrored:
                weights[node.weight] = weights[node.weight] + rng.normal(0, 0.01 * jitter, (node.fan_out, node.fan_in))
            weights[node.bias] = bias + rng.normal(0, 0.1 * jitter, node.fan_out)
        elif isinstance(node, Transposed):
            bias = initializer.draw_bias(rng, node.fan_in, node.width)
            if spec.bias == "normal":
                bias = BIAS_SD * rng.standard_normal(node.width)
            weights[node.bias] = bias + rng.normal(0, 0.1 * jitter, node.width)
        elif isinstance(node, Normalize):
            for kind in node.parameters:
                weights[f"{node.name}.{kind}"] = float(kind == "scale") + rng.normal(0, 0.1 * jitter, node.width)
        elif isinstance(node, Multiply):
            weights[node.multiplier] = rng.normal(0, 0.1 * jitter, 1)
        elif isinstance(node, Conv):
            weights |= _convolution(rng, spec, node, initializer, jitter)
        elif isinstance(node, Recurrent):
            weights |= _recurrent(rng, spec, node, initializer, jitter)
    return {name: rounded(spec, weights[name]) for name in graph(spec).parameters}


def _convolution(rng: np.random.Generator, spec: Spec, node: Conv, initializer: Initializer, jitter: bool) -> Arrays:
    """Weights of a convolution: the initializer's, with the fans of all taps, or of the middle one where the others begin at zero."""
    _, below, *kernel = shape = node.parameters["weight"]
    weight, bias = np.zeros(shape), initializer.draw_bias(rng, node.fan_in, node.width)
    if node.delta:
        weight[:, :, node.kernel // 2, node.kernel // 2] = initializer.draw(rng, below, node.width)
        weight += rng.normal(0, 0.01 * jitter, shape)
    else:
        weight = initializer.draw(rng, below, node.width, math.prod(kernel)).reshape(shape)
    if spec.bias == "normal":
        bias = BIAS_SD * rng.standard_normal(node.width)
    return {node.weight: weight, node.bias: bias + rng.normal(0, 0.1 * jitter, node.width)}


def _recurrent(rng: np.random.Generator, spec: Spec, node: Recurrent, initializer: Initializer, jitter: bool) -> Arrays:
    """Weights of a recurrent layer; a forget gate's bias begins as `forget` says where the others begin at zero."""
    row, start, drawn = CELLS[node.cell], RECURRENCES[node.start], Arrays()
    for direction in node.directions:
        gates = [node.radius * start.draw(rng, node.units) for _ in range(row.gates)]
        drawn[f"{node.name}.{direction}weight"] = initializer.draw(rng, node.fan_in, row.gates * node.units)
        drawn[f"{node.name}.{direction}recurrent_weight"] = np.concatenate(gates)
        for kind in (kind for kind in node.of_direction(direction) if kind.endswith("bias")):
            bias = recurrent_bias(rng, spec, node)
            drawn[f"{node.name}.{kind}"] = bias + rng.normal(0, 0.1 * jitter, bias.shape)
    return drawn


def recurrent_bias(rng: np.random.Generator, spec: Spec, node: Recurrent) -> PerUnit:
    """One bias of a recurrent layer (gates · units), before any jitter."""
    row, initializer = CELLS[node.cell], INITIALIZERS[spec.init]
    bias = initializer.draw_bias(rng, node.units, row.gates * node.units)
    if spec.bias == "normal":
        bias = BIAS_SD * rng.standard_normal(bias.shape)
    elif row.forget is not None and not initializer.random_bias:
        _begin_forgetting(rng, bias.reshape(row.gates, node.units), node)
    return bias


def _begin_forgetting(rng: np.random.Generator, by_gate: Array, node: Recurrent) -> None:
    """Set the forget gate's bias in place, and for `chrono` the input gate's, too."""
    row = CELLS[node.cell]
    assert row.forget is not None and row.fill is not None
    if node.forget == CHRONO:
        by_gate[row.forget] = np.log(rng.uniform(1, node.length - 1, node.units))
        by_gate[row.fill] = -by_gate[row.forget]
    else:
        by_gate[row.forget] = float(node.forget)


def moved_by_rounding(weights: Arrays, signs: int = 0) -> Arrays:
    """The same weights, each but zeros larger or smaller by one unit in the last place; another seed of `signs` chooses otherwise."""
    rng = np.random.default_rng([signs, ONE_SEED_APART])
    return {name: w + np.where(rng.random(w.shape) < 0.5, -1, 1).astype(w.dtype) * np.spacing(w) * (w != 0) for name, w in weights.items()}


def rounded(spec: Spec, values: Array) -> Array:
    """Values as every backend holds them: in the spec's precision, so that the reference starts from the same numbers."""
    return np.asarray(values).astype(spec.format.held)


def fed(spec: Spec, x: Batch) -> Batch:
    """The data's inputs as `spec.input` wants them, in the spec's precision."""
    factor, offset = INPUTS[spec.input]
    return rounded(spec, np.asarray(x, np.float64) * factor + offset) if spec.input != "centred" else rounded(spec, x)


def prepare_forced_steps(spec: Spec, x: Batch, labels: Labels, seed: int, steps: int = 0) -> list[ForcedStep]:
    """Single training steps whose batches keep away from kinks (`models.reference.kinks`), as far as `DRAWS` tries find such.

    They are `steps`, or as many as show the whole rule of the network's optimizer and schedule.
    The first step starts from the network at initialization, the others from jittered draws. A sample next to a kink is replaced by
    another; batch normalization couples samples, so there a whole batch is drawn again.
    """
    forced_steps = []
    for number in range(steps or max(OPTIMIZERS[spec.optimizer].steps, STEPS if spec.schedule != Spec.schedule else 0)):
        weights = draw_weights(spec, seed + ONE_SEED_APART * number, jitter=number > 0)
        if spec.input == "saturated":
            last = weights[graph(spec).dense[-1].weight]
            last *= last.dtype.type(SATURATION)
        rng = np.random.default_rng([seed, number, 3])
        with np.errstate(all="ignore"):  # a network that explodes may leave float32's range; the checks see that
            chosen = _away_from_kinks(spec, weights, x, labels, rng)
        forced_steps.append(ForcedStep(weights, fed(spec, x[chosen]), labels[chosen]))
    return forced_steps


def _away_from_kinks(spec: Spec, weights: Arrays, x: Batch, labels: Labels, rng: np.random.Generator) -> Indices:
    """Indices of the first batch that keeps `kinks.CLEARANCE` from every kink, or of the one that keeps furthest."""
    reference = Reference(spec, weights)
    rounding = [Reference(spec, weights, np.float32, order) for order in range(2)]
    chosen = rng.choice(len(x), spec.batch, replace=False)
    errors: dict[str, float] = {}
    tried: list[tuple[float, Indices]] = []
    for _ in range(DRAWS):
        inputs = fed(spec, x[chosen])
        exact = reference.run(inputs, labels[chosen])
        errors = errors or kinks.reach(exact, [each.run(inputs, labels[chosen]) for each in rounding])
        distances = kinks.distances(exact, errors)
        near = distances < kinks.CLEARANCE
        if not near.any():
            return chosen
        tried.append((float(distances.min()), chosen.copy()))
        unused = np.setdiff1d(np.arange(len(x)), chosen)
        if spec.arch.norm == "batch":
            chosen = rng.choice(len(x), spec.batch, replace=False)
        else:
            replaced = np.flatnonzero(near)[: len(unused)]  # a batch of most of the data leaves fewer than are near
            chosen[replaced] = rng.choice(unused, len(replaced), replace=False)
    return max(tried, key=lambda each: each[0])[1]
