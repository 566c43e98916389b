"""A recurrent network of Keras's whose targets are given: a number after the last time step, or a label for each."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from models.arrays import Batch, Logits, Targets
from models.backends.keras.epochs import EpochNetwork
from models.nodes import Node, Read
from models.parts.losses import LOSSES


class MemoryNetwork(EpochNetwork):
    """`spec` in Keras, trained epoch by epoch on given targets. Dense layers and losses of labels take all time steps as they are."""

    def _part(self, node: Node, options: dict[str, Any]) -> keras.layers.Layer:
        if isinstance(node, Read) and not LOSSES[self.spec.loss].scaled:
            return keras.layers.Identity()
        return super()._part(node, options)

    def target(self, labels: Targets) -> Targets:
        """What is given."""
        return np.asarray(labels) if labels.dtype.kind == "i" else np.asarray(labels, self.spec.format.held)

    def logits(self, x: Batch) -> Logits:
        """Outputs in evaluation mode, those of one sample's time steps after those of another's."""
        return super().logits(x).reshape(-1, self.spec.classes)
