"""Scenarios of recurrent layers: rolled, unrolled, as cells in a loop, in stateful halves, masked, in both directions, stacked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import keras
import numpy as np
from keras import ops

from models.arrays import Array, Arrays
from models.backends.keras.carried import carried, given_back, variables
from models.backends.keras.layers import array, variable
from models.backends.keras.libraries import LIBRARY, Tensor
from models.backends.keras.scenarios.recurrent_on_gpu import gpu_path
from models.graph import Graph
from models.naming import kind_of
from models.nodes import INPUT, Recurrent
from models.parts.cells import CELLS

NAME, COMPILED = "recurrent1", "compiled "
DROPOUT, SEED = 0.5, 11
"""The share that dropout between layers drops, and the seed from which its mask is drawn."""
Outputs = tuple[Tensor, Tensor]
"""Outputs of all time steps (batch × length × units), and the last output of every sample (batch × units)."""
Way = Callable[["Layers", Tensor, list[int]], Outputs]


class Layers:
    """Recurrent layers of one kind, made of the weights that are given for each."""

    def __init__(self, cell: str, weights: list[Arrays], length: int) -> None:
        """A graph of one node for each, which says how weights are carried over."""
        self.cell, self.weights, self.held = cell, weights, list[tuple[int, str, keras.Variable]]()
        units = weights[0]["recurrent_weight"].shape[1]
        nodes = [Recurrent(NAME, (INPUT,), units, length, cell, each["weight"].shape[1], "orthogonal", 1.0, "1") for each in weights]
        self.graphs = [Graph((node,)) for node in nodes]

    def made(self, number: int = 0, batch: int | None = None, /, **options: object) -> keras.layers.RNN:
        """The layer of the given number, which hands out all outputs and takes its weights from those that are differentiated."""
        (node,) = self.graphs[number].nodes
        assert isinstance(node, Recurrent)
        layer = CELLS[self.cell].keras(keras.layers, node.width, {"return_sequences": True} | options)
        layer.build((batch, node.length, node.fan_in))
        self.fill(layer, number)
        return layer  # type: ignore[no-any-return]

    def fill(self, layer: keras.layers.RNN, number: int) -> None:
        """Put the weights of the given number into a layer that was built."""
        graph = self.graphs[number]
        values = carried(graph, {f"{NAME}.{kind}": w for kind, w in self.weights[number].items()})
        for name in variables(graph):
            held = variable(layer.cell, kind_of(name))
            held.assign(values[name])
            self.held.append((number, name, held))


def recurrent(
    *,
    cell: str,
    way: str,
    weights: list[Arrays],
    x: Array,
    pull: Array,
    lengths: list[int],
    state: list[Array] | None = None,
    differentiated: bool = True,
) -> list[Arrays]:
    """Outputs, last outputs and, where it is `differentiated`, gradients of x and of each layer's weights, by one way of using the layers.

    The layer begins with `state` where one is given. A way that begins with "compiled " is compiled with its gradient.

    What is differentiated is Σ pull ⊙ outputs over the first `lengths` time steps of every sample, plus the sum of last outputs.
    """
    layers = Layers(cell, weights, x.shape[1])
    make, take = WAYS[way.removeprefix(COMPILED)]
    parts = make(layers, len(x))
    begin = {} if state is None else {"initial_state": [ops.convert_to_tensor(np.asarray(each)) for each in state]}
    within = (np.arange(x.shape[1])[None, :] < np.array(lengths)[:, None])[:, :, None].astype(x.dtype)

    def pulled(values: list[Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        mapping = [(variable, value) for (_, _, variable), value in zip(layers.held, values[1:], strict=True)]
        with keras.StatelessScope(state_mapping=mapping):
            outputs, last = take(parts, values[0], lengths, **begin)
        outputs = outputs * ops.convert_to_tensor(within)
        return ops.sum(outputs * ops.convert_to_tensor(np.asarray(pull))) + ops.sum(last), (outputs, last)

    at = [ops.convert_to_tensor(np.asarray(x)), *(ops.convert_to_tensor(array(variable)) for _, _, variable in layers.held)]
    compiles = way.startswith(COMPILED)
    if not differentiated:
        _, (outputs, last) = (LIBRARY.compiled(pulled) if compiles else pulled)(at)
        return [{"outputs": array(outputs), "last output": array(last)}]
    gradient = partial(LIBRARY.gradient, pulled)
    _, (outputs, last), (of_x, *slopes) = (LIBRARY.compiled(gradient) if compiles else gradient)(at)
    found: list[Arrays] = [{} for _ in weights]
    for (number, name, _), slope in zip(layers.held, slopes, strict=True):
        found[number][name] = array(slope)
    seen = {"outputs": array(outputs), "last output": array(last), "gradient of x": array(of_x)}
    by_kind = [{kind_of(name): g for name, g in given_back(graph, each).items()} for graph, each in zip(layers.graphs, found, strict=True)]
    return [seen, *by_kind]


Parts = list[keras.layers.Layer]
"""Layers, or cells, that a way takes."""


def _single(**options: object) -> Callable[[Layers, int], Parts]:
    return lambda layers, batch: [layers.made(**options)]


def _whole(parts: Parts, x: Tensor, lengths: list[int], **begin: object) -> Outputs:
    outputs = parts[0](x, **begin)
    return outputs, outputs[:, -1]


def _scanned(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    cell = parts[0].cell
    states = cell.get_initial_state(batch_size=x.shape[0])

    def step(carried: list[Tensor], now: Tensor) -> tuple[list[Tensor], list[Tensor]]:
        _, after = cell(now, carried)
        return list(after), list(after)  # on TensorFlow, what is collected has the structure of what is carried

    _, (outputs, *_) = ops.scan(step, list(states), ops.transpose(x, (1, 0, 2)))
    outputs = ops.transpose(outputs, (1, 0, 2))
    return outputs, outputs[:, -1]


def _while(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    cell, length = parts[0].cell, x.shape[1]
    states = cell.get_initial_state(batch_size=x.shape[0])
    before = ops.zeros((x.shape[0], length, cell.units), dtype=x.dtype)

    def step(time: Tensor, outputs: Tensor, *carried: Tensor) -> tuple[Tensor, ...]:
        output, after = cell(ops.take(x, time, axis=1), list(carried))
        here = ops.reshape(ops.one_hot(time, length, dtype=x.dtype), (1, length, 1))
        return time + 1, outputs + here * ops.expand_dims(output, 1), *after

    _, outputs, *_ = ops.while_loop(
        lambda time, *_: time < length, step, (ops.convert_to_tensor(0), before, *states), maximum_iterations=length
    )
    return outputs, outputs[:, -1]


def _detached(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    half = x.shape[1] // 2
    first, *states = parts[0](x[:, :half])
    second, *_ = parts[0](x[:, half:], initial_state=[ops.stop_gradient(state) for state in states])
    return ops.concatenate([first, second], axis=1), second[:, -1]


def _dropped_between(layers: Layers, batch: int) -> Parts:
    return [layers.made(), layers.made(1, dropout=DROPOUT, seed=SEED)]


def _dropped(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    outputs = parts[1](parts[0](x, training=True), training=True)
    return outputs, outputs[:, -1]


def _mask_replayed(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    first = parts[0](x, training=True)
    ones = ops.ones((first.shape[0], first.shape[2]), dtype=first.dtype)
    mask = keras.random.dropout(ones, DROPOUT, seed=keras.random.SeedGenerator(SEED))  # one for all steps (Gal & Ghahramani 2016)
    outputs = parts[1](first * ops.expand_dims(mask, 1), training=True)
    return outputs, outputs[:, -1]


def _dropped_in_time(layers: Layers, batch: int) -> Parts:
    return [layers.made(recurrent_dropout=DROPOUT, seed=SEED)]


def _trained(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    outputs = parts[0](x, training=True)
    return outputs, outputs[:, -1]


def _masks_in_time_replayed(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    """The cell by hand, one product a gate."""
    cell = parts[0].cell
    gates, ones = cell.recurrent_kernel.shape[1] // cell.units, ops.ones((x.shape[0], cell.units), dtype=x.dtype)
    seed = keras.random.SeedGenerator(SEED)
    masks = [keras.random.dropout(ones, DROPOUT, seed=seed) for _ in range(gates)]
    kernels, recurrents = (ops.split(w, gates, axis=1) for w in (cell.kernel, cell.recurrent_kernel))
    biases = ops.split(ops.convert_to_tensor(cell.bias), gates, axis=-1)
    h, c, outputs = ops.zeros_like(ones), ops.zeros_like(ones), []
    for step in ops.unstack(x, axis=1):
        brought = [ops.matmul(step, kernel) for kernel in kernels]
        stated = [ops.matmul(h * mask, recurrent) for mask, recurrent in zip(masks, recurrents, strict=True)]
        if isinstance(parts[0], keras.layers.LSTM):
            i, f, g, o = (a + b + bias for a, b, bias in zip(brought, stated, biases, strict=True))
            c = ops.sigmoid(f) * c + ops.sigmoid(i) * ops.tanh(g)
            h = ops.sigmoid(o) * ops.tanh(c)
        else:
            (xz, xr, xn), (hz, hr, hn) = ([a + b[row] for a, b in zip(s, biases, strict=True)] for row, s in enumerate((brought, stated)))
            z = ops.sigmoid(xz + hz)
            h = z * h + (1 - z) * ops.tanh(xn + ops.sigmoid(xr + hr) * hn)
        outputs.append(h)
    return ops.stack(outputs, axis=1), outputs[-1]


def _masked_before(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    """Samples stand at the end of their sequences; outputs are put back to the beginning."""
    empty = x.shape[1] - np.array(lengths)
    moved = np.array([[(time - away) % x.shape[1] for time in range(x.shape[1])] for away in empty])
    mask = ops.convert_to_tensor(np.arange(x.shape[1])[None, :] >= empty[:, None])
    outputs, last, *_ = parts[0](ops.take_along_axis(x, moved[:, :, None], axis=1), mask=mask)
    return ops.take_along_axis(outputs, np.argsort(moved, axis=1)[:, :, None], axis=1), last


def _loop(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    cell, outputs = parts[0].cell, []
    states = cell.get_initial_state(batch_size=x.shape[0])
    for step in ops.unstack(x, axis=1):
        output, states = cell(step, states)
        outputs.append(output)
    return ops.stack(outputs, axis=1), outputs[-1]


def _last_alone(layers: Layers, batch: int) -> Parts:
    """A layer that hands out its state as well."""
    return [layers.made(return_state=True)]


def _stated(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    outputs, last, *_ = parts[0](x)
    return outputs, last


def _halves(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    layer, half = parts[0], x.shape[1] // 2
    first, second = layer(x[:, :half]), layer(x[:, half:])
    return ops.concatenate([first, second], axis=1), second[:, -1]


def _masked(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    mask = ops.convert_to_tensor(np.arange(x.shape[1])[None, :] < np.array(lengths)[:, None])
    outputs, *states = parts[0](x, mask=mask)
    return outputs, states[0] if hasattr(states[0], "shape") else outputs[:, -1]  # states of stacked cells are lists


def _shorter(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    outputs, last = [], []
    for sample, length in enumerate(lengths):
        own = parts[0](x[sample : sample + 1, :length])
        outputs.append(ops.pad(own, ((0, 0), (0, x.shape[1] - length), (0, 0))))
        last.append(own[:, -1])
    return ops.concatenate(outputs), ops.concatenate(last)


def _both(layers: Layers, batch: int) -> Parts:
    one, other = layers.made(), layers.made(1, go_backwards=True)
    layers.held.clear()
    wrapper = keras.layers.Bidirectional(one, backward_layer=other)
    wrapper.build((None, layers.graphs[0].nodes[0].per_sample[0], layers.weights[0]["weight"].shape[1]))
    layers.fill(wrapper.forward_layer, 0)
    layers.fill(wrapper.backward_layer, 1)
    return [wrapper]


def _bidirectional(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    outputs = parts[0](x)
    return outputs, outputs[:, -1, : outputs.shape[2] // 2]


def _two(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    forth, back = parts[0](x), parts[1](ops.flip(x, axis=1))
    return ops.concatenate([forth, ops.flip(back, axis=1)], axis=2), forth[:, -1]


def _cells_stacked(layers: Layers, batch: int, **options: object) -> Parts:
    made = [layers.made(), layers.made(1)]
    return [keras.layers.RNN([each.cell for each in made], return_sequences=True, **options)]


def _one_by_one_masked(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    mask = ops.convert_to_tensor(np.arange(x.shape[1])[None, :] < np.array(lengths)[:, None])
    outputs = parts[1](parts[0](x, mask=mask), mask=mask)
    return outputs, outputs[:, -1]  # a masked step repeats the last output


def _one_by_one(parts: Parts, x: Tensor, lengths: list[int]) -> Outputs:
    outputs = parts[1](parts[0](x))
    return outputs, outputs[:, -1]


def _pair(layers: Layers, batch: int) -> Parts:
    return [layers.made(), layers.made(1)]


WAYS: dict[str, tuple[Callable[[Layers, int], Parts], Callable[..., Outputs]]] = {
    "layer": (_single(), _whole),
    "cells in a loop": (_single(), _loop),
    "unrolled": (_single(unroll=True), _whole),
    "last output": (_last_alone, _stated),
    "halves": (lambda layers, batch: [layers.made(0, batch, stateful=True)], _halves),
    "padded": (_last_alone, _masked),
    "shorter": (_single(), _shorter),
    "bidirectional": (_both, _bidirectional),
    "two directions": (_pair, _two),
    "stacked": (_cells_stacked, _whole),
    "one by one": (_pair, _one_by_one),
    "stacked padded": (lambda layers, batch: _cells_stacked(layers, batch, return_state=True), _masked),
    "one by one padded": (_pair, _one_by_one_masked),
    "scan": (_single(), _scanned),
    "while loop": (_single(), _while),
    "detached": (_last_alone, _detached),
    "padded before": (_last_alone, _masked_before),
    "dropout between": (_dropped_between, _dropped),
    "recurrent dropout": (_dropped_in_time, _trained),
    "recurrent dropout replayed": (_single(), _masks_in_time_replayed),
    "dropout replayed": (_pair, _mask_replayed),
    "path of a GPU": (_single(), gpu_path),
}
"""How layers are made, by name, and what is done with them."""
