"""No false alarm on a made-up GPU, however it multiplies and sums, and planted faults are seen on it; TF32 that is not TF32 is red."""

from __future__ import annotations

from itertools import chain
from typing import Any

import numpy as np
import pytest

from bench.checks.precision import COARSE, _share_of_tf32
from bench.judging.verdict import FAILED, Verdict
from bench.selftest.faults import FAULTS, Fault
from bench.selftest.faults.plant import planted
from bench.selftest.kills import catchers, seen, verdicts
from bench.selftest.twins import TWINS, Twin, compiling_as_on_a_gpu, multiplying
from models.matrix import networks
from models.spec import Spec

QUICK = {
    "float32 split in four": ("reference",),
    "float32 one by one": ("depth=4,norm=batch",),
    "TF32 to nearest": ("precision=tf32",),
    "TF32 cut": ("precision=tf32", "precision=tf32,skip=two"),
    "TF32 cut, sums cut": ("precision=tf32",),
}
"""One network or two a twin, for every run of the self-tests; cut operands turned gradients of skip connections most."""
OF_TF32 = ("precision=tf32,width=256", "precision=tf32,batch=256", "precision=tf32,act=linear,lr=1e-5", "precision=tf32,norm=layer")
COMPILED_QUICK = "depth=2,norm=layer,norm_at=after"
HARD_FOR_XLA = ("norm=layer,norm_at=after", "norm=batch,input=shifted", "precision=mixed_bfloat16,batch=256")
"""Where steps compiled by XLA were red before the worker said that they are."""


def green(found: dict[str, Verdict]) -> None:
    assert {name: str(verdict.worst) for name, verdict in found.items() if verdict.status == FAILED} == {}
    assert any(verdict.judged for verdict in found.values())


def core(twin: Twin) -> list[str]:
    """The core matrix as a GPU of this kind has it: with TF32 where it has some."""
    return [spec.id for spec in networks("core", device="cuda" if twin.tf32 else "cpu")]


def each_twin(chosen: Any) -> list[Any]:
    return [pytest.param(name, network, id=f"{name}-{network}") for name, twin in TWINS.items() for network in chosen(name, twin)]


@pytest.mark.parametrize(("name", "network"), each_twin(lambda name, twin: QUICK.get(name, ())))
def test_no_check_is_red(name: str, network: str) -> None:
    with multiplying(TWINS[name]):
        run = seen("torch", network, trains=False)
    green(verdicts(run))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "network"), each_twin(lambda name, twin: () if name == "no TF32" else (*core(twin), *(OF_TF32 if twin.tf32 else ())))
)
def test_no_check_is_red_in_the_core_matrix(name: str, network: str) -> None:
    with multiplying(TWINS[name]):
        run = seen("torch", network, trains=False)
    green(verdicts(run))


def test_products_of_twins_are_what_they_are_said_to_be() -> None:
    """Each differs from float64 by what its operands and sums lose, and a cut one towards zero."""
    torch = pytest.importorskip("torch")
    generator = torch.Generator().manual_seed(0)
    a, b = torch.rand(32, 64, generator=generator), torch.rand(64, 32, generator=generator)
    exact = a.double() @ b.double()
    before = torch.get_float32_matmul_precision()
    try:
        torch.set_float32_matmul_precision("high")
        off = {name: ((twin.product(a, b).double() - exact) / exact).numpy() for name, twin in TWINS.items()}
    finally:
        torch.set_float32_matmul_precision(before)
    size = {name: float(np.sqrt(np.mean(values**2))) for name, values in off.items()}
    assert max(size[name] for name in ("float32 split in four", "float32 one by one", "no TF32")) < 2**-21
    assert 2**-14 > size["TF32 to nearest"] > 2**-17
    assert 2**-10 > size["TF32 cut"] > 2**-12
    assert (off["TF32 cut, sums cut"] < 0).all()
    assert off["TF32 cut, sums cut"].mean() < off["TF32 cut"].mean() < 0


def test_a_device_without_tf32_is_red_where_tf32_was_asked() -> None:
    with multiplying(TWINS["no TF32"]):
        run = seen("torch", "precision=tf32", trains=False)
    assert catchers(verdicts(run)) == ["precision"]
    assert _share_of_tf32(run) < COARSE / 30


def slice_of_faults() -> list[Any]:
    """A fault of each part of PyTorch, seen without training."""
    first = {part: [fault for fault in faults if not fault.trains] for part, faults in FAULTS["torch"].items()}
    return list(chain.from_iterable(faults[:2] for part, faults in first.items() if part != "controls"))


@pytest.mark.slow
@pytest.mark.parametrize("fault", slice_of_faults(), ids=lambda fault: fault.name)
@pytest.mark.parametrize("name", ["float32 split in four", "float32 one by one"])
def test_faults_are_seen_by_their_checks(name: str, fault: Fault) -> None:
    with multiplying(TWINS[name]), planted(fault):
        run = seen("torch", fault.network, trains=False)
    found = verdicts(run)
    assert found[fault.check].status == FAILED, f"{fault.check} missed it; caught by {catchers(found)}"
    assert any(fault.where in finding.where for finding in found[fault.check].findings if not finding.within)


LARGE = "layer 5's gradient lost", "layer 5's gradient with the other sign", "gradients accumulate"
IN_TF32 = [fault for name in LARGE for faults in FAULTS["torch"].values() for fault in faults if fault.name == name]
"""Faults of gradients that are larger than what TF32 rounds, which it must not hide."""


@pytest.mark.parametrize(
    "fault", [pytest.param(fault, id=fault.name, marks=[pytest.mark.slow] if number else []) for number, fault in enumerate(IN_TF32)]
)
def test_faults_of_gradients_are_seen_through_tf32(fault: Fault) -> None:
    with multiplying(TWINS["TF32 cut"]), planted(fault):
        run = seen("torch", Spec.parse(f"{fault.network},precision=tf32").id, trains=False)
    assert verdicts(run)["gradient_parity"].status == FAILED


def test_a_step_that_is_compiled_as_beside_a_gpu_says_so_and_is_judged_so() -> None:
    """Keras compiles by XLA where TensorFlow lists a GPU: its steps then round on their own."""
    with compiling_as_on_a_gpu():
        run = seen("keras", COMPILED_QUICK, trains=False)
    assert (run.step, run.apart) == ("fused", True)
    green(verdicts(run))
    assert seen("keras", "depth=2", trains=False).step == "compiled"


@pytest.mark.slow
@pytest.mark.parametrize("network", dict.fromkeys((*HARD_FOR_XLA, *core(TWINS["no TF32"]))))
def test_no_check_is_red_where_steps_are_compiled_as_beside_a_gpu(network: str) -> None:
    with compiling_as_on_a_gpu():
        run = seen("keras", network, trains=False)
    green(verdicts(run))
