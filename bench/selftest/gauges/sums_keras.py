"""Keras models of real sizes, whose kernels add up thousands of terms one after the other; nothing of the suite."""

import keras
import numpy as np
from keras import layers


def classified(stack, inputs, dtype="float32"):
    model = keras.Sequential([keras.Input(inputs.shape[1:], dtype=dtype), *stack, layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"model": model, "loss": loss, "batch": (inputs, np.random.randint(0, 10, len(inputs))), "optimizer": keras.optimizers.SGD(0.01)}


def noise(*shape):
    return np.random.standard_normal(shape).astype("float32")


def patches():
    """An image in patches of 32 × 32 pixels, as vision transformers begin."""
    return classified([layers.Conv2D(64, 32, 32), layers.LayerNormalization(), layers.GlobalAveragePooling2D()], noise(8, 64, 64, 3))


def images():
    """As many pixels as a batch of photographs has, for a kernel's gradient."""
    stack = [layers.Conv2D(16, 7, 2, activation="tanh"), layers.Conv2D(32, 3, 2, activation="tanh"), layers.GlobalAveragePooling2D()]
    return classified(stack, noise(16, 128, 128, 3))


def pooled():
    return classified([layers.Conv2D(16, 3, activation="tanh"), layers.AveragePooling2D(62), layers.Flatten()], noise(8, 64, 64, 3))


def repeated():
    """Ten tokens, each thousands of times."""
    return classified([layers.Embedding(10, 32), layers.GlobalAveragePooling1D()], np.random.randint(0, 10, (64, 512)), "int32")


def tabular():
    """Few columns and many rows, whose products are narrow."""
    model = keras.Sequential([keras.Input((6,)), layers.Dense(12, activation="tanh"), layers.Dense(1)])
    x = noise(40_000, 6)
    return {"model": model, "loss": "mse", "batch": (x, np.sin(x).sum(1, keepdims=True)), "optimizer": keras.optimizers.SGD(0.01)}


def single():
    """One number from one, so that one sum is all of a gradient."""
    x = noise(10_000, 1)
    model = keras.Sequential([keras.Input((1,)), layers.Dense(1)])
    return {"model": model, "loss": "mse", "batch": (x, np.sin(x)), "optimizer": keras.optimizers.SGD(0.01)}
