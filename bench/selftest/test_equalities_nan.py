"""No equality takes a NaN for a number: one that stands last in anything that it reads, never first, puts a finding outside."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from bench.judging.verdict import Verdict
from bench.metamorphic import decide, equality_cases
from bench.metamorphic.scenarios import Scenarios
from bench.selftest.test_equalities import QUICK, healthy
from models.worker import messages

UNREAD = {
    "micro_batches_average": {"visited", "weights"},
    "implementations": {"changed"},
    "reported_train_on_batch": {"test", "after"},
    "reported_test_on_batch": {"train", "before"},
    "reported_fit": {"evaluated", "predicted", "iterations", "weights"},
    "reported_evaluate": {"loss", "accuracy", "visited", "iterations"},
    "iterations": {"loss", "accuracy", "evaluated", "predicted", "visited", "weights"},
    "steps_per_execution": {"predicted", "visited"},
    "constraints": {"dense1.bias", "dense2.bias"},
    "extreme_gradients": {"clipped", "gradients"},
    "traces": {"first", "later"},
    "traces_of_epochs": {"first", "later"},
    "models_dropped": {"grown"},
    "error_carousel": {1},
    "average_by_kernel": {"gradient of weight", "gradient of bias"},
}
"""By equality, what a variant tells beside what this one compares: another reads it, or it is only reported."""
CASES = [
    pytest.param(case.backend, case.equality, marks=[pytest.mark.slow] if case.backend == "keras" and case.equality in QUICK else [])
    for case in equality_cases("core", ["torch", "keras"])
    if case.equality != "refused"  # which tells in words
]


@pytest.mark.parametrize(("backend", "equality"), CASES)
def test_a_number_that_is_nan_is_outside(backend: str, equality: str) -> None:
    taken: list[tuple[str, dict[str, Any], Any]] = []

    def ask(scenario: str, given: dict[str, Any]) -> Any:
        taken.append((scenario, given, healthy(backend)(scenario, **given)))
        return taken[-1][2]

    before = decide(equality, Scenarios(backend, ask))
    led_to = {messages.encode([scenario, given]): seen for scenario, given, seen in taken}
    missed = []
    poisoned = 0
    for scenario, given, seen in list(taken):  # a variant that takes what another led to is asked again
        if _may_be_nan(equality, given, seen):
            continue
        for place in _places(seen, UNREAD.get(equality, set())):
            spoilt = copy.deepcopy(seen)
            _spoil(spoilt, place)
            scenarios = Scenarios(backend, ask, _taken=led_to | {messages.encode([scenario, given]): spoilt})
            poisoned += 1
            if not _more_outside(decide(equality, scenarios), before):
                missed.append((scenario, place))
    assert poisoned, f"{equality} reads no number"
    assert not missed, f"{equality} of {backend} takes NaN for a number: {missed}"


def _more_outside(after: Verdict, before: Verdict) -> bool:
    """Whether more is outside, or what was outside before has become NaN."""
    spoilt = [sum(math.isnan(f.value) for f in verdict.findings) for verdict in (after, before)]
    return after.outside > before.outside or spoilt[0] > spoilt[1]


def _may_be_nan(equality: str, given: dict[str, Any], seen: Any) -> bool:
    """Whether no number is told: a penalty's step that none judges, what was NaN already, what a norm may make of an infinite gradient."""
    if equality == "penalty_once":
        return given["kind"] == "activity"
    if equality == "extreme_gradients":
        return np.isinf(given["gradients"]["dense1.weight"]).sum() == 1 or np.isnan(seen["weights"]["dense1.weight"]).any()
    return False


def _places(seen: Any, unread: set[str]) -> Iterator[tuple[Any, ...]]:
    """The last number of everything that stands at the top of what a variant led to, but for what is not read."""
    top = seen.items() if isinstance(seen, dict) else enumerate(seen) if isinstance(seen, list) else [(None, seen)]
    for key, value in top:
        last = [place for place in _numbers(value, () if key is None else (key,)) if not unread & set(place)]
        if last:
            yield last[-1]


def _numbers(value: Any, place: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list):
        for key, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _numbers(each, (*place, key))
    elif isinstance(value, np.ndarray | float | int) and not isinstance(value, bool):
        yield place


def _spoil(seen: Any, place: tuple[Any, ...]) -> None:
    """Put NaN into the last number at a place."""
    owner = seen
    for key in place[:-1]:
        owner = owner[key]
    if isinstance(owner, np.ndarray):
        owner.flat[-1] = np.nan
        return
    value = owner[place[-1]]
    if isinstance(value, np.ndarray):
        value = value.astype(np.float64) if value.dtype.kind in "iu" else value
        value.flat[-1] = np.nan
    owner[place[-1]] = value if isinstance(value, np.ndarray) else math.nan
