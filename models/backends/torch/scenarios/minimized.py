"""Scenarios of minimizing a network's loss by SciPy's methods and by PyTorch's LBFGS, in float64."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from models.arrays import Array, Arrays, Batch, Labels
from models.backends.torch.layers import array
from models.backends.torch.model import Model
from models.minimizing import joined, parted
from models.minimizing import minimized as minimized_by
from models.spec import Spec


def minimized(*, spec: str, weights: Arrays, x: Batch, labels: Labels, method: str, steps: int) -> list[Array]:
    """The points (parameters) that the method goes through, by PyTorch's gradient and Hessian of the loss on one batch."""
    built = Model(Spec.parse(spec), weights=weights)
    inputs, target = built.tensor(x), built.target(labels)
    names = {id(parameter): name for name, parameter in built.module.named_parameters()}
    sizes = [parameter.numel() for parameter in built.parameters.values()]

    def loss_at(point: torch.Tensor) -> torch.Tensor:
        given = {
            names[id(parameter)]: part.view_as(parameter)
            for parameter, part in zip(built.parameters.values(), point.split(sizes), strict=True)
        }
        return built.loss(torch.func.functional_call(built.module, given, (inputs,)), target)

    def value_and_gradient(point: Array) -> tuple[float, Array]:
        built.set_weights(parted(point, weights))
        built.module.zero_grad()
        loss = built.forward_loss(inputs, target)
        loss.backward()
        return float(loss.detach()), joined(array(_present(parameter)) for parameter in built.parameters.values())

    def hessian(point: Array) -> Array:
        return array(torch.autograd.functional.hessian(loss_at, built.tensor(point)))

    return minimized_by(method, value_and_gradient, hessian, joined(weights.values()), steps)


def _present(parameter: nn.Parameter) -> torch.Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad


def lbfgs(*, spec: str, weights: Arrays, x: Batch, labels: Labels, lr: float, memory: int, steps: int) -> list[Array]:
    """The points (parameters) after each step of PyTorch's LBFGS, of one iteration each and without a line search."""
    built = Model(Spec.parse(spec), weights=weights)
    inputs, target = built.tensor(x), built.target(labels)
    optimizer = torch.optim.LBFGS(built.parameters.values(), lr, max_iter=1, history_size=memory, tolerance_grad=0, tolerance_change=0)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = built.forward_loss(inputs, target)
        loss.backward()
        return loss

    visited = []
    for _ in range(steps):
        optimizer.step(closure)
        visited.append(joined(np.asarray(value) for value in built.weights().values()))
    return visited
