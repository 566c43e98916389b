"""What a pass has decided, in a form that either framework's twin can be given: the sides of kinks, and the maxima of windows."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.arrays import Array


@dataclass
class Decisions:
    """Decisions of one pass, channels first.

    `sides` are arrays in the order of the backward pass: −1 left of a function's kinks, 0 between two of them, 1 right of all.
    `largest` are rows and columns (2 × N × C × H × W) of each maximum, in the image without padding, in the order of that pass, too.
    """

    sides: list[Array] = field(default_factory=list)
    largest: list[Array] = field(default_factory=list)

    def fit(self, other: Decisions) -> bool:
        """Whether the other pass decides at the same places, so that it can be given these."""
        pairs = ((self.sides, other.sides), (self.largest, other.largest))
        return all([x.size for x in ones] == [x.size for x in others] for ones, others in pairs)
