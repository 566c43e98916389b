"""Equalities of single layers, recurrent and convolutional, in the words of Keras alone, for scripts that show one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
from keras import layers, ops

from models.backends.keras.promises.defaults import drawn
from models.backends.ways import Ways

RECURRENT = {"lstm": layers.LSTM, "gru": layers.GRU, "simple": layers.SimpleRNN}


def recurrent(name: str, given: dict[str, Any], x: Any) -> Any:
    """What a recurrent layer gives at every time step, with the same weights every time."""
    keras.utils.set_random_seed(3)
    return RECURRENT[name](3, return_sequences=True, **given)(x)


def unrolled() -> Iterator[Ways]:
    """A loop over time against one that is written out."""
    for name in RECURRENT:
        ways = {
            "loop": lambda name=name: recurrent(name, {}, drawn((2, 5, 4), 4)),
            "unrolled": lambda name=name: recurrent(name, {"unroll": True}, drawn((2, 5, 4), 4)),
        }
        yield Ways(name, ways, 20)


def stateful_halves() -> Iterator[Ways]:
    """A sequence at once against its halves, with the state kept."""

    def halves(name: str) -> Any:
        keras.utils.set_random_seed(3)
        layer = RECURRENT[name](3, return_sequences=True, stateful=True)
        return ops.concatenate([layer(drawn((2, 5, 4), 4)[:, :2]), layer(drawn((2, 5, 4), 4)[:, 2:])], 1)

    for name in RECURRENT:
        yield Ways(
            name, {"whole": lambda name=name: recurrent(name, {}, drawn((2, 5, 4), 4)), "halves": lambda name=name: halves(name)}, 20
        )


def grouped_convolution() -> Iterator[Ways]:
    """A convolution in groups against one convolution for each group."""
    x = drawn((2, 5, 5, 4), 5)
    kernel = drawn((3, 3, 2, 6), 6)
    each = lambda: ops.concatenate([ops.conv(x[..., :2], kernel[..., :3]), ops.conv(x[..., 2:], kernel[..., 3:])], -1)  # noqa: E731

    def grouped() -> Any:
        layer = layers.Conv2D(6, 3, groups=2, use_bias=False)
        layer.build((2, 5, 5, 4))
        layer.set_weights([kernel])
        return layer(x)

    yield Ways("groups", {"each": each, "grouped": grouped}, 50)


def pointwise_convolution() -> Iterator[Ways]:
    """A convolution of one pixel against a product with each pixel."""
    x = drawn((2, 5, 5, 4), 5)
    kernel = drawn((4, 6), 6)
    yield Ways("pixels", {"product": lambda: ops.matmul(x, kernel), "convolution": lambda: ops.conv(x, kernel[None, None])}, 50)
