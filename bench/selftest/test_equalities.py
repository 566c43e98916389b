"""Every equality holds without a fault, or is known to fail, and catches the fault that is planted for it."""

from __future__ import annotations

import re
from functools import cache

import pytest

from bench.baselines import known_failures
from bench.evidence.pool import ObservationPool
from bench.judging.verdict import FAILED, KNOWN, PASSED, Verdict
from bench.metamorphic import EQUALITIES, EqualityCase, decide, equality_cases
from bench.metamorphic.runner import RelationRunner
from bench.metamorphic.scenarios import Scenarios
from bench.report import failure
from bench.selftest.faults.convolutional import KERAS_IMAGES, TORCH_IMAGES
from bench.selftest.faults.of_equalities import TORCH, Broken
from bench.selftest.faults.of_equalities_in_keras import KERAS
from bench.selftest.faults.of_promises import KERAS_PROMISES, TORCH_PROMISES
from bench.selftest.faults.plant import patching
from bench.selftest.faults.recurrent import KERAS_WAYS, TORCH_WAYS
from fixtures.data.datasets import load
from models.backends.registry import Absent, backend_module
from models.worker.tasks import scenarios as taken

BROKEN: dict[str, tuple[Broken, ...]] = {
    "torch": (*TORCH, *TORCH_WAYS, *TORCH_IMAGES, *TORCH_PROMISES),
    "keras": (*KERAS, *KERAS_WAYS, *KERAS_IMAGES, *KERAS_PROMISES),
}
QUICK = {broken.equality for broken in BROKEN["torch"]}
"""Laws with a fault in PyTorch: planting Keras's as well takes minutes, and is left to `tox -e slow`."""
CASES = [
    pytest.param(
        backend,
        broken,
        id=f"{backend}-{broken.equality}-{broken.name}",
        marks=[pytest.mark.slow] if backend == "keras" and broken.equality in QUICK else [],
    )
    for backend in BROKEN
    for broken in BROKEN[backend]
]
OTHER = {"torch": "keras", "keras": "torch"}
BLAMELESS = [
    pytest.param(
        backend,
        broken,
        id=f"{backend}-{broken.equality}-{broken.name}",
        marks=[pytest.mark.slow] if backend == "torch" else [],
    )
    for backend in BROKEN
    for broken in BROKEN[backend]
    if EqualityCase(broken.equality, OTHER[backend]) in equality_cases("core", [OTHER[backend]])
]
"""Faults in one framework of laws that hold for the other as well, which is then judged; judging Keras takes minutes."""
BROKEN_BY = {
    "keras": ("micro_batches_schedule", "micro_batches_average", "initializer_shared", "function_in_function", "extreme_gradients"),
    "torch": ("gradients_kept", "implementations", "seeds_of_initializers"),
}
"""Equalities of which a current framework breaks a part itself; the fault planted for each breaks another part."""
FULL_HAS = {
    "torch": {"models_dropped_often"},
    "keras": {
        "memory_of_epochs",
        "traces_of_epochs",
        "models_dropped_often",
        "saved_and_loaded_with_every_optimizer",
        "ways_of_training_with_every_optimizer",
    },
}
"""Longer runs of laws whose short runs have a fault of their own."""


def scenarios_here(backend: str) -> Scenarios:
    """Scenarios in this process, so that a fault can be planted in it."""
    return Scenarios(backend, lambda scenario, given: taken.take(backend, scenario, {k: v for k, v in given.items() if k != "process"}))


@cache
def healthy(backend: str) -> Scenarios:
    return scenarios_here(backend)


@cache
def judged_healthy(backend: str, equality: str) -> Verdict:
    verdict = decide(equality, healthy(backend))
    known_failures.apply(verdict, known_failures.read(), backend_module(backend).versions())
    return verdict


