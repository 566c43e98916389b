"""One network and how it is trained, said without any framework.

A `Spec` is the whole truth about a case: every default on which frameworks differ (epsilon, momentum, initializer,
bias, …) is a field here, so that no backend can fall back on its own.
"""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass
from typing import Any, get_type_hints

from models.backends.registry import info
from models.parts.activations import ACTIVATIONS
from models.parts.clips import CLIPS
from models.parts.initializers import INITIALIZERS
from models.parts.losses import LOSSES
from models.parts.norms import NORMS
from models.parts.optimizers import OPTIMIZERS
from models.parts.precisions import PRECISIONS, Precision

CHOICES: dict[str, tuple[str, ...]] = {
    "act": tuple(ACTIVATIONS),
    "norm": ("none", *NORMS),
    "norm_at": ("before", "after"),
    "skip": ("none", "one", "two"),
    "skip_order": ("post", "pre"),
    "branch": ("unscaled", "root2", "depth", "zero"),
    "init": ("default", *INITIALIZERS),
    "bias": ("zero", "normal"),
    "clip": tuple(CLIPS),
    "optimizer": tuple(OPTIMIZERS),
    "loss": tuple(LOSSES),
    "input": ("centred", "shifted", "far", "tiny", "huge", "saturated"),
    "precision": tuple(PRECISIONS),
}
"""What a field may be: the rows of its table in `models/parts/`, so that a new row is a new choice."""

LARGEST = 2**31 - 1
"""The largest count: frameworks keep numbers of steps, units and samples in 32-bit integers here and there."""


