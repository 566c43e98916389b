"""Differences of a loss name the parameter whose gradient is wrong, in the time that there is."""

from __future__ import annotations

import numpy as np
import pytest

from models.arrays import Arrays
from models.own import slopes as subject

RNG = np.random.default_rng(0)
WEIGHTS: Arrays = {f"w{n}": RNG.standard_normal(3) for n in range(64)}
LENGTHS = {name: float(np.linalg.norm(w)) for name, w in WEIGHTS.items()}
RIGHT: Arrays = {name: 2 * w for name, w in WEIGHTS.items()}
WRONG: Arrays = RIGHT | {"w37": 2.4 * WEIGHTS["w37"]}


def found(gradients: Arrays) -> tuple[list[list[str]], int]:
    """Parameters, alone or together, whose slope is off by more than a thousandth of it, and how often the loss was asked for."""
    calls = []

    def loss_at(moved: Arrays) -> float:
        calls.append(moved)
        return float(sum(np.sum((w + moved.get(name, 0.0)) ** 2) for name, w in WEIGHTS.items()))

    seen = subject.slopes(loss_at, gradients, LENGTHS)
    assert sorted(name for each in seen for name in each.names) == sorted(WEIGHTS)
    return [each.names for each in seen if abs(each.by_difference - each.by_gradient) > 1e-3 / 64 * each.by_gradient], len(calls)


def test_every_parameter_moves_alone_where_there_is_time() -> None:
    assert found(RIGHT) == ([], 1 + 4 * 64)
    assert found(WRONG)[0] == [["w37"]]


def test_a_wrong_one_of_many_that_move_together_is_named_by_halving(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "SECONDS", 1e-9)
    assert found(RIGHT) == ([], 5)
    names, calls = found(WRONG)
    assert names == [["w37"]]
    assert calls <= 1 + 8 * (1 + 2 * 6)


def test_without_time_the_group_stays_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subject, "SECONDS", 1e-9)
    monkeypatch.setattr(subject, "MORE_SECONDS", 0.0)
    ((group,), calls) = found(WRONG)
    assert "w37" in group and len(group) == 64 and calls <= 9


def test_a_slope_that_jumps_here_is_no_slope() -> None:
    """A unit at its kink: central differences at two steps agree on the mean of both sides, and only the sides differ."""
    (seen,) = subject.slopes(
        lambda moved: float(np.abs(moved.get("w", 0.0)).sum() + moved.get("w", np.zeros(2)).sum()), {"w": np.ones(2)}, {"w": 2**0.5}
    )
    assert seen.by_difference == pytest.approx(2.0) and seen.error == pytest.approx(2.0)
    assert subject.slopes(lambda moved: float(np.exp(1 + moved.get("w", np.zeros(1))).sum()), {"w": np.ones(1)}, {"w": 1.0})[0].error < 1e-8


@pytest.mark.parametrize("bend", [1e5, 1e8])
def test_a_loss_that_bends_within_the_first_step_is_moved_less(bend: float) -> None:
    """Behind normalization over two samples a loss saturates within a ten-thousandth of a weight."""
    loss_at = lambda moved: float(np.tanh(bend * moved.get("w", np.zeros(1))).sum())  # noqa: E731
    (seen,) = subject.slopes(loss_at, {"w": np.full(1, bend)}, {"w": 1.0})
    assert abs(seen.by_difference - bend) < 10 * seen.error < 1e-2 * bend
    (seen,) = subject.slopes(loss_at, {"w": np.full(1, 1.02 * bend)}, {"w": 1.0})
    assert 1e-2 < abs(seen.by_difference / seen.by_gradient - 1) > 10 * seen.error / seen.by_gradient
