"""Scenarios of recurrent layers: fused, as cells in a loop, time first, in halves, packed, in both directions, stacked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.nn.utils import rnn

from models.arrays import Array, Arrays
from models.backends.registry import Absent
from models.backends.torch.layers import CARRIED, array
from models.parts.cells import CELLS

Outputs = tuple[torch.Tensor, torch.Tensor]
"""Outputs of all time steps (batch × length × units), and the last output of every sample (batch × units)."""
Way = Callable[["Layers", torch.Tensor, list[int]], Outputs]


class Layers:
    """Recurrent layers of one kind, made of the weights that are given for each."""

    def __init__(self, cell: str, weights: list[Arrays]) -> None:
        """Raises Absent for a cell that PyTorch does not have."""
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


def recurrent(*, cell: str, way: str, weights: list[Arrays], x: Array, pull: Array, lengths: list[int]) -> list[Arrays]:
    """Outputs, last outputs and gradients of x and of each layer's weights, by one way of using the layers.

    What is differentiated is Σ pull ⊙ outputs over the first `lengths` time steps of every sample, plus the sum of last outputs.
    """
    layers, inputs = Layers(cell, weights), torch.tensor(np.asarray(x)).requires_grad_()
    outputs, last = WAYS[way](layers, inputs, lengths)
    within = torch.arange(x.shape[1])[None, :] < torch.tensor(lengths)[:, None]
    outputs = outputs * within[:, :, None]
    (torch.sum(outputs * torch.as_tensor(np.asarray(pull))) + last.sum()).backward()
    seen = {"outputs": array(outputs), "last output": array(last), "gradient of x": array(inputs.grad)}
    return [seen, *({kind: array(w.grad) for kind, w in each.items()} for each in layers.weights)]


def _fused(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    outputs, _ = layers.made()(x)
    return outputs, outputs[:, -1]


def _loop(layers: Layers, x: torch.Tensor, lengths: list[int]) -> Outputs:
    layer = layers.made()
    options = {"nonlinearity": layer.nonlinearity} if isinstance(layer, nn.RNN) else {}
    cell = getattr(nn, f"{type(layer).__name__}Cell")(layer.input_size, layer.hidden_size, **options)
    layers.fill(cell, 0, "")
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
    packed, state = layers.made()(rnn.pack_padded_sequence(x, torch.tensor(lengths), batch_first=True, enforce_sorted=False))
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
}  # fmt: skip
