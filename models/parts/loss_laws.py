"""What losses and their gradients compute that takes more than a line, in NumPy; gradients are with respect to the logits."""

from __future__ import annotations

import math

import numpy as np
from scipy.special import log_softmax, softmax

from models.arrays import Array, Labels, Logits, Targets

EPSILON = 1e-7
"""How far Keras keeps probabilities from 0, and what it adds to a rate (`keras.config.epsilon`)."""
LOG_2 = math.log(2.0)
SMOOTHING = 0.1
"""Share of a distribution that the classes have in equal parts where a target must not be zero."""


def one_hot(labels: Labels, classes: int, scale: float) -> Targets:
    """`scale` where the label is, zero elsewhere."""
    return scale * np.eye(classes)[labels]


def cross_entropy(logits: Logits, labels: Labels) -> np.number:
    """−log softmax of the label's logit."""
    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels].mean()


def d_cross_entropy(logits: Logits, labels: Labels) -> Logits:
    """Softmax minus one at the label."""
    p = softmax(logits, axis=1)
    p[np.arange(len(labels)), labels] -= 1
    return p / np.asarray(len(labels), logits.dtype)


def huber(logits: Logits, target: Targets) -> np.number:
    """A parabola up to an error of one, and lines beyond."""
    error = np.abs(logits - target)
    return np.where(error <= 1, 0.5 * error**2, error - 0.5).mean()


def each(logits: Logits) -> np.number:
    """The number of logits, by which a mean over all of them divides."""
    return logits.dtype.type(logits.size)  # type: ignore[no-any-return]


def size(x: Logits) -> Logits:
    """|x|, which keeps the imaginary part of a complex step."""
    return np.where(x > 0, x, -x)


def smoothed(labels: Labels, classes: int, scale: float) -> Targets:
    """One-hot, but for `SMOOTHING` that all classes share."""
    return (1 - SMOOTHING) * np.eye(classes)[labels] + SMOOTHING / classes


def probabilities(logits: Logits) -> Logits:
    """Softmax."""
    e = np.exp(logits - logits.real.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)  # type: ignore[no-any-return]


def sigmoid(x: Logits) -> Logits:
    """1/(1 + e⁻ˣ), which neither overflows nor loses digits."""
    e = np.exp(-size(x))
    return np.where(x > 0, 1 / (1 + e), e / (1 + e))


def clipped(p: Logits, most: float = 1.0) -> Logits:
    """Probabilities from `EPSILON` to `most`."""
    return np.minimum(np.maximum(p, EPSILON), most)


def beyond_clip(p: Logits) -> Array:
    """Where a probability is nearer to 0 or 1 than `EPSILON`."""
    return (p < EPSILON) | (p > 1 - EPSILON)


def near_upper_clip(logits: Logits, target: Targets, unit: float) -> Array:
    """Where a sigmoid may round to either side of its upper clip, and its slope is not that of its target: there the gradient jumps.

    1 + e⁻ˣ rounds by `unit`, its reciprocal by half of that, and the clip by another half. What is below half a unit rounds to 1.
    """
    left = sigmoid(-logits)
    return (target < 1) & (logits > 0) & (np.abs(left - EPSILON) <= 2 * unit) & (left > unit / 2)  # type: ignore[no-any-return]


def through_softmax(dp: Logits, p: Logits, most: float) -> Logits:
    """The gradient with respect to logits from that with respect to clipped probabilities, over the batch; on a bound it passes."""
    dp = np.where((p >= EPSILON) & (p <= most), dp, np.zeros_like(dp)) / p.dtype.type(len(p))
    return p * (dp - (dp * p).sum(1, keepdims=True))  # type: ignore[no-any-return]


def over_epsilon(logits: Logits, target: Targets) -> Logits:
    """Logarithm of every probability over the clip."""
    return log_softmax(logits, axis=1) - logits.dtype.type(np.log(EPSILON))  # type: ignore[no-any-return]


def d_binary(logits: Logits, target: Targets) -> Logits:
    """Of binary cross-entropy of clipped probabilities, operation by operation as it is computed."""
    p = sigmoid(logits)
    inside = (p > EPSILON) & (p < 1 - EPSILON)
    kept = clipped(p, 1 - EPSILON)
    return np.where(inside, ((1 - target) / (1 - kept) - target / kept) * kept * (1 - kept), np.zeros_like(p)) / each(logits)


def msle(logits: Logits, target: Targets) -> Logits:
    """Difference of logarithms of one plus what is positive."""
    # By binary logarithms, whose product with log 2 rounds as often as a library's own logarithm.
    return LOG_2 * (np.log2(np.maximum(logits, EPSILON) + 1) - np.log2(np.maximum(target, EPSILON) + 1))  # type: ignore[no-any-return]


def runner_up(logits: Logits, target: Targets) -> Array:
    """The largest logit of another class, or zero where all are negative; and how far the second largest lies below."""
    two = np.sort(((1 - target) * logits).real, axis=1)[:, :-3:-1]
    return np.stack([two[:, 0], two[:, 0] - two[:, 1]], axis=1)


def categorical_hinge(logits: Logits, target: Targets) -> np.number:
    """max(0, 1 + the largest logit of another class, or zero, − the label's)."""
    others = ((1 - target) * logits).max(1)
    return np.maximum(others - (target * logits).sum(1) + 1, 0).mean()  # type: ignore[no-any-return]


def categorical_hinge_margin(logits: Logits, target: Targets) -> Array:
    """What is compared with zero: the hinge itself, and the lead of the largest other logit."""
    others = runner_up(logits, target)
    return np.stack([others[:, 0] - (target * logits).sum(1) + 1, others[:, 1]], axis=1)


def d_categorical_hinge(logits: Logits, target: Targets) -> Logits:
    """One at the largest other logit, minus one at the label, where the hinge is open."""
    others = (1 - target) * logits
    largest = others == others.max(1, keepdims=True)
    active = others.max(1) - (target * logits).sum(1) + 1 > 0
    return active[:, None] * ((1 - target) * largest - target) / logits.dtype.type(len(logits))  # type: ignore[no-any-return]


def cosine(logits: Logits, target: Targets) -> tuple[Logits, Logits, Logits]:
    """Logits and targets of length one, and the length of logits, which is kept from zero."""
    length = np.maximum(np.sqrt((logits * logits).sum(1, keepdims=True)), EPSILON)
    return logits / length, target / np.sqrt((target * target).sum(1, keepdims=True)), length


def d_cosine(logits: Logits, target: Targets) -> Logits:
    """Of minus the cosine."""
    x, t, length = cosine(logits, target)
    return (x * (x * t).sum(1, keepdims=True) - t) / length / logits.dtype.type(len(logits))  # type: ignore[no-any-return]
