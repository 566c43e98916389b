"""The reference of a reversible network that forgets its activations: what it costs in digits to compute them again."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from models.architectures.reversible import reversible
from models.arrays import Arrays, Batch, Statistics
from models.nodes import Join
from models.reference.network import Reference
from models.reference.operations import OPERATIONS, Execution, Saved
from models.spec import Spec


class TakenBack(Reference):
    """The reference whose way back reads states that are computed from the last one, a layer at a time.

    Each layer that is taken back rounds its force, and the difference with it, once more than a network does that keeps all states.
    """

    def __init__(self, spec: Spec, weights: Arrays, dtype: DTypeLike = np.float64, order: int | None = None) -> None:
        """As `Reference`. Raises SpecError for a network that cannot be taken back."""
        super().__init__(spec, weights, dtype, order)
        self._network = reversible(self.graph)

    def _forward(self, x: Batch, running: Statistics | None) -> tuple[Execution, dict[str, Saved]]:
        at, saved = super()._forward(x, running)
        a, (join, last) = self.arithmetic, self._network.after
        assert isinstance(join, Join)
        state = saved[last.name]
        assert isinstance(state, np.ndarray)
        values = dict(zip(join.inputs, np.hsplit(state, 2), strict=True))
        for move in reversed(self._network.moves):
            force = values[move.read]
            for node in (move.affine, move.act):
                force, saved[node.name] = OPERATIONS[type(node)].forward(at, node, force)
            values[move.moved] = a.between(values.pop(move.sum.name) - a.between(force * a.factor(move.sum.scale)))
        return at, saved
