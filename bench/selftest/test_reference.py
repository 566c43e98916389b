"""The reference itself: finite differences and the complex step, for every part of every network."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
import pytest

from models.architectures import graph
from models.matrix import FURTHER, networks
from models.nodes import Activate
from models.parts.activations import ACTIVATIONS, LEAKY_SLOPE
from models.parts.losses import LOSSES
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

SMALL: dict[str, Any] = {"width": 12, "batch": 12, "features": 8, "classes": 3, "groups": 2}
UNIT = float(np.finfo(np.float64).eps) / 2
ROUNDED, LOOSEST = 10.0, 5e-3
"""What rounding may cost a central difference, in units of u·L/h (2.5 is the most seen), and the largest tolerance, as a share of the
derivative, that still judges it: reached where gradients vanish beside a loss of one; elsewhere it is about 1e-8."""
NOT_NEGLIGIBLE = 1e-3
"""A gradient's length, as a share of the most it could be, under which it would be a sum that cancels."""
IMAGINARY = 1e-30
"""The complex step: its square is under any rounding, so that nothing is cut off and nothing cancels."""
TO_ROUNDING = 1e-12
"""Relative error of a complex step: several times the most seen, 2e-13 behind normalizations over six units."""
BATCHES = 40
"""Batches among which the one furthest from every kink is taken."""

SMOOTH = {"linear", "sigmoid", "tanh", "gelu", "gelu_tanh", "silu", "softplus", "mish"}
"""Activations that are one function everywhere; the others are several, which meet at their kinks, or at zero."""
PIECES: dict[str, Callable[[Any, Any], Any]] = {
    "huber": lambda logits, target: 1 - np.abs(logits - target),
    "squared_hinge": lambda logits, target: 1 - target * logits,
}
"""What is compared with zero in losses whose pieces meet without a kink."""
NOT_COMPLEX = {"sigmoid": TypeError, "silu": TypeError, "huber": None}
"""Parts whose own code takes no complex step, and what it raises: SciPy's expit has no complex loop. Huber's |error| raises nothing
and drops the imaginary part."""


def small(spec: Spec) -> Spec:
    """The same parts in a network small and shallow enough to differentiate numerically."""
    plain: dict[str, Any] = {"loss_scale": Spec.loss_scale, "scale_growth": Spec.scale_growth}
    return spec.but(**SMALL, **plain, depth=min(spec.arch.depth, 6), precision="float64")


def wirings() -> list[Spec]:
    """Every skip connection, with and without a normalization on either side of the activation, and the bottleneck."""
    smooth: dict[str, Any] = {**SMALL, "depth": 6, "act": "tanh", "precision": "float64"}
    norms: tuple[dict[str, str], ...] = ({}, {"norm": "layer"}, {"norm": "layer", "norm_at": "after"}, {"norm": "batch"})
    skips = product(("one", "two"), ("post", "pre"), ("unscaled", "root2", "depth", "zero", "rezero"), norms)
    found = [Spec.of(**smooth, skip=skip, skip_order=order, branch=branch, **norm) for skip, order, branch, norm in skips]
    narrow = [Spec.of(**smooth, bottleneck=2, skip=skip) for skip in ("none", "two")]
    return [*found, *narrow, Spec.of(**smooth, bottleneck=2, skip="two", skip_order="pre", norm="group")]


def parts() -> list[Spec]:
    """Every distinct small network of layers in the core matrix, all further parts, every wiring, other norms after the activation."""
    others = [Spec.parse(text) for texts in FURTHER.values() for text in texts]
    after = [Spec.of(**SMALL, depth=6, act="gelu", norm=norm, norm_at="after", precision="float64") for norm in ("rms", "group")]
    moved = [small(spec.on("torch")) for spec in (*networks("core"), *others) if spec.arch.layered]
    return list(dict.fromkeys([*moved, *wirings(), *after]))


class Watched(Reference):
    """The reference, which also notes everything whose sign decides which piece of a function is taken."""

    def pieces(self, x: np.ndarray, labels: np.ndarray) -> tuple[float, list[np.ndarray]]:
        """The loss, and what is compared with zero on the way to it, in units of its rms."""
        done, target = self.run(x, labels), self.target(labels)
        meet = () if self.spec.arch.act in SMOOTH else ACTIVATIONS[self.spec.arch.act].kinks or (0.0,)
        self.met = [np.asarray(self.saved[node.name]) - kink for node in self.graph.of(Activate) for kink in meet]
        if margin := LOSSES[self.spec.loss].margin or PIECES.get(self.spec.loss):
            self.met.append(margin(done.logits, target))
        return float(done.loss), [h / np.sqrt(np.mean(np.square(h))) for h in self.met]

    def _forward(self, x: np.ndarray, running: Any) -> Any:
        at, self.saved = super()._forward(x, running)
        return at, self.saved


