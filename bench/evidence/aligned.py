"""Evidence of a network that both frameworks hold with the same weights: how far their passes lie apart, layer by layer, and who parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.evidence.parting import Parting, whose_gradient, whose_output
from bench.evidence.times import StepTime
from bench.judging.tolerance import CARRIED_MULTIPLE, ROUNDING_MULTIPLE
from models.arrays import Array, Arrays
from models.own.address import OwnModel
from models.own.aligned import BOTH, CLASSES, known_row
from models.own.carried import MEAN, VARIANCE, Pair, WeightedLayer, carried, chunks, drawn, images, matched
from models.own.layer import activated
from models.own.observation import Deviation
from models.own.passes import deviation
from models.worker.tasks.aligned import BESIDE, DELTA, FLOAT32, FLOAT64, ROUNDED, SIGNAL, Begun

NAMES = {"torch": "PyTorch", "keras": "Keras"}
CHUNK = 8_000_000
"""Numbers a pass that are fetched at once: 64 MB in float64."""
FINER = float(np.finfo(np.float64).eps / np.finfo(np.float32).eps)
"""A rounding of float64 in units of one of float32."""
KINDS = {SIGNAL: "signal", DELTA: "gradient of the signal", MEAN: "statistic", VARIANCE: "statistic"}
Ask = Callable[..., object]
"""A worker's task by name, with its type and arguments."""


@dataclass
class Compared:
    """One array in one framework against a float64 pass: `against` its own twin, the other's, or (in float64) twin against twin."""

    against: str
    deviation: Deviation
    place: int


OWN, OTHER, TWINS = "own twin", "other's twin", "float64"


@dataclass
class AlignedEvidence:
    """One framework's side: arrays compared in the order of computation, and where the two first part in float64.

    `names` are the layers in both frameworks' words. `gradients` are ‖∂L/∂z‖ by layer and `seconds` of passes, for the page.
    """

    network: str
    backend: str
    versions: dict[str, str]
    parameters: int
    names: list[str]
    differs: str = ""
    forward: list[Compared] = field(default_factory=list)
    backward: list[Compared] = field(default_factory=list)
    statistics: list[Compared] = field(default_factory=list)
    parted: dict[str, Parting] = field(default_factory=dict)
    gradients: dict[str, float] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    controls: list[float] = field(default_factory=list)

    def first_parted(self) -> list[tuple[str, str, str]]:
        """On each way the first layer where something is outside, and whose fault it is, if anything tells: of twins, else in float32."""
        found = [(way, parting.where, parting.whose) for way, parting in self.parted.items()]
        if not found:
            for way, compared, first in (("forward", self.forward, min), ("backward", self.backward, max)):
                beyond = [each.place for each in compared if each.against == OWN and not _within(each.deviation, ROUNDING_MULTIPLE)]
                if beyond:
                    place = first(beyond)
                    found.append((way, f"at {[*self.names, 'the loss'][place]}", self.backend))
        return found

    @property
    def timing(self) -> StepTime:
        """Seconds of passes forward and backward, as a user runs them."""
        own, control = self.seconds[1:], self.controls[1:]
        return StepTime(
            backend=self.backend, mode="eager", device="cpu", network=self.network, step_samples_s=own, control_samples_s=control,
            first_step_s=self.seconds[0], step_ms=1e3 * float(np.median(own)), control_ms=1e3 * float(np.median(control)),
        )  # fmt: skip

    @property
    def other(self) -> str:
        """The other framework, as it is written."""
        return NAMES[BOTH[self.backend == BOTH[0]]]


