"""Gradient clipping, seen from both sides."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.evidence.divergence import steps_within_range
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import NORM_MULTIPLE, ROUNDING_MULTIPLE
from bench.judging.verdict import NotJudged
from models.arrays import Array, Arrays
from models.reference.optimizers import Rule

FIRST_STEP = {"sgd": 1.0, "momentum": 1.0, "nesterov": 1.9}
"""How many learning rates the first step of an optimizer with empty slots moves a weight per unit of gradient."""


@steps_within_range
def clipping(evidence: Evidence) -> Iterator[Finding]:
    """Clipping respects its cap, keeps direction (norm) or clips each entry (value), and leaves small gradients alone.

    Compares gradients before and after. PyTorch shows both; in Keras the clipped gradient is the first step's weight
    change over that step's learning rate, known to the rounding of the stored weight. Allowed on top is what summing squares moves the
    norm by (`Rule.clip_rounding`).
    """
    step, forced_step = evidence.seen.forced_steps[0], evidence.reference.forced_steps[0]
    if not step.applied and evidence.spec.optimizer not in FIRST_STEP:
        raise NotJudged(f"{evidence.spec.optimizer} does not show the clipped gradient in its first step; its update is judged instead")
    rule = Rule(evidence.spec, evidence.conventions)
    rate = rule.rate * FIRST_STEP.get(evidence.spec.optimizer, 1.0)
    gradients = {key: g.astype(np.float64) for key, g in step.gradients.items()}  # in float32 a small one's squares are zero
    clipped, of_norm = rule.clip(gradients), rule.clip_rounding(gradients)
    after, blur = {}, {}
    for key, g in clipped.items():
        stored = 0.0
        if step.applied:
            after[key] = step.applied[key].astype(np.float64)
        else:
            before, now = (np.asarray(w, np.float64) for w in (forced_step.weights[key], step.weights[key]))
            after[key], stored = (before - now) / rate, float(np.linalg.norm(now)) / rate
        size = float(np.linalg.norm(g))
        blur[key] = ROUNDING_MULTIPLE * evidence.unit * (stored + size) + NORM_MULTIPLE * of_norm[key] * evidence.resolution * size
        off = float(np.linalg.norm(after[key] - g))
        yield Finding(
            Place.of(key, "against the rule"), off / (size or 1.0), 0.0, blur[key] / (size or 1.0), _ratio(after[key], gradients[key])
        )
    yield from _caps(evidence, after, blur)


def _caps(evidence: Evidence, after: Arrays, blur: dict[str, float]) -> Iterator[Finding]:
    cap = evidence.spec.clip_at
    if evidence.spec.clip == "global":
        yield _over(
            Place("global norm over its cap"),
            np.sqrt(sum((g * g).sum() for g in after.values())),
            cap,
            float(np.sqrt(sum(b * b for b in blur.values()))),
        )
    for key, g in after.items():
        if evidence.spec.clip == "variable":
            yield _over(Place.of(key, "norm over its cap"), float(np.linalg.norm(g)), cap, blur[key])
        elif evidence.spec.clip == "value":
            yield _over(Place.of(key, "largest entry over its cap"), np.abs(g).max(), cap, blur[key])


def _over(place: Place, size: float, cap: float, blur: float) -> Finding:
    return Finding(place, max(float(size) / cap - 1, 0.0), 0.0, blur / cap)


def _ratio(after: Array, before: Array) -> str:
    return f"{np.linalg.norm(after) / (np.linalg.norm(before) or 1.0):.4g} of its length before"
