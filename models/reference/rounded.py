"""Arrays of which every operation rounds its result to half precision, as frameworks do between operations.

Sums and products of matrices add up in float32 and round once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.arrays import Array
from models.parts.precisions import BFLOAT16, FLOAT16, Format


class Rounded(np.ndarray):
    """float32 numbers that `format` holds; what is computed of them is rounded to it."""

    format: Format
    __array_priority__ = 1.0
    """What is joined of them is of their kind."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> Any:
        """What the function gives in float32, rounded; truth values as they are."""
        result = getattr(ufunc, method)(*(each.view(np.ndarray) if isinstance(each, Rounded) else each for each in inputs), **options)
        return rounded(self.format, result) if result.dtype.kind == "f" else result


class Bfloat16(Rounded):
    """Numbers of eight digits."""

    format = BFLOAT16


class Float16(Rounded):
    """Numbers of eleven digits, none over 65,504."""

    format = FLOAT16


KINDS = {kind.format: kind for kind in (Bfloat16, Float16)}


def rounded(format_: Format, x: Array) -> Rounded:
    """x rounded to the nearest of a half format's numbers."""
    return format_.rounded(np.asarray(x)).view(KINDS[format_])
