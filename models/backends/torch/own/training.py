"""Trains a user's PyTorch module on its own data, as a training loop does."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from models.backends.torch.own.building import build
from models.backends.torch.own.calls import advance
from models.backends.torch.own.collections import factory
from models.backends.torch.own.kinds import computes_gradients
from models.backends.torch.own.network import OwnModule
from models.backends.torch.own.state import array, tensor_like
from models.backends.torch.precision import allow_tf32
from models.own.address import OwnModel
from models.own.gauge import pair
from models.own.loading import Home
from models.own.passes import norm
from models.own.training import OwnHistory, batches, nudged, share
from models.own.trees import Tree, mapped


def train_own(model: OwnModel, seed: int, moved: bool, device: str) -> OwnHistory:
    """One training over all of its data, from the factory's weights, each module in the mode of `as_trained`. Raises OwnError."""
    allow_tf32(False)
    home = Home(model, factory)
    own = OwnModule(home, build(home, seed), seed, device)
    own.restore()
    parameters = own.parameters()
    if moved:
        with torch.no_grad():
            for name, w in nudged(own.weights(), seed).items():
                parameters[name].copy_(tensor_like(w, parameters[name]))
    optimizer = own.optimizer()
    schedule = own.gauge.schedule(optimizer) if callable(own.gauge.schedule) else None
    losses, norms = [], []
    with own._describing("could not be trained"):
        for given in batches(own.gauge.data, model.id):
            batch = mapped(own._placed, pair(given, model.id))

            def again(batch: Tree = batch) -> Tensor:
                optimizer.zero_grad()
                loss = own._loss(own._forward(batch), batch)
                loss.backward()
                return loss

            loss = again()
            norms.append([0.0 if p.grad is None else norm(array(p.grad)) for p in parameters.values()])
            optimizer.step(again) if computes_gradients(optimizer) else optimizer.step()
            losses.append(float(loss.detach()))
            advance(schedule, losses[-1])
    found = OwnHistory(seed, losses, np.array(norms), list(parameters), moved=moved)
    if own.gauge.metric is not None:
        batch = mapped(own._placed, own.gauge.batch if own.gauge.test is None else pair(own.gauge.test, model.id))
        own.model.eval()
        with own._describing("has a metric that could not be computed"), torch.no_grad():
            found.score = share(own.gauge.metric(own._forward(batch), batch if isinstance(batch, Mapping) else batch[1]), model.id)
    return found
