"""The update of each optimizer as the frameworks document it, written out.

`rule(w, g, slots, update)` returns the new weight; `slots` are this tensor's own arrays. Where the frameworks document different rules
(where ε stands, whether momentum remembers the learning rate), the update's conventions choose. Sources: the class documentation of
torch.optim and keras.optimizers; Kingma & Ba 2015 (Adam, Adamax), Loshchilov & Hutter 2019, Dozat 2016, Duchi et al. 2011, Zeiler 2012,
Reddi et al. 2018 (AMSGrad), Liu et al. 2020 (RAdam), Chen et al. 2023 (Lion), Shazeer & Stern 2018 (Adafactor), You et al. 2020 (LAMB),
McMahan et al. 2013 (FTRL). Muon stands in `models.parts.muon`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.arrays import Array, Arrays

MOMENTUM, RHO, ADADELTA_RHO, BETA_1, BETA_2, EPSILON = 0.9, 0.9, 0.95, 0.9, 0.999, 1e-7
NADAM_DECAY = 0.96
LION_BETAS = 0.9, 0.99
ACCUMULATED = 0.1
"""Where the sums of squares of Adagrad and FTRL begin."""
FACTOR_DECAY, LEAST_SQUARE, LEAST_SCALE = -0.8, 1e-15, 1e-3
"""Adafactor's second moment forgets 1 − t^−0.8. PyTorch keeps its root over `LEAST_SQUARE`, Keras adds the square of that to every
squared gradient. Steps are shares of the weight's rms, or of `LEAST_SCALE` where that is less."""
RECTIFIED = 5.0
"""Length of the moving average from which on RAdam divides by the second moment."""
UNDECIDED = "undecided"
"""The slot in which a rule that takes signs leaves how large what it took the sign of was, as a share of its terms."""
COARSE = "coarse"
"""The slot in which a rule that rounds to a short format leaves how far a step may be off by what is rounded to the other side."""
AVERAGE = 0.98
"""Weight of the old in the moving average of weights that a training keeps: it spans about fifty steps."""


@dataclass(frozen=True)
class Update:
    """One update: its number `t` from 1, the step size, decoupled decay of this tensor, whose documented rule holds, and epsilon.

    `weight` says that the tensor is one; Keras holds both biases of a GRU as a matrix, which is none.
    """

    t: int
    lr: float
    decay: float
    conventions: str
    epsilon: float = EPSILON
    weight: bool = True


def _slot(slots: Arrays, name: str, like: Array, value: float = 0.0) -> Array:
    return slots.setdefault(name, np.full_like(like, value))


