"""Recurrent layers in the reference: cells over a sequence, and backpropagation through time.

The products with inputs are one product over all time steps, as frameworks do it; what comes from the state before is added step by
step. Cells themselves are written out in `models.parts.cells`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Array, Batch, Sequence, Units
from models.graph import Read, Recurrent, Steps
from models.parts.cells import CELLS, Saved

if TYPE_CHECKING:
    from models.reference.operations import Execution

Unrolled = tuple[Sequence, Sequence, list[Saved]]
"""Inputs, the state before each time step, and what each step's way back needs."""


def steps(at: Execution, node: Steps, x: Batch) -> tuple[Sequence, None]:
    """The features of a sample one after the other, and zeros where there are none left."""
    sequence = np.zeros((len(x), *node.per_sample), x.dtype)
    sequence[:, : node.filled] = x.reshape(len(x), node.filled, node.width)
    return sequence, None


def steps_back(at: Execution, node: Steps, saved: None, d: Sequence) -> tuple[Batch, ...]:
    """Zeros are no inputs and get no gradient."""
    return (d[:, : node.filled].reshape(len(d), node.features),)


def recur(at: Execution, node: Recurrent, x: Sequence) -> tuple[Sequence, Unrolled]:
    """Outputs of all time steps, from a state of zeros."""
    a, row = at.arithmetic, CELLS[node.cell]
    recurrent, second = at.weights[f"{node.name}.recurrent_weight"], _second_bias(at, node)
    flat = x.reshape(-1, x.shape[2])
    gates = a.product(flat, at.weights[f"{node.name}.weight"].T) + at.weights[f"{node.name}.bias"]
    gates = gates.reshape(len(x), node.length, -1)
    state = tuple(np.zeros((len(x), node.width), a.dtype) for _ in range(row.states))
    before, outputs, kept, bends = [], [], [], []
    for time in range(node.length):
        before.append(state[0])
        state, saved, z = row.forward(a, gates[:, time], state, recurrent, second)
        outputs.append(state[0])
        kept.append(saved)
        bends.append(z)
    if row.kink:
        at.out.bends[node.name] = np.concatenate(bends, axis=1)
    return np.stack(outputs, axis=1), (x, np.stack(before, axis=1), kept)


def recur_back(at: Execution, node: Recurrent, unrolled: Unrolled, d: Sequence) -> tuple[Sequence, ...]:
    """From the last time step to the first, the gradient of a step's output and that of the state it hands on add up."""
    a, row, name = at.arithmetic, CELLS[node.cell], node.name
    (x, before, kept), weight = unrolled, at.weights[f"{node.name}.weight"]
    recurrent = at.weights[f"{name}.recurrent_weight"]
    dstate = tuple(np.zeros_like(before[:, 0]) for _ in range(row.states))
    drecurrent, into, inside = np.zeros_like(recurrent), [], []
    for time in reversed(range(node.length)):
        dstate = (dstate[0] + d[:, time], *dstate[1:])
        dgates, dstate, share, dinside = row.backward(a, kept[time], dstate, recurrent)
        drecurrent = drecurrent + share
        into.append(dgates)
        inside.append(dinside)
    flat, inputs = _flat(into), x.reshape(-1, x.shape[2])
    ones = np.ones((1, len(flat)), flat.dtype)
    size = float(np.linalg.norm(flat))
    at.out.gradients |= {
        f"{name}.weight": a.product(flat.T, inputs),
        f"{name}.recurrent_weight": drecurrent,
        f"{name}.bias": a.product(ones, flat)[0],
    }
    at.out.sizes |= {
        f"{name}.weight": size * float(np.linalg.norm(inputs)),
        f"{name}.recurrent_weight": size * float(np.linalg.norm(before)),
        f"{name}.bias": size * len(flat) ** 0.5,
    }
    if row.biases == 2:
        at.out.gradients[f"{name}.recurrent_bias"] = a.product(ones, _flat(inside))[0]
        at.out.sizes[f"{name}.recurrent_bias"] = size * len(flat) ** 0.5
    return (a.product(flat, weight).reshape(x.shape),)


def read(at: Execution, node: Read, h: Sequence) -> tuple[Units, None]:
    """The last output, or the mean of all."""
    return (h[:, -1], None) if node.outputs == "last" else (h.mean(axis=1), None)


def read_back(at: Execution, node: Read, saved: None, d: Units) -> tuple[Sequence, ...]:
    """To the last output, or to all alike."""
    dh = np.zeros((len(d), node.length, node.width), d.dtype)
    if node.outputs == "last":
        dh[:, -1] = d
    else:
        dh[:] = (d / at.arithmetic.number(float(node.length)))[:, None]
    return (dh,)


def _second_bias(at: Execution, node: Recurrent) -> Array:
    """The bias that is added to what comes from the state; 0 where the cell has none."""
    zero = np.zeros((), at.arithmetic.dtype)
    return at.weights.get(f"{node.name}.recurrent_bias", zero)


def _flat(backwards: list[Units]) -> Array:
    """Gradients of all time steps, which were collected from the last to the first, in rows that are as inputs are."""
    sequence = np.stack(backwards[::-1], axis=1)
    return sequence.reshape(-1, sequence.shape[2])
