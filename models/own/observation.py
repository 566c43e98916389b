"""What is asked of an own model and what comes back: plain numbers for every array, since a model may have millions of parameters."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from models.own.address import OwnModel


@dataclass
class OwnJob:
    """One model on one backend, seeded by `seed` before its factory is called; `compiled` also runs what takes a compiler."""

    model: OwnModel
    device: str = "cpu"
    seed: int = 0
    compiled: bool = False


@dataclass
class Deviation:
    """How far one array is from the float64 twin's.

    `kind` says what it is (`gradient`, `output`, …) and `name` whose. `size` is the length of the twin's, `seen` of the framework's,
    `cosine` that between them, `error` the length of their difference, `rounding` the root mean square length of what rounding moves it.
    `moved` is the length of the way that an optimizer step went, `reach` that of the loss's gradient at the output of the parameter's
    module. `bad` entries are NaN or infinite. `unit` is the unit roundoff of the format that computed it, 0 for float32's.
    """

    kind: str
    name: str
    size: float
    seen: float
    cosine: float
    error: float
    rounding: float
    moved: float = 0.0
    reach: float = 0.0
    bad: int = 0
    step: int | None = None
    unit: float = 0.0


@dataclass
class Slope:
    """The loss's derivative as `names` move along their gradients: by the gradient, by differences of the loss, and their own error."""

    names: list[str]
    by_gradient: float
    by_difference: float
    error: float


@dataclass
class Counted:
    """How many entries of one array are not as they must be: not finite, or other bits than before."""

    kind: str
    name: str
    entries: int
    step: int | None = None


@dataclass
class Variant:
    """One way to run the same training step, such as `compile`, and how far it leads from the twin.

    `absent` says why this model has none, `undecided` why it was run and cannot be judged, `failed` what it raised.
    """

    name: str
    deviations: list[Deviation] = field(default_factory=list)
    absent: str = ""
    undecided: str = ""
    failed: str = ""


@dataclass
class LayerSeen:
    """One layer in depth: its class, ‖∂L/∂z‖ at its output z, share of dead units and of saturated values.

    `weight` says that it has weights. `dead` and `saturated` are −1 where the layer is no activation of that kind.
    """

    name: str
    kind: str
    gradient: float
    weight: bool = False
    dead: float = -1.0
    saturated: float = -1.0


@dataclass
class OwnObservation:
    """Everything one backend did with one model. Without a twin, `no_twin` says why, and what needs one is empty.

    `undecided` says why gradients, `unevaluated` why outputs in evaluation, and `unsloped` why differences of the loss cannot be judged
    although there is one. `unstepped` says why steps of the optimizer were not looked at. What is learned and
    yet written by the forward pass itself is `rewritten`: its steps are not looked at. Of what is `hooked` a hook of the user's changes the
    gradient by choice: it has no slope. `trains` says that it has data and an optimizer.
    `perhaps` are infinite entries that may be a mask, of which nothing but a twin tells. What is `wider` is float64 in the model itself.
    """

    backend: str
    versions: dict[str, str]
    device: str = "cpu"
    parameters: int = 0
    precision: str = "float32"
    trains: bool = False
    no_twin: str = ""
    undecided: str = ""
    unevaluated: str = ""
    unsloped: str = ""
    unstepped: str = ""
    rewritten: list[str] = field(default_factory=list)
    hooked: list[str] = field(default_factory=list)
    wider: list[str] = field(default_factory=list)
    finite: list[Counted] = field(default_factory=list)
    perhaps: list[Counted] = field(default_factory=list)
    repeated: list[Counted] = field(default_factory=list)
    forward: list[Deviation] = field(default_factory=list)
    gradients: list[Deviation] = field(default_factory=list)
    slopes: list[Slope] = field(default_factory=list)
    statistics: list[Deviation] = field(default_factory=list)
    updates: list[Deviation] = field(default_factory=list)
    kept: list[Counted] = field(default_factory=list)
    evaluation: list[Deviation] = field(default_factory=list)
    traces: list[Counted] = field(default_factory=list)
    variants: list[Variant] = field(default_factory=list)
    layers: list[LayerSeen] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    seconds: float = 0.0


def surrogate_gradients(functions: dict[str, str], hooks: Iterable[str] = ()) -> str:
    """Why a gradient need not be the loss's derivative: what the forward pass of the user's functions does, and what hooks change."""
    by_functions = (
        f"the forward pass of {name} {what}, so that its gradient is one of its author's choice" for name, what in functions.items()
    )
    return "; ".join((*by_functions, *(f"a hook of {name} changes the gradient on its way" for name in hooks)))
