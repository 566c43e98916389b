"""One restart of a duet: fresh workers on every side, the same step proved on each, and blocks that alternate A B B A.

A machine drifts by more than frameworks differ, so nothing is compared that was not measured within a round; and how a process
happens to be laid out in memory is one sample, so a restart, however many rounds it holds, counts as one. Both sides share one
processor: they never run at the same time, and whatever else runs there, or beside it, meets both.
"""

import contextlib
import functools
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import TimeoutError as TooLate
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from bench.timing.duet.gpu import Watch
from bench.timing.duet.own import check_alike
from bench.timing.duet.sides import DuetCase, Variant
from bench.timing.steps import check_same, proof, steps_per_block, warm_up
from fixtures.data.datasets import Data
from models.arrays import Arrays
from models.backends.registry import BACKENDS
from models.own.address import OwnModel
from models.worker.devices import kind
from models.worker.process import Worker, WorkerDied
from models.worker.tasks.step_timer import Block, Peaks, Prepared

T = TypeVar("T")
PATIENCE = 300.0
"""Seconds after which a worker that does not answer hangs: ten times what compiling 16 layers takes."""
LATE = 0.05
"""How much of a block's time the device may go on working after the clock was stopped; 0 is right, and a wait that finds nothing to
wait for takes microseconds of 20 ms."""
TRIAL_BLOCKS = 5
"""Blocks from which the length of a block is fixed and the wait for the device is checked."""
SHORTEST_SERIES = 8
"""Rounds that a restart takes at least, however long a step is."""


class NotSynchronisedError(RuntimeError):
    """The clock was stopped while the device was still at work, so that it measured nothing."""


@dataclass
class Series:
    """One case in one restart, variant by variant.

    `wall` and `waited` hold seconds per step of every round's two blocks (variants × rounds × 2): on the clock, and of these without a
    processor. `first_step` is in seconds, `host` and `device` the peak memory in MB. `dropped` counts rounds that are not here.
    """

    case: str
    restart: int
    steps: list[int]
    first_step: list[float]
    host: list[float]
    device: list[float]
    wall: list[list[tuple[float, float]]]
    waited: list[list[tuple[float, float]]]
    dropped: dict[str, int] = field(default_factory=dict)
    warm: bool = True
    seconds: float = 0.0


class Pair:
    """The workers of one restart, one a variant."""

    def __init__(self, variants: Sequence[Variant]) -> None:
        """Start them all at once; they import while the caller goes on."""
        self.workers: list[Worker] = []
        self.variants = variants
        try:
            for variant in variants:
                self.workers.append(variant.worker())
        except BaseException:
            self.close()
            raise

    def ask(self, number: int, do: str, answer: type[T] = object, /, **arguments: object) -> T:  # type: ignore[assignment]
        """Ask a variant's worker. Raises WorkerError with its message, WorkerDied also when it does not answer in time."""
        worker = self.workers[number]
        try:
            return worker.submit(do, answer, **arguments).result(timeout=PATIENCE)
        except TooLate:
            words = worker.last_output() or "(none)"
            raise WorkerDied(f"the {worker.backend} worker did not answer within {PATIENCE:.0f} s; its last output: {words}") from None

    def share_processor(self, restart: int) -> None:
        """Keep workers of one thread on one of the processors that there are, every `restart` on another; Linux only, and not on a GPU.

        Left alone, a scheduler keeps one side beside a competing process for seconds and the other one not: log-ratios of equal sides
        then vary by 1.3 to 1.8 % between restarts on two processors beside one busy process, and by 0.8 % where they share one.
        Steps on a GPU are launched by one thread and driven by others of the framework, which would wait for each other.
        """
        if not hasattr(os, "sched_setaffinity") or any(variant.threads > 1 or variant.device != "cpu" for variant in self.variants):
            return
        processors = sorted(os.sched_getaffinity(0))
        for worker in self.workers:
            for thread in Path(f"/proc/{worker.pid}/task").glob("*"):
                with contextlib.suppress(OSError):  # one that has ended meanwhile
                    os.sched_setaffinity(int(thread.name), {processors[restart % len(processors)]})

    def close(self) -> None:
        """End every worker."""
        for worker in self.workers:
            worker.close()


@contextmanager
def fresh(variants: Sequence[Variant], restart: int = 0) -> Iterator[Pair]:
    """Workers for one restart, ended whatever happens, and asked once so that their imports do not run into a measurement."""
    pair = Pair(variants)
    try:
        for number in range(len(variants)):
            pair.ask(number, "versions")
        pair.share_processor(restart)
        yield pair
    finally:
        pair.close()


