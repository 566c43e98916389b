"""Layers of discretised dynamics as Keras's users write them, since it has none."""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.backends.keras.libraries import Tensor
from models.nodes import Part


class AntisymmetricDense(keras.layers.Dense):
    """A Dense whose kernel is K − Kᵀ − γ."""

    def __init__(self, units: int, damping: float, **options: Any) -> None:
        """Remember γ."""
        super().__init__(units, **options)
        self.damping = damping

    def call(self, h: Tensor) -> Tensor:
        """Leave out the damping that a user would not write."""
        kernel = ops.subtract(self.kernel, ops.transpose(self.kernel))
        if self.damping:
            kernel = ops.subtract(kernel, ops.multiply(ops.eye(self.units, dtype=kernel.dtype), self.damping))
        return ops.add(ops.matmul(h, kernel), self.bias)


class TransposedDense(keras.layers.Layer):
    """The transposed kernel of another layer, and a bias."""

    def __init__(self, layer: keras.layers.Dense, bias_initializer: Any) -> None:
        """Share the layer."""
        super().__init__()
        self.layer, self.bias_initializer = layer, bias_initializer

    def build(self, shape: tuple[int | None, ...]) -> None:
        """Make the bias."""
        self.bias = self.add_weight(shape=(self.layer.kernel.shape[0],), initializer=self.bias_initializer, name="bias")

    def call(self, h: Tensor) -> Tensor:
        """h Kᵀ + b."""
        return ops.add(ops.matmul(h, ops.transpose(self.layer.kernel)), self.bias)


class Slice(keras.layers.Layer):
    """Some units of a state."""

    def __init__(self, node: Part) -> None:
        """Remember which."""
        super().__init__()
        self.begin, self.end = node.begin, node.begin + node.width

    def call(self, h: Tensor) -> Tensor:
        """As they are."""
        return h[:, self.begin : self.end]
