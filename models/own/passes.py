"""Passes of a model in NumPy arrays, in a worker, and how far one is from another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np

from models.arrays import Array, Arrays
from models.own.large import kept
from models.own.observation import Counted, Deviation

UNIT = float(np.finfo(np.float32).eps) / 2
NEAR = 1e-5
"""A unit within this share of its layer's rms of a kink may be rounded to the other side, as in `models.reference.kinks`."""
TINY = float(np.finfo(np.float32).tiny)
"""The smallest float32 with all its digits, to which smaller ones are as good as zero."""
AT_ONCE = 2**20
"""Numbers that are looked at together."""
LOSS = "loss"
MEANT = "signal", "output", "statistic"
"""Kinds of arrays that may be infinite on purpose, as masked logits and causal masks are."""


@dataclass
class OwnPass:
    """One pass forward and backward: loss, outputs and gradients by name, floating-point buffers after it.

    A watched pass has what each module gave out (`signals`, its first call) and the loss's gradient there (`signal_gradients`).
    `near` counts the decisions of a twin's pass, such as the side of a kink, that rounding could turn; where the pass is `undecided` it
    took them by itself.
    """

    loss: float
    outputs: Arrays
    gradients: Mapping[str, Array] = field(default_factory=dict)
    statistics: Arrays = field(default_factory=dict)
    signals: Arrays = field(default_factory=dict)
    signal_gradients: Arrays = field(default_factory=dict)
    near: int = 0
    undecided: bool = False

    def arrays(self) -> Iterator[tuple[str, str, Array]]:
        """Everything with its kind and name, in the order of computation."""
        yield from ((kind, name, array) for kind, arrays in self._kinds().items() for name, array in arrays.items())

    def array(self, kind: str, name: str) -> Array:
        """One of them."""
        return self._kinds()[kind][name]

    def _kinds(self) -> dict[str, Mapping[str, Array]]:
        return {
            LOSS: {"": np.asarray(self.loss)}, "signal": self.signals, "output": self.outputs,
            "gradient of the signal": self.signal_gradients, "gradient": self.gradients, "statistic": self.statistics,
        }  # fmt: skip


@dataclass
class Trajectory:
    """Steps of an optimizer: weights before, gradients, weights after, losses, and entries of gradients that the step has changed."""

    begins: list[Mapping[str, Array]] = field(default_factory=list)
    gradients: list[Mapping[str, Array]] = field(default_factory=list)
    ends: list[Mapping[str, Array]] = field(default_factory=list)
    losses: list[float] = field(default_factory=list)
    kept: list[Counted] = field(default_factory=list)


