"""Losses as object, as function and by formula; their reductions and weights; losses that contain one another."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops

from models.arrays import Array
from models.backends.keras.libraries import Tensor
from models.backends.keras.promises.defaults import LOSSES, drawn, loss_pass
from models.backends.ways import Ways

FUNCTIONS = {
    "SparseCategoricalCrossentropy": "sparse_categorical_crossentropy", "CategoricalCrossentropy": "categorical_crossentropy",
    "BinaryCrossentropy": "binary_crossentropy", "BinaryFocalCrossentropy": "binary_focal_crossentropy",
    "CategoricalFocalCrossentropy": "categorical_focal_crossentropy", "MeanSquaredError": "mean_squared_error",
    "MeanAbsoluteError": "mean_absolute_error", "MeanAbsolutePercentageError": "mean_absolute_percentage_error",
    "MeanSquaredLogarithmicError": "mean_squared_logarithmic_error", "Huber": "huber", "LogCosh": "log_cosh", "Poisson": "poisson",
    "KLDivergence": "kl_divergence", "Hinge": "hinge", "SquaredHinge": "squared_hinge", "CategoricalHinge": "categorical_hinge",
}  # fmt: skip
LossFunction = Callable[[Tensor, Tensor], Tensor]
"""A loss of targets and outputs."""
FORMULAS: dict[str, LossFunction] = {
    "MeanSquaredError": lambda y, x: ops.mean(ops.square(x - y)),
    "MeanAbsoluteError": lambda y, x: ops.mean(ops.abs(x - y)),
    "MeanAbsolutePercentageError": lambda y, x: 100 * ops.mean(ops.abs((x - y) / y)),
    "MeanSquaredLogarithmicError": lambda y, x: ops.mean(ops.square(ops.log(x + 1) - ops.log(y + 1))),
    "Huber": lambda y, x: ops.mean(ops.where(ops.abs(x - y) < 1, ops.square(x - y) / 2, ops.abs(x - y) - 0.5)),
    "LogCosh": lambda y, x: ops.mean(ops.log((ops.exp(x - y) + ops.exp(y - x)) / 2)),
    "Poisson": lambda y, x: ops.mean(x - y * ops.log(x)),
    "KLDivergence": lambda y, x: ops.mean(ops.sum(y * ops.log(y / x), axis=-1)),
    "Hinge": lambda y, x: ops.mean(ops.maximum(1 - y * x, 0.0)),
    "SquaredHinge": lambda y, x: ops.mean(ops.square(ops.maximum(1 - y * x, 0.0))),
    "CategoricalHinge": lambda y, x: ops.mean(ops.maximum(ops.max((1 - y) * x, axis=-1) - ops.sum(y * x, axis=-1) + 1, 0.0)),
    "CategoricalCrossentropy": lambda y, x: -ops.mean(ops.sum(y * ops.log(x), axis=-1)),
    "SparseCategoricalCrossentropy": lambda y, x: -ops.mean(ops.sum(ops.one_hot(y, 4) * ops.log(x), axis=-1)),
    "BinaryCrossentropy": lambda y, x: -ops.mean(y * ops.log(x) + (1 - y) * ops.log(1 - x)),
    "BinaryFocalCrossentropy": lambda y, x: -ops.mean((1 - x) ** 2 * y * ops.log(x) + x**2 * (1 - y) * ops.log(1 - x)),
    "CategoricalFocalCrossentropy": lambda y, x: -ops.mean(ops.sum(0.25 * (1 - x) ** 2 * y * ops.log(x), axis=-1)),
    "CosineSimilarity": lambda y, x: -ops.mean(ops.sum(x * y, axis=-1) / ops.norm(x, axis=-1) / ops.norm(y, axis=-1)),
}
SUMS = 64
"""How many roundings may part sums over the 24 numbers here, of logarithms and powers, that are taken in another order."""
WEIGHTS = np.array([1.0, 0.0, 2.0, 0.5, 3.0, 1.0], np.float32)
DOCUMENTED_EPSILON = {
    "MeanAbsolutePercentageError",
    "MeanSquaredLogarithmicError",
    "Poisson",
    "KLDivergence",
    "BinaryFocalCrossentropy",
    "CategoricalFocalCrossentropy",
    "LogCosh",
}
"""Losses that keep their logarithms and quotients from zero by 1e-7, or that a formula of exponentials rounds some ten times more."""


def ways_of_writing_losses() -> Iterator[Ways]:
    """Each loss as object, as function, by name and by its formula; its reductions; its sample weights."""
    for name, (kind, _, _) in LOSSES.items():
        made = getattr(keras.losses, name)
        several = SUMS * (4 if name in DOCUMENTED_EPSILON else 1)
        ways: dict[str, LossFunction] = {
            "object": lambda y, x: made()(y, x),
            "mean of none": lambda y, x: ops.mean(made(reduction=None)(y, x)),
            "sum over count": lambda y, x: made(reduction="sum")(y, x) / 6,
            "weights of one": lambda y, x: made()(y, x, sample_weight=ops.ones((6,))),
            "by its name": lambda y, x: keras.losses.get(made().name if name not in FUNCTIONS else name)(y, x),
        }
        if name in FUNCTIONS:
            ways["function"] = lambda y, x: ops.mean(getattr(keras.losses, FUNCTIONS[name])(y, x))
        if name in FORMULAS:
            ways["formula"] = FORMULAS[name]
        if name == "CosineSimilarity":
            del ways["by its name"]
        yield Ways(name, {way: lambda use=use: loss_pass(use, kind) for way, use in ways.items()}, several)
        weighted: dict[str, LossFunction] = {
            "formula": lambda y, x: ops.sum(ops.convert_to_tensor(WEIGHTS) * made(reduction=None)(y, x)) / 6,
            "sum_over_batch_size": lambda y, x: made()(y, x, sample_weight=WEIGHTS),
            "sum": lambda y, x: made(reduction="sum")(y, x, sample_weight=WEIGHTS) / 6,
            "column": lambda y, x: made()(y, x, sample_weight=WEIGHTS[:, None]),
            "mean_with_sample_weight": lambda y, x: (
                made(reduction="mean_with_sample_weight")(y, x, sample_weight=WEIGHTS) * WEIGHTS.sum() / 6
            ),
        }
        yield Ways(f"{name} sample_weight", {way: lambda use=use: loss_pass(use, kind) for way, use in weighted.items()}, several)
    yield from _contained()


def _contained() -> Iterator[Ways]:
    losses = keras.losses
    classes: dict[str, dict[str, LossFunction]] = {
        "SparseCategoricalCrossentropy is CategoricalCrossentropy": {
            "sparse": losses.SparseCategoricalCrossentropy(), "one-hot": lambda y, x: losses.CategoricalCrossentropy()(ops.one_hot(y, 4), x),
            "from_logits": lambda y, x: losses.SparseCategoricalCrossentropy(from_logits=True)(y, ops.log(x)),
            "one-hot from_logits": lambda y, x: losses.CategoricalCrossentropy(from_logits=True)(ops.one_hot(y, 4), ops.log(x)),
        },
        "label_smoothing": {
            "option": lambda y, x: losses.CategoricalCrossentropy(label_smoothing=0.1)(ops.one_hot(y, 4), x),
            "formula": lambda y, x: losses.CategoricalCrossentropy()(0.9 * ops.one_hot(y, 4) + 0.025, x),
        },
    }  # fmt: skip
    for name, ways in classes.items():
        yield Ways(name, {way: lambda use=use: loss_pass(use, "classes") for way, use in ways.items()}, SUMS)
    marks: dict[str, dict[str, LossFunction]] = {
        "BinaryCrossentropy from_logits": {
            "probabilities": losses.BinaryCrossentropy(),
            "logits": lambda y, x: losses.BinaryCrossentropy(from_logits=True)(y, ops.log(x / (1 - x))),
        },
        "BinaryCrossentropy label_smoothing": {
            "option": losses.BinaryCrossentropy(label_smoothing=0.2), "formula": lambda y, x: losses.BinaryCrossentropy()(0.8 * y + 0.1, x),
        },
        "BinaryFocalCrossentropy of gamma 0": {"plain": losses.BinaryCrossentropy(), "focal": losses.BinaryFocalCrossentropy(gamma=0.0)},
    }  # fmt: skip
    for name, ways in marks.items():
        yield Ways(name, {way: lambda use=use: loss_pass(use, "marks") for way, use in ways.items()}, 4 * SUMS)
    # Probabilities are what a loss is given, whatever made them.
    logits = drawn((6, 4), 5)
    marked = (drawn((6, 4), 6) > 0).astype(np.float32)
    made: dict[str, tuple[type[keras.losses.Loss], Callable[[Tensor], Tensor], Array]] = {
        "BinaryCrossentropy of a softmax": (losses.BinaryCrossentropy, ops.softmax, marked),
        "CategoricalCrossentropy of a sigmoid": (
            losses.CategoricalCrossentropy,
            ops.sigmoid,
            marked / marked.sum(1, keepdims=True).clip(1),
        ),
        "SparseCategoricalCrossentropy of a sigmoid": (losses.SparseCategoricalCrossentropy, ops.sigmoid, np.arange(6) % 4),
    }
    for name, (kind, act, target) in made.items():
        numbers = ops.convert_to_numpy(act(ops.convert_to_tensor(logits)))
        yield Ways(
            name,
            {"numbers": lambda: kind()(target, numbers), "outputs": lambda: kind()(target, act(ops.convert_to_tensor(logits)))},
            4 * SUMS,
        )
