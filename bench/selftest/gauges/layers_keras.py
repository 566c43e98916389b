"""Keras models of every form, by what they are built of; nothing of the suite."""

import keras
import numpy as np
from keras import layers, ops


def noise(*shape):
    return np.random.standard_normal(shape).astype("float32")


def classified(model, inputs, classes=3, optimizer="adam"):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    samples = len(inputs if isinstance(inputs, np.ndarray) else next(iter(inputs.values())) if isinstance(inputs, dict) else inputs[0])
    return {"model": model, "loss": loss, "batch": (inputs, np.random.randint(0, classes, samples)), "optimizer": optimizer}


def sequential():
    """Every normalization, and dropout."""
    model = keras.Sequential([layers.Conv2D(8, 3, padding="same", use_bias=False), layers.BatchNormalization(), layers.Activation("swish")])
    for layer in (layers.DepthwiseConv2D(3), layers.GroupNormalization(4), layers.LeakyReLU(), layers.SpatialDropout2D(0.2)):
        model.add(layer)
    for layer in (layers.SeparableConv2D(6, 3), layers.LayerNormalization(), layers.AveragePooling2D(2), layers.PReLU(shared_axes=[1, 2])):
        model.add(layer)
    for layer in (layers.GlobalMaxPooling2D(), layers.UnitNormalization(), layers.GaussianDropout(0.1), layers.Dense(3)):
        model.add(layer)
    return classified(model, noise(6, 10, 10, 3))


def attention():
    """An encoder of a Transformer with a mask of padding and causal attention, positions, and einsum."""
    tokens = keras.Input((7,), dtype="int32")
    x = layers.Embedding(20, 8, mask_zero=True)(tokens)
    x = layers.LayerNormalization()(x + layers.MultiHeadAttention(2, 4, dropout=0.1)(x, x, use_causal_mask=True))
    x = x + layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d", activation="gelu")(x)
    x = x + layers.GroupQueryAttention(4, 4, 2)(x, x)
    outputs = layers.Dense(3)(layers.GlobalAveragePooling1D()(x))
    ids = np.random.randint(1, 20, (4, 7))
    ids[:2, 5:] = 0
    return classified(keras.Model(tokens, outputs), ids, optimizer=keras.optimizers.SGD(0.1, momentum=0.9))


def recurrent():
    """Recurrent layers of every kind, in both directions, with a mask and dropout within."""
    inputs = keras.Input((6, 4))
    x = layers.Masking()(inputs)
    x = layers.Bidirectional(layers.LSTM(4, return_sequences=True, recurrent_dropout=0.1))(x)
    x = layers.GRU(5, return_sequences=True, dropout=0.1)(x)
    x = layers.TimeDistributed(layers.Dense(4, activation="tanh"))(x)
    x = layers.RNN([layers.SimpleRNNCell(4), layers.LSTMCell(4)], return_sequences=True)(x)
    x = layers.SimpleRNN(4)(layers.Conv1D(4, 2, padding="causal")(x))
    steps = noise(4, 6, 4)
    steps[1, 4:] = 0
    return classified(keras.Model(inputs, layers.Dense(3)(x)), steps)


class Moving(layers.Layer):
    """A layer with weights that are not trained and change, a loss of its own, and a metric."""

    def __init__(self, units):
        super().__init__()
        self.units, self.seen = units, keras.metrics.Mean("seen")

    def build(self, shape):
        self.kernel = self.add_weight(shape=(shape[-1], self.units), initializer="glorot_uniform", name="kernel")
        self.average = self.add_weight(shape=(self.units,), initializer="zeros", trainable=False, name="average")
        self.calls = self.add_weight(shape=(), initializer="zeros", dtype="int32", trainable=False, name="calls")

    def call(self, x, training=False):
        out = ops.matmul(x, self.kernel)
        if training:
            self.average.assign(0.9 * self.average + 0.1 * ops.mean(out, 0))
            self.calls.assign_add(1)
        self.add_loss(1e-2 * ops.mean(ops.square(out)))
        return out - ops.stop_gradient(self.average)


class Subclassed(keras.Model):
    """A model of layers in a list, with a dictionary out and a step of its own."""

    def __init__(self):
        super().__init__()
        self.parts = [Moving(6), layers.Dense(6, activation="elu", kernel_regularizer="l2", kernel_constraint="max_norm"), layers.Dense(3)]

    def call(self, x, training=False):
        for part in self.parts:
            x = part(x, training=training) if isinstance(part, Moving) else part(x)
        return x

    def train_step(self, *args, **named):
        return super().train_step(*args, **named)


def subclassed():
    return classified(Subclassed(), noise(6, 4), optimizer=keras.optimizers.SGD(0.05, momentum=0.9, nesterov=True, weight_decay=1e-3))


def several():
    """Several inputs in a list and outputs in a list, a layer used twice, one frozen, one that nothing reaches."""
    left, right = keras.Input((4,)), keras.Input((4,))
    shared, frozen = layers.Dense(5, activation="tanh"), layers.Dense(5, trainable=False)
    both = layers.Multiply()([shared(left), shared(right)])
    both = layers.Add()([both, frozen(left)])
    model = keras.Model([left, right], [layers.Dense(2, name="a")(both), layers.Dense(1, name="b")(both)])
    batch = [noise(6, 4), noise(6, 4)], [noise(6, 2), noise(6, 1)]
    return {"model": model, "loss": ["mse", "huber"], "batch": batch, "optimizer": keras.optimizers.RMSprop(1e-3, centered=True)}


def spectral():
    model = keras.Sequential([keras.Input((5,)), layers.SpectralNormalization(layers.Dense(6)), layers.Activation("selu"), layers.Dense(3)])
    return classified(model, noise(6, 5), optimizer=keras.optimizers.Lion(1e-4))


