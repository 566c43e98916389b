"""Users' Keras models with losses of their own, adapters, lookups, powers and states are judged whole, and faults in them are named."""

from __future__ import annotations

import pytest

from bench.judging.verdict import FAILED, PASSED
from bench.selftest.studies.own_models import GAUGES, evidence, verdicts
from models.own.gauge import OwnError

pytest.importorskip("tensorflow")
TRIED = f"{GAUGES}/tried_keras.py"
ALWAYS = ("finite", "reproducible", "forward_parity", "gradient_parity", "derivative", "evaluation", "update", "execution")


@pytest.mark.parametrize("model", ["siamese", "adapted", "words", "squared", "stateful"])
def test_a_healthy_model_is_judged_whole(model: str) -> None:
    seen = verdicts(evidence("keras", f"{TRIED}:{model}"))
    assert [(name, verdict.worst) for name, verdict in seen.items() if verdict.status == FAILED] == []
    assert {name: seen[name].reason for name in ALWAYS if seen[name].status != PASSED or not seen[name].judged} == {}


def test_a_function_that_changes_nothing_and_has_a_wrong_gradient_is_named() -> None:
    seen = verdicts(evidence("keras", f"{TRIED}:wrong"))
    outside = {finding.where for finding in seen["derivative"].findings if not finding.within}
    assert outside == {"hidden.kernel along its gradient", "hidden.bias along its gradient"}
    assert seen["gradient_parity"].status == PASSED


def test_a_model_without_anything_to_learn_is_told_in_one_sentence() -> None:
    with pytest.raises(OwnError, match="reaches nothing that learns: all is frozen, or no layer has weights"):
        evidence("keras", f"{TRIED}:frozen")
