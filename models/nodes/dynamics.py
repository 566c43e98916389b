"""Nodes of networks that are discretised dynamics: layers of skew matrices, a layer read backwards, and halves of a state."""

from __future__ import annotations

from dataclasses import dataclass

from models.nodes.node import Affine, Dense, Node, Shape


@dataclass(frozen=True)
class Antisymmetric(Dense):
    """z = (W − Wᵀ − γ) h + b with γ = `damping`, whose flow neither grows nor dies where γ is zero."""

    damping: float = 0.0


@dataclass(frozen=True)
class Transposed(Affine):
    """z = Wᵀ h + b with the W of the dense node `of` and a bias of its own."""

    fan_in: int
    of: str

    @property
    def weight(self) -> str:
        """The name of W."""
        return f"{self.of}.weight"

    @property
    def alone(self) -> Dense:
        """A dense node with a weight of its own, whose bias begins as this one's."""
        return Dense(self.name, self.inputs, self.width, self.fan_in)

    @property
    def parameters(self) -> dict[str, Shape]:
        """The bias."""
        return {"bias": (self.width,)}


@dataclass(frozen=True)
class Part(Node):
    """So many units of a state, from unit `begin` on."""

    begin: int
    whole: int


@dataclass(frozen=True)
class Join(Node):
    """The halves of a state one behind the other."""
