"""The reference, trained freely: what float64 makes of the same weights and batches that a framework is given.

A framework's run from the same seed starts from the same weights and sees the same batches, so where training is not
chaotic the two end in the same accuracy to a sample, and what differs between seeds drops out of the comparison.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from models.on_numpy import Reference, Rule, penalty
from models.parts.norms import running_variance
from models.run import History, Training
from models.spec import Spec


def train(spec: Spec, training: Training, dialect: str, x_test: Any, labels_test: Any) -> History:
    """One free run by the rules that `dialect` (torch or keras) documents, and its accuracy on the test samples.

    Randomized slopes stay at their mean, since a framework's own random numbers cannot be followed.
    """
    reference, rule = Reference(spec, training.weights), Rule(spec, dialect)
    losses, norms, running = [], [], _Running(spec, dialect)
    for x, labels in zip(training.xs, training.labels, strict=True):
        done = reference.run(x, labels)
        loss, gradients = done.loss, done.gradients
        if spec.l2 and dialect == "keras":
            extra = penalty(spec, reference.weights)
            loss, gradients = loss + extra[0], {key: g + extra[1].get(key, 0.0) for key, g in gradients.items()}
        losses.append(loss)
        norms.append([float(np.linalg.norm(gradients[f"{layer}.weight"])) for layer in range(1, spec.depth + 1)])
        running.follow(done.statistics)
        reference.weights = rule.step(reference.weights, gradients)
    logits = reference.forward(x_test, running.state if spec.norm == "batch" else None).logits
    return History(training.seed, np.asarray(losses), np.asarray(norms), float((logits.argmax(1) == labels_test).mean()))


class _Running:
    """Running mean and variance of every batch normalization, averaged as the dialect documents."""

    def __init__(self, spec: Spec, dialect: str) -> None:
        self.spec, self.dialect = spec, dialect
        self.state: dict[int, tuple[Any, Any]] = {}

    def follow(self, statistics: dict[int, tuple[Any, Any]]) -> None:
        """r ← m·r + (1 − m)·s from 0 and 1."""
        old = self.spec.momentum
        for layer, (mean, var) in statistics.items():
            before = self.state.get(layer, (0.0, 1.0))
            var = running_variance(var, self.spec.batch, self.dialect)
            self.state[layer] = (old * before[0] + (1 - old) * mean, old * before[1] + (1 - old) * var)
