"""Models of real sizes: kernels that add thousands of terms one after the other are no fault, and a fault is still seen beside them."""

from __future__ import annotations

import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.own.sums import COVERED, OF_EITHER_SIGN, times

SUMS = (
    *(f"sums_torch.py:{name}" for name in ("patches", "images", "pooled", "repeated", "bags", "turned")),
    *(f"sums_keras.py:{name}" for name in ("patches", "images", "pooled", "repeated")),
)


@pytest.mark.parametrize("address", SUMS)
def test_a_long_sum_is_no_fault(address: str) -> None:
    found = verdicts(evidence(address.partition("_")[2].partition(".")[0], f"{GAUGES}/{address}"))
    red = {
        (name, finding.where)
        for name, verdict in found.items()
        if verdict.status == FAILED
        for finding in verdict.findings
        if not finding.within
    }
    assert red <= {("update", f"step {step} new embedding.embeddings") for step in (0, 1) if "keras" in address}, "Keras's own, and known"
    assert {found[name].status for name in ("forward_parity", "gradient_parity", "evaluation")} == {PASSED}


def test_a_twin_rounds_a_long_sum_by_what_is_beyond_half_of_what_is_allowed() -> None:
    assert times(1) == times(144) == 1
    assert times(3 * 32**2) == pytest.approx(OF_EITHER_SIGN * (3 * 32**2) ** 0.5 / COVERED)
    assert times(3 * 32**2) < 4, "a patch of 32 × 32 pixels is 17 roundings off"
