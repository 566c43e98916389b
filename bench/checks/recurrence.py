"""Laws of recurrent networks: how their weights begin, and how states and gradients change from time step to time step."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm, t

from bench.checks.relations import Judged
from bench.evidence.divergence import within_range
from bench.evidence.evidence import Evidence
from bench.evidence.reference import roundings
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z, ROUNDING_MULTIPLE
from bench.judging.verdict import RestNotJudged
from bench.theory.recurrent import by_units, ensemble, logs, together
from models.architectures import graph
from models.arrays import Array, PerUnit, Weight
from models.nodes import Read, Recurrent, Steps
from models.observation import WatchedPass
from models.parts.cells import CELLS, CHRONO
from models.parts.initializers import INITIALIZERS
from models.parts.parametrizations import NONE, PARAMETRIZATIONS
from models.parts.precisions import PRECISIONS
from models.parts.recurrences import RECURRENCES, spectral_radius
from models.reference.arithmetic import Arithmetic
from models.reference.network import Pass, Reference
from models.spec import Spec

LN10 = float(np.log(10))
IN_FLOAT64 = Arithmetic(np.float64, PRECISIONS["float64"])
FOURTH = {"normal": 3.0, "uniform": 1.8}
"""Fourth moment over the squared second; that of a truncated normal is smaller than a normal's, which is taken for it."""


def is_simple(spec: Spec) -> bool:
    """Whether it is a recurrent network whose cells are one activation of slopes between 0 and 1, on whole sequences in one direction."""
    nodes = graph(spec).of(Recurrent)
    whole = not any(node.both or node.truncated for node in nodes) and not any(steps.uneven for steps in graph(spec).of(Steps))
    return bool(nodes) and whole and all(CELLS[node.cell].gates == 1 for node in nodes)


def recurrent_start(evidence: Evidence) -> Iterator[Finding]:
    """The framework's own recurrent layers begin as they were asked to: radius, orthogonality, variances, forget bias.

    R Rᵀ = ρ² for every gate of an orthogonal start, in Keras for the kernel of all gates together; |λ| ≤ ρ for one of normal numbers.
    Variances are within their sampling error, biases exactly what was asked, or for `chrono` memories (Tallec & Ollivier 2018) within
    theirs. Two directions begin differently.
    """
    nodes = graph(evidence.spec).of(Recurrent)
    for node, direction in ((each, direction) for each in nodes for direction in each.directions):
        held = {kind: evidence.native.weights[f"{node.name}.{kind}"].astype(np.float64) for kind in node.of_direction(direction)}
        yield from _recurrent_weight(evidence, node, f"{direction}recurrent_weight", held[f"{direction}recurrent_weight"])
        yield from _input_weight(evidence, node, f"{direction}weight", held[f"{direction}weight"])
        yield from _biases(evidence, node, {kind: bias for kind, bias in held.items() if kind.endswith("bias")})
    for node in nodes:
        if node.both:
            one, other = (evidence.native.weights[f"{node.name}.{direction}weight"] for direction in node.directions)
            yield Finding(
                Place.of(f"{node.name}.weight", "the same as the backward direction's"), float(np.array_equal(one, other)), 0.0, 0.0
            )


def _recurrent_weight(evidence: Evidence, node: Recurrent, kind: str, stacked: Weight) -> Iterator[Finding]:
    row, name = RECURRENCES[node.start], f"{node.name}.{kind}"
    gates = np.split(stacked, CELLS[node.cell].gates)
    if not row.scaled and not row.isometric:
        yield _variance(name, stacked, 1 / (3 * node.units), "uniform")
        return
    allowed = ROUNDING_MULTIPLE * float(np.finfo(np.float32).eps) * node.units**0.5
    whole = together(node, evidence.conventions)
    for number, gate in enumerate([stacked] if whole else gates, start=1):
        scope = "all gates" if whole else f"gate {number}"
        if row.isometric:
            off = float(np.abs(gate.T @ gate / node.radius**2 - np.eye(node.units)).max())
            yield Finding(Place.of(name, "largest entry of RᵀR/ρ² − 1", scope=scope), off, 0.0, allowed)
        else:
            radius = spectral_radius(gate) / node.radius
            yield Finding(Place.of(name, "largest |λ| over the radius asked", scope=scope), radius, 1 - allowed, 1 + allowed)


