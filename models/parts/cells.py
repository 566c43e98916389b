"""Recurrent cells: one time step and its way back written out in NumPy, beside each framework's own layer.

Gates are stacked along the first axis of weights, in PyTorch's order: `weight` is (gates · units, inputs), `recurrent` (gates · units,
units). The first number of a state is h, the layer's output; an LSTM's second one is c. Sources: Elman 1990; Hochreiter & Schmidhuber
1997 with the forget gate of Gers et al. 2000; Cho et al. 2014.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from models.arrays import Array
from models.parts import Namespace, Native

CHRONO = "chrono"
"""A start of forget gates for memories of 1 to T − 1 steps: bias log u with u uniform in there, and its negative in the input gate."""
State = tuple[Array, ...]
"""What a cell hands from step to step, each (batch × units)."""
Saved = tuple[Array, ...]
"""What a step's way back needs of its way there."""
Back = tuple[Array, State, Array, Array]
"""Gradients of what inputs bring to the gates (batch × gates · units), of the state before, of `recurrent` and of the second bias."""


@runtime_checkable
class Maths(Protocol):
    """How a step multiplies matrices and computes functions: `models.reference.arithmetic.Arithmetic`."""

    def product(self, a: Array, b: Array) -> Array:
        """a @ b."""

    def function(self, f: Callable[[Array], Array], x: Array) -> Array:
        """f(x)."""

    def output(self, f: Callable[[Array], Array], x: Array) -> Array:
        """f(x), of which the slope is made on the way back."""


@dataclass(frozen=True)
class Cell:
    """One kind of cell.

    `forward(maths, x, state, recurrent, bias)` gives the next state, what the way back needs and the pre-activations of all gates; x
    (batch × gates · units) is what inputs and the first bias bring. `backward(maths, saved, dstate, recurrent)` gives a `Back`.
    `biases` counts biases that do not simply add up: 2 where the second one is added inside of a product. `act` is the activation of
    the output, which `kink` says is bent at zero. `forget` is the place of the forget gate and `fill` that of the input gate, None where
    there is none.
    `torch(nn, inputs, units, **options)` and `keras(layers, units, options)` make the framework's own layer, None where it has none.
    `keras_gates` are the places of our gates in Keras's order. `mixed_on_cpu` says that PyTorch's autocast on a CPU, which casts operands
    of products alone, leaves the state in float32, because it mixes gates in half precision with a first state in float32.
    """

    gates: int
    forward: Callable[[Maths, Array, State, Array, Array], tuple[State, Saved, Array]]
    backward: Callable[[Maths, Saved, State, Array], Back]
    act: str
    torch: Callable[..., Native] | None
    keras: Callable[[Namespace, int, dict[str, Any]], Native]
    states: int = 1
    biases: int = 1
    kink: bool = False
    forget: int | None = None
    fill: int | None = None
    keras_gates: tuple[int, ...] = (0,)
    mixed_on_cpu: bool = False


def _logistic(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))  # type: ignore[no-any-return]


def _relu(x: Array) -> Array:
    return np.where(x.real > 0, x, x.dtype.type(0))


def _simple(
    f: Callable[[Array], Array],
) -> Callable[[Maths, Array, State, Array, Array], tuple[State, Saved, Array]]:
    """h′ = f(x + R h)."""

    def forward(maths: Maths, x: Array, state: State, recurrent: Array, bias: Array) -> tuple[State, Saved, Array]:
        z = x + maths.product(state[0], recurrent.T)
        h = maths.function(f, z) if f is _relu else maths.output(f, z)  # a ReLU rounds nothing
        return (h,), (state[0], z, h), z

    return forward


def _simple_back(slope: Callable[[Array, Array], Array]) -> Callable[[Maths, Saved, State, Array], Back]:
    """δ = ∂h′ ⊙ f′; ∂h = Rᵀδ."""

    def backward(maths: Maths, saved: Saved, dstate: State, recurrent: Array) -> Back:
        before, z, h = saved
        d = dstate[0] * slope(z, h)
        return d, (maths.product(d, recurrent),), maths.product(d.T, before), d

    return backward


def _lstm(maths: Maths, x: Array, state: State, recurrent: Array, bias: Array) -> tuple[State, Saved, Array]:
    """c′ = f ⊙ c + i ⊙ g, h′ = o ⊙ tanh c′, with gates i, f, g, o."""
    before, c = state
    z = x + maths.product(before, recurrent.T)
    zi, zf, zg, zo = np.split(z, 4, axis=1)
    i, f, o = (maths.output(_logistic, each) for each in (zi, zf, zo))
    g = maths.output(np.tanh, zg)
    after = f * c + i * g
    bent = maths.output(np.tanh, after)
    return (o * bent, after), (before, c, i, f, g, o, bent), z


def _lstm_back(maths: Maths, saved: Saved, dstate: State, recurrent: Array) -> Back:
    """The carousel ∂c = f ⊙ ∂c′, beside the way through R."""
    before, c, i, f, g, o, bent = saved
    dh, dc = dstate
    dc = dc + dh * o * (1 - bent * bent)
    d = np.concatenate([dc * g * i * (1 - i), dc * c * f * (1 - f), dc * i * (1 - g * g), dh * bent * o * (1 - o)], axis=1)
    return d, (maths.product(d, recurrent), dc * f), maths.product(d.T, before), d


