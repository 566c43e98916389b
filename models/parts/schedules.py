"""Learning-rate schedules: the factor of each step by its closed formula, and how each framework is asked for it.

They are short, so that single steps see their edges: warm-up ends at step `UP`, a span is `SPAN` steps, and a network takes seven steps.
Sources: torch.optim.lr_scheduler and keras.optimizers.schedules; Loshchilov & Hutter 2017 (cosine, restarts), Smith & Topin 2019
(one cycle), Smith 2017 (cyclic).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from models.parts import Namespace, Native

UP, SPAN, STEPS = 2, 4, 7
LOW, FALL = 0.1, 0.5
"""Where rates begin and end, and what a stair takes, as shares of the learning rate."""
DRAWN = 0.83, 0.21, 1.64, 0.37, 1.19, 0.56, 1.72, 0.94
"""A schedule that was drawn at random between 0 and 2."""
ONE_CYCLE = STEPS + 1
"""Steps of the one cycle, the last of which no network takes: PyTorch's schedule looks one step ahead, and refuses to look past its end."""


@dataclass(frozen=True)
class Schedule:
    """`factor(t, conventions)` of the learning rate at step t from 0; what a framework does not have is None.

    `torch` makes a scheduler of an optimizer and its rate, `keras` a schedule of the rate. `cancels` says that the formula takes numbers as
    large as the full rate from one another, so that what they round is left of a small rate.
    """

    factor: Callable[[int, str], float]
    torch: Callable[[Namespace, Native, float], Native] | None
    keras: Callable[[Namespace, float], Native] | None
    cancels: bool = False


def _cosine(share: float, high: float = 1.0, low: float = 0.0) -> float:
    return low + (high - low) * (1 + math.cos(math.pi * share)) / 2


def _after(t: int, span: int, conventions: str) -> float:
    """The share of a cosine's way: Keras stays at its end, PyTorch rises again."""
    return t / span if conventions == "torch" else min(t / span, 1)


def _restarted(t: int) -> float:
    period = UP
    while t >= period:
        t, period = t - period, 2 * period
    return _cosine(t / period)


def _one_cycle(t: int) -> float:
    top = 0.3 * ONE_CYCLE - 1
    if t <= top:
        return _cosine(t / top, 1 / 25, 1.0)
    return _cosine((t - top) / (ONE_CYCLE - 1 - top), 1.0, 1 / 25 / 1e4)


def _warm(t: int) -> float:
    return LOW + (1 - LOW) * min(t, UP) / UP


SCHEDULES: dict[str, Schedule] = {
    "constant": Schedule(lambda t, _: 1.0, lambda lr, o, rate: lr.LambdaLR(o, lambda t: 1.0), lambda s, rate: rate),
    "cosine": Schedule(
        lambda t, who: _cosine(_after(t, SPAN, who), low=LOW),
        lambda lr, o, rate: lr.CosineAnnealingLR(o, SPAN, LOW * rate),
        lambda s, rate: s.CosineDecay(rate, SPAN, alpha=LOW),
        cancels=True,
    ),
    "warm_cosine": Schedule(
        lambda t, who: _warm(t) if t < UP else _cosine(_after(t - UP, SPAN, who)),
        lambda lr, o, rate: lr.SequentialLR(o, [lr.LinearLR(o, LOW, total_iters=UP), lr.CosineAnnealingLR(o, SPAN)], [UP]),
        lambda s, rate: s.CosineDecay(LOW * rate, SPAN, warmup_target=rate, warmup_steps=UP),
        cancels=True,
    ),
    "restarts": Schedule(
        lambda t, _: _restarted(t),
        lambda lr, o, rate: lr.CosineAnnealingWarmRestarts(o, UP, 2),
        lambda s, rate: s.CosineDecayRestarts(rate, UP),
        cancels=True,
    ),
    "exponential": Schedule(
        lambda t, _: FALL**t, lambda lr, o, rate: lr.ExponentialLR(o, FALL), lambda s, rate: s.ExponentialDecay(rate, 1, FALL)
    ),
    "stairs": Schedule(
        lambda t, _: FALL ** (t // UP),
        lambda lr, o, rate: lr.StepLR(o, UP, FALL),
        lambda s, rate: s.ExponentialDecay(rate, UP, FALL, staircase=True),
    ),
    "milestones": Schedule(
        lambda t, _: FALL ** ((t >= 1) + (t >= SPAN)),
        lambda lr, o, rate: lr.MultiStepLR(o, [1, SPAN], FALL),
        lambda s, rate: s.PiecewiseConstantDecay([0, SPAN - 1], [rate, FALL * rate, FALL**2 * rate]),  # a boundary is its piece's last step
    ),
    "polynomial": Schedule(
        lambda t, _: (1 - min(t / SPAN, 1)) ** 2,
        lambda lr, o, rate: lr.PolynomialLR(o, SPAN, 2.0),
        lambda s, rate: s.PolynomialDecay(rate, SPAN, 0.0, 2.0),
    ),
    "inverse_time": Schedule(
        lambda t, _: 1 / (1 + FALL * t),
        lambda lr, o, rate: lr.LambdaLR(o, lambda t: 1 / (1 + FALL * t)),
        lambda s, rate: s.InverseTimeDecay(rate, 1, FALL),
    ),
    "random": Schedule(
        lambda t, _: DRAWN[min(t, len(DRAWN) - 1)],
        lambda lr, o, rate: lr.LambdaLR(o, lambda t: DRAWN[min(t, len(DRAWN) - 1)]),
        lambda s, rate: s.PiecewiseConstantDecay(list(range(len(DRAWN) - 1)), [rate * drawn for drawn in DRAWN]),
    ),
    "one_cycle": Schedule(
        lambda t, _: _one_cycle(min(t, ONE_CYCLE - 1)),
        lambda lr, o, rate: lr.OneCycleLR(o, rate, ONE_CYCLE, cycle_momentum=False),
        keras=None,
        cancels=True,
    ),
    "cyclic": Schedule(
        lambda t, _: LOW + (1 - LOW) * (1 - abs(1 - t % (2 * UP) / UP)),
        lambda lr, o, rate: lr.CyclicLR(o, LOW * rate, rate, UP, cycle_momentum=False),
        keras=None,
    ),
}
