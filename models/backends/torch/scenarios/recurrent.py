"""Scenarios of recurrent layers: fused, as cells in a loop, time first, in halves, packed, in both directions, stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations, rnn

from models.arrays import Array, Arrays
from models.backends.registry import Absent
from models.backends.torch.layers import CARRIED, array, keep_orthogonal
from models.parts.cells import CELLS
from models.parts.parametrizations import PARAMETRIZATIONS

DROPOUT, SEED = 0.5, 11
"""The share that dropout between layers drops, and the seed from which its masks are drawn."""
Outputs = tuple[torch.Tensor, torch.Tensor]
"""Outputs of all time steps (batch × length × units), and the last output of every sample (batch × units)."""
Way = Callable[["Layers", torch.Tensor, list[int]], Outputs]


class Layers:
    """Recurrent layers of one kind, made of the weights that are given for each."""

    def __init__(self, cell: str, weights: list[Arrays], state: list[Array] | None = None) -> None:
        """Raises Absent for a cell that PyTorch does not have."""
        self.state = None if state is None else tuple(torch.tensor(np.asarray(each))[None] for each in state)
        self.cell, self.row = cell, CELLS[cell]
        if self.row.torch is None:
            raise Absent(f"PyTorch has no cell {cell}")
        self.weights = [{kind: nn.Parameter(torch.tensor(np.asarray(w))) for kind, w in each.items()} for each in weights]

    def made(self, number: int = 0, **options: Any) -> nn.RNNBase:
        """The layer of the given number, batch first."""
        units = self.weights[number]["recurrent_weight"].shape[1]
        assert self.row.torch is not None
        layer = self.row.torch(nn, self.weights[number]["weight"].shape[1], units, **{"batch_first": True} | options)
        self.fill(layer, number, "_l0")
        return layer  # type: ignore[no-any-return]

    def fill(self, layer: nn.Module, number: int, suffix: str) -> None:
        """Put weights in place of the layer's own; biases that the cell does not have are zero."""
        gates = len(self.weights[number]["recurrent_weight"])
        for kind, name in CARRIED.items():
            value = self.weights[number].get(kind)
            name = name.removesuffix("_l0") + suffix
            delattr(layer, name)
            setattr(layer, name, torch.zeros(gates, dtype=self.weights[0]["weight"].dtype) if value is None else value)


def recurrent(
    *, cell: str, way: str, weights: list[Arrays], x: Array, pull: Array, lengths: list[int], state: list[Array] | None = None
) -> list[Arrays]:
    """Outputs, last outputs and gradients of x and of each layer's weights, by one way of using the layers.

    The layer begins with `state` where one is given.

    What is differentiated is Σ pull ⊙ outputs over the first `lengths` time steps of every sample, plus the sum of last outputs.
    """
    layers, inputs = Layers(cell, weights, state), torch.tensor(np.asarray(x)).requires_grad_()
    outputs, last = WAYS[way](layers, inputs, lengths)
    within = torch.arange(x.shape[1])[None, :] < torch.tensor(lengths)[:, None]
    outputs = outputs * within[:, :, None]
    (torch.sum(outputs * torch.as_tensor(np.asarray(pull))) + last.sum()).backward()
    seen = {"outputs": array(outputs), "last output": array(last), "gradient of x": array(inputs.grad)}
    return [seen, *({kind: array(w.grad) for kind, w in each.items()} for each in layers.weights)]


