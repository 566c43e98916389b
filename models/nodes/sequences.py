"""Nodes of sequences: what a sample is cut into, recurrent layers, normalizations of every time step, and what is read."""

from __future__ import annotations

from dataclasses import dataclass

from models.nodes.node import BACKWARD, SECOND, Node, Normalize, Shape
from models.parts.cells import CELLS
from models.parts.parametrizations import NONE


@dataclass(frozen=True)
class InTime(Node):
    """A node whose result is a sequence: (batch × length × units)."""

    length: int

    @property
    def per_sample(self) -> Shape:
        """Time steps and units."""
        return (self.length, self.width)


@dataclass(frozen=True)
class Steps(InTime):
    """The features of a sample as a sequence: `width` a time step, and zeros where the sequence is longer than they are.

    Where it is `uneven`, a sample ends earlier by as many steps as there are positive numbers among its first `tellers` features. Later
    steps are masked.
    """

    features: int
    uneven: bool = False

    @property
    def tellers(self) -> int:
        """How many features tell a sample's length; one time step is left at least."""
        return min(self.features, self.length // 2)

    @property
    def filled(self) -> int:
        """Time steps that bring features."""
        return self.features // self.width


@dataclass(frozen=True)
class Recurrent(InTime):
    """A row of CELLS over a sequence, from a state of zeros; `start`, `radius` and `forget` say how its weights begin.

    With `both`, half of the result is that of a second set of weights (`backward_weight`, …) on the reversed sequence. No gradient passes
    back from one `truncated` number of time steps to those before, where that is not 0. With a row of PARAMETRIZATIONS, states are
    multiplied by what it makes of `recurrent_weight`.
    """

    cell: str
    fan_in: int
    start: str
    radius: float
    forget: str
    both: bool = False
    truncated: int = 0
    parametrization: str = NONE

    @property
    def units(self) -> int:
        """Units of one direction."""
        return self.width // len(self.directions)

    @property
    def directions(self) -> tuple[str, ...]:
        """What names of parameters begin with, for each direction."""
        return ("", BACKWARD) if self.both else ("",)

    def of_direction(self, direction: str) -> dict[str, Shape]:
        """Shapes of one direction's parameters by kind: weights of inputs and of the state before, gates stacked, and biases."""
        row = CELLS[self.cell]
        units = row.gates * self.units
        second = {SECOND: (units,)} if row.biases == 2 else {}
        shapes = {"weight": (units, self.fan_in), "recurrent_weight": (units, self.units), "bias": (units,), **second}
        return {direction + kind: shape for kind, shape in shapes.items()}

    @property
    def parameters(self) -> dict[str, Shape]:
        """Those of all directions."""
        return {kind: shape for direction in self.directions for kind, shape in self.of_direction(direction).items()}


@dataclass(frozen=True)
class NormalizeInTime(Normalize, InTime):
    """A normalization over the units of every time step."""


@dataclass(frozen=True)
class Read(Node):
    """What of a sequence of `length` outputs is read: the last one, or the mean of all.

    With `both`, half of the units are those of the backward direction, whose last output stands at the first time step.
    """

    length: int
    outputs: str
    both: bool = False


@dataclass(frozen=True)
class ReadEach(Node):
    """Every one of a sequence's `length` outputs, one after the other."""

    length: int
