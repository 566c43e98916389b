"""Builds a network on its backend and observes all that a job asks for."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from models.arrays import Array, Arrays, Batch, Labels
from models.backends.protocol import Backend, Network
from models.backends.registry import Absent, backend_module
from models.observation import SCALE_GROWTH, Backward, Evaluated, ForcedStep, History, Job, Observation, Repeated, StepResult, WatchedPass
from models.spec import Spec
from models.spent import WORKER


def build(job: Job) -> Network:
    """The job's network on its backend, initialized by the framework from the job's seed."""
    return backend_module(job.backend).Network(job.spec, seed=job.seed, device=job.device)


def observe(job: Job, network_of: Callable[[Job], Network] = build) -> Observation:
    """Build the job's network on its backend and do all it asks for; one build and one compilation in all."""
    return observe_seeds([job], network_of)[0]


def observe_seeds(jobs: list[Job], network_of: Callable[[Job], Network] = build) -> list[Observation]:
    """Jobs that differ in seed and steps only, on one network that the framework initializes anew for each."""
    first = jobs[0]
    module = backend_module(first.backend)
    with WORKER.stage("building"):
        network = network_of(first)
    seen = []
    for job in jobs:
        if job is not first:
            with WORKER.stage("building"):
                network.redraw(job.seed)
        seen.append(_observe(network, job, Observation(job.backend, versions=module.versions(), device=job.device, fused=network.fused)))
    for job, each in zip(jobs, seen, strict=True):
        if job.scaled:
            with WORKER.stage("scaled steps"):
                spec = dataclasses.replace(job.spec, scale_growth=SCALE_GROWTH)
                network = module.Network(spec, seed=job.seed, device=job.device)
                network.load(job.scaled[0].weights, fresh=True)
                each.scaled = [_step(network, forced_step, None) for forced_step in job.scaled]
    return seen


def _step(network: Network, forced_step: ForcedStep, passed: WatchedPass | None) -> StepResult:
    loss = network.step(forced_step.x, forced_step.labels)
    return StepResult(loss, network.gradients(), network.applied(), network.weights(), network.running(), passed, network.loss_scale())


def _observe(network: Network, job: Job, seen: Observation) -> Observation:
    if job.forced_steps:
        first = job.forced_steps[0]
        seen.native = _watch(network, first)
        network.freeze_noise(True)
        network.load(first.weights, fresh=True)
        seen.shared = _watch(network, first)
        seen.forced_steps = _forced(network, job.forced_steps, pass_first=not job.spec.format.plain)
        seen.evaluation = network.logits(job.forced_steps[-1].x)
        if job.repeat:
            network.load(first.weights, fresh=True)
            seen.repeated = differing(seen.forced_steps, _forced(network, job.forced_steps))
        network.freeze_noise(False)
    for training in job.trainings:
        assert job.x_test is not None, "a training is tested"
        assert job.labels_test is not None, "a training is tested"
        network.load(training.weights, fresh=True)
        with WORKER.stage("training"):
            trained = network.train(training.xs, training.labels, training.schedule)
        last, running = _evaluated(network, job.x_test, job.labels_test), network.running()
        network.average()
        averaged = _evaluated(network, job.x_test, job.labels_test)
        seen.trainings.append(
            History(
                training.seed, trained.losses, trained.gradient_norms, last.accuracy, last.weights, running, last.logits, averaged,
                trained.clipped,
            )
        )  # fmt: skip
    with WORKER.stage("relations"):
        seen.relations = _relations(network, job)
    return seen


def _evaluated(network: Network, x: Batch, labels: Labels) -> Evaluated:
    with WORKER.stage("evaluation"):
        logits = network.logits(x)
    return Evaluated(network.weights(), logits, network.accuracy(logits, labels))


def _relations(network: Network, job: Job) -> list[Backward]:
    """Every step of `relations`, those of other networks last, since building a network may end the session of the one before."""
    found: dict[int, Backward] = {}
    for spec in dict.fromkeys([None, *(forced_step.network for forced_step in job.relations)]):
        own = network if spec is None else backend_module(job.backend).Network(spec, seed=job.seed, device=job.device)
        own.freeze_noise(True)
        for place, forced_step in enumerate(job.relations):
            if forced_step.network == spec:
                found[place] = _backward(own, forced_step)
        own.freeze_noise(False)
    return [found[place] for place in range(len(job.relations))]


def _backward(network: Network, forced_step: ForcedStep) -> Backward:
    """Gradients do not depend on the optimizer's slots, so these are left as they are."""
    network.load(forced_step.weights, fresh=False)
    slope, without = math.nan, ""
    if forced_step.direction is not None:
        try:
            slope = network.slope(forced_step.x, forced_step.labels, forced_step.direction)
        except Absent as lack:
            without = str(lack)
    return Backward(network.step(forced_step.x, forced_step.labels, forced_step.loss_scale), network.gradients(), slope, without)


def _forced(network: Network, forced_steps: list[ForcedStep], pass_first: bool = False) -> list[StepResult]:
    """Every teacher-forced step, one after the other, from its weights; the optimizer's slots go on from one to the next."""
    seen = list[StepResult]()
    for forced_step in forced_steps:
        network.load(forced_step.weights, fresh=False)
        passed = _watch(network, forced_step) if pass_first else None
        with WORKER.stage("later steps" if seen else "first step"):  # the first one traces and compiles, unless the network was kept
            seen.append(_step(network, forced_step, passed))
    return seen


def _watch(network: Network, at: ForcedStep) -> WatchedPass:
    with WORKER.stage("watched passes"):
        return network.watch(at.x, at.labels)


def differing(ones: list[StepResult], others: list[StepResult]) -> list[Repeated]:
    """How many entries of loss, raw gradients and new weights are not the same bits, array by array."""
    found = []
    for number, (one, other) in enumerate(zip(ones, others, strict=True)):
        found.append(Repeated(number, "loss", "", _unlike(one.loss, other.loss)))
        found += [Repeated(number, "gradient of", key, _unlike(value, other.gradients[key])) for key, value in one.gradients.items()]
        found += [Repeated(number, "new", key, _unlike(value, other.weights[key])) for key, value in one.weights.items()]
    return found


def _unlike(one: Array | float, other: Array | float) -> int:
    """Entries whose bytes differ, so that NaN is like NaN and 0 unlike −0."""
    bits, others = (np.atleast_1d(each).view(f"u{np.asarray(each).dtype.itemsize}") for each in (one, other))
    return int((bits != others).sum())


def draw_own(backend: Backend, *, spec: str, fan_in: int, fan_out: int, draws: int, seed: int, device: str = "cpu") -> list[Arrays]:
    """`draws` layers of fan-in × fan-out units, weight and bias, as the framework's own initializer fills them one after the other."""
    return backend.draw_layers(Spec.parse(spec), fan_in, fan_out, draws, seed, device)
