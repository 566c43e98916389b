"""Numbers that cancel are off by roundings of their terms, which is no fault, and a fault beside them is still seen."""

from __future__ import annotations

import re

import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.faults.of_parameters import wrong_gradient_of
from bench.selftest.faults.plant import Fault
from bench.selftest.studies.own_models import GAUGES, evidence, found, verdicts

GAUGED = [
    f"{file}.py:{name}"
    for file in ("cancelling_torch", "fused_torch")
    for name in re.findall(r"^def ([a-z]\w*)\(\):", (GAUGES / f"{file}.py").read_text(encoding="utf-8"), re.MULTILINE)
]


@pytest.mark.parametrize("address", GAUGED)
def test_what_is_left_of_numbers_that_cancel_is_no_fault(address: str) -> None:
    seen = verdicts(evidence("torch", f"{GAUGES}/{address}"))
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {seen[name].status for name in ("forward_parity", "gradient_parity", "evaluation")} == {PASSED}, seen["forward_parity"].reason


def test_a_fault_is_seen_beside_distances_of_close_points() -> None:
    fault = Fault(
        "a gradient", f"{GAUGES}/cancelling_torch.py:beside", "gradient_parity", "other.weight", wrong_gradient_of("other.weight", 1.0001)
    )
    caught, seen = found("torch", fault)
    assert caught
    assert {finding.place.parameter for finding in seen["gradient_parity"].findings if not finding.within} == {"other.weight"}


@pytest.mark.parametrize("apart", [1e-3, 1e-2, 0.1, 1.0])
@pytest.mark.parametrize("width", [2, 8, 64, 512])
def test_distances_are_off_by_what_was_derived(width: int, apart: float) -> None:
    torch = pytest.importorskip("torch")
    from models.backends.torch.own.twin import wide

    torch.manual_seed(0)
    x, y = 1 + apart * torch.randn(60, width), 1 + apart * torch.randn(50, width)
    exact = torch.cdist(x.double(), y.double(), compute_mode="donot_use_mm_for_euclid_dist")
    passes = []
    for seed in range(6):
        with wide(None, seed):
            passes.append(torch.cdist(x.double(), y.double()))
    rounding = torch.stack([(each - exact).square().sum() for each in passes]).mean().sqrt()
    assert 0.25 < float((torch.cdist(x, y).double() - exact).norm() / rounding) < 2
