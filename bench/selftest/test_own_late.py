"""Keras models whose loss is scaled, and those that make layers in a call, are judged whole or refused in one sentence."""

from __future__ import annotations

import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.own.gauge import OwnError

ADDRESS = f"{GAUGES}/late_keras.py:"


@pytest.mark.parametrize("model", ["scaled", "scaled_growing", "scaled_once", "accumulating", "averaging", "late", "late_and_built"])
def test_what_is_scaled_or_made_late_is_judged_whole(model: str) -> None:
    seen = verdicts(evidence("keras", ADDRESS + model))
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {seen[name].status for name in ("gradient_parity", "update", "derivative", "evaluation")} == {PASSED}
    assert {finding.place.parameter for finding in seen["update"].findings} >= {
        f"dense{n}.{kind}" for n in ("", "_1") for kind in ("kernel", "bias")
    }
    assert seen["gradient_parity"].judged == 6


@pytest.mark.parametrize(("model", "why"), [
    ("fresh", r"late_keras\.py:fresh makes dense\w*\.kernel in every call: make its layer in __init__ or build, which keeps it\.$"),
    ("late_layer", r"late_keras\.py:late_layer could not be built: "),
    ("late_in_training", r"late_keras\.py:late_in_training could not be trained: ValueError: You cannot add new elements of state"),
    ("late_in_training_of_a_built_one", r"could not be trained: ValueError: You cannot add new elements of state"),
])  # fmt: skip
def test_what_cannot_be_kept_is_one_sentence(model: str, why: str) -> None:
    with pytest.raises(OwnError, match=why):
        evidence("keras", ADDRESS + model)
