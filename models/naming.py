"""Names of nodes and parameters, `dense5` and `dense5.weight`: what they say, and how a person reads them."""

from __future__ import annotations

import re


def layer_of(name: str) -> int:
    """The number at the end of a node's name: 5 for `dense5`, 0 where there is none."""
    digits = re.search(r"\d+$", name)
    return int(digits.group()) if digits else 0


def node_of(parameter: str) -> str:
    """The node of a parameter: `dense5` for `dense5.weight`."""
    return parameter.rpartition(".")[0]


def dense_of(parameter: str) -> str:
    """The node whose signal a parameter shapes, its own or the dense node before it: `dense5` for `dense5.bias` and `norm5.scale`."""
    node = node_of(parameter)
    return f"dense{layer_of(node)}" if node.startswith("norm") else node


def kind_of(parameter: str) -> str:
    """What a parameter is: `weight` for `dense5.weight`."""
    return parameter.rpartition(".")[2]


def is_weight(parameter: str) -> bool:
    """Whether a parameter is a matrix that is decayed: `dense5.weight`, `recurrent1.recurrent_weight`."""
    return kind_of(parameter).endswith("weight")


PARTS = {
    "dense": "dense", "norm": "normalize", "act": "activate", "sum": "sum", "recurrent": "recur", "steps": "steps", "read": "read",
    "between": "normalize",
}  # fmt: skip


def describe(name: str) -> str:
    """A node or parameter as a person reads it: `layer  5` for `dense5`, `layer  5 weight` for `dense5.weight`."""
    node, _, kind = name.partition(".")
    kind = kind.replace("_", " ")
    if not (numbered := re.fullmatch(r"(?:dense|norm|act|sum|recurrent|between)(\d+)", node)):
        return name.replace(".", " ").replace("_", " ")
    what = kind or ("normalized" if node.startswith("between") else "")  # a sequence of its own, beside the layer's
    return f"layer {numbered[1]:>2} {what}".rstrip()


def part_of(node: str) -> str:
    """What a node does: `normalize` for `norm5`."""
    return PARTS[node.rstrip("0123456789")]


def describe_part(name: str) -> str:
    """A node with what it does: `layer  5 normalize` for `norm5`."""
    return f"{describe(name)} {part_of(name)}"
