"""A user's model in half precision has a float64 twin that rounds as its format does."""

from __future__ import annotations

import math

import pytest

from bench.checks.own import OWN_CHECKS
from bench.evidence.own import OwnEvidence
from bench.judging.verdict import FAILED, NOT_APPLICABLE, NOT_JUDGED, PASSED, Verdict, judge
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.own.observation import Deviation, OwnObservation

ADDRESS = f"{GAUGES}/half_torch.py:"
WHOLE = (
    "whole", "whole_in_float16", "adam", "tokens", "statistics", "partly", "recurrent_in_half", "single", "recurrent_without_bias",
    "exact_statistics", "tiny_moments", "of_its_format", "learning_rate", "large_logits", "table", "table_in_float32",
    "of_eight_bits", "encoded",
)  # fmt: skip
WRONG = "wrong_in_bfloat16", "wrong_in_float16", "wrong_at_large_logits", "wrong_by_a_branch"


def seen(model: str) -> dict[str, Verdict]:
    return verdicts(evidence("torch", ADDRESS + model))


def outside(verdict: Verdict) -> set[str]:
    return {finding.where for finding in verdict.findings if not finding.within}


@pytest.mark.parametrize("model", WHOLE)
def test_a_healthy_model_in_half_precision_is_judged(model: str) -> None:
    found = seen(model)
    assert {name: outside(found[name]) for name in found if found[name].status == FAILED and name != "execution"} == {}
    assert {found[name].status for name in ("finite", "forward_parity", "gradient_parity", "update", "evaluation")} == {PASSED}
    assert {where.split(" in half")[0] for where in outside(found["execution"])} <= {"fused SGD"}  # of which PyTorch 2.13.0 is known


def test_numbers_are_roundings_of_the_format() -> None:
    bfloat16, float16 = (evidence("torch", ADDRESS + model).seen for model in ("whole", "whole_in_float16"))
    shares = [sorted(each.rounding / each.size for each in found.gradients) for found in (bfloat16, float16)]
    assert 2.0**-10 < shares[0][0] < 2.0**-6 and 2.0**-13 < shares[1][0] < 2.0**-9
    assert {each.unit for each in bfloat16.gradients} == {2.0**-8} and {each.unit for each in float16.gradients} == {2.0**-11}


@pytest.mark.parametrize("model", WRONG)
def test_a_gradient_a_quarter_too_large_is_named(model: str) -> None:
    assert outside(seen(model)["gradient_parity"]) == {"2.weight"}


def test_weights_that_are_left_as_they_are_are_named() -> None:
    found = seen("untouched")["update"]
    assert found.status == FAILED and "step 0 new 2.weight" in outside(found)


def test_what_is_no_number_in_the_format_is_red() -> None:
    assert seen("overflowing")["finite"].status == FAILED


def test_units_at_a_kink_have_no_slope_in_half_precision() -> None:
    found = seen("whole")["derivative"]
    assert found.status == NOT_JUDGED and "within rounding of a kink in half precision" in found.reason
    assert seen("adam")["derivative"].status == PASSED


def test_a_cast_and_back_alone_has_no_twin() -> None:
    found = seen("cast_and_back")["gradient_parity"]
    assert found.status == NOT_APPLICABLE and "casts to half precision and back" in found.reason


@pytest.mark.parametrize("model", ["recurrent_in_half", "recurrent_without_bias", "exact_statistics", "large_logits", "encoded"])
def test_nothing_of_it_is_left_out(model: str) -> None:
    """Kernels have parts that a pass may not need, and what a layer writes into its statistics is its own."""
    found = evidence("torch", ADDRESS + model)
    assert not found.seen.no_twin and not found.seen.unevaluated
    reasons = {name: verdict.reason for name, verdict in verdicts(found).items() if "rounding alone" in verdict.reason}
    assert reasons == {}


def test_kernels_of_an_optimizer_have_the_name_that_pytorch_gives_it() -> None:
    names = {each.name for each in evidence("torch", ADDRESS + "untouched").seen.variants}
    assert {"foreach SGD in half precision", "fused SGD in half precision"} <= names


def test_a_step_of_which_rounding_makes_no_number_is_not_judged() -> None:
    nothing_known = Deviation("new", "w", 1.0, 1.0, 1.0, 0.5, math.inf, moved=0.5, step=0)
    known = Deviation("new", "v", 1.0, 1.0, 1.0, 0.0, 1e-7, moved=0.5, step=0)
    seen = OwnObservation("torch", {}, updates=[nothing_known, known])
    verdict = judge(OWN_CHECKS["update"], OwnEvidence("made up", "torch", seen))
    assert verdict.status == PASSED and verdict.judged == 1
    assert verdict.reason.startswith("rounding alone makes the new w no number")
