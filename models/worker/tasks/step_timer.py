"""Training steps in blocks, as a clock wants them: data on the device, one synchronisation at a block's end.

Each mode is a way users run a step: PyTorch `eager`, `compile` (torch.compile) and `graphs` (the same with CUDA graphs, its
mode "reduce-overhead"); Keras `eager`, `train_on_batch`, `compiled` (the trainer's own compiled function, data already on the
device) and `jit` (the same with jit_compile; on PyTorch `train_on_batch` with it).
"""

from __future__ import annotations

import contextlib
import gc
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from models.arrays import Arrays, Batch, Labels
from models.backends.protocol import Backend, TimedWork
from models.own.address import OwnModel
from models.reference.draws import draw_weights
from models.spec import Spec
from models.worker.process import peak_memory

PROVED_STEPS = 2
"""How many steps the equivalence proof of a timed case takes: the second one shows what the optimizer remembers."""


LARGEST_PRODUCT, LONGEST_PRODUCT = 8192, 0.1
"""Rows of the largest matrix, and seconds of the longest product, that measure how fast a device multiplies."""
PRODUCT_BLOCK = 0.02
"""Seconds of products that make a reading."""


@dataclass
class Prepared:
    """A case ready for the clock: seconds of its first step (tracing and compiling included) and the weights after `PROVED_STEPS` steps."""

    first_step: float
    weights: Arrays


@dataclass
class Block:
    """One block of steps: `seconds` on the clock, `waited` of them without a processor, `late` until the device had really finished.

    `waited` is what the working thread spent ready to run while the processor belonged to somebody else, as the Linux scheduler
    counts it (0 where it does not); `late` is 0 unless the clock was stopped too early.
    """

    seconds: float
    waited: float
    late: float


@dataclass
class Peaks:
    """Highest memory since the case was begun, in MB: of the process and, where there is one, on its device; 0 where nobody counts it."""

    host: float
    device: float


def scheduler_times() -> dict[str, tuple[int, int]]:
    """By thread of this process, nanoseconds it has run and waited to run; see sched-stats.rst of the Linux kernel. Empty elsewhere."""
    seen = {}
    for path in Path("/proc/self/task").glob("*/schedstat"):
        with contextlib.suppress(OSError):  # a thread that has ended meanwhile
            ran, waited, _ = path.read_text(encoding="ascii").split()
            seen[path.parent.name] = int(ran), int(waited)
    return seen


def processor_wait(before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]) -> float:
    """Seconds for which the thread that ran most had to wait for a processor; the waits of idle threads delay nobody."""
    ran = {thread: now[0] - before.get(thread, (0, 0))[0] for thread, now in after.items()}
    busiest = max(ran, key=ran.__getitem__, default="")
    return (after[busiest][1] - before.get(busiest, (0, 0))[1]) / 1e9 if busiest else 0.0


