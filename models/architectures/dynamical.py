"""Networks as discretised dynamics of a state: antisymmetric, Hamiltonian and reversible ones.

The state is `dense1`. Layer 5 is `dense5`, `act5` and `sum5`. Where halves of the state move in turn, they begin as `upper` and `lower` and
are put together by `join`; the half-step back of a Hamiltonian layer is `back5`, `backact5` and `backsum5`.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from models.fields import SpecError, check_choices, check_positive, check_whole
from models.graph import Graph
from models.nodes import INPUT, Activate, Antisymmetric, Dense, Join, Node, Part, Sum, Transposed
from models.parts.activations import ACTIVATIONS


class ODE(msgspec.Struct, frozen=True, kw_only=True, tag_field="family", tag="ode"):
    """One network whose layers are steps of size `step` of a differential equation, between a dense layer and the read-out.

    `depth` counts weight layers, both ends included. `antisymmetric`: h += step · φ((W − Wᵀ − damping) h + b) (Haber & Ruthotto 2017).
    Others move halves of the state: `hamiltonian` y += step · φ(W z + b), then z −= step · φ(Wᵀ y + c), each layer both (the same);
    `reversible` x += step · φ(W y + b), each layer one half in turn, which can be taken back exactly (Gomez et al. 2017).
    Raises `SpecError` for an unknown value or a contradiction.
    """

    depth: int = 16
    width: int = 64
    dynamics: str = "antisymmetric"
    act: str = "tanh"
    step: float = 0.1
    damping: float = 0.0

    SIZES: ClassVar[tuple[str, ...]] = ("depth", "width")
    """Fields that an id names before those of the data."""
    CHOICES: ClassVar[dict[str, tuple[str, ...]]] = {
        "dynamics": ("antisymmetric", "hamiltonian", "reversible"),
        "act": tuple(ACTIVATIONS),
    }
    STARTS: ClassVar[tuple[str, ...]] = ()
    """Fields that say how weights begin and nothing else."""
    PRECISIONS: ClassVar[tuple[str, ...]] = ("float32", "float64", "tf32")
    """What the reference of such layers is written out for."""

    # What laws of layers ask of any network: this one has no such parts.
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
    layered: ClassVar[bool] = False
    predicted: ClassVar[bool] = True

    def __post_init__(self) -> None:
        """Refuse what cannot be built, in one sentence."""
        check_choices(self, self.CHOICES)
        check_whole(self, {"depth": 3, "width": 1})
        check_positive(self, "step")
        check_positive(self, "damping", or_zero=True)
        if self.damping and self.dynamics != "antisymmetric":
            raise SpecError(f"damping is taken off an antisymmetric matrix, which dynamics={self.dynamics} has none of: leave it out.")
        if self.halved and self.width % 2:
            raise SpecError(f"dynamics={self.dynamics} moves halves of the state, and width={self.width} has none: use an even width.")

    def contradicts(self, batch: int, features: int, precision: str) -> str:
        """The sentence that says why this network cannot be trained on such data, or nothing."""
        if precision not in self.PRECISIONS:
            return f"precision={precision} is not judged in discretised dynamics yet: use {' or '.join(self.PRECISIONS)}."
        return ""

    def trained(self, precision: str) -> bool:
        """Whether such networks are trained and recorded: all are."""
        return True

    @property
    def halved(self) -> bool:
        """Whether halves of the state move in turn."""
        return self.dynamics != "antisymmetric"

    @property
    def random(self) -> bool:
        """Whether its parts draw random numbers while it trains."""
        return ACTIVATIONS[self.act].random

    @property
    def described(self) -> tuple[str, ...]:
        """Its parts in words."""
        damping = (f"damping {self.damping:g}",) if self.damping else ()
        return f"depth {self.depth}", f"width {self.width}", f"{self.dynamics} dynamics", self.act, f"step {self.step:g}", *damping

    def size(self, features: int, classes: int) -> tuple[int, int]:
        """How many numbers are learned, and how many units all nodes have together; nothing is built for it, however large it is."""
        moved = self.width // 2 if self.halved else self.width
        times, layers = 2 if self.dynamics == "hamiltonian" else 1, self.depth - 2
        learned = (features + 1) * self.width + layers * (moved**2 + times * moved) + (self.width + 1) * classes
        return learned, self.width * (3 if self.halved else 1) + layers * times * 3 * moved + classes

    def build(self, features: int, classes: int) -> Graph:
        """The graph."""
        nodes: list[Node] = [Dense("dense1", (INPUT,), self.width, features)]
        nodes += self._in_halves() if self.halved else self._whole()
        return Graph((*nodes, Dense(f"dense{self.depth}", (nodes[-1].name,), classes, self.width)))

    def _whole(self) -> list[Node]:
        nodes, state = list[Node](), "dense1"
        for layer in range(2, self.depth):
            turned = Antisymmetric(f"dense{layer}", (state,), self.width, self.width, damping=self.damping)
            nodes += [turned, *self._moved(state, turned, f"act{layer}", f"sum{layer}", self.step)]
            state = nodes[-1].name
        return nodes

    def _in_halves(self) -> list[Node]:
        half = self.width // 2
        nodes: list[Node] = [Part("upper", ("dense1",), half, 0, self.width), Part("lower", ("dense1",), half, half, self.width)]
        moved, read = "upper", "lower"
        for layer in range(2, self.depth):
            dense = Dense(f"dense{layer}", (read,), half, half)
            nodes += [dense, *self._moved(moved, dense, f"act{layer}", f"sum{layer}", self.step)]
            moved = nodes[-1].name
            if self.dynamics == "hamiltonian":
                back = Transposed(f"back{layer}", (moved,), half, half, dense.name)
                nodes += [back, *self._moved(read, back, f"backact{layer}", f"backsum{layer}", -self.step)]
                read = nodes[-1].name
            else:
                moved, read = read, moved
        return [*nodes, Join("join", (moved, read), self.width)]

    def _moved(self, state: str, force: Node, act: str, name: str, step: float) -> list[Node]:
        return [Activate(act, (force.name,), force.width, self.act), Sum(name, (state, act), force.width, 1.0, step)]
