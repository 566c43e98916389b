"""Gain of signals and gradients from layer to layer, against mean-field theory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from bench.evidence.evidence import Evidence
from bench.judging.finding import Cause, Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z
from bench.judging.verdict import NotJudged
from bench.theory import Band, Prediction, predict, why_not
from bench.theory.diagnosis import Seen, diagnose, expected

TO_DECADES = 0.5 / np.log(10)
"""From the natural log of a squared norm to decades of the norm."""


def signal_gain(evidence: Evidence) -> Iterator[Finding]:
    """The framework's own initialization carries the signal as mean-field theory predicts, layer by layer.

    log₁₀ of the ratio of root-mean-square pre-activations of neighbouring layers, and of last to first.
    """
    prediction = _prediction(evidence)
    power = {layer: _mean_square(z) for layer, z in evidence.native.pre_activations.items()}
    yield _finding(Place("rms", "1"), np.log(power[1]), prediction.first)
    for layer, band in prediction.signal.items():
        yield _finding(Place(node=str(layer), over=str(layer - 1)), np.log(power[layer]) - np.log(power[layer - 1]), band)
    total = Place(node=str(evidence.spec.depth), over="1")
    yield _finding(total, np.log(power[evidence.spec.depth]) - np.log(power[1]), prediction.signal_total, causes(evidence))


def backward_gain(evidence: Evidence) -> Iterator[Finding]:
    """The framework's own initialization carries the gradient back as mean-field theory predicts, layer by layer.

    log₁₀ of ‖∂L/∂z_l‖ / ‖∂L/∂z_{l+1}‖ and of first to last: networks that must vanish or explode do so at their rate. Layers whose
    gradient theory puts under the smallest normal number of a half precision lose digits there, and are the check `underflow`'s.
    """
    prediction = _prediction(evidence)
    power = {layer: float((d.astype(np.float64) ** 2).sum()) for layer, d in evidence.native.pre_activation_gradients.items()}
    under = _under_the_floor(evidence, prediction)
    with np.errstate(divide="ignore"):  # a gradient that is exactly zero is −inf decades, which no band admits
        for layer, band in prediction.backward.items():
            if layer in under:
                continue
            yield _finding(Place(node=str(layer), over=str(layer + 1)), np.log(power[layer]) - np.log(power[layer + 1]), band)
        if 1 in under:
            return
        total = np.log(power[1]) - np.log(power[evidence.spec.depth])
        yield _finding(Place(node="1", over=str(evidence.spec.depth)), total, prediction.backward_total, causes(evidence))


def causes(evidence: Evidence) -> tuple[Cause, ...]:
    """What is wrong with the framework's own network, beside what the reference draws from the same initializer."""
    forced_step, own = evidence.reference.forced_steps[0], evidence.native
    x, labels = np.asarray(forced_step.x, np.float64), forced_step.labels
    seen = Seen(own.pre_activations, own.pre_activation_gradients, labels, own.weights)
    return tuple(each.cause for each in diagnose(evidence.spec, x, seen, expected(evidence.spec, x, labels)))


def _under_the_floor(evidence: Evidence, prediction: Prediction) -> set[int]:
    """Layers whose ∂L/∂z, times the loss scale, theory gives an rms under the smallest normal number of the format of results."""
    last, results = evidence.native.pre_activation_gradients[evidence.spec.depth], evidence.spec.format.results
    if not evidence.spec.format.half:
        return set()
    logits = np.log(float((last.astype(np.float64) ** 2).sum()))
    floor = 2 * np.log(results.normal / evidence.spec.first_scale)
    sizes = {
        layer: logits + band.mean - np.log(evidence.native.pre_activation_gradients[layer].size)
        for layer, band in prediction.profile.items()
    }
    lowest = max((layer for layer, size in sizes.items() if size < floor), default=0)
    return set(range(1, lowest + 1))


def _prediction(evidence: Evidence) -> Prediction:
    prediction = predict(evidence.spec, evidence.reference.forced_steps[0].x)
    if prediction is None:
        raise NotJudged(why_not(evidence.spec))
    return prediction


def _finding(place: Place, value: float, band: Band, causes: tuple[Cause, ...] = ()) -> Finding:
    low, high = band.interval(BAND_Z)
    return Finding(place, float(value) * TO_DECADES, low * TO_DECADES, high * TO_DECADES, causes=causes)


def _mean_square(z: Any) -> float:
    return float(np.mean(z.astype(np.float64) ** 2))
