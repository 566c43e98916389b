"""How far a pass is from the twin's, in roundings: what is lost is seen, and a sum's own rounding counts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from bench.checks.own.findings import by_rounding, roundings
from bench.judging.verdict import NotJudged, RestNotJudged
from models.own.observation import Deviation
from models.own.passes import UNIT, OwnPass, Yardstick, deviation, unlike

RNG = np.random.default_rng(0)
WEIGHT, BIAS = RNG.standard_normal((4, 3)), RNG.standard_normal(4)


def a_pass(**gradients: np.ndarray) -> OwnPass:
    return OwnPass(1.0, {"output": np.ones(2)}, gradients, signal_gradients={"layer": RNG.standard_normal((64, 4)) * 1e3})


def yardstick(noise: float = 1e-7) -> Yardstick:
    made = Yardstick(a_pass(**{"layer.weight": WEIGHT, "layer.bias": BIAS}))
    for _ in range(6):
        made.add(a_pass(**{"layer.weight": WEIGHT * (1 + noise * RNG.standard_normal(WEIGHT.shape)), "layer.bias": BIAS}))
    return made


def test_an_error_is_told_in_roundings() -> None:
    (weight,) = (
        d for d in yardstick().deviations(a_pass(**{"layer.weight": WEIGHT * (1 + 1e-5), "layer.bias": BIAS}), ("gradient",)) if d.error
    )
    assert weight.name == "layer.weight" and 30 < roundings(weight) < 300 and weight.cosine == pytest.approx(1)


def test_no_yardstick_is_below_one_rounding() -> None:
    exact = OwnPass(1.0, {"output": np.ones(2)}, {"w": WEIGHT})
    assert Yardstick(exact).of("gradient", "w") == pytest.approx(UNIT * np.linalg.norm(WEIGHT))


def test_a_sum_costs_what_adding_one_after_the_other_does() -> None:
    """The bias's gradient is far smaller than the terms that it is the sum of."""
    assert yardstick().of("gradient", "layer.bias") > 100 * UNIT * np.linalg.norm(BIAS)


def test_a_gradient_that_one_pass_lacks_is_red() -> None:
    lost = yardstick().deviations(a_pass(**{"layer.bias": BIAS}), ("gradient",))
    assert {d.name: d.seen for d in lost if roundings(d) > 10} == {"layer.weight": 0.0}
    found = yardstick().deviations(a_pass(**{"layer.weight": WEIGHT, "layer.bias": BIAS, "new": WEIGHT}), ("gradient",))
    assert [d.name for d in found if roundings(d) > 10] == ["new"]


def test_nan_is_red_and_another_shape_is_no_comparison() -> None:
    broken = deviation("gradient", "w", np.full((4, 3), np.nan), WEIGHT, 1e-7)
    assert broken.bad == 12 and math.isnan(roundings(broken))
    assert [finding.within for finding in by_rounding([("", broken)])] == [False]
    with pytest.raises(AssertionError, match="has shape"):
        deviation("gradient", "w", WEIGHT[:2], WEIGHT, 1e-7)


def test_what_rounding_moves_by_a_percent_is_not_judged() -> None:
    noisy, clear = Deviation("gradient", "a.weight", 1.0, 1.0, 1.0, 0.5, 0.02), Deviation("gradient", "b.weight", 1.0, 1.0, 1.0, 0.0, 1e-7)
    with pytest.raises(RestNotJudged, match=r"rounding alone moves a.weight by up to 2%"):
        list(by_rounding([("", noisy), ("", clear)]))
    with pytest.raises(NotJudged):
        list(by_rounding([("", noisy)]))


def test_bits_are_compared_as_bits() -> None:
    ones, others = {"a": np.float32([0.0, np.nan, 1.0]), "b": np.arange(2)}, {"a": np.float32([-0.0, np.nan, 1.0]), "c": np.arange(3)}
    assert {each.name: each.entries for each in unlike("state", ones, others)} == {"a": 1, "b": 2, "c": 3}


@pytest.mark.parametrize("terms", [400, 1600, 25_600])
def test_what_adding_one_after_the_other_costs_is_what_was_derived(terms: int) -> None:
    one_by_one = pytest.importorskip("models.backends.torch.own.twin").ONE_BY_ONE
    errors = []
    for _ in range(200):
        x = (RNG.random(terms) + 0.5).astype(np.float32)
        total = x.astype(np.float64).sum()
        errors.append((np.cumsum(x, dtype=np.float32)[-1] - total) / total)
    assert np.sqrt(np.mean(np.square(errors))) / UNIT / terms**0.5 == pytest.approx(one_by_one, rel=0.25)
