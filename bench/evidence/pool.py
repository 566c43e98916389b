"""Networks trained once and judged many times: workers kept busy in the order in which tests will ask.

Each framework trains in its own process, some networks ahead of the judge, so that two frameworks share two cores and the
judging process never imports either. Where processors are left over, the framework that the judge waits for gets more processes.
"""

from __future__ import annotations

import dataclasses
import functools
import os
import time
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence, Set

from bench.baselines import samples as baselines
from bench.baselines.executions import ELSEWHERE
from bench.evidence.collect import ALL, FORCED, Collection, Request, available, collect, reference_of
from bench.evidence.evidence import Evidence
from bench.evidence.reference import ReferenceResult
from bench.judging.check import Need
from fixtures.data.datasets import Data
from fixtures.machine.memory import free
from models.backends.registry import info
from models.observation import History
from models.spec import Spec
from models.worker.devices import kind
from models.worker.process import Worker, WorkerDied, WorkerError, WorkerHung, peak_memory, resident

UNTRAINED = frozenset({Need.TRAININGS, Need.HELD_OUT})
RECORDED_SEED = 1000
"""Seeds of a recording start here, and so do those of a run, so that each is judged by what the same seed gave before."""
AHEAD = 2
"""How many networks each worker is asked for before the judge needs them."""
KEPT = 3
"""How many networks' answers and observations stay in memory."""
WAITED_FOR, WATCHED_FOR = 0.3, 10.0
"""A backend gets another worker where the judge has waited for it for this share of the time, over so many seconds at the least."""
WORTH_A_START = 8
"""A worker is started for so many networks at the least: imports take as long as two or three of them."""
ROOM = 4
"""Another worker needs so many times the memory free that the first one holds."""


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
        processors: int = 0,
    ) -> None:
        """Nothing starts until a network is asked for; those of `untrained` are looked at without training.

        With `isolate` each network is trained in a process of its own. `deterministic` asks frameworks for deterministic kernels.
        `processors` may be kept busy; where that is more than the judge and one worker for each backend need, slow backends get more.
        """
        self.data, self.device, self.threads, self.seeds = data, device, threads, tuple(seeds)
        self.untrained = frozenset(untrained)
        self.baselines: dict[str, baselines.Baseline] = {}
        self._isolate, self._deterministic, self._processors = isolate, deterministic, processors
        self._elsewhere: dict[str, Worker] = {}
        self._cells: dict[tuple[str, Spec], Worker] = {}
        self._crews: dict[str, list[Worker]] = {}
        self._beside: list[Worker] = []
        self._hung: dict[tuple[str, Spec], WorkerHung] = {}
        self._together = 0.0
        self._largest: dict[str, float] = {}
        self._queue: dict[str, list[Spec]] = {}
        self._needs: dict[tuple[str, Spec], Set[Need]] = {}
        self._asked: dict[tuple[str, Spec], tuple[Collection, Worker]] = {}
        self._last: dict[Worker, Spec] = {}
        self._waited: dict[str, float] = defaultdict(float)
        self._watched_since = time.monotonic()
        self._references: OrderedDict[Spec, ReferenceResult] = OrderedDict()
        self._runs: OrderedDict[tuple[str, Spec], Evidence] = OrderedDict()

    def get(self, backend: str) -> Worker:
        """The first worker of a backend, started on first use."""
        return self._crew(backend)[0]

    def _crew(self, backend: str) -> list[Worker]:
        """Workers of a backend that are alive, the first one started on first use."""
        crew = self._crews.setdefault(backend, [])
        for dead in [worker for worker in crew if not worker.alive]:
            self.bury(dead)
        if not crew:
            crew.append(self.start(backend))
        return crew

    def another(self, backend: str, variables: Mapping[str, str] | None = None) -> Worker:
        """A worker for something else than networks, weighed and ended with the others."""
        self._beside.append(self.start(backend, variables))
        return self._beside[-1]

    def has_networks(self, backend: str) -> bool:
        """Whether networks were planned for a backend, so that its first worker runs anyhow."""
        return backend in self._queue

    def processor_left(self) -> bool:
        """Whether one more worker would have a processor to itself. Workers of one framework never share a device's memory."""
        busy = sum(worker.busy for worker in self._alive())
        return kind(self.device) == "cpu" and not self._isolate and self.threads * (busy + 1) <= self._processors

    def memory_left(self, backend: str) -> bool:
        """Whether one more worker of a backend may take twice what any of them has taken."""
        return free() > 2 * 2**20 * self._peaks().get(backend, 0.0)

    def unneeded(self, worker: Worker) -> bool:
        """Whether nothing is asked of a worker, and no network waits for it."""
        return not worker.busy and not self._queue.get(worker.backend)

    def part(self, worker: Worker) -> None:
        """End a worker that is not needed any more, or is dead."""
        self._largest[worker.backend] = max(self._largest.get(worker.backend, 0.0), worker.peak_memory())
        worker.close()
        if worker in self._beside:
            self._beside.remove(worker)
        elif worker in self._crews.get(worker.backend, ()):
            self.bury(worker)

    def start(self, backend: str, variables: Mapping[str, str] | None = None) -> Worker:
        """A new worker on this pool's device, with these environment variables, which the caller closes."""
        return Worker(backend, device=self.device, threads=self.threads, deterministic=self._deterministic, variables=variables)

    @property
    def repeats(self) -> bool:
        """Whether the same bits every time are promised: by one thread of a CPU, and by deterministic kernels anywhere."""
        return self._deterministic or (self.device == "cpu" and self.threads == 1)

    def want(self, backend: str, spec: Spec, needs: Set[Need]) -> None:
        """Needs that a network will be asked for, beside those that were said before; one of which nothing was said is asked for all."""
        self._needs[backend, spec] = self._needs.get((backend, spec), frozenset()) | needs

    def plan(self, wanted: Sequence[tuple[str, Spec]]) -> None:
        """The order in which runs will be asked for; workers start on it at once."""
        for backend, spec in wanted:
            self._queue.setdefault(backend, []).append(spec)
        for backend in self._queue if not self._isolate else ():
            self.get(backend)
        for backend in self._queue:
            self._fill(backend)

    def run(self, backend: str, spec: Spec, needs: Set[Need] = ALL) -> Evidence:
        """What `backend` did with `spec`, `needs` included. Raises models.worker.process.WorkerError with its words when it failed."""
        key, needs = (backend, spec), needs & self._available(backend, spec)
        if key in self._hung:  # what hung once would be waited for by every check
            raise self._hung[key]
        if key not in self._runs and key not in self._asked:
            self._needs.setdefault(key, needs)
        while key not in self._runs or needs - self._runs[key].collected:
            if key in self._runs:  # what was planned is not enough
                self.want(backend, spec, needs | self._runs.pop(key).collected)
            if key not in self._asked:
                self._submit(backend, spec)
            asked, worker = self._asked.pop(key)
            self._fill(backend)
            self.weigh()
            began = time.monotonic()
            try:
                (evidence,) = asked.result()
                self._runs[key] = dataclasses.replace(evidence, more=functools.partial(self.train, backend, spec))
            except WorkerDied as death:
                if isinstance(death, WorkerHung):
                    self._hung[key] = death
                if not self._isolate:
                    self.bury(worker)
                raise
            finally:
                if cell := self._cells.pop(key, None):
                    cell.close()
            self._waited[backend] += time.monotonic() - began
            self._strengthen(backend)
        while len(self._runs) > KEPT:
            self._runs.popitem(last=False)
        return self._runs[key]

    def train(self, backend: str, spec: Spec, seeds: Sequence[int]) -> list[History]:
        """Trainings of more seeds of a network. Raises models.worker.process.WorkerError."""
        request = Request(spec, backend, self.data, UNTRAINED, seeds, kind(self.device), baseline=self.baselines.get(backend))
        if not self._isolate:
            return collect(request, self.get(backend).submit).seen.trainings
        worker = self.start(backend)
        try:
            return collect(request, worker.submit).seen.trainings
        finally:
            worker.close()

    def elsewhere(self, backend: str, spec: Spec) -> list[History]:
        """Trainings of the run's seeds as `bench.baselines.executions.ELSEWHERE` names them. Raises models.worker.process.WorkerError."""
        if backend not in self._elsewhere or not self._elsewhere[backend].alive:
            self._elsewhere[backend] = self.start(backend, info(backend).fewer_instructions)
        request = Request(spec, backend, self.data, UNTRAINED, self.seeds, kind(self.device), moved=True)
        trained = collect(request, self._elsewhere[backend].submit).seen.trainings
        return [dataclasses.replace(each, execution=ELSEWHERE) for each in trained]

    def _available(self, backend: str, spec: Spec) -> Set[Need]:
        """What can be had of a network in this run."""
        return available(spec, backend) - (UNTRAINED if spec in self.untrained else frozenset())

    def peak_memory(self) -> dict[str, float]:
        """Largest resident memory so far, in MB, of the judge, a worker of each backend, and all processes `together` at one time."""
        self.weigh()
        return {"judge": peak_memory(os.getpid())} | self._peaks() | {"together": self._together}

    def _peaks(self) -> dict[str, float]:
        """Largest resident memory of any worker of each backend, those that have ended included."""
        found = dict(self._largest)
        for worker in (*(worker for crew in self._crews.values() for worker in crew), *self._beside):
            found[worker.backend] = max(found.get(worker.backend, 0.0), worker.peak_memory())
        return {backend: peak for backend, peak in found.items() if peak}  # of a process that is gone nothing is known

    def weigh(self) -> None:
        """Note what all processes hold now; whoever asks for a network or waits for a model asks for this as well."""
        self._together = max(self._together, resident([os.getpid(), *(worker.pid for worker in self._alive())]))

    def _alive(self) -> list[Worker]:
        """Every worker that is alive."""
        crews = (worker for crew in self._crews.values() for worker in crew)
        return [worker for worker in (*crews, *self._cells.values(), *self._beside, *self._elsewhere.values()) if worker.alive]

    def close(self) -> None:
        """End every worker."""
        crews = (worker for crew in self._crews.values() for worker in crew)
        for worker in (*crews, *self._cells.values(), *self._beside, *self._elsewhere.values()):
            worker.close()

    def bury(self, dead: Worker) -> None:
        """Forget a dead worker and ask others again for what was under way."""
        if dead not in (crew := self._crews[dead.backend]):
            return
        crew.remove(dead)
        dead.close()
        self._last.pop(dead, None)
        lost = [key for key, (_, worker) in self._asked.items() if worker is dead]
        for key in lost:
            self._asked.pop(key)
        self._queue[dead.backend] = [spec for _, spec in lost] + self._queue.get(dead.backend, [])

    def _strengthen(self, backend: str) -> None:
        """Start another worker where the judge waits for this backend, processors and memory are left, and enough networks for it.

        Device memory is never shared among workers of one framework, which would take it from each other.
        """
        crew, now = self._crews.get(backend, []), time.monotonic()
        watched = now - self._watched_since
        if not crew or self._isolate or kind(self.device) != "cpu" or watched < WATCHED_FOR:
            return
        slow = self._waited[backend] > WAITED_FOR * watched and len(self._queue.get(backend, ())) >= WORTH_A_START * len(crew)
        busy = 1 + self.threads * (len(self._alive()) + 1)
        if slow and busy <= self._processors and free() > ROOM * 2**20 * resident([crew[0].pid]):
            try:
                crew.append(self.start(backend))
            except (OSError, WorkerError):  # what one worker can do needs no second one
                self._processors = 0
                return
            self._waited.clear()
            self._watched_since = now
            self._fill(backend)

    def _fill(self, backend: str) -> None:
        queue = self._queue.get(backend, [])
        while queue and sum(b == backend for b, _ in self._asked) < AHEAD * max(1, len(self._crews.get(backend, ()))):
            spec = queue.pop(0)
            if (backend, spec) not in self._runs and (backend, spec) not in self._asked:
                self._submit(backend, spec)

    def _submit(self, backend: str, spec: Spec) -> None:
        if spec in (queue := self._queue.get(backend, [])):
            queue.remove(spec)
        needs = self._needs.get((backend, spec), ALL) & self._available(backend, spec)
        request = Request(spec, backend, self.data, needs, self.seeds, kind(self.device), self.repeats, self.baselines.get(backend))
        if request.wanted & FORCED:
            request = dataclasses.replace(request, reference=self._reference(request.own))
        worker = self._worker(backend, spec)
        self._asked[backend, spec] = Collection([request], worker.submit), worker
        if not self._isolate:
            self._last[worker] = spec

    def _worker(self, backend: str, spec: Spec) -> Worker:
        """Who is asked for a network: who has just built one alike, so that it need not be built again, or else who has least to do."""
        if not self._isolate:
            crew = self._crew(backend)
            tasks = {worker: sum(asked is worker for _, asked in self._asked.values()) for worker in crew}
            alike = [w for w in crew if w in self._last and spec.built_as is not None and self._last[w].built_as == spec.built_as]
            return min([worker for worker in alike if tasks[worker] < AHEAD] or crew, key=tasks.__getitem__)
        if (backend, spec) not in self._cells:
            self._cells[backend, spec] = self.start(backend)
        return self._cells[backend, spec]

    def _reference(self, spec: Spec) -> ReferenceResult:
        if spec not in self._references:
            self._references[spec] = reference_of(spec, self.data, self.seeds[0])
            while len(self._references) > AHEAD * max(map(len, self._crews.values()), default=1) + KEPT:
                self._references.popitem(last=False)
        return self._references[spec]
