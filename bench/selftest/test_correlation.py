"""Who judges correlation maps, depth scales, coefficients and shattering: closed forms, published numbers, and networks in NumPy."""

import math

import numpy as np
import pytest

from bench.selftest.studies.literature.pairs import batch_norm_pair, batch_norm_residual_pair, critical, residual_pair
from bench.theory.correlation import (
    depth_scales,
    gradient_scale_coefficient,
    joint_moments,
    nonlinearity_coefficient,
    plain_pair,
)
from bench.theory.diagnosis import class_correlation
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

WIDE = 384
"""Width at which 1/√width, the floor under measured correlations, is 0.05."""


@pytest.mark.parametrize("c", [0.0, 0.3, 0.9, 0.999999, 1.0, -0.5])
def test_joint_moments_of_relu_are_the_arc_cosine_kernels(c):
    """E[φφ] = q(√(1 − c²) + (π − arccos c)c)/2π and E[φ′φ′] = (1 − arccos(c)/π)/2 (Cho & Saul 2009)."""
    m, q = joint_moments("relu", 1.7, c), 1.7
    assert m.product == pytest.approx(q * (math.sqrt(1 - c * c) + (math.pi - math.acos(c)) * c) / (2 * math.pi), abs=1e-10)
    assert m.slopes == pytest.approx((1 - math.acos(c) / math.pi) / 2, abs=1e-10)


@pytest.mark.parametrize(("s2", "q", "chi", "c", "xi_c", "xi_q"), [
    (1.0, 0.19359, 0.75903, 1, 3.63, 1.75), (1.2, 0.26990, 0.84517, 1, 5.94, 1.81), (1.4, 0.36488, 0.91103, 1, 10.73, 1.74),
    (1.6, 0.47425, 0.96369, 1, 27.0, 1.62), (2.0, 0.72176, 1.04767, 0.744, 25.2, 1.39), (2.5, 1.06396, 1.13352, 0.447, 11.8, 1.18),
    (3.0, 1.42801, 1.20893, 0.299, 9.05, 1.04), (4.0, 2.19549, 1.34240, 0.165, 6.98, 0.87),
])  # fmt: skip
def test_depth_scales_of_tanh(s2, q, chi, c, xi_c, xi_q):
    """tanh with bias variance 0.05 (Schoenholz et al. 2017), ordered and chaotic; in the ordered phase ξ_∇ = ξ_c."""
    found = depth_scales("tanh", s2, 0.05)
    assert (found.q, found.chi) == pytest.approx((q, chi), abs=2e-5)
    assert (found.c, found.xi_c, found.xi_q) == pytest.approx((c, xi_c, xi_q), rel=4e-3)
    assert found.xi_gradient == pytest.approx(found.xi_c if chi < 1 else -1 / math.log(chi), rel=1e-4)


@pytest.mark.parametrize(("sb2", "s2"), [(0.001, 1.189), (0.01, 1.424), (0.05, 1.761), (0.1, 1.986)])
def test_critical_line_of_tanh(sb2, s2):
    """χ = 1 between vanishing and exploding gradients."""
    assert critical("tanh", sb2) == pytest.approx(s2, abs=1e-3)


def test_no_fixed_point_is_said():
    """A ReLU network with s2 ≠ 2 has no finite signal to settle at."""
    with pytest.raises(ValueError, match="its signal dies"):
        depth_scales("relu", 1.0)
    with pytest.raises(ValueError, match="its signal explodes"):
        depth_scales("relu", 3.0)


@pytest.mark.parametrize(("act", "s2", "layers", "gsc", "nlc"), [
    ("tanh", 2.0, 11, 3.80, 1.95), ("tanh", 2.0, 31, 28.2, 5.31), ("tanh", 1.0, 11, 1.37, 1.17), ("selu", 1.0, 11, 2.00, 1.41),
    ("selu", 1.0, 31, 7.96, 2.82), ("relu", 2.0, 11, 1.0, 2.79), ("relu", 1.0, 31, 1.0, 5.98), ("linear", 3.0, 20, 1.0, 1.0),
])  # fmt: skip
def test_coefficients(act, s2, layers, gsc, nlc):
    """Gradient scale and nonlinearity coefficients (Philipp et al. 2017): 1 for linear networks, free of the weights' scale for ReLU."""
    pair = plain_pair(act, [(s2, 0.0)] * layers, 1.0, 0.0)
    assert (gradient_scale_coefficient(pair, s2, 1.0), nonlinearity_coefficient(pair, s2, 1.0)) == pytest.approx((gsc, nlc), rel=5e-3)


