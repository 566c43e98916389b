"""Nodes that any network may have: what each reads, what it learns, and the shape of its result.

A node computes one result from the results of other nodes. Parameters are named `node.kind`: `dense5.weight`, `norm5.scale`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.naming import layer_of
from models.parts.norms import NORMS

INPUT, BACKWARD, SECOND = "input", "backward_", "recurrent_bias"
"""The name under which nodes read the network's input, what parameters of the backward direction begin with, and a cell's second bias."""
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
    def positions(self) -> int:
        """At how many time steps or pixels of a sample the result has its units."""
        return math.prod(self.per_sample) // self.width

    @property
    def layer(self) -> int:
        """The number at the end of the name; 0 where there is none."""
        return layer_of(self.name)


@dataclass(frozen=True)
class Affine(Node):
    """A node that has a weight and a bias."""

    @property
    def weight(self) -> str:
        """The name of W."""
        return f"{self.name}.weight"

    @property
    def bias(self) -> str:
        """The name of b."""
        return f"{self.name}.bias"


@dataclass(frozen=True)
class Dense(Affine):
    """z = W h + b with W (fan-out, fan-in), which begins as `start` times what an initializer draws, or as zeros where that is 0.

    A `mirrored` W reads a mirrored signal and begins as (Q, −Q), so that it reads h of (h, −h) as Q would.
    """

    fan_in: int
    start: float = 1.0
    mirrored: bool = False

    @property
    def fan_drawn(self) -> int:
        """Columns of W that an initializer draws."""
        return self.fan_in // 2 if self.mirrored else self.fan_in

    @property
    def fan_out(self) -> int:
        """Units of the result."""
        return self.width

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
class Mirror(Node):
    """(h, −h): twice the units, whose ReLUs are a concatenated ReLU (Shang et al. 2016)."""


@dataclass(frozen=True)
class Sum(Node):
    """keep · stream + scale · branch; the inputs are stream and branch."""

    keep: float
    scale: float


@dataclass(frozen=True)
class Multiply(Node):
    """a · h with one learned number a, which begins at zero."""

    @property
    def multiplier(self) -> str:
        """The name of a."""
        return f"{self.name}.multiplier"

    @property
    def parameters(self) -> dict[str, Shape]:
        """The number, as an array of one entry."""
        return {"multiplier": (1,)}
