"""Gradients seen inside Keras's own compiled step, without changing the step."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.protocol import Record
from models.parts.clips import SHRUNK

NORM_ROWS = 64
"""How many steps of gradient norms stay on the device before they are read: reading after every step made training 15 % slower."""


class Taps:
    """Copies of raw gradients, or of their norms, that the optimizer keeps as variables of its own.

    The optimizer instance's `apply`, which every trainer calls with the raw gradients inside its compiled step, first fills
    them and then does what it always does. `kinds` is out of `gradients` (all, of the last step) and `norms` (of `weights`,
    of the last `NORM_ROWS` steps).
    """

    def __init__(
        self,
        optimizer: keras.optimizers.Optimizer,
        variables: list[keras.Variable],
        weights: list[keras.Variable],
        kinds: Record,
        clips: bool = False,
    ) -> None:
        """Add the variables and wrap `apply`, and the clipping inside of it where the optimizer `clips`; it is built already."""
        self._optimizer, self._variables = optimizer, variables
        self._place = {id(variable): place for place, variable in enumerate(variables)}
        self._weights = [self._place[id(weight)] for weight in weights]
        # One flat variable: creating a variable of its own for every gradient would double the time to build a network.
        self._ends = np.cumsum([math.prod(v.shape) for v in variables])
        flat = (int(self._ends[-1]),)
        self._gradients = optimizer.add_variable(flat, dtype=variables[0].dtype, name="tap_gradients") if "gradients" in kinds else None
        wide = "float64" if LIBRARY.FLOAT64 else variables[0].dtype
        self._norms = optimizer.add_variable((NORM_ROWS, len(weights)), dtype=wide, name="tap_norms") if "norms" in kinds else None
        self._clipped = optimizer.add_variable((), dtype="int32", name="tap_clipped") if clips and "norms" in kinds else None
        if self._clipped is not None:
            self._clip = optimizer._clip_gradients
            optimizer._clip_gradients = self._clip_and_see
        if {"gradients", "norms"} & set(kinds):
            self._apply = optimizer.apply
            optimizer.apply = self._tapped
        if self._gradients is not None and type(optimizer).stateless_apply is not keras.optimizers.Optimizer.stateless_apply:
            self._apply_statelessly = optimizer.stateless_apply
            optimizer.stateless_apply = self._tapped_statelessly

    def remove(self) -> None:
        """Let the optimizer apply gradients as before, on variables as before."""
        self._optimizer.apply = self._apply
        vars(self._optimizer).pop("stateless_apply", None)
        for variable in (self._gradients, self._norms, self._clipped):
            if variable is not None and hasattr(self._optimizer, "_untrack_variable"):  # which not every release has
                self._optimizer._untrack_variable(variable)

    def gradients(self, variables: list[keras.Variable]) -> list[Array]:
        """The last step's raw gradients of `variables`, as arrays of their shapes."""
        flat = np.array(ops.convert_to_numpy(self._gradients))
        ends = [self._ends[self._place[id(variable)]] for variable in variables]
        return [flat[end - math.prod(v.shape) : end].reshape(v.shape) for end, v in zip(ends, variables, strict=True)]

    def steps(self) -> int:
        """How many steps the optimizer has taken: those that overflowed do not count."""
        return int(ops.convert_to_numpy(self._optimizer.iterations))

    def clipped(self) -> float:
        """The share of steps in which clipping shrank a gradient; NaN where nothing is clipped."""
        return math.nan if self._clipped is None else int(ops.convert_to_numpy(self._clipped)) / max(self.steps(), 1)

    def last_norms(self, steps: int) -> Array:
        """Gradient norms of the weights in the last `steps` steps (steps × weights), at most `NORM_ROWS`."""
        end = self.steps()
        return np.array(ops.convert_to_numpy(self._norms))[np.arange(end - steps, end) % NORM_ROWS]

    def _clip_and_see(self, gradients: list[Tensor | None]) -> list[Tensor | None]:
        clipped: list[Tensor | None] = self._clip(gradients)
        pairs = [(before, after) for before, after in zip(gradients, clipped, strict=True) if before is not None]
        shrank = [ops.any(ops.abs(after) < ops.abs(before) * (1 - SHRUNK)) for before, after in pairs]
        assert self._clipped is not None
        self._clipped.assign_add(ops.cast(ops.any(ops.stack(shrank)), "int32"))
        return clipped

    def _seen(self, gradients: list[Tensor | None]) -> list[Tensor]:
        """A gradient that never arrived is a finding and not a crash: it is seen as zeros."""
        return [ops.zeros_like(variable) if g is None else g for variable, g in zip(self._variables, gradients, strict=True)]

    def _tapped_statelessly(self, slots: list[Tensor], gradients: list[Tensor | None], weights: list[Tensor]) -> Any:
        """What JAX calls of an optimizer that scales the loss, which does not go through its own `apply` there."""
        after, new = self._apply_statelessly(slots, gradients, weights)
        place = next(place for place, variable in enumerate(self._optimizer.variables) if variable is self._gradients)
        return after, [*new[:place], _flat(self._seen(gradients)), *new[place + 1 :]]

    def _tapped(self, gradients: Iterable[Tensor | None], *args: Any, **kwargs: Any) -> Any:  # as the optimizer's own `apply`
        gradients = list(gradients)
        seen = self._seen(gradients)
        if self._gradients is not None:
            self._gradients.assign(_flat(seen))
        if self._norms is not None:
            row = ops.cast(self._optimizer.iterations, "int32") % NORM_ROWS
            chosen = ops.expand_dims(ops.equal(ops.arange(NORM_ROWS, dtype="int32"), row), 1)
            self._norms.assign(ops.where(chosen, _norms([seen[place] for place in self._weights]), ops.convert_to_tensor(self._norms)))
        return self._apply(gradients, *args, **kwargs)


def _flat(tensors: list[Tensor]) -> Tensor:
    return ops.concatenate([ops.reshape(tensor, (-1,)) for tensor in tensors])


def _norms(tensors: list[Tensor]) -> Tensor:
    """Euclidean norm of each tensor, in one; a float32 sum of squares would read zero for entries under 1e-22.

    So sums are taken in float64, or where the library has none beside float32, after the largest entry is divided out.
    """
    if LIBRARY.FLOAT64:
        return ops.sqrt(ops.stack([ops.sum(ops.square(ops.cast(tensor, "float64"))) for tensor in tensors]))
    largest = ops.stack([ops.max(ops.abs(tensor)) for tensor in tensors])
    divisors = ops.where(largest > 0, largest, ops.ones_like(largest))
    return largest * ops.sqrt(ops.stack([ops.sum(ops.square(tensor / divisors[n])) for n, tensor in enumerate(tensors)]))
