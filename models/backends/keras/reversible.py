"""Layers that are taken back in the backward pass, in place of keeping their activations: Keras's users write them so."""

from __future__ import annotations

import keras
from keras import ops

from models.architectures.reversible import Reversible
from models.backends.keras.libraries import LIBRARY, Tensor

Shape = tuple[int | None, ...]
Values = list[Tensor]


class TakenBack(keras.layers.Layer):
    """All moves of a state, as one operation that keeps the last state alone (Gomez et al. 2017, algorithm 1)."""

    def __init__(self, network: Reversible, parts: dict[str, keras.layers.Layer]) -> None:
        """Layers by node name. Raises Absent where the library's operations have no gradient of one's own yet."""
        super().__init__()
        self.operation = LIBRARY.with_gradient(self._taken)
        self.network, self.affine = network, [parts[move.affine.name] for move in network.moves]
        self.act = [parts[move.act.name] for move in network.moves]

    def build(self, shapes: list[Shape]) -> None:
        """Build what is moved by, in the order of computation."""
        for layer in self.affine:
            layer.build(shapes[0])
        self.built = True

    def compute_output_shape(self, shapes: list[Shape]) -> list[Shape]:
        """Those of the first state."""
        return shapes

    def call(self, state: Values) -> Values:
        """From the first state to the last one."""
        return list(self.operation(*state, *(variable.value for variable in self.trainable_variables)))

    def _taken(self, one: Tensor, other: Tensor, *learned: Tensor) -> tuple[Values, object]:
        """The last state, and what makes its gradients those of both parts and of the variables."""
        weights = dict(zip(map(id, self.trainable_variables), map(ops.stop_gradient, learned), strict=True))
        last = self._ahead([ops.stop_gradient(one), ops.stop_gradient(other)], weights)
        kept = [ops.stop_gradient(part) for part in last]

        def back(*slopes: Tensor) -> Values:
            return self._back(kept, list(slopes), weights)

        return last, back

    def _ahead(self, state: Values, weights: dict[int, Tensor]) -> Values:
        values = dict(zip(self.network.first, state, strict=True))
        for number, move in enumerate(self.network.moves):
            force = self._force(number, values[move.read], weights)
            values[move.sum.name] = ops.add(values.pop(move.moved), ops.multiply(force, move.sum.scale))
        return [values[name] for name in self.network.last]

    def _back(self, state: Values, d: Values, weights: dict[int, Tensor]) -> Values:
        """From the last state to the first one, a move at a time: its force is computed again, taken off, and differentiated.

        A move waits for the gradient that it is to hand on. Else a library that runs what it can would take all states back at once.
        """
        values, slopes = dict(zip(self.network.last, state, strict=True)), dict(zip(self.network.last, d, strict=True))
        gradients: dict[int, Tensor] = {}
        for number, move in reversed(list(enumerate(self.network.moves))):
            names = move.sum.name, move.read
            moved, read = LIBRARY.after([values.pop(name) for name in names], [slopes[name] for name in names])
            force, towards, found = self._differentiated(number, read, ops.multiply(slopes[move.sum.name], move.sum.scale), weights)
            values[move.moved], values[move.read] = ops.subtract(moved, ops.multiply(force, move.sum.scale)), read
            slopes[move.moved] = slopes.pop(move.sum.name)
            slopes[move.read] = ops.add(slopes[move.read], towards)
            for variable, gradient in zip(self._own(number), found, strict=True):  # a Hamiltonian layer reads its matrix twice
                seen = gradients.get(id(variable))
                gradients[id(variable)] = gradient if seen is None else ops.add(seen, gradient)
        return [*(slopes[name] for name in self.network.first), *(gradients[id(variable)] for variable in self.trainable_variables)]

    def _differentiated(self, number: int, read: Tensor, slope: Tensor, weights: dict[int, Tensor]) -> tuple[Tensor, Tensor, Values]:
        """A move's force, and its gradient along `slope` with respect to the part that it reads and to its variables."""
        own = self._own(number)

        def along(at: Values) -> tuple[Tensor, Tensor]:
            force = self._force(number, at[0], dict(zip(map(id, own), at[1:], strict=True)))
            return ops.sum(ops.multiply(force, slope)), force

        _, force, (towards, *found) = LIBRARY.gradient(along, [read, *(weights[id(variable)] for variable in own)])
        return ops.stop_gradient(force), towards, found

    def _own(self, number: int) -> list[keras.Variable]:
        return self.affine[number].trainable_variables

    def _force(self, number: int, read: Tensor, weights: dict[int, Tensor]) -> Tensor:
        """What a move computes from the part that it reads, where its variables have these values."""
        with keras.StatelessScope(state_mapping=[(variable, weights[id(variable)]) for variable in self._own(number)]):
            return self.act[number](self.affine[number](read))