class Comparison:
    """Runs one network in both frameworks and compares the passes; arrays are fetched in pieces, so that few are held at once."""

    def __init__(self, model: OwnModel, asks: dict[str, Ask], seed: int) -> None:
        """Build both, and run both with the same weights. Raises WorkerError, OwnError."""
        self.model, self.row, self._asks = model, known_row(model.attribute), asks
        self.images = images(self.row, seed, CLASSES)[0].astype(np.float64)
        layers = self._both(lambda ask, _: ask("build", list[WeightedLayer], model=model, seed=seed, device="cpu"))
        self.pairs = matched(self.row, layers["torch"], layers["keras"])
        weights = drawn(layers["torch"], seed)
        given = {"torch": weights, "keras": carried(self.pairs, weights)}
        self.weights: Arrays = weights
        self.begun: dict[str, Begun] = self._both(lambda ask, name: ask("observe", Begun, weights=given[name]))
        other = {"torch": self.begun["keras"].decided, "keras": self.begun["torch"].decided}
        self.losses = self._both(lambda ask, name: ask("beside", dict[str, float], decided=other[name]))

    def sides(self, versions: dict[str, dict[str, str]]) -> dict[str, AlignedEvidence]:
        """What both sides show."""
        names = [f"{pair.torch.name} = {pair.keras.name}" for pair in self.pairs]
        found = {
            name: AlignedEvidence(
                self.model.id, name, versions[name], self.begun[name].numbers, names, self.row.differs,
                gradients=self._gradients(name), seconds=self.begun[name].seconds, controls=self.begun[name].controls,
            )
            for name in BOTH
        }  # fmt: skip
        place = 0
        for group in chunks(self.pairs, CHUNK):
            seen = self._fetched(group)
            for pair in group:
                self._compare(pair, place, {name: seen[name][pair.of(name).name] for name in BOTH}, found)
                place += 1
        self._losses(found, len(self.pairs))
        parted = self._parted(found)
        for each in found.values():
            each.parted = parted
        self._both(lambda ask, _: ask("forget", Any))
        return found

    def _both(self, what: Callable[[Ask, str], object]) -> dict[str, Any]:
        """The same of both frameworks, at the same time where they are processes."""
        asked = {name: what(self._asks[name], name) for name in BOTH}
        return {name: each.result() if hasattr(each, "result") else each for name, each in asked.items()}

    def _fetched(self, pairs: list[Pair]) -> dict[str, Any]:
        """Arrays of these layers in both, by each one's own names."""
        return self._both(lambda ask, name: ask("arrays", Any, layers=[pair.of(name).name for pair in pairs]))

    def _gradients(self, name: str) -> dict[str, float]:
        norms = self.begun[name].gradients
        return {pair.torch.name: norms[pair.of(name).name] for pair in self.pairs if pair.of(name).name in norms and pair.comparable()}

    def _compare(self, pair: Pair, place: int, seen: dict[str, Any], found: dict[str, AlignedEvidence]) -> None:
        shared = {f"{prefix}{quantity}" for quantity in (SIGNAL, DELTA, *pair.roles()) for prefix in ("", ROUNDED)}
        arrays = {
            name: {kind: {q: in_torch(pair, name, q, a) for q, a in each.items() if q in shared} for kind, each in seen[name].items()}
            for name in BOTH
        }
        if VARIANCE in pair.torch.parameters:
            for each in arrays["torch"].values():
                each[VARIANCE] = pair.biased(each[VARIANCE], each[SIGNAL])
        for quantity in (SIGNAL, DELTA, *pair.roles()):
            if not all(quantity in each[FLOAT64] for each in arrays.values()) or not _same_thing(pair, quantity):
                continue
            rounding = max(float(arrays[name][FLOAT64][ROUNDED + quantity]) for name in BOTH)
            for name, other in (BOTH, BOTH[::-1]):
                own, theirs = arrays[name], arrays[other]
                label = _label(pair, name, quantity)
                to = found[name].statistics if quantity in (MEAN, VARIANCE) else found[name].backward
                to = found[name].forward if quantity == SIGNAL else to
                # PyTorch's decisions where the two twins are compared, so that both sides say the same of them.
                mine, its = (own[FLOAT64], theirs[BESIDE]) if name == "torch" else (own[BESIDE], theirs[FLOAT64])
                for against, ours, true, unit in (
                    (TWINS, mine, its, rounding * FINER),
                    (OWN, own[FLOAT32], own[FLOAT64], rounding),
                    (OTHER, own[FLOAT32], theirs[BESIDE], rounding),
                ):
                    seen_apart = deviation(KINDS.get(quantity, "gradient"), label, ours[quantity], true[quantity], unit)
                    if DELTA in own[FLOAT64] and quantity not in (SIGNAL, DELTA):
                        seen_apart.reach = float(np.linalg.norm(own[FLOAT64][DELTA]))
                    to.append(Compared(against, seen_apart, place))

    def _losses(self, found: dict[str, AlignedEvidence], place: int) -> None:
        rounding = max(begun.rounding for begun in self.begun.values())
        for name, other in (BOTH, BOTH[::-1]):
            own, theirs = self.losses[name], self.losses[other]
            mine, its = (own[FLOAT64], theirs[BESIDE]) if name == "torch" else (own[BESIDE], theirs[FLOAT64])
            for against, ours, true, unit in (
                (TWINS, mine, its, rounding * FINER),
                (OWN, own[FLOAT32], own[FLOAT64], rounding),
                (OTHER, own[FLOAT32], theirs[BESIDE], rounding),
            ):
                found[name].forward.append(Compared(against, deviation("loss", "", np.asarray(ours), np.asarray(true), unit), place))

    def _parted(self, found: dict[str, AlignedEvidence]) -> dict[str, Parting]:
        """Where the twins part, first forward and, where they do not, first backward."""
        out = self._beyond(found["torch"].forward)
        if out:
            return {"forward": self._forward(min(each.place for each in out))}
        out = self._beyond(found["torch"].backward)
        return {"backward": self._backward(max(each.place for each in out))} if out else {}

    def _beyond(self, compared: list[Compared]) -> list[Compared]:
        return [each for each in compared if each.against == TWINS and not _within(each.deviation, CARRIED_MULTIPLE)]

    def _forward(self, place: int) -> Parting:
        if place == len(self.pairs):
            return Parting("forward", "at the loss", "", "the outputs are equal")
        pair, before = self.pairs[place], self.pairs[place - 1] if place else None
        decided = self.begun["torch"].decided
        entering = self._both(
            lambda ask, name: ask("entering", Array, name=pair.of(name).name, decided=decided if name == "keras" else None)
        )
        wanted = [each for each in (before, pair) if each is not None]
        seen = self._fetched(wanted)
        kind = {"torch": FLOAT64, "keras": BESIDE}
        outputs = {name: in_torch(pair, name, SIGNAL, seen[name][pair.of(name).name][kind[name]][SIGNAL]) for name in BOTH}
        rounding = max(float(seen[name][pair.of(name).name][FLOAT64][ROUNDED + SIGNAL]) for name in BOTH) * FINER * CARRIED_MULTIPLE
        last = self.images if before is None else _without_pixels(seen["torch"][before.torch.name][FLOAT64][SIGNAL])
        return whose_output(self.row, pair, before, entering, outputs, self.weights, rounding, last)

    def _backward(self, place: int) -> Parting:
        """The first layer from the end whose parameters' gradients part decides."""
        for here in range(place, -1, -1):
            pair = self.pairs[here]
            seen = self._fetched([pair])
            kind = {"torch": FLOAT64, "keras": BESIDE}
            moved = {}
            for role in pair.roles():
                each = {name: seen[name][pair.of(name).name][kind[name]].get(role) for name in BOTH}
                if role not in (MEAN, VARIANCE) and all(g is not None for g in each.values()):
                    moved[pair.torch.parameters[role]] = each["torch"], pair.weight_in_torch(role, each["keras"])
            rounding = max(
                (float(seen[n][pair.of(n).name][FLOAT64][ROUNDED + r]) for n in BOTH for r in pair.roles() if r not in (MEAN, VARIANCE)),
                default=0.0,
            )
            if any(np.linalg.norm(t - k) > CARRIED_MULTIPLE * rounding * FINER for t, k in moved.values()):
                loss_at = lambda moves: _now(self._asks["torch"]("loss_at", float, moved=moves))  # noqa: E731
                behind = self.pairs[place + 1] if place + 1 < len(self.pairs) else None
                return whose_gradient(self.pairs[place], behind, moved, self.weights, loss_at)
        return Parting(
            "backward", f"at {self.pairs[place].torch.name} = {self.pairs[place].keras.name}", "", "no parameter's gradient parts"
        )


