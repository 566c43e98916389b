"""One network judged in this process, healthy or with a fault planted: which checks are red."""

from __future__ import annotations

from collections.abc import Callable, Set
from functools import cache, partial
from typing import Any

from bench.baselines import known_failures
from bench.baselines.samples import Baseline
from bench.baselines.samples import load as load_baseline
from bench.checks import CHECKS, ITSELF
from bench.evidence.collect import ALL, Request, Submit, at_once, collect, reference_of
from bench.evidence.evidence import Evidence
from bench.evidence.excuses import excuse
from bench.evidence.pool import RECORDED_SEED
from bench.evidence.reference import ReferenceResult
from bench.evidence.schedule import STEPS
from bench.judging.check import Need
from bench.judging.verdict import FAILED, Verdict, judge
from bench.selftest.faults import Fault
from bench.selftest.faults.plant import planted
from fixtures.data.datasets import Data, load
from models.backends.registry import backend_module
from models.matrix import symmetric
from models.spec import Spec
from models.worker.tasks.observe import draw_own, observe_seeds

TRAINING_SEEDS = range(RECORDED_SEED, RECORDED_SEED + 3)


@cache
def data() -> Data:
    """The suite's own data."""
    return load()


@cache
def recorded(backend: str) -> Baseline:
    """The backend's own baseline."""
    return load_baseline(backend, "cpu", {"digits": STEPS["digits"]})


@cache
def reference(network: str) -> ReferenceResult:
    """The reference on the network's teacher-forced steps."""
    return reference_of(Spec.parse(network), data())


def here(backend: str) -> Submit:
    """Asks the backend in this process, so that a fault can be planted in it."""
    module = backend_module(backend)
    tasks: dict[str, Callable[..., Any]] = {
        "observe_seeds": observe_seeds,
        "draw": partial(draw_own, module),
        "activate": lambda spec, x: module.activate(Spec.parse(spec), x),
    }
    return at_once(lambda do, kind, **arguments: tasks[do](**arguments))


def seen(backend: str, network: str, trains: bool, needs: Set[Need] = ALL, device: str = "cpu", repeats: bool | None = None) -> Evidence:
    """The evidence as pytest would have it; free training, which few faults need, only where asked for. On a GPU no bits are promised."""
    needs = needs if trains else needs - {Need.TRAININGS, Need.HELD_OUT}
    spec, repeats = Spec.parse(network), device == "cpu" if repeats is None else repeats
    request = Request(spec, backend, data(), needs, TRAINING_SEEDS, device, repeats, recorded(backend), reference(spec.on(backend).id))
    return collect(request, here(backend))


def verdicts(evidence: Evidence) -> dict[str, Verdict]:
    """What every check says that pytest collects for this network: of those that are not trained, only exact laws.

    What is wholly a known failure of the framework's own is no catch.
    """
    against = {ITSELF} if evidence.spec in symmetric() else {check.against for check in CHECKS.values()}
    judged = [check for check in CHECKS.values() if check.against in against and not check.missing(evidence.spec, evidence.collected)]
    found = {check.name: judge(check, evidence) for check in judged}
    for name, verdict in found.items():
        excuse(verdict, CHECKS[name], evidence, known_failures.read())
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
