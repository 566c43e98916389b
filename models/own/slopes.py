"""Derivatives of a twin's loss by differences, beside those by its gradient: what a wrong formula in a backward pass does not survive."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping

import numpy as np

from models.arrays import Array
from models.own.observation import Slope
from models.own.passes import norm

STEP = 1e-4
"""How far a parameter moves at first, as a share of its length; then half as far."""
SHORTER = 16.0
"""How many times shorter steps are taken where the first ones do not tell: a loss may bend, or reach a kink, within them."""
ROUGH = 1e-3
"""From this share of a slope its own error leaves it unsure."""
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


class Along(Mapping[str, Array]):
    """Gradients times a number each: the moves of parameters, made one at a time, since a model may have a hundred million."""

    def __init__(self, gradients: Mapping[str, Array], factors: Mapping[str, float], step: float = 1.0) -> None:
        """The moves of those that have a factor, times `step`."""
        self._gradients, self._factors, self._step = gradients, factors, step

    def times(self, step: float) -> Along:
        """The same moves, so many times as far."""
        return Along(self._gradients, self._factors, step * self._step)

    def __getitem__(self, name: str) -> Array:
        """One move."""
        return self._gradients[name] * (self._factors[name] * self._step)

    def __iter__(self) -> Iterator[str]:
        """Names of what is moved."""
        return iter(self._factors)

    def __len__(self) -> int:
        """How many are moved."""
        return len(self._factors)


def slopes(
    loss_at: Callable[[Mapping[str, Array]], float],
    gradients: Mapping[str, Array],
    lengths: Mapping[str, float],
    constants: float = 0.0,
    rounding: float = 0.0,
) -> list[Slope]:
    """One slope a parameter of which a length is given, or a group of parameters where there is no time for each.

    `constants` are off by this share. `rounding` is what float64 costs the loss, where its terms cancel and one unit of it says too little.
    """
    names = [name for name, g in gradients.items() if name in lengths and norm(g) > 0]
    if not names:
        return []
    begun = time.process_time()
    left = lambda seconds: time.process_time() - begun < seconds  # noqa: E731
    loss = loss_at({})
    groups = max(1, min(len(names), int(SECONDS / (4 * max(time.process_time() - begun, 1e-4)))))
    found, open_groups = [], [names[n::groups] for n in range(groups)]
    while open_groups:
        group = open_groups.pop(0)
        sizes = {name: norm(gradients[name]) for name in group}
        way = Along(gradients, {name: (lengths[name] or 1.0) / size for name, size in sizes.items()})
        expected = float(sum((lengths[name] or 1.0) * size for name, size in sizes.items()))
        step, unit = STEP, max(EPS * abs(loss), rounding)
        best, error = _difference(loss_at, way, step, loss, unit)
        while (contradicts := (apart := abs(best - expected)) > 10 * error + constants * abs(expected)) or error > ROUGH * abs(expected):
            step /= SHORTER
            tells = 8 * unit / step < max(error, apart / 10) / 2  # which rounding no longer does where steps are too short
            if not tells or not left(SECONDS + MORE_SECONDS if contradicts else SECONDS):
                break
            shorter, its_error = _difference(loss_at, way, step, loss, unit)
            if not contradicts and its_error > error / 2:
                break  # a kink just here
            settled = abs(shorter - best) < ROUGH * abs(shorter) and its_error < apart / 10
            best, error = shorter, its_error
            if settled:
                break
        seen = Slope(group, expected, best, error + constants * abs(expected))
        wrong = apart > max(10 * seen.error, WRONG * abs(expected) / len(group))
        if wrong and len(group) > 1 and left(SECONDS + MORE_SECONDS):
            open_groups[:0] = [group[::2], group[1::2]]  # a wrong one is named before the next group is looked at
        else:
            found.append(seen)
    return found


def _difference(
    loss_at: Callable[[Mapping[str, Array]], float], way: Along, step: float, loss: float, rounding: float
) -> tuple[float, float]:
    """Central differences at a step and half of it, extrapolated, and their error.

    This is how far the finer one was moved, half of what the slope jumps by here, and the loss's own rounding. Where the slope is the same
    on both sides, what the two sides differ by halves with the step.
    """
    central, sides = [], []
    for h in (step, step / 2):
        above, below = (loss_at(way.times(sign * h)) for sign in (1, -1))
        central.append((above - below) / (2 * h))
        sides.append((above - 2 * loss + below) / h)
    best = (4 * central[1] - central[0]) / 3
    jump = abs(2 * sides[1] - sides[0])
    return best, abs(best - central[1]) + jump / 2 + 8 * rounding / step
