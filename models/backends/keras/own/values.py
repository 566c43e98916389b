"""Values of a user's Keras model as arrays: variables, gradients, outputs and the loss scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays
from models.backends.keras.layers import array
from models.backends.keras.libraries import Tensor
from models.own.large import kept
from models.own.trees import Tree, leaves


def outputs(tree: Tree) -> Arrays:
    """Floating-point leaves of an output by their path; `output` where it is one tensor."""
    found = {path or "output": array(leaf) for path, leaf in leaves(tree) if ops.is_tensor(leaf)}
    return {path: leaf for path, leaf in found.items() if np.issubdtype(leaf.dtype, np.floating)}


def widen(variable: keras.Variable) -> None:
    """Keep a variable's value in float64."""
    value = array(variable).astype(np.float64)
    variable._dtype = "float64"
    variable._initialize(ops.convert_to_tensor(value))


def copied(variable: keras.Variable) -> Array:
    """A variable's value, which later steps do not change."""
    return np.array(array(variable))


def state_of(variables: Sequence[keras.Variable]) -> Mapping[str, Array]:
    """What variables hold, by their place, in a file where that is large."""
    return kept({str(place): copied(variable) for place, variable in enumerate(variables)})


def put_back(state: Mapping[str, Array], variables: Sequence[keras.Variable]) -> None:
    """Give as many variables what they held."""
    for variable, value in zip(variables, state.values(), strict=True):
        variable.assign(value)


def scale_of(optimizer: keras.optimizers.Optimizer, slots: Sequence[Any]) -> float:
    """What the optimizer multiplies the loss by and divides gradients by; `slots` are the values of its variables."""
    scale = getattr(optimizer, "dynamic_scale", None)
    places = [place for place, variable in enumerate(optimizer.variables) if variable is scale]
    return float(array(slots[places[0]]) if places else getattr(optimizer, "loss_scale_factor", None) or 1.0)


def dense(gradient: Tensor) -> Array:
    """A gradient as an array, the sparse one of an embedding included."""
    return array(ops.convert_to_tensor(gradient))


def directly(function: Callable[[list[Tensor]], Any], values: Iterable[Array]) -> Any:
    """The function of tensors as the library computes it."""
    return function([ops.convert_to_tensor(value) for value in values])
