"""What a framework is asked beside training a network: points of an activation, draws of an initializer, steps that overflow."""

from __future__ import annotations

import numpy as np

from models.arrays import Points
from models.observation import ForcedStep
from models.parts.activations import ACTIVATIONS
from models.spec import Spec

FAR = 1e4
"""Largest input of an activation: its cube, which the tanh form of GELU takes, is still a float32."""
KINKS = tuple(sorted({0.0, *(kink for row in ACTIVATIONS.values() for kink in row.kinks)}))
"""Zero, and every point at which some activation bends."""
FAN_IN, FAN_OUT, DRAWS, SEEDS = 1200, 800, 2, (0, 1)
"""A rectangular layer, so that every fan mode gives another variance; 3.8 million weights find 1 % of variance at 10 sd."""
OVERFLOWS = (False, False, False, True, False, False, True, True, False)
"""Which scaled steps overflow: the first pair grows, a good step before an overflow must not count after it, the scale falls twice."""
TOO_LARGE = 1e8
"""The largest input of a step that overflows: beyond float16's 65,504."""


def regions() -> dict[str, Points]:
    """Points (float64, exact in float32) of an activation by where they lie."""
    tail, middle = np.geomspace(12, FAR, 400), np.linspace(1, 12, 2000)
    near, tiny = np.linspace(1e-3, 1, 1000), np.geomspace(1e-30, 1e-3, 500)
    sides = {"far": tail, "middle": middle, "near": near, "tiny": tiny}
    points = {f"{name} {side}": sign * x for name, x in sides.items() for side, sign in (("negative", -1), ("positive", 1))}
    return {name: np.sort(x).astype(np.float32).astype(np.float64) for name, x in points.items()}


def points() -> Points:
    """All points of all regions, and those of `KINKS`."""
    return np.concatenate([*regions().values(), KINKS])


def is_activation_case(spec: Spec) -> bool:
    """Whether nothing but the activation moved, so that each is judged once."""
    usual = Spec()
    return spec.arch.layered and spec.but(act=usual.arch.act, lr=usual.lr, classes=usual.classes, features=usual.features) == usual


def is_initializer_case(spec: Spec) -> bool:
    """Whether only the initializer moved, so that each is judged once."""
    return spec.but(init=Spec().init, bias="zero", classes=10, features=64) == Spec()


def scaled_steps(spec: Spec, forced_steps: list[ForcedStep]) -> list[ForcedStep]:
    """The steps to take where the loss is scaled: the first forced step again and again, some with inputs that overflow."""
    if not spec.format.scaled:
        return []
    first = forced_steps[0]
    large = ForcedStep(first.weights, first.x * first.x.dtype.type(TOO_LARGE / np.abs(first.x).max()), first.labels)
    return [large if overflows else first for overflows in OVERFLOWS]
