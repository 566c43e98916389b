"""Networks and trainings that leave their precision's range by themselves, whatever framework runs them."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from bench.evidence.evidence import Evidence
from bench.evidence.reference import ROUNDINGS
from bench.judging.finding import Finding
from bench.judging.verdict import NotJudged
from models.arrays import Array
from models.observation import History, Training
from models.reference.network import Pass, Reference
from models.reference.optimizers import Rule, penalty
from models.spec import Spec

NEAR = 1 / 8
"""Share of the largest number from which a framework may be beyond it: it sums otherwise, and draws weights of its own of the same law."""
PARTED = 0.1
"""Share of a loss by which two trainings differ that have nothing but rounding between them and are yet two."""
Law = Callable[[Evidence], Iterator[Finding]]


class Overflow(NamedTuple):
    """Where the reference leaves a precision's range of itself: in a pass, and in what a step makes of gradients; empty where nowhere."""

    in_passes: str
    in_steps: str


def within_range(law: Law) -> Law:
    """Decorates a check, which then declines networks whose single passes overflow in the reference as well."""
    return _declining(law, lambda found: found.in_passes)


def steps_within_range(law: Law) -> Law:
    """Decorates a check of whole steps, which then also declines networks that overflow where gradients are clipped or weights moved."""
    return _declining(law, lambda found: found.in_passes or found.in_steps)


def _declining(law: Law, where: Callable[[Overflow], str]) -> Law:
    @functools.wraps(law)
    def judged(evidence: Evidence) -> Iterator[Finding]:
        if place := where(overflowing(evidence)):
            raise NotJudged(
                f"numbers leave {evidence.spec.format.half or evidence.spec.precision}'s range of themselves, in the reference as well "
                f"({place}): choose a smaller loss_scale, target_scale or lr, or a wider precision"
            )
        yield from law(evidence)

    return judged


def representable(law: Law) -> Law:
    """Decorates a check, which then declines networks whose single steps, exact as they are, are beyond what the precision can hold."""

    @functools.wraps(law)
    def judged(evidence: Evidence) -> Iterator[Finding]:
        largest = float(np.finfo(evidence.spec.format.held).max)
        for number, done in enumerate(evidence.reference.exact):
            held = (np.asarray(done.loss), done.logits, *done.pre_activation_gradients.values(), *done.gradients.values())
            if not all(np.all(np.abs(values) <= largest) for values in held):  # which NaN is not, either
                raise NotJudged(f"numbers leave the range of what is held of themselves, in the float64 reference (step {number})")
        yield from law(evidence)

    return judged


def overflowing(evidence: Evidence) -> Overflow:
    """The first pass and the first step that the reference cannot take in this precision."""
    return evidence.reference.once(("overflow", evidence.backend), lambda: _overflowing(evidence))


def _overflowing(evidence: Evidence) -> Overflow:
    """Ftrl's rule divides by the rate, which a schedule may end at 0: then finite gradients leave weights that are no numbers."""
    in_steps = ""
    rule = Rule(evidence.spec, evidence.conventions)
    for number, step in enumerate(evidence.reference.forced_steps):
        with np.errstate(all="ignore"):
            reference = Reference(evidence.spec, step.weights, evidence.spec.format.held, conventions=evidence.conventions)
            done = reference.run(step.x, step.labels)
            if not all(_in_range(evidence.spec, values) for values in _numbers(done, evidence.spec.first_scale)):
                return Overflow(f"step {number}", in_steps)
            rate, new = rule.rate, rule.step(step.weights, done.gradients)
        if in_steps:
            continue
        if _squares(evidence.spec, done) >= NEAR * float(np.finfo(evidence.spec.format.held).max):
            in_steps = f"step {number}, squares in the norm that is clipped"
        elif not all(np.isfinite(w).all() for w in new.values()):
            in_steps = f"step {number}, by the optimizer's own rule at a rate of {rate:g}"
    return Overflow("", in_steps)


def _squares(spec: Spec, done: Pass) -> float:
    """The largest sum of squares that clipping by norm takes of a pass's gradients, in float64; zero where it takes none.

    What frameworks make of one that overflows is judged by itself (`bench.metamorphic.parts.extreme_gradients`).
    """
    with np.errstate(over="ignore"):
        squares = [float(np.square(g, dtype=np.float64).sum()) for g in done.gradients.values()]
    return {"global": sum(squares), "variable": max(squares)}.get(spec.clip, 0.0)


def _numbers(done: Pass, scale: float) -> Iterator[Array]:
    """What a framework holds of a pass, gradients times the loss scale."""
    yield from (np.asarray(done.loss), done.logits, *done.pre_activations.values())
    yield from (values * scale for values in (*done.pre_activation_gradients.values(), *done.gradients.values()))


