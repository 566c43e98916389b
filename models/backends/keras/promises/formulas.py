"""Schedules and layers by the formulas of their documentation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from types import ModuleType

import keras
import numpy as np
from keras import layers, ops

from models.arrays import Array
from models.backends.keras.libraries import Tensor
from models.backends.keras.promises.defaults import drawn
from models.backends.ways import Ways

STEPS = 12
RATE = 0.1
ROUNDINGS = 16
"""How many roundings a power, a cosine and their products take in float32."""


def _restarts(t: int, first: int = 3, times: float = 2.0, height: float = 0.5) -> float:
    start, period, peak = 0.0, float(first), 1.0
    while t >= start + period:
        start, period, peak = start + period, period * times, peak * height
    return RATE * (peak * (1 + math.cos(math.pi * (t - start) / period)) / 2)


def _warm(t: int) -> float:
    return 0.01 + 0.09 * t / 4 if t < 4 else RATE * (1 + math.cos(math.pi * min(t - 4, 6) / 6)) / 2


SCHEDULES: dict[str, tuple[Callable[[ModuleType], keras.optimizers.schedules.LearningRateSchedule], Callable[[int], float]]] = {
    "ExponentialDecay": (lambda s: s.ExponentialDecay(RATE, 3, 0.5), lambda t: RATE * 0.5 ** (t / 3)),
    "ExponentialDecay staircase": (lambda s: s.ExponentialDecay(RATE, 3, 0.5, staircase=True), lambda t: RATE * 0.5 ** (t // 3)),
    "InverseTimeDecay": (lambda s: s.InverseTimeDecay(RATE, 3, 0.5), lambda t: RATE / (1 + 0.5 * t / 3)),
    "InverseTimeDecay staircase": (lambda s: s.InverseTimeDecay(RATE, 3, 0.5, staircase=True), lambda t: RATE / (1 + 0.5 * (t // 3))),
    "PiecewiseConstantDecay": (lambda s: s.PiecewiseConstantDecay([2, 5], [0.1, 0.05, 0.01]), lambda t: 0.1 if t <= 2 else 0.05 if t <= 5 else 0.01),
    "PolynomialDecay": (lambda s: s.PolynomialDecay(RATE, 6, 0.01, 2.0), lambda t: 0.09 * (1 - min(t, 6) / 6) ** 2 + 0.01),
    "PolynomialDecay cycle": (lambda s: s.PolynomialDecay(RATE, 5, 0.01, 1.0, cycle=True), lambda t: 0.09 * (1 - t / (5 * max(1, math.ceil(t / 5)))) + 0.01),
    "CosineDecay": (lambda s: s.CosineDecay(RATE, 8, alpha=0.1), lambda t: RATE * (0.9 * (1 + math.cos(math.pi * min(t, 8) / 8)) / 2 + 0.1)),
    "CosineDecay warm-up": (lambda s: s.CosineDecay(0.01, 6, warmup_target=RATE, warmup_steps=4), _warm),
    "CosineDecay without steps of warm-up": (lambda s: s.CosineDecay(0.01, 6, warmup_target=RATE, warmup_steps=0), lambda t: RATE * (1 + math.cos(math.pi * min(t, 6) / 6)) / 2),
    "CosineDecay from zero": (lambda s: s.CosineDecay(0.0, 6, warmup_target=RATE, warmup_steps=3, alpha=0.1), lambda t: RATE * t / 3 if t < 3 else RATE * (0.9 * (1 + math.cos(math.pi * min(t - 3, 6) / 6)) / 2 + 0.1)),
    "CosineDecayRestarts of one length": (lambda s: s.CosineDecayRestarts(RATE, 4, 1.0, 0.5, 0.1), lambda t: RATE * (0.9 * 0.5 ** (t // 4) * (1 + math.cos(math.pi * (t % 4) / 4)) / 2 + 0.1)),
    "CosineDecayRestarts": (lambda s: s.CosineDecayRestarts(RATE, 3, 2.0, 0.5), _restarts),
}  # fmt: skip
"""By schedule: how it is made, and its rate at step t."""


def schedules_by_formula() -> Iterator[Ways]:
    """Each schedule's rates by its formula: called, in an optimizer that steps, and from its configuration."""

    def called(schedule: keras.optimizers.schedules.LearningRateSchedule) -> list[list[float]]:
        return [[float(ops.convert_to_numpy(schedule(t))) for t in range(STEPS)]]

    def stepped(schedule: keras.optimizers.schedules.LearningRateSchedule) -> list[list[float]]:
        """What a weight with a gradient of one loses in each step; it begins at 0, where nothing is lost to rounding."""
        optimizer, lost = keras.optimizers.SGD(schedule), []
        variable = keras.Variable(np.zeros(1, np.float32))
        optimizer.build([variable])
        for _ in range(STEPS):
            variable.assign(np.zeros(1, np.float32))
            optimizer.apply([ops.ones((1,))], [variable])
            lost.append(-float(ops.convert_to_numpy(variable.value)[0]))
        return [lost]

    for name, (make, formula) in SCHEDULES.items():
        schedules = keras.optimizers.schedules
        yield Ways(name, {
            "formula": lambda: [[formula(t) for t in range(STEPS)]], "called": lambda: called(make(schedules)), "in an optimizer": lambda: stepped(make(schedules)),
            "from_config": lambda: called(type(make(schedules)).from_config(make(schedules).get_config())),
            "deserialized": lambda: called(schedules.deserialize(schedules.serialize(make(schedules)))),
        }, ROUNDINGS)  # fmt: skip


