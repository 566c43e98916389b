"""A recurrent layer of Keras's whose recurrent kernel is made of what it learns: orthogonal or unitary at every step of a training.

Keras has an initializer and a constraint for it, and no such layer, so that users write this one.
"""

from __future__ import annotations

from typing import Any

import keras
from keras import ops

from models.backends.keras.libraries import Tensor
from models.parts.parametrizations import PARAMETRIZATIONS


@keras.saving.register_keras_serializable("gradgauge")
class ParametrizedCell(keras.layers.SimpleRNNCell):
    """Keras's cell, which computes with what its layer made of the kernel that it has `learned`."""

    made: Tensor | None = None

    def __init__(self, units: int, parametrization: str, **options: Any) -> None:
        """`options` are those of SimpleRNNCell. Fails where Keras has no `ops.solve`."""
        super().__init__(units, **options)
        self.parametrization, self.solve = parametrization, ops.solve

    @property
    def recurrent_kernel(self) -> Tensor:
        """(units × units), what states are multiplied by."""
        return self.make() if self.made is None else self.made

    @recurrent_kernel.setter
    def recurrent_kernel(self, learned: keras.Variable) -> None:
        self.learned = learned

    def make(self) -> Tensor:
        """The Cayley transform of a skew matrix: Keras's kernel is the transpose of the reference's, and so takes the upper triangle."""
        upper = ops.triu(ops.convert_to_tensor(self.learned), 1)
        skew = upper - ops.transpose(upper)
        if PARAMETRIZATIONS[self.parametrization].paired:
            (a, b), (c, d) = (ops.split(half, 2, axis=1) for half in ops.split(skew, 2, axis=0))
            p, q = (a + d) / 2, (c - b) / 2
            skew = ops.concatenate([ops.concatenate([p, -q], 1), ops.concatenate([q, p], 1)], 0)
        one = ops.eye(self.units, dtype=skew.dtype)
        return self.solve(one - skew / 2, one + skew / 2)

    def get_config(self) -> dict[str, Any]:
        """With which a copy is made, as Bidirectional does."""
        return super().get_config() | {"parametrization": self.parametrization}


@keras.saving.register_keras_serializable("gradgauge")
class ParametrizedRNN(keras.layers.RNN):
    """A layer that makes its cell's kernel once for all time steps."""

    def call(self, sequences: Tensor, initial_state: Any = None, mask: Tensor | None = None, training: bool = False) -> Any:
        """As Keras's layer."""
        self.cell.made = self.cell.make()
        try:
            return super().call(sequences, initial_state=initial_state, mask=mask, training=training)
        finally:
            self.cell.made = None  # a tensor of this trace is of no use outside
