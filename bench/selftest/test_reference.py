"""The reference itself: finite differences and the complex step, for every part of every network."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from models.matrix import networks
from models.network import parameter_keys
from models.on_numpy import Reference
from models.run import draw_weights
from models.spec import Spec

SMALL: dict[str, Any] = {"width": 12, "batch": 12, "features": 8, "classes": 3}
STEP = 1e-6


def small(spec: Spec) -> Spec:
    """The same parts in a network small and shallow enough to differentiate numerically."""
    plain: dict[str, Any] = {"loss_scale": Spec.loss_scale, "scale_growth": Spec.scale_growth}
    return dataclasses.replace(spec, **SMALL, **plain, depth=min(spec.depth, 6), precision="float64")


def parts() -> list[Spec]:
    """Every distinct small network of the core matrix."""
    return list({small(spec.on("torch")): None for spec in networks("core")})


def problem(spec: Spec) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    return draw_weights(spec, 1, jitter=True), rng.standard_normal((spec.batch, spec.features)), rng.integers(0, spec.classes, spec.batch)


@pytest.mark.parametrize("spec", parts(), ids=lambda spec: spec.id)
def test_gradient_equals_central_difference_of_the_loss(spec: Spec) -> None:
    weights, x, labels = problem(spec)
    reference = Reference(spec, weights)
    gradients = reference.run(x, labels).gradients
    assert set(gradients) == set(parameter_keys(spec))
    rng = np.random.default_rng(0)
    for key, gradient in gradients.items():
        way = rng.standard_normal(gradient.shape)
        kept = reference.weights[key]
        losses = []
        for sign in (1, -1):
            reference.weights[key] = kept + sign * STEP * way
            losses.append(reference.run(x, labels).loss)
        reference.weights[key] = kept
        slope = (losses[0] - losses[1]) / (2 * STEP)
        # Truncation h² and cancellation u·loss/h are both near 1e-10 here; a kink within h of a unit would show at 1e-6.
        assert slope == pytest.approx(float((gradient * way).sum()), rel=2e-5, abs=1e-8), key


@pytest.mark.parametrize("act", ["linear", "tanh"])
@pytest.mark.parametrize("norm", ["none", "layer", "batch", "rms", "group"])
def test_gradient_equals_complex_step_to_rounding(act: str, norm: str) -> None:
    spec = Spec(**SMALL, depth=6, act=act, norm=norm, loss="mse", precision="float64")
    weights, x, labels = problem(spec)
    gradients = Reference(spec, weights).run(x, labels).gradients
    for key, gradient in gradients.items():
        shifted = Reference(spec, weights, np.complex128)
        way = np.random.default_rng(0).standard_normal(gradient.shape)
        shifted.weights[key] = shifted.weights[key] + 1e-30j * way
        error = shifted.forward(x).logits - shifted.target(labels)
        slope = np.imag((error * error).mean()) / 1e-30
        scale = np.linalg.norm(gradient) * np.linalg.norm(way) + np.linalg.norm(gradients["1.weight"])
        assert abs(slope - (gradient * way).sum()) <= 1e-13 * scale, key


def test_deltas_are_gradients_with_respect_to_signals() -> None:
    spec = small(Spec(norm="layer", skip="two", skip_order="pre", act="silu"))
    weights, x, labels = problem(spec)
    done = Reference(spec, weights).run(x, labels)
    for layer, delta in done.deltas.items():
        # A bias is added to its layer's signal, so its gradient is the signal's summed over the batch.
        np.testing.assert_allclose(delta.sum(0), done.gradients[f"{layer}.bias"], rtol=1e-12)


def test_evaluation_mode_uses_the_running_statistics_it_is_given() -> None:
    spec = small(Spec(norm="batch"))
    weights, x, labels = problem(spec)
    reference = Reference(spec, weights)
    batch = reference.run(x, labels)
    own = {layer: (mean, var) for layer, (mean, var) in batch.statistics.items()}
    np.testing.assert_allclose(reference.forward(x, own).logits, batch.logits, rtol=1e-12)
    other = {layer: (mean + 1, var) for layer, (mean, var) in own.items()}
    assert not np.allclose(reference.forward(x, other).logits, batch.logits)
