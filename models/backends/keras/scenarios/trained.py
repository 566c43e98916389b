"""Scenarios of training: one batch or micro-batches, eager or compiled, scaled or not, few variables or many."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.architectures.reversible import RECOMPUTED
from models.arrays import Array, Arrays, Batches, BatchLabels
from models.backends.keras.layers import array
from models.backends.keras.model import Model, optimizer_of
from models.backends.keras.precision import compute_in
from models.naming import layer_of
from models.spec import Spec


def train(
    *,
    spec: str,
    weights: Arrays,
    xs: Batches,
    labels: BatchLabels,
    mode: str = "auto",
    parts: int = 1,
    schedule: float = 0.0,
    by_hand: bool = False,
    scale: float = 0.0,
    average: float = 0.0,
    options: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Train on every batch of xs (steps × batch × features) by `train_on_batch`, each in `parts` micro-batches.

    `schedule` multiplies the learning rate after every step, by the optimizer's own schedule or `by_hand`.
    Returns the last weights, the weights after every call, and with `average` (the weight of the old) the average of weights.
    """
    described = Spec.parse(spec)
    built = Model(described, weights, mode=mode)
    extra = dict(options or {})
    if parts > 1:
        extra["gradient_accumulation_steps"] = parts
    if average:
        extra |= {"use_ema": True, "ema_momentum": average}
    optimizer = optimizer_of(described, schedule=0.0 if by_hand else schedule, **extra)
    if scale:
        optimizer = keras.optimizers.LossScaleOptimizer(optimizer, initial_scale=scale)
    model = built.compile(optimizer, run_eagerly=mode == "eager", jit="auto" if mode in ("auto", RECOMPUTED) else mode == "jit")
    visited = [built.weights()]
    for x, y in zip(xs, labels, strict=True):
        for piece, answers in zip(np.split(x, parts), np.split(y, parts), strict=True):
            model.train_on_batch(piece, answers)
            visited.append(built.weights())
        if by_hand:
            optimizer.learning_rate = float(array(optimizer.learning_rate)) * schedule
    done: dict[str, Any] = {"weights": visited[-1], "visited": visited}
    if average:
        optimizer.finalize_variable_values(model.trainable_variables)
        done["average"] = built.weights()
    return done


def heads(*, spec: str, count: int, weights: Array, xs: Batches) -> Array:
    """Train `count` one-layer networks side by side under one optimizer, in its compiled step; weights of the first.

    The loss is a sum over them, so that each one's gradient is its own. xs is (steps × batch × features).
    """
    described = Spec.parse(spec)
    inputs = keras.Input((xs.shape[2],))
    layers = [keras.layers.Dense(weights.shape[1], use_bias=False) for _ in range(count)]
    outputs = [layer(inputs) for layer in layers]
    model = keras.Model(inputs, keras.layers.Concatenate()(outputs) if count > 1 else outputs[0])
    for layer in layers:
        layer.kernel.assign(weights)
    optimizer = optimizer_of(described)
    model.compile(optimizer, loss=lambda target, output: ops.sum(ops.square(output), axis=-1))
    for x in xs:
        model.train_on_batch(x, np.zeros((len(x), count * weights.shape[1]), np.float32))
    return array(layers[0].kernel)


def apply(*, spec: str, weights: Arrays, gradients: Arrays, implementation: str = "default") -> dict[str, Arrays]:
    """Hand gradients to the optimizer's `apply`; new weights, and the gradients as they are afterwards."""
    described = Spec.parse(spec)
    compute_in(described.format.held)
    variables = {key: keras.Variable(value) for key, value in weights.items()}
    given = {key: ops.convert_to_tensor(value) for key, value in gradients.items()}
    optimizer = optimizer_of(described)
    optimizer.apply(list(given.values()), list(variables.values()))
    return {
        "weights": {key: array(variable) for key, variable in variables.items()},
        "gradients": {key: array(gradient) for key, gradient in given.items()},
    }


def freeze(*, spec: str, weights: Arrays, xs: Batches, labels: BatchLabels, layers: list[int], when: str) -> dict[str, Arrays]:
    """Train with `layers` frozen `before` or `after` they are built; weights and running statistics before and after training."""
    described = Spec.parse(spec)
    built = Model(described, weights, frozen=layers if when == "before" else ())
    if when == "after":
        for name, part in built.parts.items():
            part.trainable = layer_of(name) not in layers
    model = built.compile(optimizer_of(described))
    start = _state(built)
    for x, y in zip(xs, labels, strict=True):
        model.train_on_batch(x, y)
    return {"before": start, "after": _state(built)}


def _state(built: Model) -> Arrays:
    """Parameters and running statistics."""
    running = {
        f"{name}.{kind}": value for name, pair in built.running().items() for kind, value in zip(("mean", "variance"), pair, strict=True)
    }
    return built.weights() | running
