"""Models of real sizes: kernels that add thousands of terms one after the other are no fault, and a fault is still seen beside them."""

from __future__ import annotations

import numpy as np
import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.faults.of_parameters import wrong_gradient_in_keras, wrong_gradient_of
from bench.selftest.faults.plant import Fault
from bench.selftest.studies.own_models import GAUGES, evidence, found, verdicts
from models.own.sums import COVERED, OF_EITHER_SIGN, of_product, sizes, times

OF_TORCH = "patches", "images", "pooled", "repeated", "bags", "turned", "tabular", "single", "complex_numbers"
OF_KERAS = "patches", "images", "pooled", "repeated", "tabular", "single"
SUMS = (*(f"sums_torch.py:{name}" for name in OF_TORCH), *(f"sums_keras.py:{name}" for name in OF_KERAS))


@pytest.mark.parametrize("address", SUMS)
def test_a_long_sum_is_no_fault(address: str) -> None:
    judged = verdicts(evidence(address.partition("_")[2].partition(".")[0], f"{GAUGES}/{address}"))
    red = {
        (name, finding.where)
        for name, verdict in judged.items()
        if verdict.status == FAILED
        for finding in verdict.findings
        if not finding.within
    }
    assert red <= {("update", f"step {step} new embedding.embeddings") for step in (0, 1) if "keras" in address}, "Keras's own, and known"
    assert {judged[name].status for name in ("forward_parity", "gradient_parity", "evaluation")} == {PASSED}


@pytest.mark.parametrize(("backend", "parameter"), [("torch", "2.weight"), ("keras", "dense_1.kernel")])
def test_a_fault_is_seen_beside_a_product_of_many_rows(backend: str, parameter: str) -> None:
    plant = (wrong_gradient_of if backend == "torch" else wrong_gradient_in_keras)(parameter, 1.0001)
    fault = Fault("one gradient", f"{GAUGES}/sums_{backend}.py:tabular", "gradient_parity", parameter, plant)
    caught, seen = found(backend, fault)
    assert caught
    assert {f.place.parameter for f in seen["gradient_parity"].findings if not f.within} == {parameter}


@pytest.mark.parametrize(("rows", "terms", "columns", "additions"), [
    (64, 150, 64, 150), (64, 4096, 64, 192 + 21), (10, 4096, 64, 4096), (64, 40_000, 1, 40_000), (64, 160_000, 64, 192 + 833),
])  # fmt: skip
def test_a_product_adds_blocks_where_it_is_wide(rows: int, terms: int, columns: int, additions: int) -> None:
    assert of_product(rows, terms, columns) == additions


def test_sums_of_few_terms_that_cancel_are_as_far_off_as_their_terms_say() -> None:
    left, right = np.array([[1.0, -1.0]]), np.array([[3.0], [3.0]])
    assert sizes(left @ right, left, right).tolist() == [[pytest.approx(18**0.5)]]
    assert sizes(np.array([[60.0]]), left, right).tolist() == [[60.0]]
    assert times(400, sums=1) == pytest.approx(times(400 * 100) * 5 / 2 / 10)


def test_a_twin_rounds_a_long_sum_by_what_is_beyond_half_of_what_is_allowed() -> None:
    assert times(1) == times(144) == 1
    assert times(3 * 32**2) == pytest.approx(OF_EITHER_SIGN * (3 * 32**2) ** 0.5 / COVERED)
    assert times(3 * 32**2) < 4, "a patch of 32 × 32 pixels is 17 roundings off"
