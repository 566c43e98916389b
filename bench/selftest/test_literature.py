"""Studies of the literature that can fail: their laws in closed form, and wrong networks that contradict theory."""

import dataclasses
import math

import numpy as np
import pytest

from bench.selftest.studies.literature import coefficients, residual, shattering, trajectory
from bench.selftest.studies.literature.__main__ import recorded
from bench.selftest.studies.literature.passes import drawn, in_reference, surprising
from bench.theory.correlation import gradient_scale_coefficient, nonlinearity_coefficient, plain_pair
from bench.theory.moments import fixed_point, moments


def grown(network, gain):
    """The row of a residual network in NumPy, its weights `gain` times as large."""
    spec = residual.spec_of(network)
    seen = [residual.growth(spec, in_reference(spec, drawn(spec, seed, gain))) for seed in range(residual.SEEDS)]
    return residual.curve("numpy", network, np.mean(seen, axis=0))


def lengthened(start, gain):
    """The row of a circle's image in NumPy."""
    return trajectory.curve("numpy", start, [trajectory.in_numpy(start, seed, gain) for seed in range(trajectory.SEEDS)])


def steep(network, gain=1.0, as_if=None):
    """The row of a network's coefficients in NumPy, called that of the network `as_if`."""
    spec = coefficients.spec_of(network)
    steps = [coefficients.step(network, seed, gain) for seed in range(coefficients.SEEDS)]
    seen = [coefficients.coefficients(spec, in_reference(spec, each)) for each in steps]
    return coefficients.curve("numpy", as_if or network, np.mean(seen, axis=0))


@pytest.mark.parametrize("network", residual.NETWORKS)
def test_a_gain_that_is_10_percent_off_contradicts_the_growth_of_residual_networks(network):
    assert not residual.outliers([grown(network, 1.0)])
    assert {each[2] for each in residual.outliers([grown(network, 1.1)])} == {"signal", "gradient"}


@pytest.mark.parametrize("start", trajectory.STARTS)
def test_a_gain_that_is_10_percent_off_contradicts_the_length_of_a_trajectory(start):
    right = lengthened(start, 1.0)
    assert not trajectory.outliers([right])
    assert len(trajectory.outliers([lengthened(start, 1.1)])) > trajectory.LAYERS / 2
    coarse = {**right, "halved": right["length"][-1] - 2 * trajectory.COARSE}
    assert trajectory.outliers([coarse]) == [("numpy", start, trajectory.LAYERS)]


@pytest.mark.parametrize("network", coefficients.NETWORKS)
def test_coefficients_of_right_networks_agree_and_of_wrong_ones_do_not(network):
    """Batch norm's coefficients passed off as another network's, and tanh's as batch norm's, are found."""
    assert not coefficients.outliers([steep(network)])
    other = "batch norm" if network != "batch norm" else "tanh"
    assert {each[2] for each in coefficients.outliers([steep(other, as_if=network)])} == {"GSC", "NLC"}


def test_coefficients_see_a_gain_of_tanh_and_not_of_relu():
    """ReLU makes them free of the weights' scale; batch norm does so up to its epsilon."""
    assert {each[2] for each in coefficients.outliers([steep("tanh", 1.1)])} == {"GSC", "NLC"}
    right, scaled = steep("ReLU"), steep("ReLU", 1.1)
    assert all(scaled[name] == pytest.approx(right[name], abs=1e-3) for name in coefficients.NAMES)
    assert not coefficients.outliers([steep("batch norm", 1.1)])