class Yardstick:
    """What rounding moves each array of a pass: the root mean square distance of rounded passes from the clean one."""

    def __init__(self, exact: OwnPass, unit: float = 0.0) -> None:
        """Begin with the clean pass; `unit` is the unit roundoff of half precision where the model computes in it."""
        self.exact, self._unit = exact, unit
        self.exact.gradients = kept(exact.gradients)
        self._squares = {(kind, name): 0.0 for kind, name, _ in exact.arrays()}
        self._count = 0
        self._beside: Yardstick | None = None

    def add(self, rounded: OwnPass) -> None:
        """One more rounded pass."""
        for kind, name, array in rounded.arrays():
            if (kind, name) in self._squares:
                self._squares[kind, name] += norm(apart(array, self.exact.array(kind, name))) ** 2
        self._count += 1

    def of(self, kind: str, name: str) -> float:
        """The rms distance of one array, at least one rounding of it and what summing a bias's gradient costs."""
        exact = self.exact.array(kind, name)
        exact = finite(exact) if kind in MEANT else exact
        measured = float(np.sqrt(self._squares[kind, name] / max(self._count, 1)))
        if self._beside is not None:
            return max(measured, self._beside.of(kind, name))
        least = UNIT * norm(exact) + TINY * exact.size**0.5
        if kind == "gradient" and exact.ndim == 1:
            least = max(least, _summed(exact, self.reach(name)))
        return max(measured, least)

    def reach(self, parameter: str) -> Array | None:
        """The loss's gradient at the output of the module that a parameter belongs to, or of the nearest one around it."""
        if self._beside is not None:
            return self._beside.reach(parameter)
        module = parameter.rpartition(".")[0]
        while module and module not in self.exact.signal_gradients:
            module = module.rpartition(".")[0]
        return self.exact.signal_gradients.get(module)

    def deviations(self, seen: OwnPass, kinds: Iterable[str]) -> list[Deviation]:
        """How far a framework's pass is from the clean one, array by array."""
        wanted, found = set(kinds), []
        for kind, name, array in seen.arrays():
            if kind in wanted and (kind, name) in self._squares:
                exact = self.exact.array(kind, name)
                rounding = max(self.of(kind, name), held_in(array, self._unit) * norm(finite(exact) if kind in MEANT else exact))
                each = deviation(kind, name, array, exact, rounding)
                delta = self.reach(name) if kind == "gradient" else None
                each.reach = 0.0 if delta is None else norm(delta)
                found.append(each)
        return found + (self._lost(seen) if "gradient" in wanted else [])

    def against(self, exact: OwnPass, rounded: Iterable[OwnPass] = ()) -> Yardstick:
        """The same yardstick, or what `rounded` passes measure if that is more, beside another clean pass: a variant with its decisions."""
        other = Yardstick(exact, self._unit)
        for each in rounded:
            other.add(each)
        other._beside = self
        return other

    def _lost(self, seen: OwnPass) -> list[Deviation]:
        """Gradients that one of the two passes has and the other has not, which is as good as zero there."""
        ours, theirs = self.exact.gradients, seen.gradients
        lost = [
            deviation("gradient", name, np.zeros_like(g), g, self.of("gradient", name)) for name, g in ours.items() if name not in theirs
        ]
        return lost + [deviation("gradient", name, g, np.zeros_like(g), TINY) for name, g in theirs.items() if name not in ours]


def _summed(bias: Array, delta: Array | None) -> float:
    """The float32 error of summing δ to a bias's gradient one after the other, as some kernels do; 0 where δ does not fit."""
    if delta is None or not bias.size or not delta.size:
        return 0.0
    axes = [axis for axis in (1, delta.ndim - 1) if 0 < axis < delta.ndim and delta.shape[axis] == bias.size]
    if not axes:
        return 0.0
    terms = np.moveaxis(delta, axes[0], -1).reshape(-1, bias.size)
    return norm(np.cumsum(terms, axis=0, dtype=np.float32)[-1] - terms.sum(axis=0))


def deviation(kind: str, name: str, seen: Array, exact: Array, rounding: float) -> Deviation:
    """How far `seen` is from `exact`."""
    if seen.shape != exact.shape:
        raise AssertionError(f"{kind} {name} has shape {seen.shape} and its twin {exact.shape}")
    sums, bad = np.zeros(4), 0
    with np.errstate(all="ignore"):
        for here, true in _parts(seen, exact):
            if kind in MEANT:
                here, true = (np.where(np.isinf(here) & (here == true), 0.0, each) for each in (here, true))
            bad += int(here.size - np.isfinite(here).sum())
            sums += here @ here, true @ true, here @ true, (here - true) @ (here - true)
        length, size, error = (float(np.sqrt(each)) for each in sums[[0, 1, 3]])
        cosine = float(sums[2] / (length * size)) if all(0 < each < np.inf for each in (length, size)) else 0.0
    return Deviation(kind, name, size, length, cosine, error, rounding, bad=bad)


