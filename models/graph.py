"""A network as a graph of named nodes: the one wiring that every backend follows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

from models.nodes import INPUT, WATCHED, Activate, Conv, Dense, InSpace, InTime, Multiply, Node, Normalize, Recurrent, Shape, Sum


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

    @property
    def multiply(self) -> Multiply | None:
        """What multiplies the branch by a learned number, if anything does."""
        return next((node for node in self.body if isinstance(node, Multiply)), None)

    @property
    def scale_at_start(self) -> float:
        """What the branch counts in the sum before training: 0 where a learned number multiplies it."""
        return 0.0 if self.multiply else self.sum.scale


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
        return tuple(node for node in self.nodes if isinstance(node, Dense | Recurrent | Conv))

    @cached_property
    def followed(self) -> tuple[str, ...]:
        """A weight of every layer, by whose gradient its training is followed: of a recurrent layer the one from step to step."""
        return tuple(f"{node.name}.{'recurrent_weight' if isinstance(node, Recurrent) else 'weight'}" for node in self.weighted)

    @cached_property
    def watched(self) -> tuple[Node, ...]:
        """All nodes whose results are signals."""
        return tuple(node for node in self.nodes if isinstance(node, WATCHED))

    @cached_property
    def watches_inputs(self) -> bool:
        """Whether what samples are turned into, a sequence or an image, is a signal, so that inputs have a gradient."""
        return any(isinstance(node, InTime | InSpace) for node in self.nodes)

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
        """Every residual block: a sum whose branch is read off its stream alone."""
        bodies = ((self._between(*each.inputs), each) for each in self.of(Sum))
        return tuple(Block(body, each) for body, each in bodies if body is not None)

    @cached_property
    def _by_name(self) -> dict[str, Node]:
        return {node.name: node for node in self.nodes}

    def _between(self, stream: str, branch: str) -> tuple[Node, ...] | None:
        found: list[Node] = []
        while branch != stream:
            if branch == INPUT or len(self[branch].inputs) > 1:
                return None
            found.append(self[branch])
            (branch,) = self[branch].inputs
        return tuple(reversed(found))
