"""What a check is given: what a framework did, and what the reference says it should have done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from bench.baseline import Baseline
from bench.judge import NotJudged
from models.on_numpy import Pass, Reference, penalty
from models.run import Lesson, Observation, Signals, Training
from models.spec import Spec

Arrays = dict[str, Any]
FLOAT64_EPS_RATIO = float(np.finfo(np.float64).eps / np.finfo(np.float32).eps)


DIALECTS = ("torch", "keras")
EAGER = ("torch", "keras-torch")
"""Backends whose training step is not compiled."""
FUSED = ("keras-jax",)
"""Backends whose steps are compiled as a whole: other sums and fusions than in the pass that is watched, so that in every precision
the two round as two frameworks would."""
REWRITTEN = {"keras": ("gelu", "gelu_tanh"), "keras-tensorflow": ("gelu", "gelu_tanh")}
"""Activations that a backend computes otherwise in a compiled step: TensorFlow's graph optimizer puts an operation of its own in place of
those that GELU consists of, whose values and slopes are 1e-7 away from them."""
ROUNDINGS = 6
"""How many float32 passes, each summing in an order of its own, measure what rounding costs. Where few samples carry the
gradient (saturated logits) a single pass is one draw of |N(0, 1)| and may be small by luck; a framework's error over the rms
of six then follows Student's t with 6 degrees of freedom, which exceeds 10 once in 20,000."""


@dataclass
class Answer:
    """The reference on one network's lessons: `exact` in float64, `rounded` in the spec's precision (float32 for float64)."""

    lessons: list[Lesson]
    exact: list[Pass]
    rounded: list[list[Pass]]
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What follows from the lessons alone: computed for the first backend that is judged by it, kept for the others."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]


def answer(spec: Spec, lessons: list[Lesson]) -> Answer:
    """Run the reference on every lesson: once exactly, several times rounded."""
    with np.errstate(all="ignore"):  # a network that explodes may leave float32's range; the checks see that
        exact = [Reference(spec, lesson.weights).run(lesson.x, lesson.labels) for lesson in lessons]
        rounded = [[each.run(lesson.x, lesson.labels) for each in roundings(spec, lesson.weights)] for lesson in lessons]
    return Answer(lessons, exact, rounded)


def roundings(spec: Spec, weights: Arrays) -> list[Reference]:
    """References that round as the spec's precision does, each in an order of its own, by turns as PyTorch and as Keras documents it."""
    return [Reference(spec, weights, np.float32, order, DIALECTS[order % 2]) for order in range(ROUNDINGS)]


def rms_error(exact: Any, rounded: list[Any]) -> float:
    """Root mean square over passes of ‖rounded − exact‖."""
    return float(np.sqrt(np.mean([np.linalg.norm(each - exact) ** 2 for each in rounded])))


@dataclass
class Run:
    """One network on one backend, seen and answered, with its baseline; checks read it and nothing else.

    `network` is the id it was asked for by; `spec` has the backend's own default initializer filled in. `held_out` are the samples
    and labels that decide an accuracy; `draws` are layers filled by the framework's initializer, `curves` its activation's values and
    slopes by precision, where a check asks for them; `start` tells where the free run of a seed began.
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
    start: Callable[[int], Training] | None = None

    @property
    def dialect(self) -> str:
        """Whose documented rules hold: `torch` or `keras`, whatever Keras runs on."""
        return self.backend.partition("-")[0]

    @property
    def resolution(self) -> float:
        """What the rounding errors of the reference's passes are multiplied with for this network's own precision."""
        return FLOAT64_EPS_RATIO if self.spec.precision == "float64" else 1.0

    @property
    def unit(self) -> float:
        """Unit roundoff of what is held: parameters, loss, parameter gradients."""
        return float(np.finfo(self.spec.format.held).eps) / 2

    @property
    def result_unit(self) -> float:
        """Unit roundoff of what layers compute."""
        return max(self.spec.format.operands.unit, self.spec.format.results.unit)

    @cached_property
    def passes(self) -> list[tuple[str, Signals, Pass, list[Pass]]]:
        """Title, what was seen, the float64 answer and the rounded ones, of every pass whose signals were seen.

        Where layers round to less than float32, rounding in one layer puts units of the next on the other side of their kink and turns
        gradients by a quarter within 16 layers; so there every layer is answered on what it was fed (`Reference.run`'s `given`).
        """
        if self.spec.format.plain:
            return [("drawn", self.seen.drawn, self.answer.exact[0], self.answer.rounded[0])]  # type: ignore[list-item]
        found = []
        for number, (step, lesson) in enumerate(zip(self.seen.lessons, self.answer.lessons, strict=True)):
            seen = step.passed or self.seen.drawn
            assert seen
            with np.errstate(all="ignore"):
                exact = Reference(self.spec, lesson.weights).run(lesson.x, lesson.labels, seen)
                near = [each.run(lesson.x, lesson.labels, seen) for each in roundings(self.spec, lesson.weights)]
            found.append((f"step {number}", seen, exact, near))
        return found

    @property
    def apart(self) -> bool:
        """Whether gradients and the signals beside them are of two executions that round on their own."""
        return self.backend in FUSED or self.spec.act in REWRITTEN.get(self.backend, ())

    @property
    def watches_the_step(self) -> bool:
        """Whether the training step rounds as the pass that is watched does.

        Where Keras compiles the two on their own, a value may be rounded the other way in one of them. In half precision each
        normalization hands that on to other values: with JAX, batch normalization and 16 layers, gradients were off by 15 %.
        """
        return self.spec.format.plain or self.spec.norm == "none" or self.backend in EAGER

    def refuse_unwatched(self) -> None:
        """Refuse to judge a step by a pass that was not the step's own."""
        if not self.watches_the_step:
            raise NotJudged(
                f"compiled, {self.backend} does not round this step as the pass that is watched, and normalizations in half precision "
                "spread that: judge it with precision=float32, or on keras-torch"
            )

    @property
    def steps(self) -> list[tuple[Pass, list[Pass]]]:
        """The float64 answer and the rounded ones to every lesson's gradients."""
        if self.spec.format.plain:
            return list(zip(self.answer.exact, self.answer.rounded, strict=True))
        return [(exact, near) for _, _, exact, near in self.passes]

    @cached_property
    def penalties(self) -> list[tuple[float, Arrays]]:
        """What an L2 penalty adds to loss and raw gradient in each lesson: in Keras, nowhere else."""
        if self.dialect != "keras" or not self.spec.l2:
            return [(0.0, {})] * len(self.answer.lessons)
        return [penalty(self.spec, lesson.weights) for lesson in self.answer.lessons]
