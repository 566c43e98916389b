"""Who judges theory: moments and growth factors as the literature prints them, and random networks that must lie inside."""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import pytest

from bench.theory import Z, predict, why_not
from bench.theory.ensemble import log_square, sample
from bench.theory.meanfield import backward_limit, growths
from bench.theory.moments import batch_norm_growth, branches, fixed_point, grid, moments
from fixtures.data.datasets import load
from models.observation import Arrays
from models.parts.initializers import INITIALIZERS
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

SEEDS = range(8)
NEARLY, NEARLY_ALL = 3.0, 0.98
"""So many standard deviations hold so many observations, were each observation normal and independent 0.997."""
TWICE = 0.5
"""Least spread of observations in units of a band's: bands may be twice as wide as what they hold."""


def batch_of(spec: Spec) -> tuple[np.ndarray, np.ndarray]:
    """Digits (batch × 64) and labels below `classes`."""
    digits = load("digits")
    return digits.x_train[: spec.batch], digits.y_train[: spec.batch] % spec.classes


def scores(spec: Spec, weights: Arrays, x: np.ndarray, labels: np.ndarray) -> Iterator[float]:
    """How many standard deviations each ratio of the reference network lies off its band's mean."""
    band, seen = predict(spec, x), Reference(spec, weights).run(x, labels)
    assert band is not None
    signal = {layer: log_square(z) - math.log(z.size) for layer, z in seen.pre_activations.items()}
    delta = {layer: log_square(d) for layer, d in seen.pre_activation_gradients.items()}
    names = list(signal)
    yield from (band.signal[above].score(signal[above] - signal[name]) for name, above in pairwise(names) if above in band.signal)
    yield from (band.backward[name].score(delta[name] - delta[above]) for name, above in pairwise(names) if name in band.backward)
    yield band.first.score(signal[names[0]])
    yield band.signal_total.score(signal[names[-1]] - signal[names[0]])
    yield band.backward_total.score(delta[names[0]] - delta[names[-1]])


def kurtosis_of(act, q):
    """k = Eφ′⁴/(Eφ′²)²: how unevenly units pass the gradient on; 1 for linear units, 2 for ReLU."""
    z, w = grid()
    second, fourth = (sum(share * (w @ df(np.sqrt(q) * z) ** power) for share, (_, df) in branches(act)) for power in (2, 4))
    return fourth / second**2


@pytest.mark.parametrize(("act", "mean", "square", "variance", "slope", "kurtosis"), [
    ("linear", 0, 1, 1, 1, 1), ("sigmoid", 0.5, 0.293379, 0.043379, 0.044836, 1.1370),
    ("tanh", 0, 0.394294, 0.394294, 0.464403, 1.5835), ("relu", 0.398942, 0.5, 0.340845, 0.5, 2),
    ("leaky_relu", 0.394953, 0.500050, 0.344062, 0.500050, 1.9996), ("rrelu", 0.307518, 0.528067, 0.433500, 0.528067, 1.8001),
    ("selu", 0, 1, 1, 1.071575, 1.3162), ("gelu", 0.282095, 0.425221, 0.345644, 0.455851, 2.0883),
])  # fmt: skip
def test_moments(act, mean, square, variance, slope, kurtosis):
    """Eφ, Eφ², Var φ, Eφ′² and Eφ′⁴/(Eφ′²)² of a standard normal input."""
    m = moments(act, 1.0)
    assert (m.mean, m.square, m.variance, m.slope) == pytest.approx((mean, square, variance, slope), abs=1e-6)
    assert kurtosis_of(act, 1.0) == pytest.approx(kurtosis, abs=1e-4)


