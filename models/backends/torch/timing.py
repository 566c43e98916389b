"""A training step of PyTorch and a matrix product, ready for the clock."""

from __future__ import annotations

from typing import Any

import torch


def stepper(network: Any, mode: str, x: Any, labels: Any) -> tuple[Any, Any]:
    """A function that takes one training step on data already on the device, and one that waits for the device."""
    inputs, target = network.tensor(x), network.target(labels)

    def step() -> torch.Tensor:
        loss = network.forward_backward(inputs, target)
        network.unscale_and_clip()
        network.update()
        return loss.detach()

    return step, _waiter(network.device)


def product(size: int, device: str) -> tuple[Any, Any]:
    """A function that multiplies two size × size matrices in float32, and one that waits for the device."""
    matrix = torch.ones((size, size), device=device)
    return lambda: matrix @ matrix, _waiter(device)


def _waiter(device: str) -> Any:
    return torch.cuda.synchronize if device.startswith("cuda") else lambda: None
