"""A scenario of minimizing a network's loss by SciPy's methods, in float64."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays, Batch, Labels
from models.backends.keras.carried import carried, given_back
from models.backends.keras.layers import array
from models.backends.keras.libraries import LIBRARY
from models.backends.keras.model import Model
from models.backends.keras.precision import compute_as
from models.minimizing import joined, parted
from models.minimizing import minimized as minimized_by
from models.spec import Spec


def minimized(*, spec: str, weights: Arrays, x: Batch, labels: Labels, method: str, steps: int) -> list[Array]:
    """The points (parameters) that the method goes through, by the library's gradient and Hessian of the loss on one batch.

    Parameters are in the order and layout of `weights`, in which SciPy sees them; kernels are as Keras holds them.
    """
    described = Spec.parse(spec)
    compute_as(described)
    built = Model(described, weights)
    variables = list(built.parameters.values())
    inputs, target = ops.convert_to_tensor(np.asarray(x)), ops.convert_to_tensor(built.target(labels))
    places = carried(built.graph, parted(np.arange(sum(map(np.size, weights.values()))), weights))
    order = np.concatenate([np.ravel(places[name]) for name in built.parameters])

    def loss_at(point: Any) -> Any:
        """The loss where all parameters are one vector, as Keras holds them one after the other."""
        values, begin = [], 0
        for variable in variables:
            size = int(np.prod(variable.shape))
            values.append(ops.reshape(point[begin : begin + size], variable.shape))
            begin += size
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
            return built.loss(target, built.model(inputs, training=True))

    def value_and_gradient(point: Array) -> tuple[float, Array]:
        held = carried(built.graph, parted(point, weights))
        at = [ops.convert_to_tensor(held[name]) for name in built.parameters]

        def valued(values: list[Any]) -> tuple[Any, None]:
            with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))):
                return built.loss(target, built.model(inputs, training=True)), None

        value, _, slopes = LIBRARY.gradient(valued, at)
        found = given_back(built.graph, dict(zip(built.parameters, map(array, slopes), strict=True)))
        return float(array(value)), joined(found[name] for name in weights)

    def hessian(point: Array) -> Array:
        found = np.empty((len(point), len(point)))
        found[np.ix_(order, order)] = array(LIBRARY.hessian(loss_at, ops.convert_to_tensor(point[order])))
        return found

    return minimized_by(method, value_and_gradient, hessian, joined(weights.values()), steps)
