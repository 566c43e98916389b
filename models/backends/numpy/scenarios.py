"""Scenarios of the reference: a training loop with micro-batches and a schedule, and an optimizer that is handed gradients."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np

from models.arrays import Arrays, Batches, BatchLabels
from models.backends.registry import Absent
from models.reference.network import Reference
from models.reference.optimizers import Rule
from models.spec import Spec


def train(
    *, spec: str, weights: Arrays, xs: Batches, labels: BatchLabels, parts: int = 1, schedule: float = 1.0, by_hand: bool = False,
    **options: object,
) -> dict[str, Any]:  # fmt: skip
    """Train on every batch, each in `parts` micro-batches; `schedule` multiplies the learning rate after every step.

    Raises Absent for other options: nothing here averages weights or scales the loss.
    """
    if options:
        raise Absent(f"NumPy's training loop has no option {next(iter(options))}")
    network = Spec.parse(spec)
    rule, visited = Rule(network, "torch", np.float32), [weights]
    for x, y in zip(xs, labels, strict=True):
        reference = Reference(network, visited[-1], np.float32)
        done = [reference.run(*piece).gradients for piece in zip(np.split(x, parts), np.split(y, parts), strict=True)]
        gradients = {name: np.sum([each[name] for each in done], axis=0) / np.float32(parts) for name in weights}
        visited.append(rule.step(visited[-1], gradients))
        rule.spec = dataclasses.replace(rule.spec, lr=rule.spec.learning_rate * (schedule or 1.0))
    return {"weights": visited[-1], "visited": visited}


def apply(*, spec: str, weights: Arrays, gradients: Arrays) -> dict[str, Arrays]:
    """Clip given gradients and take one step of the optimizer; new weights, and the gradients after it."""
    return {"weights": Rule(Spec.parse(spec), "torch", np.float32).step(weights, gradients), "gradients": gradients}


SCENARIOS: dict[str, Callable[..., Any]] = {"train": train, "apply": apply}
