"""Evidence of users' own models and of published networks: each examined once in a worker, judged many times."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path

from bench.baselines.own import OwnRecording
from bench.evidence.pool import ObservationPool
from bench.judging.check import Need
from models.own.address import OwnModel
from models.own.observation import OwnJob, OwnObservation
from models.own.training import OwnHistory, OwnTraining
from models.worker.devices import kind
from models.worker.process import Worker, WorkerDied, WorkerError

AHEAD = 16
"""How many models each worker is asked for before the judge needs them: what comes back is small, and no worker waits for another's."""
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
    """Examines models on request, by the workers of the pool of networks."""

    def __init__(self, pool: ObservationPool, *, compiled: bool, seed: int = 0) -> None:
        """Nothing starts until a model is asked for; `compiled` also takes variants that need a compiler."""
        self._pool, self._compiled, self._seed = pool, compiled, seed
        self._queue: dict[str, list[OwnModel]] = {}
        self._asked: dict[tuple[str, OwnModel], Future[OwnObservation]] = {}
        self._seen: dict[tuple[str, OwnModel], OwnEvidence | WorkerError] = {}

    def plan(self, wanted: Sequence[tuple[str, OwnModel]]) -> None:
        """The order in which models will be asked for."""
        for backend, model in wanted:
            self._queue.setdefault(backend, []).append(model)
        for backend in self._queue:
            self._fill(backend)

    def run(self, backend: str, model: OwnModel) -> OwnEvidence:
        """What a backend did with a model. Raises WorkerError with its words where it could not be built or run, every time."""
        key = backend, model
        if key not in self._seen:
            if key not in self._asked:
                self._submit(backend, model)
            asked = self._asked.pop(key)
            self._fill(backend)
            try:
                self._seen[key] = OwnEvidence(model.id, backend, asked.result(), self._pool.repeats)
            except WorkerDied as death:
                self._seen[key] = death
                self._bury(backend)
            except WorkerError as error:
                self._seen[key] = error
        found = self._seen[key]
        if isinstance(found, WorkerError):
            raise found
        return found

    def trained(self, backend: str, model: OwnModel, *, moved: bool) -> list[OwnHistory]:
        """Trainings on every seed of the run; with `moved` each also from one unit in the last place away. Raises WorkerError."""
        job = OwnTraining(model, list(self._pool.seeds), moved, kind(self._pool.device))
        return self._pool.get(backend).call("train_own", list[OwnHistory], own=job)

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

    def _bury(self, backend: str) -> None:
        """Ask the dead worker's successor again for what was under way."""
        lost = [model for name, model in self._asked if name == backend]
        for model in lost:
            self._asked.pop((backend, model))
        self._queue[backend] = lost + self._queue.get(backend, [])

    def _fill(self, backend: str) -> None:
        queue = self._queue.get(backend, [])
        while queue and sum(b == backend for b, _ in self._asked) < AHEAD:
            model = queue.pop(0)
            if (backend, model) not in self._seen and (backend, model) not in self._asked:
                self._submit(backend, model)

    def _submit(self, backend: str, model: OwnModel) -> None:
        job = OwnJob(model, kind(self._pool.device), self._seed, self._compiled)
        worker: Worker = self._pool.get(backend)
        self._asked[backend, model] = worker.submit("examine", OwnObservation, own=job)
