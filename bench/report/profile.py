"""What a record keeps of one network besides findings: gradient norms by layer, over training, and the samples of each metric."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.baselines import samples
from bench.baselines.metrics import metrics
from bench.baselines.pairs import Recorded
from bench.evidence.aligned import AlignedEvidence
from bench.evidence.evidence import Evidence
from bench.evidence.own import OwnEvidence
from bench.judging.tolerance import BAND_Z
from bench.report.record import Profile, Stray
from bench.report.texts import Number, rounded
from bench.theory import predict
from models.architectures import graph

STEPS, LAYERS = 12, 16
"""How many steps and layers of a training's gradient norms are kept, evenly spread: enough for a picture, a kilobyte a network."""
DIGITS = 4


def profile(evidence: Evidence) -> Profile:
    """What one run shows, thinned; parts that were not asked of the backend stay empty."""
    seen = Profile(evidence.backend, evidence.network)
    if evidence.seen.native is not None:
        gradients = evidence.seen.native.pre_activation_gradients
        seen.gradient = [_few(np.linalg.norm(gradients[node.name].astype(np.float64))) for node in graph(evidence.spec).dense]
        seen.band = _band(evidence)
    if evidence.seen.trainings:
        norms = evidence.seen.trainings[0].gradient_norms
        steps, layers = (_spread(size, kept) for size, kept in zip(norms.shape, (STEPS, LAYERS), strict=True))
        seen.steps, seen.layers = steps, [layer + 1 for layer in layers]
        seen.norms = [[_few(value) for value in row] for row in norms[np.ix_(steps, layers)]]
        usual = evidence.seen.trainings
        seen.seeds = [history.seed for history in usual]
        seen.samples = {
            name: [_few(value) for value in values]
            for name, values in metrics(usual, evidence.held_out[1], evidence.spec.arch.depth).items()
        }
        for name, (recorded, places) in _recorded(evidence, seen.seeds).items():
            seen.recorded[name] = [_few(recorded.values[place].mean()) for place in places]
            if recorded.paired:
                seen.strays[name] = Stray(_few(recorded.spread), recorded.degrees, _few(recorded.furthest))
    return seen


def _recorded(evidence: Evidence, seeds: list[int]) -> dict[str, tuple[Recorded, list[int]]]:
    """By metric what was recorded, and the places of these seeds in it; nothing where one of them was not recorded."""
    content = evidence.baseline.content if evidence.baseline else None
    if content is None or not set(seeds) <= set(content.seeds):
        return {}
    found = samples.of_network(content, f"{evidence.data}/{evidence.network}")
    places = [content.seeds.index(seed) for seed in seeds]
    return {name: (Recorded(name, rows), places) for name, rows in found.items() if max(places, default=0) < len(rows)}


def own_profile(evidence: OwnEvidence) -> Profile:
    """What one pass of a user's own model shows: gradients at the outputs of its weighted layers, dead and saturated units."""
    seen, layers = Profile(evidence.backend, evidence.network), [each for each in evidence.seen.layers if each.weight]
    seen.names, seen.gradient = [each.name for each in layers], [_few(each.gradient) for each in layers]
    seen.dead = {each.name: _few(each.dead) for each in evidence.seen.layers if each.dead > 0}
    seen.saturated = {each.name: _few(each.saturated) for each in evidence.seen.layers if each.saturated > 0}
    return seen


def aligned_profile(evidence: AlignedEvidence) -> Profile:
    """Gradients at the outputs of weighted layers, in one framework of a network that both hold, by PyTorch's names."""
    seen = Profile(evidence.backend, evidence.network)
    seen.names, seen.gradient = list(evidence.gradients), [_few(norm) for norm in evidence.gradients.values()]
    return seen


def _band(evidence: Evidence) -> list[tuple[Number, Number] | None]:
    """The interval of ‖∂L/∂z_l‖ / ‖∂L/∂z_depth‖, layer by layer."""
    if (prediction := predict(evidence.spec, evidence.reference.forced_steps[0].x)) is None:
        return []
    bands = [prediction.profile.get(node.name) for node in graph(evidence.spec).dense[:-1]]
    intervals = [band.interval(BAND_Z) if band else None for band in bands]
    return [tuple(_few(np.exp(edge / 2)) for edge in each) if each else None for each in intervals]  # type: ignore[misc]


def _spread(size: int, kept: int) -> list[int]:
    """At most `kept` places out of `size`, first and last among them."""
    return [int(place) for place in np.unique(np.linspace(0, size - 1, min(size, kept)).round().astype(int))]


def _few(value: float | np.floating[Any]) -> Number:
    return rounded(float(value), DIGITS)