def augmented():
    """Layers that change images at random, and rescale them."""
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.RandomFlip(), layers.Rescaling(0.5)])
    for layer in (layers.GaussianNoise(0.1), layers.RandomContrast(0.1), layers.Conv2D(4, 3), layers.Flatten(), layers.Dense(3)):
        model.add(layer)
    return classified(model, noise(4, 8, 8, 3))


def rotated():
    """A layer that computes in float32 wherever it is built."""
    model = keras.Sequential([keras.Input((8, 8, 3)), layers.RandomRotation(0.1), layers.Flatten(), layers.Dense(3)])
    return classified(model, noise(4, 8, 8, 3))


def adaptive():
    """Tokens that repeat, and an optimizer that squares their gradients."""
    model = keras.Sequential([keras.Input((9,), dtype="int32"), layers.Embedding(30, 16), layers.Dense(3)])
    batch = np.random.randint(0, 5, (4, 9)), noise(4, 9, 3)
    return {"model": model, "loss": "mse", "batch": batch, "optimizer": "adam"}


def upsampled():
    model = keras.Sequential([keras.Input((6, 6, 2)), layers.Conv2D(4, 3, strides=2, padding="same", activation="hard_silu")])
    for layer in (layers.Conv2DTranspose(3, 3, strides=2, padding="same"), layers.UpSampling2D(interpolation="bilinear")):
        model.add(layer)
    for layer in (layers.ZeroPadding2D(), layers.Cropping2D(), layers.Permute((3, 1, 2)), layers.Reshape((3, 196)), layers.Dense(2)):
        model.add(layer)
    return {"model": model, "loss": "mean_absolute_error", "batch": (noise(4, 6, 6, 2), noise(4, 3, 2)), "optimizer": "adamw"}


def volumes():
    model = keras.Sequential([keras.Input((5, 5, 5, 1)), layers.Conv3D(3, 2, activation="relu"), layers.MaxPooling3D(2), layers.Flatten()])
    model.add(layers.Dense(3))
    return classified(model, noise(4, 5, 5, 5, 1))


def grouped():
    """Convolutions of groups, one channel each and several, with strides and dilation."""
    model = keras.Sequential([layers.Conv2D(12, 3, groups=6, padding="same", activation="tanh")])
    for layer in (layers.Conv2D(12, 3, groups=12, strides=2), layers.Conv2D(8, 3, groups=4, activation="tanh"), layers.Reshape((4, 8))):
        model.add(layer)
    for layer in (layers.Conv1D(8, 2, groups=2, dilation_rate=2), layers.GlobalAveragePooling1D(), layers.Dense(3)):
        model.add(layer)
    return classified(model, noise(4, 9, 9, 6))


def nested():
    """A model within a model, a Lambda, and functions between."""
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(6, activation="softplus"), layers.BatchNormalization()])
    inputs = keras.Input((4,))
    x = layers.Lambda(lambda z: z * 2)(inner(inputs))
    x = ops.concatenate([x, ops.softmax(x), ops.sort(x), ops.cumsum(x, -1)], -1)
    optimizer = keras.optimizers.Adam(1e-3, amsgrad=True, clipnorm=1.0)
    return classified(keras.Model(inputs, layers.Dense(3)(x)), noise(6, 4), optimizer=optimizer)


def half():
    """Mixed precision by its user's policy."""
    policy = keras.mixed_precision.Policy("mixed_bfloat16")
    model = keras.Sequential([keras.Input((4,)), layers.Dense(6, dtype=policy), layers.Dense(3, dtype=policy)])
    return classified(model, noise(6, 4))


def scheduled():
    """A rate that falls, averages of weights, gradients over several steps."""
    rate = keras.optimizers.schedules.CosineDecay(0.1, 10)
    optimizer = keras.optimizers.Nadam(rate, use_ema=True)
    return classified(keras.Sequential([keras.Input((4,)), layers.Dense(3)]), noise(6, 4), optimizer=optimizer)


def accumulated():
    optimizer = keras.optimizers.SGD(0.1, gradient_accumulation_steps=2)
    return classified(keras.Sequential([keras.Input((4,)), layers.Dense(3)]), noise(6, 4), optimizer=optimizer)


@ops.custom_gradient
def sign(x):
    return ops.sign(x), lambda g, upstream=None: (upstream if upstream is not None else g) * ops.cast(ops.abs(x) <= 1, x.dtype)


class Binary(layers.Layer):
    """Signs, past which the gradient goes straight."""

    def call(self, x):
        return sign(x)


def binary():
    return classified(keras.Sequential([keras.Input((4,)), layers.Dense(6), Binary(), layers.Dense(3)]), noise(6, 4))


def named():
    """Inputs by name, targets within the batch, and weights of samples left out."""
    inputs = {"x": keras.Input((4,), name="x"), "tokens": keras.Input((3,), dtype="int32", name="tokens")}
    x = layers.Concatenate()([inputs["x"], layers.Flatten()(layers.Embedding(9, 2)(inputs["tokens"]))])
    batch = {"x": noise(6, 4), "tokens": np.random.randint(0, 9, (6, 3))}
    return classified(keras.Model(inputs, layers.Dense(3)(x)), batch, optimizer="sgd")


def scalar():
    """One number alone is learned."""

    class Scale(layers.Layer):
        def build(self, shape):
            self.scale = self.add_weight(shape=(), initializer="ones")

        def call(self, x):
            return x * self.scale

    return {"model": keras.Sequential([keras.Input((4,)), Scale()]), "loss": "mse", "batch": (noise(6, 4), noise(6, 4)), "optimizer": "sgd"}
