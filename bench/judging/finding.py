"""A finding: one number, and the interval that admits it."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.judging.place import Place


@dataclass(frozen=True)
class Scale:
    """To and from the scale on which a number's spread is even; both take and give numbers or arrays."""

    forward: Callable[[Any], Any]  # a function of numbers and of arrays alike, which no signature says
    backward: Callable[[Any], Any]


NUDGE = 1e-3
"""Keeps the logit of an accuracy of 0 or 1 finite: about half a test sample."""
SCALES = {
    "linear": Scale(lambda x: x, lambda x: x),
    "log": Scale(np.log, np.exp),
    "logit": Scale(lambda p: np.log((p + NUDGE) / (1 - p + NUDGE)), lambda x: (1 + 2 * NUDGE) / (1 + np.exp(-x)) - NUDGE),
}


@dataclass(frozen=True)
class Cause:
    """Why gradients vanish, explode or are lost: one word, a sentence with numbers, and remedies, the most effective first."""

    word: str
    sentence: str
    remedies: tuple[str, ...] = ()

    def lines(self) -> list[str]:
        """The cause on one line, each remedy on one of its own."""
        return [f"{self.word}: {self.sentence}", *(f"  remedy {n}: {remedy}" for n, remedy in enumerate(self.remedies, 1))]


@dataclass(frozen=True)
class Finding:
    """One number and what it may be: the `place` where it was seen, `low <= value <= high`, `note` on what an outlier looks like.

    `scale` names the scale of SCALES on which the interval is even, and its room is measured. `remark` is said after the place.
    `causes` are what may be wrong with the network, the gravest first.
    """

    place: Place
    value: float
    low: float
    high: float
    note: str = ""
    scale: str = "linear"
    remark: str = ""
    causes: tuple[Cause, ...] = ()

    def __post_init__(self) -> None:
        """Plain floats, so that findings travel as JSON."""
        for name in ("value", "low", "high"):
            object.__setattr__(self, name, float(getattr(self, name)))

    @property
    def where(self) -> str:
        """The place in words, with the remark."""
        return f"{self.place} {self.remark}" if self.remark else str(self.place)

    @property
    def within(self) -> bool:
        """Whether the interval admits the value; NaN is never admitted."""
        return self.low <= self.value <= self.high

    @property
    def headroom(self) -> float:
        """Share of the way from the interval's middle (or from zero, if one-sided) to its nearest edge that is left."""
        if not self.within:
            return 0.0
        if self.low == self.high:
            return 1.0
        if self.bottomed:
            return 1 - self.low / self.value
        if self.one_sided:
            return 1 - self.value / self.high if self.high > 0 else 1.0
        low, value, high = self._on_scale()
        return min(value - low, high - value) / ((high - low) / 2)

    @property
    def exceedance(self) -> float:
        """How far outside, in interval half-widths (or multiples of a one-sided limit); infinite for NaN."""
        if math.isnan(self.value):
            return math.inf
        if self.within:
            return 0.0
        if self.bottomed:
            return self.low / self.value if self.value > 0 else math.inf
        if self.one_sided:
            return self.value / self.high if self.high > 0 else math.inf
        low, value, high = self._on_scale()
        half = (high - low) / 2
        return (low - value if value < low else value - high) / half if half > 0 else math.inf

    @property
    def one_sided(self) -> bool:
        """Whether only the upper edge can be crossed: an error, which is never negative."""
        return self.scale == "linear" and (self.low == 0 or math.isinf(self.low))

    @property
    def bottomed(self) -> bool:
        """Whether only a lower edge above zero can be crossed: something that must be there."""
        return self.low > 0 and math.isinf(self.high)

    def _on_scale(self) -> tuple[float, float, float]:
        forward = SCALES[self.scale].forward
        with np.errstate(all="ignore"):  # the log of a loss of zero is as far outside as can be
            return float(forward(self.low)), float(forward(self.value)), float(forward(self.high))