def _input_weight(evidence: Evidence, node: Recurrent, kind: str, weight: Weight) -> Iterator[Finding]:
    row, name = INITIALIZERS[evidence.spec.init], f"{node.name}.{kind}"
    if row.shape == "orthogonal":
        square = weight.T @ weight if weight.shape[0] >= weight.shape[1] else weight @ weight.T
        allowed = ROUNDING_MULTIPLE * float(np.finfo(np.float32).eps) * len(square) ** 0.5
        off = float(np.abs(square / row.gain - np.eye(len(square))).max())
        yield Finding(Place.of(name, "largest entry of W Wᵀ − 1"), off, 0.0, allowed)
        return
    drawn_by_units = by_units(evidence.spec, evidence.conventions)
    variance = 1 / (3 * node.units) if drawn_by_units else row.variance(node.fan_in, len(weight))
    yield _variance(name, weight, variance, row.shape)


def _variance(name: str, weight: Array, variance: float, shape: str) -> Finding:
    reach = BAND_Z * ((FOURTH[shape] - 1) / weight.size) ** 0.5
    return Finding(Place.of(name, "variance over the one asked"), float(np.mean(weight**2)) / variance, 1 - reach, 1 + reach)


def _biases(evidence: Evidence, node: Recurrent, biases: dict[str, PerUnit]) -> Iterator[Finding]:
    if evidence.spec.bias != "zero" or INITIALIZERS[evidence.spec.init].random_bias:
        return
    row = CELLS[node.cell]
    for kind, bias in biases.items():
        by_gate, note = bias.reshape(row.gates, node.units).copy(), "all begin with 0"
        if row.forget is not None and row.fill is not None:
            note = f"the forget gate's begins with {node.forget}"
            if node.forget == CHRONO:
                yield from _memories(f"{node.name}.{kind}", node, by_gate[row.forget])
                by_gate[row.fill] += by_gate[row.forget]
                by_gate[row.forget] = 0
            else:
                by_gate[row.forget] -= float(node.forget)
        yield Finding(Place.of(f"{node.name}.{kind}", "furthest from what was asked"), float(np.abs(by_gate).max()), 0.0, 0.0, note)


def _memories(name: str, node: Recurrent, bias: PerUnit) -> Iterator[Finding]:
    """e^b of a chrono start is uniform between 1 and T − 1: within these bounds, and its mean within its sampling error."""
    memories, longest = np.exp(bias), node.length - 1
    slack = ROUNDING_MULTIPLE * float(np.finfo(np.float32).eps) * longest
    for quantity, memory in (("shortest memory in steps", memories.min()), ("longest memory in steps", memories.max())):
        yield Finding(Place.of(name, quantity), float(memory), 1 - slack, longest + slack)
    mean, reach = (1 + longest) / 2, BAND_Z * (longest - 1) / (12 * node.units) ** 0.5
    yield Finding(Place.of(name, "mean memory in steps"), float(memories.mean()), mean - reach, mean + reach)


@within_range
def time_scales(evidence: Evidence) -> Iterator[Finding]:
    """The framework's own start carries signals and gradients through time as networks drawn by its law do.

    log₁₀ of ‖∂L/∂x‖ of the first time step over the last one's, and of the norm of the last layer's outputs, against random networks of
    the same cell, start and batch, in float64 (`bench.theory.recurrent`). The bound is that of Student's t for a mean and a spread that
    are known from these, and what half precision moves on the framework's own weights. A gradient that is cut off between the two steps
    is not judged, nor one that half precision alone loses.
    """
    forced_step, node = evidence.reference.forced_steps[0], graph(evidence.spec).of(Recurrent)[-1]
    law = ensemble(evidence.spec, forced_step.x, forced_step.labels, evidence.conventions)
    seen = logs(evidence.native.pre_activation_gradients["steps"], evidence.native.pre_activations[node.name])
    factor = float(t.isf(norm.sf(BAND_Z), law.networks - 1)) * (1 + 1 / law.networks) ** 0.5
    rounding = ROUNDING_MULTIPLE * float(np.finfo(np.float32).eps) * node.length * node.width**0.5
    quantities, lost = ("first ‖∂L/∂x‖ over the last in decades", "‖h‖ in decades"), False
    for quantity, value, (mean, spread), moved in zip(quantities, seen, (law.gradient, law.signal), _moved(evidence, node), strict=True):
        if not (np.isfinite(mean) and np.isfinite(spread)):
            continue
        if not np.isfinite(moved):
            lost = True
            continue
        reach = factor * spread + max(rounding, moved)
        ends = (mean - reach) / LN10, (mean + reach) / LN10
        yield Finding(Place(quantity), value / LN10, *ends, f"{mean / LN10:.3f} ± {spread / LN10:.3f} of {law.networks} networks")
    if lost:
        raise RestNotJudged("half precision alone loses what this start carries through time: judge it with precision=float32")


