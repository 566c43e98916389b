"""The kinds of nodes of a network: what each reads, what it learns, and the shape of its result.

A node computes one result from the results of other nodes. Parameters are named `node.kind`: `dense5.weight`, `norm5.scale`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from models.naming import layer_of
from models.parts.cells import CELLS
from models.parts.norms import NORMS
from models.parts.paddings import PADDINGS
from models.parts.parametrizations import NONE

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
class Dense(Node):
    """z = W h + b with W (fan-out, fan-in). `zero` starts W at zero."""

    fan_in: int
    zero: bool = False

    @property
    def fan_out(self) -> int:
        """Units of the result."""
        return self.width

    @property
    def weight(self) -> str:
        """The name of W."""
        return f"{self.name}.weight"

    @property
    def bias(self) -> str:
        """The name of b."""
        return f"{self.name}.bias"

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


@dataclass(frozen=True)
class InSpace(Node):
    """A node whose result is a square image of `size` × `size` pixels, `width` channels each: (batch × channels × size × size)."""

    size: int

    @property
    def per_sample(self) -> Shape:
        """Channels, rows and columns."""
        return (self.width, self.size, self.size)


@dataclass(frozen=True)
class Image(InSpace):
    """The features of a sample as an image of one channel, row after row."""


@dataclass(frozen=True)
class Windowed(InSpace):
    """A window of `kernel` × `kernel` taps, `dilation` pixels apart, moved by `stride` pixels over a padded image of `size_below`."""

    size_below: int
    kernel: int
    stride: int
    padding: str
    dilation: int = 1

    @property
    def reach(self) -> int:
        """Pixels from the window's first tap to its last, both included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def pads(self) -> tuple[int, int]:
        """Rows added above and below, and as many columns before and behind."""
        return PADDINGS[self.padding].pads(self.size_below, self.reach, self.stride)


@dataclass(frozen=True)
class Conv(Windowed):
    """z = W ∗ h + b (cross-correlation, as frameworks have it) with W (channels, channels below / groups, kernel, kernel).

    Output channels of each of the `groups` read their share of the channels below. With `delta` all taps but the middle one begin at zero.
    """

    channels_below: int = 1
    groups: int = 1
    delta: bool = False

    @property
    def weight(self) -> str:
        """The name of W."""
        return f"{self.name}.weight"

    @property
    def bias(self) -> str:
        """The name of b."""
        return f"{self.name}.bias"

    @property
    def depthwise(self) -> bool:
        """Whether every channel is convolved by itself."""
        return self.groups == self.channels_below > 1

    @property
    def fan_in(self) -> int:
        """Summands of one number of the result, the bias apart."""
        return self.channels_below // self.groups * self.kernel**2

    @property
    def parameters(self) -> dict[str, Shape]:
        """Weight and bias."""
        return {"weight": (self.width, self.channels_below // self.groups, self.kernel, self.kernel), "bias": (self.width,)}


@dataclass(frozen=True)
class Pool(Windowed):
    """The `largest` number under the window, or their mean, in which padding is `counted` or not; `behind` is the activation below."""

    largest: bool = False
    counted: bool = False
    behind: str = ""

    @property
    def whole(self) -> bool:
        """Whether the window is the image."""
        return self.kernel == self.size_below and self.pads == (0, 0)


@dataclass(frozen=True)
class NormalizeInSpace(Normalize, InSpace):
    """A normalization of images by channels: over batch and pixels, over the channels of a pixel, or over groups of channels."""


@dataclass(frozen=True)
class Flatten(Node):
    """An image (channels × size × size) as units in a row, by their `order`: channels_first, or channels_last."""

    channels: int
    size: int
    order: str


WATCHED = Dense, InTime, Image, Conv, Pool
"""Kinds of nodes whose results are signals: dense nodes, sequences, and images but for their normalizations."""
