"""One network and how it is trained, described without any framework.

A `Spec` says everything about a case. Every default on which frameworks differ (epsilon, momentum, initializer, bias, …) is a field
of it or of its architecture, so that no backend uses its own.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import get_type_hints

import msgspec

from models.architectures import FAMILIES, Architecture
from models.architectures.mlp import MLP
from models.backends.registry import info
from models.fields import LARGEST_FLOAT, SpecError, check_choices, check_positive, check_whole, nearest, plain, shown
from models.parts.clips import CLIPS
from models.parts.initializers import INITIALIZERS
from models.parts.losses import LOSSES
from models.parts.optimizers import EPSILON, OPTIMIZERS
from models.parts.precisions import PRECISIONS, Precision
from models.parts.schedules import SCHEDULES

__all__ = ["Spec", "SpecError", "Value"]

CHOICES: dict[str, tuple[str, ...]] = {
    "init": ("default", *INITIALIZERS),
    "bias": ("zero", "normal"),
    "clip": tuple(CLIPS),
    "optimizer": tuple(OPTIMIZERS),
    "schedule": tuple(SCHEDULES),
    "loss": tuple(LOSSES),
    "input": ("centred", "shifted", "far", "tiny", "huge", "saturated"),
    "precision": tuple(PRECISIONS),
}
"""What a field may be: the rows of its table in `models/parts/`, so that a new row is a new choice."""
DATA = ("batch", "classes", "features")
"""Fields that an id names between the sizes of the architecture and all others."""
Value = int | float | str


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One architecture, its loss and its optimizer; the defaults are the reference network.

    `clip_at` is the threshold of clipping. Networks with a `schedule` are judged step by step and not trained, because trainings have
    one of their own. `optimizer_eps` is what an optimizer adds to the root that it divides by, or under that root.
    `l1` adds `l1·Σ|w|` over weights to the loss, `l2` adds `l2·w` to a weight's gradient, `decay` is decoupled (`lr·decay·w`); biases are
    never decayed. Networks whose `input` is not centred are judged step by step and not trained. `loss_scale` multiplies the loss at first
    in `mixed_float16`. It is under what the frameworks begin with (2¹⁵ and 2¹⁶), because a healthy network's first steps overflow there
    now and then and are skipped. `scale_growth` is the number of steps without overflow after which it doubles.
    `computed_by` is no field of a network: the judge names there the library whose faults of activations the reference shares, where it
    asks what a known failure explains.
    Raises `SpecError` for an unknown value or a contradiction.
    """

    arch: Architecture = field(default_factory=MLP)
    batch: int = 64
    classes: int = 10
    features: int = 64
    init: str = "he_normal"
    bias: str = "zero"
    clip: str = "none"
    clip_at: float = 1.0
    optimizer: str = "momentum"
    lr: float = 0.0
    schedule: str = "constant"
    optimizer_eps: float = EPSILON
    l1: float = 0.0
    l2: float = 0.0
    decay: float = 0.0
    loss: str = "cross_entropy"
    target_scale: float = 1.0
    input: str = "centred"
    precision: str = "float32"
    loss_scale: float = 1024.0
    scale_growth: int = 2000
    computed_by: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be trained, in one sentence."""
        check_choices(self, CHOICES)
        check_whole(self, {"batch": 1, "classes": 1, "features": 1, "scale_growth": 1})
        check_positive(self, "clip_at", "target_scale", "loss_scale", "optimizer_eps")
        check_positive(self, "lr", "l1", "l2", "decay", or_zero=True)
        if contradiction := self.arch.contradicts(self.batch, self.features, self.precision) or self._contradiction():
            raise SpecError(contradiction)

    def _contradiction(self) -> str:
        """The sentence that says why these values do not go together, or nothing."""
        if self.classes == 1 and not LOSSES[self.loss].scaled:
            return f"classes=1 is one number and no class, which loss={self.loss} cannot tell: use classes=2 or more, or loss=mse."
        row = OPTIMIZERS[self.optimizer]
        if self.decay and not row.decays:
            instead = "takes l2" if row.coupled else "takes none"
            return f"decay is decoupled weight decay, which PyTorch has in adamw and muon only; optimizer={self.optimizer} {instead}."
        if self.l2 and not row.coupled:
            instead = "use decay instead of l2" if row.decays else "leave out l2"
            return f"{self.optimizer} decouples its weight decay: {instead}, or optimizer=adam."
        if self.optimizer_eps != Spec.optimizer_eps and not row.epsilon:
            return f"optimizer_eps is no part of {self.optimizer}'s rule: leave it out, or use optimizer=adam."
        if self.target_scale != 1 and not LOSSES[self.loss].scaled:
            return f"target_scale scales regression targets, and loss={self.loss} has none: use loss=mse or loss=huber."
        if self.format.half and not LOSSES[self.loss].half:
            return f"PyTorch refuses loss={self.loss} in mixed precision as unsafe: use precision=float32, or loss=binary_cross_entropy."
        if self.target_scale > LARGEST_FLOAT**0.5:
            return f"target_scale={plain(self.target_scale)} has a square beyond float32: use at most {LARGEST_FLOAT**0.5:.2g}."
        if (self.loss_scale, self.scale_growth) != (Spec.loss_scale, Spec.scale_growth) and not self.format.scaled:
            return f"loss_scale and scale_growth belong to precision=mixed_float16, and precision={self.precision} scales no loss."
        learned = self.arch.build(self.features, self.classes).parameters if self.optimizer == "adafactor" else {}
        if any(len(shape) > 2 for shape in learned.values()):
            return "adafactor keeps rows and columns of a matrix, and frameworks take other ones of a kernel: use optimizer=adam."
        if self.input == "huge" and self.precision == "mixed_float16":
            return "input=huge lies beyond float16's largest number, 65,504: use precision=mixed_bfloat16."
        if math.frexp(self.loss_scale)[0] != 0.5:
            return f"loss_scale={plain(self.loss_scale)} must be a power of two, so that scaling rounds nothing."
        return ""

    @property
    def format(self) -> Precision:
        """The row of the spec's precision."""
        return PRECISIONS[self.precision]

    @property
    def centred(self) -> bool:
        """Whether inputs are as theory supposes them; networks on unfriendly inputs are judged step by step."""
        return self.input == "centred"

    @property
    def trained(self) -> bool:
        """Whether it is trained: its family is, at a constant rate, inputs are friendly, and gradients stay off float16's floor."""
        return self.arch.trained(self.precision) and self.centred and self.above_floor and self.schedule == Spec.schedule

    @property
    def above_floor(self) -> bool:
        """Whether the loss scale keeps gradients off float16's floor, where relations between them hold to the floor only."""
        return self.loss_scale >= Spec.loss_scale

    @property
    def first_scale(self) -> float:
        """What the loss is multiplied with at first: 1 where the precision scales none."""
        return self.loss_scale if self.format.scaled else 1.0

    @property
    def learning_rate(self) -> float:
        """The step size: `lr`, or the one that goes with the optimizer where `lr` is 0."""
        return self.lr or OPTIMIZERS[self.optimizer].lr

    @property
    def built_as(self) -> Spec | None:
        """The network that a framework builds and compiles alike: this one with the reference's start, inputs and learning rate.

        None where the parts themselves draw, so that a network goes on where the last one left off, or where a schedule sets the rate.
        """
        if self.arch.random or self.schedule != Spec.schedule:
            return None
        usual = Spec(arch=type(self.arch)()).fields
        return self.but(**{name: usual[name] for name in ("init", "bias", "input", "lr", "target_scale", *self.arch.STARTS)})

    @property
    def in_float64(self) -> Spec:
        """The same network in float64."""
        return self.but(precision="float64", loss_scale=Spec.loss_scale, scale_growth=Spec.scale_growth)

    def on(self, backend: str) -> Spec:
        """The same network with `init=default` replaced by what that backend calls its default."""
        return info(backend).own(self)

    def but(self, **changes: Value) -> Spec:
        """The same network with some fields changed, the architecture's among them."""
        own = {name: changes.pop(name) for name in self.arch.__struct_fields__ if name in changes}
        return dataclasses.replace(self, arch=msgspec.structs.replace(self.arch, **own), **changes)  # type: ignore[arg-type]

    @property
    def fields(self) -> dict[str, Value]:
        """Every field with its value, the architecture's among them, in the order in which an id names them."""
        own = self.arch.__struct_fields__
        return {name: getattr(self.arch if name in own else self, name) for name in _kinds(type(self.arch))}

    @property
    def id(self) -> str:
        """What moved from the reference network, as `field=value,…`; `reference` when nothing did."""
        family, usual = type(self.arch), Spec(arch=type(self.arch)()).fields
        moved = [] if family is MLP else [next(word for word, each in FAMILIES.items() if each is family)]
        moved += [f"{name}={plain(value)}" for name, value in self.fields.items() if value != usual[name]]
        return ",".join(moved) or "reference"

    @classmethod
    def of(cls, family: str = "mlp", **fields: Value) -> Spec:
        """A network by its fields, those of the architecture among them: `Spec.of(depth=40, loss="mse")`."""
        names = FAMILIES[family].__struct_fields__
        own = {name: fields.pop(name) for name in names if name in fields}
        return cls(arch=FAMILIES[family](**own), **fields)  # type: ignore[arg-type]

    @classmethod
    def parse(cls, text: str, **given: Value) -> Spec:
        """Read `depth=40,act=sigmoid` (an `id`) back into a Spec; fields that the text leaves out are as `given`. Raises SpecError."""
        items = [item for part in text.split(",") if (item := part.strip()) and item != "reference"]
        family = items.pop(0) if items and items[0] in FAMILIES else "mlp"
        kinds, values = _kinds(FAMILIES[family]), dict[str, Value]()
        for item in items:
            name, equals, value = (part.strip() for part in item.partition("="))
            if not equals or name not in kinds:
                raise SpecError(_unknown(item, name, bool(equals), kinds))
            if name in values:
                raise SpecError(f"{name} is given twice in '{shown(text)}': write each field once.")
            try:
                values[name] = kinds[name](value)
            except ValueError:
                raise SpecError(f"{name}={shown(value)} must be a {'whole ' if kinds[name] is int else ''}number.") from None
        return cls.of(family, **(given | values))


def _unknown(item: str, name: str, has_value: bool, kinds: Mapping[str, type[Value]]) -> str:
    """Why an item is no field, and what to write."""
    if name in kinds:
        return f"{name} has no value: write field=value, as in {name}=…."
    if name == "family" and has_value:
        return f"a family is written first and alone: one of {', '.join(FAMILIES)}, as in rnn,cell=lstm."
    owners = [word for word, family in FAMILIES.items() if name in _kinds(family)]
    if owners:
        return f"{name} is a field of {' and '.join(owners)} networks: write {owners[0]},{shown(item)}."
    return f"'{shown(item)}' is not a field of a network{nearest(name, kinds)}; write field=value, a field out of {', '.join(kinds)}."


@cache
def _kinds(family: type[Architecture]) -> dict[str, type[Value]]:
    """Every field of a network of this family by name, with its type, in the order in which an id names them."""
    shared, own = ({name: kind for name, kind in get_type_hints(each).items() if kind in (int, float, str)} for each in (Spec, family))
    return {name: (own | shared)[name] for name in (*family.SIZES, *DATA, *own, *shared)}
