"""Evidence of users' own models and of published networks: each examined once in a worker, judged many times."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from bench.baselines.own import OwnRecording
from bench.evidence.pool import ObservationPool
from bench.judging.check import Need
from models.backends.registry import info
from models.own.address import OwnModel
from models.own.observation import OwnJob, OwnObservation
from models.own.training import OwnHistory, OwnTraining
from models.worker.devices import kind
from models.worker.process import Worker, WorkerDied, WorkerError, resident

WORTH_A_START = 30.0
"""Seconds of work that wait for a backend where another worker of it is started: importing a framework takes a tenth of that."""
WEIGHED_EVERY = 2.0
"""Seconds between two looks at what all processes hold, while a model is waited for."""
HELD = 1000.0
"""A worker that holds so many MB after a model is replaced by a new one: frameworks keep some of what they traced and computed with."""
NEEDS = frozenset({Need.STEPS, Need.REFERENCE, Need.RESOLVED})
"""What can be had of an own model; whether it has a twin and an optimizer is known once it was built."""


@dataclass
class OwnTrained:
    """Trainings of a model with data, what was recorded of it, the file that this is in, and how much wider its intervals are here."""

    histories: list[OwnHistory]
    recording: OwnRecording | None
    path: Path
    widening: float = 1.0


@dataclass
class OwnEvidence:
    """One model on one backend, beside its float64 twin; checks of own models read it and nothing else."""

    network: str
    backend: str
    seen: OwnObservation
    repeats: bool = True
    training: OwnTrained | None = None


class OwnPool:
    """Examines models on request, by workers of the pool of networks, and keeps every processor busy.

    Where one framework has no model left, another worker of the other one takes its place.
    """

    def __init__(self, pool: ObservationPool, *, compiled: bool, seed: int = 0) -> None:
        """Nothing starts until a model is asked for; `compiled` also takes variants that need a compiler."""
        self._pool, self._compiled, self._seed = pool, compiled, seed
        self._queue: dict[str, list[OwnModel]] = {}
        self._asked: dict[Worker, deque[tuple[OwnModel, Future[OwnObservation]]]] = {}
        self._seen: dict[tuple[str, OwnModel], OwnEvidence | WorkerError] = {}

    def plan(self, wanted: Sequence[tuple[str, OwnModel]]) -> None:
        """The order in which models are examined."""
        for backend, model in dict.fromkeys(wanted):
            self._queue.setdefault(backend, []).append(model)
        self._hand_out()

    def run(self, backend: str, model: OwnModel) -> OwnEvidence:
        """What a backend did with a model. Raises WorkerError with its words where it could not be built or run, every time."""
        key = backend, model
        if key not in self._seen and model not in self._queue.setdefault(backend, []) and not self._under_way(*key):
            self._queue[backend].insert(0, model)
        while key not in self._seen:
            self._hand_out()
            wait([tasks[0][1] for tasks in self._asked.values() if tasks], WEIGHED_EVERY, return_when=FIRST_COMPLETED)
            self._pool.weigh()
            self._collect()
        found = self._seen[key]
        if isinstance(found, WorkerError):
            raise found
        return found

    def trained(self, backend: str, model: OwnModel, *, moved: bool) -> list[OwnHistory]:
        """Trainings on every seed of the run; with `moved` each also from one unit in the last place away. Raises WorkerError."""
        job = OwnTraining(model, list(self._pool.seeds), moved, kind(self._pool.device))
        free = next((worker for worker, tasks in self._asked.items() if worker.backend == backend and not tasks), None)
        return (free or self._pool.get(backend)).call("train_own", list[OwnHistory], own=job)

    def failed(self, backend: str, model: OwnModel) -> bool:
        """Whether the model is known to have failed on this backend."""
        return isinstance(self._seen.get((backend, model)), WorkerError)

    def problem(self, backend: str, model: OwnModel) -> WorkerError | None:
        """Why the model cannot be judged on this backend; nothing where it can."""
        try:
            self.run(backend, model)
        except WorkerError as error:
            return error
        return None

    def _under_way(self, backend: str, model: OwnModel) -> bool:
        return any(model == each for worker, tasks in self._asked.items() if worker.backend == backend for each, _ in tasks)

    def _hand_out(self) -> None:
        """Give workers their next models, and start others where every backend has one and processors are left."""
        self._collect()
        for more in (False, True):
            for backend, queue in self._queue.items():
                while queue and (worker := self._free(backend) or (self._another(backend) if more else None)):
                    model = queue.pop(0)
                    job = OwnJob(model, kind(self._pool.device), self._seed, self._compiled)
                    self._asked[worker].append((model, worker.submit("examine", OwnObservation, own=job)))

    def _free(self, backend: str) -> Worker | None:
        """Who of a backend's workers takes the next model. A small one takes a model ahead, while enough are left to divide."""
        crew = [worker for worker in self._asked if worker.backend == backend]
        if not crew and self._pool.has_networks(backend):
            crew = [self._pool.get(backend)]
            self._asked[crew[0]] = deque()
        if not crew:
            return self._start(backend)
        least = min(crew, key=lambda each: len(self._asked[each]))
        ahead = len(self._queue[backend]) > len(crew) and least.peak_memory() <= HELD
        return least if len(self._asked[least]) < 1 + ahead else None

    def _collect(self) -> None:
        """Take what was answered. What a dead worker was at has its death, and what it was asked for besides is asked for again."""
        for worker, tasks in list(self._asked.items()):
            while tasks and tasks[0][1].done():
                model, asked = tasks.popleft()
                key = worker.backend, model
                try:
                    self._seen[key] = OwnEvidence(model.id, worker.backend, asked.result(), self._pool.repeats)
                except WorkerError as error:
                    self._seen[key] = error
                    if isinstance(error, WorkerDied):
                        self._queue[worker.backend][:0] = [each for each, _ in tasks]
                        tasks.clear()
            if not tasks and (not worker.alive or self._is_worn(worker)):
                self._dismiss(worker)

    def _is_worn(self, worker: Worker) -> bool:
        """Whether a worker holds much that a new one would not. What drives a GPU holds as much from its start."""
        return kind(self._pool.device) == "cpu" and self._pool.unneeded(worker) and resident([worker.pid]) > HELD

    def _another(self, backend: str) -> Worker | None:
        """One worker more, where there is much to do and room for it; those that have nothing to do any more make room."""
        if any(tasks and tasks[0][1].done() for tasks in self._asked.values()):  # who has just finished goes on first
            return None
        took = [found.seen.seconds for (name, _), found in self._seen.items() if name == backend and isinstance(found, OwnEvidence)]
        if not took or fmean(took) * len(self._queue[backend]) < WORTH_A_START or not self._pool.processor_left():
            return None
        for worker in [each for each, tasks in self._asked.items() if not tasks and not self._queue[each.backend]]:
            if self._pool.unneeded(worker):
                self._dismiss(worker)
        if not self._pool.memory_left(backend):
            return None
        return self._start(backend)

    def _start(self, backend: str) -> Worker:
        worker = self._pool.another(backend, info(backend).gives_back)
        self._asked[worker] = deque()
        return worker

    def _dismiss(self, worker: Worker) -> None:
        del self._asked[worker]
        self._pool.part(worker)
