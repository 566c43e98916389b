"""Trainings that leave their precision's range by themselves, whatever framework runs them."""

from __future__ import annotations

import numpy as np

from bench.evidence.evidence import Evidence
from bench.judging.verdict import NotJudged
from models.observation import History, Training
from models.reference.network import Reference
from models.reference.optimizers import Rule, penalty
from models.spec import Spec


def of_themselves(evidence: Evidence) -> dict[int, int]:
    """By seed the step at which the reference's loss is not finite either, of those trainings in which the framework's is not.

    A loss that explodes grows by powers from step to step, so that no rounding puts it off by more than one.
    """
    found = {}
    for history in evidence.seen.trainings:
        step = _lost(history)
        if step is not None and evidence.start is not None:
            here = overflow(evidence.spec, evidence.dialect, evidence.start(history.seed), step + 1)
            if here is not None:
                found[history.seed] = here
    return found


def overflow(spec: Spec, dialect: str, training: Training, last: int) -> int | None:
    """The first step up to `last` at which the loss leaves the range of what is held, by the dialect's rule; None where it stays."""
    dtype = np.dtype(spec.format.held).type
    rule, weights = Rule(spec, dialect, dtype), {key: np.asarray(value, dtype) for key, value in training.weights.items()}
    with np.errstate(all="ignore"):
        for step, (x, labels) in enumerate(zip(training.xs[: last + 1], training.labels, strict=False)):
            done = Reference(spec, weights, dtype).run(x, labels)
            if not np.isfinite(done.loss):
                return step
            extra = penalty(spec, weights)[1] if dialect == "keras" and spec.l2 else {}
            weights = rule.step(weights, {key: g + extra.get(key, dtype(0)) for key, g in done.gradients.items()})
    return None


def refuse(diverged: dict[int, int]) -> None:
    """Refuse to judge a framework by trainings that diverge of themselves."""
    if diverged:
        seeds = ", ".join(f"{seed} (step {step})" for seed, step in diverged.items())
        raise NotJudged(f"training diverges of itself, in the reference as well, with seed {seeds}: choose a smaller lr")


def _lost(history: History) -> int | None:
    """The first step whose loss or gradient norms are not finite."""
    bad = ~np.isfinite(history.losses)
    if history.gradient_norms.size:
        bad = bad | ~np.isfinite(history.gradient_norms).all(axis=1)
    return int(np.flatnonzero(bad)[0]) if bad.any() else None