def _moved(evidence: Evidence, node: Recurrent) -> tuple[float, float]:
    """How far half precision may move both logs of the framework's own start; no number where it loses a whole time step's gradient.

    A gate that has rounded to 1 has a slope of 0, which float64's is not.
    """
    if evidence.spec.format.plain:
        return 0.0, 0.0
    step, weights = evidence.reference.forced_steps[0], evidence.native.weights
    with np.errstate(all="ignore"):
        passes = [
            each.run(step.x, step.labels)
            for each in (Reference(evidence.spec, weights), *roundings(evidence.spec, weights, evidence.excess))
        ]
        exact, *rounded = (logs(done.pre_activation_gradients["steps"], done.pre_activations[node.name]) for done in passes)
        gradient, signal = ROUNDING_MULTIPLE * np.sqrt(np.mean(np.square(np.asarray(rounded) - exact), axis=0))
    return float(gradient), float(signal)


@within_range
def time_gain(evidence: Evidence) -> Iterator[Finding]:
    """From time step to time step, gradients and states change at the rate that the recurrent weights set.

    δ_t = φ′ ⊙ (∂L/∂h_t + Rᵀδ_{t+1}), with 0 ≤ φ′ ≤ 1. So ‖δ_t‖ ≤ ‖∂L/∂h_t‖ + σ_max(R)‖δ_{t+1}‖, whatever the weights, and inputs
    see W ᵀδ_t. Where inputs see all of δ (WWᵀ = 1) and nothing arrives at a step, ‖δ_t‖ lies between min φ′·σ_min(R) and σ_max(R) times
    ‖δ_{t+1}‖: at tanh's origin exactly at the radius of an orthogonal R, so that 0.5 vanishes, 1 keeps and 1.5 explodes at its rate. Where
    a step brings zeros and biases are zero, the state changes within the same bounds. Allowed on top is what rounding moves the norms.
    A step is not judged where rounding is as large as its norm: over many steps, or of numbers that processors may take for zero.
    """
    lost = 0
    for title, seen in (("own weights", evidence.native), ("drawn weights", evidence.shared)):
        for node in graph(evidence.spec).of(Recurrent):
            for law in (_bounds, _rates, _waiting):
                lost += yield from law(evidence, node, seen, title)
    if lost:
        raise RestNotJudged("at some time steps rounding is as large as what is judged: take fewer steps, or precision=float64")


def _norms(sequence: Array) -> Array:
    """Length of what a sequence holds at each time step, over samples and units; squares of what has vanished are no numbers."""
    held = np.asarray(sequence, np.float64)
    largest = np.abs(held).max(axis=(0, 2))
    return largest * np.linalg.norm(held / np.where(largest > 0, largest, 1.0)[:, None], axis=(0, 2))  # type: ignore[no-any-return]


def _slack(evidence: Evidence, node: Recurrent, name: str, of: str) -> Array:
    """By time step, the relative error that rounding leaves in the norm of a sequence of `name`; `of` says which of a pass's signals.

    Each number may be off by the smallest normal one besides, under which processors may take it for zero. Infinite where all are zero.
    """

    def norms(done: Pass) -> Array:
        return _norms(getattr(done, of)[name])

    sequence = getattr(evidence.reference.exact[0], of)[name]
    exact = _norms(sequence)
    with np.errstate(divide="ignore"):
        floored = evidence.floor * sequence[:, 0].size ** 0.5 / exact

    def measure() -> Array:
        errors = [np.square(norms(each) / np.where(exact > 0, exact, 1.0) - (exact > 0)) for each in evidence.reference.rounded[0]]
        rms = np.sqrt(np.mean(errors, axis=0))
        return np.maximum(rms, np.median(rms[floored < 1]) if np.any(floored < 1) else 0.0)

    error = evidence.reference.once(("time_gain", name, of), measure) * evidence.resolution
    return ROUNDING_MULTIPLE * (error + evidence.unit * node.width**0.5 + floored)  # type: ignore[no-any-return]


def _of_states(node: Recurrent, seen: WatchedPass) -> Weight:
    """R in float64: the recurrent weight, or what is made of it."""
    learned = np.asarray(seen.weights[f"{node.name}.recurrent_weight"], np.float64)
    return learned if node.parametrization == NONE else PARAMETRIZATIONS[node.parametrization].make(IN_FLOAT64, learned)[0]


def _singular(weight: Array) -> tuple[float, float]:
    """The smallest and the largest singular value."""
    values = np.linalg.svd(np.asarray(weight, np.float64), compute_uv=False)
    return float(values[-1]), float(values[0])


