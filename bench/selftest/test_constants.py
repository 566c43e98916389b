"""Constants that theory gives, against quadrature and search: moments of distributions, SELU's fixed point, largest slopes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize_scalar
from scipy.stats import norm

from bench.checks.initializer import KURTOSIS
from models.parts.activations import ACTIVATIONS, RRELU_LOWER, RRELU_MEAN, RRELU_UPPER, SELU_ALPHA, SELU_SCALE
from models.parts.initializers import TRUNCATED_SD

EPS = float(np.finfo(np.float64).eps)
DENSITIES: dict[str, tuple[Callable[[float], float], float]] = {
    "normal": (norm.pdf, 40.0),
    "uniform": (lambda x: 1.0, 1.0),
    "truncated": (norm.pdf, 2.0),
}
"""What a shape's density is proportional to, and where it ends; from 40 standard deviations on a normal is less than any float."""
SPACING = 1e-4


def moment(shape: str, power: int) -> float:
    """E[x^power] of an even power by adaptive quadrature over one half of the symmetric density."""
    density, end = DENSITIES[shape]
    mass, total = (2 * quad(lambda x, k=k: x**k * density(x), 0, end, epsabs=0, epsrel=1e-13, limit=200)[0] for k in (0, power))
    return total / mass


@pytest.mark.parametrize("shape", KURTOSIS)
def test_a_shape_s_kurtosis_is_its_fourth_moment_over_its_second_squared(shape: str) -> None:
    # Written with four decimals: the check's interval is 0.0125 wide on either side.
    assert KURTOSIS[shape] == pytest.approx(moment(shape, 4) / moment(shape, 2) ** 2, abs=5e-5)


def test_every_shape_has_a_density_here() -> None:
    assert set(DENSITIES) == set(KURTOSIS)


def test_a_normal_cut_at_two_has_the_standard_deviation_that_keras_divides_by() -> None:
    assert pytest.approx(moment("truncated", 2) ** 0.5, rel=1e-14) == TRUNCATED_SD


def test_selu_keeps_zero_mean_and_unit_variance_of_a_unit_normal() -> None:
    # Its kink is the end of both intervals, so that quadrature sees smooth functions only.
    f = ACTIVATIONS["selu"].f
    for power, kept in ((1, 0.0), (2, 1.0)):
        halves = [
            quad(lambda x, k=power: float(f(np.array([x]))[0]) ** k * norm.pdf(x), a, b, epsabs=1e-14, limit=200)[0]
            for a, b in ((-40, 0), (0, 40))
        ]
        assert sum(halves) == pytest.approx(kept, abs=1e-13)
    assert (round(SELU_ALPHA, 4), round(SELU_SCALE, 4)) == (1.6733, 1.0507)  # as Klambauer et al. 2017 print them


def test_randomized_slopes_have_the_mean_that_evaluation_takes() -> None:
    assert quad(lambda slope: slope / (RRELU_UPPER - RRELU_LOWER), RRELU_LOWER, RRELU_UPPER)[0] == pytest.approx(RRELU_MEAN, rel=1e-14)


def steepest(act: str) -> float:
    """max |φ′|: the best point of a grid that holds zero, then the best between its neighbours, and the tails."""
    df = ACTIVATIONS[act].df
    grid = SPACING * np.arange(-400_000, 400_001)
    slopes = np.abs(df(grid))
    best = int(slopes.argmax())
    near = (grid[max(best - 1, 0)], grid[min(best + 1, len(grid) - 1)])
    found = minimize_scalar(lambda x: -abs(float(df(np.array([x]))[0])), bounds=near, method="bounded", options={"xatol": 1e-12})
    tails = np.abs(df(np.array([-1e6, -1e3, -1e2, 1e2, 1e3, 1e6])))
    return float(max(slopes.max(), -found.fun, tails.max()))


@pytest.mark.parametrize("act", ACTIVATIONS)
def test_no_slope_is_steeper_than_the_largest_and_one_nearly_reaches_it(act: str) -> None:
    # φ′ is a sum of a few terms of size one, so that the search itself may be a few roundings too high.
    largest = steepest(act)
    assert largest * (1 - 4 * EPS) <= ACTIVATIONS[act].sup <= largest * (1 + 1e-4)


@pytest.mark.parametrize("act", [name for name, row in ACTIVATIONS.items() if row.df_of_value])
def test_a_slope_taken_from_the_value_is_the_slope(act: str) -> None:
    row, x = ACTIVATIONS[act], np.linspace(-6, 6, 1001)
    np.testing.assert_allclose(row.df_of_value(row.f(x), lambda y: y), row.df(x), rtol=0, atol=4 * EPS)
