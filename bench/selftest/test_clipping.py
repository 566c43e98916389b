"""Clipping is judged whatever the size of gradients."""

from __future__ import annotations

import copy

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.judging.tolerance import NORM_MULTIPLE
from bench.judging.verdict import FAILED, PASSED, judge
from bench.selftest.kills import seen
from models.arrays import Arrays
from models.parts.clips import rounding_of_norms
from models.parts.schedules import SCHEDULES
from models.reference.optimizers import Rule
from models.spec import Spec

BESIDE = [
    (name, ("sgd", "momentum", "nesterov")[number % 3], ("variable", "global", "value", "variable")[number % 4])
    for number, name in enumerate(name for name, row in SCHEDULES.items() if row.keras)
]
"""Every schedule that Keras has, with the optimizers that show the clipped gradient, and the ways to clip it."""


@pytest.mark.parametrize("clip", ["global", "variable", "value"])
@pytest.mark.parametrize("factor", [1e-27, 1.0, 1e22])
def test_clipping_is_judged_where_float32_has_no_squares(clip: str, factor: float) -> None:
    spec = Spec.parse(f"depth=2,width=4,batch=4,clip={clip},clip_at=0.001")
    evidence = copy.copy(seen("torch", spec.id, trains=False))
    evidence.seen = copy.deepcopy(evidence.seen)
    step = evidence.seen.forced_steps[0]
    step.gradients = {key: g * np.float32(factor) for key, g in step.gradients.items()}
    step.applied = _clipped(spec, step.gradients)
    assert judge(CHECKS["clipping"], evidence).status == PASSED
    step.applied = {key: g * np.float32(1.5) for key, g in step.gradients.items()}
    assert judge(CHECKS["clipping"], evidence).status == FAILED


@pytest.mark.parametrize(("name", "optimizer", "clip"), BESIDE)
def test_clipping_is_read_from_keras_s_first_step_at_that_step_s_rate(name: str, optimizer: str, clip: str) -> None:
    network = f"depth=2,width=4,batch=4,clip={clip},clip_at=0.001,optimizer={optimizer},schedule={name}"
    evidence = copy.copy(seen("keras", network, trains=False))
    verdict = judge(CHECKS["clipping"], evidence)
    assert (verdict.status, verdict.worst) == (PASSED, None) and verdict.judged >= 4
    evidence.seen = copy.deepcopy(evidence.seen)
    weights, before = evidence.seen.forced_steps[0].weights, evidence.reference.forced_steps[0].weights
    for key, w in weights.items():
        weights[key] = before[key] + np.float32(1.1) * (w - before[key])
    assert judge(CHECKS["clipping"], evidence).status == FAILED


def _clipped(spec: Spec, gradients: Arrays) -> Arrays:
    clipped = Rule(spec, "torch").clip({key: g.astype(np.float64) for key, g in gradients.items()})
    return {key: g.astype(np.float32) for key, g in clipped.items()}


def test_a_norm_of_equal_terms_is_off_by_as_much_as_adding_them_costs_and_of_others_by_next_to_nothing() -> None:
    """PyTorch's norm of 9,216 numbers that are alike is off by 4e-6, and NumPy's, which adds by halves, by no rounding."""
    torch = pytest.importorskip("torch")
    alike, drawn = np.full((96, 96), 0.1, np.float32), np.random.default_rng(0).normal(size=(96, 96)).astype(np.float32)
    (found,) = rounding_of_norms("variable", {"weight": alike}).values()
    real = abs(float(torch.linalg.vector_norm(torch.from_numpy(alike))) / float(np.linalg.norm(alike.astype(np.float64))) - 1)
    assert 1e-6 < real < NORM_MULTIPLE * found < 10 * real
    (found,) = rounding_of_norms("variable", {"weight": drawn}).values()
    assert found < 1e-6
    assert rounding_of_norms("global", {"a": alike * 1e-30, "b": alike * 0})["b"] < 1e-4, "float32 has no squares of these"
    assert set(rounding_of_norms("value", {"a": alike}).values()) == {0.0}


def test_a_clipped_gradient_is_known_to_its_own_rounding_and_not_to_that_of_what_was_clipped() -> None:
    """A gradient a thousand times as long as its cap: an error of 1e-4 of the clipped one is a rounding of the one before, and is seen."""
    evidence = copy.copy(seen("torch", "depth=2,width=16,batch=8,clip=variable,clip_at=1e-06", trains=False))
    assert judge(CHECKS["clipping"], evidence).status == PASSED
    evidence.seen = copy.deepcopy(evidence.seen)
    step = evidence.seen.forced_steps[0]
    step.applied = {key: g * np.float32(1.0001) for key, g in step.applied.items()}
    assert judge(CHECKS["clipping"], evidence).status == FAILED