def test_shattering_in_closed_form():
    """Correlation of gradients over 10 and 40 plain ReLU layers; over 5, 20 and 50 of 50 residual ones, without and with batch norm."""
    plain = [plain_pair("relu", [(2.0, 0.0)] * (layers + 1), 1.0, 0.0).gradients[0] for layers in (10, 40)]
    assert plain == pytest.approx([0.0337, 0.0016], rel=5e-3)
    blocks, normed = residual_pair("relu", 2.0, 50, 1.0, 0.0), batch_norm_residual_pair("relu", 2.0, 50, 1.0)
    assert [blocks[n - 1] for n in (5, 10)] == pytest.approx([0.784, 0.601], abs=1e-3)
    assert [normed[n - 1] for n in (5, 20, 40, 50)] == pytest.approx([0.929, 0.701, 0.342, 0.094], abs=1e-3)
    assert batch_norm_pair("relu", 3, frozen=True, batch=64) == pytest.approx([0.5, 0.25, 0.125])
    assert batch_norm_pair("relu", 2, frozen=False, batch=64) == [-1 / 63] * 2
    assert normed[19] > blocks[19] > plain[0]


def coefficients(spec, seed):
    """GSC and NLC measured on one network in NumPy: Jᵀv for random v, from a loss that is linear in the logits."""
    rng = np.random.default_rng([seed, 99])
    x = rng.standard_normal((spec.batch, spec.features))
    weights = draw_weights(spec, seed)
    done = Reference(spec, weights).run(x, rng.integers(0, spec.classes, spec.batch))
    d, f = done.pre_activation_gradients, done.pre_activations[f"dense{spec.arch.depth}"]
    back = np.square(d["dense1"] @ weights["dense1.weight"]).sum(1) / np.square(d[f"dense{spec.arch.depth}"]).sum(1)
    squared = np.exp(np.mean(np.log(back))) * f.shape[1] / spec.features * np.mean(x * x) * spec.features / np.square(f).sum(1).mean()
    spread = f.var(0, ddof=1).sum() / np.square(f).sum(1).mean()
    return squared, np.sqrt(squared / spread)


@pytest.mark.parametrize(
    ("text", "within"),
    [("act=tanh,init=he_normal", 0.15), ("act=tanh,init=lecun_normal", 0.1), ("", 0.25), ("act=selu,init=lecun_normal", 0.2)],
)
def test_coefficients_of_networks(text, within):
    """Measured coefficients of wide networks agree with the formulas; geometric means over samples and networks."""
    spec = Spec.parse(text).but(depth=11, width=WIDE, features=WIDE, classes=WIDE, batch=48, precision="float64")
    measured = np.exp(np.mean([np.log(coefficients(spec, seed)) for seed in range(3)], axis=0))
    s2 = {"he_normal": 2.0, "lecun_normal": 1.0}[spec.init]
    pair = plain_pair(spec.arch.act, [(s2, 0.0)] * spec.arch.depth, 1.0, 0.0)
    assert measured == pytest.approx((gradient_scale_coefficient(pair, s2, 1.0), nonlinearity_coefficient(pair, s2, 1.0)), rel=within)


@pytest.mark.parametrize("text", ["depth=5", "depth=12,skip=one,skip_order=pre", "depth=5,act=tanh"])
def test_gradients_of_networks_shatter_as_predicted(text):
    """Correlation of ∂(v·f)/∂z₁ over unrelated inputs, v the same for all: a hinge whose every margin is open."""
    spec = Spec.parse(text).but(width=WIDE, features=WIDE, batch=48, loss="hinge", precision="float64")
    seen = []
    for seed in range(3):
        weights = draw_weights(spec, seed)
        weights[f"dense{spec.arch.depth}.weight"] *= 2.0**-20
        x = np.random.default_rng([seed, 99]).standard_normal((spec.batch, spec.features))
        labels = np.zeros(spec.batch, int)
        seen.append(class_correlation(Reference(spec, weights).run(x, labels).pre_activation_gradients["dense1"], labels))
    if spec.arch.span:
        predicted = residual_pair(spec.arch.act, 2.0, spec.arch.blocks, 2.0, 0.0)[-1] * joint_share(spec)
    else:
        predicted = plain_pair(spec.arch.act, [(2.0, 0.0)] * spec.arch.depth, 1.0, 0.0).gradients[0]
    assert np.mean(seen) == pytest.approx(predicted, abs=0.04)


def joint_share(spec):
    """What the activation before the last layer leaves: its input is the stream after all blocks."""
    v, p = 2.0, 0.0
    for _ in range(spec.arch.blocks):
        v, p = v + v, p + 2.0 * joint_moments(spec.arch.act, v, p / v).product
    return joint_moments(spec.arch.act, v, p / v).slopes / 0.5
