"""Networks whose layers can be taken back: each moves one part of the state by what it computes from the other part alone.

So a layer's input follows from its output, and no activation need be kept for the way back (Gomez et al. 2017, The Reversible Residual
Network, algorithm 1; for Hamiltonian layers Chang et al. 2018, Reversible Architectures for Arbitrarily Deep Residual Neural Networks).
"""

from __future__ import annotations

from dataclasses import dataclass

from models.fields import SpecError
from models.graph import Graph
from models.nodes import Activate, Node, Sum
from models.nodes.node import Affine
from models.parts.activations import ACTIVATIONS

RECOMPUTED = "recomputed"
"""The mode of a step that keeps a reversible network's last state alone and computes the others again from it."""


@dataclass(frozen=True)
class Move:
    """One part of the state, moved by `sum.scale` times an activation of an affine map of the other part."""

    affine: Affine
    act: Activate
    sum: Sum

    @property
    def moved(self) -> str:
        """The part before it is moved; `sum.name` is what it is then."""
        return self.sum.inputs[0]

    @property
    def read(self) -> str:
        """The other part."""
        return self.affine.inputs[0]


@dataclass(frozen=True)
class Reversible:
    """Moves in the order of computation, with the nodes before the first and after the last one."""

    before: tuple[Node, ...]
    moves: tuple[Move, ...]
    after: tuple[Node, ...]

    @property
    def first(self) -> tuple[str, str]:
        """The two parts of the first state."""
        return self.moves[0].moved, self.moves[0].read

    @property
    def last(self) -> tuple[str, str]:
        """The two parts of the last state."""
        return self.moves[-1].sum.name, self.moves[-1].read


def reversible(graph: Graph) -> Reversible:
    """The moves of a network. Raises SpecError for one that cannot be taken back, or whose activations would be drawn anew."""
    moves = []
    for each in graph.of(Sum):
        act = graph[each.inputs[1]]
        affine = graph[act.inputs[0]]
        if not isinstance(act, Activate) or not isinstance(affine, Affine) or affine.inputs[0] == each.inputs[0] or each.keep != 1:
            raise SpecError(f"{each.name} cannot be taken back: mode={RECOMPUTED} takes dynamics=reversible or hamiltonian.")
        if ACTIVATIONS[act.activation].random:
            raise SpecError(f"act={act.activation} draws random numbers, which mode={RECOMPUTED} would draw anew: use another activation.")
        moves.append(Move(affine, act, each))
    if not moves:
        raise SpecError(f"No layer can be taken back: mode={RECOMPUTED} takes a network ode,dynamics=reversible or hamiltonian.")
    places = {node.name: place for place, node in enumerate(graph.nodes)}
    begin, end = places[moves[0].affine.name], places[moves[-1].sum.name] + 1
    return Reversible(graph.nodes[:begin], tuple(moves), graph.nodes[end:])
