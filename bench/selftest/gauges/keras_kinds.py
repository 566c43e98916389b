"""Models with names given twice, half precision, parts that only training has, and samples with weights."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops


def classified(model, **others):
    inputs = np.random.standard_normal((16, 12)).astype("float32")
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    optimizer = keras.optimizers.AdamW(1e-3)
    return {"model": model, "loss": loss, "batch": (inputs, np.random.randint(0, 5, 16)), "optimizer": optimizer} | others


def perceptron():
    return keras.Sequential([keras.Input((12,)), layers.Dense(20, "gelu"), layers.Dense(5)])


class Namesakes(keras.Model):
    """Two layers of one name, the second of another shape."""

    def __init__(self):
        super().__init__()
        self.first, self.second = layers.Dense(14, name="dense", activation="tanh"), layers.Dense(5, name="dense")

    def call(self, x):
        return self.second(self.first(x))


def namesakes():
    return classified(Namesakes())


def frozen_namesakes():
    model = Namesakes()
    model.first.trainable = False
    return classified(model)


class TwoWeights(layers.Layer):
    """Two weights of one name."""

    def build(self, shape):
        self.first = self.add_weight(shape=(12, 12), name="w")
        self.second = self.add_weight(shape=(12, 5), name="w")

    def call(self, x):
        return ops.tanh(x @ self.first) @ self.second


def two_weights():
    return classified(keras.Sequential([keras.Input((12,)), TwoWeights()]))


def block():
    entry = keras.Input((12,))
    return keras.Model(entry, layers.BatchNormalization(name="norm")(layers.Dense(12, "tanh", name="dense")(entry)), name="block")


class Blocks(keras.Model):
    """Two models of one name inside."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.head = block(), block(), layers.Dense(5)

    def call(self, x, training=False):
        return self.head(self.second(self.first(x, training=training), training=training))


def blocks():
    return classified(Blocks())


def namesakes_on_data():
    return namesakes() | {"data": [namesakes()["batch"] for _ in range(4)]}


def half():
    model = keras.Sequential([keras.Input((12,)), layers.Dense(20, "gelu", dtype="mixed_float16"), layers.Dense(5)])
    return classified(model, optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3), initial_scale=8.0))


class Auxiliary(keras.Model):
    """A head that only training has, and statistics that the pass which builds it must not move."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head, self.auxiliary = layers.Dense(20, "gelu"), layers.Dense(5), layers.Dense(1)
        self.norm = layers.BatchNormalization()

    def call(self, x, training=False):
        h = self.hidden(x)
        if training:
            self.add_loss(0.01 * ops.mean(ops.square(self.norm(self.auxiliary(h), training=True))))
        return self.head(h)


def auxiliary():
    return classified(Auxiliary())


def weighted():
    pair = classified(None)["batch"]
    return classified(perceptron(), batch=pair, data=[(*pair, np.linspace(0, 2, 16).astype("float32"))] * 4)


def weighted_late():
    data = weighted()["data"]
    return classified(perceptron(), data=[each[:2] for each in data] + data)


def scaled():
    return classified(perceptron(), optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=8.0))


def scaled_by_a_factor():
    return classified(perceptron(), optimizer=keras.optimizers.SGD(0.1, loss_scale_factor=1000.0))
