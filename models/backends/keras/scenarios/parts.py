"""Scenarios of single parts of Keras: initializers, seeds, a norm in half precision, options that exclude each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays, Batch, Labels, Points
from models.backends.keras.layers import array
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.model import Model, optimizer_of
from models.backends.keras.precision import compute_in
from models.backends.keras.releases import absences
from models.backends.refusals import outcomes
from models.spec import Spec

Curve = Callable[[Tensor], Tensor]


def initializer_shared(*, shape: list[int], source: str) -> list[Array]:
    """Weights of two layers built with one and the same initializer object, `unseeded` or drawing from a seed `generator`."""
    shared = keras.initializers.GlorotUniform(seed=keras.random.SeedGenerator(1) if source == "generator" else None)
    layers = [keras.layers.Dense(shape[1], kernel_initializer=shared) for _ in range(2)]
    for layer in layers:
        layer.build((None, shape[0]))
    return [array(layer.kernel) for layer in layers]


def seeded(*, seeds: list[int]) -> dict[str, Arrays]:
    """All that is random, by seed: weights, dropout, a draw, the order in which `fit` shuffles; global seed, and the object's own."""
    drawn = {}
    for seed in seeds:
        keras.utils.set_random_seed(seed)
        drawn[f"global seed {seed}"] = {
            "weights": array(_kernel(keras.initializers.GlorotUniform())),
            "dropout": array(keras.layers.Dropout(0.5)(ops.ones((8, 8)), training=True)),
            "draw": array(keras.random.normal((8,))),
            "order": _order(),
        }
        keras.utils.set_random_seed(seed + 12345)
        drawn[f"own seed {seed}"] = {
            "weights": array(_kernel(keras.initializers.GlorotUniform(seed=seed))),
            "dropout": array(keras.layers.Dropout(0.5, seed=seed)(ops.ones((8, 8)), training=True)),
            "draw": array(keras.random.normal((8,), seed=seed)),
        }
    return drawn


def _kernel(initializer: keras.initializers.Initializer) -> Tensor:
    layer = keras.layers.Dense(8, kernel_initializer=initializer)
    layer.build((None, 8))
    return layer.kernel


def _order() -> Array:
    """In which order `fit` shows 16 samples: with rate 1 and this loss, each batch of one sample writes its number into the weight."""
    inputs = keras.Input((1,))
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="zeros")
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(1.0), loss=lambda target, output: ops.sum(output, axis=-1))
    seen = []
    # On JAX a layer has its weights during `fit` only after a callback has asked for its model.
    note: Any = keras.callbacks.LambdaCallback(on_train_batch_end=lambda batch, logs: seen.append(array(note.model.weights[0]).item()))
    x = np.arange(1.0, 17.0, dtype=np.float32)[:, None]
    model.fit(x, x, batch_size=1, verbose=0, callbacks=[note])
    return -np.diff([0.0, *seen])


def normalized(*, x: Batch, precision: str) -> Array:
    """A fresh layer normalization's output on x (batch × units), computed in `precision`."""
    compute_in("float32")
    return np.asarray(array(keras.layers.LayerNormalization(epsilon=1e-5, dtype=precision)(np.asarray(x, precision))), np.float64)


def truncated(*, shape: list[int], spread: float, cut: float, precision: str) -> Array:
    """Draws of Keras's truncated normal of this standard deviation, which cuts at two of them, in `precision`; given back in float64."""
    if cut != 2:
        raise ValueError(f"Keras truncates at 2 standard deviations, not at {cut:g}")
    drawn = keras.initializers.TruncatedNormal(stddev=spread, seed=1)(tuple(shape), dtype=precision)
    return np.asarray(array(drawn), np.float64)


def in_pieces(*, x: Points) -> dict[str, list[list[Array]]]:
    """By activation of several pieces: values and slopes at x of its one operation, and those of the formula it stands for."""
    with absences():
        functions: dict[str, list[Curve]] = {
            "hard_silu": [ops.hard_silu, lambda x: x * ops.relu6(x + 3) / 6],
            "hard_sigmoid": [ops.hard_sigmoid, lambda x: ops.relu6(x + 3) / 6],
        }
    return {name: [_curve(function, x) for function in both] for name, both in functions.items()}


def _curve(function: Curve, x: Points) -> list[Array]:
    def summed(at: list[Tensor]) -> tuple[Tensor, Tensor]:
        values = function(at[0])
        return ops.sum(values), values

    _, values, (slopes,) = LIBRARY.gradient(summed, [ops.convert_to_tensor(x)])
    return [array(values), array(slopes)]


def confident(*, spec: str, weights: Arrays, x: Batch, labels: Labels, of: str) -> Arrays:
    """Weights after one step on cross-entropy of logits, or of the `probabilities` of a softmax layer."""
    described = Spec.parse(spec)
    built = Model(described, weights)
    if of == "logits":
        built.compile(optimizer_of(described)).train_on_batch(x, labels)
        return built.weights()
    outputs = keras.layers.Activation("softmax")(built.model.outputs[0])
    model = keras.Model(built.model.inputs[0], outputs)
    model.compile(optimizer_of(described), keras.losses.SparseCategoricalCrossentropy(from_logits=False))
    model.train_on_batch(x, labels)
    return built.weights()


def refusals() -> dict[str, dict[str, str]]:
    """What Keras does with options by what should become of them: `refused`, `warned` or `taken`."""
    sgd = keras.optimizers.SGD
    attempts: dict[str, dict[str, Callable[[], object]]] = {
        "taken": {
            "clipnorm alone": lambda: sgd(clipnorm=1.0),
            "clipvalue alone": lambda: sgd(clipvalue=1.0),
            "global_clipnorm alone": lambda: sgd(global_clipnorm=1.0),
            "run_eagerly alone": lambda: _compiled(run_eagerly=True),
        },
        "refused": {
            "clipnorm with clipvalue": lambda: sgd(clipnorm=1.0, clipvalue=1.0),
            "clipnorm with global_clipnorm": lambda: sgd(clipnorm=1.0, global_clipnorm=1.0),
            "clipvalue with global_clipnorm": lambda: sgd(clipvalue=1.0, global_clipnorm=1.0),
            "jit_compile with run_eagerly": lambda: _compiled(run_eagerly=True, jit_compile=True),
        },
    }
    return outcomes(attempts, (ValueError, TypeError), "isabling|ignored")


def _compiled(**options: bool) -> keras.Model:
    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", **options)
    return model
