"""Duets of users' own models: what is proved before the clock runs.

What a model computes is judged by `pytest --model` and by `versions`, each side against its own float64 twin. A duet proves that both
sides do the same work.
"""

from __future__ import annotations

import numpy as np

from bench.timing.steps import NotTheSameError
from models.arrays import Arrays


def check_alike(case: str, sides: list[Arrays]) -> None:
    """Both sides learn parameters of the same shapes, all finite after the first steps. Names may differ between releases.

    Raises NotTheSameError.
    """
    for name, weights in zip("AB", sides, strict=True):
        if broken := [key for key, w in weights.items() if not np.isfinite(w).all()]:
            raise NotTheSameError(f"{case} is not timed: after its first steps {broken[0]} of side {name} is no finite number.")
    shapes = [sorted(np.shape(w) for w in weights.values()) for weights in sides]
    if shapes[0] != shapes[1]:
        only = [[shape for shape in one if one.count(shape) > other.count(shape)] for one, other in (shapes, shapes[::-1])]
        raise NotTheSameError(f"{case} is not timed: parameters of shapes {only[0]} are of side A alone, {only[1]} of side B.")
