"""What a check is given: what a framework did, and what the reference says it should have done."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from bench.baseline import Baseline
from models.on_numpy import Pass, Reference, penalty
from models.run import Lesson, Observation
from models.spec import Spec

Arrays = dict[str, Any]
FLOAT64_EPS_RATIO = float(np.finfo(np.float64).eps / np.finfo(np.float32).eps)


@dataclass
class Answer:
    """The reference on one network's lessons: `exact` in float64, `rounded` in float32."""

    lessons: list[Lesson]
    exact: list[Pass]
    rounded: list[Pass]
    drawn: tuple[Pass, Pass]


def answer(spec: Spec, lessons: list[Lesson]) -> Answer:
    """Run the reference in both precisions on every lesson."""
    passes = {
        dtype: [Reference(spec, lesson.weights, dtype).run(lesson.x, lesson.labels) for lesson in lessons]
        for dtype in (np.float64, np.float32)
    }
    return Answer(lessons, passes[np.float64], passes[np.float32], (passes[np.float64][0], passes[np.float32][0]))


@dataclass
class Run:
    """One network on one backend, seen and answered, with its baseline; checks read it and nothing else.

    `network` is the id it was asked for by; `spec` has the backend's own default initializer filled in.
    """

    network: str
    spec: Spec
    backend: str
    seen: Observation
    answer: Answer
    baseline: Baseline | None = None
    data: str = "digits"
    draws: Any = None

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
