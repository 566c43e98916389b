"""Recurrent networks: a sample's features read one after the other, up to three layers of cells, and a read-out.

Nodes are `steps` (the sequence), `recurrent1`, `recurrent2`, …, `read` (what of the last one is read out) and the dense read-out, which
has the next number.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from models.fields import SpecError, check_choices, check_positive, check_whole
from models.graph import INPUT, Dense, Graph, Node, Read, Recurrent, Steps
from models.parts.cells import CELLS
from models.parts.recurrences import RECURRENCES

MOST_LAYERS, LONGEST = 3, 1000
"""How many layers and time steps a network may have."""


class RNN(msgspec.Struct, frozen=True, kw_only=True, tag_field="family", tag="rnn"):
    """One recurrent network.

    `layers` of `width` units read `length` time steps. A step brings an equal share of the features; a sequence longer than the
    features brings one a step, and zeros after the last one. `outputs` says what is read out: the last one, or the mean of all.
    `recurrent` is how recurrent weights begin, `radius` their spectral radius, `forget` the bias that an LSTM's forget gate begins with
    where biases begin at zero. Raises `SpecError` for an unknown value or a contradiction.
    """

    layers: int = 1
    width: int = 32
    length: int = 8
    cell: str = "tanh"
    outputs: str = "last"
    recurrent: str = "orthogonal"
    radius: float = 1.0
    forget: int = 1

    SIZES: ClassVar[tuple[str, ...]] = ("layers", "width", "length")
    """Fields that an id names before those of the data."""
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "cell": tuple(CELLS), "outputs": ("last", "all"), "recurrent": ("default", *RECURRENCES),
    }  # fmt: skip
    STARTS: ClassVar[tuple[str, ...]] = ("recurrent", "radius", "forget")
    """Fields that say how weights begin and nothing else."""
    PRECISIONS: ClassVar[tuple[str, ...]] = ("float32", "float64")
    """What the reference of a cell is written out for."""

    # What laws of layers ask of any network: this one has no normalization, no skip connection, and nothing that draws.
    norm: ClassVar[str] = "none"
    norm_at: ClassVar[str] = "before"
    eps: ClassVar[float] = 1e-5
    momentum: ClassVar[float] = 0.9
    groups: ClassVar[int] = 1
    skip: ClassVar[str] = "none"
    skip_order: ClassVar[str] = "post"
    branch: ClassVar[str] = "unscaled"
    bottleneck: ClassVar[int] = 1
    span: ClassVar[int] = 0
    blocks: ClassVar[int] = 0
    random: ClassVar[bool] = False
    layered: ClassVar[bool] = False
    trained: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built, in one sentence."""
        check_choices(self, self.CHOICES)
        check_whole(self, {"layers": 1, "width": 1, "length": 1, "forget": 0})
        check_positive(self, "radius")
        if contradiction := self._contradiction():
            raise SpecError(contradiction)

    def _contradiction(self) -> str:
        """The sentence that says why these values do not go together, or nothing."""
        if self.layers > MOST_LAYERS:
            return f"layers={self.layers} is more than {MOST_LAYERS}, the most that a recurrent network has here."
        if self.length > LONGEST:
            return f"length={self.length} is more than {LONGEST:,}, the longest sequence here."
        if self.forget > 1:
            return f"forget={self.forget} is the first bias of a forget gate, which is 0 or 1."
        if self.forget != 1 and CELLS[self.cell].forget is None:
            return f"forget is the bias of a forget gate, and cell={self.cell} has none: use cell=lstm."
        if self.recurrent == "identity" and CELLS[self.cell].gates > 1:
            return f"recurrent=identity is a start of simple cells, and cell={self.cell} has gates: use recurrent=orthogonal."
        if self.radius != 1 and not (self.recurrent in RECURRENCES and RECURRENCES[self.recurrent].scaled):
            return f"radius scales what begins at radius 1, and recurrent={self.recurrent} does not: use orthogonal, identity or normal."
        return ""

    def contradicts(self, batch: int, features: int, precision: str) -> str:
        """The sentence that says why this network cannot be trained on such data, or nothing."""
        if self.length <= features and features % self.length:
            return f"length={self.length} must divide the {features} features, so that each step brings as many, or be more than they are."
        if precision not in self.PRECISIONS:
            return f"precision={precision} is not judged in recurrent networks yet: use {' or '.join(self.PRECISIONS)}."
        return ""

    @property
    def described(self) -> tuple[str, ...]:
        """Its parts in words."""
        layers = f"{self.layers} {self.cell} layer{'s' * (self.layers > 1)}"
        read = "last output read" if self.outputs == "last" else "mean of all outputs read"
        start = f"{self.recurrent} recurrent weights of radius {self.radius:g}"
        return layers, f"width {self.width}", f"{self.length} time steps", read, start

    @property
    def depth(self) -> int:
        """Weight layers, the read-out included."""
        return self.layers + 1

    @property
    def act(self) -> str:
        """The activation of what a layer hands on."""
        return CELLS[self.cell].act

    def size(self, features: int, classes: int) -> tuple[int, int]:
        """How many numbers are learned, and how many units all nodes have together; nothing is built for it."""
        cell = CELLS[self.cell]
        weights = cell.gates * self.width * (self.frame(features) + (2 * self.layers - 1) * self.width + cell.biases * self.layers)
        in_time = self.length * (self.frame(features) + self.layers * self.width)
        return weights + classes * (self.width + 1), in_time + self.width + classes

    def frame(self, features: int) -> int:
        """How many features a time step brings."""
        return max(1, features // self.length)

    def build(self, features: int, classes: int) -> Graph:
        """The graph."""
        nodes: list[Node] = [Steps("steps", (INPUT,), self.frame(features), self.length, features)]
        for layer in range(1, self.layers + 1):
            name, below, fan_in = f"recurrent{layer}", (nodes[-1].name,), nodes[-1].width
            start = self.recurrent, self.radius, self.forget
            nodes.append(Recurrent(name, below, self.width, self.length, self.cell, fan_in, *start))
        nodes.append(Read("read", (nodes[-1].name,), self.width, self.length, self.outputs))
        nodes.append(Dense(f"dense{self.layers + 1}", ("read",), classes, self.width))
        return Graph(tuple(nodes))