def measure(pair: Pair, case: DuetCase, data: Data, *, restart: int, seconds: float, watch: Watch | None = None) -> Series:
    """Prepare the case on every variant, prove and warm it, and take rounds for `seconds`.

    Variants are prepared in an order that is reversed with every restart, because the first to compile finds a cooler machine. Raises
    NotTheSameError where a variant trains another network, NotSynchronisedError, WorkerError.
    """
    variants, begun = pair.variants, time.perf_counter()
    count = range(len(variants))
    names, prepared = [f"{number} {case.id}" for number in count], []
    first, weights, steps, warm = dict[int, float](), dict[int, Arrays](), dict[int, int](), True
    try:
        for number in count if restart % 2 == 0 else reversed(count):
            variant = variants[number]
            prepared.append((number, names[number]))
            pair.ask(number, "begin_peaks")
            first[number], weights[number] = _prepare(pair, number, names[number], case, data)
            if variant.slowdown != 1.0:
                names[number] += " slowed"
                prepared.append((number, names[number]))
                pair.ask(number, "plant", name=names[number], of=f"{number} {case.id}", factor=variant.slowdown)
            warmed = warm_up(functools.partial(_own_seconds, pair, number, names[number]))
            warm = warm and warmed.flat
            steps[number] = _steps_of_a_block(pair, number, names[number], warmed.steps)
        if isinstance(case.spec, OwnModel):
            check_alike(case.id, [weights[number] for number in count])
        if watch:
            watch.ours()
        if len({(variant.backend, variant.mode) for variant in variants}) == 1:
            steps = dict.fromkeys(steps, min(steps.values()))  # blocks of one length meet the same disturbances
        rows, dropped = _rounds(pair, names, [steps[n] for n in count], seconds, watch)
        peaks = [pair.ask(number, "peaks", Peaks) for number in count]
    finally:
        for number, name in prepared:
            if pair.workers[number].alive:
                pair.workers[number].submit("forget", names=[name])
    return Series(
        case=case.id, restart=restart, steps=[steps[n] for n in count], first_step=[first[n] for n in count],
        host=[peaks[n].host for n in count], device=[peaks[n].device for n in count],
        wall=[[(one.seconds / steps[n], two.seconds / steps[n]) for one, two in (row[n] for row in rows)] for n in count],
        waited=[[(one.waited / steps[n], two.waited / steps[n]) for one, two in (row[n] for row in rows)] for n in count],
        dropped=dropped, warm=warm, seconds=time.perf_counter() - begun,
    )  # fmt: skip


def abba_round(count: int, block: Callable[[int], Block]) -> list[tuple[Block, Block]]:
    """One round: a block of every variant in order and back again, A B B A for two, so that a drift within it favours neither."""
    there = [block(number) for number in range(count)]
    back = [block(number) for number in reversed(range(count))]
    return list(zip(there, reversed(back), strict=True))


def _prepare(pair: Pair, number: int, name: str, case: DuetCase, data: Data) -> tuple[float, Arrays]:
    """Seconds of the first step, and the weights after the first few; those of a network are the reference's."""
    variant = pair.variants[number]
    asked = {"name": name, "mode": variant.mode, "device": kind(variant.device)}
    if isinstance(case.spec, OwnModel):
        prepared = pair.ask(number, "prepare_own", Prepared, model=case.spec, **asked)
    else:
        proved = proof(case.spec, BACKENDS[variant.backend].conventions, data)
        prepared = pair.ask(number, "prepare", Prepared, spec=case.spec.id, x=proved.x, labels=proved.labels, **asked)
        check_same(variant.timed(case.spec), prepared.weights, proved)
    return prepared.first_step, prepared.weights


def _rounds(
    pair: Pair, names: list[str], steps: list[int], seconds: float, watch: Watch | None
) -> tuple[list[list[tuple[Block, Block]]], dict[str, int]]:
    rows: list[list[tuple[Block, Block]]] = []
    dropped: dict[str, int] = {}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(rows) + sum(dropped.values()) < SHORTEST_SERIES:
        row = abba_round(len(names), lambda number: _clocked(pair, number, names[number], steps[number]))
        if reason := watch.disturbed() if watch else "":
            dropped[reason] = dropped.get(reason, 0) + 1
        else:
            rows.append(row)
    return rows, dropped


def _clocked(pair: Pair, number: int, name: str, steps: int) -> Block:
    return pair.ask(number, "timed_block", Block, name=name, steps=steps)


def _steps_of_a_block(pair: Pair, number: int, name: str, steps: int) -> int:
    """How many steps make a block, from a few that are warm. Raises NotSynchronisedError where the clock does not wait for the device.

    Medians, because a busy machine may take the processor away at any of these moments.
    """
    blocks = [_clocked(pair, number, name, steps) for _ in range(TRIAL_BLOCKS)]
    late, took = (statistics.median(values) for values in ([b.late for b in blocks], [b.seconds for b in blocks]))
    if late > LATE * took:
        raise NotSynchronisedError(
            f"{name.partition(' ')[2]} is not timed: the device worked on for {1e3 * late:.1f} ms after a block of "
            f"{1e3 * took:.1f} ms, so the clock was stopped without waiting for it."
        )
    return steps_per_block(statistics.median(_net(block) for block in blocks) / steps)


def _own_seconds(pair: Pair, number: int, name: str, steps: int) -> float:
    return _net(_clocked(pair, number, name, steps))


def _net(block: Block) -> float:
    return max(block.seconds - block.waited, 1e-3 * block.seconds)