def in_torch(pair: Pair, framework: str, quantity: str, value: Any) -> Any:
    """An array of either framework as PyTorch lays it out; what is no array stays."""
    if quantity.startswith(ROUNDED):
        return value
    if quantity in (SIGNAL, DELTA):
        value = pair.signal_in_torch(value) if framework == "keras" else _without_pixels(value)
        return activated(pair.keras.attributes.get("within", ""), value) if framework == "torch" and quantity == SIGNAL else value
    return value if framework == "torch" else pair.weight_in_torch(quantity, value)


def _without_pixels(x: Array) -> Array:
    return x.reshape(x.shape[:2]) if x.shape[2:] == (1, 1) else x


def _same_thing(pair: Pair, quantity: str) -> bool:
    """Whether a quantity is the same in both: not behind a sum, and no gradient before an activation that Keras has within the layer."""
    if quantity == SIGNAL:
        return pair.comparable()
    return quantity != DELTA or (pair.comparable() and "within" not in pair.keras.attributes)


def _label(pair: Pair, framework: str, quantity: str) -> str:
    """Whose an array is, in this framework's name and the other's."""
    layers = [pair.of(framework), pair.of(BOTH[framework == BOTH[0]])]
    if quantity in (SIGNAL, DELTA):
        return " = ".join(layer.name for layer in layers)
    return " = ".join(layer.parameters[quantity] for layer in layers)


def _now(answer: object) -> Any:
    return answer.result() if hasattr(answer, "result") else answer


def _within(each: Deviation, multiple: float) -> bool:
    return each.error <= multiple * each.rounding