def problem(spec: Spec) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    """Weights, and of several batches the one furthest from every kink."""
    rng, weights = np.random.default_rng(5), draw_weights(spec, 1, jitter=True)
    watched = Watched(spec, weights)
    count = 1 if spec.arch.act in SMOOTH and not (LOSSES[spec.loss].margin or spec.loss in PIECES) else BATCHES
    batches = [(rng.standard_normal((spec.batch, spec.features)), rng.integers(0, spec.classes, spec.batch)) for _ in range(count)]
    x, labels = max(batches, key=lambda batch: min((float(np.abs(h).min()) for h in watched.pieces(*batch)[1]), default=0.0))
    return weights, x, labels


def cancels(spec: Spec, key: str) -> bool:
    """Whether the gradient is zero by law: batch normalization takes off whatever a bias adds to its input."""
    return spec.arch.norm == "batch" and spec.arch.norm_at == "before" and key.endswith(".bias") and key != f"dense{spec.arch.depth}.bias"


def ways(gradient: np.ndarray, size: float) -> list[np.ndarray]:
    """Random directions as long as `size`, each turned halfway to the gradient, so that its derivative is not small by chance.

    One number has one direction.
    """
    along, rng = gradient / np.linalg.norm(gradient), np.random.default_rng(0)
    if gradient.size == 1:
        return [size * along]
    others = (rng.standard_normal(gradient.shape) for _ in range(2))
    return [size * (along + other / np.linalg.norm(other)) / 2**0.5 for other in others]


def differences(watched: Watched, key: str, way: np.ndarray, h: float, batch: Any) -> tuple[float, float, float]:
    """The loss's slope along `way` over ±h, the same over ±2h, and h, which is halved until no kink lies between."""
    kept, before = watched.weights[key], watched.pieces(*batch)[1]
    losses: dict[int, float] = {}
    while True:
        crossed = False
        for steps in (1, -1, 2, -2):
            watched.weights[key] = kept + steps * h * way
            losses[steps], after = watched.pieces(*batch)
            crossed |= any(((a > 0) != (b > 0)).any() for a, b in zip(after, before, strict=True))
        watched.weights[key] = kept
        if not crossed:
            return (losses[1] - losses[-1]) / (2 * h), (losses[2] - losses[-2]) / (4 * h), h
        h /= 2


@pytest.mark.parametrize("spec", parts(), ids=lambda spec: spec.id)
def test_gradient_equals_central_difference_of_the_loss(spec: Spec) -> None:
    """Along steps of a share h of the parameter's length. Rounding costs u·L/h, cutting off c·h².

    That c is not known: a step of 2h is cut off by 4c·h², so that the two slopes lie 3c·h² apart, which is allowed. The best h is near
    ∛(u·L/D), D the derivative.
    """
    weights, x, labels = problem(spec)
    done = Reference(spec, weights).run(x, labels)
    assert set(done.gradients) == set(graph(spec).parameters)
    watched = Watched(spec, weights)
    for key, gradient in done.gradients.items():
        if cancels(spec, key):
            assert np.linalg.norm(gradient) <= TO_ROUNDING * done.sizes[key], key
            continue
        least = NOT_NEGLIGIBLE / 10 if gradient.size == 1 else NOT_NEGLIGIBLE  # one sum of many terms cancels by chance
        assert np.linalg.norm(gradient) >= least * done.sizes[key], key
        for way in ways(gradient, float(np.linalg.norm(weights[key]))):
            expected = float((gradient * way).sum())
            slope, wider, h = differences(watched, key, way, (UNIT * abs(float(done.loss)) / expected) ** (1 / 3), (x, labels))
            allowed = abs(wider - slope) + ROUNDED * UNIT * abs(float(done.loss)) / h
            assert allowed <= LOOSEST * expected, f"{key}: this difference would judge nothing"
            assert abs(slope - expected) <= allowed, key


@pytest.mark.parametrize("spec", [spec for spec in parts() if not {spec.arch.act, spec.loss} & set(NOT_COMPLEX)], ids=lambda spec: spec.id)
def test_gradient_equals_complex_step_to_rounding(spec: Spec) -> None:
    """The reference's own forward pass and loss, run on complex numbers: their comparisons look at real parts first."""
    weights, x, labels = problem(spec)
    done = Reference(spec, weights).run(x, labels)
    shifted = Reference(spec, weights, np.complex128)
    for key, gradient in done.gradients.items():
        size, kept = float(np.linalg.norm(weights[key])), shifted.weights[key]
        for way in ways(gradient, size):
            shifted.weights[key] = kept + 1j * IMAGINARY * way
            slope = np.imag(LOSSES[spec.loss].f(shifted.forward(x).logits, shifted.target(labels))) / IMAGINARY
            scale = size * (done.sizes[key] if cancels(spec, key) else float(np.linalg.norm(gradient)))
            assert abs(slope - float((gradient * way).sum())) <= TO_ROUNDING * scale, key
        shifted.weights[key] = kept


