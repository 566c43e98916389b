"""Mean-field theory through time: what happens to one unit of an infinitely wide recurrent layer, averaged over many such units.

At infinite width a unit's pre-activation of gate k in step t is a_t = W x_t + b + η_t. Here η = R_k h is Gaussian with mean zero and

    E[η_t η_s] = ρ² E[h_{t−1} h_{s−1}],        ρ² = units · Var R,

independent between gates and units. On the way back R_kᵀδ_k is Gaussian, too, with covariance ρ² E[δ_t δ_s], and independent of the way
there. Averages are over units, which closes the recursion: E[h_t²] and E[c_t²] are the state's second moments, and E‖Wᵀδ_t‖² of one step
over that of the next one is χ_t. A cell's own equations stand in `models.parts.cells`. Gates multiply what they let pass for many steps, so
that averages are no closed integrals: units are drawn, from fixed seeds, each with input weights and biases of its own.

Chen, Pennington & Schoenholz 2018 (arXiv:1806.05394, simple cells) and Gilboa et al. 2019 (arXiv:1901.08987, LSTM and GRU) take weights for
drawn anew in every step, which leaves the diagonal of these covariances: `anew`. Then χ_t of a simple cell is ρ² Eφ′²(√q_t z) where
q_t = ρ² Eφ²(√q_{t−1} z) + v, and inputs and biases bring v. Networks keep their weights: a gate stays open where it is open, which makes
slow modes (Can et al. 2020, arXiv:2002.00025). Without them theory of gates is off by up to a decade in ten steps (README.md).
Assumed beside infinite width: samples of a batch share their covariance.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial

import numpy as np

from models.architectures import graph
from models.arrays import Array, Batch, Gates, PerStep
from models.nodes import Recurrent, Steps
from models.parts.cells import CELLS
from models.parts.initializers import INITIALIZERS
from models.reference.draws import fed, recurrent_bias
from models.spec import Spec

UNITS, FEW, DRAWS = 2048, 512, 5
"""Units of a draw, and of a quick one or of sequences longer than `LONG`; and draws, whose median is taken.

A mean over few units that hold their gates open for long has a heavy tail, so that one draw in a hundred is half a decade beside others.
"""
LONG = 128
"""Time steps beyond which few units are drawn, since time grows with the square of the steps."""
SEED = 4_000_003
"""The first seed of what is drawn, so that the same network has the same rates; apart from seeds of networks."""
NOTHING = 1e-10
"""What is new of a step, as a share of it, under which it is rounding."""


class Process:
    """Gaussian numbers for one product with a random matrix, correlated in time as what is multiplied.

    A random matrix makes independent Gaussian numbers of orthogonal vectors. So each operand is taken apart into those before it and what
    is new (Gram–Schmidt), at unit length, because gradients of far steps have no squares in float64.
    """

    def __init__(self, random: np.random.Generator, steps: int, anew: bool) -> None:
        """For so many operands; with `anew` no one knows of another."""
        self._random, self._steps, self._anew = random, steps, anew
        self._known, self._basis, self._made = 0, np.zeros((0, 0)), np.zeros((0, 0, 0))

    def next(self, operand: Array, columns: int) -> Array:
        """What the matrix makes of an operand (units × gates) at the next time step (units × columns), where Var R = 1 / units."""
        noise = self._random.standard_normal((len(operand), columns))
        size = root_mean_square(operand)
        if size == 0 or self._anew:
            return size * noise
        if not self._known:
            self._basis, self._made = np.zeros((self._steps, operand.size)), np.zeros((self._steps, *noise.shape))
        known, made = self._basis[: self._known], self._made[: self._known]
        rest = operand.ravel() / (size * len(operand) ** 0.5)
        along = np.zeros(self._known)
        for _ in range(2):  # once more, for what rounding left
            more = known @ rest
            rest, along = rest - more @ known, along + more
        new = float(np.linalg.norm(rest))
        result = np.tensordot(along, made, 1)
        if new > NOTHING:
            self._basis[self._known], self._made[self._known] = rest / new, noise
            self._known += 1
            result = result + new * noise
        return np.asarray(size * result)


def root_mean_square(vectors: Array) -> float:
    """√E‖v‖² over the first axis, of numbers whose squares may be none in float64."""
    largest = float(np.abs(vectors).max())
    return largest * float(np.sum((vectors / largest) ** 2) / len(vectors)) ** 0.5 if largest else 0.0


class RandomProducts:
    """Arithmetic of a cell (`models.parts.cells.Maths`) in which a product with recurrent weights is a Gaussian process."""

    def __init__(self, radius: float, random: np.random.Generator, steps: int, anew: bool) -> None:
        """Of weights with variance radius² / units."""
        self._radius, self._begin = radius, partial(Process, random, steps, anew)
        self._processes: dict[tuple[int, ...], Process] = {}

    def product(self, a: Array, b: Array) -> Array:
        """Of units × gates with recurrent weights of one unit, whose numbers do not matter; the weights' own gradients are left out."""
        if a.shape[0] <= b.shape[0]:
            return np.zeros((a.shape[0], b.shape[1]))
        if b.shape not in self._processes:
            self._processes[b.shape] = self._begin()
        return self._radius * self._processes[b.shape].next(a, b.shape[1])

    def function(self, f: Callable[[Array], Array], x: Array) -> Array:
        """f(x)."""
        return f(x)

    output = function


