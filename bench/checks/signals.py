"""Signals by place: one array a node, or one a node and time step where the node's result is a sequence."""

from __future__ import annotations

from bench.judging.place import Place
from models.arrays import Array, Signals

SEQUENCE, IMAGE = 3, 4
"""Dimensions of a sequence: batch, time steps, units; and of an image: batch, channels, rows, columns."""


def by_place(signals: Signals) -> dict[Place, Array]:
    """Results of nodes, or gradients with respect to them, in the order of nodes and from the first time step to the last."""
    found: dict[Place, Array] = {}
    for node, value in signals.items():
        if value.ndim == SEQUENCE:
            found |= {Place(node=node, time=time + 1): value[:, time] for time in range(value.shape[1])}
        else:
            found[Place(node=node)] = value
    return found
