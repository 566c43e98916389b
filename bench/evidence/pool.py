"""Networks trained once and judged many times: workers kept busy in the order in which tests will ask.

Each framework trains in its own process, one network ahead of the judge, so that two frameworks share two cores and the
judging process never imports either.
"""

from __future__ import annotations

import dataclasses
import os
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from typing import Any

import numpy as np

from bench.baselines import samples as baselines
from bench.checks.activation import is_activation_case, points
from bench.checks.initializer import DRAWS, FAN_IN, FAN_OUT, SEEDS, is_initializer_case
from bench.checks.loss_scale import scaled_steps
from bench.evidence.evidence import Evidence
from bench.evidence.reference import ReferenceResult, solve
from bench.symmetry import relation_steps
from fixtures.data.datasets import Data
from models.observation import Job, Observation, Training
from models.parts.precisions import PLAIN
from models.reference.draws import draw_weights, prepare_forced_steps, rounded
from models.spec import Spec
from models.worker.devices import kind
from models.worker.process import Worker, WorkerDied, peak_memory, resident

STEPS = 100
"""Training steps of a free run: five epochs of digits at the reference batch, where the reference network reaches 0.8."""
TEST_SAMPLES = 2000
"""At most this many test samples decide an accuracy; digits have 600."""
RECORDED_SEED = 1000
"""Seeds of a recording start here, apart from those of a run, so that no run is judged by itself."""
AHEAD = 2
"""How many networks each worker is asked for before the judge needs them."""
KEPT = 3
"""How many networks' answers and observations stay in memory."""


