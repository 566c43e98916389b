"""Evidence collected: what a backend is asked for a set of needs, and what its answers become."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Sequence, Set
from concurrent.futures import Future
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from bench.baselines.samples import Baseline
from bench.evidence.evidence import Evidence
from bench.evidence.probes import DRAWS, FAN_IN, FAN_OUT, SEEDS, is_activation_case, is_initializer_case, points, scaled_steps
from bench.evidence.reference import ReferenceResult
from bench.evidence.schedule import STEPS, schedule
from bench.judging.check import Need
from bench.symmetry import relation_steps, symmetries
from fixtures.data.datasets import Data
from models.arrays import Array, Arrays, Batch, Labels, Points
from models.observation import Job, Observation, Training
from models.parts.precisions import PLAIN
from models.reference.draws import draw_weights, moved_by_rounding, prepare_forced_steps, rounded
from models.spec import Spec
from models.spent import JUDGE, spent_on

TEST_SAMPLES = 10_000
"""At most this many test samples decide an accuracy; digits have 600."""
WATCHED = frozenset({Need.STEPS, Need.NATIVE})
"""Needs for which the teacher-forced steps are taken."""
FORCED = WATCHED | {Need.RELATIONS, Need.SCALED}
"""Needs for which the teacher-forced steps are made."""
ALL = frozenset(Need)


class Submit(Protocol):
    """Asks a backend to do something and hands out its future answer, as `models.worker.process.Worker.submit` does."""

    def __call__(self, do: str, kind: object = ..., /, **arguments: object) -> Future[Any]:  # an answer has the type that `kind` names
        """`do` with `arguments`; the answer is of type `kind`."""


def available(spec: Spec, backend: str) -> frozenset[Need]:
    """What can be had of a network on a backend."""
    conditional = {
        Need.RESOLVED: spec.above_floor,
        Need.THEORY: spec.centred and spec.arch.predicted,
        Need.TRAININGS: spec.trained,
        Need.HELD_OUT: spec.trained,
        Need.DRAWS: is_initializer_case(spec),
        Need.CURVES: is_activation_case(spec),
        Need.RELATIONS: bool(symmetries(spec)),
        Need.SCALED: spec.format.scaled,
    }
    return frozenset(need for need in Need if conditional.get(need, True))


@dataclass(frozen=True)
class Request:
    """What is wanted of one network on one backend.

    Shared weights and batches are drawn from the first of `seeds`, and each of them is one of the trainings. `repeats` takes the
    teacher-forced steps twice. `reference` is given where several backends share its result, or begin with other steps. `moved` trains
    from weights that are moved by one unit in the last place.
    """

    spec: Spec
    backend: str
    data: Data
    needs: Set[Need] = ALL
    seeds: Sequence[int] = (0,)
    device: str = "cpu"
    repeats: bool = False
    baseline: Baseline | None = None
    reference: ReferenceResult | None = None
    moved: bool = False

    @cached_property
    def wanted(self) -> frozenset[Need]:
        """The needs that can be had; all of these where a training draws, so that it draws the same whatever else is asked."""
        here = available(self.spec, self.backend)
        draws = self.spec.arch.random and Need.TRAININGS in here & self.needs
        return here if draws else here & self.needs

    @cached_property
    def own(self) -> Spec:
        """The network with the backend's own default initializer filled in."""
        return self.spec.on(self.backend)

    @cached_property
    def answer(self) -> ReferenceResult:
        """The reference on the network's teacher-forced steps; on none where nobody needs them."""
        if not self.wanted & FORCED:
            return ReferenceResult(self.own, [])
        return self.reference or reference_of(self.own, self.data, self.seeds[0])

    @spent_on(JUDGE, "weights and batches")
    def job(self) -> Job:
        """What the backend is asked to do with the network."""
        needs, steps = self.wanted, self.answer.forced_steps
        x_test, labels_test = self.held_out if Need.TRAININGS in needs else (None, None)
        return Job(
            self.backend, self.own, self.device, self.seeds[0],
            forced_steps=steps if needs & WATCHED else [],
            relations=relation_steps(self.own, steps) if Need.RELATIONS in needs else [],
            scaled=scaled_steps(self.own, steps) if Need.SCALED in needs else [],
            trainings=trainings(self.own, self.data, self.seeds, self.moved) if Need.TRAININGS in needs else [],
            x_test=x_test, labels_test=labels_test, repeat=self.repeats,
        )  # fmt: skip

    @cached_property
    def held_out(self) -> tuple[Batch, Labels]:
        """Test samples and labels that decide an accuracy."""
        return held_out(self.own, self.data)

    def evidence(self, seen: Observation, draws: list[list[Arrays]], curves: dict[str, tuple[Points, Points]]) -> Evidence:
        """What the answers are to a check."""
        return Evidence(
            self.spec.id, self.own, self.backend, seen, self.answer, self.baseline, self.data.name, self.held_out, draws, curves,
            start_of(self.own, self.data), self.wanted,
        )  # fmt: skip