@pytest.mark.parametrize(("act", "s2", "sb2", "q", "chi"), [
    ("sigmoid", 1, 0, 0.264687, 0.055721), ("sigmoid", 2, 0, 0.5553, 0.10098), ("tanh", 2, 0, 0.617965, 1.10553),
    ("selu", 1, 0, 1, 1.071575), ("tanh", 1, 0.05, 0.19359, 0.75903), ("tanh", 2.5, 0.05, 1.06396, 1.13352),
    ("tanh", 4, 0.05, 2.19549, 1.34240),
])  # fmt: skip
def test_fixed_points(act, s2, sb2, q, chi):
    """Mean square q* to which signals converge, and the growth χ of squared gradients there (Schoenholz et al. 2017)."""
    found = fixed_point(act, s2, sb2)
    assert (found, s2 * moments(act, found).slope) == pytest.approx((q, chi), abs=5e-5)


@pytest.mark.parametrize(("act", "infinite", "eight", "sixty_four"), [
    ("relu", math.pi / (math.pi - 1), 1.789, 1.492), ("tanh", 1.17781, 1.359, 1.192), ("sigmoid", 1.03359, 1.224, 1.049),
    ("selu", 1.07157, 1.271, 1.088), ("linear", 1, 6 / 5, 62 / 61),
])  # fmt: skip
def test_batch_norm_growth(act, infinite, eight, sixty_four):
    """Batch normalization makes gradients grow by Eφ′²/Var φ per layer, by more for small batches (Yang et al. 2019)."""
    m = moments(act, 1.0)
    assert m.slope / m.variance == pytest.approx(infinite, abs=1e-5)
    assert (batch_norm_growth(act, 8), batch_norm_growth(act, 64)) == pytest.approx((eight, sixty_four), rel=4e-3)


@pytest.mark.parametrize(("text", "growth"), [
    ("", 1), ("init=lecun_normal", 0.5), ("act=linear,init=torch_default", 1 / 3), ("norm=layer", 1), ("norm=rms,act=sigmoid", 0.1528),
    ("norm=layer,act=tanh,init=lecun_normal", 1.1778), ("norm=group,act=gelu", 1.0720), ("norm=layer,norm_at=after", 1.4669),
    ("norm=rms,norm_at=after,act=gelu", 1.0618), ("norm=layer,norm_at=after,act=gelu", 1.3791), ("norm=batch,act=tanh", 1.192),
    ("norm=layer,norm_at=after,act=sigmoid,init=lecun_normal", 1.0336), ("norm=layer,init=small_normal,width=100,eps=0.1", 0.05),
])  # fmt: skip
def test_growth_per_layer(text, growth):
    """χ deep inside; in the last row ε exceeds the variance and gradients vanish at s2·Eφ′²/ε."""
    spec = Spec.parse(text)
    spec = spec.but(depth=40, eps=spec.arch.eps if "eps" in text else 1e-9)
    assert growths(spec, batch_of(spec)[0])[-2] == pytest.approx(growth, rel=3e-3)


@pytest.mark.parametrize(("text", "log10"), [
    ("depth=12", 3.01), ("depth=12,init=lecun_normal", 1.76), ("depth=12,branch=root2", 0), ("depth=102,branch=depth", 0.432),
    ("depth=102,branch=zero", 0), ("depth=102,branch=rezero", 0),
])  # fmt: skip
def test_growth_of_residual_stream(text, log10):
    """Blocks x + W·relu(x) multiply the squared gradient by 1 + s2/2 each: 2 to the depth for He, e for branches over √depth."""
    spec = Spec.parse(f"skip=one,skip_order=pre,width=256,{text}")
    assert np.log10(growths(spec, batch_of(spec)[0])[:-1]).sum() == pytest.approx(log10, abs=5e-3)


@pytest.mark.parametrize("text", [
    "", "act=tanh", "act=rrelu", "norm=layer", "norm=batch", "norm=rms,norm_at=after", "bias=normal", "init=torch_default",
    "init=orthogonal,act=tanh", "skip=one,skip_order=pre,norm=layer", "skip=two,skip_order=pre,branch=depth", "skip=one", "skip=two",
    "skip=one,act=rrelu", "skip=two,act=sigmoid", "skip=one,branch=depth", "skip=two,norm=rms", "skip=one,norm=layer,norm_at=after",
])  # fmt: skip
def test_ensemble_approaches_mean_field_at_large_width(text):
    """White noise rather than pixels, because batch normalization's growth holds for samples that are all alike."""
    spec = Spec.parse(text).but(depth=6, width=400, features=400)
    x = np.random.default_rng(0).standard_normal((spec.batch, spec.features))
    drawn = sample(spec, x, 5, independent=True)
    assert np.mean(drawn.delta["dense1"] - drawn.delta["dense6"]) == pytest.approx(backward_limit(spec, x), abs=0.12)


