"""Layers of discretised dynamics as PyTorch's users write them, since it has none."""

from __future__ import annotations

import torch
from torch import nn

from models.nodes import Part


class AntisymmetricLinear(nn.Linear):
    """A Linear whose matrix is W − Wᵀ − γ."""

    def __init__(self, width: int, damping: float) -> None:
        """Remember γ."""
        super().__init__(width, width)
        self.damping = damping

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Leave out the damping that a user would not write."""
        matrix = self.weight - self.weight.T
        if self.damping:
            matrix = matrix - self.damping * torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
        return nn.functional.linear(h, matrix, self.bias)


class TransposedLinear(nn.Module):
    """The transposed matrix of another layer, and a bias.

    It shares the parameter and not the layer: `torch.func.functional_call` leaves its own tensor in a layer that a module holds twice
    (https://github.com/pytorch/pytorch/issues/164759).
    """

    def __init__(self, weight: nn.Parameter, bias: nn.Parameter) -> None:
        """Share the matrix."""
        super().__init__()
        self.weight, self.bias = weight, bias

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """Wᵀ h + b."""
        return nn.functional.linear(h, self.weight.T, self.bias)


class Slice(nn.Module):
    """Some units of a state."""

    def __init__(self, node: Part) -> None:
        """Remember which."""
        super().__init__()
        self.begin, self.end = node.begin, node.begin + node.width

    def forward(self, h: torch.Tensor) -> torch.Tensor:
        """A view of them."""
        return h[:, self.begin : self.end]


class Concatenate(nn.Module):
    """The halves of a state one behind the other."""

    def forward(self, one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
        """Both."""
        return torch.cat([one, other], 1)