def _in_range(spec: Spec, values: Array) -> bool:
    largest = spec.format.results.largest if spec.format.half else float(np.finfo(spec.format.held).max)
    return bool(np.isfinite(values).all()) and float(np.abs(values).max(initial=0.0)) < NEAR * largest


def of_themselves(evidence: Evidence) -> dict[int, int]:
    """By seed the step at which the reference leaves the range of numbers as well, of those trainings that do so in the framework.

    A loss that explodes grows by powers from step to step, so that no rounding puts it off by more than one. What an activation draws
    may, rounding to half precision, and rounding that has grown until then: two trainings of the reference that differ in nothing but
    their orders of summing have parted. Whether a training at the edge explodes at all is decided by rounding, too: so the reference
    trains as often as rounding is measured (`bench.evidence.reference.ROUNDINGS`), summing in an order of its own each time, until one
    of its trainings leaves the range.
    """
    found = {}
    for history in evidence.seen.trainings:
        step = _lost(history)
        if step is not None and evidence.start is not None:
            begin = evidence.start(history.seed)
            drawn = evidence.spec.arch.random or not evidence.spec.format.plain
            chaotic = drawn or _parted(evidence.spec, evidence.conventions, begin, step)
            last = len(history.losses) if chaotic else step + 1
            steps = (overflow(evidence.spec, evidence.conventions, begin, last, order) for order in (None, *range(ROUNDINGS)))
            here = next((step for step in steps if step is not None), None)
            if here is not None:
                found[history.seed] = here
    return found


def _parted(spec: Spec, conventions: str, training: Training, last: int) -> bool:
    """Whether rounding alone has moved the reference's loss by `PARTED` of it in a step before the last one."""
    one, other = (followed(spec, conventions, training, last, order)[0][:last] for order in (None, 0))
    return any(not abs(a - b) <= PARTED * abs(a) for a, b in zip(one, other, strict=False))


def overflow(spec: Spec, conventions: str, training: Training, last: int, order: int | None = None) -> int | None:
    """The first step up to `last` at which the loss leaves the range of what is held, by these conventions; None where it stays.

    Sums have the given `order` of terms (`models.reference.network.Reference`). After the last batch this is the number of batches: the
    weights that are left then, or their loss on that batch, are not finite.
    """
    return followed(spec, conventions, training, last, order)[1]


def followed(spec: Spec, conventions: str, training: Training, last: int, order: int | None) -> tuple[list[float], int | None]:
    """The reference's finite losses up to a step, and where it leaves the range of numbers."""
    losses: list[float] = []
    dtype = np.dtype(spec.format.held).type
    rule, weights = Rule(spec, conventions, dtype), {key: np.asarray(value, dtype) for key, value in training.weights.items()}
    with np.errstate(all="ignore"):
        for step, (places, factor) in enumerate(zip(training.places[: last + 1], training.schedule, strict=False)):
            x, labels = training.x[places], training.y[places]
            done = Reference(spec, weights, dtype, order, conventions).run(x, labels)
            if not np.isfinite(done.loss):
                return losses, step
            losses.append(float(done.loss))
            if spec.format.scaled and not all(np.isfinite(g).all() for g in done.gradients.values()):
                spec = dataclasses.replace(spec, loss_scale=spec.loss_scale / 2)  # such a step is skipped
                continue
            extra = penalty(spec, weights, conventions)[1]
            weights = rule.step(weights, {key: g + extra.get(key, dtype(0)) for key, g in done.gradients.items()}, float(factor))
        count, places = training.steps, training.places[-1]
        loss = Reference(spec, weights, dtype, order, conventions).run(training.x[places], training.y[places]).loss
        left = (*weights.values(), np.asarray(loss))
    return losses, count if last >= count and not all(np.isfinite(each).all() for each in left) else None


def refuse(diverged: dict[int, int]) -> None:
    """Refuse to judge a framework by trainings that diverge of themselves."""
    if diverged:
        seeds = ", ".join(f"{seed} (step {step})" for seed, step in diverged.items())
        raise NotJudged(f"training diverges of itself, in the reference as well, with seed {seeds}: choose a smaller lr")


def _lost(history: History) -> int | None:
    """The first step whose loss or gradient norms are not finite; the number of steps where the weights that are left are not.

    Steps that a loss scale skipped have no norms, so that it is not known which step a norm belongs to.
    """
    bad, norms = ~np.isfinite(history.losses), ~np.isfinite(history.gradient_norms).all(axis=-1)
    if len(norms) == len(bad):
        bad = bad | norms
    if bad.any():
        return int(np.flatnonzero(bad)[0])
    left = (*history.weights.values(), *(each for pair in history.running.values() for each in pair))
    return len(bad) if norms.any() or not all(np.isfinite(each).all() for each in left) else None
