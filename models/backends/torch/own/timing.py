"""A training step of a user's PyTorch module, for the clock."""

from __future__ import annotations

import torch

from models.backends.protocol import TimedWork
from models.backends.registry import Absent
from models.backends.torch.own.building import build
from models.backends.torch.own.collections import factory
from models.backends.torch.own.kinds import computes_gradients
from models.backends.torch.own.network import OwnModule
from models.backends.torch.precision import allow_tf32
from models.backends.torch.timing import waiter
from models.own.address import OwnModel
from models.own.loading import Home
from models.own.protocol import OwnStep


def own_step(model: OwnModel, mode: str, seed: int, device: str) -> OwnStep:
    """Zeroed gradients, loss, its backward pass and, where the factory returns an optimizer, its step; by torch.compile in mode `compile`.

    Raises OwnError, and Absent for other modes and for optimizers that compute gradients themselves.
    """
    if mode not in ("eager", "compile"):
        raise Absent(f"--{mode} is no way to time a model of your own: use --eager or --compile")
    allow_tf32(False)
    home = Home(model, factory)
    own = OwnModule(home, build(home, seed), seed, device)
    own.restore()
    optimizer = own.optimizer() if own.gauge.optimizer is not None else None
    if optimizer is not None and computes_gradients(optimizer):
        raise Absent(f"{type(optimizer).__name__} computes gradients itself, as often as it likes: there is no one step to time")
    if mode == "compile":
        own.call = torch.compile(own.model)
    batch = own._batches[0]
    own.model.train()

    def step() -> None:
        (own.model if optimizer is None else optimizer).zero_grad()
        own._loss(own._forward(batch), batch).backward()
        if optimizer is not None:
            optimizer.step()

    return OwnStep(TimedWork(step, waiter(device)), lambda: own._describing("could not take a step"), own.weights)
