"""Keras models whose optimizer scales the loss, or which make their layers late."""

import keras
import numpy as np


def _data():
    generator = np.random.default_rng(0)
    return generator.standard_normal((16, 12)).astype("float32"), generator.integers(0, 5, 16)


def _gauge(model, optimizer="adam"):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"model": model, "loss": loss, "batch": _data(), "optimizer": optimizer}


def _net():
    return keras.Sequential([keras.Input((12,)), keras.layers.Dense(20, activation="gelu"), keras.layers.Dense(5)])


def scaled():
    """A loss scale that moves."""
    return _gauge(_net(), keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam(1e-3)))


def scaled_growing():
    """A loss scale that doubles with every step."""
    return _gauge(_net(), keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1, momentum=0.9), dynamic_growth_steps=1))


def scaled_once():
    """A loss scale that stays."""
    return _gauge(_net(), keras.optimizers.Adam(1e-3, loss_scale_factor=1024.0))


def accumulating():
    """Gradients of two batches in one step."""
    return _gauge(_net(), keras.optimizers.Adam(1e-3, gradient_accumulation_steps=2))


def averaging():
    """Weights that are averaged over steps."""
    return _gauge(_net(), keras.optimizers.SGD(0.1, use_ema=True, ema_overwrite_frequency=1))


class Late(keras.Model):
    """Makes its second layer in its first call."""

    def __init__(self):
        super().__init__()
        self.first = keras.layers.Dense(20, activation="gelu")

    def call(self, x):
        h = self.first(x)
        if not hasattr(self, "last"):
            self.last = keras.layers.Dense(5)
        return self.last(h)


def late():
    return _gauge(Late())


def late_and_built():
    """The same, of which Keras thinks that it is built."""
    model = Late()
    model.first.build((None, 12))
    model.built = True
    return _gauge(model)


class LateLayer(keras.layers.Layer):
    """Makes its weights' layer in its first call, and is built before."""

    def build(self, shape):
        self.built = True

    def call(self, x):
        if not hasattr(self, "inner"):
            self.inner = keras.layers.Dense(5)
        return self.inner(x)


def late_layer():
    """A layer of a model with an input shape, which makes what it learns in its first call."""
    return _gauge(keras.Sequential([keras.Input((12,)), keras.layers.Dense(20, activation="gelu"), LateLayer()]))


class InTraining(keras.Model):
    """Makes a layer that training alone has, in the first call in training."""

    def __init__(self):
        super().__init__()
        self.first, self.last = keras.layers.Dense(20, activation="gelu"), keras.layers.Dense(5)

    def call(self, x, training=False):
        h = self.first(x)
        if training:
            if not hasattr(self, "extra"):
                self.extra = keras.layers.Dense(20)
            h = h + self.extra(h)
        return self.last(h)


def late_in_training():
    return _gauge(InTraining())


def late_in_training_of_a_built_one():
    model = InTraining()
    model(_data()[0])
    return _gauge(model)


class Fresh(keras.Model):
    """Makes a new layer in every call."""

    def __init__(self):
        super().__init__()
        self.first = keras.layers.Dense(20, activation="gelu")

    def call(self, x):
        return keras.layers.Dense(5)(self.first(x))


def fresh():
    return _gauge(Fresh())
