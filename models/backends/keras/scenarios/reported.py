"""What Keras reports of training and evaluation, beside the weights it had at that moment."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels
from models.backends.keras.libraries import LIBRARY
from models.backends.keras.model import Model, optimizer_of
from models.spec import Spec


class Visited(keras.callbacks.Callback):
    """Notes the weights at the beginning of every batch, so that every reported loss can be recomputed."""

    def __init__(self, built: Model) -> None:
        """Nothing is noted yet."""
        super().__init__()
        self.built = built
        self.weights: list[Arrays] = []

    def on_train_batch_begin(self, batch: int, logs: object = None) -> None:
        """A batch begins; on JAX, fit keeps the weights outside the variables until they are asked for."""
        LIBRARY.collect_weights(self.model)
        self.weights.append(self.built.weights())


def on_batches(*, spec: str, weights: Arrays, xs: Batches, labels: BatchLabels) -> dict[str, Any]:
    """`train_on_batch`, then `test_on_batch`, on every batch: the (loss, accuracy) they return, and the weights before each step."""
    described = Spec.parse(spec)
    built = Model(described, weights)
    model = built.compile(optimizer_of(described), metrics=["accuracy"])
    done: dict[str, Any] = {"train": [], "test": [], "before": []}
    for x, y in zip(xs, labels, strict=True):
        done["before"].append(built.weights())
        done["train"].append([float(value) for value in model.train_on_batch(x, y)])
    done["after"] = built.weights()
    for x, y in zip(xs, labels, strict=True):
        done["test"].append([float(value) for value in model.test_on_batch(x, y)])
    return done


def fit(
    *, spec: str, weights: Arrays, x: Batch, labels: Labels, batch: int, epochs: int = 1, executions: int = 1, steps: int | None = None
) -> dict[str, Any]:
    """`fit` without shuffling, then `evaluate` and `predict`: what they report, the weights, and the iterations counted."""
    described = Spec.parse(spec)
    built = Model(described, weights)
    optimizer = optimizer_of(described)
    model = built.compile(optimizer, metrics=["accuracy"], steps_per_execution=executions)
    visited = Visited(built)
    history = model.fit(
        x, labels, batch_size=batch, epochs=epochs, steps_per_epoch=steps, shuffle=False, verbose=0, callbacks=[visited]
    ).history
    evaluated = model.evaluate(x, labels, batch_size=batch, verbose=0)
    return {
        "loss": [float(value) for value in history["loss"]],
        "accuracy": [float(value) for value in history["accuracy"]],
        "evaluated": [float(value) for value in evaluated],
        "predicted": np.asarray(model.predict(x, batch_size=batch, verbose=0)),
        "iterations": int(np.array(optimizer.iterations)),
        "visited": visited.weights,
        "weights": built.weights(),
    }


def stopped_early(*, spec: str, weights: Arrays, x: Batch, labels: Labels, epochs: int, patience: int) -> list[int]:
    """Epochs that two fits of the same network last under one and the same EarlyStopping object."""
    described = Spec.parse(spec)
    stopping = keras.callbacks.EarlyStopping(monitor="loss", patience=patience)
    lasted = []
    for _ in range(2):
        built = Model(described, weights)
        model = built.compile(optimizer_of(described))
        lasted.append(len(model.fit(x, labels, batch_size=len(x), epochs=epochs, verbose=0, callbacks=[stopping]).epoch))
    return lasted


def penalized(*, spec: str, weights: Arrays, x: Batch, labels: Labels, kind: str, factor: float) -> dict[str, Any]:
    """One step with a penalty on every Dense (`kernel`, `activity` or `none`): the loss it reports and the weights after it."""
    described = Spec.parse(spec)
    dense = {} if kind == "none" else {f"{kind}_regularizer": keras.regularizers.L2(factor)}
    built = Model(described, weights, **dense)
    model = built.compile(optimizer_of(described))
    return {"loss": float(model.train_on_batch(x, labels)), "weights": built.weights()}


def constrained(*, spec: str, weights: Arrays, xs: Batches, labels: BatchLabels, kind: str) -> list[Arrays]:
    """Weights after every step under a kernel constraint: `max_norm` 0.5, `non_neg` or `unit_norm` over inputs."""
    described = Spec.parse(spec)
    constraints = {
        "max_norm": lambda: keras.constraints.MaxNorm(0.5, axis=0),
        "non_neg": keras.constraints.NonNeg,
        "unit_norm": lambda: keras.constraints.UnitNorm(axis=0),
    }
    built = Model(described, weights, kernel_constraint=constraints[kind]())
    model = built.compile(optimizer_of(described))
    after = []
    for x, y in zip(xs, labels, strict=True):
        model.train_on_batch(x, y)
        after.append(built.weights())
    return after
