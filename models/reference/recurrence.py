"""Recurrent layers in the reference: cells over a sequence, and backpropagation through time.

The products with inputs are one product over all time steps, as frameworks do it; what comes from the state before is added step by
step. Cells themselves are written out in `models.parts.cells`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Array, Batch, Gates, Mask, Sequence, Units, Weight
from models.nodes import BACKWARD, Read, Recurrent, Steps
from models.parts.cells import CELLS, Saved
from models.parts.parametrizations import GRADIENT, NONE, PARAMETRIZATIONS
from models.reference.arithmetic import as_it_is

if TYPE_CHECKING:
    from models.reference.operations import Execution

Unrolled = tuple[Sequence, Sequence, list[Saved]]
"""Inputs, the state before each time step, and what each step's way back needs, in the order in which steps were taken."""


def steps(at: Execution, node: Steps, x: Batch) -> tuple[Sequence, None]:
    """The features of a sample one after the other, and zeros where there are none left."""
    sequence = np.zeros((len(x), *node.per_sample), x.dtype)
    sequence[:, : node.filled] = at.arithmetic.cast(x.reshape(len(x), node.filled, node.width), "keras")
    if node.uneven:
        at.within = within(node, x)
    return sequence, None


def within(node: Steps, x: Batch) -> Mask:
    """Which time steps are within each sample."""
    ended = (x[:, : node.tellers].real > 0).sum(axis=1) if node.uneven else np.zeros(len(x), int)
    return np.asarray(np.arange(node.length) < (node.length - ended)[:, None])


def steps_back(at: Execution, node: Steps, saved: None, d: Sequence) -> tuple[Batch, ...]:
    """Zeros are no inputs and get no gradient."""
    return (d[:, : node.filled].reshape(len(d), node.features),)


def recur(at: Execution, node: Recurrent, x: Sequence) -> tuple[Sequence, list[Unrolled]]:
    """Outputs of all time steps, from a state of zeros; those of the backward direction stand behind the others.

    A masked step leaves the state as it is, and its output is zero.
    """
    outputs, unrolled, bends = [], [], []
    for direction in node.directions:
        order = _order(node, direction)
        found, saved, bent, _ = _forward(at, node, direction, x[:, order], None if at.within is None else at.within[:, order])
        outputs.append(found[:, order])
        unrolled.append(saved)
        bends += bent
    if CELLS[node.cell].kink:
        at.out.bends[node.name] = np.concatenate(bends, axis=1)
    return np.asarray(np.concatenate(outputs, axis=2)), unrolled


def state_after(at: Execution, node: Recurrent, x: Sequence) -> tuple[Units, ...]:
    """The state that a sequence ends with."""
    return _forward(at, node, "", x, None)[3]


def recur_back(at: Execution, node: Recurrent, unrolled: list[Unrolled], d: Sequence) -> tuple[Sequence, ...]:
    """What both directions hand back adds up."""
    parts = []
    for direction, saved, share in zip(node.directions, unrolled, np.split(d, len(unrolled), axis=2), strict=True):
        order = _order(node, direction)
        within = None if at.within is None else at.within[:, order]
        parts.append(_back(at, node, direction, saved, at.arithmetic.narrow(share[:, order]), within)[:, order])
    return (np.asarray(sum(parts[1:], start=parts[0])),)


def _order(node: Recurrent, direction: str) -> slice:
    return slice(None, None, -1 if direction == BACKWARD else None)


def _forward(
    at: Execution, node: Recurrent, direction: str, x: Sequence, within: Mask | None
) -> tuple[Sequence, Unrolled, list[Gates], tuple[Units, ...]]:
    """Outputs, what the way back needs, pre-activations and last state of one direction, in the order in which its steps are taken."""
    a, row, name = at.arithmetic, CELLS[node.cell], f"{node.name}.{direction}"
    (recurrent, _), second = _of_states(at, node, name), _second_bias(at, name)
    x, weight, bias = (a.narrow(each) for each in (x, at.weights[f"{name}weight"], at.weights[f"{name}bias"]))
    gates = a.product(x.reshape(-1, x.shape[2]), weight.T) + bias
    gates = gates.reshape(len(x), node.length, -1)
    state = tuple(np.zeros((len(x), node.units), a.dtype) for _ in range(row.states))
    before, outputs, kept, bends = [], [], [], []
    for time in range(node.length):
        before.append(state[0])
        after, saved, z = row.forward(a, gates[:, time], state, recurrent, second)
        if within is None:
            state, output = after, after[0]
        else:
            now = within[:, time, None]
            state, output, z = (
                tuple(np.where(now, *each) for each in zip(after, state, strict=True)),
                after[0] * now,
                np.where(now, z, np.inf),
            )
        outputs.append(output)
        kept.append(saved)
        bends.append(z)
    return np.stack(outputs, axis=1), (x, np.stack(before, axis=1), kept), bends, state


