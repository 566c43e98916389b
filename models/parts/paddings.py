"""How images are padded before a window moves over them: how many rows and columns on each side, and with what.

With a stride, frameworks mean two things by "same": PyTorch's `padding=(k − 1)/2` adds as much on both sides, Keras's `padding="same"`
as much as the windows need, and the odd one at the end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Padding:
    """`pads(size, reach, stride)` says how many rows (and columns) are added before and behind; they `wrap` around, or are zeros."""

    pads: Callable[[int, int, int], tuple[int, int]]
    wrap: bool = False


def _even(size: int, reach: int, stride: int) -> tuple[int, int]:
    return (reach - 1) // 2, reach // 2


def _at_end(size: int, reach: int, stride: int) -> tuple[int, int]:
    lacking = max((-(-size // stride) - 1) * stride + reach - size, 0)
    return lacking // 2, lacking - lacking // 2


PADDINGS: dict[str, Padding] = {
    "same": Padding(_even),
    "same_at_end": Padding(_at_end),
    "valid": Padding(lambda size, reach, stride: (0, 0)),
    "circular": Padding(_even, wrap=True),
}


def size_after(size: int, reach: int, stride: int, padding: str) -> int:
    """How many places the window takes along an image of this size; below 1 where it does not fit."""
    return (size + sum(PADDINGS[padding].pads(size, reach, stride)) - reach) // stride + 1
