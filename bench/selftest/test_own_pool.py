"""Models are divided among workers: which worker is at what, and what becomes of a processor that one framework leaves free."""

from __future__ import annotations

import math
from collections import deque
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from bench.evidence.own import OwnPool
from bench.evidence.pool import ObservationPool
from models.own.address import OwnModel
from models.own.observation import OwnObservation
from models.worker.process import Worker, WorkerDied

MINUTES = {"heavy": 3, "deadly": 0}
"""What models take whose names begin so; others take one minute."""


class _Staff:
    """Workers that take a minute a model, those of a GPU or of few processors included; `started` are all there were."""

    device, seeds, repeats = "cpu", (0,), True
    everyone: ClassVar[list[_One]] = []

    def __init__(self, processors: int = 2, room: bool = True) -> None:
        self.processors, self.room, self.most, self.started, self.parted = processors, room, 0, [], []

    def get(self, backend: str) -> _One:
        alive = [worker for worker in self.started if worker.backend == backend and worker.alive]
        return alive[0] if alive else self.another(backend)

    def has_networks(self, backend: str) -> bool:
        return False

    def another(self, backend: str, variables: object = None) -> _One:
        self.started.append(_One(backend))
        self.started[-1].variables = variables
        self.everyone.append(self.started[-1])
        self.most = max(self.most, 1 + self._busy())
        return self.started[-1]

    def part(self, worker: _One) -> None:
        worker.alive = False
        self.parted.append(worker)

    def processor_left(self) -> bool:
        return self._busy() < self.processors

    def _busy(self) -> int:
        return sum(worker.busy for worker in self.started if worker.alive)

    def memory_left(self, backend: str) -> bool:
        return self.room

    def weigh(self) -> None:
        pass

    def unneeded(self, worker: _One) -> bool:
        return not worker.busy


class _One:
    """One of them; it dies of a model whose name says so, with all that it was asked for. Its minutes pass where the judge waits."""

    now = 0.0

    def __init__(self, backend: str) -> None:
        self.backend, self.alive, self.pid, self.took = backend, True, 0, []
        self.variables: object = None
        self._asked: deque[tuple[float, OwnModel, Future[OwnObservation]]] = deque()

    @property
    def busy(self) -> bool:
        return bool(self._asked)

    def peak_memory(self) -> float:
        return 500.0

    def submit(self, do: str, kind: object, own: Any) -> Future[OwnObservation]:
        begins = self._asked[-1][0] if self._asked else _One.now
        self._asked.append((begins + MINUTES.get(own.model.id.partition("-")[0], 1), own.model, Future()))
        return self._asked[-1][2]

    @property
    def ends(self) -> float:
        """When it will have examined the model that it is at."""
        return self._asked[0][0] if self._asked else math.inf

    def end(self) -> None:
        """Be done with that model."""
        minute, model, asked = self._asked.popleft()
        _One.now = max(_One.now, minute)
        if model.id.startswith("deadly"):
            self.alive = False
            for _, _, lost in ((0, model, asked), *self._asked):
                lost.set_exception(WorkerDied(f"ended at {model.id}"))
            self._asked.clear()
        else:
            self.took.append(model.id)
            asked.set_result(OwnObservation(self.backend, {}, seconds=60.0 * MINUTES.get(model.id.partition("-")[0], 1)))


def model(name: str) -> OwnModel:
    return OwnModel(name, "gauge.py", name, ".")


def _pool(staff: _Staff) -> OwnPool:
    return OwnPool(cast(ObservationPool, staff), compiled=False)


@pytest.fixture(autouse=True)
def minutes_pass_where_the_judge_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    def wait(asked: list[Future[OwnObservation]], timeout: float, return_when: str) -> None:
        min((worker for worker in _Staff.everyone if worker.alive), key=lambda worker: worker.ends).end()

    monkeypatch.setattr("bench.evidence.own.wait", wait)
    monkeypatch.setattr(_Staff, "everyone", [])


def judged(staff: _Staff, torch: list[str], keras: list[str]) -> list[str]:
    """What became of each model, in the order of the judge."""
    pool = _pool(staff)
    wanted = [("torch", model(name)) for name in torch] + [("keras", model(name)) for name in keras]
    pool.plan(wanted)
    return [str(pool.problem(backend, each) or pool.run(backend, each).network) for backend, each in wanted]


NAMES = [f"model-{n}" for n in range(8)]


def test_a_framework_with_much_to_do_gets_the_processor_that_the_other_one_leaves() -> None:
    staff = _Staff()
    assert judged(staff, ["one", "two"], NAMES) == ["one", "two", *NAMES]
    assert [worker.backend for worker in staff.started] == ["torch", "keras", "keras"]
    assert [worker.backend for worker in staff.parted] == ["torch"], "its memory is given back"
    assert min(len(worker.took) for worker in staff.started[1:]) >= 2, "both had a share"
    assert [worker.variables for worker in staff.started[1:]] == [{"TF_ONEDNN_USE_SYSTEM_ALLOCATOR": "1"}] * 2, "memory comes back"


