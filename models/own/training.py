"""Trainings of a user's own model: what is asked, and what comes back of each seed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from models.arrays import Array, Arrays
from models.own.address import OwnModel
from models.own.gauge import OwnError


@dataclass
class OwnTraining:
    """Train a model once for each seed on all its data; `moved` also from weights moved by one unit in the last place."""

    model: OwnModel
    seeds: list[int]
    moved: bool = False
    device: str = "cpu"


@dataclass
class OwnHistory:
    """One training: its loss at every step, ‖∂L/∂w‖ of every parameter (steps × parameters), and the user's metric afterwards.

    `moved` says that it began one unit in the last place away. Without a metric, `score` is NaN.
    """

    seed: int
    losses: list[float]
    gradient_norms: Array
    names: list[str] = field(default_factory=list)
    score: float = float("nan")
    moved: bool = False


def batches(data: Iterable[Any] | None, model: str) -> Iterator[Any]:
    """The batches of one training. Raises OwnError for data that can be gone through once only."""
    assert data is not None, "a model is trained where it has data"
    if iter(data) is data:
        raise OwnError(f"{model} returns data that can be gone through once: return a list or a loader, which every seed begins anew.")
    return iter(data)


def nudged(weights: Arrays, seed: int) -> Arrays:
    """The weights, each moved by one unit in the last place, up or down: another rounding of the same start. Whole numbers stay."""
    generator = np.random.default_rng([seed, 2])
    ways = {name: generator.integers(0, 2, w.shape) for name, w in weights.items()}
    real = {name: w for name, w in weights.items() if np.issubdtype(w.dtype, np.floating)}
    return weights | {name: np.nextafter(w, np.where(ways[name] > 0, np.inf, -np.inf).astype(w.dtype)) for name, w in real.items()}


def share(value: Any, model: str) -> float:
    """What the user's metric gave. Raises OwnError where it is no share."""
    number = float(value)
    if not 0 <= number <= 1:
        raise OwnError(f"the metric of {model} is {number:g}: return a share between 0 and 1, such as an accuracy.")
    return number
