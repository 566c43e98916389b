"""Scenarios of trained recurrent layers: weights kept orthogonal, a state kept from batch to batch, a mask on the way to a loss."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays
from models.backends.keras.layers import array
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.parametrized import ParametrizedCell, ParametrizedRNN
from models.backends.keras.releases import absences
from models.parts.parametrizations import PARAMETRIZATIONS

SEED = 11
"""From which the weights are drawn."""


class Orthogonal(keras.constraints.Constraint):
    """The orthogonal matrix next to a weight, by Newton's iteration for its polar factor (Higham 1986).

    Keras has no such constraint, so that users write one.
    """

    def __call__(self, w: Tensor) -> Tensor:
        """From a matrix whose singular values lie near 1."""
        for _ in range(ITERATIONS):
            w = 1.5 * w - 0.5 * ops.matmul(w, ops.matmul(ops.transpose(w), w))
        return w


ITERATIONS = 8
"""Of Newton and Schulz; errors of 0.1 are under rounding after four."""


def kept_orthogonal(*, units: int, length: int, steps: int, way: str) -> dict[str, Any]:
    """The recurrent weight after `steps` training steps, and how far outputs are from those of a plain layer with it.

    It is kept by a constraint, or by a row of PARAMETRIZATIONS.
    """
    keras.utils.set_random_seed(SEED)
    if way in PARAMETRIZATIONS:
        layer = ParametrizedRNN(ParametrizedCell(units, way, recurrent_initializer="orthogonal"), return_sequences=True)
    else:
        layer = keras.layers.SimpleRNN(units, return_sequences=True, recurrent_initializer="orthogonal", recurrent_constraint=Orthogonal())
    model = keras.Sequential([keras.Input((length, units)), layer])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    x = np.random.default_rng(SEED).standard_normal((8, length, units)).astype(np.float32)
    for _ in range(steps):
        model.train_on_batch(x, np.zeros_like(x))
    LIBRARY.collect_weights(model)
    plain = keras.layers.SimpleRNN(units, return_sequences=True)
    plain.build(x.shape)
    kernel, _, bias = layer.get_weights()
    weight = array(ops.convert_to_tensor(layer.cell.recurrent_kernel))
    plain.set_weights([kernel, weight, bias])
    outputs = array(plain(x))
    return {"weight": weight, "off": float(np.linalg.norm(array(layer(x)) - outputs) / np.linalg.norm(outputs))}


def stateful_trained(*, weights: Arrays, x: Array, targets: Array, stateful: bool) -> dict[str, Any]:
    """Weights of an LSTM after one `train_on_batch` from a state of zeros, and what it computes then from a state of zeros.

    Where PyTorch refuses the step's gradient, its words as `refused`.
    """
    layer = keras.layers.LSTM(weights["recurrent_weight"].shape[1], return_sequences=True, stateful=stateful)
    model = keras.Sequential([keras.Input(batch_shape=x.shape), layer])
    layer.set_weights([weights["weight"].T, weights["recurrent_weight"].T, weights["bias"]])
    model.compile(keras.optimizers.SGD(0.1), "mse")
    try:
        model.train_on_batch(x, targets)
    except RuntimeError as error:
        return {"refused": str(error).partition(";")[0]}
    LIBRARY.collect_weights(model)
    if stateful:
        layer.reset_state() if hasattr(layer, "reset_state") else layer.reset_states()
    names = "weight", "recurrent weight", "bias"
    return {"outputs": array(layer(x))} | dict(zip(names, layer.get_weights(), strict=True))


def masked_loss(*, weights: Arrays, x: Array, labels: Array) -> dict[str, Any]:
    """What `test_on_batch` reports of CTC behind an LSTM that masks steps of zeros, and the mean loss of the network's outputs.

    Where the framework refuses to compute it, its words as `refused`.
    """
    with absences():
        loss = keras.losses.CTC()
    layer = keras.layers.LSTM(weights["recurrent_weight"].shape[1], return_sequences=True)
    model = keras.Sequential([keras.Input(x.shape[1:]), keras.layers.Masking(0.0), layer])
    layer.set_weights([weights["weight"].T, weights["recurrent_weight"].T, weights["bias"]])
    model.compile("sgd", loss)
    by_hand = float(loss(labels, array(model(x))))  # an array has no mask
    try:
        reported = model.test_on_batch(x, labels)
    except (ValueError, RuntimeError, TypeError) as error:  # TensorFlow, PyTorch and JAX
        return {"refused": str(error).partition(" for ")[0].partition(";")[0]}
    return {"reported": float(np.ravel(reported)[0]), "by hand": by_hand}