@pytest.mark.parametrize("staff", [_Staff(processors=1), _Staff(room=False)], ids=["one processor", "no memory"])
def test_no_worker_is_started_without_room(staff: _Staff) -> None:
    assert judged(staff, ["one"], NAMES) == ["one", *NAMES]
    assert [worker.backend for worker in staff.started] == ["torch", "keras"]


def test_more_processors_are_taken_at_once() -> None:
    staff = _Staff(processors=4)
    assert judged(staff, [f"heavy-{n}" for n in range(3)], NAMES) == [*(f"heavy-{n}" for n in range(3)), *NAMES]
    assert len(staff.started) >= 4 and staff.most == 4


def test_a_worker_that_waits_costs_nothing_where_little_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.evidence.own.WORTH_A_START", 60.0 * 20)
    staff = _Staff()
    judged(staff, ["one"], NAMES)
    assert len(staff.started) == 2 and not staff.parted


def test_a_worker_that_holds_much_after_a_model_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.evidence.own.resident", lambda pids: 1500.0)
    monkeypatch.setattr(_One, "peak_memory", lambda worker: 1500.0)
    staff = _Staff(processors=1)
    assert judged(staff, NAMES, []) == NAMES
    assert [worker.took for worker in staff.started] == [[name] for name in NAMES]


def test_a_worker_that_is_replaced_leaves_its_processor_to_no_other_framework(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.evidence.own.resident", lambda pids: 1500.0)
    monkeypatch.setattr(_One, "peak_memory", lambda worker: 1500.0)
    staff = _Staff()
    judged(staff, [f"torch-{n}" for n in range(8)], [f"keras-{n}" for n in range(8)])
    assert staff.most == 2


def test_of_a_dead_worker_s_models_one_has_its_death_and_the_others_are_examined() -> None:
    assert judged(_Staff(), ["one", "deadly", "three", "four"], ["five"]) == ["one", "ended at deadly", "three", "four", "five"]


def test_a_model_is_examined_that_was_lost_while_the_judge_waited_for_it() -> None:
    pool = _pool(_Staff())
    pool.plan([("torch", model("deadly")), ("torch", model("three")), ("torch", model("four"))])
    assert pool.run("torch", model("three")).network == "three"
    assert pool.failed("torch", model("deadly"))


def test_a_worker_that_has_just_finished_leaves_no_processor() -> None:
    staff = _Staff()
    pool = _pool(staff)
    pool.plan([(backend, model(name)) for backend in ("torch", "keras") for name in NAMES])
    for backend in ("torch", "keras"):
        pool.run(backend, model(NAMES[0]))
    staff.started[0].end()
    staff.started[0].end()
    assert staff.processor_left() and pool._another("keras") is None


def test_a_model_that_is_named_twice_is_examined_once() -> None:
    staff = _Staff()
    assert judged(staff, ["one", "two", "one"], []) == ["one", "two", "one"]
    assert [worker.took for worker in staff.started] == [["one", "two"]]


def test_what_drives_a_gpu_is_not_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.evidence.own.resident", lambda pids: 4000.0)
    staff = _Staff(processors=1)
    staff.device = "cuda"
    assert judged(staff, NAMES, []) == NAMES
    assert len(staff.started) == 1


def test_a_model_that_was_not_planned_is_examined_and_one_that_killed_its_worker_is_not_tried_again() -> None:
    staff = _Staff()
    pool = _pool(staff)
    assert pool.run("torch", model("late")).network == "late"
    for _ in range(2):
        with pytest.raises(WorkerDied, match="ended at deadly"):
            pool.run("torch", model("deadly"))
    assert pool.failed("torch", model("deadly")) and not pool.failed("torch", model("late"))
    assert pool.run("torch", model("later")).network == "later"
    assert len(staff.started) == 2, "the dead one has a successor"


def test_the_pool_of_networks_counts_what_is_busy_and_keeps_what_ended_workers_took(monkeypatch: pytest.MonkeyPatch) -> None:
    pool = ObservationPool(cast(Any, None), device="cpu", threads=1, seeds=(0,), processors=2)
    busy, rests = (SimpleNamespace(backend=name, busy=at, alive=True, pid=0, peak_memory=lambda: 700.0, close=lambda: None)
                   for name, at in (("torch", True), ("keras", False)))  # fmt: skip
    pool._beside.extend(cast(list[Worker], [busy, rests]))
    assert pool.processor_left()
    rests.busy = True
    assert not pool.processor_left()
    monkeypatch.setattr("bench.evidence.pool.free", lambda: 1300 * 2**20)
    assert not pool.memory_left("keras"), "twice 700 MB are more"
    assert pool.memory_left("keras-jax"), "of which nothing is known"
    pool.part(cast(Worker, rests))
    assert pool.peak_memory()["keras"] == 700
    busy.peak_memory = lambda: 0.0  # as of a process that has died
    assert "torch" not in pool.peak_memory()