@pytest.mark.filterwarnings("ignore:Your input ran out of data")  # as the release warned that ran on beyond it
@pytest.mark.parametrize(("backend", "broken"), CASES)
def test_broken_equality_is_caught(backend: str, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    if EQUALITIES[broken.equality].cases == "core":
        verdict = judged_healthy(backend, broken.equality)
        assert verdict.status in (PASSED, KNOWN), f"{broken.equality} of {backend} is red without a fault: {verdict.worst}"
    broken.plant(patching(monkeypatch))
    verdict = decide(broken.equality, scenarios_here(backend))
    known_failures.apply(verdict, known_failures.read(), backend_module(backend).versions())
    assert verdict.status == FAILED, f"{broken.equality} missed it"
    outside = [f.where for f in verdict.findings if not f.within]
    assert any(broken.where in where for where in outside), f"nothing outside names {broken.where}: {outside}"
    told = failure.of_relation(verdict, {backend: "2"})
    assert verdict.law in told
    assert f"backend  {backend} 2" in told


@pytest.mark.parametrize(("backend", "broken"), BLAMELESS)
def test_the_other_framework_is_not_blamed(backend: str, broken: Broken, monkeypatch: pytest.MonkeyPatch) -> None:
    other = OTHER[backend]
    broken.plant(patching(monkeypatch))
    verdict = decide(broken.equality, scenarios_here(other))
    known_failures.apply(verdict, known_failures.read(), backend_module(other).versions())
    assert verdict.status == judged_healthy(other, broken.equality).status, f"{other} is blamed for it: {verdict.worst}"
    assert verdict.backend == other


@pytest.mark.parametrize("broken", [each for backend in BROKEN for each in BROKEN[backend] if each.link], ids=lambda broken: broken.name)
def test_what_really_happened_says_where(broken: Broken) -> None:
    owner = r"(keras-team/keras|tensorflow/tensorflow|pytorch/pytorch)"
    assert re.fullmatch(rf"https://github\.com/{owner}/(issues|pull|releases/tag)/v?[\d.]+", broken.link)


@pytest.mark.parametrize("backend", ["torch", "keras"])
def test_every_equality_has_a_fault(backend: str) -> None:
    collected = {case.equality for case in equality_cases("full", [backend])}
    assert collected - {b.equality for b in BROKEN[backend]} - FULL_HAS[backend] == set()


@pytest.mark.parametrize(("backend", "equality"), [(backend, equality) for backend in BROKEN_BY for equality in BROKEN_BY[backend]])
def test_what_a_framework_breaks_itself_is_seen_and_known(backend: str, equality: str) -> None:
    verdict = judged_healthy(backend, equality)
    assert verdict.status == KNOWN
    assert "https://github.com/" in verdict.reason


def test_a_death_is_a_finding_with_its_signal_and_the_next_case_runs() -> None:
    pool = ObservationPool(load(), device="cpu", threads=1, seeds=[0])
    relation_runner = RelationRunner(pool, isolate=False)
    case = EqualityCase("refused", "torch")
    assert relation_runner.judge(case)[0].status == PASSED
    worker, _ = relation_runner._scenarios["torch", False]
    worker._process.kill()
    worker._process.wait()
    dead, _ = relation_runner.judge(EqualityCase("initializer_shared", "torch"))
    assert dead.status == FAILED
    assert "SIGKILL" in dead.findings[0].note
    assert relation_runner.judge(case)[0].status == PASSED
    relation_runner.close()
    pool.close()


def test_an_isolated_case_has_a_process_of_its_own() -> None:
    pool = ObservationPool(load(), device="cpu", threads=1, seeds=[0], isolate=True)
    relation_runner = RelationRunner(pool, isolate=True)
    verdict, versions = relation_runner.judge(EqualityCase("refused", "torch"))
    assert verdict.status == PASSED
    assert "torch" in versions
    assert not pool._crews
    pool.close()


def test_smoke_has_none_and_unknown_scenarios_are_refused() -> None:
    assert equality_cases("smoke", ["torch"]) == []
    assert all(case.equality not in ("torch_compile", "loader") for case in equality_cases("full", ["keras"]))
    with pytest.raises(Absent, match="no scenario named fit"):
        taken.take("torch", "fit", {})
