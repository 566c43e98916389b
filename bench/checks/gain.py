"""Gain of signals and gradients from layer to layer, against mean-field theory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from bench.evidence.divergence import within_range
from bench.evidence.evidence import Evidence
from bench.judging.finding import Cause, Finding
from bench.judging.place import Place
from bench.judging.tolerance import BAND_Z
from bench.judging.verdict import NotJudged, RestNotJudged
from bench.theory import Band, Prediction, predict, why_not
from bench.theory.diagnosis import Seen, diagnose, expected
from models.architectures import graph
from models.arrays import Units

TO_DECADES = 0.5 / np.log(10)
"""From the natural log of a squared norm to decades of the norm."""
CUT_BY_TF32 = 4 * 2.0**-10
"""How much ln‖z‖² may move in a product whose operands a device cuts to TF32's ten bits: each of the two loses up to 2⁻¹⁰ of itself, always
towards zero, so that no sum averages it away; and the square counts it twice. Orthogonal starts spread less than that."""

BOTH_ENDS = 2
"""With so few layers neighbours are the first and the last one, whose ratio is judged as such."""


@within_range
def signal_gain(evidence: Evidence) -> Iterator[Finding]:
    """The framework's own initialization carries the signal as mean-field theory predicts, layer by layer.

    log₁₀ of the ratio of root-mean-square pre-activations of neighbouring layers, and of last to first.
    """
    prediction = _prediction(evidence)
    power = {name: _mean_square(z) for name, z in evidence.native.pre_activations.items()}
    names, cut = [node.name for node in graph(evidence.spec).dense], _cut(evidence)
    yield from _decided(
        Ratio(Place("rms", names[0]), power[names[0]], 1.0, prediction.first, cut=cut),
        *(
            Ratio(Place(node=node, over=below), power[node], power[below], prediction.signal[node], cut=cut)
            for below, node in (pairwise(names) if len(names) > BOTH_ENDS else ())
            if node in prediction.signal
        ),
        Ratio(
            Place(node=names[-1], over=names[0]),
            power[names[-1]],
            power[names[0]],
            prediction.signal_total,
            causes(evidence),
            cut=cut * (len(names) - 1),
        ),
    )


@within_range
def backward_gain(evidence: Evidence) -> Iterator[Finding]:
    """The framework's own initialization carries the gradient back as mean-field theory predicts, layer by layer.

    log₁₀ of ‖∂L/∂z_l‖ / ‖∂L/∂z_{l+1}‖ and of first to last: networks that must vanish or explode do so at their rate. Layers whose
    gradient theory puts under the smallest normal number of a half precision lose digits there, and are the check `underflow`'s.
    """
    prediction = _prediction(evidence)
    power = {name: float((d.astype(np.float64) ** 2).sum()) for name, d in evidence.native.pre_activation_gradients.items()}
    under, names = _under_the_floor(evidence, prediction), [node.name for node in graph(evidence.spec).dense]
    cut = _cut(evidence)
    first, last = names[0], names[-1]
    steps = [
        Ratio(Place(node=node, over=above), power[node], power[above], prediction.backward[node], cut=cut)
        for node, above in (pairwise(names) if len(names) > BOTH_ENDS else ())
        if node in prediction.backward and node not in under
    ]
    if first in under and not steps:
        raise NotJudged("every gradient lies under the floor of half precision, which is the check underflow's")
    place, far = Place(node=first, over=last), cut * (len(names) - 1)
    total = Ratio(place, power[first], power[last], prediction.backward_total, causes(evidence), far)
    yield from _decided(*steps, *([] if first in under else [total]))


def causes(evidence: Evidence) -> tuple[Cause, ...]:
    """What is wrong with the framework's own network, beside what the reference draws from the same initializer."""
    forced_step, own = evidence.reference.forced_steps[0], evidence.native
    x, labels = np.asarray(forced_step.x, np.float64), forced_step.labels
    seen = Seen(own.pre_activations, own.pre_activation_gradients, labels, own.weights)
    return tuple(each.cause for each in diagnose(evidence.spec, x, seen, expected(evidence.spec, x, labels)))


def _cut(evidence: Evidence) -> float:
    return CUT_BY_TF32 if evidence.spec.format.tf32 else 0.0


def _under_the_floor(evidence: Evidence, prediction: Prediction) -> set[str]:
    """Dense nodes up to the last whose ∂L/∂z, times the loss scale, theory gives an rms under the smallest normal number of results."""
    names = [node.name for node in graph(evidence.spec).dense]
    last, results = evidence.native.pre_activation_gradients[names[-1]], evidence.spec.format.results
    if not evidence.spec.format.half:
        return set()
    logits = np.log(float((last.astype(np.float64) ** 2).sum()))
    floor = 2 * np.log(results.normal / evidence.spec.first_scale)
    sizes = {
        name: logits + band.mean - np.log(evidence.native.pre_activation_gradients[name].size) for name, band in prediction.profile.items()
    }
    lowest = max((names.index(name) + 1 for name, size in sizes.items() if size < floor), default=0)
    return set(names[:lowest])


def _prediction(evidence: Evidence) -> Prediction:
    prediction = predict(evidence.spec, evidence.reference.forced_steps[0].x)
    if prediction is None:
        raise NotJudged(why_not(evidence.spec))
    return prediction


@dataclass(frozen=True)
class Ratio:
    """A ratio of two squared norms that a band is to hold, wider by what TF32 may have `cut` off its natural log."""

    place: Place
    square: float
    over: float
    band: Band
    causes: tuple[Cause, ...] = ()
    cut: float = 0.0

    @property
    def decided(self) -> bool:
        """Whether the band can hold or refuse it."""
        return self.band.decides(zero=self.square == 0 or self.over == 0)

    @property
    def finding(self) -> Finding:
        """In decades of the norm; a norm that is exactly zero is −inf decades, which no band admits."""
        low, high = np.add(self.band.interval(BAND_Z), (-self.cut, self.cut))
        with np.errstate(divide="ignore", invalid="ignore"):
            value = float(np.log(self.square) - np.log(self.over))
        return Finding(self.place, value * TO_DECADES, float(low) * TO_DECADES, float(high) * TO_DECADES, causes=self.causes)


def _decided(*ratios: Ratio) -> Iterator[Finding]:
    """What bands can decide. Raises RestNotJudged for the rest."""
    yield from (ratio.finding for ratio in ratios if ratio.decided)
    if not all(ratio.decided for ratio in ratios):
        raise RestNotJudged(
            "layers whose signal or gradient is zero here are zero in other random networks of this kind, too: use more width"
        )


def _mean_square(z: Units) -> float:
    return float(np.mean(z.astype(np.float64) ** 2))
