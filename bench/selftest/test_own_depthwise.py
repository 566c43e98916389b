"""A float64 twin computes grouped convolutions of one channel each by TensorFlow's depthwise kernel: the same numbers and gradients."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from models.arrays import Array
from models.backends.registry import backend_module


@pytest.mark.parametrize(
    ("channels", "each", "kernel", "strides", "dilation", "padding"),
    [(6, 1, 7, 1, 1, "same"), (6, 2, 3, 2, 1, "valid"), (4, 3, 3, 1, 2, "same"), (4, 1, 3, (1, 2), 1, "same"), (4, 1, 3, 2, 1, "same")],
)
def test_a_depthwise_kernel_gives_what_keras_s_grouped_convolution_gives(
    channels: int, each: int, kernel: int, strides: int | tuple[int, int], dilation: int, padding: str
) -> None:
    tf, keras = pytest.importorskip("tensorflow"), pytest.importorskip("keras")
    assert backend_module("keras")
    twin = importlib.import_module("models.backends.keras.own.twins.depthwise")
    random = np.random.default_rng(0)
    x, w = (
        tf.constant(random.standard_normal((2, 9, 9, channels))),
        tf.constant(random.standard_normal((kernel, kernel, 1, channels * each))),
    )

    def run() -> list[Array]:
        with tf.GradientTape() as tape:
            tape.watch([x, w])
            y = keras.ops.conv(x, w, strides=strides, padding=padding, dilation_rate=dilation)
            loss = tf.reduce_sum(y * tf.sin(y))
        return [np.asarray(each) for each in (y, *tape.gradient(loss, [x, w]))]

    as_keras_does = run()
    with twin.depthwise_in_float64():
        for seen, wanted in zip(run(), as_keras_does, strict=True):
            np.testing.assert_allclose(seen, wanted, rtol=1e-11, atol=1e-11)