@pytest.mark.parametrize("text", ["", "act=linear,init=lecun_normal", "act=tanh,init=glorot_normal"])
def test_spread_of_one_sample_is_that_of_the_finite_width_formula(text):
    """The log gain of one sample's squared gradient has variance Σ (3k − 1)/width (Hanin & Nica 2020), up to a factor of 1.6.

    k is that of each layer's own signal variance q, which for tanh falls with depth: at q = 1 throughout Σ would be 1.9 times as large.
    """
    spec = Spec.parse(text).but(batch=1, depth=32)
    x = batch_of(spec)[0]
    drawn = sample(spec, x, 160)
    gain = INITIALIZERS[spec.init].variance(spec.arch.width, spec.arch.width) * spec.arch.width
    q, beta = gain * float(np.mean(x**2)), 0.0
    for _ in range(30):
        beta += (3 * kurtosis_of(spec.arch.act, q) - 1) / spec.arch.width
        q = gain * moments(spec.arch.act, q).square
    assert 1 / 1.6 <= np.var(drawn.delta["dense1"] - drawn.delta["dense31"]) / beta <= 1.6


@pytest.mark.parametrize("text", [
    "", "depth=64", "width=16,classes=2", "act=gelu", "norm=batch", "norm=batch,norm_at=after", "norm=group,norm_at=after", "skip=one",
    "init=torch_default",
    "skip=two,skip_order=pre,branch=zero", "skip=two,branch=rezero",
    "bottleneck=4,skip=two,skip_order=pre,norm=layer", "act=linear,init=orthogonal",
])  # fmt: skip
def test_reference_networks_lie_inside(text):
    """Every reference network lies inside its bands, and bands are no wider than needed (orthogonal linear gains are exact)."""
    spec = Spec.parse(text)
    x, labels = batch_of(spec)
    z = np.array([score for seed in SEEDS for score in scores(spec, draw_weights(spec, seed), x, labels)])
    assert np.all(np.abs(z) <= Z) and np.mean(np.abs(z) <= NEARLY) >= NEARLY_ALL
    assert np.std(z) >= TWICE or spec.init == "orthogonal"


@pytest.mark.parametrize(
    ("promised", "drawn"), [("he_normal", "lecun_normal"), ("glorot_uniform", "he_uniform"), ("orthogonal", "glorot_normal")]
)
def test_another_initializer_lies_outside(promised, drawn):
    """A network whose weights come from another initializer than its name says is caught with one seed."""
    x, labels = batch_of(Spec())
    assert max(map(abs, scores(Spec.of(init=promised), draw_weights(Spec.of(init=drawn), 0), x, labels))) > Z


def test_what_has_no_band():
    """Zero branches have no entry where signal or gradient is 0; a framework's own default has none until it is named."""
    x, _ = batch_of(Spec())
    pair = predict(Spec.parse("skip=two,skip_order=pre,branch=zero"), x)
    single = predict(Spec.parse("skip=one,skip_order=pre,branch=zero"), x)
    assert (set(pair.signal), set(pair.backward)) == ({"dense2"}, {"dense15"})
    assert (set(single.signal), set(single.backward)) == (set(), {f"dense{layer}" for layer in range(1, 16)})
    assert predict(Spec.of(init="default"), x) is None and why_not(Spec.of(init="default"))
    assert why_not(Spec.of(init="default").on("torch")) == ""


def test_networks_that_differ_in_training_only_share_their_bands():
    """Optimizer, clipping and precision say nothing about an untrained network."""
    x, _ = batch_of(Spec())
    assert predict(Spec.parse("optimizer=adamw,decay=0.1,clip=value,precision=float64"), x) is predict(Spec(), x)
