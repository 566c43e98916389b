"""Keras models in which reported issues show, as users write them: this file imports nothing of the suite."""

import keras
import numpy as np
from keras import layers, ops


def classes():
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def sequences(samples, steps, features):
    return np.random.standard_normal((samples, steps, features)).astype("float32")


def stateful():
    model = keras.Sequential([keras.Input(batch_shape=(8, 6, 4)), layers.LSTM(12, stateful=True), layers.Dense(3)])
    return {"model": model, "loss": classes(), "batch": (sequences(8, 6, 4), np.random.randint(0, 3, 8)), "optimizer": "adam"}


def stacked():
    tokens = np.random.randint(1, 20, (8, 6))
    tokens[:, 4:] = 0
    cells = [layers.LSTMCell(8), layers.LSTMCell(8)]
    model = keras.Sequential([keras.Input((6,)), layers.Embedding(20, 5, mask_zero=True), layers.RNN(cells), layers.Dense(3)])
    return {"model": model, "loss": classes(), "batch": (tokens, np.random.randint(0, 3, 8)), "optimizer": "sgd"}


def gru_dropout():
    model = keras.Sequential([keras.Input((90, 4)), layers.GRU(8, recurrent_dropout=0.75), layers.Dense(3)])
    return {"model": model, "loss": classes(), "batch": (sequences(4, 90, 4), np.random.randint(0, 3, 4)), "optimizer": "adam"}


def lstm_dropout():
    model = keras.Sequential([keras.Input((8, 4)), layers.LSTM(8, recurrent_dropout=0.5), layers.Dense(3)])
    x = sequences(320, 8, 4)
    data = [(part, np.argmax(part.sum(1)[:, :3], axis=1)) for part in x.reshape(40, 8, 8, 4)]
    return {"model": model, "loss": classes(), "data": data, "optimizer": keras.optimizers.Adam(1e-2)}


class Unmasked(layers.Layer):
    """Hands its input on without the mask."""

    def call(self, x):
        return ops.copy(x)

    def compute_mask(self, x, mask=None):
        return None


def spoken(*behind):
    audio = sequences(4, 8, 5)
    audio[:, 6:] = 0.0
    recurrent = layers.Masking(), layers.GRU(12, return_sequences=True)
    model = keras.Sequential([keras.Input((8, 5)), *recurrent, *behind, layers.Dense(6)])
    return {"model": model, "loss": keras.losses.CTC(), "batch": (audio, np.random.randint(1, 6, (4, 3))), "optimizer": "adam"}


def masked_ctc():
    return spoken()


def unmasked_ctc():
    return spoken(Unmasked())
