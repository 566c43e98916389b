"""What Keras says of a result before it is computed: its shape, its data type, and that it is dense, as its operands are."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import layers, ops

from models.arrays import Array
from models.backends.keras.libraries import Tensor
from models.backends.keras.promises.defaults import drawn
from models.backends.ways import Ways

SHAPE = (5, 6)
FORMATS = ("float32", "float16", "int32")
Operation = Callable[[Tensor], Tensor]
WITH_NUMBERS: dict[str, Operation] = {
    "add a number": lambda x: ops.add(x, 2), "subtract a number": lambda x: ops.subtract(x, 2), "multiply by a number": lambda x: ops.multiply(x, 2),
    "a number multiplied": lambda x: ops.multiply(2, x), "divide by a number": lambda x: ops.divide(x, 2), "floor_divide": lambda x: ops.floor_divide(x, 2),
    "mod": lambda x: ops.mod(x, 2), "power": lambda x: ops.power(x, 2), "multiply by a fraction": lambda x: ops.multiply(x, 0.5),
    "add a fraction": lambda x: ops.add(x, 0.5), "maximum": lambda x: ops.maximum(x, 0), "minimum": lambda x: ops.minimum(x, 0),
    "where": lambda x: ops.where(ops.greater(x, 0), x, 0), "clip": lambda x: ops.clip(x, -1, 1),
}  # fmt: skip
WITH_ARRAYS: dict[str, Operation] = {
    "add an array": lambda x: ops.add(x, _like(x)), "subtract an array": lambda x: ops.subtract(x, _like(x)),
    "multiply by an array": lambda x: ops.multiply(x, _like(x)), "divide by an array": lambda x: ops.divide(x, _like(x)),
    "matmul": lambda x: ops.matmul(x, ops.transpose(_like(x))), "concatenate": lambda x: ops.concatenate([x, _like(x)], axis=1),
    "stack": lambda x: ops.stack([x, _like(x)]),
}  # fmt: skip
ALONE: dict[str, Operation] = {
    "negative": ops.negative, "transpose": ops.transpose, "square": ops.square, "absolute": ops.absolute, "sign": ops.sign, "exp": ops.exp,
    "tanh": ops.tanh, "sqrt": ops.sqrt, "relu": ops.relu, "sigmoid": ops.sigmoid, "softmax": ops.softmax, "gelu": ops.gelu,
    "sum": lambda x: ops.sum(x, axis=1), "mean": lambda x: ops.mean(x, axis=1), "max": lambda x: ops.max(x, axis=1),
    "argmax": lambda x: ops.argmax(x, axis=1), "cumsum": lambda x: ops.cumsum(x, axis=1), "norm": lambda x: ops.norm(x, axis=1),
    "reshape": lambda x: ops.reshape(x, (6, 5)), "expand_dims": lambda x: ops.expand_dims(x, 1), "slice": lambda x: x[:, 1:],
    "flip": lambda x: ops.flip(x, axis=1), "repeat": lambda x: ops.repeat(x, 2, axis=1), "pad": lambda x: ops.pad(x, ((0, 0), (1, 1))),
    "cast": lambda x: ops.cast(x, "float32"), "one_hot": lambda x: ops.one_hot(ops.argmax(x, axis=1), 6), "greater": lambda x: ops.greater(x, 0),
    "stop_gradient": ops.stop_gradient, "top_k": lambda x: ops.top_k(x, 2)[0], "split": lambda x: ops.split(x, 2, axis=1)[1],
}  # fmt: skip
FLOATING = {"exp", "tanh", "sqrt", "relu", "sigmoid", "softmax", "gelu", "norm", "mean"}
"""Operations that are given floating-point numbers alone."""


class Opaque(layers.Layer):
    """A layer of the user's own, of whose `call` Keras learns by calling it."""

    def call(self, x: Tensor) -> Tensor:
        """What comes in, twice."""
        return ops.stack([x, x])


def symbolic_as_computed() -> Iterator[Ways]:
    """Every operation of a dense tensor, symbolic and computed, in each format; then behind it a layer of the user's own."""
    for name, operation in {**WITH_NUMBERS, **WITH_ARRAYS, **ALONE}.items():
        for each in FORMATS if name not in FLOATING else FORMATS[:2]:
            yield Ways(f"{name} {each}", {
                "computed": lambda use=operation, each=each: _described(use(_computed(each))),
                "symbolic": lambda use=operation, each=each: _described(use(keras.KerasTensor(SHAPE, each))),
                "a layer behind it": lambda use=operation, each=each: _described(_behind(use, each)),
            })  # fmt: skip


def _behind(operation: Operation, dtype: str) -> Tensor:
    """What stands before a layer that Keras has to call to know what comes out of it."""
    x = operation(keras.KerasTensor(SHAPE, dtype))
    Opaque(dtype="float32", autocast=False)(x)
    return x


def _computed(dtype: str) -> Tensor:
    return ops.convert_to_tensor((4 * drawn(SHAPE, 7)).astype(dtype))


def _like(x: Tensor) -> Tensor:
    """An array that is computed, to stand beside a tensor of either kind."""
    return ops.ones(SHAPE, keras.backend.standardize_dtype(x.dtype))


def _described(x: Tensor) -> Array:
    """Shape, the data type as a number, and 1 where it is sparse."""
    names = sorted((*FORMATS, "bool", "float64", "int64", "bfloat16", "uint8", "int8", "int16", "uint32"))
    return np.array([*map(int, x.shape), names.index(keras.backend.standardize_dtype(x.dtype)), float(getattr(x, "sparse", False))])