@dataclass(frozen=True)
class Course:
    """What theory says of a layer, for every time step.

    `gradient` is log ‖∂L/∂x_t‖, natural, over that of the last step, where the last output alone is read. `states` are second moments of
    the state after each step (steps × numbers of a state): that of h, and for an LSTM that of c. Gradients are no numbers where signals
    leave float64's range.
    """

    gradient: PerStep
    states: Array


@dataclass(frozen=True)
class Start:
    """How a layer begins where it is not as a network's fields say.

    Recurrent weights have variance radius² / units, and input weights are `gain` times the initializer's. `forget` is another bias of the
    forget gates. With `anew` all weights are drawn anew in every step.
    """

    radius: float
    gain: float = 1.0
    forget: float | None = None
    anew: bool = False


def course(spec: Spec, x: Batch, start: Start, quick: bool = False) -> Course:
    """The first layer of `spec` on x (batch × features); a quick one is known less well."""
    x = np.asarray(fed(spec, x), np.float64)
    units = FEW if quick or graph(spec).of(Steps)[0].length > LONG else UNITS
    with np.errstate(all="ignore"):  # numbers may leave their range, as in networks of that start
        seen = [_draw(spec, x.tobytes(), x.shape, start, units, SEED + draw) for draw in range(1 if quick else DRAWS)]
    return Course(np.median([each.gradient for each in seen], axis=0), np.median([each.states for each in seen], axis=0))


@lru_cache(maxsize=512)
def _draw(spec: Spec, x: bytes, shape: tuple[int, ...], start: Start, count: int, seed: int) -> Course:
    node, (steps,) = graph(spec).of(Recurrent)[0], graph(spec).of(Steps)
    row, random = CELLS[node.cell], np.random.default_rng(seed)
    sequence = np.zeros((shape[0], node.length, steps.width))
    sequence[:, : steps.filled] = np.frombuffer(x).reshape(shape[0], steps.filled, steps.width)
    sample = np.arange(count) % shape[0]
    weight, bias, second = _begin(spec, node, start, count, random)
    there, back = (RandomProducts(start.radius, random, node.length, start.anew) for _ in range(2))
    dummy, kept, states, within = np.zeros((row.gates, 1)), [], [], True
    state = tuple(np.zeros((count, 1)) for _ in range(row.states))
    for time in range(node.length):
        if start.anew and time:
            weight, bias, second = _begin(spec, node, start, count, random)
        brought = np.einsum("ugf,uf->ug", weight, sequence[sample, time]) + bias
        state, saved, z = row.forward(there, brought, state, dummy, second)
        within = within and bool(np.all(np.isfinite(z)))
        kept.append((weight, saved))
        states.append([float(np.mean(each**2)) for each in state])
    norms, dstate = [], tuple(np.zeros((count, 1)) for _ in range(row.states))
    dstate = (random.standard_normal((count, 1)), *dstate[1:])
    for weight, saved in reversed(kept):
        d, dstate, _, _ = row.backward(back, saved, dstate, dummy)
        arrived = np.einsum("ugf,ug->uf", weight, d)
        norms.append(np.log(root_mean_square(arrived)))
    return Course(np.array(norms[::-1]) - (norms[0] if within else np.nan), np.array(states))


def _begin(spec: Spec, node: Recurrent, start: Start, count: int, random: np.random.Generator) -> tuple[Array, Gates, Gates]:
    """Weights of inputs (units × gates × inputs) and both biases (units × gates), as the initializer draws them."""
    row, initializer, layers = CELLS[node.cell], INITIALIZERS[spec.init], []
    for _ in range(-(-count // node.units)):
        weight = start.gain * initializer.draw(random, node.fan_in, row.gates * node.units).reshape(row.gates, node.units, -1)
        biases = [recurrent_bias(random, spec, node).reshape(row.gates, node.units).T for _ in range(row.biases)]
        if start.forget is not None and row.forget is not None:
            biases[0][:, row.forget] = start.forget
        layers.append((weight.transpose(1, 0, 2), biases[0], biases[1] if row.biases == 2 else np.zeros_like(biases[0])))
    weight, first, second = (np.concatenate(each)[:count] for each in zip(*layers, strict=True))
    return weight, first, second
