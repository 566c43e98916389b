"""Grouped convolutions of one channel each in a float64 twin on TensorFlow.

Keras gives grouped convolutions to XLA, which it has compile them anew at every eager call and which is slow at them in float64 (3.15): the
twin of ConvNeXt-T took eight minutes. TensorFlow's own depthwise convolution computes the same.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from unittest import mock

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.tensorflow import nn
from tensorflow import Tensor

Steps = int | Sequence[int]
"""Strides or dilation: one number for all axes, or one each."""


@contextlib.contextmanager
def depthwise_in_float64() -> Iterator[None]:
    """While a model runs in here, such convolutions of float64 images are depthwise ones."""
    as_keras_does = nn.conv

    def conv(
        inputs: Tensor, kernel: Tensor, strides: Steps = 1, padding: str = "valid", data_format: str | None = None, dilation_rate: Steps = 1
    ) -> Tensor:
        across, apart = (np.broadcast_to(steps, 2).tolist() if np.size(steps) in (1, 2) else [0, 0] for steps in (strides, dilation_rate))
        takes = (
            inputs.dtype == tf.float64
            and inputs.ndim == 4
            and (data_format or keras.config.image_data_format()) == "channels_last"
            and 1 == kernel.shape[-2] < inputs.shape[-1]
            and across[0] == across[1]
            and (max(across) == 1 or max(apart) == 1)
        )
        if not takes:
            return as_keras_does(inputs, kernel, strides, padding, data_format, dilation_rate)
        *window, _, outputs = kernel.shape
        turned = tf.reshape(kernel, (*window, inputs.shape[-1], outputs // inputs.shape[-1]))
        return tf.nn.depthwise_conv2d(inputs, turned, [1, *across, 1], padding.upper(), dilations=apart)

    with mock.patch.object(nn, "conv", conv):
        yield
