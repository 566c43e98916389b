"""What a float32 pass decides and draws, operation by operation, so that a float64 pass can be given the same.

A unit within rounding of its kink may have either slope, and a draw is one of many. Both are data of the pass, and no error of it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, NamedTuple, Self

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from models.backends.torch.own.dispatch import Arguments, Named, Types
from models.backends.torch.own.half import HALVES
from models.backends.torch.own.limits import noted
from models.backends.torch.own.padding import PACKING
from models.backends.torch.own.quantized import QUANTIZERS
from models.own.gauge import TapeEndsError
from models.own.passes import NEAR

if TYPE_CHECKING:
    from torch._ops import OpOverload


class Entry(NamedTuple):
    """One operation's decisions: the operation's name, and tensors of zones, indices or draws."""

    operation: str
    kept: tuple[Tensor | None, ...]


@dataclass
class Tape:
    """Decisions in the order of computation, on the CPU; `half` has the operations that computed in less than float32, with their format.

    `draws` says whether any of them is random, `packs` whether an encoder has packed its sequences. `limits` has the formats that it has
    asked `torch.finfo` for.
    """

    entries: list[Entry] = field(default_factory=list)
    draws: bool = False
    half: dict[str, torch.dtype] = field(default_factory=dict)
    packs: bool = False
    limits: list[torch.dtype] = field(default_factory=list)

    def reader(self) -> Callable[[str], tuple[Tensor | None, ...]]:
        """A function that gives the next operation's decisions. Raises TapeEndsError where the operation is another one."""
        place = iter(self.entries)

        def read(operation: str) -> tuple[Tensor | None, ...]:
            entry = next(place, None)
            if entry is None or entry.operation != operation:
                raise TapeEndsError(f"{operation} follows where float32 had {entry.operation if entry else 'ended'}")
            return entry.kept

        return read


class Recorder(TorchDispatchMode):
    """Keeps what every operation in here decides and draws."""

    def __init__(self) -> None:
        """Begin with an empty tape."""
        super().__init__()
        self.tape = Tape()
        self._noting = noted(self.tape.limits)

    def __enter__(self) -> Self:
        """Begin to record, with the limits that are asked for."""
        self._noting.__enter__()
        super().__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """End the recording."""
        super().__exit__(kind, error, trace)
        self._noting.__exit__(kind, error, trace)

    def __torch_dispatch__(self, func: OpOverload, types: Types, args: Arguments = (), kwargs: Named | None = None) -> object:
        """Run the operation and keep its decisions."""
        name, kwargs = operation(func), kwargs or {}
        kept = KINKS[name].zone(*args, **kwargs) if name in KINKS else None
        out = func(*args, **kwargs)
        if kept is not None:
            self.tape.entries.append(Entry(name, (kept.to("cpu", copy=True),)))
        elif name in SLOPES and drawn(func, args, kwargs):
            self.tape.entries.append(Entry(name, (args[1].to("cpu", copy=True),)))
            self.tape.draws = True
        elif drawn(func, args, kwargs) or _jumps(name, args):
            self.tape.entries.append(Entry(name, tuple(each.to("cpu", copy=True) for each in tensors(out))))
            self.tape.draws = self.tape.draws or drawn(func, args, kwargs)
        elif chosen(out, args):
            places = (None if each.is_floating_point() else each.to("cpu", copy=True) for each in tensors(out))
            self.tape.entries.append(Entry(name, tuple(places)))
            self.tape.draws = self.tape.draws or name in MIXED
        self.tape.packs = self.tape.packs or name == PACKING
        if not func.is_view and name not in MOVES:
            self.tape.half.update((name, each.dtype) for each in tensors(out) if each.dtype in HALVES)
        return out


class Kink(NamedTuple):
    """The slope of a function with kinks: `zone` says on which side of them each input lies, `slope` the gradient given the zones."""

    zone: Callable[..., Tensor]
    slope: Callable[..., object]


def _elu_slope(zone: Tensor, g: Tensor, alpha: float, scale: float, by: float, is_result: bool, x: Tensor) -> Tensor:
    below = x + alpha * scale if is_result else alpha * scale * torch.exp(x * by)
    return torch.where(zone, g * scale, g * by * below)


