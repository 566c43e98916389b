"""Each planted fault is caught by the check it names, where it names, and blames only the framework it was planted in."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from bench.checks import CHECKS
from bench.checks.initializer import DRAWS, FAN_IN, FAN_OUT, SEEDS, is_initializer_case
from bench.judge import FAILED, PASSED, Verdict, judge
from bench.report.failure import failure
from bench.run import Answer, Run, answer
from bench.selftest.faults import FAULTS, Fault
from bench.symmetry import relation_lessons
from fixtures.data import load
from models.run import Job, backend_module, draw_own, observe, prepare_lessons
from models.spec import Spec

JUDGED = (
    "finite",
    "signal_gain",
    "backward_gain",
    "initializer",
    "forward_parity",
    "gradient_parity",
    "clipping",
    "update",
    "normalization_state",
    "sum_rules",
    "homogeneity",
    "norm_orthogonality",
    "gradient_bound",
    "symmetry",
)
CASES = [pytest.param(backend, fault, id=f"{backend}-{fault.name}") for backend, faults in FAULTS.items() for fault in faults]

pytestmark = pytest.mark.filterwarnings("ignore:Gradients do not exist:UserWarning")  # Keras's own word on a planted fault


@cache
def answered(network: str) -> Answer:
    data, spec = load(), Spec.parse(network)
    return answer(spec, prepare_lessons(spec, data.x_train, data.y_train % spec.classes, 0))


def seen(backend: str, network: str) -> Run:
    """One run in this process, without training, which no fault here needs."""
    spec, module = Spec.parse(network), backend_module(backend)
    lessons = answered(network).lessons
    done = observe(Job(backend, spec, lessons=lessons, relations=relation_lessons(spec, lessons)))
    run = Run(network, spec, backend, done, answered(network))
    if is_initializer_case(spec):
        run.draws = [draw_own(module, spec=spec.id, fan_in=FAN_IN, fan_out=FAN_OUT, draws=DRAWS, seed=seed) for seed in SEEDS]
    return run


def verdicts(run: Run) -> dict[str, Verdict]:
    return {
        name: judge(CHECKS[name], run)
        for name in JUDGED
        if CHECKS[name].applies(run.spec, run.backend) and (name != "initializer" or run.draws)
    }


@cache
def healthy(backend: str, network: str) -> dict[str, Verdict]:
    return verdicts(seen(backend, network))


@pytest.fixture
def patch(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, Callable[[Any], Any]], None]:
    def replace(symbol: str, change: Callable[[Any], Any]) -> None:
        path = symbol.split(".")
        for cut in range(len(path) - 1, 0, -1):
            try:
                owner: Any = importlib.import_module(".".join(path[:cut]))
            except ImportError:
                continue
            for name in path[cut:-1]:
                owner = getattr(owner, name)
            monkeypatch.setattr(owner, path[-1], change(getattr(owner, path[-1])))
            return
        raise LookupError(symbol)

    return replace


@pytest.mark.parametrize(("backend", "fault"), CASES)
def test_fault_is_caught_where_it_is_and_blamed_on_whom_it_is(backend: str, fault: Fault, patch: Any) -> None:
    other = "keras" if backend == "torch" else "torch"
    for framework in (backend, other):
        for name, verdict in healthy(framework, fault.network).items():
            assert verdict.status == PASSED, f"{name} of {framework} is red without a fault: {verdict.worst}"
    fault.plant(patch)
    run = seen(backend, fault.network)
    verdict = judge(CHECKS[fault.check], run)
    assert verdict.status == FAILED, f"{fault.check} missed it"
    assert any(fault.where in finding.where for finding in verdict.findings if not finding.inside), verdict.worst
    text = failure(verdict, run, [healthy(other, fault.network)[fault.check]], "pytest", {})
    assert f"so this is {backend}'s" in text
    assert verdict.law in text
