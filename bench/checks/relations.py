"""How an exact relation becomes findings: its residual beside the residual that rounding alone leaves.

A relation is a function `(spec, view)` that yields `(where, residual, scale)`: a number or vector that is zero in exact
arithmetic, and the natural size of its terms. Tolerance. The reference's own float32 passes, each summing in another
order, leave residuals too; a framework's is one more draw from the same law and may be `ROUNDING_MULTIPLE` times their
rms. A place counts at least the median over places of its kind, one rounding of its scale, and the smallest normal number, under
which processors may take a number for zero. Where that is as much as the terms themselves, nothing could be refused: such places are
counted, and not judged. So are those whose terms rounding makes: where they cancel all but for it, their size is another in every pass,
or none at all, and a residual over it follows the law of a quotient of errors, which may be as large as you like. A place is judged
where the size in every pass is off the float64 one by less than that size.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from functools import partial
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace

from bench.evidence.evidence import Evidence
from bench.evidence.reference import ROUNDINGS
from bench.judging.finding import Finding
from bench.judging.place import Place
from bench.judging.tolerance import ROUNDING_MULTIPLE
from bench.judging.verdict import RestNotJudged
from bench.symmetry import Symmetry, by_reference
from bench.symmetry.row import Residuals
from models.arrays import Array, Arrays, Batch, Signals, Statistics
from models.observation import Backward, ForcedStep, WatchedPass
from models.reference.network import Pass
from models.spec import Spec

Relation = Callable[[Spec, "View"], Residuals]
Judged = Generator[Finding, None, int]
"""Findings, and in the end how many places could not be judged."""


class Residual(NamedTuple):
    """How far off a relation is in units of the natural `size` of its terms."""

    off: float
    size: float


@dataclass
class View:
    """One forward and backward pass in float64 arrays, seen by a framework or by the reference.

    `pre_activations` and `pre_activation_gradients` (by dense node) are empty where only gradients were seen; `statistics` are each
    normalization's mean and variance.
    """

    weights: Arrays
    gradients: Arrays
    x: Batch
    pre_activations: Signals = field(default_factory=dict)
    pre_activation_gradients: Signals = field(default_factory=dict)
    statistics: Statistics = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Relations are evaluated in float64, so that only the framework's own rounding shows."""
        for name in ("weights", "gradients", "pre_activations", "pre_activation_gradients"):
            setattr(self, name, {key: np.asarray(value, np.float64) for key, value in getattr(self, name).items()})
        self.x = np.asarray(self.x, np.float64)

    def of(self, parameter: str) -> tuple[Array, Array]:
        """A parameter and its gradient."""
        return self.weights[parameter], self.gradients[parameter]


def findings(evidence: Evidence, relation: Relation, forced_steps: tuple[int, ...] = (0, 1, 2)) -> Judged:
    """The relation's residuals in the given steps, each against what rounding leaves of it in the reference.

    A penalty is in the gradient that was seen, rounded together with it, and is taken off before the relation is looked at.
    Where gradients and the signals beside them are of two executions (`bench.evidence.evidence.Evidence.apart`), so are the
    reference's: gradients of one of its passes and signals of the next.
    """
    lost = 0
    for number in forced_steps:
        apart, forced_step = evidence.apart, evidence.reference.forced_steps[number]
        key = relation, number, apart, bool(evidence.penalties[number][1])
        exact, *rounded = evidence.reference.once(key, partial(_answers, evidence, relation, number, apart))
        step = Backward(0.0, evidence.seen.forced_steps[number].gradients)
        bare = evidence.without_penalty(forced_step.weights, step)
        seen = nearest(relative(relation(evidence.spec, _view(evidence, number, each.gradients, evidence.shared))) for each in bare)
        lost += yield from compared(evidence, seen, exact, rounded, evidence.resolution, evidence.result_unit, number)
    return lost


def nearest(residuals: Iterable[dict[Place, Residual]]) -> dict[Place, Residual]:
    """The residuals that are smallest in the geometric mean: of passes without the penalty, where it is not known which was added.

    Where a penalty has taken whole gradients with it, residuals are as large as their terms either way, and a sum would tell nothing of
    the others.
    """
    return min(residuals, key=lambda each: sum(np.log(max(residual.off, np.finfo(float).eps)) for residual in each.values()))


def bare(evidence: Evidence, forced_steps: list[ForcedStep], passes: list[Backward]) -> list[list[Backward]]:
    """Passes without the penalty, as often as there are ways to take it off."""
    taken_off = [evidence.without_penalty(step.weights, passed) for step, passed in zip(forced_steps, passes, strict=True)]
    return [list(each) for each in zip(*taken_off, strict=True)]


