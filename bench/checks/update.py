"""Optimizer steps against their written-out rule, fed with the gradients that were observed."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.evidence.divergence import steps_within_range
from bench.evidence.evidence import Evidence
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import NORM_MULTIPLE, ROUNDING_MULTIPLE
from models.arrays import Array
from models.parts.optimizers import COARSE
from models.parts.precisions import FLOAT32
from models.reference.optimizers import Rule

STAYS = "moved although it should not"
"""What an outlier looks like where the rule leaves the weight alone."""


@steps_within_range
def update(evidence: Evidence) -> Iterator[Finding]:
    """Each optimizer step equals the written-out rule applied to the observed gradient.

    ‖w − w*‖ / ‖w* − w₀‖ for every parameter and step, slots carried from step to step; clipping, L2 penalty and decoupled
    decay included. Allowed: the rule's own error in the network's precision, the rounding of storing w once, that of a rate
    which its schedule computes of larger terms, and the smallest normal number; and what summing squares moves the norm by that is
    clipped (`Rule.clip_rounding`). Where that is larger than the step, as with vanished gradients, the place says so: the weight may only
    stay where it is. Entries of which a rule takes a sign that float32's rounding decides are left out. Where a rule rounds to a short
    format of itself, a few entries rounded to the other side are allowed besides.
    """
    exact = Rule(evidence.spec, evidence.conventions, np.float64)
    rounded = Rule(evidence.spec, evidence.conventions, np.float32)
    for number, (step, forced_step) in enumerate(zip(evidence.seen.forced_steps, evidence.reference.forced_steps, strict=True)):
        of_rate, of_norm = exact.rate_rounding, exact.clip_rounding(step.gradients)
        true, near = exact.step(forced_step.weights, step.gradients), rounded.step(forced_step.weights, step.gradients)
        if set(step.weights) != set(true):
            raise AssertionError(f"parameters {sorted(set(step.weights) ^ set(true))} are missing or unknown")
        for key, w in true.items():
            moved = float(np.linalg.norm(w - forced_step.weights[key]))
            decided = exact.undecided[key] > ROUNDING_MULTIPLE * FLOAT32.unit
            stored = evidence.unit * float(np.linalg.norm(w))
            smallest = evidence.floor * w.size**0.5
            coarse = float(np.linalg.norm(exact.slots.get(key, {}).get(COARSE, 0.0)))
            own = float(np.linalg.norm((near[key] - w)[decided])) * evidence.resolution
            allowed = ROUNDING_MULTIPLE * max(own, coarse, stored, smallest, of_rate * moved)
            allowed += NORM_MULTIPLE * of_norm[key] * evidence.resolution * moved
            error = float(np.linalg.norm((step.weights[key] - w)[decided]))
            scale = moved or 1.0
            yield Finding(
                Place.of(key, step=number),
                error / scale,
                0.0,
                allowed / scale,
                _looks_like(step.weights[key], w, forced_step.weights[key]),
                remark="(step below rounding)" if allowed >= scale else "",
            )


def _looks_like(seen: Array, true: Array, before: Array) -> str:
    """How far the weight went along the way it should have gone."""
    way = np.asarray(true - before, np.float64).ravel()
    if not (length := float(way @ way)):
        return STAYS
    share = float(np.asarray(seen - before, np.float64).ravel() @ way) / length
    return "did not move" if not np.any(seen != before) else f"went {share:.6g} of its way"