def layers_by_formula() -> Iterator[Ways]:
    """Dropout's scale, running statistics, noise, weight decay, regularizers and constraints by their formulas."""
    x = 3 * drawn((8, 6), 2) + 1
    yield Ways("Dropout of rate 0", {"itself": lambda: x, "seen": lambda: layers.Dropout(0.0)(x, training=True)})

    def scaled(rate: float) -> Tensor:
        outputs = layers.Dropout(rate, seed=1)(x, training=True)
        return ops.where(outputs == 0, x / (1 - rate), outputs)

    for rate in (0.1, 0.5, 0.9):
        yield Ways(f"Dropout rate={rate} scales what it keeps", {"formula": lambda: x / (1 - rate), "seen": lambda: scaled(rate)}, 4)
    shape = {
        "of the input": lambda: [1.0],
        "seen": lambda: [_rows_alike(layers.SpatialDropout1D(0.5, seed=1))],
        "noise_shape": lambda: [_rows_alike(layers.Dropout(0.5, noise_shape=(None, 1, 6), seed=1))],
    }
    yield Ways("SpatialDropout1D drops whole features", shape)

    def running(momentum: float) -> list[Tensor]:
        norm = layers.BatchNormalization(momentum=momentum)
        norm.build(x.shape)
        for scale in (1.0, 2.0, 3.0):
            norm(scale * x, training=True)
        return [norm.moving_mean, norm.moving_variance, norm(x, training=False)]

    def by_hand(momentum: float) -> list[Array]:
        mean, var, y = np.zeros(6), np.ones(6), x.astype(np.float64)
        for scale in (1.0, 2.0, 3.0):
            mean, var = momentum * mean + (1 - momentum) * scale * y.mean(0), momentum * var + (1 - momentum) * scale**2 * y.var(0)
        return [mean, var, (y - mean) / np.sqrt(var + 1e-3)]

    for momentum in (0.0, 0.5, 0.99):
        yield Ways(f"BatchNormalization momentum={momentum}", {"formula": lambda: by_hand(momentum), "seen": lambda: running(momentum)}, 64)
    fresh = {"formula": lambda: x / math.sqrt(1 + 1e-3), "seen": lambda: layers.BatchNormalization()(x)}
    yield Ways("BatchNormalization before training", fresh, 4)
    yield from _of_weights()


def _rows_alike(layer: keras.layers.Layer) -> float:
    outputs = np.asarray(ops.convert_to_numpy(layer(np.ones((4, 9, 6), np.float32), training=True)))
    return float((outputs == outputs[:, :1]).all() and 0 < (outputs == 0).mean() < 1)


def _of_weights() -> Iterator[Ways]:
    w = drawn((6, 4), 3)
    exact = w.astype(np.float64)
    penalties: dict[str, tuple[Callable[[], keras.regularizers.Regularizer], Callable[[], float]]] = {
        "L1": (lambda: keras.regularizers.L1(0.1), lambda: 0.1 * abs(exact).sum()), "L2": (lambda: keras.regularizers.L2(0.1), lambda: 0.1 * np.square(exact).sum()),
        "L1L2": (lambda: keras.regularizers.L1L2(0.1, 0.2), lambda: 0.1 * abs(exact).sum() + 0.2 * np.square(exact).sum()),
        "OrthogonalRegularizer": (lambda: keras.regularizers.OrthogonalRegularizer(0.1, mode="columns"), _orthogonality(exact)),
    }  # fmt: skip
    for name, (make, formula) in penalties.items():
        yield Ways(name, {"formula": formula, "seen": lambda: make()(ops.convert_to_tensor(w))}, 64)
    norms = np.linalg.norm(exact, axis=0, keepdims=True)
    constraints: dict[str, tuple[Callable[[], keras.constraints.Constraint], Callable[[], Array]]] = {
        "MaxNorm": (lambda: keras.constraints.MaxNorm(1.5), lambda: exact * np.minimum(1, 1.5 / norms)), "NonNeg": (keras.constraints.NonNeg, lambda: np.maximum(exact, 0)),
        "UnitNorm": (keras.constraints.UnitNorm, lambda: exact / norms),
        "MinMaxNorm": (lambda: keras.constraints.MinMaxNorm(0.5, 1.5, rate=0.5), lambda: exact * (0.5 * np.clip(norms, 0.5, 1.5) + 0.5 * norms) / norms),
    }  # fmt: skip
    # A constraint keeps quotients from zero by 1e-7 besides.
    for name, (make, formula) in constraints.items():
        yield Ways(name, {"formula": formula, "seen": lambda: make()(ops.convert_to_tensor(w))}, 16)
    from_outside: dict[str, tuple[Callable[[], keras.initializers.Initializer], Array]] = {
        "Zeros": (keras.initializers.Zeros, np.zeros((6, 6))),
        "Ones": (keras.initializers.Ones, np.ones((6, 6))),
        "Constant": (lambda: keras.initializers.Constant(0.5), np.full((6, 6), 0.5)),
        "Identity": (lambda: keras.initializers.Identity(2.0), 2 * np.eye(6)),
    }
    for name, (make, expected) in from_outside.items():
        yield Ways(name, {"formula": lambda: expected, "seen": lambda: make()((6, 6))})

    def orthogonal() -> Tensor:
        drawn_ = keras.initializers.Orthogonal(gain=2.0, seed=1)((6, 4))
        return ops.matmul(ops.transpose(drawn_), drawn_)

    yield Ways("Orthogonal", {"gain² · identity": lambda: 4 * np.eye(4), "seen": orthogonal}, 64)


def _orthogonality(w: Array) -> Callable[[], float]:
    def penalty() -> float:
        unit = w / np.linalg.norm(w, axis=0, keepdims=True)
        products = np.abs(unit.T @ unit) * (1 - np.eye(4))
        return float(0.1 * 0.5 * products.sum() / (4 * 3 / 2))

    return penalty
