"""Optimizers: the update each framework documents, written out, and how each is constructed.

`rule(w, g, slots, update)` returns the new weight; `slots` are this tensor's own arrays. Where the frameworks document different rules
(where ε stands, whether momentum remembers the learning rate), the update's conventions choose. Sources: the class documentation of
torch.optim and keras.optimizers; Kingma & Ba 2015, Loshchilov & Hutter 2019, Dozat 2016, Duchi et al. 2011, Zeiler 2012.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Array, Arrays
from models.parts import Namespace, Native

if TYPE_CHECKING:
    from models.spec import Spec

MOMENTUM, RHO, ADADELTA_RHO, BETA_1, BETA_2, EPSILON = 0.9, 0.9, 0.95, 0.9, 0.999, 1e-7
NADAM_DECAY = 0.96
AVERAGE = 0.98
"""Weight of the old in the moving average of weights that a training keeps: it spans about fifty steps."""


@dataclass(frozen=True)
class Update:
    """One update: its number `t` from 1, the step size, decoupled decay of this tensor, whose documented rule holds, and epsilon."""

    t: int
    lr: float
    decay: float
    conventions: str
    epsilon: float = EPSILON


@dataclass(frozen=True)
class Optimizer:
    """The written-out update, its step size where a network names none, PyTorch's constructor, Keras's class and its arguments.

    Scalars are computed in the weight's own precision, so that the rule run in float32 shows what its rounding costs. Keras computes
    1 − 0.999 in float32, which is off by 6e-5 of itself.
    """

    rule: Callable[[Array, Array, Arrays, Update], Array]
    lr: float
    torch: Callable[[Namespace, list[dict[str, Native]], Spec], Native]
    keras: Callable[[Namespace], Native]
    arguments: Callable[[Spec], dict[str, float | bool]] = lambda spec: {}


def _slot(slots: Arrays, name: str, like: Array, value: float = 0.0) -> Array:
    return slots.setdefault(name, np.full_like(like, value))


def _sgd(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    return w - w.dtype.type(update.lr) * g


def _momentum(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    lr = w.dtype.type(update.lr)
    return w - (_velocity(lr * g, slots) if update.conventions == "keras" else lr * _velocity(g, slots))


def _nesterov(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
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


def _rmsprop(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    square = _slot(slots, "square", w)
    square *= RHO
    square += (1 - RHO) * g * g
    return w - w.dtype.type(update.lr) * g / _root(square, update)


def _adagrad(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    square = _slot(slots, "square", w, 0.1)
    square += g * g
    return w - w.dtype.type(update.lr) * g / _root(square, update)


def _root(square: Array, update: Update) -> Array:
    return np.sqrt(square + update.epsilon) if update.conventions == "keras" else np.sqrt(square) + update.epsilon


def _adadelta(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
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


def _adam(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    number = w.dtype.type
    first, second = _moments(g, slots)
    if update.decay:
        w = w - number(update.lr) * number(update.decay) * w
    correction_1, correction_2 = 1 - number(BETA_1) ** number(update.t), np.sqrt(1 - number(BETA_2) ** number(update.t))
    if update.conventions == "keras":  # ε outside the bias correction ("epsilon hat" in the paper)
        return w - number(update.lr) * correction_2 / correction_1 * first / (np.sqrt(second) + number(update.epsilon))
    return w - number(update.lr) / correction_1 * first / (np.sqrt(second) / correction_2 + number(update.epsilon))


def _nadam(w: Array, g: Array, slots: Arrays, update: Update) -> Array:
    number = w.dtype.type
    first, second = _moments(g, slots)
    now, coming = (number(BETA_1) * (1 - number(0.5) * number(NADAM_DECAY) ** number(s)) for s in (update.t, update.t + 1))
    product = slots["product"] = np.asarray(slots.get("product", number(1)) * now)
    mean = coming / (1 - product * coming) * first + (1 - now) / (1 - product) * g
    return w - number(update.lr) * mean / (np.sqrt(second / (1 - number(BETA_2) ** number(update.t))) + number(update.epsilon))


OPTIMIZERS: dict[str, Optimizer] = {
    "sgd": Optimizer(
        _sgd,
        lr=0.03,
        torch=lambda optim, groups, spec: optim.SGD(groups, lr=spec.learning_rate),
        keras=lambda optimizers: optimizers.SGD,
    ),
    "momentum": Optimizer(
        _momentum,
        lr=0.005,
        torch=lambda optim, groups, spec: optim.SGD(groups, lr=spec.learning_rate, momentum=MOMENTUM),
        keras=lambda optimizers: optimizers.SGD,
        arguments=lambda spec: {"momentum": MOMENTUM},
    ),
    "nesterov": Optimizer(
        _nesterov,
        lr=0.005,
        torch=lambda optim, groups, spec: optim.SGD(groups, lr=spec.learning_rate, momentum=MOMENTUM, nesterov=True),
        keras=lambda optimizers: optimizers.SGD,
        arguments=lambda spec: {"momentum": MOMENTUM, "nesterov": True},
    ),
    "rmsprop": Optimizer(
        _rmsprop,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.RMSprop(groups, lr=spec.learning_rate, alpha=RHO, eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.RMSprop,
        arguments=lambda spec: {"rho": RHO, "epsilon": spec.optimizer_eps},
    ),
    "adagrad": Optimizer(
        _adagrad,
        lr=0.02,
        torch=lambda optim, groups, spec: optim.Adagrad(
            groups, lr=spec.learning_rate, initial_accumulator_value=0.1, eps=spec.optimizer_eps
        ),
        keras=lambda optimizers: optimizers.Adagrad,
        arguments=lambda spec: {"initial_accumulator_value": 0.1, "epsilon": spec.optimizer_eps},
    ),
    "adadelta": Optimizer(
        _adadelta,
        lr=1.0,
        torch=lambda optim, groups, spec: optim.Adadelta(groups, lr=spec.learning_rate, rho=ADADELTA_RHO, eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.Adadelta,
        arguments=lambda spec: {"rho": ADADELTA_RHO, "epsilon": spec.optimizer_eps},
    ),
    "adam": Optimizer(
        _adam,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.Adam(groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.Adam,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps},
    ),
    "adamw": Optimizer(
        _adam,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.AdamW(groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps),
        keras=lambda optimizers: optimizers.AdamW,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps, "weight_decay": spec.decay},
    ),
    "nadam": Optimizer(
        _nadam,
        lr=0.001,
        torch=lambda optim, groups, spec: optim.NAdam(
            groups, lr=spec.learning_rate, betas=(BETA_1, BETA_2), eps=spec.optimizer_eps, momentum_decay=1.0
        ),
        keras=lambda optimizers: optimizers.Nadam,
        arguments=lambda spec: {"beta_1": BETA_1, "beta_2": BETA_2, "epsilon": spec.optimizer_eps},
    ),
}
