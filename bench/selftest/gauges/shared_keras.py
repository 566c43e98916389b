"""Keras models whose parts are made once, outside of the factory; nothing of the suite."""

import keras
import numpy as np
from keras import layers

ADAM = keras.optimizers.Adam(keras.optimizers.schedules.ExponentialDecay(0.01, 1, 0.5), clipnorm=1.0)
MODEL = keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.BatchNormalization(), layers.Dense(2)])
BATCHES = [(np.random.default_rng(n).random((8, 4), "float32"), np.random.default_rng(n).random((8, 2), "float32")) for n in range(4)]


def made():
    return keras.Sequential([keras.Input((4,)), layers.Dense(5, activation="tanh"), layers.Dense(2)])


def optimizer():
    return {"model": made(), "loss": "mse", "data": BATCHES, "optimizer": ADAM}


def compiled():
    model = made()
    model.compile(optimizer=ADAM, loss="mse")
    return {"model": model, "data": BATCHES}


def model():
    return {"model": MODEL, "loss": "mse", "data": BATCHES, "optimizer": keras.optimizers.SGD(0.1, momentum=0.9)}


class Unsaved(keras.optimizers.SGD):
    """An optimizer whose settings do not make another one."""

    def __init__(self, needed):
        super().__init__(needed)


UNSAVED = Unsaved(0.1)


def unsaved():
    return {"model": made(), "loss": "mse", "data": BATCHES, "optimizer": UNSAVED}
