"""Whether the reference's gradients are derivatives of its loss, for networks of any family."""

from __future__ import annotations

import numpy as np

from models.arrays import Array, Arrays, Batch, Labels
from models.parts.losses import LOSSES
from models.reference.draws import draw_weights
from models.reference.network import Reference
from models.spec import Spec

IMAGINARY, TO_ROUNDING, STEP, CUT_OFF = 1e-30, 1e-12, 1e-5, 1e-7


def problem(spec: Spec) -> tuple[Arrays, Batch, Labels]:
    """Weights, none of which is zero, a batch and its labels."""
    rng = np.random.default_rng(3)
    return draw_weights(spec, 1, jitter=True), rng.standard_normal((spec.batch, spec.features)), rng.integers(0, spec.classes, spec.batch)


def assert_slopes(spec: Spec, weights: Arrays, batch: tuple[Batch, Labels], gradients: Arrays) -> None:
    """Along each gradient and a random way: the complex step to rounding, a central difference to what h² cuts off."""
    (x, labels), rng = batch, np.random.default_rng(0)
    shifted, plain = Reference(spec, weights, np.complex128), Reference(spec, weights)

    def loss_at(key: str, value: Array) -> float:
        plain.weights[key] = value
        return float(plain.run(x, labels).loss)

    for key, gradient in gradients.items():
        size, kept = float(np.linalg.norm(gradient)), weights[key]
        for way in (gradient / size, rng.standard_normal(gradient.shape)):
            slope, reach = float((gradient * way).sum()), size * float(np.linalg.norm(way))
            shifted.weights[key] = kept + 1j * IMAGINARY * way
            loss = LOSSES[spec.loss].f(shifted.forward(x).logits, shifted.target(labels))
            assert abs(np.imag(loss) / IMAGINARY - slope) <= TO_ROUNDING * reach, key
            difference = loss_at(key, kept + STEP * way) - loss_at(key, kept - STEP * way)
            assert abs(difference / (2 * STEP) - slope) <= CUT_OFF * reach, key
        shifted.weights[key], plain.weights[key] = kept.astype(complex), kept