class SpecError(ValueError):
    """A network that cannot be built; the message is one sentence that names the value and what is allowed."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One deep MLP, its loss and its optimizer; the defaults are the reference network.

    `depth` counts weight layers, the read-out included. Widths are in units, `momentum` is the weight of the old
    running statistic, `clip_at` the threshold, `l2` adds `l2·w` to a weight's gradient, `decay` is decoupled
    (`lr·decay·w`); biases are never decayed. `input` other than centred is unfriendly: such networks are judged step by step and not
    trained. `loss_scale` is what the loss is multiplied with at first in `mixed_float16`, under what the frameworks begin with (2¹⁵ and
    2¹⁶), because a healthy network's first steps overflow there now and then and are skipped; `scale_growth` is the number of
    steps without overflow after which it doubles. Raises `SpecError` for an unknown value or a contradiction.
    """

    depth: int = 16
    width: int = 64
    batch: int = 64
    classes: int = 10
    features: int = 64
    act: str = "relu"
    norm: str = "none"
    norm_at: str = "before"
    eps: float = 1e-5
    momentum: float = 0.9
    groups: int = 4
    skip: str = "none"
    skip_order: str = "post"
    branch: str = "unscaled"
    bottleneck: int = 1
    init: str = "he_normal"
    bias: str = "zero"
    clip: str = "none"
    clip_at: float = 1.0
    optimizer: str = "momentum"
    lr: float = 0.0
    l2: float = 0.0
    decay: float = 0.0
    loss: str = "cross_entropy"
    target_scale: float = 1.0
    input: str = "centred"
    precision: str = "float32"
    loss_scale: float = 1024.0
    scale_growth: int = 2000

    def __post_init__(self) -> None:
        """Reject what cannot be built, in one sentence."""
        for field, allowed in CHOICES.items():
            value = getattr(self, field)
            if value not in allowed:
                raise SpecError(f"{field}={value} is not known{_nearest(value, allowed)}; use one of {', '.join(allowed)}.")
        for field in ("depth", "width", "batch", "classes", "features", "groups", "bottleneck", "scale_growth"):
            least = 2 if field in ("depth", "classes") else 1
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise SpecError(f"{field}={value} must be a whole number of at least {least}.")
            if value > LARGEST:
                raise SpecError(f"{field}={value} is more than {LARGEST:,}, the largest number that every framework counts with.")
        for field in ("eps", "clip_at", "target_scale", "loss_scale"):
            if not (math.isfinite(getattr(self, field)) and getattr(self, field) > 0):
                raise SpecError(f"{field}={getattr(self, field)} must be a positive number.")
        for field in ("lr", "l2", "decay"):
            if not (math.isfinite(getattr(self, field)) and getattr(self, field) >= 0):
                raise SpecError(f"{field}={getattr(self, field)} must be zero or a positive number.")
        if not 0 <= self.momentum < 1:
            raise SpecError(f"momentum={self.momentum} is the weight of the old statistic and must lie in [0, 1).")
        if contradiction := self._contradiction():
            raise SpecError(contradiction)

    def _contradiction(self) -> str:
        """The sentence that says why these values do not go together, or nothing."""
        span = self.span
        if self.skip == "none" and (self.branch != "unscaled" or self.skip_order != "post"):
            return "branch and skip_order describe a skip connection, and skip=none has none: set skip=one or skip=two."
        if span and (self.depth - 2) % span:
            return f"skip={self.skip} joins hidden layers in {span}s, so depth - 2 must be a multiple of {span}; depth={self.depth} is not."
        if span and self.depth == 2:
            return "depth=2 has no hidden-to-hidden layer for a skip connection to span: use depth 4 or more."
        if self.bottleneck > 1:
            if self.skip == "one" or (self.depth - 2) % 2 or self.depth == 2:
                return f"bottleneck={self.bottleneck} narrows pairs of layers: use skip=none or skip=two, and an even depth from 4."
            if self.width % self.bottleneck:
                return f"bottleneck={self.bottleneck} must divide width={self.width}."
        if self.norm == "none" and self.norm_at != "before":
            return "norm_at says where a normalization stands, and norm=none has none: choose a norm."
        hidden = sorted({self.width, self.width // self.bottleneck})
        if self.norm == "group" and any(width % self.groups for width in hidden):
            return f"groups={self.groups} must divide every hidden width {hidden}."
        if self.norm == "batch" and self.batch < 4:
            return f"batch={self.batch} is too small for norm=batch: its mean gradient diverges below 4 samples."
        if self.decay and self.optimizer != "adamw":
            return f"decay is decoupled weight decay, which PyTorch has in adamw only; optimizer={self.optimizer} takes l2."
        if self.l2 and self.optimizer == "adamw":
            return "adamw decouples its weight decay: use decay instead of l2, or optimizer=adam."
        if self.target_scale != 1 and self.loss not in ("mse", "huber"):
            return f"target_scale scales regression targets, and loss={self.loss} has none: use loss=mse or loss=huber."
        if (self.loss_scale, self.scale_growth) != (Spec.loss_scale, Spec.scale_growth) and not self.format.scaled:
            return f"loss_scale and scale_growth belong to precision=mixed_float16, and precision={self.precision} scales no loss."
        if self.input == "huge" and self.precision == "mixed_float16":
            return "input=huge lies beyond float16's largest number, 65,504: use precision=mixed_bfloat16."
        if math.frexp(self.loss_scale)[0] != 0.5:
            return f"loss_scale={_plain(self.loss_scale)} must be a power of two, so that scaling rounds nothing."
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
        """Whether it is trained: not on unfriendly inputs, and not where the loss scale leaves gradients on float16's floor."""
        return self.centred and self.above_floor

    @property
    def above_floor(self) -> bool:
        """Whether the loss scale keeps gradients off float16's floor, where relations between them hold to the floor only."""
        return self.loss_scale >= Spec.loss_scale

    @property
    def first_scale(self) -> float:
        """What the loss is multiplied with at first: 1 where the precision scales none."""
        return self.loss_scale if self.format.scaled else 1.0

    @property
    def span(self) -> int:
        """How many weight layers one skip connection spans; 0 without skips."""
        return {"none": 0, "one": 1, "two": 2}[self.skip]

    @property
    def blocks(self) -> int:
        """How many residual blocks there are."""
        return (self.depth - 2) // self.span if self.span else 0

    @property
    def widths(self) -> tuple[int, ...]:
        """Units of the input and of every weight layer: `depth + 1` numbers, from features to classes."""
        hidden = [self.width]
        for layer in range(2, self.depth):
            hidden.append(self.width // self.bottleneck if layer % 2 == 0 else self.width)
        return (self.features, *hidden, self.classes)

    @property
    def learning_rate(self) -> float:
        """The step size: `lr`, or the one that goes with the optimizer where `lr` is 0."""
        return self.lr or OPTIMIZERS[self.optimizer].lr

    @property
    def graph(self) -> Spec | None:
        """The network that a framework builds and compiles alike: this one with the reference's start, inputs and learning rate.

        None where the parts themselves draw, so that a network goes on where the last one left off.
        """
        if ACTIVATIONS[self.act].random:
            return None
        return dataclasses.replace(self, **{name: getattr(Spec, name) for name in ("init", "bias", "input", "lr", "target_scale")})

    @property
    def id(self) -> str:
        """What moved from the reference network, as `field=value,…`; `reference` when nothing did."""
        moved = [f"{f.name}={_plain(getattr(self, f.name))}" for f in dataclasses.fields(self) if getattr(self, f.name) != f.default]
        return ",".join(moved) or "reference"

    @property
    def in_float64(self) -> Spec:
        """The same network in float64."""
        return dataclasses.replace(self, precision="float64", loss_scale=Spec.loss_scale, scale_growth=Spec.scale_growth)

    def on(self, backend: str) -> Spec:
        """The same network with `init=default` replaced by what that backend calls its default."""
        return info(backend).own(self)

    @classmethod
    def parse(cls, text: str, **given: object) -> Spec:
        """Read `depth=40,act=sigmoid` (an `id`) back into a Spec; fields that the text leaves out are as `given`. Raises SpecError."""
        hints = get_type_hints(cls)
        names = [f.name for f in dataclasses.fields(cls)]
        values: dict[str, Any] = dict(given)  # each field has a type of its own
        named: set[str] = set()
        for item in filter(None, (part.strip() for part in text.split(","))):
            if item == "reference":
                continue
            name, equals, value = item.partition("=")
            if not equals or name not in names:
                raise SpecError(
                    f"{item!r} is not a field of a network{_nearest(name, names)}; write field=value, a field out of {', '.join(names)}."
                )
            if name in named:
                raise SpecError(f"{name} is given twice in {text!r}: write each field once.")
            try:
                values[name] = hints[name](value)
            except ValueError:
                raise SpecError(f"{name}={value} must be a {'whole ' if hints[name] is int else ''}number.") from None
            named.add(name)
        return cls(**values)


def _nearest(value: object, allowed: Any) -> str:
    close = difflib.get_close_matches(str(value), allowed, n=1)
    return f" (did you mean {close[0]}?)" if close else ""


def _plain(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) and float(f"{value:g}") == value else str(value)
