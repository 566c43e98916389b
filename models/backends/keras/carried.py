"""Parameters carried over to Keras's own shapes, and back.

A weight is turned from (fan-out, fan-in) to (inputs, outputs). A recurrent layer's gates are put in Keras's order, and its two biases,
where it learns two, into one variable.
"""

from __future__ import annotations

import numpy as np

from models.arrays import Array, Arrays
from models.graph import Graph
from models.naming import is_weight
from models.nodes import Recurrent
from models.parts.cells import CELLS

SECOND = "recurrent_bias"
"""What is the second row of a variable and has none of its own."""


def variables(graph: Graph) -> list[str]:
    """Names of parameters that are variables of their own."""
    return [name for name in graph.parameters if not name.endswith(SECOND)]


def variable_of(name: str) -> str:
    """The name of the variable that holds a parameter."""
    return name.removesuffix(SECOND) + "bias" if name.endswith(SECOND) else name


def carried(graph: Graph, arrays: Arrays) -> Arrays:
    """Parameters or gradients by name, as Keras holds them."""
    found = {name: _turned(name, arrays[name]) for name in variables(graph)}
    for node, name in _by_direction(graph):
        gates = np.array(CELLS[node.cell].keras_gates)
        held = {kind: _reordered(arrays[f"{name}{kind}"], gates) for kind in _kinds(node)}
        if SECOND in held:
            held["bias"] = np.stack([held["bias"], held.pop(SECOND)])
        found |= {f"{name}{kind}": _turned(kind, value) for kind, value in held.items()}
    return found


def given_back(graph: Graph, arrays: Arrays) -> Arrays:
    """The same back: what Keras holds by name, as everything else knows it."""
    found = {name: _turned(name, arrays[name]) for name in variables(graph)}
    for node, name in _by_direction(graph):
        if SECOND in _kinds(node):
            found[f"{name}bias"], found[f"{name}{SECOND}"] = found[f"{name}bias"]
        order = np.argsort(CELLS[node.cell].keras_gates)
        found |= {f"{name}{kind}": _reordered(found[f"{name}{kind}"], order) for kind in _kinds(node)}
    return {name: found[name] for name in graph.parameters}


def _by_direction(graph: Graph) -> list[tuple[Recurrent, str]]:
    """Every recurrent node with what names of its parameters begin with, once a direction."""
    return [(node, f"{node.name}.{direction}") for node in graph.of(Recurrent) for direction in node.directions]


def _kinds(node: Recurrent) -> list[str]:
    """Kinds of parameters of one direction."""
    return list(node.of_direction(""))


def _turned(name: str, value: Array) -> Array:
    return np.asarray(value).T if is_weight(name) else np.asarray(value)


def _reordered(value: Array, order: Array) -> Array:
    """Blocks along the first axis in another order."""
    return np.concatenate([np.split(np.asarray(value), len(order))[place] for place in order])
