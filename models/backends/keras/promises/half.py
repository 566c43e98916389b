"""Normalizations in half precision, on inputs whose squares leave the format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import keras
import numpy as np
from keras import ops

from models.arrays import Array
from models.backends.keras.libraries import Tensor
from models.backends.ways import Ways

UNITS = 32
NORMS: dict[str, Callable[[str], Callable[[Tensor], Tensor]]] = {
    "LayerNormalization": lambda dtype: keras.layers.LayerNormalization(epsilon=1e-5, dtype=dtype),
    "RMSNormalization": lambda dtype: keras.layers.RMSNormalization(epsilon=1e-5, dtype=dtype),
    "GroupNormalization": lambda dtype: keras.layers.GroupNormalization(4, epsilon=1e-5, dtype=dtype),
    "GroupNormalization of one group": lambda dtype: keras.layers.GroupNormalization(1, epsilon=1e-5, dtype=dtype),
    "BatchNormalization": lambda dtype: _training(keras.layers.BatchNormalization(epsilon=1e-5, dtype=dtype)),
    "UnitNormalization": lambda dtype: keras.layers.UnitNormalization(dtype=dtype),
    "Softmax": lambda dtype: keras.layers.Softmax(dtype=dtype),
    "log_softmax": lambda dtype: ops.log_softmax,
    "ops.normalize": lambda dtype: ops.normalize,
}
SIZES = {"float16": (3e-4, 3e-3, 1.0, 300.0, 3000.0, 8000.0), "bfloat16": (1e-15, 1e-6, 1e-3, 1.0, 300.0, 1e15)}
"""By format, input sizes whose squares leave it or its resolution while they themselves, and their squares in float32, do not."""
UNIT = {"float16": 2.0**-11, "bfloat16": 2.0**-8}


def _training(norm: keras.layers.Layer) -> Callable[[Tensor], Tensor]:
    return lambda x: norm(x, training=True)


def _by_formula(name: str, x: Array) -> Array:
    if name in ("Softmax", "log_softmax"):
        shifted = x - x.max(1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        return np.exp(logs) if name == "Softmax" else logs
    if name in ("UnitNormalization", "ops.normalize"):
        return x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12 if name == "UnitNormalization" else 1e-7)
    if name == "RMSNormalization":
        return x / np.sqrt(np.square(x).mean(1, keepdims=True) + 1e-5)
    shape, axis = {
        "LayerNormalization": (x.shape, 1),
        "BatchNormalization": (x.shape, 0),
        "GroupNormalization": ((-1, 4, UNITS // 4), 2),
    }.get(name, (x.shape, 1))
    grouped = x.reshape(shape)
    return ((grouped - grouped.mean(axis, keepdims=True)) / np.sqrt(grouped.var(axis, keepdims=True) + 1e-5)).reshape(x.shape)


def norms_in_half_precision() -> Iterator[Ways]:
    """Every normalization in both half precisions on inputs of every size, against its formula in float64."""
    for dtype, sizes in SIZES.items():
        for name, make in NORMS.items():
            for size in sizes:
                drawn = ops.cast(
                    ops.convert_to_tensor((size * np.random.default_rng(9).standard_normal((8, UNITS))).astype(np.float32)), dtype
                )
                stored = np.asarray(ops.convert_to_numpy(ops.cast(drawn, "float32")), np.float64)
                ways = {"formula": lambda: _by_formula(name, stored), "half": lambda: ops.cast(make(dtype)(drawn), "float32")}
                yield Ways(f"{name} {dtype} of size {size:g}", ways, 1, unit=UNIT[dtype])
