"""How one step is timed: prove what it computes, warm up until it is no longer getting faster, then take blocks of steps.

The clock is read inside the worker, once per block of at least 20 ms, and the device is waited for once per block; asking for
a block takes about 50 µs more, which no figure contains. Between blocks the worker does work of known cost, a
float32 matrix product of as many operations as a step, so that a slower machine shows as such.
"""

import functools
import math
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import psutil

from bench.evidence.times import StepTime
from bench.timing.cases import TimedCase
from fixtures.data.datasets import Data
from models.arrays import Arrays, Batch, Labels
from models.backends.registry import BACKENDS
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.reference.optimizers import Rule
from models.spec import Spec
from models.worker.devices import kind
from models.worker.process import Worker
from models.worker.tasks.step_timer import PROVED_STEPS, Prepared

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
APART = 0.03
"""How far from the float64 reference's weights a case may be, as a share of how far those have moved. Rounding alone is 3e-5; a
ReLU unit that rounds to the other side of zero was 1e-2 at worst (132 batches of eight networks), and this is three of those.
Another learning rate, optimizer, initializer or loss is apart by its own size: a rate 10 % off by 0.1, a forgotten momentum by 0.3."""


class NotTheSameError(RuntimeError):
    """What a case computes is not what it should; its time would mean nothing."""


class StepClock:
    """A clock that advances by one step's seconds whenever a block was taken, so that pytest-benchmark's figures are per step."""

    _now = 0.0

    def advance(self, seconds: float) -> None:
        """Let a step's time pass."""
        self._now += seconds

    def now(self) -> float:
        """Seconds so far; for `@pytest.mark.benchmark(timer=…)`."""
        return self._now


CLOCK = StepClock()


@dataclass(frozen=True, eq=False)
class Proof:
    """A batch, the weights to which the float64 reference goes on it, and how far from the start these are."""

    x: Batch
    labels: Labels
    weights: Arrays
    moved: float


@dataclass(frozen=True)
class WarmUp:
    """Steps per block, seconds until block time was flat, and whether it was."""

    steps: int
    seconds: float
    flat: bool


@functools.lru_cache(maxsize=2)  # the modes of one network follow each other
def proof(spec: Spec, conventions: str, data: Data) -> Proof:
    """Take `PROVED_STEPS` steps on one batch of `data` in NumPy float64, from the weights that every backend will load."""
    chosen = np.random.default_rng(0).choice(len(data.x_train), spec.batch, replace=False)
    x, labels = data.x_train[chosen].astype(spec.format.held), data.y_train[chosen]
    weights = start = draw_weights(spec, 0)
    rule = Rule(spec, conventions)
    for _ in range(PROVED_STEPS):
        weights = rule.step(weights, Reference(spec, weights).run(x, labels).gradients)
    return Proof(x, labels, weights, distance(weights, start))


def distance(one: Arrays, other: Arrays) -> float:
    """‖one − other‖ over all weights together, in float64. Raises KeyError when they are not the same weights."""
    if set(one) != set(other):
        raise KeyError(f"weights differ in {sorted(set(one) ^ set(other))}")
    squares = [np.sum((np.asarray(one[key], np.float64) - np.asarray(other[key], np.float64)) ** 2) for key in one]
    return math.sqrt(float(sum(squares)))


def check_same(case: TimedCase, seen: Arrays, proved: Proof) -> float:
    """How far the weights `seen` are from the proof's, as a share of the way. Raises NotTheSameError when that is too far or no number."""
    apart = distance(seen, proved.weights) / proved.moved
    if not apart <= APART:
        raise NotTheSameError(
            f"{case.id} is not timed: after {PROVED_STEPS} steps its weights are {apart:.2g} of the way they moved apart from the "
            f"reference's, and {APART:g} is allowed, so it does not train the network it is named after."
        )
    return apart


def steps_per_block(step_seconds: float) -> int:
    """How many steps make a block that is long enough to be timed."""
    return max(1, math.ceil(HEADROOM * SHORTEST_BLOCK / step_seconds))


def is_flat(blocks: Sequence[float]) -> bool:
    """Whether the last blocks were no longer getting faster; minima, since noise only ever adds."""
    return len(blocks) >= 2 * WINDOW and min(blocks[-WINDOW:]) >= (1 - FLAT) * min(blocks[-2 * WINDOW : -WINDOW])


def warm_up(block: Callable[[int], float]) -> WarmUp:
    """Take blocks (`block(steps)` → seconds) until their time is flat, lengthening them while they are too short."""
    blocks: list[float] = []
    steps, start = 1, time.perf_counter()
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
        """Prove and warm up. Raises NotTheSameError when the proof fails, WorkerError when the case cannot be built."""
        self.case, self._worker = case, worker
        self._names = {"step": case.id, "control": f"control of {case.id}"}
        self._took: dict[str, list[float]] = {"step": [], "control": []}
        self._process = psutil.Process(worker.pid)
        self._memory, self._device_memory = 0, 0.0
        proved = proof(case.spec, BACKENDS[case.backend].conventions, data)
        self._first = worker.call(
            "prepare", Prepared, name=case.id, spec=case.spec.id, mode=case.mode, device=kind(case.device), x=proved.x, labels=proved.labels
        )
        try:
            self._apart = check_same(case, self._first.weights, proved)
            worker.call("control", name=self._names["control"], size=round((case.flops / 2) ** (1 / 3)), device=kind(case.device))
            self._rate = worker.call("rate", device=kind(case.device))
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
        self._device_memory = self._worker.call("memory")

    def facts(self) -> StepTime:
        """The times and what is worth keeping beside them: seconds and milliseconds per step, not per block."""
        step, control = (statistics.median(self._took[what]) for what in ("step", "control"))
        return StepTime(
            backend=self.case.backend,
            mode=self.case.mode,
            device=self.case.device,
            network=self.case.spec.id,
            step_ms=1e3 * step,
            control_ms=1e3 * control,
            step_in_controls=step / control,
            steps_per_block=self._warm["step"].steps,
            first_step_s=self._first.first_step,
            warm_up_s=self._warm["step"].seconds,
            warm=self._warm["step"].flat,
            flops=self.case.flops,
            product_flops_per_s=self._rate,
            of_product_rate=self.case.flops / step / self._rate,
            device_memory_mb=self._device_memory,
            apart_from_reference=self._apart,
            worker_rss_mb=self._memory / 2**20,
            step_samples_s=self._took["step"],
            control_samples_s=self._took["control"],
        )

    def close(self) -> None:
        """Free the network in the worker."""
        self._worker.call("forget", names=list(self._names.values()))
