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
MOVE, FLAT_SHARE = 1e-6, 0.99
"""Every number of a user's function's input is moved by this share of itself. Where this share of its outputs stays, the function is flat:
others may have passed a step."""
CHOSEN = 0.05
"""A hook, or a function that changes nothing, which moves a gradient by more than this share of its length does so by its author's choice.
By less it is judged: nobody asks for a gradient that is slightly wrong."""
EPS = float(np.finfo(np.float64).eps)
FINER = EPS / float(np.finfo(np.float32).eps)
"""A rounding of float64 as a share of one of float32."""


def slopes(
    loss_at: Callable[[Arrays], float], gradients: Arrays, weights: Arrays, constants: float = 0.0, rounding: float = 0.0
) -> list[Slope]:
    """One slope a parameter, or a group of parameters where there is no time for each.

    `constants` are off by this share. `rounding` is what float64 costs the loss, where its terms cancel and one unit of it says too little.
    """
    names = [name for name, g in gradients.items() if norm(g) > 0]
    if not names:
        return []
    begun = time.process_time()
    loss = loss_at({})
    groups = max(1, min(len(names), int(SECONDS / (4 * max(time.process_time() - begun, 1e-4)))))
    found, open_groups = [], [names[n::groups] for n in range(groups)]
    while open_groups:
        group = open_groups.pop(0)
        seen = _slope(loss_at, gradients, weights, group, loss, max(EPS * abs(loss), rounding))
        seen.error += constants * abs(seen.by_gradient)
        apart = abs(seen.by_difference - seen.by_gradient)
        wrong = apart > max(10 * seen.error, WRONG * abs(seen.by_gradient) / len(group))
        if wrong and len(group) > 1 and time.process_time() - begun < SECONDS + MORE_SECONDS:
            open_groups[:0] = [group[::2], group[1::2]]  # a wrong one is named before the next group is looked at
        else:
            found.append(seen)
    return found


def _slope(loss_at: Callable[[Arrays], float], gradients: Arrays, weights: Arrays, names: list[str], loss: float, rounding: float) -> Slope:
    """Central differences at two steps, extrapolated.

    Their error is how far this moved the finer one, half of what the slope jumps by here, and the loss's own rounding. Where the slope is
    the same on both sides, what the two sides differ by halves with the step.
    """
    way = {name: gradients[name] * ((norm(weights[name]) or 1.0) / norm(gradients[name])) for name in names}
    expected = sum(float(np.sum(gradients[name] * v)) for name, v in way.items())
    central, sides = [], []
    for h in (STEP, STEP / 2):
        above, below = (loss_at({name: sign * h * v for name, v in way.items()}) for sign in (1, -1))
        central.append((above - below) / (2 * h))
        sides.append((above - 2 * loss + below) / h)
    best = (4 * central[1] - central[0]) / 3
    jump = abs(2 * sides[1] - sides[0])
    return Slope(names, expected, best, abs(best - central[1]) + jump / 2 + 8 * rounding / STEP)
