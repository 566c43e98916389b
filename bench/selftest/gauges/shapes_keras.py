"""Keras models that write their own training step, or add losses to themselves; nothing of the suite."""

import keras
import numpy as np
from keras import layers, ops


class Stepping(keras.Model):
    """An autoencoder whose own step trains three times its loss."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = layers.Dense(4, activation="tanh"), layers.Dense(6)

    def call(self, x):
        return self.decoder(self.encoder(x))

    def train_step(self, data):
        import tensorflow as tf

        x, _ = data
        with tf.GradientTape() as tape:
            loss = 3 * ops.mean(ops.square(self(x, training=True) - x))
        self.optimizer.apply(tape.gradient(loss, self.trainable_variables), self.trainable_variables)
        return {"loss": loss}


def stepping():
    x = np.random.random((8, 6)).astype("float32")
    return {"model": Stepping(), "loss": "mse", "batch": (x, x), "optimizer": "adam"}


def without_loss():
    given = stepping()
    given.pop("loss")
    given["model"].compile(optimizer="adam")
    return {"model": given["model"], "batch": given["batch"]}


class Adding(keras.Model):
    """A model whose loss is what it adds itself, of named inputs of several types."""

    def __init__(self):
        super().__init__()
        self.hidden, self.head = layers.Dense(8, activation="relu", activity_regularizer="l2"), layers.Dense(3)

    def call(self, x):
        out = ops.where(x["mask"][:, None], self.head(self.hidden(x["numbers"])), 0.0)
        self.add_loss(ops.mean(ops.square(out - ops.cast(x["places"], out.dtype)[:, None])))
        return out


def adding():
    model = Adding()
    model.compile(optimizer="sgd")
    numbers = np.random.standard_normal((8, 5)).astype("float32")
    return {"model": model, "batch": {"numbers": numbers, "mask": np.arange(8) % 3 > 0, "places": np.arange(8)}}