class StepTimer:
    """What one worker has ready to be timed, by name."""

    def __init__(self, backend: Backend) -> None:
        """Nothing is built until `prepare`."""
        self._backend = backend
        self._work: dict[str, TimedWork] = {}
        self._rates: dict[str, float] = {}

    def prepare(self, *, name: str, spec: str, mode: str, device: str, x: Batch, labels: Labels) -> Prepared:
        """Build `spec` with NumPy-drawn weights of seed 0, take the first steps on one batch and report the weights they lead to.

        Weights rather than losses are the proof: what a compiled Keras step returns is a running mean.
        """
        network_spec = Spec.parse(spec)
        self._backend.peak_device_memory(reset=True)
        network = self._backend.Network(network_spec, device=device, mode=mode, record=())
        network.load(draw_weights(network_spec, 0), fresh=True)
        step, synchronise = work = network.timed_step(x, labels)
        start = time.perf_counter()
        step()
        synchronise()
        first = time.perf_counter() - start
        for _ in range(PROVED_STEPS - 1):
            step()
        self._work[name] = work
        return Prepared(first, network.weights())

    def prepare_own(self, *, name: str, model: OwnModel, mode: str, device: str) -> Prepared:
        """Build a user's own model, take its first steps on its first batch and report the weights they lead to. Raises OwnError."""
        self._backend.peak_device_memory(reset=True)
        work, entered, weights = self._backend.own_step(model, mode, 0, device)
        with entered():
            start = time.perf_counter()
            work.run()
            work.wait()
            first = time.perf_counter() - start
            for _ in range(PROVED_STEPS - 1):
                work.run()
        self._work[name] = work
        return Prepared(first, weights())

    def control(self, *, name: str, size: int, device: str) -> None:
        """Make ready a float32 product of two size × size matrices: work of known cost, done by the same framework."""
        self._work[name] = self._backend.product(size, device)

    def rate(self, *, device: str) -> float:
        """Floating-point operations a second of the fastest float32 product of two square matrices, of any size that there is time for.

        This is what the device reaches through this framework, and what no training step exceeds. Measured once a process.
        """
        if device not in self._rates:
            best, size, took = 0.0, 256, 0.0
            while size <= LARGEST_PRODUCT and took < LONGEST_PRODUCT:
                took = self._fastest(*self._backend.product(size, device))
                best, size = max(best, 2 * size**3 / took), 2 * size
            self._rates[device] = best
        return self._rates[device]

    @staticmethod
    def _fastest(multiply: Callable[[], object], synchronise: Callable[[], object]) -> float:
        """Seconds of a product: the best of three blocks, after one product that may compile."""
        readings: list[float] = []
        count = 1
        multiply()
        synchronise()
        while len(readings) < 3:
            start = time.perf_counter()
            for _ in range(count):
                multiply()
            synchronise()
            block = time.perf_counter() - start
            if block < PRODUCT_BLOCK / 2:
                count *= 2
            else:
                readings.append(block / count)
        return min(readings)

    def memory(self) -> float:
        """The most memory of the device that the framework held since a case was made ready, in MB; 0 on a CPU."""
        return self._backend.peak_device_memory(reset=False)

    def block(self, *, name: str, steps: int) -> float:
        """Seconds that `steps` steps take, the synchronisation at the end included."""
        step, synchronise = self._work[name]
        start = time.perf_counter()
        for _ in range(steps):
            step()
        synchronise()
        return time.perf_counter() - start

    def plant(self, *, name: str, of: str, factor: float) -> None:
        """Make ready as `name` the steps of `of`, of which so many are taken twice that on average they take `factor` times as long.

        The same work again is exact on every machine; a loop that burns time also slows the step that comes after it.
        """
        step, synchronise = self._work[of]
        owed = 0.0

        def slowed() -> None:
            nonlocal owed
            step()
            owed += factor - 1.0
            while owed >= 1.0:
                owed -= 1.0
                step()

        self._work[name] = TimedWork(slowed, synchronise)

    def timed_block(self, *, name: str, steps: int) -> Block:
        """Time a block of steps, after one that is not timed where steps are short: the caches were the other process's."""
        step, synchronise = self._work[name]
        if steps > 1:
            step()
            synchronise()
        before, start = scheduler_times(), time.perf_counter()
        for _ in range(steps):
            step()
        synchronise()
        seconds = time.perf_counter() - start
        after, start = scheduler_times(), time.perf_counter()
        self._backend.drain()
        late = time.perf_counter() - start
        return Block(seconds, min(processor_wait(before, after), seconds), max(0.0, late - processor_wait(after, scheduler_times())))

    def begin_peaks(self) -> None:
        """Forget how much memory was held so far."""
        gc.collect()
        with contextlib.suppress(OSError):
            Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
        self._backend.peak_device_memory(reset=True)

    def peaks(self) -> Peaks:
        """The highest memory since `begin_peaks`."""
        return Peaks(peak_memory(os.getpid()), self._backend.peak_device_memory(reset=False))

    def forget(self, *, names: list[str]) -> None:
        """Free what was made ready, so that the next case does not run beside it."""
        for name in names:
            self._work.pop(name, None)
        gc.collect()
