"""Negative controls: networks whose gradients must vanish or explode do, at the rate that theory predicts, in both frameworks.

That a framework which heals them is called broken is tested with the other planted faults (`faults/healed.py`).
"""

from __future__ import annotations

import pytest

from bench.judging.verdict import PASSED
from bench.selftest.faults.healed import HEALED
from bench.selftest.kills import healthy
from models.spec import Spec


@pytest.mark.parametrize("backend", ["torch", "keras"])
@pytest.mark.parametrize("network", HEALED)
def test_what_must_vanish_or_explode_does(network: str, backend: str) -> None:
    verdict, sign = healthy(backend, network)["backward_gain"], HEALED[network][0]
    (total,) = (f for f in verdict.findings if f.where == f"layer  1 over {Spec.parse(network).arch.depth}")
    assert verdict.status == PASSED
    assert min(sign * total.low, sign * total.high) > 0.3, "the band must exclude a gradient that keeps its length by a factor of two"
