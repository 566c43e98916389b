"""The reference on one network's teacher-forced steps: exact in float64, and rounded several times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.observation import Arrays, ForcedStep
from models.reference.network import Pass, Reference
from models.spec import Spec

DIALECTS = ("torch", "keras")
ROUNDINGS = 6
"""How many float32 passes, each summing in an order of its own, measure what rounding costs. Where few samples carry the
gradient (saturated logits) a single pass is one draw of |N(0, 1)| and may be small by luck; a framework's error over the rms
of six then follows Student's t with 6 degrees of freedom, which exceeds 10 once in 20,000."""


@dataclass
class ReferenceResult:
    """The reference on one network's lessons: `exact` in float64, `rounded` in the spec's precision (float32 for float64)."""

    forced_steps: list[ForcedStep]
    exact: list[Pass]
    rounded: list[list[Pass]]
    _kept: dict[Any, Any] = field(default_factory=dict, repr=False)

    def once(self, key: Any, compute: Callable[[], Any]) -> Any:
        """What follows from the lessons alone: computed for the first backend that is judged by it, kept for the others."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]


def solve(spec: Spec, forced_steps: list[ForcedStep]) -> ReferenceResult:
    """Run the reference on every lesson: once exactly, several times rounded."""
    with np.errstate(all="ignore"):  # a network that explodes may leave float32's range; the checks see that
        exact = [Reference(spec, forced_step.weights).run(forced_step.x, forced_step.labels) for forced_step in forced_steps]
        rounded = [
            [each.run(forced_step.x, forced_step.labels) for each in roundings(spec, forced_step.weights)] for forced_step in forced_steps
        ]
    return ReferenceResult(forced_steps, exact, rounded)


def roundings(spec: Spec, weights: Arrays) -> list[Reference]:
    """References that round as the spec's precision does, each in an order of its own, by turns as PyTorch and as Keras documents it."""
    return [Reference(spec, weights, np.float32, order, DIALECTS[order % 2]) for order in range(ROUNDINGS)]


def rms_error(exact: Any, rounded: list[Any]) -> float:
    """Root mean square over passes of ‖rounded − exact‖."""
    return float(np.sqrt(np.mean([np.linalg.norm(each - exact) ** 2 for each in rounded])))
