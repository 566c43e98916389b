"""Signal propagation through time at initialization: mean-field rates of simple and gated cells, and the law at a network's own width.

A simple cell at infinite width (Chen, Pennington & Schoenholz 2018, arXiv:1806.05394), with ρ² = units · Var R:

    q_t = ρ² Eφ²(√q_{t−1} z) + v,        χ_t = ρ² Eφ′²(√q_t z),

where v is what inputs and biases bring. ‖∂L/∂z_{t−1}‖² is χ_{t−1} times ‖∂L/∂z_t‖²: it vanishes for χ < 1, explodes for χ > 1, and at
χ = 1 the recurrence is critical. An LSTM's cell hands back f a step and a GRU's state z a step besides what goes through its weights
(Gilboa et al. 2019, arXiv:1901.08987): with E[f²] = Eσ²(b + √v z) the rate of the carousel alone, and time scale −1/log √E[f²].
At a network's own width rates spread: `ensemble` draws networks as the reference does, and runs them on the very batch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from bench.theory.moments import moments
from models.architectures import graph
from models.arrays import Batch, Labels, Sequence
from models.nodes import Recurrent, Steps
from models.parts.cells import CELLS, CHRONO
from models.parts.initializers import INITIALIZERS
from models.parts.recurrences import RECURRENCES
from models.reference.draws import BIAS_SD, draw_weights, fed
from models.reference.network import Reference
from models.spec import Spec

NETWORKS = 24
"""Networks of an ensemble: their mean and spread are known to 1/√24 and 1/√46 of the spread."""
LONG, FEW = 100, 8
"""Time steps beyond which an ensemble has few networks, since each takes its time."""
FIRST_SEED = 1_000_003
"""The first seed of an ensemble, apart from those of judged networks."""
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(101)
"""For means over a standard normal number; exact for polynomials of degree 201."""


def mean_square_of_gate(bias: float, variance: float) -> float:
    """Eσ²(b + √v z): by how much a gate multiplies squared norms."""
    gate = 1 / (1 + np.exp(-(bias + math.sqrt(variance) * NODES)))
    return float(np.sum(WEIGHTS * gate**2) / math.sqrt(2 * math.pi))


def time_scale(chi: float) -> float:
    """Steps in which a norm changes by e, where its square changes by χ a step; infinite at criticality."""
    return math.inf if chi == 1 else 2 / abs(math.log(chi)) if chi > 0 else 0.0


def rates(act: str, radius: float, brought: list[float]) -> list[float]:
    """χ_t of a simple cell for each step, where inputs and biases bring a mean square of `brought` in each."""
    found, q = [], 0.0
    for v in brought:
        q = v + (radius**2 * moments(act, q).square if q else 0.0)
        found.append(radius**2 * moments(act, q).slope if q else radius**2)
    return found


def critical_radius(act: str, variance: float) -> float:
    """The radius at which χ = 1 in the long run, where each step brings a mean square of `variance`; by bisection in [0, 4]."""
    low, high = 0.0, 4.0
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if rates(act, middle, [variance] * 400)[-1] < 1 else (low, middle)
    return (low + high) / 2


def brought(spec: Spec, node: Recurrent, steps: Steps, x: Batch) -> list[float]:
    """Mean square that inputs and biases bring to a first layer's units in each time step of x (batch × features)."""
    row = INITIALIZERS[spec.init]
    bias = BIAS_SD**2 if spec.bias == "normal" else row.random_bias / (3 * node.units)
    sequence = np.zeros((len(x), node.length, steps.width))
    sequence[:, : steps.filled] = fed(spec, x).reshape(len(x), steps.filled, steps.width)
    variance = row.variance(node.fan_in, CELLS[node.cell].gates * node.units)
    return [variance * float(np.mean(np.sum(sequence[:, t] ** 2, axis=1))) + bias for t in range(node.length)]


def mean_field(spec: Spec, x: Batch) -> list[float] | None:
    """χ_t of a network's first layer on x; None where the layer has gates, whose rates are no product of two."""
    node, (steps,) = graph(spec).of(Recurrent)[0], graph(spec).of(Steps)
    row = RECURRENCES[node.start]
    if CELLS[node.cell].gates > 1 or node.both or steps.uneven:
        return None
    radius = node.radius if row.scaled or row.isometric else 3**-0.5  # uniform within ±1/√units
    return rates(CELLS[node.cell].act, radius, brought(spec, node, steps, x))