def _gru(maths: Maths, x: Array, state: State, recurrent: Array, bias: Array) -> tuple[State, Saved, Array]:
    """n = tanh(x_n + r ⊙ (R_n h + b_n)), h′ = (1 − z) ⊙ n + z ⊙ h, with gates r, z, n: the reset comes after the product."""
    (before,) = state
    xr, xz, xn = np.split(x, 3, axis=1)
    hr, hz, hn = np.split(maths.product(before, recurrent.T) + bias, 3, axis=1)
    r, z = maths.output(_logistic, xr + hr), maths.output(_logistic, xz + hz)
    n = maths.output(np.tanh, xn + r * hn)
    return ((1 - z) * n + z * before,), (before, r, z, n, hn), np.concatenate([xr + hr, xz + hz, xn + r * hn], axis=1)


def _gru_back(maths: Maths, saved: Saved, dstate: State, recurrent: Array) -> Back:
    """The second bias and R_n see ∂n through r."""
    before, r, z, n, hn = saved
    (dh,) = dstate
    dn, dz = dh * (1 - z) * (1 - n * n), dh * (before - n) * z * (1 - z)
    dr = dn * hn * r * (1 - r)
    d, inside = np.concatenate([dr, dz, dn], axis=1), np.concatenate([dr, dz, dn * r], axis=1)
    return d, (dh * z + maths.product(inside, recurrent),), maths.product(inside.T, before), inside


def _gru_before(maths: Maths, x: Array, state: State, recurrent: Array, bias: Array) -> tuple[State, Saved, Array]:
    """n = tanh(x_n + R_n (r ⊙ h)): the reset comes before the product, as in Cho et al. 2014."""
    (before,) = state
    units = before.shape[1]
    gates, candidate = recurrent[: 2 * units], recurrent[2 * units :]
    xr, xz, xn = np.split(x, 3, axis=1)
    hr, hz = np.split(maths.product(before, gates.T), 2, axis=1)
    r, z = maths.output(_logistic, xr + hr), maths.output(_logistic, xz + hz)
    kept = r * before
    inside = xn + maths.product(kept, candidate.T)
    n = maths.output(np.tanh, inside)
    return ((1 - z) * n + z * before,), (before, r, z, n, kept), np.concatenate([xr + hr, xz + hz, inside], axis=1)


def _gru_before_back(maths: Maths, saved: Saved, dstate: State, recurrent: Array) -> Back:
    """∂(r ⊙ h) = R_nᵀ∂n goes on to r and to h."""
    before, r, z, n, kept = saved
    (dh,) = dstate
    units = before.shape[1]
    gates, candidate = recurrent[: 2 * units], recurrent[2 * units :]
    dn, dz = dh * (1 - z) * (1 - n * n), dh * (before - n) * z * (1 - z)
    dkept = maths.product(dn, candidate)
    dr = dkept * before * r * (1 - r)
    outer = np.concatenate([dr, dz], axis=1)
    drecurrent = np.concatenate([maths.product(outer.T, before), maths.product(dn.T, kept)])
    d = np.concatenate([outer, dn], axis=1)
    return d, (dh * z + dkept * r + maths.product(outer, gates),), drecurrent, d


CELLS: dict[str, Cell] = {
    "tanh": Cell(
        1, _simple(np.tanh), _simple_back(lambda z, h: 1 - h * h), "tanh",
        torch=lambda nn, inputs, units, **options: nn.RNN(inputs, units, **options),
        keras=lambda layers, units, options: layers.SimpleRNN(units, **options),
    ),
    "relu": Cell(
        1, _simple(_relu), _simple_back(lambda z, h: (z.real > 0).astype(z.dtype)), "relu",
        torch=lambda nn, inputs, units, **options: nn.RNN(inputs, units, nonlinearity="relu", **options),
        keras=lambda layers, units, options: layers.SimpleRNN(units, activation="relu", **options),
        kink=True,
    ),
    "lstm": Cell(
        4, _lstm, _lstm_back, "tanh",
        torch=lambda nn, inputs, units, **options: nn.LSTM(inputs, units, **options),
        keras=lambda layers, units, options: layers.LSTM(units, **options),
        states=2, forget=1, fill=0, keras_gates=(0, 1, 2, 3),
    ),
    "gru": Cell(
        3, _gru, _gru_back, "tanh",
        torch=lambda nn, inputs, units, **options: nn.GRU(inputs, units, **options),
        keras=lambda layers, units, options: layers.GRU(units, reset_after=True, **options),
        biases=2, keras_gates=(1, 0, 2), mixed_on_cpu=True,
    ),
    "gru_reset_before": Cell(
        3, _gru_before, _gru_before_back, "tanh",
        torch=None,
        keras=lambda layers, units, options: layers.GRU(units, reset_after=False, **options),
        keras_gates=(1, 0, 2),
    ),
}  # fmt: skip
