"""Derivatives of a twin's loss by differences, beside those by its gradient: what a wrong formula in a backward pass does not survive."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from models.arrays import Arrays
from models.own.observation import Slope
from models.own.passes import norm

STEP = 1e-4
"""How far a parameter moves at first, as a share of its length; then half as far."""
SECONDS, MORE_SECONDS = 5.0, 20.0
"""Processor time that differences may take, and that more of them may, to name the wrong parameter of a group. A model that takes longer
has its parameters moved several at a time."""
WRONG = 1e-3
"""From this share of a slope a group of parameters is halved, as often as there is time."""
EPS = float(np.finfo(np.float64).eps)


def slopes(loss_at: Callable[[Arrays], float], gradients: Arrays, weights: Arrays) -> list[Slope]:
    """One slope a parameter, or a group of parameters where there is no time for each."""
    names = [name for name, g in gradients.items() if norm(g) > 0]
    if not names:
        return []
    begun = time.process_time()
    loss = loss_at({})
    groups = max(1, min(len(names), int(SECONDS / (4 * max(time.process_time() - begun, 1e-4)))))
    found, open_groups = [], [names[n::groups] for n in range(groups)]
    while open_groups:
        group = open_groups.pop(0)
        seen = _slope(loss_at, gradients, weights, group, loss)
        apart = abs(seen.by_difference - seen.by_gradient)
        wrong = apart > max(10 * seen.error, WRONG * abs(seen.by_gradient) / len(group))
        if wrong and len(group) > 1 and time.process_time() - begun < SECONDS + MORE_SECONDS:
            open_groups[:0] = [group[::2], group[1::2]]  # a wrong one is named before the next group is looked at
        else:
            found.append(seen)
    return found


def _slope(loss_at: Callable[[Arrays], float], gradients: Arrays, weights: Arrays, names: list[str], loss: float) -> Slope:
    """Central differences at two steps, extrapolated; their error is how far this moved the finer one, and the loss's own rounding."""
    way = {name: gradients[name] * ((norm(weights[name]) or 1.0) / norm(gradients[name])) for name in names}
    expected = sum(float(np.sum(gradients[name] * v)) for name, v in way.items())
    coarse, fine = (
        (loss_at({name: h * v for name, v in way.items()}) - loss_at({name: -h * v for name, v in way.items()})) / (2 * h)
        for h in (STEP, STEP / 2)
    )
    best = (4 * fine - coarse) / 3
    return Slope(names, expected, best, abs(best - fine) + 8 * EPS * abs(loss) / STEP)