def test_tanh_residual_networks_grow_like_the_root_of_depth_as_published():
    """q_l → g·l, and d log‖∂L‖²/d√l → (4/3)·√(2/π)·σ with σ² = g, from the recursion that the study compares with."""
    g, q, slopes, deep = residual.G, residual.G, [], 20_000
    for _ in range(deep):
        m = moments.__wrapped__("tanh", q)
        slopes.append(math.log1p(g * m.slope))
        q += g * m.square
    assert q == pytest.approx(g * deep, rel=0.02)
    rate = sum(slopes[deep // 4 :]) / (math.sqrt(deep) - math.sqrt(deep / 4))
    assert rate == pytest.approx(4 / 3 * math.sqrt(2 / math.pi * g), rel=0.02)


def test_exponents_tell_roots_from_exponentials():
    laws = {network: residual.exponent(residual.predicted(network)[1]) for network in residual.NETWORKS}
    assert laws == pytest.approx({"tanh residual": 0.5, "ReLU residual": 1, "tanh plain": 1}, abs=0.01)
    for row in recorded("residual"):
        assert residual.exponent(row["gradient"]) == pytest.approx(laws[row["network"]], abs=0.2)
    assert residual.predicted("ReLU residual") == pytest.approx(np.log(2) * np.array([np.arange(2, 102), np.arange(1, 101)]))


def test_lengths_grow_by_the_root_of_chi_at_the_fixed_point():
    """As published, for tanh where q* is reached; for ReLU by √(s2/2) from the first layer on."""
    chi = 4 * moments("tanh", fixed_point("tanh", 4.0)).slope
    assert trajectory.rate(trajectory.predicted("tanh, s2 = 4")) == pytest.approx(math.sqrt(chi), rel=1e-3)
    assert np.diff(trajectory.predicted("ReLU, LeCun")) == pytest.approx(math.log(0.5) / 2)


def test_a_circle_whose_layers_keep_it_has_length_one():
    """Orthogonal weights of a linear network turn the circle and leave its length; a polygon's is shorter by (π/points)²/6."""
    spec = trajectory.spec_of("tanh, LeCun").but(act="linear", init="orthogonal")
    at = drawn(spec, 0)
    length = trajectory.lengths(spec, in_reference(spec, dataclasses.replace(at, x=trajectory.step("tanh, LeCun", 0).x)))
    assert length == pytest.approx(-((math.pi / trajectory.POINTS) ** 2) / 6, abs=1e-6)


@pytest.mark.parametrize(("network", "act"), [("ReLU", "relu"), ("tanh", "tanh")])
def test_predicted_coefficients_are_those_of_the_formulas(network, act):
    pair = plain_pair(act, [(2.0, 0.0)] * coefficients.LAYERS, 1.0, 0.0)
    expected = gradient_scale_coefficient(pair, 2.0, 1.0), nonlinearity_coefficient(pair, 2.0, 1.0)
    assert np.exp(coefficients.predicted(network)[:, 0]) == pytest.approx(expected, rel=1e-9)


def test_batch_norm_explodes_and_skips_tame_it():
    """Both coefficients of the first layer in the record: batch norm's are the largest, and a skip takes orders of magnitude off."""
    first = {(row["backend"], row["network"]): np.array([row[name][0] for name in coefficients.NAMES]) for row in recorded("coefficients")}
    for backend in ("torch", "keras"):
        assert all(first[backend, "batch norm"] - first[backend, "batch norm, residual"] > np.log([1e4, 1e2]))


def test_gradients_of_another_network_contradict_shattering_at_every_depth():
    rows = [row for row in recorded("shattering") if row["network"] == "batch norm"]
    assert {row["depth"] for row in rows} == set(shattering.DEPTHS)
    for row in rows:
        assert all(shattering.outliers([{**row, "network": other}]) for other in ("plain", "residual"))


def test_a_number_that_is_none_is_surprising():
    draws = np.random.default_rng(0).standard_normal((24, 2))
    assert surprising(np.array([np.nan, 0.0]), 8, draws).tolist() == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize(("study", "what"), [
    (residual, ("tanh residual",)), (trajectory, ("ReLU, He", "tanh, s2 = 4")), (coefficients, ("tanh", "residual")),
])  # fmt: skip
def test_frameworks_do_what_was_recorded(study, what):
    assert not study.outliers(study.measure(("torch", "keras"), what))
