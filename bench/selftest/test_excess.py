"""Half precision where a compiler keeps float32 between operations: no false alarm, and planted faults are still seen."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.evidence.evidence import Evidence
from bench.evidence.reference import EXCESS_FROM, rms_error, roundings
from bench.judging.verdict import FAILED, PASSED, Verdict, judge
from bench.selftest.kills import reference, seen
from models.backends.registry import BACKENDS
from models.parts.precisions import BFLOAT16
from models.reference.arithmetic import Arithmetic
from models.reference.network import Reference
from models.spec import Spec

ROOT = Path(__file__).resolve().parents[2]
NETWORK = "precision=mixed_bfloat16,depth=4"
QUICK = NETWORK, "precision=mixed_float16,depth=2,act=sigmoid,loss_scale=1"
REST = (
    "precision=mixed_bfloat16,depth=4,norm=rms", "precision=mixed_float16,depth=4,norm=layer,skip=two",
    "precision=mixed_float16,depth=2,act=tanh", "batch=256,precision=mixed_bfloat16", "precision=mixed_float16",
    "rnn,precision=mixed_float16", "rnn,cell=gru,precision=mixed_bfloat16",
)  # fmt: skip
ON_THE_TWIN = """
import sys
from bench.judging.verdict import FAILED
from bench.selftest import kills
from bench.selftest.excess import leaving_out_roundings
for network in sys.argv[1:]:
    with leaving_out_roundings():
        run = kills.seen("keras-jax", network, False)
    run.seen.device = "cuda"
    assert run.excess, network
    found = kills.verdicts(run)
    print(network, *[f"RED {name} {verdict.worst}" for name, verdict in found.items() if verdict.status == FAILED])
    assert found["forward_parity"].judged, network
"""


def green_on_the_twin(*networks: str) -> None:
    """In a process of its own, whose Keras is on JAX."""
    pytest.importorskip("jax")
    surroundings = os.environ | dict(BACKENDS["keras-jax"].variables)
    done = subprocess.run([sys.executable, "-c", ON_THE_TWIN, *networks], cwd=ROOT, env=surroundings, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.splitlines() == list(networks)


def test_a_compiler_that_keeps_float32_between_products_is_no_fault() -> None:
    green_on_the_twin(*QUICK)


@pytest.mark.slow
def test_nor_is_it_with_normalizations_recurrence_and_depth() -> None:
    green_on_the_twin(*REST)


def test_what_keeps_float32_is_as_far_off_as_what_rounds_everything() -> None:
    """Measured where a layer is answered on what it was fed: the bound stays what it is, to a factor under 1.2."""
    for network in (NETWORK, "precision=mixed_float16,depth=4,act=tanh"):
        spec, (step, *_) = Spec.parse(network).on("keras-jax"), reference(network).forced_steps
        given = Reference(spec, step.weights, np.float32, 1, "keras").run(step.x, step.labels)
        exact = Reference(spec, step.weights).run(step.x, step.labels, given)
        passes = [[each.run(step.x, step.labels, given) for each in roundings(spec, step.weights, excess)] for excess in (False, True)]
        for key, g in exact.gradients.items():
            rounds, mixed = (rms_error(g, [each.gradients[key] for each in near]) for near in passes)
            assert 0.5 < mixed / rounds < 1.2, key
        assert [np.array_equal(a.logits, b.logits) for a, b in zip(*passes, strict=True)][:EXCESS_FROM] == [True] * EXCESS_FROM


def test_what_a_layer_was_fed_rounds_to_what_was_seen() -> None:
    spec = Spec.parse(NETWORK)
    given = BFLOAT16.rounded(np.random.default_rng(0).standard_normal(10_000))
    given[:10] = 0
    fed = Arithmetic(np.float32, spec.format, EXCESS_FROM, "keras", excess=True).fed(given)
    assert (fed[10:] != given[10:]).mean() > 0.99
    inside = np.abs(np.frexp(given)[0]) != 0.5  # the numbers below a power of two lie twice as close
    np.testing.assert_array_equal(BFLOAT16.rounded(fed)[inside], given[inside])
    np.testing.assert_array_equal(fed[:10], 0)


@pytest.fixture
def on_a_gpu(monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """PyTorch's run, which rounds everything, taken for that of a compiler that may leave roundings out."""
    run = seen("torch", NETWORK, trains=False)
    monkeypatch.setitem(BACKENDS, "torch", replace(BACKENDS["torch"], excess_precision=("cuda",), step="fused"))
    run.seen.device = "cuda:0"
    assert run.excess
    return run


def gradients(run: Evidence) -> Verdict:
    return judge(CHECKS["gradient_parity"], run)


def test_gradients_that_another_rounding_explains_are_undecided_and_what_none_explains_is_red(on_a_gpu: Evidence) -> None:
    assert (gradients(on_a_gpu).status, gradients(on_a_gpu).reason) == (PASSED, "")
    judged, step = gradients(on_a_gpu).judged, on_a_gpu.seen.forced_steps[0]
    true = step.gradients["dense2.weight"]
    step.gradients["dense2.weight"] = 1.03 * true
    assert gradients(on_a_gpu).judged == judged - 1
    assert gradients(on_a_gpu).reason.startswith("1 gradients may be off because torch compiles the step on its own")
    for factor in (-1.0, 0.0, 0.5, 0.9, 1.1, np.nan):
        step.gradients["dense2.weight"] = factor * true
        assert gradients(on_a_gpu).status == FAILED, factor
    step.gradients["dense2.weight"] = 1.03 * true
    on_a_gpu.seen.device = "cpu"
    assert gradients(on_a_gpu).status == FAILED


def test_in_sixteen_layers_a_gradient_that_is_lost_or_half_of_itself_is_red(on_a_gpu: Evidence) -> None:
    deep = seen("torch", "precision=mixed_bfloat16", trains=False)
    deep.seen.device = "cuda:0"
    assert gradients(deep).status == PASSED
    step = deep.seen.forced_steps[0]
    true = step.gradients["dense1.weight"]
    for factor in (0.0, 0.5, 1.5):
        step.gradients["dense1.weight"] = factor * true
        assert gradients(deep).status == FAILED, factor


def test_who_may_leave_roundings_out_is_a_fact_of_library_way_and_device() -> None:
    run = seen("torch", NETWORK, trains=False)
    run.seen.device, run.seen.fused = "cuda", True
    assert not run.excess
    for backend in ("keras", "keras-jax"):
        here = replace(run, backend=backend)
        assert here.excess and not replace(here, spec=Spec.parse("reference")).excess
    run.seen.device = "cpu"
    assert not replace(run, backend="keras-jax").excess