KINKS = {
    "threshold_backward": Kink(lambda g, x, at: x > at, lambda zone, g, x, at: torch.where(zone, g, 0.0)),
    "leaky_relu_backward": Kink(lambda g, x, s, r: x > 0, lambda zone, g, x, s, r: torch.where(zone, g, g * s)),
    "hardtanh_backward": Kink(lambda g, x, a, b: (x > a) & (x < b), lambda zone, g, x, a, b: torch.where(zone, g, 0.0)),
    "hardsigmoid_backward": Kink(lambda g, x: (x > -3) & (x < 3), lambda zone, g, x: torch.where(zone, g / 6, 0.0)),
    "hardswish_backward": Kink(
        lambda g, x: (x >= 3).to(torch.int8) - (x <= -3).to(torch.int8),
        lambda zone, g, x: torch.where(zone > 0, g, torch.where(zone < 0, 0.0, g * (x / 3 + 0.5))),
    ),
    "elu_backward": Kink(lambda g, alpha, scale, by, is_result, x: x > 0, _elu_slope),
    "softshrink_backward": Kink(lambda g, x, at: x.abs() > at, lambda zone, g, x, at: torch.where(zone, g, 0.0)),
    "hardshrink_backward": Kink(lambda g, x, at: x.abs() > at, lambda zone, g, x, at: torch.where(zone, g, 0.0)),
    "_prelu_kernel_backward": Kink(
        lambda g, x, w: x > 0, lambda zone, g, x, w: (torch.where(zone, g, w * g), torch.where(zone, 0.0, g * x))
    ),
} | {name: Kink(each.zone, each.slope) for name, each in QUANTIZERS.items()}
"""Backward operations whose slope jumps, and simulated quantization. What is written out is a reference for the framework, too."""
STEPS = {"sign", "sgn", "floor", "ceil", "round", "trunc", "heaviside"}
"""Operations whose results jump."""
COMPARISONS = {"gt", "lt", "ge", "le", "max", "min", "argmax", "argmin", "sgn", "sign"}
"""Operations that compare numbers."""
MOVES = {"copy_", "clone", "detach", "alias"}
"""Operations that keep numbers as they are, as putting back an unused buffer does."""
RANDOM_BY = ("dropout_p", "dropout", "train", "training")
"""Arguments without which an operation that may be random draws nothing."""
MIXED = {"native_dropout"}
"""Operations that draw a mask and use it themselves."""
SLOPES = {"rrelu_with_noise", "rrelu_with_noise_"}
"""Operations that draw the slope of every unit into their second argument."""


def operation(func: OpOverload) -> str:
    """`add` for `aten.add.Tensor`."""
    return func._schema.name.partition("::")[2]


def drawn(func: OpOverload, args: Arguments, kwargs: Named) -> bool:
    """Whether an operation's result is random: attention without dropout, or a randomized ReLU in evaluation, is not."""
    if torch.Tag.nondeterministic_seeded not in func.tags or operation(func) in MIXED:
        return False
    given = {each.name: each.default_value for each in func._schema.arguments}
    given |= dict(zip(given, args, strict=False)) | dict(kwargs)
    return not any(name in given and not given[name] for name in RANDOM_BY)


def tensors(out: object) -> tuple[Tensor, ...]:
    """The tensors that an operation has returned."""
    if isinstance(out, Tensor):
        return (out,)
    return tuple(each for each in out if isinstance(each, Tensor)) if isinstance(out, (tuple, list)) else ()


def chosen(out: object, args: Arguments) -> bool:
    """Whether numbers have decided something: what comes out is true or false, or places after values, and what went in are floats."""
    floats = any(isinstance(each, Tensor) and each.is_floating_point() for each in args)
    found = tensors(out)
    return floats and len(found) in (1, 2) and found[-1].dtype in (torch.bool, torch.int64, torch.int32) and found[-1].numel() > 0


def _jumps(name: str, args: Arguments) -> bool:
    return name in STEPS and not (isinstance(args[0], Tensor) and args[0].is_complex())


