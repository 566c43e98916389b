"""Recurrent networks: a sample's features read one after the other, up to three layers of cells, and a read-out.

Nodes are `steps` (the sequence), `recurrent1`, `recurrent2`, …, with `between1`, … where outputs are normalized, `read` (what of the last
one is read out) and the dense read-out, which has the next number.
"""

from __future__ import annotations

import math
from typing import ClassVar

import msgspec

from models.fields import SpecError, check_choices, check_positive, check_whole
from models.graph import Graph
from models.nodes import INPUT, Dense, Node, NormalizeInTime, Read, Recurrent, Steps
from models.parts.cells import CELLS, CHRONO
from models.parts.norms import NORMS
from models.parts.parametrizations import NONE, PARAMETRIZATIONS
from models.parts.recurrences import RECURRENCES

FORGETS = "0", "1", CHRONO
MOST_LAYERS, LONGEST = 3, 1020
"""How many layers and time steps a network may have: to copy ten symbols over a lag of 1,000 takes ten steps before and ten after."""
MOST_PIECES = 64
"""Into how many pieces `truncated` may cut a sequence: Keras traces the layer once a piece, and 64 of a GRU took 42 s and 1.7 GB."""


class RNN(msgspec.Struct, frozen=True, kw_only=True, tag_field="family", tag="rnn"):
    """One recurrent network.

    `layers` of `width` units read `length` time steps. A step brings an equal share of the features; a sequence longer than the
    features brings one a step, and zeros after the last one. `outputs` says what is read out: the last one, or the mean of all.
    `recurrent` is how recurrent weights begin, `radius` their spectral radius, `forget` the bias that an LSTM's forget gate begins with
    where biases begin at zero: 0, 1, or drawn for memories of up to `length` steps (Tallec & Ollivier 2018). With `direction=both` each
    layer also reads backwards, by `width` units of its own. With `lengths=uneven` samples end at different steps, and the rest is masked.
    `between` is the normalization of each layer's outputs. After `truncated` steps the state is handed on without its gradient (0: never).
    With `parametrization=orthogonal` or `unitary` states are multiplied by such a matrix, made of a recurrent weight that begins as ever.
    Raises `SpecError` for an unknown value or a contradiction.
    """

    layers: int = 1
    width: int = 32
    length: int = 8
    cell: str = "tanh"
    outputs: str = "last"
    recurrent: str = "orthogonal"
    radius: float = 1.0
    forget: str = "1"
    direction: str = "forward"
    lengths: str = "equal"
    between: str = "none"
    truncated: int = 0
    parametrization: str = NONE

    SIZES: ClassVar[tuple[str, ...]] = ("layers", "width", "length")
    """Fields that an id names before those of the data."""
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "cell": tuple(CELLS), "outputs": ("last", "all"), "recurrent": ("default", *RECURRENCES),
        "forget": FORGETS, "direction": ("forward", "both"), "lengths": ("equal", "uneven"), "between": ("none", "layer", "rms"),
        "parametrization": (NONE, *PARAMETRIZATIONS),
    }  # fmt: skip
    STARTS: ClassVar[tuple[str, ...]] = ("recurrent", "radius", "forget")
    """Fields that say how weights begin and nothing else."""
    PRECISIONS: ClassVar[tuple[str, ...]] = ("float32", "float64", "mixed_bfloat16", "mixed_float16")
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
    last_width: ClassVar[int] = 0
    mirror: ClassVar[str] = "none"
    span: ClassVar[int] = 0
    blocks: ClassVar[int] = 0
    random: ClassVar[bool] = False
    layered: ClassVar[bool] = False
    predicted: ClassVar[bool] = False

    def __post_init__(self) -> None:
        """Refuse what cannot be built, in one sentence."""
        check_choices(self, self.CHOICES)
        check_whole(self, {"layers": 1, "width": 1, "length": 1, "truncated": 0})
        check_positive(self, "radius")
        if contradiction := self._contradiction():
            raise SpecError(contradiction)

    def _contradiction(self) -> str:
        """The sentence that says why these values do not go together, or nothing."""
        if self.layers > MOST_LAYERS:
            return f"layers={self.layers} is more than {MOST_LAYERS}, the most that a recurrent network has here."
        if self.length > LONGEST:
            return f"length={self.length} is more than {LONGEST:,}, the longest sequence here."
        if self.forget != "1" and CELLS[self.cell].forget is None:
            return f"forget is the bias of a forget gate, and cell={self.cell} has none: use cell=lstm."
        if self.recurrent == "identity" and CELLS[self.cell].gates > 1:
            return f"recurrent=identity is a start of simple cells, and cell={self.cell} has gates: use recurrent=orthogonal."
        if self.radius != 1 and not (self.recurrent in RECURRENCES and RECURRENCES[self.recurrent].scaled):
            return f"radius scales what begins at radius 1, and recurrent={self.recurrent} does not: use orthogonal, identity or normal."
        if self.forget == CHRONO and self.length < 3:
            return "forget=chrono draws memories between 1 and length − 1 steps: use length=3 or more."
        if self.direction == "both" and (self.forget == CHRONO or self.recurrent == "normal"):
            return "Keras's Bidirectional copies a layer by its configuration, which holds no function that draws: use direction=forward."
        if self.truncated and (self.direction == "both" or self.lengths == "uneven"):
            return "truncated hands the state on from step to step: use direction=forward and lengths=equal."
        if self.truncated >= self.length:
            return f"truncated={self.truncated} cuts no gradient in length={self.length} steps: use less."
        if self.truncated and (pieces := math.ceil(self.length / self.truncated)) > MOST_PIECES:
            least = math.ceil(self.length / MOST_PIECES)
            return f"truncated={self.truncated} makes {pieces:,} pieces of length={self.length}, each traced apart: use {least} or more."
        if self.parametrization != NONE and CELLS[self.cell].gates > 1:
            return f"parametrization={self.parametrization} is of one square weight, and cell={self.cell} has one a gate: use cell=tanh."
        if self.parametrization != NONE and self.radius != 1:
            return f"parametrization={self.parametrization} keeps every recurrence at radius 1: leave out radius={self.radius:g}."
        if self.parametrization == "unitary" and self.width % 2:
            return f"parametrization=unitary takes units in pairs, and width={self.width} is odd: use an even width."
        if self.between == "rms" and self.lengths == "uneven":
            return "between=rms loses the mask in Keras, whose RMSNormalization supports none: use between=layer."
        if self.between != "none" and self.width * (1 + (self.direction == "both")) < 3:
            return f"between={self.between} over so few units gives the same whatever comes in: use more units."
        return ""

    def contradicts(self, batch: int, features: int, precision: str) -> str:
        """The sentence that says why this network cannot be trained on such data, or nothing."""
        if self.length <= features and features % self.length:
            return f"length={self.length} must divide the {features} features, so that each step brings as many, or be more than they are."
        if precision not in self.PRECISIONS:
            return f"precision={precision} is not judged in recurrent networks yet: use {' or '.join(self.PRECISIONS)}."
        if precision.startswith("mixed") and CELLS[self.cell].kink:
            return f"{precision} puts units of cell={self.cell} on the other side of their kink from step to step: use cell=tanh."
        if precision.startswith("mixed") and self.parametrization != NONE:
            return f"parametrization={self.parametrization} solves equations, which no framework does in half precision: use float32."
        return ""

    def trained(self, precision: str) -> bool:
        """Whether it is trained and recorded: one network a cell that both frameworks have, since steps through time take long."""
        return self == RNN(cell=self.cell) and CELLS[self.cell].torch is not None and precision == "float32"

    @property
    def described(self) -> tuple[str, ...]:
        """Its parts in words."""
        layers = f"{self.layers} {self.cell} layer{'s' * (self.layers > 1)}"
        read = "last output read" if self.outputs == "last" else "mean of all outputs read"
        start = f"{self.recurrent} recurrent weights of radius {self.radius:g}"
        more = (
            f"forget bias {self.forget}" if self.forget != RNN().forget else "",
            "both directions" if self.direction == "both" else "",
            "uneven lengths" if self.lengths == "uneven" else "",
            f"{self.between} norm of outputs" if self.between != "none" else "",
            f"no gradient past {self.truncated} steps" if self.truncated else "",
            f"kept {self.parametrization}" if self.parametrization != NONE else "",
        )
        return layers, f"width {self.width}", f"{self.length} time steps", read, start, *filter(None, more)

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
        cell, wide, frame = CELLS[self.cell], self.wide, self.frame(features)
        inputs = frame + (self.layers - 1) * wide
        weights = cell.gates * wide * (inputs + self.layers * (self.width + cell.biases))
        learned = self.layers * wide * len(NORMS[self.between].parameters) if self.between != "none" else 0
        in_time = self.length * (frame + (1 + (self.between != "none")) * self.layers * wide)
        return weights + learned + classes * (wide + 1), in_time + wide + classes

    @property
    def wide(self) -> int:
        """Units of all directions together."""
        return self.width * (2 if self.direction == "both" else 1)

    def frame(self, features: int) -> int:
        """How many features a time step brings."""
        return max(1, features // self.length)

    def build(self, features: int, classes: int) -> Graph:
        """The graph."""
        nodes: list[Node] = [Steps("steps", (INPUT,), self.frame(features), self.length, features, self.lengths == "uneven")]
        for layer in range(1, self.layers + 1):
            name, below, fan_in = f"recurrent{layer}", (nodes[-1].name,), nodes[-1].width
            start = self.recurrent, self.radius, self.forget
            more = self.direction == "both", self.truncated, self.parametrization
            nodes.append(Recurrent(name, below, self.wide, self.length, self.cell, fan_in, *start, *more))
            if self.between != "none":
                settings = self.length, self.between, self.eps, self.momentum, self.groups
                nodes.append(NormalizeInTime(f"between{layer}", (name,), self.wide, *settings))
        nodes.append(Read("read", (nodes[-1].name,), self.wide, self.length, self.outputs, self.direction == "both"))
        nodes.append(Dense(f"dense{self.layers + 1}", ("read",), classes, self.wide))
        return Graph(tuple(nodes))
