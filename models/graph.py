"""A network as a graph of named nodes: the one wiring that every backend follows.

A node computes one result from the results of other nodes. Parameters are named `node.kind`: `dense5.weight`, `norm5.scale`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from models.parts.cells import CELLS
from models.parts.norms import NORMS

INPUT, BACKWARD = "input", "backward_"
"""The name under which nodes read the network's input, and what parameters of the backward direction begin with."""
Shape = tuple[int, ...]


@dataclass(frozen=True)
class Node:
    """One operation: its name, the names of what it reads, and the units of its result."""

    name: str
    inputs: tuple[str, ...]
    width: int

    @property
    def parameters(self) -> dict[str, Shape]:
        """Shapes of what is learned, by kind."""
        return {}

    @property
    def per_sample(self) -> Shape:
        """The shape of the result for one sample."""
        return (self.width,)

    @property
    def layer(self) -> int:
        """The number at the end of the name; 0 where there is none."""
        return layer_of(self.name)


@dataclass(frozen=True)
class Dense(Node):
    """z = W h + b with W (fan-out, fan-in). `zero` starts W at zero."""

    fan_in: int
    zero: bool = False

    @property
    def fan_out(self) -> int:
        """Units of the result."""
        return self.width

    @property
    def weight(self) -> str:
        """The name of W."""
        return f"{self.name}.weight"

    @property
    def bias(self) -> str:
        """The name of b."""
        return f"{self.name}.bias"

    @property
    def parameters(self) -> dict[str, Shape]:
        """Weight and bias."""
        return {"weight": (self.width, self.fan_in), "bias": (self.width,)}


@dataclass(frozen=True)
class Normalize(Node):
    """A row of NORMS with its settings; `momentum` is the weight of the old running statistic."""

    norm: str
    eps: float
    momentum: float
    groups: int

    @property
    def parameters(self) -> dict[str, Shape]:
        """Scale, and shift where the row has one."""
        return dict.fromkeys(NORMS[self.norm].parameters, (self.width,))


@dataclass(frozen=True)
class Activate(Node):
    """A row of ACTIVATIONS."""

    activation: str


@dataclass(frozen=True)
class Sum(Node):
    """keep · stream + scale · branch; the inputs are stream and branch."""

    keep: float
    scale: float


@dataclass(frozen=True)
class InTime(Node):
    """A node whose result is a sequence: (batch × length × units)."""

    length: int

    @property
    def per_sample(self) -> Shape:
        """Time steps and units."""
        return (self.length, self.width)