def replayed(func: OpOverload, args: Arguments, kwargs: Named, read: Callable[[str], tuple[Tensor | None, ...]]) -> object:
    """The operation's result with the decisions of the tape in place of its own; NotImplemented for one that decides nothing."""
    name = operation(func)
    if name in KINKS:
        (zone,) = read(name)
        return KINKS[name].slope(zone, *args, **kwargs)
    if name in SLOPES and drawn(func, args, kwargs):
        (slopes,) = read(name)
        _fits(args[1], slopes, name)
        args[1].copy_(slopes)
        return args[0].mul_(args[1]) if name.endswith("_") else args[0] * args[1]
    if drawn(func, args, kwargs) or _jumps(name, args):
        out = func(*args, **kwargs)
        for each, kept in zip(tensors(out), read(name), strict=True):
            _fits(each, kept, name)
            each.copy_(kept)
        return out
    if name == "native_dropout":
        mask = read(name)[-1]
        assert mask is not None, "a mask is true or false"
        x, p = args[:2]
        return x * mask / (1 - p), mask.clone()
    if not any(isinstance(each, Tensor) and each.is_floating_point() for each in args):
        return NotImplemented
    out = func(*args, **kwargs)
    if not chosen(out, args):
        return out
    kept = read(name)
    places = kept[-1]
    if places is None:
        raise TapeEndsError(f"{name} gave no places in float32")
    if isinstance(out, Tensor):
        _fits(out, places, name)
        return out.copy_(places)
    values = out[0]
    _fits(out[-1], places, name)
    if name.startswith(("max_pool", "adaptive_max_pool", "fractional_max_pool")):
        flat = args[0].flatten(-_spatial(name))
        values = flat.gather(-1, places.flatten(-_spatial(name))).view_as(places)
    elif name in ("max", "min", "topk", "sort", "kthvalue", "median", "cummax", "cummin", "mode"):
        values = _gathered(name, args, kwargs, places)
    return type(out)((values, places.clone()))


def near(func: OpOverload, args: Arguments, kwargs: Named, share: float = NEAR) -> int:
    """How many of an operation's decisions change where its numbers move by a share of their rms: what rounding could turn."""
    name = operation(func)
    place = 1 if name in KINKS else 0
    if name == "elu_backward":
        place = 5
    elif name in QUANTIZERS and not QUANTIZERS[name].backward:
        place = 0
    if len(args) <= place or not isinstance(args[place], Tensor) or not args[place].is_floating_point():
        return 0
    x = args[place]
    if name in ("relu", "relu_") or (name == "threshold_backward" and args[2] == 0):  # whose x may be the result, 0 of dead units
        return int(((x.abs() < share * x.square().mean().sqrt()) & (x != 0)).sum()) if x.numel() else 0
    pools = name.startswith("max_pool") and not name.endswith("backward")
    if not (name in KINKS or name in COMPARISONS or pools) or not x.numel():
        return 0
    reach, found = share * x.square().mean().sqrt(), []
    noise = torch.rand(x.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(0)) - 0.5
    for moved in (x, x + reach * noise.sign(), x - reach * noise.sign()):
        changed = (*args[:place], moved, *args[place + 1 :])
        found.append(KINKS[name].zone(*changed, **kwargs) if name in KINKS else tensors(func(*changed, **kwargs))[-1])
    if pools:  # among equal numbers either may be chosen: those are dead units or copies, and no decision
        flat = x.flatten(-_spatial(name))
        found = [flat.gather(-1, places.flatten(-_spatial(name))) for places in found]
    return int(((found[0] != found[1]) | (found[0] != found[2])).sum())


def _spatial(name: str) -> int:
    """How many axes a pool runs over: 2 for `max_pool2d_with_indices`, as which PyTorch runs a pool over one axis, too."""
    return 3 if "3d" in name else 2


def _gathered(name: str, args: Arguments, kwargs: Named, places: Tensor) -> Tensor:
    """The values of x at the places that were chosen along one dimension."""
    x = args[0]
    at = {"topk": 2, "kthvalue": 2}.get(name, 1)
    dim = kwargs.get("dim", args[at] if len(args) > at and not isinstance(args[at], bool) else -1)
    if x.dim() == places.dim():
        return x.gather(dim, places)
    return x.gather(dim, places.unsqueeze(dim)).squeeze(dim)


def _fits(here: Tensor, kept: Tensor | None, name: str) -> None:
    if kept is None or here.shape != kept.shape:
        raise TapeEndsError(f"{name} has another shape than in float32")
