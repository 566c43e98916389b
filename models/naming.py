"""Names of nodes and parameters, `dense5` and `dense5.weight`: what they say, and how a person reads them."""

from __future__ import annotations

import re
from collections.abc import Iterable

LAYERS = "dense", "conv"
"""Words of nodes that normalizations are numbered after."""


def layer_of(name: str) -> int:
    """The number at the end of a node's name: 5 for `dense5`, 0 where there is none."""
    digits = re.search(r"\d+$", name)
    return int(digits.group()) if digits else 0


def node_of(parameter: str) -> str:
    """The node of a parameter: `dense5` for `dense5.weight`."""
    return parameter.rpartition(".")[0]


def signal_of(parameter: str, signals: Iterable[str]) -> str:
    """The node whose signal a parameter shapes, its own or that of its layer: `dense5` for `dense5.bias` and `norm5.scale`."""
    node = node_of(parameter)
    return node if node in signals else next(name for name in signals if name in (f"{word}{layer_of(node)}" for word in LAYERS))


def kind_of(parameter: str) -> str:
    """What a parameter is: `weight` for `dense5.weight`."""
    return parameter.rpartition(".")[2]


def is_weight(parameter: str) -> bool:
    """Whether a parameter is a matrix that is decayed: `dense5.weight`, `recurrent1.recurrent_weight`."""
    return kind_of(parameter).endswith("weight")


PARTS = {
    "dense": "dense", "norm": "normalize", "act": "activate", "sum": "sum", "recurrent": "recur", "steps": "steps", "read": "read",
    "between": "normalize", "image": "image", "conv": "convolve", "pool": "pool", "flatten": "flatten",
    "branch": "multiply", "mirror": "mirror",
    "upper": "take", "lower": "take", "join": "join", "back": "transpose", "backact": "activate", "backsum": "sum",
}  # fmt: skip
"""What nodes do, by the word that their names begin with; a number behind it is a layer's."""
BESIDE = {"between": "normalized", "pool": "pooled", "back": "transposed"}
"""Nodes that have a signal of their own beside their layer's, and how it is told."""


def describe(name: str) -> str:
    """A node or parameter as a person reads it: `layer  5` for `dense5`, `layer  5 weight` for `dense5.weight`."""
    node, _, kind = name.partition(".")
    kind = kind.replace("_", " ")
    word = node.rstrip("0123456789")
    if word == node or word not in PARTS:
        return name.replace(".", " ").replace("_", " ")
    return f"layer {layer_of(node):>2} {kind or BESIDE.get(word, '')}".rstrip()


def part_of(node: str) -> str:
    """What a node does: `normalize` for `norm5`."""
    return PARTS[node.rstrip("0123456789")]


def describe_part(name: str) -> str:
    """A node with what it does: `layer  5 normalize` for `norm5`."""
    return f"{describe(name)} {part_of(name)}"
