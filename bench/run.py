"""What a check is given: what a framework did, and what the reference says it should have done."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bench.baseline import Baseline
from models.on_numpy import Pass, Reference, penalty
from models.run import Lesson, Observation
from models.spec import Spec

Arrays = dict[str, Any]
FLOAT64_EPS_RATIO = float(np.finfo(np.float64).eps / np.finfo(np.float32).eps)


ROUNDINGS = 6
"""How many float32 passes, each summing in an order of its own, measure what rounding costs. Where few samples carry the
gradient (saturated logits) a single pass is one draw of |N(0, 1)| and may be small by luck; a framework's error over the rms
of six then follows Student's t with 6 degrees of freedom, which exceeds 10 once in 20,000."""


@dataclass
class Answer:
    """The reference on one network's lessons: `exact` in float64, `rounded` in float32, several passes each."""

    lessons: list[Lesson]
    exact: list[Pass]
    rounded: list[list[Pass]]


def answer(spec: Spec, lessons: list[Lesson]) -> Answer:
    """Run the reference on every lesson: once exactly, several times rounded."""
    with np.errstate(all="ignore"):  # a network that explodes may leave float32's range; the checks see that
        exact = [Reference(spec, lesson.weights).run(lesson.x, lesson.labels) for lesson in lessons]
        rounded = [
            [Reference(spec, lesson.weights, np.float32, order).run(lesson.x, lesson.labels) for order in range(ROUNDINGS)]
            for lesson in lessons
        ]
    return Answer(lessons, exact, rounded)


def rms_error(exact: Any, rounded: list[Any]) -> float:
    """Root mean square over passes of ‖rounded − exact‖."""
    return float(np.sqrt(np.mean([np.linalg.norm(each - exact) ** 2 for each in rounded])))


@dataclass
class Run:
    """One network on one backend, seen and answered, with its baseline; checks read it and nothing else.

    `network` is the id it was asked for by; `spec` has the backend's own default initializer filled in. `held_out` are the samples
    and labels that decide an accuracy; `draws` are layers filled by the framework's initializer, `curves` its activation's values and
    slopes by precision, where a check asks for them.
    """

    network: str
    spec: Spec
    backend: str
    seen: Observation
    answer: Answer
    baseline: Baseline | None = None
    data: str = "digits"
    held_out: tuple[Any, Any] = ((), ())
    draws: Any = None
    curves: dict[str, tuple[Any, Any]] = field(default_factory=dict)

    @property
    def dialect(self) -> str:
        """Whose documented rules hold: `torch` or `keras`, whatever Keras runs on."""
        return self.backend.partition("-")[0]

    @property
    def resolution(self) -> float:
        """What float32 rounding errors are multiplied with for this network's own precision."""
        return 1.0 if self.spec.precision == "float32" else FLOAT64_EPS_RATIO

    @property
    def unit(self) -> float:
        """Unit roundoff of the network's precision."""
        return float(np.finfo(self.spec.precision).eps) / 2

    @cached_property
    def penalties(self) -> list[tuple[float, Arrays]]:
        """What an L2 penalty adds to loss and raw gradient in each lesson: in Keras, nowhere else."""
        if self.dialect != "keras" or not self.spec.l2:
            return [(0.0, {})] * len(self.answer.lessons)
        return [penalty(self.spec, lesson.weights) for lesson in self.answer.lessons]
