"""Models with losses of their own, low-rank adapters, lookups, powers and states, as a user of Keras may write them."""

from __future__ import annotations

import keras
import numpy as np
from keras import layers, ops


def noise(*shape):
    return np.random.standard_normal(shape).astype("float32")


def classified(model, inputs, classes=5):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"model": model, "loss": loss, "batch": (inputs, np.random.randint(0, classes, len(inputs))), "optimizer": "sgd"}


class Triplet(keras.Model):
    """One encoder of three inputs, and a loss that the model computes itself."""

    def __init__(self):
        super().__init__()
        self.encoder = keras.Sequential([layers.Dense(12, activation="tanh"), layers.Dense(6)])

    def call(self, x):
        anchor, near, far = (self.encoder(each) for each in x)
        return ops.sum((anchor - near) ** 2, -1), ops.sum((anchor - far) ** 2, -1)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return ops.mean(ops.softplus(y_pred[0] - y_pred[1]))


def siamese():
    return {"model": Triplet(), "batch": ((noise(8, 10), noise(8, 10), noise(8, 10)), None), "optimizer": "sgd"}


def adapted():
    """A frozen kernel beside a low-rank one, which Keras keeps in float32."""
    hidden = layers.Dense(16, activation="tanh")
    model = keras.Sequential([keras.Input((10,)), hidden, layers.Dense(5)])
    hidden.enable_lora(2)
    return classified(model, noise(8, 10))


def words():
    """Words are looked up within the model."""
    lookup = layers.StringLookup(vocabulary=["a", "b", "c"])
    inputs = keras.Input((1,), dtype="string")
    x = layers.Flatten()(layers.Embedding(5, 6)(lookup(inputs)))
    return classified(keras.Model(inputs, layers.Dense(5)(x)), np.array([["a"], ["b"], ["c"], ["z"]], dtype=object))


class Squared(layers.Layer):
    """Adds the mean of its squares to the loss, by a power."""

    def __init__(self, **settings):
        super().__init__(**settings)
        self.dense = layers.Dense(8)

    def call(self, x):
        z = self.dense(x)
        self.add_loss(0.01 * ops.mean(z**2))
        return z


def squared():
    return classified(keras.Sequential([keras.Input((6,)), Squared(), layers.Dense(5)]), noise(8, 6))


def stateful():
    """The last state of a batch is the first of the next one."""
    model = keras.Sequential([keras.Input(batch_shape=(4, 5, 3)), layers.LSTM(6, stateful=True), layers.Dense(5)])
    return classified(model, noise(4, 5, 3))


@keras.ops.custom_gradient
def off(x):
    def gradient(*given, upstream=None):
        return (given[0] if upstream is None else upstream) * 1.001

    return ops.multiply(x, 1.0), gradient


def wrong():
    """A function that changes nothing, and whose gradient is a thousandth too large."""
    hidden = layers.Dense(8, name="hidden")
    return classified(keras.Sequential([keras.Input((6,)), hidden, layers.Lambda(off), layers.Dense(5, name="head")]), noise(8, 6))


def frozen():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(5)])
    model.trainable = False
    return classified(model, noise(8, 6))