def refuse_rest(lost: int) -> None:
    """Say that places could not be judged. Raises RestNotJudged where there are any."""
    if lost:
        raise RestNotJudged("where gradients vanish, rounding is as large as the terms of a relation: judge it with precision=float64")


def _answers(evidence: Evidence, relation: Relation, number: int, apart: bool) -> list[dict[Place, Residual]]:
    """The residuals of the float64 pass and of the rounded ones, these with signals of the next pass where they are `apart`."""
    exact = evidence.reference.exact[number]
    passes, extra = evidence.reference.rounded[number], evidence.penalties[number][1]
    watched = passes[1:] + passes[:1] if apart else passes
    gradients = [{key: _beside(g, extra.get(key)) for key, g in each.gradients.items()} for each in (exact, *passes)]
    views = [_view(evidence, number, one, other) for one, other in zip(gradients, [exact, *watched], strict=True)]
    return [relative(relation(evidence.spec, view)) for view in views]


def _beside(gradient: Array, penalty: Array | None) -> Array:
    """A gradient as it is left when a penalty was added in its own type and is taken off again."""
    return gradient if penalty is None else (gradient + penalty.astype(gradient.dtype)).astype(np.float64) - penalty


def by_passes(evidence: Evidence, row: Symmetry, forced_steps: list[ForcedStep], precision: str) -> list[dict[Place, Residual]]:
    """What the float64 pass leaves of a symmetry, and then those in `precision`, each summing in an order of its own."""

    def residuals() -> list[dict[Place, Residual]]:
        with np.errstate(all="ignore"):
            passes = [
                [_with_penalty(evidence, step, by_reference(evidence.spec, step, dtype, order)) for step in forced_steps]
                for dtype, order in (("float64", 0), *((precision, order) for order in range(ROUNDINGS)))
            ]
        return [relative(row.expect(evidence.spec, forced_steps, each)) for each in passes]

    return evidence.reference.once((row, precision, bool(evidence.penalties[0][1])), residuals)


def _with_penalty(evidence: Evidence, forced_step: ForcedStep, passed: Backward) -> Backward:
    """A pass as it is left when a penalty was added to its gradients and taken off again."""
    extra = evidence.penalty(forced_step.weights)[1]
    return replace_fields(passed, gradients={key: _beside(g, extra.get(key)) for key, g in passed.gradients.items()})


def compared(
    evidence: Evidence,
    seen: dict[Place, Residual],
    exact: dict[Place, Residual],
    rounded: list[dict[Place, Residual]],
    resolution: float,
    unit: float,
    step: int | None = None,
) -> Judged:
    """Residuals over their scales against `ROUNDING_MULTIPLE` times those of the reference's float32 passes, all of one `step`.

    What the float64 pass leaves of itself counts where it is more: where a penalty is so much larger than the gradient beside it that a
    float64 network has lost the gradient as well.
    """
    lost = 0
    usual = {place: float(np.sqrt(np.mean([each[place].off ** 2 for each in rounded]))) for place in seen}
    kinds = {
        kind: float(np.median([value for place, value in usual.items() if place.quantity == kind]))
        for kind in {place.quantity for place in seen}
    }
    for place, (value, size) in seen.items():
        smallest = evidence.floor / size if size else 0.0
        allowed = ROUNDING_MULTIPLE * (max(max(usual[place], kinds[place.quantity]) * resolution, exact[place].off) + unit + smallest)
        off = max(abs(each[place].size - exact[place].size) for each in rounded) * resolution
        judged = allowed < 1 and (off < exact[place].size or off == 0)
        if judged:
            yield Finding(replace(place, step=step), value, 0.0, allowed, f"off by {value:.3g} of its terms")
        lost += not judged
    return lost


def relative(residuals: Residuals) -> dict[Place, Residual]:
    """Each residual's norm over that of its scale; 0 where all terms are 0."""
    values = {}
    for place, residual, scale in residuals:
        size, natural = float(np.linalg.norm(residual)), float(np.linalg.norm(scale))
        values[place] = Residual(size / natural if natural > 0 else np.inf if size else 0.0, natural)
    return values


def _view(evidence: Evidence, number: int, gradients: Arrays, watched: WatchedPass | Pass) -> View:
    """Gradients of a teacher-forced step, and the signals of the first."""
    step = evidence.reference.forced_steps[number]
    signals = (watched.pre_activations, watched.pre_activation_gradients) if number == 0 else ({}, {})
    return View(step.weights, gradients, step.x, *signals, evidence.reference.exact[number].statistics)
