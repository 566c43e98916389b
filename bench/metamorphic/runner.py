"""Metamorphic relations judged beside the training of networks: which process runs a scenario, and what two fresh ones draw."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any

from bench.evidence.pool import ObservationPool
from bench.evidence.times import CallTime
from bench.judging.verdict import Verdict
from bench.metamorphic import EqualityCase, decide
from bench.metamorphic.entry_points import BY_BATCH, BY_EPOCH, entry_points
from bench.metamorphic.parts import SEEDS
from bench.metamorphic.scenarios import Scenarios
from models.worker.process import Worker

FRESH_PROCESSES = 2
TIMED = {"traces": BY_BATCH, "traces_of_epochs": BY_EPOCH}
"""Equalities whose calls are timed as well: they wait until nothing else runs, and then take the worker that has trained the networks."""
Judgement = tuple[Verdict, dict[str, str]]
"""A verdict and the versions it holds for."""


class RelationRunner:
    """Judges relations in one worker a backend, or with `isolate` in a process for every relation.

    A framework's worker trains one network after the other and is what a run waits for; equalities need none of them.
    """

    def __init__(self, pool: ObservationPool, *, isolate: bool) -> None:
        """Nothing starts until something is planned or asked for."""
        self._pool, self._isolate = pool, isolate
        self._scenarios: dict[tuple[str, bool], tuple[Worker, Scenarios]] = {}
        self._threads: dict[str, ThreadPoolExecutor] = {}
        self._planned: dict[EqualityCase, Future[Judgement]] = {}

    def plan(self, cases: Sequence[EqualityCase]) -> None:
        """Begin to judge all cases that are not timed, in this order, one at a time a backend."""
        for case in cases:
            if case.equality not in TIMED:
                self._planned[case] = self._thread(case.backend).submit(self._judge, case)
        for backend in self._threads:
            self._thread(backend).submit(self._rest, backend)

    def judge(self, case: EqualityCase) -> Judgement:
        """The verdict on one case and the versions it holds for. Raises WorkerError with the framework's words."""
        if case in self._planned:
            return self._planned.pop(case).result()
        for planned in self._planned.values():
            planned.exception()  # a timed case waits until nothing else runs
        return self._thread(case.backend).submit(self._judge, case).result()

    def timings(self, case: EqualityCase) -> list[CallTime]:
        """What a call of each entry point takes, where this case measured it."""
        entries = TIMED.get(case.equality, ())
        if not entries or (case.backend, True) not in self._scenarios:
            return []
        seen = entry_points(self._scenarios[case.backend, True][1], entries)
        return [CallTime(case.backend, entry, batch, value["first"], 1e3 * value["later"]) for entry, batch, value in seen]

    def close(self) -> None:
        """Forget what was planned; the pool ends the processes."""
        for thread in self._threads.values():
            thread.shutdown(wait=False, cancel_futures=True)

    def _thread(self, backend: str) -> ThreadPoolExecutor:
        if backend not in self._threads:
            self._threads[backend] = ThreadPoolExecutor(1, thread_name_prefix=f"equalities-{backend}")
        return self._threads[backend]

    def _judge(self, case: EqualityCase) -> Judgement:
        if self._isolate:
            with closing(self._pool.another(case.backend)) as worker:
                versions = worker.call("versions")
                return decide(case.equality, self._through(worker, case.backend)), versions
        key = case.backend, case.equality in TIMED
        if key not in self._scenarios:
            worker = self._pool.get(case.backend) if case.equality in TIMED else self._pool.another(case.backend)
            scenarios = self._through(worker, case.backend)
            scenarios.versions = worker.call("versions")
            self._scenarios[key] = worker, scenarios
        worker, scenarios = self._scenarios[key]
        try:
            return decide(case.equality, scenarios), scenarios.versions
        finally:
            if not worker.alive:
                self._scenarios.pop(key)
                self._pool.part(worker)

    def _rest(self, backend: str) -> None:
        """End the process of what was planned: its memory is worth more than the seconds that another start would take."""
        if (backend, False) in self._scenarios:
            self._pool.part(self._scenarios.pop((backend, False))[0])

    def _through(self, worker: Worker, backend: str) -> Scenarios:
        fresh: list[Any] = []

        def ask(scenario: str, given: dict[str, Any]) -> Any:
            if "process" not in given:
                return worker.call("scenario", scenario=scenario, **{"with": given})
            if not fresh:
                fresh.extend(self._drawn(backend))
            return fresh[given["process"]]

        return Scenarios(backend, ask)

    def _drawn(self, backend: str) -> list[Any]:
        """What is drawn from seeds in processes that have done nothing else, one after the other for the sake of memory."""
        drawn = []
        for _ in range(FRESH_PROCESSES):
            with closing(self._pool.another(backend)) as worker:
                drawn.append(worker.call("scenario", scenario="seeded", **{"with": {"seeds": SEEDS}}))
        return drawn
