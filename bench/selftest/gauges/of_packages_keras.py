"""Keras models of packages as their users build them, untrained and small: keras-hub's, and Keras's own; nothing of the suite."""

import keras
import keras_hub
import numpy as np
from keras import layers


def texts(model):
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    batch = np.random.randint(0, 50, (6, 8)), np.random.randint(0, 4, 6)
    return {"model": model, "loss": loss, "batch": batch, "optimizer": keras.optimizers.SGD(0.1, momentum=0.9)}


def encoder():
    """A Transformer encoder of keras-hub."""
    tokens = keras.Input((8,), dtype="int32")
    x = keras_hub.layers.TokenAndPositionEmbedding(50, 8, 12)(tokens)
    x = keras_hub.layers.TransformerEncoder(16, 2, dropout=0.1, name="encoder")(x)
    return texts(keras.Model(tokens, layers.Dense(4)(layers.GlobalAveragePooling1D()(x))))


def lstm():
    """A text classifier on Keras's LSTM in both directions."""
    tokens = keras.Input((8,), dtype="int32")
    x = layers.Bidirectional(layers.LSTM(8), name="both")(layers.Embedding(50, 8)(tokens))
    return texts(keras.Model(tokens, layers.Dense(4)(layers.Dropout(0.2)(x))))


def resnet():
    """A residual conv net of keras-hub, with batch normalization."""
    backbone = keras_hub.models.ResNetBackbone(
        input_conv_filters=[64], input_conv_kernel_sizes=[3], stackwise_num_filters=[64], stackwise_num_blocks=[1],
        stackwise_num_strides=[1], block_type="basic_block", image_shape=(8, 8, 3), name="backbone",
    )  # fmt: skip
    model = keras.Sequential([keras.Input((8, 8, 3)), backbone, layers.GlobalAveragePooling2D(), layers.Dense(4)])
    batch = np.random.standard_normal((4, 8, 8, 3)).astype("float32"), np.random.randint(0, 4, 4)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return {"model": model, "loss": loss, "batch": batch, "optimizer": keras.optimizers.SGD(0.1, momentum=0.9)}


def unet():
    """The encoder and decoder of latent diffusion of keras-hub: residual blocks, attention, group normalization."""
    from keras_hub.src.models.vae.vae_backbone import VAEBackbone

    model = VAEBackbone(
        encoder_num_filters=[32, 32], encoder_num_blocks=[1, 1], decoder_num_filters=[32, 32], decoder_num_blocks=[1, 1],
        sampler_method="mode", input_channels=3, output_channels=3, image_shape=(8, 8, 3),
    )  # fmt: skip
    x = np.random.standard_normal((2, 8, 8, 3)).astype("float32")
    return {"model": model, "loss": "mse", "batch": (x, x), "optimizer": keras.optimizers.SGD(0.1)}
