"""Numbers in other formats than float32 take the twin from what depends on them alone, and infinities that nothing tells are not judged."""

from __future__ import annotations

import numpy as np
import pytest

from bench.judging.verdict import FAILED, NOT_APPLICABLE, PASSED
from bench.selftest.faults.of_parameters import wrong_gradient_of
from bench.selftest.faults.plant import Fault
from bench.selftest.studies.own_models import GAUGES, evidence, found, verdicts
from models.own.observation import Counted
from models.own.passes import OwnPass, not_finite

ADDRESS = f"{GAUGES}/formats_torch.py:"
WIDER = "are in float64, and are judged to float32's rounding alone"


@pytest.mark.parametrize(
    "model", ["counter", "counted", "constant", "constant_buffer", "half", "half_buffer", "scaled", "scaled_by_buffer", "masked"]
)
def test_other_formats_leave_the_rest_its_twin(model: str) -> None:
    seen = verdicts(evidence("torch", ADDRESS + model))
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {seen[name].status for name in ("finite", "forward_parity", "gradient_parity", "derivative", "evaluation")} == {PASSED}
    assert (WIDER in seen["gradient_parity"].reason) == (model == "scaled")


@pytest.mark.parametrize("model", ["counter", "scaled"])
def test_a_fault_is_seen_beside_other_formats(model: str) -> None:
    fault = Fault("a gradient", ADDRESS + model, "gradient_parity", "first.weight", wrong_gradient_of("first.weight", 1.0001))
    assert found("torch", fault)[0]


def test_a_model_in_float64_has_no_more_exact_twin() -> None:
    assert verdicts(evidence("torch", ADDRESS + "whole"))["gradient_parity"].status == NOT_APPLICABLE


def test_infinities_without_a_twin_are_not_judged() -> None:
    seen = verdicts(evidence("torch", ADDRESS + "masked_and_cast"))["finite"]
    assert seen.status == PASSED
    assert seen.reason.startswith("infinite entries may be a mask (of the model: 16), which a float64 twin alone tells, and ")


@pytest.mark.parametrize(("value", "bad", "perhaps"), [(np.nan, 1, 0), (np.inf, 0, 1), (-np.inf, 0, 1), (1.0, 0, 0)])
def test_what_is_no_number_is_red_without_a_twin(value: float, bad: int, perhaps: int) -> None:
    arrays = {"output": np.array([value, 0.0])}
    assert not_finite(OwnPass(1.0, arrays)) == (
        [Counted("loss", "", 0), Counted("output", "output", bad)],
        [Counted("output", "output", 1)] * perhaps,
    )
    assert not_finite(OwnPass(float(value), {}, arrays))[0][0].entries == int(not np.isfinite(value))
