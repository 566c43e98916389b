"""How long one training step takes, network by network, PyTorch beside Keras. Times are recorded and never judged here."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from bench.timing.cases import TimedCase
from bench.timing.steps import CLOCK, ROUNDS, NotTheSameError, StepTiming
from fixtures.data.datasets import Data


@pytest.mark.timing
@pytest.mark.usefixtures("alone")
@pytest.mark.benchmark(timer=CLOCK.now)
def test_step_time(timed_case: TimedCase, workers: Any, data: Data, benchmark: Any, record_property: Any) -> None:
    """Seconds of one training step, after the step was proved to train the network it is named after."""
    benchmark.group = timed_case.spec.id
    try:
        timing = StepTiming(timed_case, workers.get(timed_case.backend), data)
    except NotTheSameError as refused:
        pytest.fail(str(refused), pytrace=False)
    benchmark.pedantic(timing.block, setup=timing.control, rounds=ROUNDS)
    facts = timing.facts()
    benchmark.extra_info.update(msgspec.to_builtins(facts))
    record_property("timing", msgspec.json.encode(facts).decode())
    timing.close()
