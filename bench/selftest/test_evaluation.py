"""What trained weights evaluate to is held to what rounding costs, which one pass does not tell."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest

from bench.checks import CHECKS
from bench.judging.verdict import FAILED, PASSED, judge
from bench.selftest.kills import seen
from models.reference.network import Reference


@pytest.mark.parametrize("network", ["depth=6,width=1,batch=8,norm=batch", "depth=6,width=1,batch=8,act=tanh", "depth=4,width=16"])
def test_what_trained_weights_evaluate_to_may_round_as_any_pass_does_and_is_off_by_no_more(network: str) -> None:
    evidence = copy.copy(seen("torch", network, trains=True))
    evidence.seen = copy.deepcopy(evidence.seen)
    (x, _), history = evidence.held_out, evidence.seen.trainings[0]
    evidence.seen.trainings, history.averaged = [history], None
    for order in range(10, 30):
        history.logits = Reference(evidence.spec, history.weights, np.float32, order).forward(x, history.running or None).logits
        assert judge(CHECKS["evaluation"], evidence).status == PASSED
    assert history.logits is not None
    evidence.seen.trainings = [replace(history, logits=history.logits * np.float32(1.0001))]
    assert judge(CHECKS["evaluation"], evidence).status == FAILED
