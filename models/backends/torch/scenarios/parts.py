"""Scenarios of single parts of PyTorch: initializers, seeds, a norm in half precision, loaders, options that exclude each other."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, SequentialSampler, TensorDataset

from models.arrays import Array, Arrays, Batch, Labels, Points
from models.backends.refusals import outcomes
from models.backends.torch.layers import array
from models.backends.torch.model import Model, optimizer_of
from models.spec import Spec

Curve = Callable[[torch.Tensor], torch.Tensor]


def initializer_shared(*, shape: list[int], source: str) -> list[Array]:
    """Weights of two layers filled one after the other by one initializer function, `unseeded` or with a `generator` of its own."""
    own = torch.Generator(torch.get_default_device()).manual_seed(1) if source == "generator" else None
    layers = [nn.Linear(shape[0], shape[1]) for _ in range(2)]
    return [array(nn.init.xavier_uniform_(layer.weight, generator=own)) for layer in layers]


def seeded(*, seeds: list[int]) -> dict[str, Arrays]:
    """All that is random, by seed: weights, dropout, a draw, the order of a shuffling loader; global seed, and a generator's own."""
    drawn = {}
    data = TensorDataset(torch.arange(16))
    for seed in seeds:
        torch.manual_seed(seed)
        drawn[f"global seed {seed}"] = {
            "weights": array(nn.Linear(8, 8).weight),
            "dropout": array(nn.functional.dropout(torch.ones(8, 8), 0.5)),
            "draw": array(torch.randn(8)),
            "order": np.array([int(batch[0]) for (batch,) in DataLoader(data, shuffle=True)]),
        }
        torch.manual_seed(seed + 12345)
        own = torch.Generator().manual_seed(seed)
        drawn[f"own seed {seed}"] = {
            "weights": array(nn.init.xavier_uniform_(torch.empty(8, 8), generator=own)),
            "draw": array(torch.randn(8, generator=own)),
            "order": np.array([int(batch[0]) for (batch,) in DataLoader(data, shuffle=True, generator=own)]),
        }
    return drawn


def normalized(*, x: Batch, precision: str) -> Array:
    """A fresh layer normalization's output on x (batch × units), computed in `precision`."""
    kind = getattr(torch, precision)
    return np.asarray(array(nn.LayerNorm(x.shape[1], eps=1e-5, dtype=kind)(torch.as_tensor(np.asarray(x)).to(kind))), np.float64)


def truncated(*, shape: list[int], spread: float, cut: float, precision: str) -> Array:
    """Draws of a normal of this standard deviation, truncated at `cut` of them, in `precision`; given back in float64."""
    torch.manual_seed(1)
    empty = torch.empty(shape, dtype=getattr(torch, precision))
    return array(nn.init.trunc_normal_(empty, std=spread, a=-cut * spread, b=cut * spread).double())


def in_pieces(*, x: Points) -> dict[str, list[list[Array]]]:
    """By activation of several pieces: values and slopes at x of its one operation, and those of the formula it stands for."""
    functional = nn.functional
    functions: dict[str, list[Curve]] = {
        "hardswish": [functional.hardswish, lambda x: x * functional.relu6(x + 3) / 6],
        "hardsigmoid": [functional.hardsigmoid, lambda x: functional.relu6(x + 3) / 6],
    }
    return {name: [_curve(function, x) for function in both] for name, both in functions.items()}


def _curve(function: Curve, x: Points) -> list[Array]:
    points = torch.as_tensor(x).clone().requires_grad_()
    values = function(points)
    values.sum().backward()
    return [array(values), array(points.grad)]


def confident(*, spec: str, weights: Arrays, x: Batch, labels: Labels, of: str) -> Arrays:
    """Weights after one step on cross-entropy of logits, or of the log-`probabilities` of a log-softmax."""
    built = Model(Spec.parse(spec), weights=weights)
    optimizer = optimizer_of(built.spec, built.parameters)
    if of == "logits":
        built.loss_of(x, labels).backward()
    else:
        outputs = nn.LogSoftmax(1)(built.module(built.tensor(x)))
        nn.NLLLoss()(outputs, torch.as_tensor(np.asarray(labels, np.int64))).backward()
    optimizer.step()
    return built.weights()


def loaded(*, spec: str, weights: Arrays, x: Batch, labels: Labels, batch: int) -> dict[str, float]:
    """An epoch of evaluation through a DataLoader: how many samples and batches came, and the mean loss weighted by batch size."""
    built = Model(Spec.parse(spec), weights=weights)
    loader = DataLoader(TensorDataset(torch.as_tensor(x), torch.as_tensor(np.asarray(labels, np.int64))), batch_size=batch)
    with torch.no_grad():
        pairs = [(float(built.forward_loss(piece, answers)), len(piece)) for piece, answers in loader]
    samples = sum(count for _, count in pairs)
    return {
        "loss": sum(loss * count for loss, count in pairs) / samples,
        "samples": samples,
        "batches": len(pairs),
        "announced": len(loader),
    }


def refusals() -> dict[str, dict[str, str]]:
    """What PyTorch does with options by what should become of them: `refused`, `warned` or `taken`."""
    optim = torch.optim

    def parameters() -> list[nn.Parameter]:
        return [nn.Parameter(torch.ones(2))]

    data = TensorDataset(torch.arange(4))
    sampler = SequentialSampler(data)
    attempts: dict[str, dict[str, Callable[[], object]]] = {
        "taken": {
            "nesterov with momentum": lambda: optim.SGD(parameters(), lr=0.1, momentum=0.9, nesterov=True),
            "foreach alone": lambda: optim.Adam(parameters(), foreach=True),
            "a sampler alone": lambda: DataLoader(data, sampler=sampler),
        },
        "refused": {
            "nesterov without momentum": lambda: optim.SGD(parameters(), lr=0.1, nesterov=True),
            "nesterov with dampening": lambda: optim.SGD(parameters(), lr=0.1, momentum=0.9, dampening=0.1, nesterov=True),
            "foreach with fused": lambda: optim.Adam(parameters(), foreach=True, fused=True),
            "fused with differentiable": lambda: optim.Adam(parameters(), fused=True, differentiable=True),
            "a sampler with shuffle": lambda: DataLoader(data, sampler=sampler, shuffle=True),
            "a batch sampler with batch_size": lambda: DataLoader(data, batch_size=2, batch_sampler=[[0], [1]]),
        },
    }
    return outcomes(attempts, (ValueError, TypeError, RuntimeError), "ignored")