@dataclass(frozen=True)
class Steps(InTime):
    """The features of a sample as a sequence: `width` a time step, and zeros where the sequence is longer than they are.

    Where it is `uneven`, a sample ends earlier by as many steps as there are positive numbers among its first `tellers` features. Later
    steps are masked.
    """

    features: int
    uneven: bool = False

    @property
    def tellers(self) -> int:
        """How many features tell a sample's length; one time step is left at least."""
        return min(self.features, self.length // 2)

    @property
    def filled(self) -> int:
        """Time steps that bring features."""
        return self.features // self.width


@dataclass(frozen=True)
class Recurrent(InTime):
    """A row of CELLS over a sequence, from a state of zeros; `start`, `radius` and `forget` say how its weights begin.

    With `both`, half of the result is that of a second set of weights (`backward_weight`, …) on the reversed sequence. No gradient passes
    back from one `truncated` number of time steps to those before, where that is not 0.
    """

    cell: str
    fan_in: int
    start: str
    radius: float
    forget: str
    both: bool = False
    truncated: int = 0

    @property
    def units(self) -> int:
        """Units of one direction."""
        return self.width // len(self.directions)

    @property
    def directions(self) -> tuple[str, ...]:
        """What names of parameters begin with, for each direction."""
        return ("", BACKWARD) if self.both else ("",)

    def of_direction(self, direction: str) -> dict[str, Shape]:
        """Shapes of one direction's parameters by kind: weights of inputs and of the state before, gates stacked, and biases."""
        row = CELLS[self.cell]
        units = row.gates * self.units
        second = {"recurrent_bias": (units,)} if row.biases == 2 else {}
        shapes = {"weight": (units, self.fan_in), "recurrent_weight": (units, self.units), "bias": (units,), **second}
        return {direction + kind: shape for kind, shape in shapes.items()}

    @property
    def parameters(self) -> dict[str, Shape]:
        """Those of all directions."""
        return {kind: shape for direction in self.directions for kind, shape in self.of_direction(direction).items()}


@dataclass(frozen=True)
class NormalizeInTime(Normalize, InTime):
    """A normalization over the units of every time step."""


@dataclass(frozen=True)
class Read(Node):
    """What of a sequence of `length` outputs is read: the last one, or the mean of all.

    With `both`, half of the units are those of the backward direction, whose last output stands at the first time step.
    """

    length: int
    outputs: str
    both: bool = False


WATCHED = Dense, InTime
"""Kinds of nodes whose results are signals: dense nodes, and sequences."""


@dataclass(frozen=True)
class Joint:
    """Two dense nodes with nothing but `between` (normalizations and activations) from the one to the other."""

    left: Dense
    right: Dense
    between: tuple[Node, ...]


@dataclass(frozen=True)
class Block:
    """A residual sum and the nodes of its branch, in the order of computation."""

    body: tuple[Node, ...]
    sum: Sum

    @property
    def dense(self) -> tuple[Dense, ...]:
        """The branch's dense nodes."""
        return tuple(node for node in self.body if isinstance(node, Dense))


Kind = TypeVar("Kind", bound=Node)


@dataclass(frozen=True)
class Graph:
    """Nodes in the order of computation; the last one is the output."""

    nodes: tuple[Node, ...]

    def __getitem__(self, name: str) -> Node:
        """The node of this name; raises KeyError."""
        return self._by_name[name]

    def of(self, kind: type[Kind]) -> tuple[Kind, ...]:
        """All nodes of one kind."""
        return tuple(node for node in self.nodes if isinstance(node, kind))

    @cached_property
    def dense(self) -> tuple[Dense, ...]:
        """All dense nodes; the last one computes the logits."""
        return self.of(Dense)

    @cached_property
    def weighted(self) -> tuple[Node, ...]:
        """All nodes with weights, in the order of layers."""
        return tuple(node for node in self.nodes if isinstance(node, Dense | Recurrent))

    @cached_property
    def followed(self) -> tuple[str, ...]:
        """A weight of every layer, by whose gradient its training is followed: of a recurrent layer the one from step to step."""
        return tuple(f"{node.name}.{'recurrent_weight' if isinstance(node, Recurrent) else 'weight'}" for node in self.weighted)

    @cached_property
    def watched(self) -> tuple[Node, ...]:
        """All nodes whose results are signals."""
        return tuple(node for node in self.nodes if isinstance(node, WATCHED))

    @cached_property
    def parameters(self) -> dict[str, Shape]:
        """Shapes of everything learned by name, layer after layer and within a layer by kind."""
        found = [(node.layer, kind, f"{node.name}.{kind}", shape) for node in self.nodes for kind, shape in node.parameters.items()]
        return {name: shape for _, _, name, shape in sorted(found, key=lambda each: each[:2])}

    @cached_property
    def readers(self) -> Mapping[str, tuple[Node, ...]]:
        """The nodes that read a result, by the result's name."""
        found: dict[str, list[Node]] = {name: [] for name in (INPUT, *(node.name for node in self.nodes))}
        for node in self.nodes:
            for name in dict.fromkeys(node.inputs):
                found[name].append(node)
        return {name: tuple(nodes) for name, nodes in found.items()}

    @cached_property
    def forgotten(self) -> Mapping[str, tuple[str, ...]]:
        """By node, the results that no later node reads."""
        found: dict[str, list[str]] = {node.name: [] for node in self.nodes}
        for name, readers in self.readers.items():
            if readers:
                found[readers[-1].name].append(name)
        return {name: tuple(results) for name, results in found.items()}

    @cached_property
    def joints(self) -> tuple[Joint, ...]:
        """Every pair of dense nodes that are joined without a branch in between."""
        found = []
        for left in self.dense:
            between: list[Node] = []
            readers = self.readers[left.name]
            while len(readers) == 1 and isinstance(readers[0], Normalize | Activate):
                between += readers
                readers = self.readers[readers[0].name]
            if len(readers) == 1 and isinstance(right := readers[0], Dense):
                found.append(Joint(left, right, tuple(between)))
        return tuple(found)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """Every residual block."""
        return tuple(Block(self._between(*each.inputs), each) for each in self.of(Sum))

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def _between(self, stream: str, branch: str) -> tuple[Node, ...]:
        found: list[Node] = []
        while branch != stream:
            found.append(self[branch])
            (branch,) = self[branch].inputs
        return tuple(reversed(found))


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