def _back(at: Execution, node: Recurrent, direction: str, unrolled: Unrolled, d: Sequence, within: Mask | None) -> Sequence:
    """From the last time step to the first, the gradient of a step's output and that of the state it hands on add up."""
    a, row, name = at.arithmetic, CELLS[node.cell], f"{node.name}.{direction}"
    (x, before, kept), weight = unrolled, a.narrow(at.weights[f"{name}weight"])
    recurrent, to_learned = _of_states(at, node, name)
    dstate = tuple(np.zeros_like(before[:, 0]) for _ in range(row.states))
    drecurrent, into, inside = np.zeros_like(recurrent), [], []
    for time in reversed(range(node.length)):
        if node.truncated and (time + 1) % node.truncated == 0:
            dstate = tuple(np.zeros_like(each) for each in dstate)
        now = 1 if within is None else within[:, time, None]
        passed = dstate
        dstate = tuple(each * now for each in dstate)
        dstate = (dstate[0] + d[:, time] * now, *dstate[1:])
        dgates, dstate, share, dinside = row.backward(a, kept[time], dstate, recurrent)
        if within is not None:
            dstate = tuple(each + on * ~now for each, on in zip(dstate, passed, strict=True))
        drecurrent = drecurrent + share
        into.append(dgates)
        inside.append(dinside)
    flat, inputs = _flat(into), x.reshape(-1, x.shape[2])
    ones = np.ones((1, len(flat)), flat.dtype)
    size = float(np.linalg.norm(flat))
    gradients = {
        f"{name}weight": a.product(flat.T, inputs),
        f"{name}recurrent_weight": to_learned(drecurrent),
        f"{name}bias": a.product(ones, flat)[0],
    }
    if row.biases == 2:
        gradients[f"{name}recurrent_bias"] = a.product(ones, _flat(inside))[0]
    at.out.gradients |= {kind: np.asarray(g) for kind, g in gradients.items()}
    at.out.sizes |= {
        f"{name}weight": size * float(np.linalg.norm(inputs)),
        f"{name}recurrent_weight": size * float(np.linalg.norm(before)) * (1 if node.parametrization == NONE else GRADIENT),
        f"{name}bias": size * len(flat) ** 0.5,
    }
    if row.biases == 2:
        at.out.sizes[f"{name}recurrent_bias"] = size * len(flat) ** 0.5
    return a.product(flat, weight).reshape(x.shape)


def read(at: Execution, node: Read, h: Sequence) -> tuple[Units, None]:
    """The last output of every sample, or the mean of its own."""
    return at.arithmetic.between(what_is_read(node, h, at.within)), None


def what_is_read(node: Read, h: Sequence, within: Mask | None) -> Units:
    """Of the outputs of all time steps, some `within` each sample (None: all), those that a node reads."""
    shares = np.split(h, 1 + node.both, axis=2)
    read = [np.einsum("bt,btu->bu", weight, share) for weight, share in zip(_weights(node, h, within), shares, strict=True)]
    return np.concatenate(read, axis=1)


def read_back(at: Execution, node: Read, saved: None, d: Units) -> tuple[Sequence, ...]:
    """To what was read, as it was weighted."""
    shares, empty = np.split(d, 1 + node.both, axis=1), np.zeros((len(d), node.length, 0), d.dtype)
    read = [w[:, :, None] * share[:, None] for w, share in zip(_weights(node, empty, at.within), shares, strict=True)]
    return (at.arithmetic.between(np.concatenate(read, axis=2)),)


def _weights(node: Read, h: Sequence, within: Mask | None) -> list[Array]:
    """What outputs of each direction are read with (batch × length): 1 for a sample's last one, or 1 over the number of its own."""
    within = np.ones(h.shape[:2], bool) if within is None else within
    lengths = within.sum(axis=1)[:, None]
    if node.outputs != "last":
        return [np.asarray(within / lengths).astype(h.dtype)] * (1 + node.both)
    lasts = (lengths - 1, np.zeros_like(lengths))[: 1 + node.both]
    return [(np.arange(node.length) == last).astype(h.dtype) for last in lasts]


def _of_states(at: Execution, node: Recurrent, name: str) -> tuple[Weight, Callable[[Weight], Weight]]:
    """What states are multiplied by, and what its gradient is to that of what is learned."""
    learned = at.arithmetic.narrow(at.weights[f"{name}recurrent_weight"])
    if node.parametrization == NONE:
        return learned, as_it_is
    row = PARAMETRIZATIONS[node.parametrization]
    weight, saved = row.make(at.arithmetic, learned)
    return weight, partial(row.back, at.arithmetic, saved)


def _second_bias(at: Execution, name: str) -> Array:
    """The bias that is added to what comes from the state; 0 where the cell has none."""
    return at.arithmetic.narrow(at.weights.get(f"{name}recurrent_bias", np.zeros((), at.arithmetic.dtype)))


def _flat(backwards: list[Units]) -> Array:
    """Gradients of all time steps, which were collected from the last to the first, in rows that are as inputs are."""
    sequence = np.stack(backwards[::-1], axis=1)
    return sequence.reshape(-1, sequence.shape[2])
