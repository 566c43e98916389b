"""Trains cells in worker processes, as many at a time as are asked for, and keeps each one that is finished."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from bench.experiments.cell import LOOKS, Cell, rates
from bench.experiments.record import Result, Statistics
from bench.experiments.sources import Source, Sources, hold, renew, steps_of
from fixtures.data.datasets import Data
from models.architectures.recurrent import RNN
from models.arrays import Array, PerStep
from models.worker import devices
from models.worker.process import Worker, WorkerDied, WorkerError
from models.worker.tasks.epochs import EpochSeen, Refreshed

LONGEST = 6 * 3600.0
"""Seconds of a processor that one epoch, or building a network, may take: those of 1,000 layers take a hundredth."""
SHOWN_LAYERS, SHOWN_EPOCHS = 41, (1, 2, 5, 10, 20, 50, 100)
"""At most so many layers, evenly spread, and these epochs and the last of gradient norms are kept."""
WEIGHED = {"MALLOC_MMAP_THRESHOLD_": str(1 << 15), "TF_ENABLE_ONEDNN_OPTS": "0"}
"""Environment of a worker whose memory is read: every tensor of 32 kB and more is given back to the system when it is freed.

TensorFlow's allocator with oneDNN keeps freed memory, and glibc's keeps it after the first large tensor.
"""
Progress = Callable[[Cell, int, float], None]
"""Called after each epoch with its number and the accuracy."""


class Pool:
    """So many slots, each with a worker that is kept while its backend is wanted."""

    def __init__(self, data: Sources, device: str, progress: Progress, keep: Callable[[Cell, Result], object]) -> None:
        """`keep` is called with each result as soon as it is there."""
        self._data, self._device, self._progress, self._keep = data, device, progress, keep
        self._lock = threading.Lock()
        self._waiting: list[Cell] = []
        self._workers: set[Worker] = set()
        self._ended = False
        self.failed: dict[Cell, str] = {}

    def run(self, cells: list[Cell], slots: int) -> None:
        """Train every cell. One whose worker dies twice is in `failed` with the reason; the others go on."""
        self._waiting = list(cells)
        with ThreadPoolExecutor(slots) as threads:
            try:
                for slot in [threads.submit(self._slot) for _ in range(slots)]:
                    slot.result()
            finally:
                self._end()

    def _end(self) -> None:
        with self._lock:
            self._ended, self._waiting = True, []
            workers = list(self._workers)
        for worker in workers:
            worker.close()

    def _next(self, backend: str) -> Cell | None:
        """The first cell that is left, or one of the same row and seed on the backend whose worker is there."""
        with self._lock:
            if not self._waiting:
                return None
            first = self._waiting[0]
            chosen = next((c for c in self._waiting if c.backend == backend and (c.row, c.seed) == (first.row, first.seed)), first)
            self._waiting.remove(chosen)
            return chosen

    def _slot(self) -> None:
        worker: Worker | None = None
        held: tuple[str, ...] = ()
        weighed = False
        while cell := self._next(worker.backend if worker else ""):
            for again in (True, False):
                try:
                    if worker is None or (worker.backend, weighed) != (cell.backend, cell.row.weighed) or not worker.alive:
                        if worker:
                            worker.close()
                        worker, held, weighed = self._start(cell), (), cell.row.weighed
                    source = self._data[cell.row.data]
                    if held != (wanted := (cell.row.data, cell.row.inputs)) or not isinstance(source, Data):
                        hold(worker, source, cell)
                        held = wanted
                    self._keep(cell, train(worker, cell, source, self._device, self._progress))
                    break
                except WorkerDied as error:
                    if self._ended:
                        return
                    if not again:
                        self.failed[cell] = str(error)
                except WorkerError as error:
                    self.failed[cell] = str(error)
                    break
        if worker:
            worker.close()

    def _start(self, cell: Cell) -> Worker:
        with self._lock:
            if self._ended:
                raise WorkerDied("the run has ended")
            worker = worker_for(cell, self._device)
            self._workers.add(worker)
        return worker


def worker_for(cell: Cell, device: str) -> Worker:
    """A process that can train a cell. Raises DeviceError."""
    return Worker(cell.backend, device=device, threads=1, deadline=LONGEST, variables=WEIGHED if cell.row.weighed else None)


def train(worker: Worker, cell: Cell, data: Source, device: str, progress: Progress) -> Result:
    """Train one cell, whose first samples the worker holds, from its first epoch to its last. Raises WorkerError."""
    row, spec, steps = cell.row, cell.spec(data), steps_of(data, cell)
    usual = {"seed": cell.seed, "device": devices.kind(device), "every": max(1, steps // LOOKS), "mode": row.mode}
    seen: list[EpochSeen] = []
    in_time: dict[str, PerStep] = {}

    def look(epoch: int) -> None:
        if isinstance(spec.arch, RNN):
            in_time[str(epoch)] = worker.call("in_time", network=spec.id, length=spec.arch.length)

    for level, factor in enumerate(row.levels):
        network = cell.spec(data, factor).id
        worker.call("begin", network=network, refines=level > 0, **usual)
        if level == 0:
            look(0)
        for number in range(1, row.epochs_a_level + 1):
            counted = len(seen) + 1
            renew(worker, data, cell, counted)
            weighed = row.weighed and counted == row.epochs
            schedule = rates(row.schedule, steps, row.epochs_a_level, number)
            seen.append(worker.call("epoch", EpochSeen, network=network, number=counted, schedule=schedule, weighed=weighed))
            progress(cell, counted, seen[-1].accuracy)
            if not math.isfinite(seen[-1].loss):
                break
        if not math.isfinite(seen[-1].loss):
            break
    refreshed = worker.call("refresh", Refreshed, network=network, batches=row.refresh) if row.refresh else None
    look(len(seen))
    return result_of(seen, refreshed, in_time)


def train_alone(cell: Cell, data: Source, device: str) -> Result:
    """Train one cell in a worker of its own. Raises WorkerError."""
    worker = worker_for(cell, device)
    try:
        hold(worker, data, cell)
        return train(worker, cell, data, device, lambda *_: None)
    finally:
        worker.close()


def result_of(seen: list[EpochSeen], refreshed: Refreshed | None, in_time: dict[str, PerStep]) -> Result:
    """What is kept of a training, gradient norms by layer of its last level.

    `in_time` has gradient norms of all time steps, by the number of epochs before.
    """
    depth = seen[-1].gradient_norms.shape[1]
    begun = next(n for n, each in enumerate(seen) if each.gradient_norms.shape[1] == depth)
    layers = _evenly(depth)
    times = _evenly(len(in_time["0"])) if in_time else []
    chosen = np.array(layers) - 1
    shown = [(n, each.gradient_norms) for n, each in enumerate(seen, 1) if n > begun and n in (*SHOWN_EPOCHS, len(seen))]
    looks = {str(n): norms[-1][chosen] for n, norms in shown if len(norms)}
    first = {str(begun): seen[begun].gradient_norms[0][chosen]} if len(seen[begun].gradient_norms) else {}
    test_loss = [_finite(each.test_loss) for each in seen]
    by_batch = [each.batch_accuracy for each in seen if math.isfinite(each.batch_accuracy)]
    return Result(
        accuracy=[round(each.accuracy, 4) for each in seen],
        loss=[_finite(each.loss) for each in seen],
        layers=layers,
        norms={name: _logs(norms) for name, norms in (first | looks).items()},
        ms_a_step=_finite(1e3 * float(np.median([each.processor_s / each.steps for each in seen]))) or 0.0,
        batch_accuracy=[round(each, 4) for each in by_batch],
        stopped=not math.isfinite(seen[-1].loss),
        statistics=_statistics(refreshed) if refreshed else None,
        test_loss=test_loss if any(each is not None for each in test_loss) else [],
        times=times,
        seconds=[float(f"{each.processor_s:.4g}") for each in seen],
        memory_mb=_finite(seen[-1].memory_mb),
        in_time={epoch: _logs(norms[np.array(times) - 1]) for epoch, norms in in_time.items()},
    )


def _evenly(count: int) -> list[int]:
    """At most `SHOWN_LAYERS` numbers from 1 to `count`, evenly spread."""
    return sorted({round(each) for each in np.linspace(1, count, min(count, SHOWN_LAYERS))})


def _statistics(seen: Refreshed) -> Statistics:
    distances = [[_finite(each) for each in found] for found in (seen.distance_before, seen.distance_after)]
    return Statistics(round(seen.before, 4), round(seen.after, 4), round(seen.by_batch, 4), *distances)


def _finite(value: float) -> float | None:
    """Four digits, or nothing for what JSON cannot hold."""
    return float(f"{value:.4g}") if math.isfinite(value) else None


def _logs(norms: Array) -> list[float | None]:
    return [round(math.log10(each), 2) if math.isfinite(each) and each > 0 else None for each in norms]
