"""The reference on one network's teacher-forced steps: exact in float64, and rounded several times."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, TypeVar

import numpy as np

from models.arrays import Array
from models.backends.registry import CONVENTIONS
from models.observation import Arrays, ForcedStep
from models.reference.network import Pass, Reference
from models.spec import Spec

ROUNDINGS = 6
"""How many float32 passes, each summing in an order of its own, measure what rounding costs. Where few samples carry the
gradient (saturated logits) a single pass is one draw of |N(0, 1)| and may be small by luck; a framework's error over the rms
of six then follows Student's t with 6 degrees of freedom, which exceeds 10 once in 20,000."""

EXCESS_FROM = ROUNDINGS // 2
"""The order from which on passes keep float32 between products, where a compiler may: half of them.

XLA drops a conversion to half precision and back between the operations that it compiles together (`xla_allow_excess_precision`, which
is on; openxla/xla #41605). Operands and results of products are tensors in half precision and stay rounded, and so is whatever is seen. A
layer was then fed any number that rounds to the one that was seen, off by up to half a unit, which these passes draw. It stands in the
place of the roundings after each operation up to the next product. A compiler leaves out all, some or none of them, and independent
errors add up by their squares, so that its error lies between those of both kinds. The rms of passes of both kinds is between 1/√2 of
the larger error and that error: ten times it admits either kind, as with TF32's two kinds of operands
(`models.reference.arithmetic.CUT_FROM`).
"""

Kept = TypeVar("Kept")


@dataclass
class ReferenceResult:
    """The reference on the teacher-forced steps of one network, computed when it is first read."""

    spec: Spec
    forced_steps: list[ForcedStep]
    _kept: dict[Hashable, Any] = field(default_factory=dict, repr=False)

    @cached_property
    def exact(self) -> list[Pass]:
        """Every step's pass in float64."""
        with np.errstate(all="ignore"):  # a network that explodes may leave the range of numbers; the checks see that
            return [Reference(self.spec, step.weights).run(step.x, step.labels) for step in self.forced_steps]

    @cached_property
    def rounded(self) -> list[list[Pass]]:
        """Every step's passes in the spec's precision (float32 for float64), each summing in an order of its own."""
        with np.errstate(all="ignore"):
            return [[each.run(step.x, step.labels) for each in roundings(self.spec, step.weights)] for step in self.forced_steps]

    def once(self, key: Hashable, compute: Callable[[], Kept]) -> Kept:
        """What follows from the steps alone: computed for the first backend that is judged by it, kept for the others."""
        if key not in self._kept:
            self._kept[key] = compute()
        return self._kept[key]


def roundings(spec: Spec, weights: Arrays, excess: bool = False) -> list[Reference]:
    """References that round as the spec's precision does, each in an order of its own, as PyTorch and as Keras documents it alternately.

    With `excess` the last half of them (`EXCESS_FROM`) leave out what a compiler may.
    """
    return [
        Reference(spec, weights, np.float32, order, CONVENTIONS[order % len(CONVENTIONS)], excess and order >= EXCESS_FROM)
        for order in range(ROUNDINGS)
    ]


ONE_ROUNDING = 12**-0.5
"""Rms error of rounding a number to nearest once, in unit roundoffs, for the numbers of a binade that it changes least."""


def rms_error(exact: Array, rounded: Sequence[Array]) -> float:
    """Root mean square over passes of ‖rounded − exact‖."""
    return float(np.sqrt(np.mean([np.linalg.norm(each - exact) ** 2 for each in rounded])))
