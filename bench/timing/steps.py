"""How one step is timed: prove what it computes, warm up until it is no longer getting faster, then take blocks of steps.

The clock is read inside the worker, once per block of at least 20 ms, and the device is waited for once per block; asking for
a block takes about 50 µs more, which no figure contains. Between blocks the worker does work of known cost, a
float32 matrix product of as many operations as a step, so that a slower machine shows as such.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import psutil

from bench.timing.cases import TimedCase
from fixtures.data import Data
from models.on_numpy import Reference, Rule
from models.run import KINK_MARGIN, Arrays, draw_weights
from models.spec import Spec
from models.timed import PROVED_STEPS, Prepared
from models.worker import Worker

ROUNDS = 15
"""How many blocks are taken: enough for a median and its quartiles."""
SHORTEST_BLOCK = 0.020
"""Seconds. A clock and a synchronisation cost some 10 µs, which is then under a thousandth."""
HEADROOM = 1.25
"""By how much blocks are planned longer than the shortest allowed, since steps still get faster."""
WINDOW, FLAT = 3, 0.05
"""Warm: the fastest of the last `WINDOW` blocks is not more than `FLAT` faster than the fastest of the `WINDOW` before."""
LONGEST_WARM_UP = 5.0
"""Seconds after which a step is timed even though it is still getting faster; the record then says so."""
ROUNDINGS = 10.0
"""How many times NumPy's float32 rounding a framework may be away from the float64 weights. Seen: 0.9 to 1.3; a learning rate
0.1 % off: over 100 (self-test)."""


class NotTheSame(RuntimeError):
    """What a case computes is not what it should; its time would mean nothing."""


class StepClock:
    """A clock that advances by one step's seconds whenever a block was taken, so that pytest-benchmark's figures are per step."""

    def __init__(self) -> None:
        """Start at zero."""
        self._now = 0.0

    def advance(self, seconds: float) -> None:
        """Let a step's time pass."""
        self._now += seconds

    def now(self) -> float:
        """Seconds so far; for `@pytest.mark.benchmark(timer=…)`."""
        return self._now


CLOCK = StepClock()


@dataclass(frozen=True, eq=False)
class Proof:
    """A batch, where the float64 reference's weights go on it, and how far the same in NumPy float32 ends up from there."""

    x: Any
    labels: Any
    weights: Arrays
    rounding: float


@dataclass(frozen=True)
class WarmUp:
    """Steps per block, seconds until block time was flat, and whether it was."""

    steps: int
    seconds: float
    flat: bool


@functools.lru_cache(maxsize=2)  # the modes of one network follow each other
def proof(spec: Spec, dialect: str, data: Data) -> Proof:
    """Take `PROVED_STEPS` steps in NumPy on a batch none of whose units comes near its kink in any of them.

    A unit that float32 puts on the other side of ReLU's kink would change the gradient by far more than rounding.
    """
    order = np.random.default_rng(0).permutation(len(data.x_train))
    chosen, spare = order[: spec.batch], list(order[spec.batch :])
    while True:
        x, labels = data.x_train[chosen].astype(spec.precision), data.y_train[chosen]
        weights, margins = _trained(spec, dialect, x, labels, np.float64)
        near = np.flatnonzero(margins < KINK_MARGIN)
        if not len(near):
            break
        if len(near) > len(spare):
            raise NotTheSame(f"{spec.id} cannot be proved on {data.name}: no batch of {spec.batch} keeps away from every kink.")
        chosen[near] = [spare.pop() for _ in near]
    rounded, _ = _trained(spec, dialect, x, labels, np.dtype(spec.precision))
    floor = float(np.finfo(spec.precision).eps) * _norm(weights)  # what storing weights costs, where float32 is not in question
        weights
    )  # what storing the weights alone costs, also where float32 is not the question
    return Proof(x, labels, weights, max(distance(rounded, weights), floor / ROUNDINGS))


def _trained(spec: Spec, dialect: str, x: Any, labels: Any, dtype: Any) -> tuple[Arrays, Any]:
    weights, rule, margins = draw_weights(spec, 0), Rule(spec, dialect, dtype), np.full(len(x), np.inf)
    weights = {key: value.astype(dtype) for key, value in weights.items()}
    for _ in range(PROVED_STEPS):
        seen = Reference(spec, weights, dtype).run(x, labels)
        margins = np.minimum(margins, seen.margins)
        weights = rule.step(weights, seen.gradients)
    return weights, margins


def distance(one: Arrays, other: Arrays) -> float:
    """‖one − other‖ over all weights together, in float64. Raises KeyError when they are not the same weights."""
    if set(one) != set(other):
        raise KeyError(f"weights differ in {sorted(set(one) ^ set(other))}")
    return _norm({key: np.asarray(one[key], np.float64) - np.asarray(other[key], np.float64) for key in one})