@dataclass(frozen=True)
class Rates:
    """Mean and standard deviation, over `networks` of an ensemble, of natural logs.

    `gradient` is that of ‖∂L/∂x_1‖/‖∂L/∂x_T‖ over all time steps, `signal` of the norm of the last layer's outputs.
    """

    gradient: tuple[float, float]
    signal: tuple[float, float]
    networks: int


def by_units(spec: Spec, conventions: str) -> bool:
    """Whether a framework draws input weights by a layer's units, as PyTorch's recurrent layers do where its linear ones go by inputs."""
    return conventions == "torch" and INITIALIZERS[spec.init].torch is None


def ensemble(spec: Spec, x: Batch, labels: Labels, conventions: str = "") -> Rates:
    """What networks of `spec` with weights drawn as by a framework's conventions do on one batch.

    Not finite where a norm is zero, as it is before a truncation.
    """
    many = NETWORKS if graph(spec).of(Steps)[0].length <= LONG else FEW
    return _ensemble(spec, np.asarray(x, np.float64).tobytes(), x.shape, tuple(labels.tolist()), many, by_units(spec, conventions))


@lru_cache(maxsize=64)
def _ensemble(spec: Spec, x: bytes, shape: tuple[int, ...], labels: tuple[int, ...], networks: int, units: bool) -> Rates:
    inputs, y, last = np.frombuffer(x).reshape(shape), np.array(labels), graph(spec).of(Recurrent)[-1].name
    seen = []
    for seed in range(networks):
        weights = draw_weights(spec, FIRST_SEED + seed)
        for node in graph(spec).of(Recurrent) if units else ():
            weights |= {
                key: weights[key] * (node.fan_in / node.units) ** 0.5 for key in (f"{node.name}.{d}weight" for d in node.directions)
            }
        done = Reference(spec, weights).run(inputs, y)
        seen.append(logs(done.pre_activation_gradients["steps"], done.pre_activations[last]))
    (gradient, signal), (gradient_spread, signal_spread) = np.mean(seen, axis=0).tolist(), np.std(seen, axis=0, ddof=1).tolist()
    return Rates((gradient, gradient_spread), (signal, signal_spread), networks)


def logs(d: Sequence, h: Sequence) -> tuple[float, float]:
    """Natural logs of a pass: of the first step's gradient over the last one's, and of the norm of outputs."""
    norms = np.linalg.norm(np.asarray(d, np.float64), axis=(0, 2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(np.log(norms[0] / norms[-1])), float(np.log(np.linalg.norm(np.asarray(h, np.float64))))


def lines(spec: Spec, x: Batch, labels: Labels) -> list[str]:
    """What theory says of a recurrent network on a batch, for people."""
    node, (steps,) = graph(spec).of(Recurrent)[0], graph(spec).of(Steps)
    found, chi = ensemble(spec, fed(spec, x), labels), mean_field(spec, x)
    mean, spread = (each / math.log(10) for each in found.gradient)
    told = [f"gradient of the first step over the last one's: {mean:+.2f} ± {spread:.2f} decades ({found.networks} drawn networks)"]
    if chi is not None:
        rate = chi[-1]
        verdict = "vanishes" if rate < 1 else "explodes" if rate > 1 else "is kept"
        told.append(
            f"mean field: a step back multiplies the norm by {math.sqrt(rate):.3f}, so it {verdict}, by e in {time_scale(rate):.3g} steps"
        )
        radius = critical_radius(CELLS[node.cell].act, float(np.mean(brought(spec, node, steps, x))))
        told.append(f"remedy: recurrent weights of radius {radius:.3f} are critical for these inputs")
    elif CELLS[node.cell].forget is not None and node.forget != CHRONO:
        variance = float(np.mean(brought(spec, node, steps, x)))
        kept = mean_square_of_gate(float(node.forget), variance)
        told.append(
            f"carousel: forget gates hand back {math.sqrt(kept):.3f} of a cell's gradient a step, e in {time_scale(kept):.3g} steps"
        )
        told.append(
            f"remedy: a forget bias of {math.log(max(2, node.length - 1)):.2f} holds {node.length} steps (forget=chrono draws such)"
        )
    return told
