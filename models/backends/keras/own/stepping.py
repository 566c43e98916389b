"""Training steps of a user's Keras model: in Keras's own ways, and by its optimizer on gradients that are given."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from typing import Any

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.own.network import BATCHES, Evaluate, OwnModelOfKeras
from models.backends.keras.own.values import copied, put_back, scale_of, state_of
from models.backends.keras.taps import Taps
from models.own.large import kept
from models.own.passes import Trajectory
from models.own.protocol import NoVariantError
from models.own.trees import Tree, leaves

Way = Callable[[keras.Model, Tree, Tree], float]
"""Takes a step of a model on inputs and targets, and returns the loss that Keras reports."""


def on_batch(model: keras.Model, inputs: Tree, targets: Tree) -> float:
    """By `train_on_batch`."""
    reported = model.train_on_batch(inputs, targets)
    return float(reported[0] if isinstance(reported, list) else reported)  # with several outputs their losses follow


def by_fit(model: keras.Model, inputs: Tree, targets: Tree) -> float:
    """By `fit`, which cuts batches out of arrays itself. Raises NoVariantError where inputs and targets are no rows of samples."""
    tensors = [leaf for tree in (inputs, targets) for _, leaf in leaves(tree) if leaf is not None]
    sizes = {leaf.shape[0] if ops.is_tensor(leaf) and leaf.shape else None for leaf in tensors}
    if len(sizes) != 1 or None in sizes:
        raise NoVariantError("its batch is no rows of samples, which fit could cut")
    size = int(next(iter(sizes)))  # type: ignore[arg-type]  # not None, as the line above says
    history = model.fit(inputs, targets, batch_size=size, epochs=1, shuffle=False, verbose=0)
    return float(history.history["loss"][0])


def trained(own: OwnModelOfKeras, jit: bool, way: Way = on_batch, eager: bool = False) -> tuple[Trajectory, list[float]]:
    """Steps in one of Keras's ways, and the losses that it reports. Each leaves its raw gradients in a variable of the optimizer."""
    own.restore()
    usual = own.model.run_eagerly
    optimizer, seen, losses = own.model.optimizer, Trajectory(), []
    with own.describing("could not take a step"):
        own.model.jit_compile = jit
        own.model.run_eagerly = usual or eager
        if own.steps_by_itself and way is on_batch:
            step = own.model.train_step  # is given data as `fit` gives it, where `train_on_batch` adds None for weights of samples
            own.model.train_step = lambda *given: step(*given[:-1], keras.utils.pack_x_y_sample_weight(*given[-1]))
        own.model.make_train_function(force=True)
        optimizer.build(own.variables)
        variables = list(optimizer.variables)  # steps may add to them
        begin = state_of(variables)
        taps = Taps(optimizer, own.variables, [], ("gradients",))
        try:
            for number in range(BATCHES):
                seen.begins.append(kept(own.weights()))
                inputs, targets = own.inputs(number), own.targets(number)
                scale = scale_of(optimizer, optimizer.variables)
                losses.append(way(own.model, inputs, targets))
                gradients = zip(own.names, taps.gradients(own.variables), strict=True)
                seen.gradients.append(kept({name: g / scale if scale != 1 else g for name, g in gradients}))
                seen.ends.append(kept(own.weights()))
        finally:
            taps.remove()
            own.model.run_eagerly = usual
            own.model.train_function = None  # which holds the traced step
            LIBRARY.forget_traces()
            vars(own.model).pop("train_step", None)
            put_back(begin, variables)
    return seen, losses


def given_steps(own: OwnModelOfKeras, begins: list[Mapping[str, Array]], gradients: list[Mapping[str, Array]]) -> Generator[Arrays]:
    """New weights after each step from given weights on given gradients; the slots go on from one to the next."""
    optimizer = own.model.optimizer
    optimizer.build(own.variables)
    variables = list(optimizer.variables)  # steps may add to them
    fresh = state_of(variables)
    try:
        for begin, given in zip(begins, gradients, strict=True):
            for name, variable in zip(own.names, own.variables, strict=True):
                variable.assign(begin[name])
            scale = scale_of(optimizer, optimizer.variables)
            with own.describing("could not take a step"):
                optimizer.apply(
                    [ops.convert_to_tensor(given[name] * scale, v.dtype) for name, v in zip(own.names, own.variables, strict=True)]
                )
            yield own.weights()
    finally:
        put_back(fresh, variables)


def stateless_steps(
    own: OwnModelOfKeras, evaluate: Evaluate, begins: list[Mapping[str, Array]], gradients: list[Mapping[str, Array]]
) -> Generator[Arrays]:
    """The same steps as a function of weights, gradients and slots, which leaves no trace."""
    optimizer = own.model.optimizer
    optimizer.build(own.variables)
    slots, count = [copied(v) for v in optimizer.variables], len(own.variables)

    def step(values: list[Tensor]) -> Any:
        return optimizer.stateless_apply(values[2 * count :], values[count : 2 * count], values[:count])

    for begin, given in zip(begins, gradients, strict=True):
        scale = scale_of(optimizer, slots)
        with own.describing("could not take a step"):
            values = [np.asarray(begin[name], np.float64) for name in own.names]
            values += [np.asarray(given[name], np.float64) * scale for name in own.names]
            new, slots = evaluate(step, [*values, *slots])
        slots = [np.asarray(each) for each in slots]
        yield {**begin} | {name: np.asarray(w) for name, w in zip(own.names, new, strict=True)}
