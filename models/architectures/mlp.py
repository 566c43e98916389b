"""Multilayer perceptrons: plain, with normalization, with residual blocks of either order.

Nodes of weight layer 5 are `dense5`, `norm5` and `act5`; the sum behind a block whose last weight layer is 5 is `sum5`.
"""

from __future__ import annotations

from models.graph import INPUT, Activate, Dense, Graph, Node, Normalize, Sum
from models.spec import Spec


def build(spec: Spec) -> Graph:
    """The graph of `spec`; post-activation blocks as in He et al. 2015, pre-activation as in He et al. 2016."""
    nodes = _Nodes(spec)
    if not spec.span:
        for layer in range(1, spec.depth):
            nodes.dense(layer)
            nodes.unit(layer)
    elif spec.skip_order == "pre":
        nodes.dense(1)
        for first in range(2, spec.depth, spec.span):
            nodes.pre_block(first)
        nodes.unit(spec.depth - 1)
    else:
        nodes.dense(1)
        nodes.unit(1)
        for first in range(2, spec.depth, spec.span):
            nodes.post_block(first)
    nodes.dense(spec.depth)
    return Graph(tuple(nodes.found))


class _Nodes:
    """Nodes one after the other, each reading the last one's result."""

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        self.found: list[Node] = []
        self.end = INPUT

    def dense(self, layer: int, last_of_branch: bool = False) -> None:
        """Weight layer `layer`."""
        zero = last_of_branch and self.spec.branch == "zero"
        self._add(Dense(f"dense{layer}", (self.end,), self.spec.widths[layer], self.spec.widths[layer - 1], zero))

    def norm(self, layer: int) -> None:
        """The normalization behind weight layer `layer`, where the network has any."""
        spec = self.spec
        if spec.norm != "none":
            width = spec.widths[layer]
            self._add(Normalize(f"norm{layer}", (self.end,), width, spec.norm, spec.eps, spec.momentum, spec.groups))

    def act(self, layer: int) -> None:
        """The activation behind weight layer `layer`."""
        self._add(Activate(f"act{layer}", (self.end,), self.spec.widths[layer], self.spec.act))

    def unit(self, layer: int) -> None:
        """What follows weight layer `layer`: normalization and activation, in the network's order."""
        parts = (self.norm, self.act) if self.spec.norm_at == "before" else (self.act, self.norm)
        for part in parts:
            part(layer)

    def pre_block(self, first: int) -> None:
        """x ↦ keep · x + scale · body(x), the body beginning with normalization and activation."""
        stream, last = self.end, first + self.spec.span - 1
        for layer in range(first, last + 1):
            self.unit(layer - 1)
            self.dense(layer, last_of_branch=layer == last)
        self._sum(stream, last)

    def post_block(self, first: int) -> None:
        """The same, with activation (and normalization, where it stands after that) behind the sum."""
        stream, last, inside = self.end, first + self.spec.span - 1, self.spec.norm_at == "before"
        for layer in range(first, last):
            self.dense(layer)
            self.unit(layer)
        self.dense(last, last_of_branch=True)
        if inside:
            self.norm(last)
        self._sum(stream, last)
        self.act(last)
        if not inside:
            self.norm(last)

    def _sum(self, stream: str, last: int) -> None:
        spec = self.spec
        keep, scale = (2**-0.5, 2**-0.5) if spec.branch == "root2" else (1.0, spec.blocks**-0.5 if spec.branch == "depth" else 1.0)
        self._add(Sum(f"sum{last}", (stream, self.end), spec.widths[last], keep, scale))

    def _add(self, node: Node) -> None:
        self.found.append(node)
        self.end = node.name
