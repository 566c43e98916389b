"""What is timed of NumPy: a training step, a matrix product, and the shortest loop over the reference."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels, PerStep
from models.backends.protocol import Loop, TimedWork
from models.reference.network import Reference
from models.reference.optimizers import Rule
from models.spec import Spec

if TYPE_CHECKING:
    from models.backends.numpy.network import Network


def timed_step(network: Network, x: Batch, labels: Labels) -> TimedWork:
    """A training step."""
    return TimedWork(lambda: network.step(x, labels), lambda: None)


def product(size: int, device: str) -> TimedWork:
    """A float32 product of two size × size matrices."""
    matrix = np.ones((size, size), np.float32)
    return TimedWork(lambda: matrix @ matrix, lambda: None)


def hand_written(spec: Spec, weights: Arrays, device: str) -> Loop:
    """The reference and its optimizer, one after the other."""
    rule, held = Rule(spec, "torch", np.dtype(spec.format.held)), dict(weights)

    def over(xs: Batches, labels: BatchLabels) -> Callable[[], PerStep]:
        def loop() -> PerStep:
            losses = []
            for x, y in zip(xs, labels, strict=True):
                done = Reference(spec, held, np.dtype(spec.format.held)).run(x, y)
                held.update(rule.step(held, done.gradients))
                losses.append(float(done.loss))
            return np.array(losses)

        return loop

    return over
