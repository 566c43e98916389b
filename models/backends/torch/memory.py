"""A recurrent network of PyTorch's whose targets are given: a number after the last time step, or a label for each."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from models.arrays import Batch, Logits, Targets
from models.backends.torch.epochs import EpochNetwork
from models.nodes import Node, Read
from models.parts.losses import LOSSES
from models.spec import Spec


class InTime(nn.Module):
    """A loss over every time step of every sample: of (batch × length × classes) and (batch × length)."""

    def __init__(self, loss: nn.Module) -> None:
        """`loss` is of one time step."""
        super().__init__()
        self.loss = loss

    def forward(self, logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The mean."""
        return self.loss(logits.flatten(0, 1), target.flatten())  # type: ignore[no-any-return]


class MemoryNetwork(EpochNetwork):
    """`spec` in PyTorch, trained epoch by epoch on given targets."""

    def __init__(self, spec: Spec, *, steps: int, every: int, seed: int = 0, device: str = "cpu", mode: str = "") -> None:
        """With a loss of labels every time step is read out."""
        super().__init__(spec, steps=steps, every=every, seed=seed, device=device, mode=mode)
        if not LOSSES[spec.loss].scaled:
            self.loss = InTime(self.loss)

    def _part(self, node: Node) -> nn.Module:
        return nn.Identity() if isinstance(node, Read) and not LOSSES[self.spec.loss].scaled else super()._part(node)

    def target(self, labels: Targets) -> torch.Tensor:
        """What is given."""
        values = torch.as_tensor(np.asarray(labels), device=self.device)
        return values.to(self.dtype) if values.is_floating_point() else values

    def logits(self, x: Batch) -> Logits:
        """Outputs in evaluation mode, those of one sample's time steps after those of another's."""
        return super().logits(x).reshape(-1, self.spec.classes)
