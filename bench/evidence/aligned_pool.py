"""Where networks run that both frameworks hold: each once, in the workers of the run."""

from __future__ import annotations

from bench.evidence.aligned import AlignedEvidence, Ask, Comparison
from bench.evidence.pool import ObservationPool
from models.own.address import OwnModel
from models.own.aligned import BOTH
from models.own.gauge import OwnError
from models.worker.process import Worker, WorkerError


class AlignedPool:
    """Runs networks of pairs on request, by the workers of the pool of networks."""

    def __init__(self, pool: ObservationPool, *, seed: int = 0) -> None:
        """Nothing starts until a network is asked for."""
        self._pool, self._seed = pool, seed
        self._seen: dict[OwnModel, dict[str, AlignedEvidence] | WorkerError] = {}

    def failed(self, model: OwnModel) -> bool:
        """Whether the network is known to have failed."""
        return isinstance(self._seen.get(model), WorkerError)

    def run(self, backend: str, model: OwnModel) -> AlignedEvidence:
        """One side of a pair. Raises WorkerError with its words where one of them could not be built or run, every time."""
        if model not in self._seen:
            try:
                self._seen[model] = self._compared(model)
            except WorkerError as error:
                self._seen[model] = error
            except OwnError as error:
                self._seen[model] = WorkerError(str(error), complete=True)
        found = self._seen[model]
        if isinstance(found, WorkerError):
            raise found
        return found[backend]

    def _compared(self, model: OwnModel) -> dict[str, AlignedEvidence]:
        workers = {name: self._pool.get(name) for name in BOTH}
        versions = {name: worker.call("versions", dict[str, str]) for name, worker in workers.items()}
        return Comparison(model, {name: _asking(worker) for name, worker in workers.items()}, self._seed).sides(versions)


def _asking(worker: Worker) -> Ask:
    return lambda do, kind, **given: worker.submit("aligned", kind, own=do, given=given)