class Collection:
    """Evidence on its way: asked for when this is made, complete when `result` is called."""

    def __init__(self, requests: Sequence[Request], submit: Submit) -> None:
        """Ask for requests that differ in nothing but seeds, so that the network is built once for all."""
        first = requests[0]
        self.requests, own, needs = requests, first.own, first.wanted
        self._seen = submit("observe_seeds", list[Observation], jobs=[request.job() for request in requests])
        self._draws = [
            submit("draw", spec=own.id, fan_in=FAN_IN, fan_out=FAN_OUT, draws=DRAWS, seed=seed)
            for seed in (SEEDS if Need.DRAWS in needs else ())
        ]
        self._curves = {
            precision: submit("activate", spec=dataclasses.replace(own, precision=precision).id, x=points().astype(precision))
            for precision in (PLAIN if Need.CURVES in needs else ())
        }

    def result(self) -> list[Evidence]:
        """One for each request. Raises models.worker.process.WorkerError with the worker's words when it failed."""
        seen = self._seen.result()
        draws = [each.result() for each in self._draws]
        curves = {precision: each.result() for precision, each in self._curves.items()}
        return [request.evidence(each, draws, curves) for request, each in zip(self.requests, seen, strict=True)]


def collect(request: Request, submit: Submit) -> Evidence:
    """All that a request wants, waited for. Raises models.worker.process.WorkerError."""
    return Collection([request], submit).result()[0]


def at_once(ask: Callable[..., object]) -> Submit:
    """A `Submit` that waits for the answer of `ask(do, kind, **arguments)`."""

    def submit(do: str, kind: object = Any, /, **arguments: object) -> Future[Any]:
        answer: Future[object] = Future()
        answer.set_result(ask(do, kind, **arguments))
        return answer

    return submit


@spent_on(JUDGE, "weights and batches")
def reference_of(spec: Spec, data: Data, seed: int = 0, steps: int = 0) -> ReferenceResult:
    """The reference on teacher-forced steps of `spec` on `data`, their weights and batches drawn from `seed`.

    They are `steps`, or as many as show the whole rule of its optimizer.
    """
    return ReferenceResult(spec, prepare_forced_steps(spec, data.x_train, labels_of(spec, data.y_train), seed, steps))


def trainings(spec: Spec, data: Data, seeds: Sequence[int], moved: bool = False) -> list[Training]:
    """The free runs of `spec` on `data`: weights and batches of each seed, the same for every backend; none where it is not trained.

    With `moved`, weights are moved by one unit in the last place.
    """
    steps = STEPS[data.name]
    x, y = rounded(spec, data.x_train), labels_of(spec, data.y_train)  # one array for all, which travels once
    factors, runs = schedule(spec, steps), list[Training]()
    for seed in seeds if spec.trained else ():
        places = np.stack(list(itertools.islice(data.places(spec.batch, seed), steps)))
        weights = moved_by_rounding(draw_weights(spec, seed)) if moved else draw_weights(spec, seed)
        runs.append(Training(seed, weights, x, y, places, factors))
    return runs


def start_of(spec: Spec, data: Data) -> Callable[[int], Training]:
    """Where the free run of a seed begins."""
    return lambda seed: trainings(spec, data, [seed])[0]


def held_out(spec: Spec, data: Data) -> tuple[Batch, Labels]:
    """Test samples and labels that decide an accuracy."""
    return rounded(spec, data.x_test[:TEST_SAMPLES]), labels_of(spec, data.y_test[:TEST_SAMPLES])


def labels_of(spec: Spec, labels: Array) -> Array:
    """Labels modulo the network's classes, for networks with fewer than the data."""
    return labels % spec.classes
