"""Equalities of single layers, recurrent, convolutional and pooling, in the words of PyTorch alone, for scripts that show one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import nn
from torch.nn import functional

from models.backends.torch.promises.defaults import generator
from models.backends.ways import Ways

RECURRENT = {"lstm": nn.LSTM, "gru": nn.GRU, "simple": nn.RNN}
SEQUENCE = (2, 5, 4)
"""Sequences, time steps and features."""


def recurrent(layer: type[nn.RNNBase], **options: Any) -> Any:
    """A recurrent layer with the same weights every time."""
    torch.manual_seed(3)
    return layer(4, 3, **options)


def time_first() -> Iterator[Ways]:
    """Time steps first against sequences first."""
    x = torch.randn(SEQUENCE, generator=generator(4))
    for name, layer in RECURRENT.items():
        ways = {
            "batch first": lambda layer=layer: recurrent(layer, batch_first=True)(x)[0],
            "time first": lambda layer=layer: recurrent(layer)(x.transpose(0, 1))[0].transpose(0, 1),
        }
        yield Ways(name, ways, 20)


def stateful_halves() -> Iterator[Ways]:
    """A sequence at once against its halves, with the state handed over."""
    x = torch.randn(SEQUENCE, generator=generator(4))

    def halves(layer: type[nn.RNNBase]) -> torch.Tensor:
        made = recurrent(layer, batch_first=True)
        first, state = made(x[:, :2])
        return torch.cat([first, made(x[:, 2:], state)[0]], 1)

    for name, layer in RECURRENT.items():
        ways = {"whole": lambda layer=layer: recurrent(layer, batch_first=True)(x)[0], "halves": lambda layer=layer: halves(layer)}
        yield Ways(name, ways, 20)


def both_directions() -> Iterator[Ways]:
    """The backward direction of a layer of two against a layer of one on the reversed sequence."""
    x = torch.randn(SEQUENCE, generator=generator(4))

    def reversed_by_hand(layer: type[nn.RNNBase]) -> torch.Tensor:
        both, one = recurrent(layer, batch_first=True, bidirectional=True), recurrent(layer, batch_first=True)
        for name, parameter in one.named_parameters():
            parameter.data = getattr(both, f"{name}_reverse").data
        return one(x.flip(1))[0].flip(1)

    for name, layer in RECURRENT.items():
        ways = {
            "by hand": lambda layer=layer: reversed_by_hand(layer),
            "bidirectional": lambda layer=layer: recurrent(layer, batch_first=True, bidirectional=True)(x)[0][..., 3:],
        }
        yield Ways(name, ways, 20)


def grouped_convolution() -> Iterator[Ways]:
    """A convolution in groups against one convolution for each group."""
    x = torch.randn(2, 4, 5, 5, generator=generator(5))
    weight = torch.randn(6, 2, 3, 3, generator=generator(6))

    def each() -> torch.Tensor:
        return torch.cat([functional.conv2d(part, own) for part, own in zip(x.chunk(2, 1), weight.chunk(2), strict=True)], 1)

    yield Ways("groups", {"each": each, "grouped": lambda: functional.conv2d(x, weight, groups=2)}, 50)


def pointwise_convolution() -> Iterator[Ways]:
    """A convolution of one pixel against a linear map of each pixel."""
    x = torch.randn(2, 4, 5, 5, generator=generator(5))
    weight = torch.randn(6, 4, 1, 1, generator=generator(6))
    linear = lambda: functional.linear(x.movedim(1, -1), weight[..., 0, 0]).movedim(-1, 1)  # noqa: E731
    yield Ways("pixels", {"linear": linear, "convolution": lambda: functional.conv2d(x, weight)}, 50)


def average_by_kernel() -> Iterator[Ways]:
    """Average pooling against a convolution with equal weights."""
    x = torch.randn(2, 1, 6, 6, generator=generator(5))
    kernel = lambda: functional.conv2d(x, torch.full((1, 1, 2, 2), 0.25), stride=2)  # noqa: E731
    yield Ways("pixels", {"kernel": kernel, "pooling": lambda: functional.avg_pool2d(x, 2)}, 10)