def held_in(array: Array, unit: float) -> float:
    """The unit roundoff of half precision where no number has more digits than it holds, and else float32's."""
    if not unit or array.dtype.kind != "f":
        return UNIT
    with np.errstate(over="ignore"):
        single = np.asarray(array, np.float32)
    if array.dtype.itemsize > 4 and not np.array_equal(single, array, equal_nan=True):
        return UNIT
    digits = single.view(np.uint32) & np.uint32(unit / UNIT - 1)  # those of a float32 that the format lacks
    return UNIT if digits.any() else unit


def norm(array: Array) -> float:
    """Euclidean length in float64."""
    return float(np.sqrt(sum(float(part @ part) for (part,) in _parts(array))))


def _parts(*arrays: Array) -> Iterator[tuple[Array, ...]]:
    """Arrays of one shape in float64, so many numbers at a time: a model may have a hundred million parameters."""
    flat = [np.asarray(array).ravel() for array in arrays]
    for begin in range(0, max(flat[0].size, 1), AT_ONCE):
        yield tuple(each[begin : begin + AT_ONCE].astype(np.float64, copy=False) for each in flat)


def unlike(kind: str, ones: Mapping[str, Array], others: Mapping[str, Array], step: int | None = None) -> list[Counted]:
    """How many entries are not the same bits, array by array; an array that only one side has counts whole."""
    found = []
    for name in dict.fromkeys([*ones, *others]):
        if name in ones and name in others:
            found.append(Counted(kind, name, _other_bits(ones[name], others[name]), step))
        else:
            found.append(Counted(kind, name, int(np.size((ones if name in ones else others)[name])) or 1, step))
    return found


def _other_bits(one: Array, other: Array) -> int:
    if one.shape != other.shape or one.dtype != other.dtype:
        return max(one.size, other.size, 1)
    if one.dtype.kind not in "fc":
        return int((one != other).sum())
    bits, others = (np.atleast_1d(np.ascontiguousarray(each)).view(f"u{each.dtype.itemsize}") for each in (one, other))
    return int((bits != others).sum())


def not_finite(seen: OwnPass, exact: OwnPass | None = None, begun: Arrays | None = None) -> tuple[list[Counted], list[Counted]]:
    """Entries of every array that are NaN or infinite, and infinite ones that may be meant.

    Neither counts infinities of outputs and buffers that the twin has, too, and of buffers that had them before the pass (`begun`): masks.
    Without a twin nothing tells a mask from what has become too large.
    """
    true = {("statistic", name): array for name, array in (begun or {}).items()}
    true |= {} if exact is None else {(kind, name): array for kind, name, array in exact.arrays() if kind in MEANT}
    found, perhaps = [], []
    for kind, name, array in seen.arrays():
        known = true.get((kind, name))
        meant = np.isinf(array) & (array == known) if known is not None and known.shape == array.shape else np.zeros(array.shape, bool)
        open_ones = np.isinf(array) & ~meant if exact is None and kind in MEANT else np.zeros(array.shape, bool)
        found.append(Counted(kind, name, int(array.size - (np.isfinite(array) | meant | open_ones).sum())))
        perhaps.append(Counted(kind, name, int(open_ones.sum())))
    return found, [each for each in perhaps if each.entries]


def without_number(exact: OwnPass, seen: OwnPass) -> str:
    """The first array that is NaN somewhere in the twin where float32 has a number, such as `gradient of layers.0.weight`; else nothing."""
    here = {(kind, name): array for kind, name, array in seen.arrays()}
    for kind, name, array in exact.arrays():
        known = here.get((kind, name))
        if known is not None and known.shape == array.shape and (np.isnan(array) & np.isfinite(known)).any():
            return f"{kind} of {name}" if kind == "gradient" else f"{kind} {name}".strip()
    return ""


def apart(one: Array, other: Array) -> Array:
    """The difference of two arrays, 0 where both are infinite alike."""
    return np.where(one == other, 0.0, one - other) if np.isinf(other).any() else one - other


def finite(array: Array) -> Array:
    """An array with 0 in the place of infinities."""
    return np.where(np.isinf(array), 0.0, array) if np.isinf(array).any() else array
