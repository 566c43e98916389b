"""What is timed of PyTorch: a training step, a matrix product, and the shortest loop that a user would write."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import torch
from torch import nn

from models.architectures import graph
from models.arrays import Arrays, Batch, Batches, BatchLabels, Labels, PerStep
from models.backends.protocol import Loop, TimedWork
from models.parts.optimizers import MOMENTUM
from models.spec import Spec

if TYPE_CHECKING:
    from models.backends.torch.network import Network


def timed_step(network: Network, x: Batch, labels: Labels) -> TimedWork:
    """A training step on data already on the device."""
    inputs, target = network.tensor(x), network.target(labels)

    def step() -> torch.Tensor:
        loss = network.forward_backward(inputs, target)
        network.unscale_and_clip()
        network.update()
        return loss.detach()

    return TimedWork(step, waiter(network.device))


def product(size: int, device: str) -> TimedWork:
    """A float32 product of two size × size matrices."""
    matrix = torch.ones((size, size), device=device)
    return TimedWork(lambda: matrix @ matrix, waiter(device))


def hand_written(spec: Spec, weights: Arrays, device: str) -> Loop:
    """The shortest loop that trains a ReLU network without norms and skips, as a user of PyTorch writes it."""
    layers: list[nn.Module] = []
    for node in graph(spec).dense:
        layers += [nn.Linear(node.fan_in, node.fan_out), nn.ReLU()]
    model = nn.Sequential(*layers[:-1]).to(device)
    optimizer = torch.optim.SGD(model.parameters(), lr=spec.learning_rate, momentum=MOMENTUM)
    loss_of = nn.CrossEntropyLoss()
    with torch.no_grad():
        for node, layer in zip(graph(spec).dense, model[::2], strict=True):
            layer.weight.copy_(torch.as_tensor(weights[node.weight]))
            layer.bias.copy_(torch.as_tensor(weights[node.bias]))

    def over(xs: Batches, labels: BatchLabels) -> Callable[[], PerStep]:
        batches = [(torch.as_tensor(x, device=device), torch.as_tensor(y, device=device)) for x, y in zip(xs, labels, strict=True)]

        def loop() -> PerStep:
            losses = []
            for x, y in batches:
                optimizer.zero_grad()
                loss = loss_of(model(x), y)
                loss.backward()
                optimizer.step()
                losses.append(loss.detach())
            return torch.stack(losses).cpu().numpy()

        return loop

    return over


def waiter(device: str) -> Callable[[], None]:
    """What waits until a device has done all it was asked."""
    return torch.cuda.synchronize if device.startswith("cuda") else lambda: None