def _fused(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    state = layers.state if layers.state is None or len(layers.state) > 1 else layers.state[0]
    outputs, _ = layers.made()(x, state)
    return outputs, outputs[:, -1]


def _detached(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    layer, half = layers.made(), x.shape[1] // 2
    first, state = layer(x[:, :half])
    second, _ = layer(x[:, half:], tuple(each.detach() for each in state) if isinstance(state, tuple) else state.detach())
    return torch.cat([first, second], 1), second[:, -1]


def _dropped(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    layer = layers.made(num_layers=2, dropout=DROPOUT)
    layers.fill(layer, 1, "_l1")
    torch.manual_seed(SEED)
    outputs, _ = layer(x)
    return outputs, outputs[:, -1]


def _masks_replayed(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    first, _ = layers.made()(x)
    torch.manual_seed(SEED)
    masks = nn.functional.dropout(torch.ones_like(first.transpose(0, 1).contiguous()), DROPOUT)  # layers hand on time first
    outputs, _ = layers.made(1)(first * masks.transpose(0, 1))
    return outputs, outputs[:, -1]


def _loop(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    return _steps(_cell(layers), x)


def _compiled(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    """The loop of cells, since torch.compile takes PyTorch's own layers as they are."""
    torch.compiler.reset()
    return torch.compile(_steps)(_cell(layers), x)  # type: ignore[no-any-return]


def _cell(layers: Layers) -> nn.RNNCellBase:
    layer = layers.made()
    options = {"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {}
    cell = getattr(nn, f"{type(layer).__name__}Cell")(layer.input_size, layer.hidden_size, **options)
    layers.fill(cell, 0, "")
    return cell  # type: ignore[no-any-return]


def _steps(cell: nn.RNNCellBase, x: torch.Tensor) -> Outputs:
    state, outputs = None, []
    for step in x.unbind(1):
        state = cell(step, state)
        outputs.append(state[0] if isinstance(state, tuple) else state)
    return torch.stack(outputs, 1), outputs[-1]


def _time_first(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    outputs, _ = layers.made(batch_first=False)(x.transpose(0, 1))
    return outputs.transpose(0, 1), outputs[-1]


def _halves(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    layer, half = layers.made(), x.shape[1] // 2
    first, state = layer(x[:, :half])
    second, _ = layer(x[:, half:], state)
    return torch.cat([first, second], 1), second[:, -1]


def _packed(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    packed, state = layers.made()(rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False))
    outputs, _ = rnn.pad_packed_sequence(packed, batch_first=True, total_length=x.shape[1])
    return outputs, (state[0] if isinstance(state, tuple) else state)[-1]


def _shorter(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    layer, outputs, last = layers.made(), [], []
    for sample, length in zip(x, lengths, strict=True):
        own, _ = layer(sample[None, :length])
        outputs.append(nn.functional.pad(own, (0, 0, 0, x.shape[1] - length)))
        last.append(own[:, -1])
    return torch.cat(outputs), torch.cat(last)


def _bidirectional(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    layer = layers.made(bidirectional=True)
    layers.fill(layer, 1, "_l0_reverse")
    outputs, _ = layer(x)
    return outputs, outputs.chunk(2, 2)[0][:, -1]


def _two(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    forth, _ = layers.made()(x)
    back, _ = layers.made(1)(x.flip(1))
    return torch.cat([forth, back.flip(1)], 2), forth[:, -1]


def _stacked(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    layer = layers.made(num_layers=2)
    layers.fill(layer, 1, "_l1")
    outputs, _ = layer(x)
    return outputs, outputs[:, -1]


def _one_by_one(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    outputs, _ = layers.made(1)(layers.made()(x)[0])
    return outputs, outputs[:, -1]


WAYS: dict[str, Way] = {
    "layer": _fused, "cells in a loop": _loop, "time first": _time_first, "halves": _halves, "padded": _packed, "shorter": _shorter,
    "bidirectional": _bidirectional, "two directions": _two, "stacked": _stacked, "one by one": _one_by_one,
    "detached": _detached, "dropout between": _dropped, "dropout replayed": _masks_replayed,
    "compiled cells": _compiled,
}  # fmt: skip


def kept_orthogonal(*, units: int, length: int, steps: int, way: str) -> dict[str, Any]:
    """What an orthogonal recurrent weight is after training, and how far a unitary one changes norms.

    `weight` is the weight after `steps` steps on a layer with torch.nn.utils.parametrizations.orthogonal, as a user writes it or for a row
    of PARAMETRIZATIONS. `off` is the distance of the layer's outputs from those of a plain layer with the same weight. `forth` and `back`
    are norms after `length` steps of a linear recurrence with a unitary weight of complex numbers, over those before.
    """
    torch.manual_seed(SEED)
    layer, x = nn.RNN(units, units, batch_first=True), torch.randn(8, length, units)
    if way in PARAMETRIZATIONS:
        keep_orthogonal(layer, ["weight_hh_l0"], way)
    else:
        parametrizations.orthogonal(layer, "weight_hh_l0")
    optimizer = torch.optim.SGD(layer.parameters(), 0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        layer(x)[0].square().mean().backward()
        optimizer.step()
    plain = nn.RNN(units, units, batch_first=True)
    plain.load_state_dict({name: getattr(layer, name).detach() for name in plain.state_dict()})
    outputs = plain(x)[0]
    seen = {"weight": array(layer.weight_hh_l0), "off": float((layer(x)[0] - outputs).detach().norm() / outputs.detach().norm())}
    if way in PARAMETRIZATIONS:
        return seen
    turn = parametrizations.orthogonal(nn.Linear(units, units, bias=False, dtype=torch.complex64)).weight.detach()
    before = h = torch.randn(8, units, dtype=torch.complex64, requires_grad=True)
    for _ in range(length):
        h = h @ turn.T
    pull = torch.randn_like(h)
    (back,) = torch.autograd.grad(h, before, pull)
    return seen | {"forth": float(h.detach().norm() / before.detach().norm()), "back": float(back.norm() / pull.norm())}