def sgd(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """The gradient times the learning rate."""
    return w - w.dtype.type(update.lr) * g


def momentum(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Heavy ball; Keras's velocity remembers the learning rate of each step."""
    lr = w.dtype.type(update.lr)
    return w - (_velocity(lr * g, slots) if update.conventions == "keras" else lr * _velocity(g, slots))


def nesterov(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Momentum that looks one step ahead."""
    lr = w.dtype.type(update.lr)
    if update.conventions == "keras":
        return w - (lr * g + MOMENTUM * _velocity(lr * g, slots))
    return w - lr * (g + MOMENTUM * _velocity(g, slots))


def _velocity(moved: Array, slots: Arrays) -> Array:
    """The decaying sum of gradients, or in Keras of gradients times the learning rate of their step."""
    velocity = _slot(slots, "velocity", moved)
    velocity *= MOMENTUM
    velocity += moved
    return velocity


def rmsprop(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """The gradient over its own root mean square."""
    square = _slot(slots, "square", w)
    square *= RHO
    square += (1 - RHO) * g * g
    return w - w.dtype.type(update.lr) * g / _root(square, update)


def adagrad(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """The gradient over the root of all its squares."""
    square = _slot(slots, "square", w, ACCUMULATED)
    square += g * g
    return w - w.dtype.type(update.lr) * g / _root(square, update)


def _root(square: Array, update: Update) -> Array:
    return np.sqrt(square + update.epsilon) if update.conventions == "keras" else np.sqrt(square) + update.epsilon


def adadelta(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """The gradient in units of its own rms, times the rms of past steps."""
    square, moved = _slot(slots, "square", w), _slot(slots, "moved", w)
    square *= ADADELTA_RHO
    square += (1 - ADADELTA_RHO) * g * g
    delta = np.sqrt(moved + update.epsilon) / np.sqrt(square + update.epsilon) * g
    moved *= ADADELTA_RHO
    moved += (1 - ADADELTA_RHO) * delta * delta
    return w - w.dtype.type(update.lr) * delta


def _moments(g: Array, slots: Arrays) -> tuple[Array, Array]:
    first, second = _slot(slots, "first", g), _slot(slots, "second", g)
    first += (1 - BETA_1) * (g - first)
    second += (1 - BETA_2) * (g * g - second)
    return first, second


def adam(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Mean over root mean square, both corrected for their start, with decoupled decay."""
    number = w.dtype.type
    first, second = _moments(g, slots)
    if update.decay:
        w = w - number(update.lr) * number(update.decay) * w
    correction_1, correction_2 = 1 - number(BETA_1) ** number(update.t), np.sqrt(1 - number(BETA_2) ** number(update.t))
    if update.conventions == "keras":  # ε outside the bias correction ("epsilon hat" in the paper)
        return w - number(update.lr) * correction_2 / correction_1 * first / (np.sqrt(second) + number(update.epsilon))
    return w - number(update.lr) / correction_1 * first / (np.sqrt(second) / correction_2 + number(update.epsilon))


def nadam(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Adam with Nesterov's look ahead, by a schedule of momenta."""
    number = w.dtype.type
    first, second = _moments(g, slots)
    now, coming = (number(BETA_1) * (1 - number(0.5) * number(NADAM_DECAY) ** number(s)) for s in (update.t, update.t + 1))
    product = slots["product"] = np.asarray(slots.get("product", number(1)) * now)
    mean = coming / (1 - product * coming) * first + (1 - now) / (1 - product) * g
    return w - number(update.lr) * mean / (np.sqrt(second / (1 - number(BETA_2) ** number(update.t))) + number(update.epsilon))


def amsgrad(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Adam over the largest second moment so far."""
    number = w.dtype.type
    first, second = _moments(g, slots)
    largest = slots["largest"] = np.maximum(_slot(slots, "largest", w), second)
    correction_1, correction_2 = _correction(BETA_1, w, update), np.sqrt(_correction(BETA_2, w, update))
    if update.conventions == "keras":
        return w - number(update.lr) * correction_2 / correction_1 * first / (np.sqrt(largest) + number(update.epsilon))
    return w - number(update.lr) / correction_1 * first / (np.sqrt(largest) / correction_2 + number(update.epsilon))


def _correction(beta: float, w: Array, update: Update) -> np.number:
    """What a moving average that began at zero falls short of."""
    number = w.dtype.type
    return 1 - number(beta) ** number(update.t)  # type: ignore[no-any-return]


def adamax(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Mean over the largest gradient, which is forgotten slowly."""
    number = w.dtype.type
    first, largest = _slot(slots, "first", w), _slot(slots, "largest", w)
    first += (1 - BETA_1) * (g - first)
    outside = number(update.epsilon) if update.conventions == "keras" else number(0)  # PyTorch adds ε to every gradient's size
    largest[...] = np.maximum(BETA_2 * largest, np.abs(g) + (number(update.epsilon) - outside))
    return w - number(update.lr) * first / (_correction(BETA_1, w, update) * (largest + outside))


def radam(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Adam that steps by the mean alone until its second moment is known well."""
    number, t = w.dtype.type, update.t
    first, second = _moments(g, slots)
    mean, short = first / _correction(BETA_1, w, update), _correction(BETA_2, w, update)
    longest = 2 / (1 - BETA_2) - 1
    length = longest - 2 * t * BETA_2**t / (1 - BETA_2**t)
    if length <= RECTIFIED:
        return w - number(update.lr) * mean
    rectified = number(((length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)) ** 0.5)
    return w - number(update.lr) * rectified * mean * np.sqrt(short) / (np.sqrt(second) + number(update.epsilon))


def lion(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """The sign of a look-ahead mean."""
    mean, (ahead, behind) = _slot(slots, "mean", w), LION_BETAS
    turned = ahead * mean + (1 - ahead) * g
    terms = ahead * np.abs(mean) + (1 - ahead) * np.abs(g)
    slots[UNDECIDED] = np.abs(turned) / np.where(terms > 0, terms, 1)
    mean *= behind
    mean += (1 - behind) * g
    return w - w.dtype.type(update.lr) * np.sign(turned)


def _rms(x: Array) -> np.number:
    return np.sqrt(np.mean(x * x))  # type: ignore[no-any-return]


def adafactor(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """The gradient over a second moment kept by rows and columns, cut to an rms of one, in shares of the weight's rms."""
    number = w.dtype.type
    keras, new = update.conventions == "keras", number(update.t) ** number(FACTOR_DECAY)
    least = number(LEAST_SQUARE)
    square = g * g + least * least if keras else g * g
    if w.ndim > 1:
        rows, columns = _slot(slots, "rows", w[:, :1]), _slot(slots, "columns", w[:1])
        rows += new * (square.mean(1, keepdims=True) - rows)
        columns += new * (square.mean(0, keepdims=True) - columns)
        mean = rows.mean()
        square = rows * columns / (mean if keras else np.maximum(mean, least))
    else:
        second = _slot(slots, "second", w)
        second += new * (square - second)
        square = second
    step = g / np.sqrt(square if keras else np.maximum(square, least * least))
    rate = np.maximum(number(LEAST_SCALE), _rms(w)) * np.minimum(number(update.lr), 1 / np.sqrt(number(update.t)))
    return w - rate * step / np.maximum(number(1), _rms(step))


def lamb(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Adam's step, as long as the weight itself times the learning rate."""
    number = w.dtype.type
    first, second = _moments(g, slots)
    step = first / _correction(BETA_1, w, update) / (np.sqrt(second / _correction(BETA_2, w, update)) + number(update.epsilon))
    size, length = np.sqrt((w * w).sum()), np.sqrt((step * step).sum())
    return w - (size / length if size > 0 and length > 0 else number(1)) * number(update.lr) * step


def ftrl(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    """Its `linear` begins at zero, as if the weights had: the first step takes nearly all of them away."""
    number = w.dtype.type
    square, linear = _slot(slots, "square", w, ACCUMULATED), _slot(slots, "linear", w)
    before = np.sqrt(square)
    square += g * g
    linear += g - (np.sqrt(square) - before) / number(update.lr) * w
    return -linear / (np.sqrt(square) / number(update.lr))
