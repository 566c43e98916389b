"""Keras models as a user has them: this file imports nothing of the suite."""

import keras
import numpy as np
from keras import layers


def classes():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def images():
    inputs = keras.Input((12, 12, 3))
    x = layers.Conv2D(8, 3, activation="relu")(inputs)
    x = layers.MaxPooling2D()(layers.BatchNormalization()(x))
    outputs = layers.Dense(4)(layers.Flatten()(layers.Dropout(0.3)(x)))
    batch = np.random.standard_normal((16, 12, 12, 3)).astype("float32"), np.random.randint(0, 4, 16)
    return {"model": keras.Model(inputs, outputs), "loss": classes(), "batch": batch, "optimizer": keras.optimizers.Adam(1e-3)}


class Recurrent(keras.Model):
    """A subclassed text classifier on `keras.layers.LSTM`."""

    def __init__(self):
        super().__init__()
        self.embedding, self.lstm, self.head = layers.Embedding(50, 16), layers.LSTM(12), layers.Dense(3)

    def call(self, tokens):
        return self.head(self.lstm(self.embedding(tokens)))


def recurrent():
    return Recurrent(), classes(), (np.random.randint(0, 50, (8, 4)), np.random.randint(0, 3, 8)), "sgd"


def regression():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, activation="tanh", kernel_regularizer="l2"), layers.Dense(1)])
    model.compile(optimizer="rmsprop", loss="mse")
    batch = np.random.standard_normal((16, 5)).astype("float32"), np.random.standard_normal((16, 1)).astype("float32")
    return {"model": model, "batch": batch}


def sensors():
    left, right = keras.Input((4,), name="left"), keras.Input((3,), name="right")
    hidden = layers.Dense(8, activation="gelu")(layers.Concatenate()([left, right]))
    model = keras.Model({"left": left, "right": right}, {"a": layers.Dense(2, name="a")(hidden), "b": layers.Dense(1, name="b")(hidden)})
    inputs = {"left": np.random.standard_normal((6, 4)).astype("float32"), "right": np.random.standard_normal((6, 3)).astype("float32")}
    targets = {"a": np.zeros((6, 2), "float32"), "b": np.ones((6, 1), "float32")}
    return {"model": model, "loss": {"a": "mse", "b": "mae"}, "batch": (inputs, targets), "optimizer": "adam"}


def half():
    model = keras.Sequential([keras.Input((5,)), layers.Dense(8, dtype="float32", name="fixed"), layers.Dense(1)])
    batch = np.ones((4, 5), "float32"), np.ones((4, 1), "float32")
    return {"model": model, "loss": "mse", "batch": batch, "optimizer": "sgd"}