def _bounds(evidence: Evidence, node: Recurrent, seen: WatchedPass, title: str) -> Judged:
    """‖Wᵀδ_t‖ against σ_max(W)(‖∂L/∂h_t‖ + σ_max(R)‖δ_{t+1}‖) all the way back."""
    below = node.inputs[0]
    arrived, passed = (_norms(seen.pre_activation_gradients[name]) for name in (node.name, below))
    (_, largest), (_, input_largest) = _singular(_of_states(node, seen)), _singular(seen.weights[f"{node.name}.weight"])
    slack, bound = _slack(evidence, node, below, "pre_activation_gradients"), 0.0
    for time in reversed(range(node.length)):
        bound = float(arrived[time]) + largest * bound
        most = input_largest * bound
        over = max(float(passed[time]) / most - 1, 0.0) if most > 0 else float(passed[time])
        note = f"{passed[time]:.4g} where {most:.4g} is the most"
        if slack[time] < 1:
            yield Finding(Place("‖∂L/∂x‖ over its bound", node.name, scope=title, time=time + 1), over, 0.0, float(slack[time]), note)
    return int(np.sum(slack >= 1))


def _rates(evidence: Evidence, node: Recurrent, seen: WatchedPass, title: str) -> Judged:
    """‖δ_t‖/‖δ_{t+1}‖ where inputs show it, and of the first step over the last."""
    last = [read for read in graph(evidence.spec).readers[node.name] if isinstance(read, Read) and read.outputs == "last"]
    if node.width > node.fan_in or not last:
        return 0
    smallest, largest = _singular(_of_states(node, seen))
    low_w, high_w = _singular(seen.weights[f"{node.name}.weight"])
    distortion = high_w / low_w if low_w > 0 else np.inf
    slopes = _least_slopes(node, seen)
    norms, slack = _norms(seen.pre_activation_gradients[node.inputs[0]]), _slack(evidence, node, node.inputs[0], "pre_activation_gradients")
    least, most, lost = 1.0, 1.0, 0
    for time in reversed(range(node.length - 1)):
        low, high = smallest * slopes[time], largest
        least, most = least * low, most * high
        place = Place("‖δ‖ over the next step's", node.name, scope=title, time=time + 1)
        rounding = slack[time] + slack[time + 1]
        lost += yield from _between(place, norms[time], norms[time + 1], (low / distortion, high * distortion), rounding)
    if node.length > 1:
        place = Place("‖δ‖ of the first step over the last one's", node.name, scope=title)
        rounding = node.length * float(slack.max())
        lost += yield from _between(place, norms[0], norms[-1], (least / distortion, most * distortion), rounding)
    return lost


def _waiting(evidence: Evidence, node: Recurrent, seen: WatchedPass, title: str) -> Judged:
    """‖h_t‖/‖h_{t−1}‖ at steps that bring zeros, without biases."""
    below = [steps for steps in graph(evidence.spec).of(Steps) if node.inputs == (steps.name,)]
    if not below or np.any(seen.weights[f"{node.name}.bias"]):
        return 0
    smallest, largest = _singular(_of_states(node, seen))
    norms, slopes = _norms(seen.pre_activations[node.name]), _least_slopes(node, seen)
    slack, lost = _slack(evidence, node, node.name, "pre_activations"), 0
    for time in range(below[0].filled, node.length):
        if norms[time - 1] > 0:
            place = Place("‖h‖ over the step's before", node.name, scope=title, time=time + 1)
            # |φ(z)| ≥ |z|·min φ′, because the slope falls from the origin outwards.
            bounds = smallest * slopes[time], largest
            lost += yield from _between(place, norms[time], norms[time - 1], bounds, slack[time] + slack[time - 1])
    return lost


def _least_slopes(node: Recurrent, seen: WatchedPass) -> Array:
    """The smallest φ′ of each time step: 1 − h² for tanh, 0 where a ReLU may be off."""
    h = np.asarray(seen.pre_activations[node.name], np.float64)
    return np.zeros(node.length) if CELLS[node.cell].kink else np.min(1 - np.square(h), axis=(0, 2))


def _between(place: Place, one: float, other: float, bounds: tuple[float, float], rounding: float) -> Judged:
    """One norm over another, where rounding is less than either."""
    if rounding >= 1:
        return 1
    low, high = bounds
    note = f"between {low:.6g} and {high:.6g} by the weights"
    yield Finding(place, float(one / other), low * (1 - rounding), high * (1 + rounding), note)
    return 0
