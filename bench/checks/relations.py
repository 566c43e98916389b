"""How an exact relation becomes findings: its residual beside the residual that rounding alone leaves.

A relation is a function `(spec, view)` that yields `(where, residual, scale)`: a number or vector that is zero in exact
arithmetic, and the natural size of its terms. Tolerance. The reference's own float32 passes, each summing in another
order, leave residuals too; a framework's is one more draw from the same law and may be `ROUNDING_MULTIPLE` times their
rms. A place counts at least the median over places of its kind, and one rounding of its scale.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.judge import Finding
from bench.run import ROUNDINGS
from bench.symmetry import Symmetry, by_reference
from bench.tolerance import ROUNDING_MULTIPLE
from models.run import Lesson
from models.spec import Spec

Arrays = dict[str, Any]
Place = tuple[str, str]
"""The kind of relation and the layer or step where it is looked at."""
Relation = Callable[[Spec, "View"], Iterator[tuple[Place, Any, Any]]]


@dataclass
class View:
    """One forward and backward pass in float64 arrays, seen by a framework or by the reference.

    `signals` and `deltas` (layer → batch × units) are empty where only gradients were seen; `statistics` are each
    normalization's mean and variance.
    """

    weights: Arrays
    gradients: Arrays
    x: Any = None
    signals: dict[int, Any] = field(default_factory=dict)
    deltas: dict[int, Any] = field(default_factory=dict)
    statistics: dict[int, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Relations are evaluated in float64, so that only the framework's own rounding shows."""
        for name in ("weights", "gradients", "signals", "deltas"):
            setattr(self, name, {key: np.asarray(value, np.float64) for key, value in getattr(self, name).items()})
        self.x = None if self.x is None else np.asarray(self.x, np.float64)

    def of(self, layer: int, kind: str) -> tuple[Any, Any]:
        """A parameter and its gradient."""
        return self.weights[f"{layer}.{kind}"], self.gradients[f"{layer}.{kind}"]


def findings(run: Any, relation: Relation, lessons: tuple[int, ...] = (0, 1, 2)) -> Iterator[Finding]:
    """The relation's residuals in the given lessons, each against what rounding leaves of it in the reference.

    Where gradients and the signals beside them are of two executions (`bench.run.Run.apart`), so are the reference's: gradients of one
    of its passes and signals of the next.
    """
    for number in lessons:
        apart = run.apart
        rounded = run.answer.once((relation, number, apart), lambda number=number, apart=apart: _rounded(run, relation, number, apart))
        seen = relative(relation(run.spec, _view(run, number)))
        yield from compared(f"step {number} ", seen, rounded, run.resolution, run.result_unit)


def _rounded(run: Any, relation: Relation, number: int, apart: bool) -> list[dict[Place, float]]:
    """The residuals of the reference's passes, with signals of the next pass where they are `apart`."""
    passes = run.answer.rounded[number]
    watched = passes[1:] + passes[:1] if apart else passes
    views = [_reference_view(run, number, *pair) for pair in zip(passes, watched, strict=True)]
    return [relative(relation(run.spec, view)) for view in views]


def by_passes(run: Any, row: Symmetry, lessons: list[Lesson], precision: str) -> list[dict[Place, float]]:
    """What the reference's passes in `precision` leave of a symmetry, each summing in an order of its own."""

    def residuals() -> list[dict[Place, float]]:
        with np.errstate(all="ignore"):
            passes = [[by_reference(run.spec, lesson, precision, order) for lesson in lessons] for order in range(ROUNDINGS)]
        return [relative(row.residuals(run.spec, lessons, each)) for each in passes]

    return run.answer.once((row, precision), residuals)


def compared(title: str, seen: dict[Place, float], rounded: list[dict[Place, float]], resolution: float, unit: float) -> Iterator[Finding]:
    """Residuals over their scales against `ROUNDING_MULTIPLE` times those of the reference's float32 passes."""
    usual = {place: float(np.sqrt(np.mean([each[place] ** 2 for each in rounded]))) for place in seen}
    kinds = {kind: float(np.median([value for place, value in usual.items() if place[0] == kind])) for kind, _ in seen}
    for (kind, where), value in seen.items():
        allowed = ROUNDING_MULTIPLE * (max(usual[kind, where], kinds[kind]) * resolution + unit)
        yield Finding(f"{title}{where} {kind}", value, 0.0, allowed, f"off by {value:.3g} of its terms")


def relative(residuals: Iterator[tuple[Place, Any, Any]]) -> dict[Place, float]:
    """Each residual's norm over that of its scale; 0 where all terms are 0."""
    values = {}
    for place, residual, scale in residuals:
        size, natural = float(np.linalg.norm(residual)), float(np.linalg.norm(scale))
        values[place] = size / natural if natural > 0 else np.inf if size else 0.0
    return values


def _view(run: Any, number: int) -> View:
    """What the framework saw: gradients of every lesson, signals of the first."""
    lesson, step, drawn = run.answer.lessons[number], run.seen.lessons[number], run.seen.drawn
    _, extra = run.penalties[number]
    gradients = {key: np.asarray(g, np.float64) - extra.get(key, 0.0) for key, g in step.gradients.items()}
    signals, deltas = (drawn.signals, drawn.deltas) if number == 0 else ({}, {})
    return View(lesson.weights, gradients, lesson.x, signals, deltas, run.answer.exact[number].statistics)


def _reference_view(run: Any, number: int, step: Any, watched: Any) -> View:
    lesson = run.answer.lessons[number]
    signals, deltas = (watched.signals, watched.deltas) if number == 0 else ({}, {})
    return View(lesson.weights, step.gradients, lesson.x, signals, deltas, run.answer.exact[number].statistics)
