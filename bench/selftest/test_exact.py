"""Who judges the exact laws: a healthy stand-in obeys them in both precisions, and a part in a million breaks them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from bench.checks import CHECKS, ITSELF, applies
from bench.evidence.evidence import Evidence
from bench.evidence.reference import ReferenceResult
from bench.judging.verdict import FAILED, PASSED, judge
from bench.symmetry import ROWS, by_reference, relation_steps, symmetries
from fixtures.data.datasets import load
from models.backends.registry import BACKENDS
from models.matrix import SYMMETRIC, networks, symmetric
from models.observation import Observation, StepResult, WatchedPass
from models.reference.draws import prepare_forced_steps
from models.reference.network import Reference
from models.spec import Spec

LAWS = ("sum_rules", "homogeneity", "norm_orthogonality", "gradient_bound", "symmetry", "derivative")
HEALTHY = (
    "depth=6", "depth=6,precision=float64", "depth=6,act=leaky_relu,bias=normal", "depth=6,act=linear,init=orthogonal", "depth=6,act=gelu",
    "depth=6,norm=group", "depth=6,norm=rms", "depth=6,norm=batch,norm_at=after", "depth=6,norm=layer,precision=float64",
    "depth=6,skip=two", "depth=6,skip=one,skip_order=pre,branch=root2", "depth=6,skip=two,skip_order=pre,branch=zero", "depth=6,l2=0.1",
    "depth=6,bottleneck=4", *SYMMETRIC,
)  # fmt: skip


IN_FLOAT64 = {"difference quotients"}
"""Rows that float32 has too few digits for."""


def stand_in(spec: Spec, spoil: Any = None, watched: int = 99, backend: str = "torch") -> Evidence:
    """What a framework would be seen to do, done by the reference in the spec's precision with sums in an order of their own.

    With another order than the steps' for the pass that is `watched`, it is an execution of its own.
    """
    data = load()
    forced_steps = prepare_forced_steps(spec, data.x_train, data.y_train % spec.classes, 0)
    passes: list[Any] = [Reference(spec, each.weights, spec.precision, order=99).run(each.x, each.labels) for each in forced_steps]
    related = [by_reference(spec, each, spec.precision, order=99) for each in relation_steps(spec, forced_steps)]
    for each in [*passes, *related]:
        if spoil:
            spoil(each)
    first = passes[0]
    if watched != 99:
        first = Reference(spec, forced_steps[0].weights, spec.precision, order=watched).run(forced_steps[0].x, forced_steps[0].labels)
    passed = WatchedPass(forced_steps[0].weights, float(first.loss), first.logits, first.pre_activations, first.pre_activation_gradients)
    steps = [StepResult(float(each.loss), each.gradients, {}, {}, {}) for each in passes]
    seen = Observation(backend, native=passed, shared=passed, forced_steps=steps, relations=related)
    return Evidence(spec.id, spec, backend, seen, ReferenceResult(spec, forced_steps))


def outcomes(run: Evidence) -> dict[str, str]:
    return {name: judge(CHECKS[name], run).status for name in LAWS if applies(CHECKS[name], run.spec, run.backend)}


@pytest.mark.parametrize("text", HEALTHY)
def test_a_healthy_network_obeys(text):
    found = outcomes(stand_in(Spec.parse(text)))
    assert found and set(found.values()) == {PASSED}, found


@pytest.mark.parametrize(("text", "share", "laws"), [
    ("depth=6", 1e-5, {"sum_rules", "homogeneity"}), ("depth=6,precision=float64", 1e-12, {"sum_rules", "homogeneity"}),
    ("depth=6,act=linear,init=orthogonal", 1e-5, {"sum_rules", "homogeneity"}), ("depth=6,norm=layer", 1e-4, {"norm_orthogonality"}),
    ("depth=6,norm=batch,norm_at=after", 1e-4, {"norm_orthogonality"}),
])  # fmt: skip
def test_a_gradient_that_is_a_little_too_large_is_caught(text, share, laws):
    def spoil(done: Any) -> None:
        done.gradients["dense3.weight"] = done.gradients["dense3.weight"] * np.asarray(1 + share, done.gradients["dense3.weight"].dtype)

    found = outcomes(stand_in(Spec.parse(text), spoil))
    assert {name for name, status in found.items() if status == FAILED} == laws


@pytest.mark.parametrize(("backend", "act"), [
    *((name, "relu") for name, row in BACKENDS.items() if row.step == "fused"),
        *((name, act) for name, row in BACKENDS.items() for act in row.rewritten),
])  # fmt: skip
def test_a_step_that_rounds_apart_from_the_pass_that_is_watched_is_healthy_and_one_that_is_a_little_off_is_not(backend, act):
    spec = Spec.parse(f"norm=layer,norm_at=after,act={act}")
    assert judge(CHECKS["sum_rules"], stand_in(spec, watched=98, backend=backend)).status == PASSED

    def spoil(done: Any) -> None:
        done.gradients["dense3.bias"] = done.gradients["dense3.bias"] * np.float32(1.001)

    off = judge(CHECKS["sum_rules"], stand_in(spec, spoil, watched=98, backend=backend))
    assert {finding.where for finding in off.findings if not finding.within} == {"step 0 layer  3 ∂b against Σδ"}


def test_elsewhere_the_step_and_the_pass_that_is_watched_are_one_execution():
    for act in ("relu", "gelu"):
        assert judge(CHECKS["sum_rules"], stand_in(Spec.parse(f"norm=layer,norm_at=after,act={act}"), watched=98)).status == FAILED


def test_every_law_stands_against_itself_and_every_symmetry_is_looked_at_in_both_precisions():
    assert {CHECKS[name].against for name in LAWS} == {ITSELF}
    looked = [*networks("core"), *symmetric()]
    for row in ROWS:
        precisions = {spec.precision for spec in looked if row.holds(spec)}
        assert precisions == {"float32", "float64"} or (row.name in IN_FLOAT64 and precisions == {"float64"}), row.name


def test_symmetries_do_not_depend_on_the_data():
    assert symmetries(Spec().but(features=784)) == symmetries(Spec())
