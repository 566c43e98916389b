"""The reference of a recurrent network whose targets are given: a number after the last time step, or a label for each."""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from models.arrays import Arrays, Batch, Logits, Targets
from models.backends.numpy.epochs import EpochNetwork
from models.graph import Graph
from models.nodes import Read, ReadEach
from models.parts.losses import LOSSES
from models.reference.network import Pass, Reference
from models.spec import Spec


class GivenTargets(Reference):
    """The network of `spec`, compared with what is given; with a loss of labels every time step is read out."""

    def __init__(self, spec: Spec, weights: Arrays, dtype: DTypeLike = np.float64) -> None:
        """Copy the weights in, rounded to `dtype`."""
        super().__init__(spec, weights, dtype)
        if not LOSSES[spec.loss].scaled:
            read = [ReadEach(n.name, n.inputs, n.width, n.length) if isinstance(n, Read) else n for n in self.graph.nodes]
            self.graph = Graph(tuple(read))

    def target(self, labels: Targets) -> Targets:
        """What is given, the labels of one sample's time steps after those of another's."""
        return np.ravel(labels) if labels.dtype.kind == "i" else np.asarray(labels, self.arithmetic.dtype)


class MemoryNetwork(EpochNetwork):
    """`spec` in NumPy, trained epoch by epoch on given targets."""

    def logits(self, x: Batch) -> Logits:
        """Outputs in evaluation mode, those of one sample's time steps after those of another's."""
        return GivenTargets(self.spec, self._weights, self._dtype).forward(x, {}).logits

    def _run(self, x: Batch, labels: Targets) -> Pass:
        return GivenTargets(self.spec, self._weights, self._dtype).run(x, labels)
