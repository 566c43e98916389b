"""Losses: value and gradient with respect to the logits, written out, and each framework's own.

All are means over the batch. Regression and hinge losses see targets made from labels: one-hot times `target_scale`
for mean squared error and Huber, ±1 for the hinge.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import log_softmax, softmax

from models.arrays import Labels, Logits, Targets
from models.parts import Namespace, Native


@dataclass(frozen=True)
class Loss:
    """`f(logits, target)` per batch, `df` its gradient; `margin` is zero where `df` jumps.

    `target(labels, classes, scale)` makes what the framework's loss is called with; `torch(nn)` and `keras(losses)`
    return a loss called as `loss(logits, target)` and `loss(target, logits)`.
    """

    target: Callable[[Labels, int, float], Targets]
    f: Callable[[Logits, Targets], np.number]
    df: Callable[[Logits, Targets], Logits]
    torch: Callable[[Namespace], Native]
    keras: Callable[[Namespace], Native]
    margin: Callable[[Logits, Targets], Logits] | None = None


def _one_hot(labels: Labels, classes: int, scale: float) -> Targets:
    return scale * np.eye(classes)[labels]


def _cross_entropy(logits: Logits, labels: Labels) -> np.number:
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()


def _d_cross_entropy(logits: Logits, labels: Labels) -> Logits:
    p = softmax(logits, axis=1)
    p[np.arange(len(labels)), labels] -= 1
    return p / np.asarray(len(labels), logits.dtype)


def _huber(logits: Logits, target: Targets) -> np.number:
    error = np.abs(logits - target)
    return np.where(error <= 1, 0.5 * error**2, error - 0.5).mean()


def _torch_hinge(nn: Namespace) -> Native:
    """PyTorch's one-against-all hinge: HingeEmbeddingLoss of y·f with every label −1 is mean(max(0, 1 − y·f))."""
    loss = nn.HingeEmbeddingLoss(margin=1.0)
    return lambda logits, target: loss(target * logits, (target * target).neg())


LOSSES: dict[str, Loss] = {
    "cross_entropy": Loss(
        lambda labels, classes, scale: labels,
        _cross_entropy,
        _d_cross_entropy,
        torch=lambda nn: nn.CrossEntropyLoss(),
        keras=lambda losses: losses.SparseCategoricalCrossentropy(from_logits=True),
    ),
    "mse": Loss(
        _one_hot,
        lambda logits, target: ((logits - target) ** 2).mean(),
        lambda logits, target: 2 * (logits - target) / np.asarray(logits.size, logits.dtype),
        torch=lambda nn: nn.MSELoss(),
        keras=lambda losses: losses.MeanSquaredError(),
    ),
    "hinge": Loss(
        lambda labels, classes, scale: 2 * np.eye(classes)[labels] - 1,
        lambda logits, target: np.maximum(0, 1 - target * logits).mean(),
        lambda logits, target: np.where(target * logits < 1, -target, 0) / np.asarray(logits.size, logits.dtype),
        torch=_torch_hinge,
        keras=lambda losses: losses.Hinge(),
        margin=lambda logits, target: 1 - target * logits,
    ),
    "huber": Loss(
        _one_hot,
        _huber,
        lambda logits, target: np.clip(logits - target, -1, 1) / np.asarray(logits.size, logits.dtype),
        torch=lambda nn: nn.HuberLoss(delta=1.0),
        keras=lambda losses: losses.Huber(delta=1.0),
    ),
}
