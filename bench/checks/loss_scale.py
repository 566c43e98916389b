"""Dynamic loss scaling against its written-out rule, over a few steps with planted overflows."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from bench.evidence.divergence import steps_within_range
from bench.evidence.evidence import Evidence
from bench.evidence.probes import OVERFLOWS
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.judging.verdict import NotJudged
from models.arrays import Arrays
from models.naming import describe
from models.observation import SCALE_GROWTH, StepResult
from models.reference.network import Reference
from models.reference.optimizers import Rule

OVERFLOW = "(overflow)"
"""What findings of a step that overflows say after their place."""


@steps_within_range
def loss_scale(evidence: Evidence) -> Iterator[Finding]:
    """The loss scale doubles after so many good steps in a row and halves at an overflow, and a step that overflowed moves nothing.

    Both frameworks document this rule (torch.amp.GradScaler with its factors of 2 and ½, keras.optimizers.LossScaleOptimizer). A good
    step moves every weight as the optimizer's rule says of the unscaled gradient, its slots untouched by overflows between; in
    units of what rounding allows, as in `update`. Whether a learning-rate schedule counts the step that was skipped is each framework's own
    (`Rule.skip`).
    """
    spec, scale, good = evidence.spec, evidence.spec.loss_scale, 0
    exact, rounded = Rule(spec, evidence.conventions), Rule(spec, evidence.conventions, np.float32)
    weights = evidence.reference.forced_steps[0].weights
    if len(evidence.seen.scaled) != len(OVERFLOWS):
        raise AssertionError(f"{len(evidence.seen.scaled)} scaled steps were seen of {len(OVERFLOWS)}")
    for number, (step, overflows) in enumerate(zip(evidence.seen.scaled, OVERFLOWS, strict=True)):
        good = 0 if overflows else good + 1
        if overflows:
            scale /= 2
            exact.skip()
            rounded.skip()
            moved = [key for key, w in step.weights.items() if not np.array_equal(w, weights[key])]
            yield Finding(Place("tensors that moved", step=number), len(moved), 0.0, 0.0, ", ".join(moved[:3]), remark=OVERFLOW)
        else:
            key, used = max(_used(evidence, step, weights, exact, rounded), key=lambda each: each[1])
            if not used <= 1 and _overflows(evidence, number):
                raise NotJudged("a step overflows of itself, in the reference as well: choose a smaller lr or loss_scale")
            place = Place("step against the rule, of what rounding allows", step=number)
            used = used if np.isfinite(step.weights[key]).all() else np.nan
            yield Finding(place, used, 0.0, 1.0, f"most in {describe(key)}")
        if good == SCALE_GROWTH:
            scale, good = scale * 2, 0
        note = f"{step.scale:g} where the rule has {scale:g}"
        yield Finding(Place("loss scale over the rule's", step=number), step.scale / scale, 1.0, 1.0, note, remark=OVERFLOW * overflows)
        weights = step.weights


def _overflows(evidence: Evidence, last: int) -> bool:
    """Whether the reference, trained by the rule from the first weights, leaves the precision's range by itself up to step `last`."""
    step, scale, good = evidence.reference.forced_steps[0], evidence.spec.loss_scale, 0
    rule, weights = Rule(evidence.spec, evidence.conventions, np.float32), step.weights
    for overflows in OVERFLOWS[: last + 1]:
        good = 0 if overflows else good + 1
        if overflows:
            scale /= 2
            rule.skip()
            continue
        spec = evidence.spec.but(loss_scale=scale)
        with np.errstate(all="ignore"):
            gradients = Reference(spec, weights, np.float32, conventions=evidence.conventions).run(step.x, step.labels).gradients
        if not all(np.isfinite(g).all() for g in gradients.values()):
            return True
        extra = evidence.penalty(weights)[1]
        weights = rule.step(weights, {key: g + extra.get(key, 0.0) for key, g in gradients.items()})
        if good == SCALE_GROWTH:
            scale, good = scale * 2, 0
    return False


def _used(evidence: Evidence, step: StepResult, weights: Arrays, exact: Rule, rounded: Rule) -> Iterator[tuple[str, float]]:
    """By what share of its allowance each tensor misses the rule."""
    true, near = exact.step(weights, step.gradients), rounded.step(weights, step.gradients)
    for key, w in true.items():
        stored = evidence.unit * float(np.linalg.norm(w))
        allowed = ROUNDING_MULTIPLE * max(float(np.linalg.norm(near[key] - w)), stored)
        error = float(np.linalg.norm(step.weights[key] - w))
        yield key, (error / allowed if allowed > 0 else np.inf if error else 0.0) if np.isfinite(error) else np.inf