def refusal(f: Callable[..., Any], *arguments: Any) -> Any:
    """What a part raises when it is fed complex numbers; None where it drops their imaginary part, False where it keeps it."""
    try:
        return None if np.isrealobj(f(*arguments)) else False
    except TypeError as error:
        return type(error)


def test_every_part_that_takes_no_complex_step_is_named_with_the_reason() -> None:
    x, labels = np.random.default_rng(0).standard_normal((6, 3)) + 1j * IMAGINARY, np.arange(6) % 3
    found = {name: refusal(row.f, x) for name, row in ACTIVATIONS.items()}
    found |= {name: refusal(row.f, x, row.target(labels, 3, 1.0)) for name, row in LOSSES.items()}
    assert {name: how for name, how in found.items() if how is not False} == NOT_COMPLEX
    networks_left = {(spec.arch.act, spec.loss) for spec in parts() if not {spec.arch.act, spec.loss} & set(NOT_COMPLEX)}
    assert {name for pair in networks_left for name in pair} == (set(ACTIVATIONS) | set(LOSSES)) - set(NOT_COMPLEX)


def _logistic(z: Any) -> Any:
    return (1 + np.tanh(z / 2)) / 2


CONTINUED: dict[str, Callable[[Any], Any]] = {"sigmoid": _logistic, "silu": lambda z: z * _logistic(z)}


@pytest.mark.parametrize("act", CONTINUED)
def test_an_activation_without_complex_code_has_value_and_slope_of_its_continuation(act: str) -> None:
    row, x = ACTIVATIONS[act], np.linspace(-20, 20, 4001)
    np.testing.assert_allclose(row.f(x), CONTINUED[act](x), rtol=20 * UNIT, atol=20 * UNIT)
    np.testing.assert_allclose(row.df(x), np.imag(CONTINUED[act](x + 1j * IMAGINARY)) / IMAGINARY, rtol=20 * UNIT, atol=20 * UNIT)


def test_huber_s_gradient_is_that_of_the_parabola_and_lines_it_is_made_of() -> None:
    row, rng = LOSSES["huber"], np.random.default_rng(0)
    logits, target, way = 2 * rng.standard_normal((40, 3)), rng.standard_normal((40, 3)), rng.standard_normal((40, 3))
    error = logits - target
    assert 20 < (np.abs(error) < 1).sum() < 100

    def continued(e: Any) -> Any:
        side = np.sign(e.real)
        return np.where(side * e.real <= 1, e * e / 2, side * e - 0.5).mean()

    assert row.f(logits, target) == pytest.approx(continued(error), rel=20 * UNIT)
    slope = np.imag(continued(error + 1j * IMAGINARY * way)) / IMAGINARY
    assert slope == pytest.approx(float((row.df(logits, target) * way).sum()), rel=TO_ROUNDING)


def test_deltas_are_gradients_with_respect_to_signals() -> None:
    spec = small(Spec.of(norm="layer", skip="two", skip_order="pre", act="silu"))
    weights, x, labels = problem(spec)
    done = Reference(spec, weights).run(x, labels)
    for name, delta in done.pre_activation_gradients.items():
        # A bias is added to its layer's signal, so its gradient is the signal's summed over the batch.
        np.testing.assert_allclose(delta.sum(0), done.gradients[f"{name}.bias"], rtol=1e-12)


def test_evaluation_mode_uses_the_running_statistics_it_is_given() -> None:
    spec = small(Spec.of(norm="batch"))
    weights, x, labels = problem(spec)
    reference = Reference(spec, weights)
    batch = reference.run(x, labels)
    own = {layer: (mean, var) for layer, (mean, var) in batch.statistics.items()}
    np.testing.assert_allclose(reference.forward(x, own).logits, batch.logits, rtol=1e-12)
    other = {layer: (mean + 1, var) for layer, (mean, var) in own.items()}
    assert not np.allclose(reference.forward(x, other).logits, batch.logits)


def test_a_unit_seen_on_its_kink_takes_the_slope_of_the_backend_that_was_seen() -> None:
    spec = Spec.of(depth=3, width=8, act="leaky_relu", precision="mixed_bfloat16")
    weights, rng = draw_weights(spec, 1), np.random.default_rng(2)
    x, labels = rng.standard_normal((4, spec.features)), np.arange(4)
    seen = Reference(spec, weights).run(x, labels)
    seen.pre_activations["dense1"][0, 0] = 0.0
    arrived = {
        backend: Reference(spec, weights).run(x, labels, seen, backend).pre_activation_gradients["dense1"]
        for backend in ("keras-jax", "torch")
    }
    assert arrived["torch"][0, 0] == pytest.approx(LEAKY_SLOPE * arrived["keras-jax"][0, 0]) != 0
    assert np.array_equal(arrived["torch"].ravel()[1:], arrived["keras-jax"].ravel()[1:])
