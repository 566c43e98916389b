"""One network judged in this process, healthy or with a fault planted: which checks are red."""

from __future__ import annotations

import dataclasses
from functools import cache

from bench.baselines import known_failures
from bench.baselines import samples as baselines
from bench.checks import CHECKS, ITSELF, OF_TRAINING
from bench.checks.activation import is_activation_case, points
from bench.checks.initializer import DRAWS, FAN_IN, FAN_OUT, SEEDS, is_initializer_case
from bench.checks.loss_scale import scaled_steps
from bench.evidence.evidence import Evidence
from bench.evidence.pool import STEPS, held_out, start_of, trainings
from bench.evidence.reference import ReferenceResult, solve
from bench.judging.verdict import FAILED, Verdict, judge
from bench.selftest.faults import Fault
from bench.selftest.faults.plant import planted
from bench.symmetry import relation_steps
from fixtures.data.datasets import Data, load
from models.backends.registry import backend_module
from models.matrix import symmetric
from models.observation import Job
from models.parts.precisions import PLAIN
from models.reference.draws import prepare_forced_steps
from models.spec import Spec
from models.worker.tasks.observe import draw_own, observe

TRAINING_SEEDS = range(3)


@cache
def data() -> Data:
    """The suite's own data."""
    return load()


@cache
def answered(network: str) -> ReferenceResult:
    """The reference on the network's lessons."""
    spec = Spec.parse(network)
    return solve(spec, prepare_forced_steps(spec, data().x_train, data().y_train % spec.classes, 0))


def seen(backend: str, network: str, trains: bool) -> Evidence:
    """One run as pytest would make it; free training, which few faults need, only where asked for."""
    spec, module = Spec.parse(network), backend_module(backend)
    forced_steps = answered(network).forced_steps
    relations, scaled = relation_steps(spec, forced_steps), scaled_steps(spec, forced_steps)
    job = Job(backend, spec, forced_steps=forced_steps, relations=relations, scaled=scaled, repeat=True)
    if trains:
        job.trainings = trainings(spec, data(), TRAINING_SEEDS)
        job.x_test, job.labels_test = held_out(spec, data())
    run = Evidence(network, spec, backend, observe(job), answered(network), baselines.load(backend, "cpu", STEPS))
    run.held_out, run.start = held_out(spec, data()), start_of(spec, data())
    if is_initializer_case(spec):
        run.draws = [draw_own(module, spec=spec.id, fan_in=FAN_IN, fan_out=FAN_OUT, draws=DRAWS, seed=seed) for seed in SEEDS]
    if is_activation_case(spec):
        run.curves = {kind: module.activate(dataclasses.replace(spec, precision=kind), points().astype(kind)) for kind in PLAIN}
    return run


def verdicts(run: Evidence) -> dict[str, Verdict]:
    """What every check says that pytest collects for this network: of those that are not trained, only exact laws.

    What is wholly a known failure of the framework's own is no catch.
    """
    against = {ITSELF} if run.spec in symmetric() else {check.against for check in CHECKS.values()}
    collected = [check for check in CHECKS.values() if check.against in against and check.applies(run.spec, run.backend)]
    applying = [check for check in collected if check.name not in OF_TRAINING or run.seen.trainings]
    found = {check.name: judge(check, run) for check in applying}
    for verdict in found.values():
        known_failures.apply(verdict, known_failures.read(), run.seen.versions)
    return found


@cache
def healthy(backend: str, network: str, trains: bool = False) -> dict[str, Verdict]:
    """Verdicts without a fault."""
    return verdicts(seen(backend, network, trains))


def broken(backend: str, fault: Fault) -> tuple[Evidence, dict[str, Verdict]]:
    """Run and verdicts with the fault planted."""
    with planted(fault):
        run = seen(backend, fault.network, fault.trains)
    return run, verdicts(run)


def catchers(verdicts: dict[str, Verdict]) -> list[str]:
    """The checks that are red, in the order of the suite."""
    return [name for name, verdict in verdicts.items() if verdict.status == FAILED]
