"""Signal propagation through time at initialization: rates of mean-field theory, and the law at a network's own width.

A step back multiplies the squared norm of a gradient by χ: it vanishes for χ < 1, explodes for χ > 1, and at χ = 1 the recurrence is
critical. `bench.theory.through_time` has χ of every cell at infinite width. Keras draws one orthogonal kernel for all gates of a layer, so
that each gate has ρ²/gates; PyTorch's users draw one a gate.
At a network's own width rates spread: `ensemble` draws networks as the reference does, and runs them on the very batch.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.theory.through_time import Start, course
from models.architectures import graph
from models.arrays import Batch, Labels, Sequence
from models.nodes import Read, Recurrent, Steps
from models.parts.cells import CELLS
from models.parts.initializers import INITIALIZERS
from models.parts.parametrizations import NONE
from models.parts.recurrences import RECURRENCES
from models.reference.draws import draw_weights, fed
from models.reference.network import Reference
from models.spec import Spec

NETWORKS = 24
"""Networks of an ensemble: their mean and spread are known to 1/√24 and 1/√46 of the spread."""
LONG, FEW = 100, 8
"""Time steps beyond which an ensemble has few networks, since each takes its time."""
FIRST_SEED = 1_000_003
"""The first seed of an ensemble, apart from those of judged networks."""
OUT_OF_RANGE = "signals or gradients leave the range of numbers"
FORGETTING, RADII = (-4.0, 8.0), (0.1, 4.0)
"""Forget biases and radii among which a critical one is looked for, in `HALVINGS` steps of bisection."""
HALVINGS = 10
STARTS = 5
"""Among how many starts the nearest to a critical one is looked for."""


def time_scale(chi: float) -> float:
    """Steps in which a norm changes by e, where its square changes by χ a step; infinite at criticality."""
    return math.inf if chi == 1 else 2 / abs(math.log(chi)) if chi > 0 else 0.0


def by_units(spec: Spec, conventions: str) -> bool:
    """Whether a framework draws input weights by a layer's units, as PyTorch's recurrent layers do where its linear ones go by inputs."""
    return conventions == "torch" and INITIALIZERS[spec.init].torch is None


def together(node: Recurrent, conventions: str) -> bool:
    """Whether a framework draws one orthogonal matrix for all gates of a layer, as Keras does."""
    return conventions == "keras" and RECURRENCES[node.start].isometric and CELLS[node.cell].gates > 1


def input_gain(spec: Spec, node: Recurrent, conventions: str) -> float:
    """By how much a framework's input weights are larger than the initializer's."""
    return (node.fan_in / node.units) ** 0.5 if by_units(spec, conventions) else 1.0


def radius_of(node: Recurrent, conventions: str = "") -> float:
    """ρ = √(units · Var R) of one gate."""
    row = RECURRENCES[node.start]
    if not row.scaled and not row.isometric:
        return 3**-0.5  # uniform within ±1/√units
    return float(node.radius / (CELLS[node.cell].gates ** 0.5 if together(node, conventions) else 1))


def why_not(spec: Spec) -> str:
    """Why mean-field theory says nothing of a network; nothing where it does."""
    node, (steps,) = graph(spec).of(Recurrent)[0], graph(spec).of(Steps)
    reasons = {
        "a single step hands no gradient back": node.length == 1,
        "gradients also go back in time through the layers above": len(graph(spec).of(Recurrent)) > 1,
        "gradients arrive at every step, where all outputs are read": any(read.outputs != "last" for read in graph(spec).of(Read)),
        "one direction reads from the end": node.both,
        "samples end at different steps": steps.uneven,
        "no gradient passes beyond some steps": node.truncated > 0,
        "the identity is no random matrix": node.start == "identity",
        "the Cayley transform of a random matrix is no uniformly random orthogonal one": node.parametrization != NONE,
    }
    return next((reason for reason, holds in reasons.items() if holds), "")


def mean_field(spec: Spec, x: Batch, conventions: str = "") -> list[float] | None:
    """χ_t on x of each time step but the last; None where theory says nothing (`why_not`), or where numbers leave their range."""
    if why_not(spec):
        return None
    node = graph(spec).of(Recurrent)[0]
    gradient = course(spec, x, Start(radius_of(node, conventions), input_gain(spec, node, conventions))).gradient
    if np.any(np.isnan(gradient) | np.isposinf(gradient)):
        return None
    with np.errstate(invalid="ignore"):
        steps = np.diff(gradient)
    return [0.0 if math.isnan(each) else math.exp(-2 * each) for each in steps.tolist()]  # nothing is left of nothing


def remedy(spec: Spec, x: Batch, conventions: str = "", own_growth: float = -math.inf) -> str:
    """The start at which theory finds a recurrent layer critical on x, or from which on the gradient's norm stays within e, or the nearest.

    `own_growth` is the natural log of what the norm is multiplied with as the layer begins.
    """
    node = graph(spec).of(Recurrent)[0]
    row, own, gain = CELLS[node.cell], radius_of(node, conventions), input_gain(spec, node, conventions)
    named, between = "recurrent weights of radius {:.2f}" + " a gate" * (row.gates > 1), RADII
    if row.forget is not None:
        named, between = "forget biases of {:.2f}", FORGETTING

    def growth(value: float) -> float:
        start = Start(value, gain) if row.forget is None else Start(own, gain, value)
        return float(course(spec, x, start, quick=True).gradient[0])

    if (found := crossing(growth, between)) is not None:
        return named.format(found) + " are critical for these inputs"
    if abs(own_growth) < 1:
        return f"none is needed, for the norm stays within e over these {node.length} steps"
    if (found := crossing(lambda value: growth(value) + 1, between)) is not None:
        return named.format(found) + f" or more keep the norm within e over these {node.length} steps"
    best = min(np.linspace(*between, STARTS).tolist(), key=lambda value: _distance(growth(value)))
    if not math.isfinite(off := _distance(growth(best))):
        return "none is known, for signals leave the range of numbers at every start of this cell"
    return f"none keeps the norm for these inputs; {named.format(best)} change it least, by {off / math.log(10):.1f} decades"


def _distance(growth: float) -> float:
    return math.inf if math.isnan(growth) else abs(growth)


def crossing(growth: Callable[[float], float], between: tuple[float, float]) -> float | None:
    """Where a growth crosses zero upwards, by bisection; None where it does not. One that is no number is beyond all numbers."""
    low, high = between
    if growth(low) > 0 or growth(high) < 0:
        return None
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if growth(middle) < 0 else (low, middle)
    return (low + high) / 2


@dataclass(frozen=True)
class Rates:
    """Mean and standard deviation, over `networks` of an ensemble, of natural logs.

    `gradient` is that of ‖∂L/∂x_1‖/‖∂L/∂x_T‖ over all time steps, `signal` of the norm of the last layer's outputs.
    """

    gradient: tuple[float, float]
    signal: tuple[float, float]
    networks: int


def ensemble(spec: Spec, x: Batch, labels: Labels, conventions: str = "") -> Rates:
    """What networks of `spec` with weights drawn as by a framework's conventions do on one batch.

    Not finite where a norm is zero, as it is before a truncation.
    """
    nodes = graph(spec).of(Recurrent)
    many = NETWORKS if nodes[0].length <= LONG else FEW
    start = by_units(spec, conventions), any(together(node, conventions) for node in nodes)
    return _ensemble(spec, np.asarray(x, np.float64).tobytes(), x.shape, tuple(labels.tolist()), many, *start)


@lru_cache(maxsize=64)
def _ensemble(spec: Spec, x: bytes, shape: tuple[int, ...], labels: tuple[int, ...], networks: int, units: bool, joint: bool) -> Rates:
    inputs, y, nodes = np.frombuffer(x).reshape(shape), np.array(labels), graph(spec).of(Recurrent)
    seen = []
    for seed in range(FIRST_SEED, FIRST_SEED + networks):
        weights, random = draw_weights(spec, seed), np.random.default_rng([seed, 1])
        for node, direction in ((each, direction) for each in nodes for direction in each.directions):
            name = f"{node.name}.{direction}"
            if units:
                weights[f"{name}weight"] = weights[f"{name}weight"] * (node.fan_in / node.units) ** 0.5
            if joint:
                stacked = random.standard_normal((CELLS[node.cell].gates * node.units, node.units))
                weights[f"{name}recurrent_weight"] = node.radius * np.linalg.qr(stacked)[0]
        done = Reference(spec, weights).run(inputs, y)
        seen.append(logs(done.pre_activation_gradients["steps"], done.pre_activations[nodes[-1].name]))
    (gradient, signal), (gradient_spread, signal_spread) = np.mean(seen, axis=0).tolist(), np.std(seen, axis=0, ddof=1).tolist()
    return Rates((gradient, gradient_spread), (signal, signal_spread), networks)


def logs(d: Sequence, h: Sequence) -> tuple[float, float]:
    """Natural logs of a pass: of the first step's gradient over the last one's, and of the norm of outputs."""
    norms = np.linalg.norm(np.asarray(d, np.float64), axis=(0, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log(norms[0] / norms[-1])), float(np.log(np.linalg.norm(np.asarray(h, np.float64))))


def lines(spec: Spec, x: Batch, labels: Labels, conventions: str = "") -> list[str]:
    """What theory says of a recurrent network on a batch that begins as by a framework's conventions, for people."""
    found, chi = ensemble(spec, fed(spec, x), labels, conventions), mean_field(spec, x, conventions)
    mean, spread = (each / math.log(10) for each in found.gradient)
    drawn = f"{mean:+.2f} ± {spread:.2f} decades" if math.isfinite(mean) else f"no number, because {OUT_OF_RANGE}"
    drawn = "0, for nothing arrives there" if mean == -math.inf else drawn
    told = [f"gradient of the first step over the last one's: {drawn} ({found.networks} drawn networks)"]
    if chi is None:
        return [*told, f"mean field: nothing is said, because {why_not(spec) or OUT_OF_RANGE}"]
    growth = sum(math.log(each) if each > 0 else -math.inf for each in chi)
    rate = math.exp(growth / len(chi))
    verdict = "vanishes" if rate < 1 else "explodes" if rate > 1 else "is kept"
    told.append(f"mean field: {growth / 2 / math.log(10):+.2f} decades at infinite width")
    told.append(
        f"mean field: a step back multiplies the norm by {math.sqrt(rate):.3f}, so it {verdict}, by e in {time_scale(rate):.3g} steps"
    )
    return [*told, f"remedy: {remedy(spec, x, conventions, growth / 2)}"]