def _norm(weights: Arrays) -> float:
    return math.sqrt(sum(float(np.sum(np.square(w, dtype=np.float64))) for w in weights.values()))


def check_same(case: TimedCase, seen: Arrays, proved: Proof) -> float:
    """How many roundings the weights `seen` are from the proof's. Raises NotTheSame when they are too many, or not numbers."""
    roundings = distance(seen, proved.weights) / proved.rounding
    if not roundings <= ROUNDINGS:
        raise NotTheSame(
            f"{case.id} is not timed: after {PROVED_STEPS} steps its weights are {roundings:.3g} float32 roundings from the float64 "
            f"reference's, and {ROUNDINGS:g} are allowed, so it does not train the network it is named after (or multiplies in TF32)."
        )
    return roundings


def steps_per_block(step_seconds: float) -> int:
    """How many steps make a block that is long enough to be timed."""
    return max(1, math.ceil(HEADROOM * SHORTEST_BLOCK / step_seconds))


def is_flat(blocks: Sequence[float]) -> bool:
    """Whether the last blocks were no longer getting faster; minima, since noise only ever adds."""
    return len(blocks) >= 2 * WINDOW and min(blocks[-WINDOW:]) >= (1 - FLAT) * min(blocks[-2 * WINDOW : -WINDOW])


def warm_up(block: Callable[[int], float]) -> WarmUp:
    """Take blocks (`block(steps)` → seconds) until their time is flat, lengthening them while they are too short."""
    steps, blocks, start = 1, [], time.perf_counter()
    while not is_flat(blocks):
        if time.perf_counter() - start > LONGEST_WARM_UP and blocks:
            break
        blocks.append(block(steps))
        if blocks[-1] < SHORTEST_BLOCK:
            steps, blocks = max(steps + 1, steps_per_block(blocks[-1] / steps)), []
    return WarmUp(steps, time.perf_counter() - start, is_flat(blocks))


class StepTiming:
    """One case made ready in its worker: proved, warm, with its control beside it."""

    def __init__(self, case: TimedCase, worker: Worker, data: Data) -> None:
        """Prove and warm up. Raises NotTheSame when the proof fails, WorkerError when the case cannot be built."""
        self.case, self._worker = case, worker
        self._names = {"step": case.id, "control": f"control of {case.id}"}
        self._took: dict[str, list[float]] = {"step": [], "control": []}
        self._process = psutil.Process(worker.pid)
        self._memory = 0
        proved = proof(case.spec, case.backend.partition("-")[0], data)
        self._first = worker.call(
            "prepare", Prepared, name=case.id, spec=case.spec.id, mode=case.mode, device=case.device, x=proved.x, labels=proved.labels
        )
        try:
            self._roundings = check_same(case, self._first.weights, proved)
            worker.call("control", name=self._names["control"], size=round((case.flops / 2) ** (1 / 3)), device=case.device)
            self._warm = {what: warm_up(functools.partial(self._block, what)) for what in self._names}
        except BaseException:
            self.close()
            raise

    def _block(self, what: str, steps: int) -> float:
        return self._worker.call("block", name=self._names[what], steps=steps)

    def _take(self, what: str) -> float:
        steps = self._warm[what].steps
        self._took[what].append(self._block(what, steps) / steps)
        return self._took[what][-1]

    def block(self) -> None:
        """Take one block of steps and let the clock advance by one of them."""
        CLOCK.advance(self._take("step"))

    def control(self) -> None:
        """Take one block of the control, and see how much memory the worker holds."""
        self._take("control")
        self._memory = max(self._memory, self._process.memory_info().rss)

    def facts(self) -> dict[str, Any]:
        """What is worth keeping beside the times: seconds and milliseconds per step, not per block."""
        step, control = (statistics.median(self._took[what]) for what in ("step", "control"))
        return {
            "backend": self.case.backend,
            "mode": self.case.mode,
            "device": self.case.device,
            "network": self.case.spec.id,
            "step_ms": 1e3 * step,
            "control_ms": 1e3 * control,
            "step_in_controls": step / control,
            "steps_per_block": self._warm["step"].steps,
            "first_step_s": self._first.first_step,
            "warm_up_s": self._warm["step"].seconds,
            "warm": self._warm["step"].flat,
            "flops": self.case.flops,
            "roundings_from_reference": self._roundings,
            "worker_rss_mb": self._memory / 2**20,
            "step_samples_s": self._took["step"],
            "control_samples_s": self._took["control"],
        }

    def close(self) -> None:
        """Free the network in the worker."""
        self._worker.call("forget", names=list(self._names.values()))