class ObservationPool:
    """Trains networks on request and hands out what was seen beside the reference's answer."""

    def __init__(
        self,
        data: Data,
        *,
        device: str,
        threads: int,
        seeds: Sequence[int],
        untrained: Sequence[Spec] = (),
        isolate: bool = False,
        deterministic: bool = False,
    ) -> None:
        """Nothing starts until a network is asked for; those of `untrained` are looked at without training.

        With `isolate` each network is trained in a process of its own. `deterministic` asks frameworks for deterministic kernels.
        """
        self.data, self.device, self.threads, self.seeds = data, device, threads, tuple(seeds)
        self.untrained = frozenset(untrained)
        self.baselines: dict[str, baselines.Baseline] = {}
        self._isolate, self._deterministic = isolate, deterministic
        self._cells: dict[tuple[str, Spec], Worker] = {}
        self._workers: dict[str, Worker] = {}
        self._beside: list[Worker] = []
        self._together = 0.0
        self._queue: dict[str, list[Spec]] = {}
        self._futures: dict[tuple[str, Spec], Future[Any]] = {}
        self._draws: dict[tuple[str, Spec], list[Future[Any]]] = {}
        self._curves: dict[tuple[str, Spec], dict[str, Future[Any]]] = {}
        self._answers: OrderedDict[Spec, ReferenceResult] = OrderedDict()
        self._runs: OrderedDict[tuple[str, Spec], Evidence] = OrderedDict()

    def get(self, backend: str) -> Worker:
        """The worker of a backend, started on first use."""
        if backend not in self._workers:
            self._workers[backend] = self.start(backend)
        return self._workers[backend]

    def another(self, backend: str) -> Worker:
        """A worker for something else than networks, weighed and ended with the others."""
        self._beside.append(self.start(backend))
        return self._beside[-1]

    def part(self, worker: Worker) -> None:
        """End a worker that is not needed any more, or is dead."""
        worker.close()
        if worker in self._beside:
            self._beside.remove(worker)
        elif self._workers.get(worker.backend) is worker:
            self.bury(worker.backend)

    def start(self, backend: str) -> Worker:
        """A new worker on this laboratory's device, which the caller closes."""
        return Worker(backend, device=self.device, threads=self.threads, deterministic=self._deterministic)

    @property
    def repeats(self) -> bool:
        """Whether the same bits every time are promised: by one thread of a CPU, and by deterministic kernels anywhere."""
        return self._deterministic or (self.device == "cpu" and self.threads == 1)

    def plan(self, wanted: Sequence[tuple[str, Spec]]) -> None:
        """The order in which runs will be asked for; workers start on it at once."""
        for backend, spec in wanted:
            self._queue.setdefault(backend, []).append(spec)
        for backend in self._queue if not self._isolate else ():
            self.get(backend)
        for backend in self._queue:
            self._fill(backend)

    def run(self, backend: str, spec: Spec) -> Evidence:
        """What `backend` did with `spec`. Raises models.worker.process.WorkerError with the worker's words when it failed."""
        key = (backend, spec)
        if key not in self._runs:
            if key not in self._futures:
                self._submit(backend, spec)
            future = self._futures.pop(key)
            self._fill(backend)
            self._weigh()
            try:
                seen = future.result()
                draws = [each.result() for each in self._draws.pop(key, [])]
                curves = {precision: each.result() for precision, each in self._curves.pop(key, {}).items()}
            except WorkerDied:
                if not self._isolate:
                    self.bury(backend)
                raise
            finally:
                if cell := self._cells.pop(key, None):
                    cell.close()
            own = spec.on(backend)
            here, tested = self.baselines.get(backend), held_out(own, self.data)
            self._runs[key] = Evidence(
                spec.id, own, backend, seen, self._answer(own), here, self.data.name, tested, draws, curves, start_of(own, self.data)
            )
            while len(self._runs) > KEPT:
                self._runs.popitem(last=False)
        return self._runs[key]

    def peak_memory(self) -> dict[str, float]:
        """Largest resident memory so far, in MB, of the judge and each backend's worker, and of all processes `together` at one time."""
        self._weigh()
        workers = {backend: worker.peak_memory() for backend, worker in self._workers.items()}
        return {"judge": peak_memory(os.getpid())} | workers | {"together": self._together}

    def _weigh(self) -> None:
        """Note what all processes hold now; whoever asks for a network asks for this as well."""
        workers = (*self._workers.values(), *self._cells.values(), *(worker for worker in self._beside if worker.alive))
        self._together = max(self._together, resident([os.getpid(), *(worker.pid for worker in workers)]))

    def close(self) -> None:
        """End every worker."""
        for worker in (*self._workers.values(), *self._cells.values(), *self._beside):
            worker.close()

    def bury(self, backend: str) -> None:
        """Forget a dead worker and ask its successor again for what was under way."""
        self._workers.pop(backend).close()
        lost = [spec for name, spec in self._futures if name == backend]
        for spec in lost:
            self._futures.pop((backend, spec))
            self._draws.pop((backend, spec), None)
            self._curves.pop((backend, spec), None)
        self._queue[backend] = lost + self._queue.get(backend, [])

    def _fill(self, backend: str) -> None:
        queue = self._queue.get(backend, [])
        while queue and sum(b == backend for b, _ in self._futures) < AHEAD:
            spec = queue.pop(0)
            if (backend, spec) not in self._runs and (backend, spec) not in self._futures:
                self._submit(backend, spec)

    def _submit(self, backend: str, spec: Spec) -> None:
        own, worker = spec.on(backend), self._worker(backend, spec)
        if spec in (queue := self._queue.get(backend, [])):
            queue.remove(spec)
        forced_steps = self._answer(own).forced_steps
        free = [] if spec in self.untrained else trainings(own, self.data, self.seeds)
        job = Job(
            backend, own, kind(self.device), self.seeds[0], forced_steps, relation_steps(own, forced_steps),
            scaled_steps(own, forced_steps), free, *held_out(own, self.data), repeat=self.repeats,
        )  # fmt: skip
        self._futures[backend, spec] = worker.submit("observe", Observation, job=job)
        if is_initializer_case(spec):
            self._draws[backend, spec] = [
                worker.submit("draw", Any, spec=own.id, fan_in=FAN_IN, fan_out=FAN_OUT, draws=DRAWS, seed=seed) for seed in SEEDS
            ]
        if is_activation_case(spec):
            self._curves[backend, spec] = {
                precision: worker.submit(
                    "activate", Any, spec=dataclasses.replace(own, precision=precision).id, x=points().astype(precision)
                )
                for precision in PLAIN
            }

    def _worker(self, backend: str, spec: Spec) -> Worker:
        if not self._isolate:
            return self.get(backend)
        if (backend, spec) not in self._cells:
            self._cells[backend, spec] = self.start(backend)
        return self._cells[backend, spec]

    def _answer(self, spec: Spec) -> ReferenceResult:
        if spec not in self._answers:
            forced_steps = prepare_forced_steps(spec, self.data.x_train, labels_of(spec, self.data.y_train), self.seeds[0])
            self._answers[spec] = solve(spec, forced_steps)
            while len(self._answers) > AHEAD + KEPT:
                self._answers.popitem(last=False)
        return self._answers[spec]


def trainings(spec: Spec, data: Data, seeds: Sequence[int]) -> list[Training]:
    """The free runs of `spec` on `data`: weights and batches of each seed, the same for every backend; none where it is not trained."""
    runs = []
    for seed in seeds if spec.trained else ():
        batches = data.batches(spec.batch, seed)
        xs, labels = zip(*(next(batches) for _ in range(STEPS)), strict=True)
        runs.append(Training(seed, draw_weights(spec, seed), rounded(spec, np.stack(xs)), labels_of(spec, np.stack(labels))))
    return runs


def start_of(spec: Spec, data: Data) -> Callable[[int], Training]:
    """Where the free run of a seed begins."""
    return lambda seed: trainings(spec, data, [seed])[0]


def held_out(spec: Spec, data: Data) -> tuple[Any, Any]:
    """Test samples and labels that decide an accuracy."""
    return rounded(spec, data.x_test[:TEST_SAMPLES]), labels_of(spec, data.y_test[:TEST_SAMPLES])


def labels_of(spec: Spec, labels: Any) -> Any:
    """Labels modulo the network's classes, for networks with fewer than the data."""
    return labels % spec.classes
