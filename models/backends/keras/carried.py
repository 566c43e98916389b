"""Parameters carried over to Keras's own shapes, and back.

A weight is turned from (fan-out, fan-in) to (inputs, outputs). A recurrent layer's gates are put in Keras's order, and its two biases,
where it learns two, into one variable.
"""

from __future__ import annotations

import numpy as np

from models.arrays import Array, Arrays
from models.graph import Graph, Recurrent, is_weight, kind_of
from models.parts.cells import CELLS

SECOND = "recurrent_bias"
"""What is the second row of a variable and has none of its own."""


def variables(graph: Graph) -> list[str]:
    """Names of parameters that are variables of their own."""
    return [name for name in graph.parameters if kind_of(name) != SECOND]


def variable_of(name: str) -> str:
    """The name of the variable that holds a parameter."""
    return name.replace(f".{SECOND}", ".bias")


def carried(graph: Graph, arrays: Arrays) -> Arrays:
    """Parameters or gradients by name, as Keras holds them."""
    found = {name: _turned(name, arrays[name]) for name in variables(graph)}
    for node in graph.of(Recurrent):
        for kind in node.parameters:
            found[f"{node.name}.{kind}"] = _reordered(arrays[f"{node.name}.{kind}"], np.array(CELLS[node.cell].keras_gates))
        if SECOND in node.parameters:
            found[f"{node.name}.bias"] = np.stack([found[f"{node.name}.bias"], found.pop(f"{node.name}.{SECOND}")])
        found |= {name: _turned(name, found[name]) for name in (f"{node.name}.weight", f"{node.name}.recurrent_weight")}
    return found


def given_back(graph: Graph, arrays: Arrays) -> Arrays:
    """The same back: what Keras holds by name, as everything else knows it."""
    found = {name: _turned(name, arrays[name]) for name in variables(graph)}
    for node in graph.of(Recurrent):
        if SECOND in node.parameters:
            found[f"{node.name}.bias"], found[f"{node.name}.{SECOND}"] = found[f"{node.name}.bias"]
        for kind in node.parameters:
            name = f"{node.name}.{kind}"
            found[name] = _reordered(found[name], np.argsort(CELLS[node.cell].keras_gates))
    return {name: found[name] for name in graph.parameters}


def _turned(name: str, value: Array) -> Array:
    return np.asarray(value).T if is_weight(name) else np.asarray(value)


def _reordered(value: Array, order: Array) -> Array:
    """Blocks along the first axis in another order."""
    return np.concatenate([np.split(np.asarray(value), len(order))[place] for place in order])
