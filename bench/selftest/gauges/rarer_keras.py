"""Keras models that do what few do: draw in evaluation, stop gradients; nothing of the suite."""

import keras
import numpy as np
from keras import layers, ops


class Variational(keras.Model):
    """An autoencoder that draws its code in training and in evaluation."""

    def __init__(self):
        super().__init__()
        self.encoder, self.decoder = layers.Dense(8), layers.Dense(20, activation="softplus")
        self.seeds = keras.random.SeedGenerator(3)

    def call(self, x):
        mean, log_variance = ops.split(self.encoder(x), 2, axis=-1)
        return self.decoder(mean + keras.random.normal(ops.shape(mean), seed=self.seeds) * ops.exp(log_variance / 2))


def variational():
    x = np.random.random((8, 20)).astype("float32")
    return {"model": Variational(), "loss": "mse", "batch": (x, x), "optimizer": "adam"}


class Straight(layers.Layer):
    """Rounds to quarters, past which the gradient goes straight."""

    def call(self, x):
        return x + ops.stop_gradient(ops.round(4 * x) / 4 - x)


def quantized():
    inputs = keras.Input((12,))
    model = keras.Model(inputs, layers.Dense(3)(Straight()(layers.Dense(16, activation="gelu")(inputs))))
    batch = np.random.standard_normal((8, 12)).astype("float32"), np.random.standard_normal((8, 3)).astype("float32")
    return {"model": model, "loss": "mse", "batch": batch, "optimizer": "adamw"}


def clipped():
    """Tokens that repeat, and a clipped gradient."""
    model = keras.Sequential([keras.Input((9,), dtype="int32"), layers.Embedding(30, 16), layers.Dense(3)])
    batch = np.random.randint(0, 5, (4, 9)), np.random.standard_normal((4, 9, 3)).astype("float32")
    return {"model": model, "loss": "mse", "batch": batch, "optimizer": keras.optimizers.SGD(0.1, clipnorm=0.01)}
