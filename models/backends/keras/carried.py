"""Parameters carried over to Keras's own shapes, and back.

A weight is turned from (fan-out, fan-in) to (inputs, outputs), and a kernel from (channels, channels below, height, width) to (height,
width, channels below, channels). Keras flattens images by pixels, so that a dense weight that reads channel after channel is reordered.
A recurrent layer's gates are put in Keras's order, and its two biases, where it learns two, into one variable.
"""

from __future__ import annotations

import numpy as np

from models.arrays import Array, Arrays
from models.graph import Graph
from models.naming import is_weight
from models.nodes import Conv, Dense, Flatten, InSpace, Node, Recurrent, Shape
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
    for dense, image in _behind_images(graph):
        by_channel = np.asarray(arrays[dense.weight]).reshape(dense.width, image.channels, image.size, image.size)
        found[dense.weight] = by_channel.transpose(2, 3, 1, 0).reshape(dense.fan_in, dense.width)
    for conv in graph.of(Conv):
        found[conv.weight] = np.asarray(arrays[conv.weight]).transpose(2, 3, *((0, 1) if conv.depthwise else (1, 0)))
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
    for dense, image in _behind_images(graph):
        by_pixel = np.asarray(arrays[dense.weight]).reshape(image.size, image.size, image.channels, dense.width)
        found[dense.weight] = by_pixel.transpose(3, 2, 0, 1).reshape(dense.width, dense.fan_in)
    for conv in graph.of(Conv):
        found[conv.weight] = np.asarray(arrays[conv.weight]).transpose(*((2, 3) if conv.depthwise else (3, 2)), 0, 1)
    for node, name in _by_direction(graph):
        if SECOND in _kinds(node):
            found[f"{name}bias"], found[f"{name}{SECOND}"] = found[f"{name}bias"]
        order = np.argsort(CELLS[node.cell].keras_gates)
        found |= {f"{name}{kind}": _reordered(found[f"{name}{kind}"], order) for kind in _kinds(node)}
    return {name: found[name] for name in graph.parameters}


def as_held(node: Node) -> Shape:
    """The shape of a node's result for one sample in Keras, which has channels last."""
    return (*node.per_sample[1:], node.width) if isinstance(node, InSpace) else node.per_sample


def seen_by_all(node: Node, held: Array) -> Array:
    """A node's result, or a gradient with respect to it, as everything else knows it."""
    return np.moveaxis(held, -1, 1) if isinstance(node, InSpace) else held


def _behind_images(graph: Graph) -> list[tuple[Dense, Flatten]]:
    """Dense nodes that read an image channel after channel."""
    pairs = [(node, each) for each in graph.of(Flatten) if each.order == "channels_first" for node in graph.readers[each.name]]
    return [(node, each) for node, each in pairs if isinstance(node, Dense)]


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
